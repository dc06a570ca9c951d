//! PURE: the words of the Kubernetes Events that name a ticket.

use crate::{
    gate::GateName,
    rollout::{Bypass, CanaryEvent, NotCounted},
    text::one_line,
};

/// The longest quoted name, and the longest quoted reason, in characters.
const LONGEST: usize = 200;

/// What an Event says, in a sentence. `link` makes the address of a ticket of its key.
#[must_use]
pub fn event_note(event: &CanaryEvent, gate: Option<&GateName>, link: impl Fn(&str) -> String) -> String {
    let gate = gate.map(ToString::to_string).unwrap_or_default();
    match event {
        CanaryEvent::ApprovalRequested { ticket } => {
            format!("{gate} is waiting for the approval of {ticket}: {}", link(ticket))
        }
        CanaryEvent::Recorded { ticket } => {
            format!("{gate} asks nobody. {ticket} records this rollout: {}", link(ticket))
        }
        CanaryEvent::Approved { ticket, by, .. } => {
            format!("{} approved {ticket} for {gate}: {}", one_line(by, LONGEST), link(ticket))
        }
        CanaryEvent::Rejected { ticket, by, .. } => {
            format!("{} rejected {ticket} for {gate}: {}", one_line(by, LONGEST), link(ticket))
        }
        CanaryEvent::NotDecided { ticket } => {
            format!("Nobody decided {ticket} for {gate} in time, so it is rejected: {}", link(ticket))
        }
        CanaryEvent::ApprovalNotCounted { ticket, why, .. } => {
            let why = match why {
                NotCounted::Author { why } => one_line(why, LONGEST),
                NotCounted::NoTransition => {
                    "the ticket got its status by a move between projects, issue types or workflows".into()
                }
                NotCounted::Renamed => {
                    "its status did not mean approved when the ticket was opened, or no longer does".into()
                }
                NotCounted::TooEarly => "it was given before the ticket was one of this rollout".into(),
            };
            format!("The approval of {ticket} for {gate} does not count: {why}. {}", link(ticket))
        }
        CanaryEvent::ApprovalExpired { ticket, .. } => format!(
            "The approval of {ticket} for {gate} expired before Flagger asked. Approve it again: {}",
            link(ticket)
        ),
        CanaryEvent::ShippedWithoutApproval { ticket: Some(ticket) } => {
            format!("A version is running although {ticket} did not open {gate}: {}", link(ticket))
        }
        CanaryEvent::ShippedWithoutApproval { ticket: None } => {
            format!("A version is running although {gate} was never opened. It had no ticket")
        }
        CanaryEvent::StartedUnapproved { ticket: Some(ticket) } => {
            format!("Flagger started a different version from the one approved on {ticket}: {}", link(ticket))
        }
        CanaryEvent::StartedUnapproved { ticket: None } => {
            format!("Flagger started a different version from the one approved at {gate}")
        }
        CanaryEvent::PromotedUnasked { bypass } => {
            format!("A version that nobody approved was promoted: {}; {}", bypass.cause(), ran(bypass))
        }
    }
}

/// What ran before and runs now, as far as known.
fn ran(Bypass { before, now, .. }: &Bypass) -> String {
    let known =
        |images: &str| if images.is_empty() { "unknown".to_owned() } else { one_line(images, LONGEST) };
    format!("before: {}; now: {}", known(before), known(now))
}
