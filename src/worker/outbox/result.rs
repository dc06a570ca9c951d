//! The results of performing commands.

use crate::{gate::Ticket, jira, millis::Millis, rollout::Notice, store, worker::context::StepOutcome};

/// The result of performing a command.
#[must_use]
pub(super) enum CommandResult {
    /// The command is done, or there is nothing to do any more.
    Done,
    /// The gate has this ticket now.
    Opened {
        /// The ticket.
        ticket: Ticket,
        /// Other tickets of the bridge that were found for the gate.
        others: Vec<Ticket>,
    },
    /// A search for duplicates of a ticket is done.
    DuplicatesSearched {
        /// The ticket that counts, if there is one.
        counts: Option<Ticket>,
        /// Those that do not count.
        found: Vec<Ticket>,
        /// When to look again, and why.
        again: Option<(Millis, String)>,
    },
    /// The comment was written that the ticket opens nothing any more, at this time by Jira's clock.
    Ended(Millis),
    /// It could not be done; the bridge writes this comment instead.
    CommentInstead(Notice),
    /// The request to Jira failed.
    Failed {
        /// The error.
        error: jira::Error,
        /// When it was last sent, if Jira may have carried it out.
        sent: Option<Millis>,
    },
    /// It is too early for the command, and nothing failed. It counts as tried, so that later commands of the gate wait for it.
    Later {
        /// When it is time.
        at: Millis,
        /// What it waits for.
        why: String,
    },
    /// No answer came to a message: the channel may have taken it.
    MaybeTaken {
        /// When to send it once more.
        at: Millis,
        /// Why there is no answer.
        why: String,
    },
    /// It failed without a request to Jira that failed.
    Retry {
        /// When to retry.
        at: Millis,
        /// Why it failed.
        why: String,
    },
    /// Jira does not show the ticket.
    Missing {
        /// When Jira did not show it for the first time.
        since: Millis,
        /// When to try again.
        at: Millis,
    },
    /// The ticket was deleted, so the command is dropped.
    Deleted,
    /// A retry does not help.
    Stuck {
        /// The cause.
        why: String,
    },
}

/// Why a command was not performed.
pub(super) enum Failure {
    /// Another replica has the command, or it was done meanwhile: there is nothing to settle.
    Aborted(StepOutcome),
    /// The database failed, so nothing can be settled. A retry finds what was already done in Jira.
    Store(store::Error),
    /// A request failed. A create had no effect then; of an update that is unknown, and repeating it is safe.
    Jira(jira::Error),
    /// A retry does not help.
    Stuck(String),
}

impl Failure {
    /// The failure if a row that the command needs could not be read.
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
