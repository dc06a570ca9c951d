//! The entries of the audit record: everything that decided something, with its evidence.

mod steps;

use serde_json::{Map, Value, json};

use super::answer::rollout_view;
use crate::{
    gate::{Decision, DeskRecord, Gate, GateName, GateState, InvalidReason, Lifted, Ticket, TicketState},
    millis::{self, Millis},
    policy::{ApprovalMode, Route},
    rollout::{AuditEvent, Canary},
    store::audit::AuditEntry,
    view::{GateView, Rfc3339},
};

/// The `kind` of a row for an approval that let Flagger pass for the first time.
pub(super) const PASSED: &str = "passed";
/// The `kind` of a row for a gate that was open because it asks nobody.
pub(super) const RECORDED: &str = "recorded";
/// The `kind` of a row for what a ticket shows.
pub(super) const SEEN: &str = "ticket_seen";
/// The `kind` of a row for the end of a rollout.
pub(super) const ENDED: &str = "rollout_ended";
/// The `kind` of a row for an approval that was too old when Flagger asked.
/// The kind of a row about a gate that opened outside of its windows or in a freeze.
pub(super) const EXCEPTED: &str = "excepted";
pub(super) const EXPIRED: &str = "expired";
/// The `kind` of a row for a rejection by which Flagger was told to roll back.
pub(super) const ROLLED_BACK: &str = "rolled_back";
/// The `kind` of a row for a gate that nobody decided in time.
pub(super) const TIMED_OUT: &str = "timed_out";
/// The `kind` of a row for a revision that shipped without a question.
pub(super) const UNASKED: &str = "unasked";

/// The `kind` of a row for what shipped without an approval.
pub(super) const BYPASSED: &str = "bypassed";

