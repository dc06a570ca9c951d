//! PURE: an approval in several steps, each by another person.

use serde::{Deserialize, Serialize};

use super::{
    exception::{ExceptionEntry, ShownException, TicketException},
    history::{Invalidation, Move, orders},
    interpret::{NOT_JUDGED, NotCounted, not_counted},
    ticket::{Decision, TicketState},
};
use crate::{
    millis::Millis,
    policy::{Author, Meaning, Person, Status, Statuses},
};

/// Why a step does not count if its status had another name when the ticket was opened.
const RENAMED: &str =
    "the status did not have this name when the ticket was opened, or when it was moved there";

/// Why a step, or what lifts a freeze, does not count on a ticket that existed before its gate.
const MADE_BEFORE: &str = "it was made before the bridge commented here what an approval does";

/// A step of an approval, as its ticket shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalStep {
    /// The status that the ticket must be moved into.
    pub status: Status,
    /// Whether that was done.
    pub state: StepState,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// The ticket was not moved there since it was last outside of all steps.
    Missing,
    /// It was, by somebody whose move counts.
    Done {
        /// The move.
        entry: Move,
    },
    /// It was, but that does not count.
    NotCounted {
        /// The move.
        entry: Move,
        /// Why not.
        why: String,
    },
    /// It was, but it is not known whether that counts.
    JudgmentPending {
        /// The move.
        entry: Move,
        /// Why not.
        why: String,
    },
}

impl ApprovalStep {
    /// The steps of a ticket that was not moved yet.
    #[must_use]
    pub fn missing(statuses: &Statuses) -> Vec<Self> {
        let named = |id: &String| Self { status: named(id, statuses), state: StepState::Missing };
        statuses.steps.iter().map(named).collect()
    }

    /// The move that made it, whether or not it counts.
    #[must_use]
    pub const fn entry(&self) -> Option<&Move> {
        match &self.state {
            StepState::Missing => None,
            StepState::Done { entry }
            | StepState::NotCounted { entry, .. }
            | StepState::JudgmentPending { entry, .. } => Some(entry),
        }
    }

    /// Whether it counts.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, StepState::Done { .. })
    }

    /// Whether both are the same, but for the reason why something is not known, which changes from reading to reading.
    fn is_same(&self, other: &Self) -> bool {
        match (&self.state, &other.state) {
            (
                StepState::JudgmentPending { entry: here, .. },
                StepState::JudgmentPending { entry: there, .. },
            ) => self.status == other.status && here == there,
            (
                StepState::Missing
                | StepState::Done { .. }
                | StepState::NotCounted { .. }
                | StepState::JudgmentPending { .. },
                _,
            ) => self == other,
        }
    }
}

/// Whether people count who did something else than the deciding move: made the steps before the last one, or set what may
/// lift a freeze.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherAuthors {
    steps: Vec<(Move, Author)>,
    exceptions: Vec<(ExceptionEntry, Author)>,
}

impl OtherAuthors {
    /// Adds the judgment of the person who made this move.
    pub fn add(&mut self, entry: Move, author: Author) {
        self.steps.push((entry, author));
    }

    /// Adds the judgment of the person who made this entry.
    pub fn add_exception(&mut self, entry: ExceptionEntry, author: Author) {
        self.exceptions.push((entry, author));
    }

    /// What a ticket shows, judged. `taken_at` is when the bridge made an existing issue the ticket of its gate: what was set
    /// before that was not meant for this rollout.
    pub(super) fn judged(&self, shown: &[ShownException], taken_at: Option<Millis>) -> Vec<TicketException> {
        let judged = |ShownException { exception, entry }: &ShownException| {
            let known = self.exceptions.iter().find(|(judged, _)| Some(judged) == entry.as_ref());
            let is_older = |entry: &ExceptionEntry| taken_at.is_some_and(|taken| entry.at < taken);
            let author = if entry.as_ref().is_some_and(is_older) {
                Author::NotAccepted { why: MADE_BEFORE.to_owned() }
            } else {
                known.map_or(Author::NoDecision, |(_, author)| author.clone())
            };
            TicketException { exception: exception.clone(), entry: entry.clone(), author }
        };
        shown.iter().map(judged).collect()
    }

    /// The judgment of the person who made this move.
    fn of(&self, entry: &Move) -> Option<&Author> {
        self.steps.iter().find(|(judged, _)| judged == entry).map(|(_, author)| author)
    }

    /// Whether it is known for each of them if their move counts.
    #[must_use]
    pub fn are_judged(&self) -> bool {
        !self.steps.iter().any(|(_, author)| matches!(author, Author::Unknown { .. }))
    }

    /// Why a judgment is unknown, if one is.
    #[must_use]
    pub fn unknown_reason(&self) -> Option<&str> {
        self.steps.iter().find_map(|(_, author)| match author {
            Author::Unknown { why } => Some(why.as_str()),
            Author::Accepted | Author::NotAccepted { .. } | Author::NoDecision => None,
        })
    }

