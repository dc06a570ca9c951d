//! What is counted in histories.

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
    /// 200 at confirm-rollout, whose ticket was opened for another attempt, and nothing was heard in between that
    /// waiting on would not have said: one wait is one ticket. Not held against the bridge.
    pub(super) one_wait: u64,
    /// 200 at a later gate whose ticket was opened for another attempt, of which nothing was heard that this attempt has
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
    pub(super) const fn counts(&self) -> [u64; 16] {
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
        ]
    }

    pub(super) const HEADS: [&'static str; 16] = [
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
