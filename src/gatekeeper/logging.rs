//! Logs and counts everything that decided something.

use super::answer::Answer;
use crate::{
    gate::{InvalidReason, TicketState},
    metrics::Metrics,
    millis::{Millis, config_notation},
    rollout::{AuditEvent, CanaryId, End},
};

/// Logs the answer to a question. Above debug level only if the verdict changed, which is an audit event then.
pub(super) fn log_answer(id: &CanaryId, answer: &Answer, audit_events: &[AuditEvent]) {
    let stage = &answer.gate.stage;
    let gate = answer.gate.gate.as_deref();
    if !audit_events.iter().any(|audit_event| {
        matches!(audit_event, AuditEvent::AnswerChanged { .. } | AuditEvent::Passed { .. })
    }) {
        tracing::debug!(canary = %id, stage, gate, answer = answer.line, "asked again");
    } else if answer.open {
        tracing::info!(canary = %id, stage, gate, answer = answer.line, "the gate opened");
    } else {
        tracing::info!(canary = %id, stage, gate, answer = answer.line, "the gate closed again");
    }
}

/// Logs and counts an event that was committed.
pub(super) fn log_event(id: &CanaryId, audit_event: &AuditEvent, metrics: &Metrics, now: Millis) {
    match audit_event {
        AuditEvent::Began => tracing::info!(canary = %id, "a rollout began"),
        AuditEvent::GateAsked { gate } => {
            tracing::info!(canary = %id, %gate, "Flagger asks for the first time; a ticket is being opened");
        }
        AuditEvent::TicketOpened { gate, ticket } => match ticket.taken_at {
            None => tracing::info!(canary = %id, %gate, ticket = ticket.key, "opened the ticket"),
            Some(_) => {
                tracing::info!(canary = %id, %gate, ticket = ticket.key, "took the existing ticket that the question names");
            }
        },
        AuditEvent::TicketStuck { gate, why } => {
            tracing::warn!(canary = %id, %gate, why, "could not open the ticket; the bridge retries");
        }
        AuditEvent::TicketSeen { gate, ticket, ticket_state } => {
            let ticket = ticket.key.as_str();
            match ticket_state {
                TicketState::Waiting { status } => {
                    let status = status.as_ref().map(|status| status.name.as_str());
                    tracing::info!(canary = %id, %gate, ticket, status, "the ticket waits for a decision");
                }
                TicketState::Approved { decision, .. } => {
                    let (by, entry) = (decision.by(), &decision.changelog_entry.changelog_id);
                    tracing::info!(canary = %id, %gate, ticket, by, entry, "the ticket was approved");
                }
                TicketState::Rejected { decision, .. } => {
                    let (by, entry) = (decision.by(), &decision.changelog_entry.changelog_id);
                    tracing::info!(canary = %id, %gate, ticket, by, entry, "the ticket was rejected");
                }
                TicketState::NotAllowed { decision, why, .. } => {
                    let by = decision.by();
                    tracing::warn!(canary = %id, %gate, ticket, by, why, "an approval does not count; a comment on the ticket says why, and the gate stays closed");
                }
                TicketState::JudgmentPending { decision, why, .. } => {
                    let by = decision.by();
                    tracing::warn!(canary = %id, %gate, ticket, by, why, "it is not known yet whether an approval counts; the gate stays closed, and it is tried again");
                }
                TicketState::Invalid { reason } => {
                    let why = match reason {
                        InvalidReason::LabelledEnded { .. } => "labelled flagger-ended",
                        InvalidReason::MovedElsewhere { .. } => "moved elsewhere",
                        InvalidReason::NoChangelogEntry { .. } => "no changelog entry",
                        InvalidReason::Relocated { .. } => "moved between projects, types or workflows",
                        InvalidReason::Mapped { .. } => "out of a status that is not in its workflow",
                        InvalidReason::Renamed { .. } => "status renamed",
                        InvalidReason::ApprovedBefore { .. } => "approved before it was the gate's",
                        InvalidReason::Unmarked { .. } => "not the gate's own issue",
                        InvalidReason::Missing { .. } => "missing",
                    };
                    tracing::warn!(canary = %id, %gate, ticket, why, "the ticket no longer proves anything, so its gate is closed");
                }
            }
        }
        AuditEvent::Passed { gate, ticket, decision } => {
            let by = decision.by();
            tracing::info!(canary = %id, %gate, ticket = ticket.key, by, "the approval is used for the first time");
            metrics.approval_to_open(now.since(decision.since));
        }
        AuditEvent::Recorded { gate, ticket } => {
            let ticket = ticket.as_ref().map(|ticket| ticket.key.as_str());
            tracing::info!(canary = %id, %gate, ticket, "the gate opened without an approval, because approval.mode is record: nobody is asked");
        }
        // Logged with the answer.
        AuditEvent::AnswerChanged { .. } | AuditEvent::Refused { .. } => {}
        AuditEvent::Expired { gate, ticket, decision } => {
            let by = decision.by();
            tracing::info!(canary = %id, %gate, ticket = ticket.key, by, "the approval is too old to be used; a comment on the ticket says how to renew it");
        }
        AuditEvent::Frozen { gate, ticket, decision } => {
            let by = &decision.changelog_entry.by.name;
            tracing::info!(canary = %id, %gate, ticket = ticket.key, by, "the approval waits for a window of its gate or for the end of a freeze; a comment on the ticket says until when");
        }
        AuditEvent::Excepted { gate, ticket, lifted } => {
            let ticket = ticket.as_ref().map(|ticket| ticket.key.as_str());
            let (by, exception, why) = (&lifted.entry.by.name, lifted.exception.to_string(), &lifted.why);
            tracing::warn!(canary = %id, %gate, ticket, by, exception, why, "a gate opened outside of its windows or in a freeze, because somebody who may approve set what lifts that; a comment on the ticket says so");
        }
        AuditEvent::RolledBack { gate, ticket, decision } => {
            let by = decision.by();
            tracing::info!(canary = %id, %gate, ticket = ticket.key, by, "the rollback question is answered with 200");
        }
        AuditEvent::TimedOut { gate, ticket, within } => {
            let within = config_notation(*within);
            tracing::warn!(canary = %id, %gate, ticket = ticket.key, within, "nobody decided in time, so the gate is rejected; see approval.on_timeout");
            metrics.timed_out();
        }
        AuditEvent::TimeoutRolledBack { gate, ticket } => {
            tracing::info!(canary = %id, %gate, ticket = ticket.key, "the rollback question is answered with 200, because nobody decided in time");
        }
        AuditEvent::LateMove { gate, ticket } => {
            tracing::info!(canary = %id, %gate, ticket = ticket.key, "the ticket of an ended rollout was moved; that opens nothing, and a comment says so");
        }
        AuditEvent::Bypassed { gate, ticket, how } => {
            let ticket = ticket.as_ref().map(|ticket| ticket.key.as_str());
            if *how == End::Recreated {
                tracing::warn!(canary = %id, %gate, ticket, "the Canary was created again: the waiting revision runs now WITHOUT this approval");
            } else {
                tracing::warn!(canary = %id, %gate, ticket, "the rollout succeeded WITHOUT this approval; find out how it got past the gate");
            }
            metrics.bypassed();
        }
        AuditEvent::PromotedUnasked { bypass, .. } => {
            let (before, now) = (bypass.before.as_str(), bypass.now.as_str());
            let why = bypass.cause();
            tracing::warn!(canary = %id, before, now, why, "Flagger promoted a version that nobody approved, because it did not ask");
            metrics.bypassed();
        }
        AuditEvent::OtherRevision { gate, ticket, asked, started } => {
            let ticket = ticket.as_ref().map(|ticket| ticket.key.as_str());
            let (asked, started) = (asked.0.as_str(), started.0.as_str());
            tracing::warn!(canary = %id, %gate, ticket, asked, started, "Flagger started a different revision from the one that it named when it asked; a comment on the ticket says so");
        }
        AuditEvent::Unapproved { gate, ticket, shown, started } => {
            let ticket = ticket.as_ref().map(|ticket| ticket.key.as_str());
            tracing::warn!(canary = %id, %gate, ticket, shown, started, "Flagger started a different version from the one that was approved; a comment on the ticket says so");
        }
        AuditEvent::Unasked { revision, .. } => {
            let revision = revision.0.as_str();
            tracing::warn!(canary = %id, revision, "a revision shipped without a question: it was pushed while an approved one ran");
            metrics.unasked();
        }
        AuditEvent::LooksUntyped { gate } => {
            tracing::warn!(canary = %id, %gate, "confirm-rollout is asked at each check, as by a hook without a type, to which a 403 is a failed check; set type: confirm-rollout");
        }
        AuditEvent::Ended { how, gates } => {
            tracing::info!(canary = %id, how = how.as_str(), gates = gates.len(), "the rollout ended");
            metrics.rollout_ended(how.as_str());
        }
    }
}
