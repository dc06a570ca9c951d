//! PURE: the table of a rollout's edges (rule R3 of the design).
//!
//! A message meets a rollout and moves it on, ends it, or is ignored; where there is none, it begins one or does
//! not. What each message really says is in Flagger's own code, not in its documentation: the phase of an event is
//! often that of the tick before, confirm-rollout carries the *outgoing* checksum unless the rollout before it
//! failed, and the gates after it always say `Progressing`.

use std::time::Duration;

use super::{
    canary::Rollout,
    message::{Message, Phase, Revision},
    progress::{Base, End, FurthestPhase, Progress, Run},
};

/// Which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// A question at confirm-rollout.
    ConfirmRollout {
        /// Whether this very gate was answered open before.
        used: bool,
    },
    /// A question at another gate.
    OtherGate {
        /// If the gate was answered open before: after more silence than this it is not the same rollout.
        patience: Option<Duration>,
    },
    /// The question whether to roll back.
    Rollback,
    /// The post-rollout hook.
    PostRollout,
    /// The event hook.
    Event,
}

/// What a message does to the rollout that lives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// It belongs to the rollout and changes nothing of its course.
    Stays,
    /// It belongs to the rollout and moves it on.
    Moves(Progress),
    /// It is stale, late, or says nothing.
    Ignored,
    /// The rollout is over. The message is then read as if there had been none.
    Ends(End),
}

/// The course of the rollout that this message begins, where none lives.
pub(super) fn begins(signal: Signal, message: &Message) -> Option<Progress> {
    match signal {
        Signal::ConfirmRollout { .. } => {
            let base = base(message);
            Some(if message.phase == Phase::Waiting {
                Progress::Waiting(base)
            } else {
                Progress::Asked(base)
            })
        }
        Signal::OtherGate { .. } | Signal::Rollback => {
            Some(Progress::Running(new_run(None, message.checksum.clone(), message.phase)))
        }
        Signal::PostRollout | Signal::Event => None,
    }
}

/// What this message does to `rollout`.
pub(super) fn between(
    rollout: &Rollout,
    signal: Signal,
    message: &Message,
    silent_for: Duration,
) -> Transition {
    let label_changed =
        matches!((&rollout.label, &message.label), (Some(known), Some(named)) if known != named);
    if label_changed {
        return Transition::Ends(end_of(&rollout.progress));
    }
    // Which revision the gates were opened for nobody said; so whoever names one now may mean another.
    let is_named_late = message.checksum.is_some() && rollout.is_blind();
    match signal {
        Signal::ConfirmRollout { .. } | Signal::OtherGate { .. } | Signal::Rollback if is_named_late => {
            Transition::Ends(end_of(&rollout.progress))
        }
        Signal::ConfirmRollout { used } => confirm_rollout(&rollout.progress, message, used),
        Signal::OtherGate { patience } => {
            let patience_is_over = patience.is_some_and(|patience| silent_for > patience);
            match &rollout.progress {
                Progress::Running(_) if patience_is_over => Transition::Ends(End::Superseded),
                // A gate question after the report of a failure is about the next attempt.
                Progress::Failing(_) => Transition::Ends(End::Failed),
                Progress::Asked(_) | Progress::Waiting(_) | Progress::Admitted(_) | Progress::Running(_) => {
                    question(&rollout.progress, message)
                }
            }
        }
        Signal::Rollback => match &rollout.progress {
            // Within one attempt the phase never goes back from WaitingPromotion.
            Progress::Running(Run { furthest_phase: FurthestPhase::WaitingPromotion, .. })
            | Progress::Failing(Run { furthest_phase: FurthestPhase::WaitingPromotion, .. })
                if message.phase == Phase::Progressing =>
            {
                Transition::Ends(end_of(&rollout.progress))
            }
            Progress::Asked(_)
            | Progress::Waiting(_)
            | Progress::Admitted(_)
            | Progress::Running(_)
            | Progress::Failing(_) => question(&rollout.progress, message),
        },
        Signal::PostRollout => match message.phase {
            Phase::Succeeded => post_rollout(&rollout.progress, message, End::Succeeded),
            Phase::Failed => post_rollout(&rollout.progress, message, End::Failed),
            Phase::Initializing
            | Phase::Initialized
            | Phase::Waiting
            | Phase::Progressing
            | Phase::WaitingPromotion
            | Phase::Promoting
            | Phase::Finalising
            | Phase::Other => Transition::Ignored,
        },
        Signal::Event if is_named_late && is_on_the_way(message.phase) => {
            Transition::Ends(end_of(&rollout.progress))
        }
        Signal::Event => event(rollout, message),
    }
}

