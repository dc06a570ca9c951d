//! PURE: an approval is for what its ticket shows.

use super::step::Step;
use crate::{
    gate::{Gate, GateName, Stage},
    millis::Millis,
    rollout::{
        canary::{Canary, Rollout, Start},
        canary_status::CanarySeen,
        change::AuditEvent,
        message::Phase,
        notice::OtherTarget,
        observed::{Observed, Reading},
        progress::{End, Progress, TicketOutcome},
        transitions::Signal,
    },
    workload::{Change, Divergence, Shows, content_of},
};

impl Canary {
    /// What a question at this gate, or another message, has to be compared with: read after it arrived, not as a watch
    /// showed it some time before. `None`: there is no need.
    #[must_use]
    pub fn reading(&self, gate: Option<&GateName>, watched: Option<&Change>) -> Option<Reading> {
        let rollout = self.rollout.as_ref();
        let is_unverified = rollout.is_some_and(|rollout| rollout.start == Start::Unverified);
        let covers_configs = rollout.is_some_and(|rollout| rollout.gates.iter().any(covers_configs));
        let of_start = match (is_unverified, covers_configs) {
            // It opens nothing: if the ConfigMaps may not be read any more, the template is compared all the same.
            (true, true) => Some(Reading::ConfigsIfAllowed),
            (true, false) => Some(Reading::Target),
            (false, _) => None,
        };
        let Some(name) = gate else { return of_start };
        let known = self.gate(name);
        if name.stage != Stage::ConfirmRollout {
            return of_start.max(needs_later_reading(known, watched).then_some(Reading::Target));
        }
        // The watches show no ConfigMaps, so it is the template that differs.
        let is_pushed =
            known.is_some_and(|known| watched.is_some_and(|change| !shows_template(known, change)));
        let may_answer_open = is_unverified || known.is_some_and(|known| known.approval().is_some());
        if is_pushed || (known.is_none() && !covers_configs) {
            // For the ticket of what was pushed. That the other one is over, the template proves.
            Some(Reading::ConfigsIfAllowed)
        } else if known.is_some() && !may_answer_open {
            None
        } else if covers_configs {
            Some(Reading::Configs)
        } else {
            Some(Reading::Target)
        }
    }
}

/// Whether what is deployed has to be read for a question after confirm-rollout. A ticket that shows nothing is for the
/// revision that its questions name.
fn needs_later_reading(known: Option<&Gate>, watched: Option<&Change>) -> bool {
    let Some(known) = known else { return true };
    let is_other = watched.is_none_or(|change| !shows_template(known, change));
    known.shows.is_some() && (known.approval().is_some() || is_other)
}

/// Whether an approval of the ticket is also for the content of ConfigMaps.
fn covers_configs(gate: &Gate) -> bool {
    gate.name.stage == Stage::ConfirmRollout
        && gate.shows.as_ref().is_some_and(|shows| shows.configs.is_some())
}

/// Whether the ticket of a gate shows this pod template.
fn shows_template(gate: &Gate, change: &Change) -> bool {
    divergence(gate, change) != Some(Divergence::Template)
}

/// What this change differs in from what the ticket of a gate shows.
fn divergence(gate: &Gate, change: &Change) -> Option<Divergence> {
    match &gate.shows {
        Some(shows) => shows.divergence(change),
        None => Some(Divergence::Template),
    }
}

/// What is different if a ticket of confirm-rollout does not show what would start, and how far the next rollout is.
fn changed_before_start(rollout: &Rollout, change: &Change) -> Option<(Progress, OtherTarget)> {
    let progress = match &rollout.progress {
        Progress::Asked(base) => Progress::Asked(base.clone()),
        // Flagger asks again although it was answered, so it has not started anything.
        Progress::Waiting(base) | Progress::Admitted(base) => Progress::Waiting(base.clone()),
        Progress::Running(_) | Progress::Failing(_) => return None,
    };
    let mut confirmed = rollout.gates.iter().filter(|gate| gate.name.stage == Stage::ConfirmRollout);
    let differs =
        |gate| divergence(gate, change).or(is_taken_back(gate, change).then_some(Divergence::Template));
    let (outdated, how) = confirmed.find_map(|gate| Some((gate, differs(gate)?)))?;
    let other = match (how, summary(outdated)) {
        (Divergence::Configs(names), _) => OtherTarget::ConfigsChanged { names },
        (Divergence::Template, Some(shown)) if change.is_empty() => OtherTarget::TakenBack { shown },
        (Divergence::Template, shown) => OtherTarget::Pushed { shown, now: change.summary() },
    };
    Some((progress, other))
}

/// The same for the ticket of a later gate. A rollout that was rejected stays, so that it is rolled back.
fn changed_since_start(
    rollout: &Rollout,
    name: &GateName,
    change: &Change,
) -> Option<(Progress, OtherTarget)> {
    let Progress::Running(run) = &rollout.progress else { return None };
    if rollout.gates.iter().any(Gate::is_rejected) {
        return None;
    }
    let asked = rollout.gates.iter().find(|gate| gate.name == *name && !shows_template(gate, change))?;
    let other = OtherTarget::Deployed { shown: summary(asked)?, now: change.summary() };
    Some((Progress::Running(run.clone()), other))
}

/// Whether the ticket shows a change, and what it shows runs already: it was shipped by another attempt, and what was
/// pushed since was taken back.
fn is_taken_back(gate: &Gate, change: &Change) -> bool {
    change.is_empty() && summary(gate).is_some_and(|shown| shown != change.summary())
}