    /// The same, but nobody counts who was accepted: the judgments are outdated.
    #[must_use]
    pub fn outdated(&self, why: &str) -> Self {
        let outdated = |author: &Author| match author {
            Author::Accepted => Author::Unknown { why: why.to_owned() },
            Author::NotAccepted { .. } | Author::NoDecision | Author::Unknown { .. } => author.clone(),
        };
        let Self { steps, exceptions } = self;
        Self {
            steps: steps.iter().map(|(entry, author)| (entry.clone(), outdated(author))).collect(),
            exceptions: exceptions.iter().map(|(entry, author)| (entry.clone(), outdated(author))).collect(),
        }
    }
}

/// The move that made each step that the ticket has reached, from the first on; none for a step that was skipped.
///
/// A step is made by the first move into its status since the ticket was last outside of the statuses of all steps. If the
/// ticket is moved back to an earlier step, that one and those before it stay as they are, and those after it are taken
/// back. If several orders of the moves are possible, a step counts as made only if all of them name the same move.
#[must_use]
pub fn steps_made<'a>(status: &Status, moves: &'a [Move], statuses: &Statuses) -> Vec<Option<&'a Move>> {
    if statuses.steps.is_empty() {
        return Vec::new();
    }
    let mut possible = orders(moves).into_iter().map(|(_, order)| walk(status, &order, statuses));
    let first = possible.next().unwrap_or_default();
    possible.fold(first, |made, other| {
        if made.len() != other.len() {
            return Vec::new();
        }
        made.into_iter().zip(other).map(|(one, other)| one.filter(|_| one == other)).collect()
    })
}

/// The steps that are made at the end of an order of the moves.
fn walk<'a>(status: &Status, order: &[&'a Move], statuses: &Statuses) -> Vec<Option<&'a Move>> {
    let count = statuses.steps.len();
    let mut made: Vec<Option<&Move>> = Vec::new();
    let mut at: Option<&str> = None;
    for &entry in order {
        if at.is_some_and(|at| at != entry.from) {
            // A move is missing here. The ticket may have been anywhere in between.
            made.clear();
        }
        at = Some(&entry.to.id);
        let step = statuses.steps.iter().position(|id| *id == entry.to.id);
        match (statuses.meaning(&entry.to.id), step) {
            (Meaning::Rejected, _) | (Meaning::Waiting, None) => made.clear(),
            // It stays approved.
            (Meaning::Approved, _) if statuses.meaning(&entry.from) == Meaning::Approved => {}
            // Approved, but not by the last step.
            (Meaning::Approved, None) => {
                made.truncate(count - 1);
                made.resize(count, None);
            }
            (Meaning::Approved | Meaning::Waiting, Some(nth)) => {
                made.resize(nth + 1, None);
                made[nth].get_or_insert(entry);
            }
        }
    }
    if at == Some(status.id.as_str()) { made } else { Vec::new() }
}

/// From this time on the history must be known to decide who made the steps. `None` if the moves do not show when the ticket
/// was last outside of all steps, so that older ones are needed. `Some(None)` if it is outside now.
#[must_use]
pub fn steps_need_history_since(
    status: &Status,
    moves: &[Move],
    statuses: &Statuses,
) -> Option<Option<Millis>> {
    let is_outside =
        |id: &str| !statuses.steps.iter().any(|step| step == id) && statuses.meaning(id) != Meaning::Approved;
    if statuses.steps.is_empty() || is_outside(&status.id) {
        return Some(None);
    }
    let entered = |order: &[&Move]| {
        order.iter().rfind(|entry| is_outside(&entry.from)).map(|entry| entry.history_needed_since())
    };
    let mut since = Vec::new();
    for (_, order) in orders(moves) {
        since.push(entered(&order)?);
    }
    since.into_iter().min().map(Some)
}

/// What is known about a ticket whose steps are judged.
pub(super) struct StepsReading<'a> {
    pub(super) status: &'a Status,
    pub(super) moves: &'a [Move],
    pub(super) invalidations: &'a [Invalidation],
    pub(super) statuses: &'a Statuses,
    /// The judgment of the person who made the deciding move.
    pub(super) author: &'a Author,
    /// The judgments of those who made the other steps.
    pub(super) authors: &'a OtherAuthors,
    /// When the bridge made an existing issue the ticket of this gate, by Jira's clock; none if it opened the ticket.
    pub(super) taken_at: Option<Millis>,
    /// The statuses that had the configured names when the ticket was opened.
    pub(super) pinned: Option<&'a Statuses>,
}

