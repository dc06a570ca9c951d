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
        }
    }
}