fn summary(gate: &Gate) -> Option<String> {
    gate.shows.as_ref().map(|shows| shows.summary.clone())
}

impl Step {
    /// Ends a rollout if a ticket of the stage that is asked about does not show what would start now, or what Flagger
    /// would go on with. Another rollout takes its place.
    pub(super) fn supersede_changed_target(&mut self, name: &GateName, observed: &Observed) {
        let (Some(change), Some(rollout)) = (observed.proven(), &self.canary.rollout) else { return };
        let changed = match name.stage {
            Stage::ConfirmRollout => changed_before_start(rollout, change),
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => {
                changed_since_start(rollout, name, change)
            }
        };
        let Some((progress, other)) = changed else { return };
        let next = successor(rollout, self.now, progress);
        self.end_with(End::Superseded, TicketOutcome::Ended(End::Superseded), Some(&other));
        self.canary.rollout = Some(next);
    }

    /// If something else runs than the ticket of confirm-rollout shows: ends the rollout, and another one runs in its
    /// place, which nobody approved. A rollout that was rejected stays, so that it is rolled back.
    pub(super) fn supersede_started(&mut self, signal: Signal, phase: Phase, observed: &Observed) {
        if let Some(other) = self.other_started(signal, phase, observed) {
            self.supersede_unapproved(&other);
        }
    }

    /// The same after the Canary was read during the analysis, which may be before any message.
    pub(super) fn supersede_analysed(&mut self, phase: Phase, observed: &Observed) {
        match phase {
            Phase::Progressing | Phase::WaitingPromotion => {
                if let Some(other) = self.other_deployed(phase, observed) {
                    self.supersede_unapproved(&other);
                }
            }
            // Nothing has started, or what is deployed may already be the next version.
            Phase::Initializing
            | Phase::Initialized
            | Phase::Waiting
            | Phase::Promoting
            | Phase::Finalising
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Other => {}
        }
    }

    fn supersede_unapproved(&mut self, other: &OtherTarget) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        rollout.start = Start::Unapproved;
        if rollout.gates.iter().any(Gate::is_rejected) {
            return;
        }
        let next = successor(rollout, self.now, rollout.progress.clone());
        self.end_with(End::Superseded, TicketOutcome::Ended(End::Superseded), Some(other));
        self.canary.rollout = Some(next);
    }

    /// Compares what is deployed with what the ticket of confirm-rollout shows, once after it was answered open: with
    /// the first message that is not another question at confirm-rollout. Records it if that is something else.
    pub(super) fn other_started(
        &mut self,
        signal: Signal,
        phase: Phase,
        observed: &Observed,
    ) -> Option<OtherTarget> {
        match signal {
            Signal::ConfirmRollout { .. } => None,
            Signal::OtherGate { .. } | Signal::Rollback | Signal::PostRollout | Signal::Event => {
                self.other_deployed(phase, observed)
            }
        }
    }

    /// The same, whatever the occasion. After a success it may also be what was promoted: what is deployed then may
    /// already be the next version.
    pub(super) fn other_deployed(&mut self, phase: Phase, observed: &Observed) -> Option<OtherTarget> {
        let (change, rollout) = (observed.proven()?, self.canary.rollout.as_mut()?);
        if rollout.start != Start::Unverified {
            return None;
        }
        rollout.start = Start::Settled;
        let used = |gate: &&Gate| gate.name.stage == Stage::ConfirmRollout && gate.is_approval_used();
        let was_promoted = |gate: &Gate| {
            let shown = gate.shows.as_ref().map(|shows| &shows.digest);
            phase == Phase::Succeeded && shown.is_some() && shown == change.running.as_ref()
        };
        let approved = rollout.gates.iter().find(used).filter(|gate| !was_promoted(gate))?;
        let (shown, now) = (summary(approved), change.summary());
        let (started, other) = match divergence(approved, change)? {
            // They cannot be read any more: that is no proof that something else started.
            Divergence::Configs(_) if change.configs.is_none() => return None,
            Divergence::Configs(names) => (
                format!("{now}, with other content than approved: {}", content_of(&names)),
                OtherTarget::ConfigsStarted { names },
            ),
            Divergence::Template => (now.clone(), OtherTarget::Started { shown: shown.clone(), now }),
        };
        let (gate, ticket) = (approved.name.clone(), approved.ticket().cloned());
        self.audit_events.push(AuditEvent::Unapproved { gate, ticket, shown, started });
        Some(other)
    }
}

/// The rollout that takes the place of another, in the same wait or analysis of Flagger: it keeps what holds for that.
fn successor(rollout: &Rollout, now: Millis, progress: Progress) -> Rollout {
    Rollout {
        wait_start: rollout.wait_start,
        denied: rollout.denied.clone(),
        rollback_asked: rollout.rollback_asked,
        looks_untyped: rollout.looks_untyped,
        canary_seen: (rollout.canary_seen.clone()).map(|seen| CanarySeen {
            applied: None,
            other_ran: false,
            failed_checks: None,
            ..seen
        }),
        start: match rollout.start {
            // What started, if something did, is not this.
            Start::Settled | Start::Unverified => Start::Settled,
            Start::Unapproved => Start::Unapproved,
        },
        ..Rollout::new(now, rollout.label.clone(), progress)
    }
}

/// What the ticket of a new gate shows, to be stored with it.
pub(super) fn shown_by(observed: &Observed) -> Option<Shows> {
    observed.shown().and_then(crate::workload::Shown::shows)
}
