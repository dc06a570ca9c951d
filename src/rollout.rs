//! PURE: where a rollout begins and ends, and what each message means for it.
//!
//! [`Canary::apply`] is the entry point: an [`Event`] and the time go in, a [`Change`] comes out. The table of which
//! message begins, moves or ends a rollout is in `transitions`; everything else an event does is in `apply`.

mod analysis;
mod apply;
mod canary;
mod canary_event;
mod canary_status;
mod change;
mod command;
mod event;
mod failure;
mod limits;
mod message;
mod notice;
mod notification;
mod notify;
mod observed;
mod obstacle;
mod progress;
mod promotion;
mod publish;
mod revisions;
mod step_reading;
mod subject;
#[cfg(test)]
mod tests;
mod transitions;

pub use self::{
    analysis::{Analysis, SeenAnalysis, next_share},
    canary::{Canary, Denials, MOST_DENIALS, Rollout, Start},
    canary_event::{CanaryEvent, NotCounted},
    canary_status::{CanarySeen, CanaryStatus},
    change::{AuditEvent, Change},
    command::{Command, Taking},
    event::{Event, HoursNow, HoursOf, Rules, TOLD_AFTER},
    failure::{FailedChecks, FailureCause, Rollback},
    limits::{Budget, Headroom, TicketLimit},
    message::{CanaryId, Label, Message, Phase, Report, Revision},
    notice::{Notice, OtherTarget},
    notification::{Notification, Turn},
    notify::{is_still_true, notifications},
    observed::{Observed, Reading},
    obstacle::Obstacle,
    progress::{Base, End, FurthestPhase, Progress, Run, TicketOutcome, WaitStart},
    promotion::{Bypass, Promotion},
    publish::publish,
    revisions::{RevisionLabel, SupersededRevision, UnaskedRevision},
    step_reading::StepReading,
    subject::{EarlierApproval, Subject},
};