/// The entry for an event. `was` and `is` are the canary before and after the change; `route` returns the settings of
/// a gate, and `answer` its answer after the change.
pub(super) fn entry<'a>(
    audit_event: &AuditEvent,
    was: &Canary,
    is: &Canary,
    route: impl Fn(&GateName) -> &'a Route,
    answer: impl Fn(&GateName) -> GateView,
    now: Millis,
) -> AuditEntry {
    let deny = |gate: &GateName| is.gate(gate).map_or_else(Vec::new, |gate| is.ruled_out(gate));
    let (kind, mut detail) = match audit_event {
        AuditEvent::Began => ("rollout_began", Map::new()),
        AuditEvent::GateAsked { gate } => ("gate_asked", with_mode(at(gate), route(gate).approval.mode)),
        AuditEvent::TicketOpened { gate, ticket } => ("ticket_opened", on(gate, ticket)),
        AuditEvent::TicketStuck { gate, why } => ("ticket_stuck", with(at(gate), "why", json!(why))),
        AuditEvent::TicketSeen { gate, ticket, ticket_state } => {
            let on = with_mode(on(gate, ticket), route(gate).approval.mode);
            let seen = ticket_seen(on, ticket_state, route(gate), &deny(gate));
            (SEEN, steps::with_steps(seen, is.gate(gate)))
        }
        AuditEvent::Passed { gate, ticket, decision } => {
            (PASSED, decision_json(on(gate, ticket), decision, route(gate), &deny(gate)))
        }
        AuditEvent::Recorded { gate, ticket } => {
            let route = route(gate);
            let policy = json!({ "route": route.key, "rejected": route.ticket.rejected });
            (RECORDED, with(with_mode(on(gate, ticket.as_ref()), ApprovalMode::Record), "policy", policy))
        }
        AuditEvent::Ended { how, gates } => {
            let gates = gates.iter().map(gate_at_the_end).collect();
            let how = with(Map::new(), "how", json!(how.as_str()));
            (ENDED, with(how, "gates", Value::Array(gates)))
        }
        AuditEvent::AnswerChanged { gate } => {
            let GateView { state, reason, .. } = answer(gate);
            let changed = with(at(gate), "state", json!(state.as_str()));
            ("verdict_changed", with(changed, "reason", json!(reason)))
        }
        AuditEvent::Expired { gate, ticket, decision } => {
            (EXPIRED, decision_json(on(gate, ticket), decision, route(gate), &deny(gate)))
        }
        AuditEvent::Frozen { gate, ticket, decision } => {
            let reason = json!(answer(gate).reason);
            let frozen = with(on(gate, ticket), "reason", reason);
            ("frozen", decision_json(frozen, decision, route(gate), &deny(gate)))
        }
        AuditEvent::Excepted { gate, ticket, lifted } => {
            let Lifted { exception, entry, .. } = lifted;
            let set_by = json!({
                "exception": exception,
                "changelog_id": entry.changelog_id,
                "at": Rfc3339(entry.at),
                "by": { "id": entry.by.id, "name": entry.by.name, "app": entry.by.app },
            });
            let detail = match ticket {
                Some(ticket) => on(gate, ticket),
                None => at(gate),
            };
            (EXCEPTED, with(with(detail, "reason", json!(lifted.to_string())), "decision", set_by))
        }
        AuditEvent::RolledBack { gate, ticket, decision } => {
            (ROLLED_BACK, decision_json(on(gate, ticket), decision, route(gate), &deny(gate)))
        }
        AuditEvent::TimedOut { gate, ticket, within } => {
            let within = with(on(gate, ticket), "within_ms", json!(millis::as_millis_i64(*within)));
            (TIMED_OUT, within)
        }
        AuditEvent::TimeoutRolledBack { gate, ticket } => {
            (ROLLED_BACK, with(on(gate, ticket), "why", json!(TIMED_OUT)))
        }
        AuditEvent::Refused { gate, refusal } => ("refused", with(at(gate), "limit", json!(refusal.key()))),
        AuditEvent::LateMove { gate, ticket } => ("late_move", on(gate, ticket)),
        AuditEvent::Bypassed { gate, ticket, how } => {
            (BYPASSED, with(on(gate, ticket.as_ref()), "how", json!(how.as_str())))
        }
        AuditEvent::PromotedUnasked { bypass, .. } => {
            let images = with(with(Map::new(), "before", json!(bypass.before)), "now", json!(bypass.now));
            let how = if bypass.recreated { "recreated" } else { "promoted" };
            (BYPASSED, with(images, "how", json!(how)))
        }
        AuditEvent::OtherRevision { gate, ticket, asked, started } => {
            let asked = with(on(gate, ticket.as_ref()), "asked", json!(asked.0));
            ("other_revision", with(asked, "started", json!(started.0)))
        }
        AuditEvent::Unapproved { gate, ticket, shown, started } => {
            let shown = with(on(gate, ticket.as_ref()), "shown", json!(shown));
            ("unapproved", with(shown, "started", json!(started)))
        }
        AuditEvent::Unasked { revision, gates } => {
            let gates: Vec<_> = gates.iter().map(|gate| gate.0.as_str()).collect();
            let unasked = with(Map::new(), "revision", json!(revision.0));
            (UNASKED, with(unasked, "approved_before", json!(gates)))
        }
        AuditEvent::LooksUntyped { gate } => ("looks_untyped", at(gate)),
    };
    // One change may end a rollout and begin the next: all events except the end are about the new one.
    let rollout = match audit_event {
        AuditEvent::Ended { .. } | AuditEvent::Bypassed { .. } | AuditEvent::Unapproved { .. } => {
            was.rollout.as_ref()
        }
        AuditEvent::Began
        | AuditEvent::GateAsked { .. }
        | AuditEvent::TicketOpened { .. }
        | AuditEvent::TicketStuck { .. }
        | AuditEvent::TicketSeen { .. }
        | AuditEvent::Passed { .. }
        | AuditEvent::Recorded { .. }
        | AuditEvent::AnswerChanged { .. }
        | AuditEvent::Expired { .. }
        | AuditEvent::Frozen { .. }
        | AuditEvent::Excepted { .. }
        | AuditEvent::RolledBack { .. }
        | AuditEvent::TimedOut { .. }
        | AuditEvent::TimeoutRolledBack { .. }
        | AuditEvent::Refused { .. }
        | AuditEvent::OtherRevision { .. }
        | AuditEvent::LooksUntyped { .. } => is.rollout.as_ref(),
        // The current rollout is another one.
        AuditEvent::LateMove { .. } | AuditEvent::Unasked { .. } | AuditEvent::PromotedUnasked { .. } => None,
    };
    if let Some(rollout) = rollout {
        let view = rollout_view(rollout);
        let mut about = json!({
            "began_at": view.began_at,
            "base": view.base,
            "revision": view.revision,
            "label": view.label,
        });
        if let Some(shown) = rollout.gates.iter().find_map(|gate| gate.shows.as_ref()) {
            about["change"] = json!(shown.summary);
        }
        detail.insert("rollout".into(), about);
    }
    AuditEntry { at: now, canary: is.id.clone(), kind, detail }
}

type Detail = Map<String, Value>;

fn with(mut detail: Detail, name: &str, value: Value) -> Detail {
    detail.insert(name.into(), value);
    detail
}

/// Says that nobody was asked.
fn with_mode(detail: Detail, mode: ApprovalMode) -> Detail {
    match mode {
        ApprovalMode::Required => detail,
        ApprovalMode::Record => with(detail, "mode", json!(mode.as_str())),
    }
}

fn at(gate: &GateName) -> Detail {
    let stage = with(Map::new(), "stage", json!(gate.stage.as_str()));
    let detail = with(stage, "gate", json!(gate.approver));
    match gate.step {
        Some(step) => with(detail, "step", json!(step)),
        None => detail,
    }
}

fn on<'a>(gate: &GateName, ticket: impl Into<Option<&'a Ticket>>) -> Detail {
    with(at(gate), "ticket", ticket.into().map_or(Value::Null, ticket_json))
}

fn ticket_json(Ticket { id, key, project: _, issue_type: _, taken_at }: &Ticket) -> Value {
    match taken_at {
        None => json!({ "id": id, "key": key }),
        Some(at) => json!({ "id": id, "key": key, "taken_at": Rfc3339(*at) }),
    }
}

