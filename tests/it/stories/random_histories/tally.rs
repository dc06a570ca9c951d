//! The counters of histories.

/// The counters. Everything from `alike` on counts wrong answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) histories: u64,
    pub(super) attempts: u64,
    pub(super) questions: u64,
    pub(super) tickets: u64,
    pub(super) opens: u64,
    pub(super) rollbacks: u64,
    /// A second ticket for a gate, after a silence so long that the bridge assumes a new attempt.
    pub(super) after_silence: u64,
    /// 200 at confirm-rollout by a ticket of another attempt, when all messages since look as if Flagger were still
    /// waiting: one wait is one ticket. Not counted as wrong. With Kubernetes, at any gate: while a revision runs, another
    /// one is pushed and then the first one again, and Flagger asks nothing in between. Its ticket shows it.
    pub(super) one_wait: u64,
    /// 200 at a later gate by a ticket of another attempt that the messages do not distinguish: the same revision came
    /// back, and no message since differs. Each gate counts once.
    pub(super) alike: u64,
    /// 200 at a gate by a ticket of another attempt that the messages distinguish. Each gate counts once.
    pub(super) wrong_opens: u64,
    /// Approved for this attempt, but answered 403 with a new ticket.
    pub(super) asked_again: u64,
    /// Not approved yet, and a second ticket for the same gate of the same attempt.
    pub(super) second_tickets: u64,
    /// Approved for this attempt, but answered 403 without a new ticket.
    pub(super) shut: u64,
    /// A question whose answer showed no ticket.
    pub(super) unheard: u64,
    /// 200 at rollback for an attempt without a rejection.
    pub(super) wrong_rollbacks: u64,
    /// Rejected, but answered 403 at rollback.
    pub(super) kept: u64,
    /// 200 at a gate by a ticket that shows another revision than the one that starts or runs. Each counts once.
    pub(super) shows_another: u64,
    /// Somebody pushed between the answer and what Flagger did then: no observer can prevent that.
    pub(super) raced: u64,
    /// Of these: the bridge recorded that nobody approved what started.
    pub(super) noticed: u64,
    /// Of these: over, or pushed away, before any reading could show it.
    pub(super) unnoticed: u64,
    /// Of these: a later gate was opened although the bridge had read that something else is deployed.
    pub(super) missed: u64,
}

impl Tally {
    /// All counts, in the order of [`Tally::HEADS`].
    pub(super) const fn counts(&self) -> [u64; 21] {
        [
            self.histories,
            self.attempts,
            self.questions,
            self.tickets,
            self.opens,
            self.rollbacks,
            self.after_silence,
            self.one_wait,
            self.alike,
            self.wrong_opens,
            self.asked_again,
            self.second_tickets,
            self.shut,
            self.unheard,
            self.wrong_rollbacks,
            self.kept,
            self.shows_another,
            self.raced,
            self.noticed,
            self.unnoticed,
            self.missed,
        ]
    }

    pub(super) const HEADS: [&'static str; 21] = [
        "histories",
        "attempts",
        "questions",
        "tickets",
        "opens",
        "rollbacks",
        "silence",
        "wait",
        "alike",
        "WRONG",
        "again",
        "second",
        "shut",
        "unheard",
        "ROLLED",
        "kept",
        "SHOWN",
        "raced",
        "noticed",
        "unnoticed",
        "MISSED",
    ];

    pub(super) const fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.attempts += other.attempts;
        self.questions += other.questions;
        self.tickets += other.tickets;
        self.opens += other.opens;
        self.rollbacks += other.rollbacks;
        self.after_silence += other.after_silence;
        self.one_wait += other.one_wait;
        self.alike += other.alike;
        self.wrong_opens += other.wrong_opens;
        self.asked_again += other.asked_again;
        self.second_tickets += other.second_tickets;
        self.shut += other.shut;
        self.unheard += other.unheard;
        self.wrong_rollbacks += other.wrong_rollbacks;
        self.kept += other.kept;
        self.shows_another += other.shows_another;
        self.raced += other.raced;
        self.noticed += other.noticed;
        self.unnoticed += other.unnoticed;
        self.missed += other.missed;
    }

    /// Gates that were opened by the approval of something else, as far as an approval is bound to what its ticket shows.
    pub(super) const fn wrongly_bound(&self) -> u64 {
        self.alike + self.wrong_opens + self.shows_another + self.missed
    }

    /// Wrong answers of any kind, if approvals are not bound to what their tickets show.
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
