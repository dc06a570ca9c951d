//! PURE: a rollout ends when its Canary says so, whether or not Flagger reports it.

use super::step::Step;
use crate::rollout::{
    canary::Rollout,
    canary_status::{CanarySeen, CanaryStatus},
    message::Phase,
    observed::Observed,
    progress::{End, Progress, TicketOutcome},
};

impl Step {
    /// The Canary was read. `was` is the rollout before that; if a message has changed it since, this says nothing about it.
    /// `None`: there is no such Canary.
    pub(super) fn canary_read(&mut self, was: &Rollout, status: Option<&CanaryStatus>, observed: &Observed) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        if rollout.began_at != was.began_at || rollout.progress != was.progress {
            return;
        }
        let Some(CanaryStatus { uid, phase, applied, promoted: _, failed_checks }) = status else {
            // Without having seen it, the bridge may look in the wrong cluster.
            if rollout.canary_seen.is_some() {
                self.end(End::Abandoned);
            }
            return;
        };
        let before = rollout.canary_seen.clone();
        if before.as_ref().is_some_and(|seen| seen.uid != *uid) {
            return self.end(End::Recreated);
        }
        let was_under_way = before.as_ref().is_some_and(|seen| seen.under_way);
        let under_way = was_under_way || is_under_way(*phase);
        let ran = before.as_ref().and_then(|seen| seen.applied.clone());
        // While it waits, or before its first question, the hash may still be that of the version before.
        let has_started = matches!(rollout.progress, Progress::Admitted(_) | Progress::Running(_));
        let is_running = has_started && is_analysed(*phase);
        let runs = applied.clone().filter(|_| is_running);
        // Stored once. Flagger rolls back the next time it looks, so there is hardly another count.
        let failed_before = before.as_ref().and_then(|seen| seen.failed_checks);
        let failed_checks = failed_before.or(failed_checks.filter(|_| is_running));
        let other_ran = before.is_some_and(|seen| seen.other_ran)
            || matches!((&ran, &runs), (Some(ran), Some(runs)) if ran != runs);
        rollout.canary_seen =
            Some(CanarySeen { uid: uid.clone(), under_way, applied: ran.or(runs), other_ran, failed_checks });
        let Some(how) = End::by_phase(*phase) else { return };
        match rollout.progress {
            // Flagger asks for the first time in the phase in which the previous rollout ended.
            Progress::Asked(_) => return,
            Progress::Waiting(_) | Progress::Admitted(_) if !was_under_way => return,
            // A rejection still answers the rollback question; the question that ends it, or silence, comes.
            Progress::Failing(_) if how == End::Failed => return,
            Progress::Waiting(_) | Progress::Admitted(_) | Progress::Running(_) | Progress::Failing(_) => {}
        }
        match self.other_deployed(*phase, observed) {
            Some(other) => {
                self.end_with(End::Superseded, TicketOutcome::Ended(End::Superseded), Some(&other));
            }
            None => self.end(how),
        }
    }
}

/// Whether Flagger handles the version that its hash names.
const fn is_analysed(phase: Phase) -> bool {
    match phase {
        Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising => true,
        Phase::Initializing
        | Phase::Initialized
        | Phase::Waiting
        | Phase::Succeeded
        | Phase::Failed
        | Phase::Other => false,
    }
}

/// Whether a rollout waits or runs.
const fn is_under_way(phase: Phase) -> bool {
    match phase {
        Phase::Waiting
        | Phase::Progressing
        | Phase::WaitingPromotion
        | Phase::Promoting
        | Phase::Finalising => true,
        Phase::Initializing | Phase::Initialized | Phase::Succeeded | Phase::Failed | Phase::Other => false,
    }
}