fn ticket_seen(detail: Detail, ticket_state: &TicketState, route: &Route, deny: &[String]) -> Detail {
    let detail = with(detail, "shows", json!(state_word(ticket_state)));
    match ticket_state {
        TicketState::Waiting { status } => with(detail, "status", json!(status)),
        TicketState::Approved { decision, .. } => decision_json(detail, decision, route, deny),
        TicketState::Rejected { decision, author, .. } => {
            decision_json(with(detail, "author", json!(author)), decision, route, deny)
        }
        TicketState::NotAllowed { decision, why, .. }
        | TicketState::JudgmentPending { decision, why, .. } => {
            decision_json(with(detail, "why", json!(why)), decision, route, deny)
        }
        TicketState::Invalid {
            reason:
                InvalidReason::LabelledEnded { status }
                | InvalidReason::NoChangelogEntry { status }
                | InvalidReason::Renamed { status }
                | InvalidReason::ApprovedBefore { status },
        } => with(detail, "status", json!(status)),
        TicketState::Invalid {
            reason: InvalidReason::Relocated { status, entry } | InvalidReason::Mapped { status, entry },
        } => with(with(detail, "status", json!(status)), "changelog_id", json!(entry)),
        TicketState::Invalid { reason: InvalidReason::Unmarked { .. } } => detail,
        TicketState::Invalid { reason: InvalidReason::MovedElsewhere { project } } => {
            with(detail, "project", json!(project))
        }
        TicketState::Invalid { reason: InvalidReason::Missing { confirmed, since } } => {
            let since = since.map(Rfc3339);
            with(with(detail, "confirmed", json!(confirmed)), "since", json!(since))
        }
    }
}

const fn state_word(ticket_state: &TicketState) -> &'static str {
    match ticket_state {
        TicketState::Waiting { .. } => "waiting",
        TicketState::Approved { .. } => "approved",
        TicketState::Rejected { .. } => "rejected",
        TicketState::NotAllowed { .. } => "not_allowed",
        TicketState::JudgmentPending { .. } => "unjudged",
        TicketState::Invalid { reason: InvalidReason::LabelledEnded { .. } } => "labelled_ended",
        TicketState::Invalid { reason: InvalidReason::NoChangelogEntry { .. } } => "no_changelog_entry",
        TicketState::Invalid { reason: InvalidReason::MovedElsewhere { .. } } => "moved_elsewhere",
        TicketState::Invalid { reason: InvalidReason::Relocated { .. } } => "relocated",
        TicketState::Invalid { reason: InvalidReason::Mapped { .. } } => "mapped",
        TicketState::Invalid { reason: InvalidReason::Renamed { .. } } => "renamed",
        TicketState::Invalid { reason: InvalidReason::ApprovedBefore { .. } } => "approved_before",
        TicketState::Invalid { reason: InvalidReason::Unmarked { .. } } => "unmarked",
        TicketState::Invalid { reason: InvalidReason::Missing { .. } } => "missing",
    }
}

/// A decision, and the policy that was in force.
fn decision_json(
    detail: Detail,
    Decision { changelog_entry: entry, since: _, steps, approval }: &Decision,
    route: &Route,
    deny: &[String],
) -> Detail {
    let mut decision = json!({
        "changelog_id": entry.changelog_id,
        "at": Rfc3339(entry.at),
        "by": { "id": entry.by.id, "name": entry.by.name, "app": entry.by.app },
        "from": entry.from,
        "status": { "id": entry.to.id, "name": entry.to.name },
    });
    if let Some(DeskRecord { id, at, by, asked }) = approval {
        let by: Vec<_> = by.iter().map(|one| json!({ "id": one.id, "name": one.name })).collect();
        decision["approval"] = json!({ "id": id, "at": Rfc3339(*at), "by": by, "asked": asked });
    }
    let mut policy = json!({
        "route": route.key,
        "approved": route.ticket.approved,
        "rejected": route.ticket.rejected,
        "approvers": route.approval.approvers,
        "deny": deny,
        "valid_for_ms": millis::as_millis_i64(route.approval.valid_for),
    });
    if !steps.is_empty() {
        decision["steps"] = steps.iter().map(steps::move_json).collect();
    }
    if !route.approval.steps.is_empty() {
        policy["steps"] = json!(route.approval.steps);
    }
    with(with(detail, "decision", decision), "policy", policy)
}

fn gate_at_the_end(gate: &Gate) -> Value {
    let detail = with(at(&gate.name), "used_at", json!(gate.used.map(|used| Rfc3339(used.at))));
    let mode = if gate.is_recorded() { ApprovalMode::Record } else { ApprovalMode::Required };
    let detail = with_mode(detail, mode);
    let (ticket, shows) = match &gate.state {
        GateState::Opening => (Value::Null, "opening"),
        GateState::Stuck { .. } => (Value::Null, "stuck"),
        GateState::Watched { ticket, ticket_state, .. } => (ticket_json(ticket), state_word(ticket_state)),
    };
    Value::Object(with(with(detail, "ticket", ticket), "shows", json!(shows)))
}
