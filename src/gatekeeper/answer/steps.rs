//! The steps of an approval, in words and as an object.

use crate::{
    gate::{ApprovalStep, Decision, Gate, GateState, Move, StepState, TicketState},
    millis::clock_time,
    view::{Rfc3339, StepView},
};

/// The steps of a gate's approval, as the API shows them.
pub(super) fn views(gate: &Gate) -> Vec<StepView> {
    let view = |step: &ApprovalStep| {
        let (done, why) = match &step.state {
            StepState::Missing => (None, None),
            StepState::Done { entry } => (Some(entry), None),
            StepState::NotCounted { entry, why } | StepState::JudgmentPending { entry, why } => {
                (Some(entry), Some(why.clone()))
            }
        };
        StepView {
            status: step.status.name.clone(),
            by: done.map(|entry| entry.by.name.clone()),
            at: done.map(|entry| Rfc3339(entry.at)),
            why,
        }
    };
    gate.steps.iter().map(view).collect()
}

/// The first step that is not done while a decision is awaited, and its number from 1.
pub(super) fn next(gate: &Gate) -> Option<(usize, &ApprovalStep)> {
    let GateState::Watched { ticket_state, .. } = &gate.state else { return None };
    let waits = match ticket_state {
        TicketState::Waiting { .. }
        | TicketState::NotAllowed { .. }
        | TicketState::JudgmentPending { .. } => true,
        TicketState::Approved { .. } | TicketState::Rejected { .. } | TicketState::Invalid { .. } => false,
    };
    (1..).zip(&gate.steps).find(|(_, step)| waits && !step.is_done())
}

/// Added to the reason of a gate that waits: who made which step, and what is next. Nothing without steps.
pub(super) fn progress(gate: &Gate) -> String {
    let Some((nth, step)) = next(gate) else { return String::new() };
    let (count, status) = (gate.steps.len(), &step.status.name);
    let done: Vec<&Move> =
        gate.steps.iter().take_while(|step| step.is_done()).filter_map(ApprovalStep::entry).collect();
    let done = match done.as_slice() {
        [] => String::new(),
        done => format!("; {}", made(done)),
    };
    let next = match &step.state {
        StepState::Missing if nth == 1 => format!("; next is step 1 of {count}: {status:?}"),
        StepState::Missing => format!("; next is step {nth} of {count}: {status:?}, by another person"),
        StepState::NotCounted { entry, why } => {
            format!("; step {nth} of {count}, {}, does not count: {why}", made(&[entry]))
        }
        StepState::JudgmentPending { entry, why } => {
            format!("; it is not known yet whether step {nth} of {count} counts, {}: {why}", made(&[entry]))
        }
        StepState::Done { .. } => String::new(),
    };
    format!("{done}{next}")
}

/// Added to the words of an approval: who made the steps before it. Nothing without steps.
pub(super) fn before(decision: &Decision) -> String {
    match decision.steps.as_slice() {
        [] => String::new(),
        steps => format!(", after {}", made(&steps.iter().collect::<Vec<_>>())),
    }
}

/// Who made these steps: `"Reviewed" by Mia at 2026-09-21T14:13:20Z`.
fn made(entries: &[&Move]) -> String {
    let one = |entry: &&Move| format!("{:?} by {} at {}", entry.to.name, entry.by.name, clock_time(entry.at));
    entries.iter().map(one).collect::<Vec<_>>().join(", ")
}