impl StepsReading<'_> {
    /// The steps, as the ticket shows them; none if an approval has only one.
    pub(super) fn steps(&self) -> Vec<ApprovalStep> {
        let mut made = steps_made(self.status, self.moves, self.statuses);
        made.resize(self.statuses.steps.len(), None);
        let mut people: Vec<&Person> = Vec::new();
        let mut steps = Vec::new();
        for (id, entry) in self.statuses.steps.iter().zip(made) {
            let is_last = steps.len() + 1 == self.statuses.steps.len();
            let state = entry.map_or(StepState::Missing, |entry| self.judged(entry, is_last, &people));
            people.extend(entry.map(|entry| &entry.by));
            steps.push(ApprovalStep { status: named(id, self.statuses), state });
        }
        steps
    }

    /// Whether this move counts as a step. `people` made the steps before it.
    fn judged(&self, entry: &Move, is_last: bool, people: &[&Person]) -> StepState {
        let not = |why: &str| StepState::NotCounted { entry: entry.clone(), why: why.to_owned() };
        let pending = |why: &str| StepState::JudgmentPending { entry: entry.clone(), why: why.to_owned() };
        match not_counted(entry, self.moves, self.invalidations, self.statuses) {
            Some(why @ NotCounted::WorkflowUnknown) => return pending(why.words()),
            Some(why @ (NotCounted::Invalidated(_) | NotCounted::Mapped)) => return not(why.words()),
            None => {}
        }
        if self.taken_at.is_some_and(|taken| entry.at < taken) {
            return not(MADE_BEFORE);
        }
        // Those of the last one are checked for the approval itself.
        if !is_last && !self.had_its_name(entry) {
            return not(RENAMED);
        }
        if people.iter().any(|before| is_same_person(before, &entry.by)) {
            let name = &entry.by.name;
            return not(&format!("{name} made an earlier step, and each step needs another person"));
        }
        match if is_last { Some(self.author) } else { self.authors.of(entry) } {
            Some(Author::Accepted) => StepState::Done { entry: entry.clone() },
            Some(Author::NotAccepted { why }) => not(why),
            Some(Author::Unknown { why }) => pending(why),
            Some(Author::NoDecision) | None => pending(NOT_JUDGED),
        }
    }

    /// Whether the status of a step already had its name: when the ticket was opened, or, if the ticket was opened
    /// before there were steps, when it was moved there.
    fn had_its_name(&self, entry: &Move) -> bool {
        match self.pinned.map(|pinned| pinned.steps.as_slice()) {
            None | Some([]) => !self.statuses.renames(&entry.to),
            Some(pinned) => pinned.contains(&entry.to.id),
        }
    }
}

/// The status with this id, as it is called today.
fn named(id: &str, statuses: &Statuses) -> Status {
    let name = statuses.names.get(id).cloned().unwrap_or_else(|| id.to_owned());
    Status { id: id.to_owned(), name }
}

/// Whether both are the same account. Data Center ignores the case of user names. One person with two accounts counts as
/// two people: nothing in Jira says that they are one.
fn is_same_person(one: &Person, other: &Person) -> bool {
    one.id.to_lowercase() == other.id.to_lowercase()
}

/// Why the steps do not approve.
enum Failing {
    /// A step is missing, or does not count.
    Step(String),
    /// It is not known whether one counts.
    Unknown(String),
}

impl Failing {
    fn of(steps: &[ApprovalStep]) -> Option<Self> {
        let numbered = || steps.iter().zip(1..);
        let which = |(step, nth): (&ApprovalStep, usize)| {
            format!("step {nth} of {} ({:?})", steps.len(), step.status.name)
        };
        let failed = numbered().find_map(|it| match &it.0.state {
            StepState::Missing => Some(Self::Step(format!(
                "{} is missing; the ticket must be moved to {}, in this order, each time by another person",
                which(it),
                in_order(steps)
            ))),
            StepState::NotCounted { why, .. } => {
                Some(Self::Step(format!("{} does not count: {why}", which(it))))
            }
            StepState::Done { .. } | StepState::JudgmentPending { .. } => None,
        });
        failed.or_else(|| {
            numbered().find_map(|it| match &it.0.state {
                StepState::JudgmentPending { why, .. } => {
                    Some(Self::Unknown(format!("{}: {why}", which(it))))
                }
                StepState::Missing | StepState::NotCounted { .. } | StepState::Done { .. } => None,
            })
        })
    }
}

/// The names of the statuses: `"Reviewed" and "Approved"`.
fn in_order(steps: &[ApprovalStep]) -> String {
    let names: Vec<String> = steps.iter().map(|step| format!("{:?}", step.status.name)).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

impl TicketState {
    /// The state if an approval needs these steps: an approval without one of them is none.
    pub(super) fn with_steps_checked(self, steps: &[ApprovalStep]) -> Self {
        match self {
            Self::Approved { status, decision } if !steps.is_empty() => match Failing::of(steps) {
                Some(Failing::Step(why)) => Self::NotAllowed { status, decision, why },
                Some(Failing::Unknown(why)) => Self::JudgmentPending { status, decision, why },
                None => {
                    let made = steps.iter().filter_map(ApprovalStep::entry);
                    let earlier = made.filter(|entry| **entry != decision.changelog_entry).cloned().collect();
                    Self::Approved { status, decision: Decision { steps: earlier, ..decision } }
                }
            },
            Self::Approved { .. }
            | Self::Waiting { .. }
            | Self::Rejected { .. }
            | Self::NotAllowed { .. }
            | Self::JudgmentPending { .. }
            | Self::Invalid { .. } => self,
        }
    }
}

/// Whether both show the same steps, as far as they are known.
pub(super) fn are_same(these: &[ApprovalStep], those: &[ApprovalStep]) -> bool {
    these.len() == those.len() && these.iter().zip(those).all(|(this, that)| this.is_same(that))
}
