//! The line between Flagger and the bridge, with what can go wrong on it; the people who decide; and the judge, who
//! knows what Flagger does not say.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use flagger_jira_bridge::{
    gate::{GateName, Stage},
    millis::Millis,
    rollout::{Message, Phase, Report, Revision},
};
use rand::{RngExt as _, rngs::StdRng};

use super::{
    bridge::{Answer, Bridge, Place, RULES},
    flagger::Flagger,
};

/// How often what goes wrong. Zero everywhere: nothing does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// A message never arrives.
    pub(super) lost: f64,
    /// A question arrives and its answer does not.
    pub(super) unanswered: f64,
    /// A message arrives twice.
    pub(super) twice: f64,
    /// Flagger cannot save the status of a tick, and does it all again.
    pub(super) unsaved: f64,
    /// At a tick: the bridge goes away for a while.
    pub(super) down: f64,
}

/// What was counted. Everything from `alike` on is a wrong answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) histories: u64,
    pub(super) attempts: u64,
    pub(super) questions: u64,
    pub(super) tickets: u64,
    pub(super) opens: u64,
    pub(super) rollbacks: u64,
    /// A gate asked once more under a new ticket, after more silence than the bridge takes for the same attempt.
    pub(super) after_silence: u64,
    /// 200 at a gate whose ticket was opened for another attempt, of which nothing was heard that this attempt has
    /// not said word for word, nor any attempt between the two: the same revision came back. Each gate counts once.
    pub(super) alike: u64,
    /// 200 at a gate whose ticket was opened for another attempt, and the messages could have told. Each gate once.
    pub(super) wrong_opens: u64,
    /// Approved for this attempt, and answered 403 with a new ticket.
    pub(super) asked_again: u64,
    /// Not approved yet, and a second ticket for the same gate of the same attempt.
    pub(super) second_tickets: u64,
    /// Approved for this attempt, and answered 403 all the same, without a new ticket.
    pub(super) shut: u64,
    /// A question to which no ticket was shown at all.
    pub(super) unheard: u64,
    /// Told to roll back an attempt that nobody rejected.
    pub(super) wrong_rollbacks: u64,
    /// Rejected, and told not to roll back.
    pub(super) kept: u64,
}

impl Tally {
    /// All counts, in the order of [`Tally::HEADS`].
    pub(super) const fn counts(&self) -> [u64; 15] {
        [
            self.histories,
            self.attempts,
            self.questions,
            self.tickets,
            self.opens,
            self.rollbacks,
            self.after_silence,
            self.alike,
            self.wrong_opens,
            self.asked_again,
            self.second_tickets,
            self.shut,
            self.unheard,
            self.wrong_rollbacks,
            self.kept,
        ]
    }

    pub(super) const HEADS: [&'static str; 15] = [
        "histories",
        "attempts",
        "questions",
        "tickets",
        "opens",
        "rollbacks",
        "silence",
        "alike",
        "WRONG",
        "again",
        "second",
        "shut",
        "unheard",
        "ROLLED",
        "kept",
    ];

    pub(super) const fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.attempts += other.attempts;
        self.questions += other.questions;
        self.tickets += other.tickets;
        self.opens += other.opens;
        self.rollbacks += other.rollbacks;
        self.after_silence += other.after_silence;
        self.alike += other.alike;
        self.wrong_opens += other.wrong_opens;
        self.asked_again += other.asked_again;
        self.second_tickets += other.second_tickets;
        self.shut += other.shut;
        self.unheard += other.unheard;
        self.wrong_rollbacks += other.wrong_rollbacks;
        self.kept += other.kept;
    }

    /// Wrong answers of any kind.
    pub(super) const fn wrong(&self) -> u64 {
        self.alike
            + self.wrong_opens
            + self.asked_again
            + self.second_tickets
            + self.shut
            + self.unheard
            + self.wrong_rollbacks
            + self.kept
    }
}

