//! PURE: the table of a rollout's edges (rule R3 of the design).
//!
//! A message meets a rollout and moves it on, ends it, or is ignored; where there is none, it begins one or does
//! not. What each message really says is in Flagger's own code, not in its documentation: the phase of an event is
//! often that of the tick before, confirm-rollout carries the *outgoing* checksum unless the rollout before it
//! failed, and the gates after it always say `Progressing`.

use std::time::Duration;

use super::{Base, Course, End, Leg, Message, Phase, Revision, Rollout, Run};

/// Which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A question at confirm-rollout.
    ConfirmRollout,
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
pub(super) enum Edge {
    /// It belongs to the rollout and changes nothing of its course.
    Stays,
    /// It belongs to the rollout and moves it on.
    Moves(Course),
    /// It is stale, late, or says nothing.
    Ignored,
    /// The rollout is over. The message is then read as if there had been none.
    Ends(End),
}

/// The course of the rollout that this message begins, where none lives.
pub(super) fn begins(heard: Heard, message: &Message) -> Option<Course> {
    match heard {
        Heard::ConfirmRollout => {
            let base = if message.phase == Phase::Failed {
                Base::AfterFailure(message.checksum.clone())
            } else {
                Base::Outgoing(message.checksum.clone())
            };
            Some(if message.phase == Phase::Waiting { Course::Waiting(base) } else { Course::Asked(base) })
        }
        Heard::OtherGate { .. } | Heard::Rollback => {
            Some(Course::Running(run(None, message.checksum.clone(), message.phase)))
        }
        Heard::PostRollout | Heard::Event => None,
    }
}

/// What this message does to `rollout`.
pub(super) fn between(rollout: &Rollout, heard: Heard, message: &Message, silent_for: Duration) -> Edge {
    let label_changed =
        matches!((&rollout.label, &message.label), (Some(known), Some(named)) if known != named);
    if label_changed {
        return Edge::Ends(over(&rollout.course));
    }
    match heard {
        Heard::ConfirmRollout => confirm_rollout(&rollout.course, message),
        Heard::OtherGate { patience } => {
            let patience_is_over = patience.is_some_and(|patience| silent_for > patience);
            match &rollout.course {
                Course::Running(_) if patience_is_over => Edge::Ends(End::Superseded),
                // A gate question after the report of a failure is about the next attempt.
                Course::Failing(_) => Edge::Ends(End::Failed),
                Course::Asked(_) | Course::Waiting(_) | Course::Admitted(_) | Course::Running(_) => {
                    question(&rollout.course, message)
                }
            }
        }
        Heard::Rollback => match &rollout.course {
            // Within one attempt the phase never goes back from WaitingPromotion.
            Course::Running(Run { leg: Leg::WaitingPromotion, .. })
            | Course::Failing(Run { leg: Leg::WaitingPromotion, .. })
                if message.phase == Phase::Progressing =>
            {
                Edge::Ends(over(&rollout.course))
            }
            Course::Asked(_)
            | Course::Waiting(_)
            | Course::Admitted(_)
            | Course::Running(_)
            | Course::Failing(_) => question(&rollout.course, message),
        },
        Heard::PostRollout => match message.phase {
            Phase::Succeeded => post_rollout(&rollout.course, message, End::Succeeded),
            Phase::Failed => post_rollout(&rollout.course, message, End::Failed),
            Phase::Initializing
            | Phase::Initialized
            | Phase::Waiting
            | Phase::Progressing
            | Phase::WaitingPromotion
            | Phase::Promoting
            | Phase::Finalising
            | Phase::Other => Edge::Ignored,
        },
        Heard::Event => event(rollout, message),
    }
}

fn confirm_rollout(course: &Course, message: &Message) -> Edge {
    let again = message.phase == Phase::Waiting;
    let after = match course {
        Course::Asked(base) if same(base.revision(), message) => {
            let base = learnt(base, message);
            if again { Course::Waiting(base) } else { Course::Asked(base) }
        }
        Course::Waiting(base) if again && same(base.revision(), message) => {
            Course::Waiting(learnt(base, message))
        }
        Course::Admitted(base) if again && same(base.revision(), message) => {
            Course::Admitted(learnt(base, message))
        }
        Course::Asked(_)
        | Course::Waiting(_)
        | Course::Admitted(_)
        | Course::Running(_)
        | Course::Failing(_) => return Edge::Ends(over(course)),
    };
    if after == *course { Edge::Stays } else { Edge::Moves(after) }
}

/// The base with the checksum of this message, if none came before: from then on another one is another rollout's.
fn learnt(base: &Base, message: &Message) -> Base {
    let revision = base.revision().or(message.checksum.as_ref()).cloned();
    match base {
        Base::Outgoing(_) => Base::Outgoing(revision),
        Base::AfterFailure(_) => Base::AfterFailure(revision),
    }
}

/// A question that carries the checksum of the revision itself.
fn question(course: &Course, message: &Message) -> Edge {
    match course {
        // Asked before the rollout that is being confirmed now: too late to matter.
        Course::Asked(Base::Outgoing(base)) | Course::Waiting(Base::Outgoing(base))
            if is(base.as_ref(), message) =>
        {
            Edge::Ignored
        }
        Course::Asked(base) | Course::Waiting(base) | Course::Admitted(base) => {
            Edge::Moves(Course::Running(run(Some(base.clone()), message.checksum.clone(), message.phase)))
        }
        Course::Running(run) | Course::Failing(run) if !same(run.revision.as_ref(), message) => {
            Edge::Ends(over(course))
        }
        Course::Running(_) | Course::Failing(_) => goes_on(course, message),
    }
}

