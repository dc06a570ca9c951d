//! What performing a command comes to.

use crate::{gate::Ticket, jira, millis::Millis, rollout::Notice, store, worker::context::CycleOutcome};

/// What performing a command came to.
#[must_use]
pub(super) enum CommandResult {
    /// It is done, or there is nothing to do any more.
    Done,
    /// The gate has this ticket from now on.
    Opened {
        /// The ticket.
        ticket: Ticket,
        /// What else was found for the gate, and is ours.
        others: Vec<Ticket>,
    },
    /// It was looked whether a ticket was opened twice.
    Labelled {
        /// The ticket that counts, if there is one.
        counts: Option<Ticket>,
        /// Those that do not.
        found: Vec<Ticket>,
        /// When to look again, and why.
        again: Option<(Millis, String)>,
    },
    /// The ticket was told that it opens nothing any more, at this time by Jira's clock.
    Ended(Millis),
    /// It could not be done; instead this is said.
    CommentInstead(Notice),
    /// Jira did not do it.
    Failed {
        /// Why not.
        error: jira::Error,
        /// When it was last sent, if it may have been done all the same.
        sent: Option<Millis>,
    },
    /// It is too early for it.
    Later {
        /// When to try again.
        at: Millis,
        /// What is waited for.
        why: String,
    },
    /// Jira does not show the ticket.
    Missing {
        /// Since when.
        since: Millis,
        /// When to try again.
        at: Millis,
    },
    /// The ticket was deleted, and cannot be told any more.
    Gone,
    /// Trying again does not help.
    Stuck {
        /// What is in the way.
        why: String,
    },
}

/// Why performing a command came to nothing.
pub(super) enum Failure {
    /// It is another replica's, or was done meanwhile: there is nothing to settle.
    Aborted(CycleOutcome),
    /// The database failed, so nothing can be settled. What was done in Jira meanwhile is found again.
    Store(store::Error),
    /// Jira did not do it, and what was sent before is all that it may have done.
    Jira(jira::Error),
    /// Trying again does not help.
    Stuck(String),
}

impl Failure {
    /// A row that is needed for it could not be read.
    pub(super) fn of_row(error: store::Error) -> Self {
        let is_corrupt = matches!(error, store::Error::Corrupt { .. });
        if is_corrupt { Self::Stuck(error.to_string()) } else { Self::Store(error) }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<jira::Error> for Failure {
    fn from(error: jira::Error) -> Self {
        Self::Jira(error)
    }
}
