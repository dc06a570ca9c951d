//! PURE: what is known of the step of traffic that a question is about.

use crate::gate::Share;

/// What the bridge knows of the step of traffic that a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepReading {
    /// The Canary was read after the question came.
    Read(Share),
    /// The bridge does not read the cluster. What Flagger reported has to do.
    NotRead,
    /// It does, and could not.
    Unread {
        /// Why not.
        why: String,
    },
}