const fn is_on_the_way(phase: Phase) -> bool {
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

/// What the checksum of a question at confirm-rollout means.
fn base(message: &Message) -> Base {
    match message.phase {
        Phase::Failed => Base::AfterFailure(message.checksum.clone()),
        Phase::Progressing => Base::Incoming(message.checksum.clone()),
        Phase::Initializing
        | Phase::Initialized
        | Phase::Waiting
        | Phase::WaitingPromotion
        | Phase::Promoting
        | Phase::Finalising
        | Phase::Succeeded
        | Phase::Other => Base::Outgoing(message.checksum.clone()),
    }
}

fn confirm_rollout(progress: &Progress, message: &Message, used: bool) -> Transition {
    let names_the_new = message.phase == Phase::Progressing;
    let waits = message.phase == Phase::Waiting;
    let again = |base: &Base| match base {
        Base::Incoming(_) => waits || names_the_new,
        Base::Outgoing(_) | Base::AfterFailure(_) => waits,
    };
    // Both forms in turn are two rollouts: what one names the other does not.
    let fits = |base: &Base| !names_the_new || matches!(base, Base::Incoming(_));
    let after = match progress {
        Progress::Asked(base) if fits(base) && may_be(base.revision(), message) => {
            let base = with_revision(base, message);
            if waits { Progress::Waiting(base) } else { Progress::Asked(base) }
        }
        Progress::Waiting(base) if again(base) && may_be(base.revision(), message) => {
            Progress::Waiting(with_revision(base, message))
        }
        Progress::Admitted(base) if again(base) && may_be(base.revision(), message) => {
            Progress::Admitted(with_revision(base, message))
        }
        // Its end was not heard, and whoever waits now would replace it.
        Progress::Running(run)
            if message.phase == Phase::Succeeded && is_certainly(run.revision.as_ref(), message) =>
        {
            return Transition::Ends(End::Succeeded);
        }
        // A hook without a type is called while the revision runs. Where the gate was opened already this may as well be
        // another try, whose beginning names the revision, too.
        Progress::Running(run) if names_the_new && !used && is_certainly(run.revision.as_ref(), message) => {
            return continue_rollout(progress, message);
        }
        Progress::Asked(_)
        | Progress::Waiting(_)
        | Progress::Admitted(_)
        | Progress::Running(_)
        | Progress::Failing(_) => return Transition::Ends(end_of(progress)),
    };
    if after == *progress { Transition::Stays } else { Transition::Moves(after) }
}

/// The base with the checksum of this message, if none came before: from then on another one is another rollout's.
fn with_revision(base: &Base, message: &Message) -> Base {
    let revision = base.revision().or(message.checksum.as_ref()).cloned();
    match base {
        Base::Outgoing(_) => Base::Outgoing(revision),
        Base::AfterFailure(_) => Base::AfterFailure(revision),
        Base::Incoming(_) => Base::Incoming(revision),
    }
}

/// A question that carries the checksum of the revision itself.
fn question(progress: &Progress, message: &Message) -> Transition {
    match progress {
        // Asked before the rollout that is being confirmed now: too late to matter.
        Progress::Asked(Base::Outgoing(base)) | Progress::Waiting(Base::Outgoing(base))
            if is_certainly(base.as_ref(), message) =>
        {
            Transition::Ignored
        }
        Progress::Asked(Base::Incoming(named)) | Progress::Waiting(Base::Incoming(named))
            if !may_be(named.as_ref(), message) =>
        {
            Transition::Ignored
        }
        // What was let start is the revision that was named.
        Progress::Admitted(Base::Incoming(named)) if !may_be(named.as_ref(), message) => {
            Transition::Ends(end_of(progress))
        }
        Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base) => Transition::Moves(
            Progress::Running(new_run(Some(base.clone()), message.checksum.clone(), message.phase)),
        ),
        Progress::Running(run) | Progress::Failing(run) if !may_be(run.revision.as_ref(), message) => {
            Transition::Ends(end_of(progress))
        }
        Progress::Running(_) | Progress::Failing(_) => continue_rollout(progress, message),
    }
}