pub(super) struct Line {
    pub(super) now: Millis,
    pub(super) interval: Duration,
    pub(super) bridge: Bridge,
    pub(super) rng: StdRng,
    pub(super) faults: Faults,
    pub(super) tally: Tally,
    /// Kept only to be read.
    pub(super) log: Option<Vec<String>>,
    /// What people will do, and when.
    plans: Vec<(Millis, usize, Place)>,
    /// The tickets opened for an attempt at a gate, in order.
    opened: HashMap<(u64, GateName), Vec<usize>>,
    /// What was heard of each attempt.
    heard: BTreeMap<u64, HashSet<(Kind, &'static str, u32)>>,
    /// Opened by the ticket of another attempt.
    wrongly_opened: HashSet<(usize, u64)>,
    /// Since when the bridge is away.
    down: Option<(Millis, Millis)>,
}

/// Which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Gate(Stage),
    Rollback,
    PostRollout,
    Event,
}

fn message(phase: Phase, revision: u32) -> Message {
    Message { phase, checksum: Some(Revision(format!("c{revision}"))), label: None }
}

impl Line {
    pub(super) fn new(rng: StdRng, interval: Duration, faults: Faults, log: bool) -> Self {
        Self {
            now: Millis(0),
            interval,
            bridge: Bridge::new(),
            rng,
            faults,
            tally: Tally { histories: 1, ..Tally::default() },
            log: log.then(Vec::new),
            plans: Vec::new(),
            opened: HashMap::new(),
            heard: BTreeMap::new(),
            wrongly_opened: HashSet::new(),
            down: None,
        }
    }

