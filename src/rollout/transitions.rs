//! PURE: the table of a rollout's transitions ("A rollout has edges" in docs/design.md).
//!
//! A message moves the rollout on, ends it, or is ignored; if there is no rollout, it begins one or does not. What each
//! message means is taken from Flagger's own code, not from its documentation: the phase of an event is often the
//! previous tick's, confirm-rollout carries the *outgoing* checksum unless the previous rollout failed, and the gates
//! after it always say `Progressing`.

use std::time::Duration;

use super::{
    canary::Rollout,
    message::{Message, Phase, Revision},
    progress::{Base, End, FurthestPhase, Progress, Run},
};
use crate::gate::Gate;

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// A question at confirm-rollout.
    ConfirmRollout {
        /// Whether this gate was answered open before.
        used: bool,
    },
    /// A question at another gate.
    OtherGate {
        /// If the gate was answered open before: after more silence than this, the question is about another rollout.
        patience: Option<Duration>,
    },
    /// The question whether to roll back.
    Rollback,
    /// The post-rollout hook.
    PostRollout,
    /// The event hook.
    Event,
}

/// What a message does to the current rollout.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// It belongs to the rollout and changes nothing.
    Stays,
    /// It belongs to the rollout and moves it on.
    Moves(Progress),
    /// It is stale, late, or means nothing.
    Ignored,
    /// The rollout is over. The message is then applied as if there had been no rollout.
    Ends(End),
}

/// The progress of the rollout that this message begins, if it begins one.
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
    let other_ran = rollout.canary_seen.as_ref().is_some_and(|seen| seen.other_ran);
    // No message named the revision that the gates were opened for, so a checksum now may mean another one.
    let names_revision_late = message.checksum.is_some() && rollout.lacks_checksum();
    match signal {
        Signal::ConfirmRollout { .. } | Signal::OtherGate { .. } | Signal::Rollback
            if names_revision_late =>
        {
            Transition::Ends(end_of(&rollout.progress))
        }
        Signal::OtherGate { .. } | Signal::Rollback if other_ran => {
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
                    names_revision(&rollout.progress, message)
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
            | Progress::Failing(_) => names_revision(&rollout.progress, message),
        },
        Signal::PostRollout => match End::by_phase(message.phase) {
            Some(how) => post_rollout(&rollout.progress, message, how),
            None => Transition::Ignored,
        },
        Signal::Event if names_revision_late && is_under_way(message.phase) => {
            Transition::Ends(end_of(&rollout.progress))
        }
        Signal::Event => event(rollout, message),
    }
}

const fn is_under_way(phase: Phase) -> bool {
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
    // The two forms name different revisions, so a change of the form means another rollout.
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
        // The report of its success was not received, and the rollout that waits now would replace it.
        Progress::Running(run)
            if message.phase == Phase::Succeeded && is_certainly(run.revision.as_ref(), message) =>
        {
            return Transition::Ends(End::Succeeded);
        }
        // Flagger calls a hook without a type while the revision runs. If the gate was opened already, this may also be
        // another attempt, which begins with the same checksum.
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

/// The base, with the checksum of this message if none came before: from then on another checksum means another
/// rollout.
fn with_revision(base: &Base, message: &Message) -> Base {
    let revision = base.revision().or(message.checksum.as_ref()).cloned();
    match base {
        Base::Outgoing(_) => Base::Outgoing(revision),
        Base::AfterFailure(_) => Base::AfterFailure(revision),
        Base::Incoming(_) => Base::Incoming(revision),
    }
}

/// A message that carries the checksum of the revision itself: a question after confirm-rollout, or an event.
fn names_revision(progress: &Progress, message: &Message) -> Transition {
    match progress {
        // A late question about the rollout before the one that waits for confirm-rollout.
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
        // Only the named revision was allowed to start.
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
        // Flagger can fail a rollout while it waits, for instance if the primary died.
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
            event_under_way(&rollout.progress, message)
        }
        // A Canary that is set up was deleted and created again, so its rollout is over. The questions of the next
        // rollout would look the same as those of this one.
        Phase::Initializing => Transition::Ends(End::Recreated),
        Phase::Initialized => event_of_a_new_canary(&rollout.progress, message),
        Phase::Waiting | Phase::Other => Transition::Ignored,
    }
}

/// Only a Canary that is created again goes back to `Initialized`. The events before and during the first question have
/// that phase, too, with the checksum of the question.
fn event_of_a_new_canary(progress: &Progress, message: &Message) -> Transition {
    match progress.base() {
        Some(Base::Outgoing(base) | Base::AfterFailure(base)) if may_be(base.as_ref(), message) => {
            Transition::Ignored
        }
        Some(Base::Outgoing(_) | Base::AfterFailure(_)) => Transition::Ends(End::Recreated),
        // The checksum of the events around the first question is not known.
        Some(Base::Incoming(_)) | None => match progress {
            Progress::Running(_) | Progress::Failing(_) => Transition::Ends(End::Recreated),
            Progress::Asked(_) | Progress::Waiting(_) | Progress::Admitted(_) => Transition::Ignored,
        },
    }
}

fn event_of_the_end(rollout: &Rollout, message: &Message, how: End) -> Transition {
    match &rollout.progress {
        // The previous rollout's phase: confirm-rollout's own "Halt" event carries it.
        Progress::Asked(_) | Progress::Waiting(_) => Transition::Ignored,
        Progress::Admitted(Base::Outgoing(base)) if is_certainly(base.as_ref(), message) => {
            Transition::Ignored
        }
        Progress::Admitted(Base::Incoming(named)) if !may_be(named.as_ref(), message) => Transition::Ignored,
        Progress::Admitted(_) => Transition::Ends(how),
        Progress::Running(run) if may_be(run.revision.as_ref(), message) => {
            // The rollback itself comes after this event, and Flagger may ask for it again.
            let rejected = rollout.gates.iter().any(Gate::is_rejected);
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

fn event_under_way(progress: &Progress, message: &Message) -> Transition {
    let base = progress.base();
    if let Progress::Asked(Base::Incoming(named))
    | Progress::Waiting(Base::Incoming(named))
    | Progress::Admitted(Base::Incoming(named)) = progress
    {
        // The events around the question still carry the old checksum, and mean nothing before the gate opens.
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
    names_revision(progress, message)
}

/// The running rollout goes on; the message may name its revision, or say that it waits for promotion.
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

/// How a rollout ends when another one takes its place: a reported failure stays a failure.
const fn end_of(progress: &Progress) -> End {
    match progress {
        Progress::Asked(_) | Progress::Waiting(_) | Progress::Admitted(_) | Progress::Running(_) => {
            End::Superseded
        }
        Progress::Failing(_) => End::Failed,
    }
}

/// Whether the message may be about this revision: if either side has no checksum, it may.
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