fn post_rollout(progress: &Progress, message: &Message, how: End) -> Transition {
    match progress {
        // Flagger gives up while it waits, for instance on a primary that died.
        Progress::Asked(base) | Progress::Waiting(base)
            if how == End::Failed && may_be(base.revision(), message) =>
        {
            Transition::Ends(End::Failed)
        }
        Progress::Asked(_) | Progress::Waiting(_) => Transition::Ignored,
        Progress::Admitted(Base::Incoming(named)) if !may_be(named.as_ref(), message) => {
            Transition::Ends(End::Superseded)
        }
        Progress::Admitted(_) => Transition::Ends(how),
        Progress::Failing(_) => Transition::Ends(End::Failed),
        Progress::Running(run) if may_be(run.revision.as_ref(), message) => Transition::Ends(how),
        Progress::Running(_) => Transition::Ends(End::Superseded),
    }
}

fn event(rollout: &Rollout, message: &Message) -> Transition {
    match message.phase {
        Phase::Succeeded => event_of_the_end(rollout, message, End::Succeeded),
        Phase::Failed => event_of_the_end(rollout, message, End::Failed),
        Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising => {
            event_on_the_way(&rollout.progress, message)
        }
        // A Canary that is set up was deleted and created anew: whatever it did is over. The questions of the next rollout
        // would look the same as those of this one.
        Phase::Initializing => Transition::Ends(End::Recreated),
        Phase::Initialized => event_of_a_new_canary(&rollout.progress, message),
        Phase::Waiting | Phase::Other => Transition::Ignored,
    }
}

/// Nothing leads back to `Initialized` but a Canary that is created anew. Only what Flagger says before and while it asks for
/// the first time has that phase too, with the checksum that the question has.
fn event_of_a_new_canary(progress: &Progress, message: &Message) -> Transition {
    let base = match progress {
        Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base) => Some(base),
        Progress::Running(run) | Progress::Failing(run) => run.base.as_ref(),
    };
    match base {
        Some(Base::Outgoing(base) | Base::AfterFailure(base)) if may_be(base.as_ref(), message) => {
            Transition::Ignored
        }
        Some(Base::Outgoing(_) | Base::AfterFailure(_)) => Transition::Ends(End::Recreated),
        // With which checksum the first question's words came is not known.
        Some(Base::Incoming(_)) | None => match progress {
            Progress::Running(_) | Progress::Failing(_) => Transition::Ends(End::Recreated),
            Progress::Asked(_) | Progress::Waiting(_) | Progress::Admitted(_) => Transition::Ignored,
        },
    }
}

fn event_of_the_end(rollout: &Rollout, message: &Message, how: End) -> Transition {
    match &rollout.progress {
        // The phase of the rollout before: confirm-rollout's own "Halt" event carries it.
        Progress::Asked(_) | Progress::Waiting(_) => Transition::Ignored,
        Progress::Admitted(Base::Outgoing(base)) if is_certainly(base.as_ref(), message) => {
            Transition::Ignored
        }
        Progress::Admitted(Base::Incoming(named)) if !may_be(named.as_ref(), message) => Transition::Ignored,
        Progress::Admitted(_) => Transition::Ends(how),
        Progress::Running(run) if may_be(run.revision.as_ref(), message) => {
            // The rollback itself comes after this event, and may be asked for again.
            let rejected = rollout.gates.iter().any(|gate| gate.rejection().is_some());
            if how == End::Failed && rejected {
                Transition::Moves(Progress::Failing(run.clone()))
            } else {
                Transition::Ends(how)
            }
        }
        Progress::Failing(run) if how == End::Failed && may_be(run.revision.as_ref(), message) => {
            Transition::Stays
        }
        Progress::Running(_) | Progress::Failing(_) => Transition::Ends(end_of(&rollout.progress)),
    }
}