    pub(super) fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let seconds = self.now.0 / 1000;
            log.push(format!(
                "{:>3}:{:02}:{:02}  {}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60,
                words()
            ));
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability)
    }

    /// Whether a message gets through now.
    fn arrives(&mut self) -> bool {
        self.now = self.now + Duration::from_millis(10);
        self.down.is_none() && !self.chance(self.faults.lost)
    }

    /// Keeps what is heard of an attempt.
    fn hears(&mut self, attempt: u64, kind: Kind, phase: Phase, revision: u32) {
        self.heard.entry(attempt).or_default().insert((kind, phase.as_str(), revision));
    }

    /// Whether all that was heard since that attempt, up to this one, was heard of that attempt too, or would be asked
    /// in it further on.
    fn alike(&self, that: u64, this: u64, revision: u32) -> bool {
        if that >= this {
            return false;
        }
        let nothing = HashSet::new();
        let known = self.heard.get(&that).unwrap_or(&nothing);
        let further = |heard: &(Kind, &str, u32)| match heard.0 {
            Kind::Gate(stage) => stage != Stage::ConfirmRollout && heard.2 == revision,
            Kind::Rollback => heard.2 == revision,
            Kind::PostRollout | Kind::Event => false,
        };
        let mut since = self.heard.range(that + 1..=this).flat_map(|(_, heard)| heard);
        since.all(|heard| known.contains(heard) || further(heard))
    }

    /// Flagger asks at a gate; whether it may go on, as far as it hears.
    pub(super) fn ask(
        &mut self,
        flagger: &Flagger,
        stage: Stage,
        approver: Option<&str>,
        phase: Phase,
    ) -> bool {
        self.tally.questions += 1;
        let name = GateName { stage, approver: approver.map(str::to_owned) };
        let (attempt, revision) = (flagger.status.attempt, flagger.status.applied);
        if !self.arrives() {
            self.note(|| format!("  {name} {} c{revision} (attempt {attempt}): lost", phase.as_str()));
            return false;
        }
        self.hears(attempt, Kind::Gate(stage), phase, revision);
        let message = message(phase, revision);
        let times = if self.chance(self.faults.twice) { 2 } else { 1 };
        let mut open = false;
        for _ in 0..times {
            let answer = self.bridge.asked(&name, &message, self.now, attempt);
            open = answer.open;
            self.note(|| {
                let code = if open { 200 } else { 403 };
                let shown = answer.ticket.map_or("no ticket".into(), |ticket| format!("OPS-{ticket}"));
                let fresh = if answer.fresh { ", new" } else { "" };
                format!("  {name} {} c{revision} (attempt {attempt}): {code} {shown}{fresh}", phase.as_str())
            });
            self.judge(&name, attempt, revision, &answer);
        }
        open && !self.chance(self.faults.unanswered)
    }

    /// Flagger asks whether to roll back.
    pub(super) fn ask_to_roll_back(&mut self, flagger: &Flagger) -> bool {
        let (attempt, revision) = (flagger.status.attempt, flagger.status.applied);
        let phase = flagger.status.phase;
        if !self.arrives() {
            self.note(|| format!("  rollback {} c{revision} (attempt {attempt}): lost", phase.as_str()));
            return false;
        }
        self.hears(attempt, Kind::Rollback, phase, revision);
        let back = self.bridge.asked_to_roll_back(&message(phase, revision), self.now);
        self.note(|| format!("  rollback {} c{revision} (attempt {attempt}): {back}", phase.as_str()));
        let mut own = self.bridge.tickets.iter().filter(|ticket| ticket.attempt == attempt);
        let rejected = own.any(|ticket| ticket.place == Place::Rejected);
        self.tally.rollbacks += u64::from(back);
        if back && !rejected {
            self.tally.wrong_rollbacks += 1;
            self.note(|| "  !! nobody rejected this attempt".into());
        }
        if !back && rejected {
            self.tally.kept += 1;
            self.note(|| "  !! this attempt was rejected".into());
        }
        back && !self.chance(self.faults.unanswered)
    }

    pub(super) fn event(&mut self, flagger: &Flagger, phase: Phase) {
        if flagger.hooks.event {
            self.tell(Report::Event, flagger, phase);
        }
    }

    pub(super) fn post_rollout(&mut self, flagger: &Flagger, phase: Phase) {
        if flagger.hooks.post_rollout {
            self.tell(Report::PostRollout, flagger, phase);
        }
    }

    fn tell(&mut self, report: Report, flagger: &Flagger, phase: Phase) {
        let revision = flagger.status.applied;
        let arrives = self.arrives();
        if arrives {
            let kind = if report == Report::Event { Kind::Event } else { Kind::PostRollout };
            self.hears(flagger.status.attempt, kind, phase, revision);
        }
        let lost = if arrives { "" } else { ": lost" };
        self.note(|| format!("  {report:?} {} c{revision}{lost}", phase.as_str()));
        let times = if arrives { 1 + u8::from(self.chance(self.faults.twice)) } else { 0 };
        for _ in 0..times {
            self.bridge.told(report, &message(phase, revision), self.now);
        }
    }

    fn judge(&mut self, name: &GateName, attempt: u64, revision: u32, answer: &Answer) {
        self.tally.opens += u64::from(answer.open);
        if let (true, Some(ticket)) = (answer.fresh, answer.ticket) {
            self.tally.tickets += 1;
            self.opened.entry((attempt, name.clone())).or_default().push(ticket);
            self.plan(ticket);
        }
        let own = self.opened.get(&(attempt, name.clone())).cloned().unwrap_or_default();
        let approved = own.iter().any(|ticket| self.bridge.tickets[*ticket].place == Place::Approved);
        let shown = answer.ticket.map(|ticket| self.bridge.tickets[ticket].attempt);
        let long = answer.silent_for > RULES.idle_after.max(3 * self.interval);
        let first =
            answer.open && answer.ticket.is_some_and(|ticket| self.wrongly_opened.insert((ticket, attempt)));
        let alike = shown.is_some_and(|shown| self.alike(shown, attempt, revision));
        let last = own.last().copied();
        let tally = &mut self.tally;
        let wrong = match (answer.open, shown) {
            (true, Some(shown)) if shown != attempt && first && alike => {
                Some((&mut tally.alike, "approved for another attempt that looks alike"))
            }
            (true, Some(shown)) if shown != attempt && first => {
                Some((&mut tally.wrong_opens, "approved for another attempt"))
            }
            (true, _) => None,
            (false, _) if answer.fresh && own.len() > 1 && long => {
                Some((&mut tally.after_silence, "asked again after a long silence"))
            }
            (false, _) if answer.fresh && approved => {
                Some((&mut tally.asked_again, "approved, and asked again"))
            }
            (false, _) if answer.fresh && own.len() > 1 => {
                Some((&mut tally.second_tickets, "a second ticket"))
            }
            (false, None) => Some((&mut tally.unheard, "no ticket for this question")),
            (false, Some(shown)) => {
                let mine = approved && (answer.ticket != last || shown != attempt);
                let closed = last.is_some_and(|last| self.bridge.tickets[last].place == Place::Approved);
                (mine || closed).then_some((&mut tally.shut, "approved, and closed"))
            }
        };
        if let Some((count, words)) = wrong {
            *count += 1;
            self.note(|| format!("  !! {words}"));
        }
    }

    /// Somebody will decide, sooner or later or never; and perhaps think again.
    fn plan(&mut self, ticket: usize) {
        let interval = self.interval.as_secs_f64();
        let patience = match self.rng.random_range(0..20) {
            0..12 => 3.0,
            12..18 => 12.0,
            _ => return,
        };
        let mut at = self.now;
        let mut later = |rng: &mut StdRng| {
            at = at + Duration::from_secs_f64(interval * (0.2 + patience * rng.random::<f64>()));
            at
        };
        let first = if self.rng.random_bool(0.8) { Place::Approved } else { Place::Rejected };
        self.plans.push((later(&mut self.rng), ticket, first));
        if self.rng.random_bool(0.1) {
            let second = [Place::ToDo, Place::Approved, Place::Rejected][self.rng.random_range(0..3)];
            self.plans.push((later(&mut self.rng), ticket, second));
            let last = if self.rng.random_bool(0.8) { Place::Approved } else { Place::Rejected };
            self.plans.push((later(&mut self.rng), ticket, last));
        }
    }

    /// The bridge goes away, its memory with it.
    pub(super) fn goes_down(&mut self, away: Duration) {
        if self.down.is_none() {
            self.note(|| format!("the bridge is down for {} s", away.as_secs()));
            self.down = Some((self.now, self.now + away));
        }
    }

    /// Time goes on until the next tick: people decide, and the bridge looks.
    pub(super) fn until(&mut self, then: Millis) {
        while let Some(at) = (0..self.plans.len()).min_by_key(|at| self.plans[*at].0) {
            if self.plans[at].0 > then {
                break;
            }
            let (when, ticket, place) = self.plans.remove(at);
            self.comes_back(when);
            self.now = self.now.max(when);
            let paper = &self.bridge.tickets[ticket];
            let (was, about, name) = (paper.place, paper.attempt, paper.name.clone());
            if was == place {
                continue;
            }
            self.note(|| format!("OPS-{ticket} ({name}, attempt {about}): {place:?}"));
            self.bridge.moved(ticket, place, self.now);
            if self.down.is_none() {
                self.bridge.looks(ticket, self.now);
            }
        }
        self.comes_back(then);
        self.now = self.now.max(then);
        if self.down.is_none() {
            self.bridge.polls(self.now);
        }
    }

    fn comes_back(&mut self, now: Millis) {
        if let Some((died, back)) = self.down
            && back <= now
        {
            self.now = self.now.max(back);
            self.down = None;
            self.note(|| "the bridge is back".into());
            self.bridge.restarts(died, back.since(died));
            self.bridge.polls(self.now);
        }
    }
}
