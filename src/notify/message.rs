//! PURE: a message.

use crate::rollout::{CanaryId, Notification};

/// What is to be said, and about what.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Identifies it, so that a receiver can recognize one that comes twice.
    pub id: &'a str,
    /// The canary.
    pub canary: &'a CanaryId,
    /// What happened.
    pub about: &'a Notification,
    /// The address of its ticket, if it has one.
    pub link: Option<&'a str>,
}

impl Message<'_> {
    /// The key of its ticket, and where it leads.
    pub(super) fn ticket(&self) -> Option<(&str, &str)> {
        self.about.ticket.as_deref().zip(self.link)
    }
}