fn event_on_the_way(progress: &Progress, message: &Message) -> Transition {
    let base = match progress {
        Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base) => Some(base),
        Progress::Running(run) | Progress::Failing(run) => run.base.as_ref(),
    };
    if let Progress::Asked(Base::Incoming(named))
    | Progress::Waiting(Base::Incoming(named))
    | Progress::Admitted(Base::Incoming(named)) = progress
    {
        // The words around the question still carry the old one, and tell nothing before it is answered open.
        let starts = matches!(progress, Progress::Admitted(_)) && is_certainly(named.as_ref(), message);
        return if starts {
            Transition::Moves(Progress::Running(new_run(base.cloned(), named.clone(), message.phase)))
        } else {
            Transition::Ignored
        };
    }
    if is_certainly(base.and_then(Base::revision), message) {
        // "New revision detected!" still carries the old checksum.
        return match progress {
            Progress::Running(run) | Progress::Failing(run)
                if is_certainly(run.revision.as_ref(), message) =>
            {
                continue_rollout(progress, message)
            }
            Progress::Asked(_)
            | Progress::Waiting(_)
            | Progress::Admitted(_)
            | Progress::Running(_)
            | Progress::Failing(_) => Transition::Ignored,
        };
    }
    match progress {
        Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base) => Transition::Moves(
            Progress::Running(new_run(Some(base.clone()), message.checksum.clone(), message.phase)),
        ),
        Progress::Running(run) | Progress::Failing(run) if !may_be(run.revision.as_ref(), message) => {
            Transition::Ends(end_of(progress))
        }
        Progress::Running(_) | Progress::Failing(_) => continue_rollout(progress, message),
    }
}

/// The rollout under way stays itself; the message may tell its revision, or that it waits for promotion.
fn continue_rollout(progress: &Progress, message: &Message) -> Transition {
    let further = |known: &Run| Run {
        base: known.base.clone(),
        revision: known.revision.clone().or_else(|| message.checksum.clone()),
        furthest_phase: match message.phase {
            Phase::WaitingPromotion => FurthestPhase::WaitingPromotion,
            Phase::Initializing
            | Phase::Initialized
            | Phase::Waiting
            | Phase::Progressing
            | Phase::Promoting
            | Phase::Finalising
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Other => known.furthest_phase,
        },
    };
    let after = match progress {
        Progress::Running(run) => Progress::Running(further(run)),
        Progress::Failing(run) => Progress::Failing(further(run)),
        Progress::Asked(_) | Progress::Waiting(_) | Progress::Admitted(_) => return Transition::Stays,
    };
    if after == *progress { Transition::Stays } else { Transition::Moves(after) }
}

fn new_run(base: Option<Base>, revision: Option<Revision>, phase: Phase) -> Run {
    let furthest_phase = if phase == Phase::WaitingPromotion {
        FurthestPhase::WaitingPromotion
    } else {
        FurthestPhase::Progressing
    };
    Run { base, revision, furthest_phase }
}

/// How a rollout is over that another one, or its silence, takes the place of: a failure that was reported stays one.
const fn end_of(progress: &Progress) -> End {
    match progress {
        Progress::Asked(_) | Progress::Waiting(_) | Progress::Admitted(_) | Progress::Running(_) => {
            End::Superseded
        }
        Progress::Failing(_) => End::Failed,
    }
}

/// Whether the message may be about this revision: without a checksum on either side nothing speaks against it.
fn may_be(known: Option<&Revision>, message: &Message) -> bool {
    match (known, &message.checksum) {
        (Some(known), Some(named)) => known == named,
        (None, _) | (_, None) => true,
    }
}

/// Whether the message is certainly about this revision.
fn is_certainly(known: Option<&Revision>, message: &Message) -> bool {
    known.is_some() && known == message.checksum.as_ref()
}
