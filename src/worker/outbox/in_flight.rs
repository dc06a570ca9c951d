//! PURE: the commands in progress.

use std::collections::HashMap;

use crate::{gate::GateId, rollout::Command, store::OutboxRow};

/// The gates of the commands in progress, each with what the command does.
#[derive(Clone, Default)]
pub(super) struct InFlight(pub(super) HashMap<GateId, Work>);

impl InFlight {
    pub(super) fn take(&mut self, row: &OutboxRow) {
        self.0.insert(row.command.gate().clone(), Work::of(&row.command));
    }

    /// How many of them are not messages to channels.
    pub(super) fn in_jira(&self) -> usize {
        self.0.len().saturating_sub(self.count(Work::Notify))
    }

    pub(super) fn count(&self, work: Work) -> usize {
        self.0.values().filter(|other| **other == work).count()
    }
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Opens a ticket.
    Open,
    /// Something else in Jira.
    Update,
    /// Publishes a Kubernetes Event.
    Publish,
    /// Sends a message to a channel.
    Notify,
}

impl Work {
    pub(super) const fn of(command: &Command) -> Self {
        match command {
            Command::Open { .. } => Self::Open,
            Command::FindDuplicates { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Move { .. }
            | Command::Link { .. } => Self::Update,
            Command::Publish { .. } => Self::Publish,
            Command::Notify { .. } => Self::Notify,
        }
    }
}