fn post_rollout(course: &Course, message: &Message, how: End) -> Edge {
    match course {
        // Flagger gives up while it waits, for instance on a primary that died.
        Course::Asked(base) | Course::Waiting(base)
            if how == End::Failed && same(base.revision(), message) =>
        {
            Edge::Ends(End::Failed)
        }
        Course::Asked(_) | Course::Waiting(_) => Edge::Ignored,
        Course::Admitted(_) => Edge::Ends(how),
        Course::Failing(_) => Edge::Ends(End::Failed),
        Course::Running(run) if same(run.revision.as_ref(), message) => Edge::Ends(how),
        Course::Running(_) => Edge::Ends(End::Superseded),
    }
}

fn event(rollout: &Rollout, message: &Message) -> Edge {
    match message.phase {
        Phase::Succeeded => event_of_the_end(rollout, message, End::Succeeded),
        Phase::Failed => event_of_the_end(rollout, message, End::Failed),
        Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising => {
            event_on_the_way(&rollout.course, message)
        }
        // A Canary that is set up again was deleted and created anew: whatever it waited for is over. The questions of
        // the next rollout would look the same as those of this one.
        Phase::Initializing => match &rollout.course {
            Course::Asked(_) | Course::Waiting(_) => Edge::Ends(End::Superseded),
            Course::Admitted(_) | Course::Running(_) | Course::Failing(_) => Edge::Ignored,
        },
        Phase::Initialized | Phase::Waiting | Phase::Other => Edge::Ignored,
    }
}

fn event_of_the_end(rollout: &Rollout, message: &Message, how: End) -> Edge {
    match &rollout.course {
        // The phase of the rollout before: confirm-rollout's own "Halt" event carries it.
        Course::Asked(_) | Course::Waiting(_) => Edge::Ignored,
        Course::Admitted(Base::Outgoing(base)) if is(base.as_ref(), message) => Edge::Ignored,
        Course::Admitted(_) => Edge::Ends(how),
        Course::Running(run) if same(run.revision.as_ref(), message) => {
            // The rollback itself comes after this event, and may be asked for again.
            let rejected = rollout.gates.iter().any(|gate| gate.rejection().is_some());
            if how == End::Failed && rejected {
                Edge::Moves(Course::Failing(run.clone()))
            } else {
                Edge::Ends(how)
            }
        }
        Course::Failing(run) if how == End::Failed && same(run.revision.as_ref(), message) => Edge::Stays,
        Course::Running(_) | Course::Failing(_) => Edge::Ends(over(&rollout.course)),
    }
}

fn event_on_the_way(course: &Course, message: &Message) -> Edge {
    let base = match course {
        Course::Asked(base) | Course::Waiting(base) | Course::Admitted(base) => Some(base),
        Course::Running(run) | Course::Failing(run) => run.base.as_ref(),
    };
    if is(base.and_then(Base::revision), message) {
        // "New revision detected!" still carries the old checksum.
        return match course {
            Course::Running(run) | Course::Failing(run) if is(run.revision.as_ref(), message) => {
                goes_on(course, message)
            }
            Course::Asked(_)
            | Course::Waiting(_)
            | Course::Admitted(_)
            | Course::Running(_)
            | Course::Failing(_) => Edge::Ignored,
        };
    }
    match course {
        Course::Asked(base) | Course::Waiting(base) | Course::Admitted(base) => {
            Edge::Moves(Course::Running(run(Some(base.clone()), message.checksum.clone(), message.phase)))
        }
        Course::Running(run) | Course::Failing(run) if !same(run.revision.as_ref(), message) => {
            Edge::Ends(over(course))
        }
        Course::Running(_) | Course::Failing(_) => goes_on(course, message),
    }
}

/// The rollout under way stays itself; the message may tell its revision, or that it waits for promotion.
fn goes_on(course: &Course, message: &Message) -> Edge {
    let further = |known: &Run| Run {
        base: known.base.clone(),
        revision: known.revision.clone().or_else(|| message.checksum.clone()),
        leg: match message.phase {
            Phase::WaitingPromotion => Leg::WaitingPromotion,
            Phase::Initializing
            | Phase::Initialized
            | Phase::Waiting
            | Phase::Progressing
            | Phase::Promoting
            | Phase::Finalising
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Other => known.leg,
        },
    };
    let after = match course {
        Course::Running(run) => Course::Running(further(run)),
        Course::Failing(run) => Course::Failing(further(run)),
        Course::Asked(_) | Course::Waiting(_) | Course::Admitted(_) => return Edge::Stays,
    };
    if after == *course { Edge::Stays } else { Edge::Moves(after) }
}

fn run(base: Option<Base>, revision: Option<Revision>, phase: Phase) -> Run {
    let leg = if phase == Phase::WaitingPromotion { Leg::WaitingPromotion } else { Leg::Progressing };
    Run { base, revision, leg }
}

/// How a rollout is over that another one, or its silence, takes the place of: a failure that was reported stays one.
const fn over(course: &Course) -> End {
    match course {
        Course::Asked(_) | Course::Waiting(_) | Course::Admitted(_) | Course::Running(_) => End::Superseded,
        Course::Failing(_) => End::Failed,
    }
}

/// Whether the message may be about this revision: without a checksum on either side nothing speaks against it.
fn same(known: Option<&Revision>, message: &Message) -> bool {
    match (known, &message.checksum) {
        (Some(known), Some(named)) => known == named,
        (None, _) | (_, None) => true,
    }
}

/// Whether the message is certainly about this revision.
fn is(known: Option<&Revision>, message: &Message) -> bool {
    known.is_some() && known == message.checksum.as_ref()
}
