//! Each step of traffic has a gate of its own.

use proptest::prelude::*;

use super::*;
use crate::gate::Share;

fn name(approver: Option<&str>) -> GateName {
    let approver = approver.map(str::to_owned);
    GateName { stage: Stage::ConfirmTrafficIncrease, approver, step: None }
}

fn question() -> Message {
    message(Phase::Progressing, "r")
}

fn read(before: u8) -> StepReading {
    let after = (before < 50).then_some(before + 10);
    StepReading::Read(Share { before: Some(before), after, is_last: after.is_none() })
}

fn unread() -> StepReading {
    StepReading::Unread { why: "away".into() }
}

impl World {
    fn steps() -> Self {
        Self { step: Some(StepReading::NotRead), ..Self::new() }
    }

    /// Asks about a step of which this is known.
    fn asks_step(&mut self, approver: Option<&str>, reading: StepReading) -> (bool, Option<GateId>) {
        self.step = Some(reading);
        self.now = Millis(self.now.0 + 60_000);
        self.polls();
        self.asks(&name(approver), &question())
    }

    /// Flagger reports a step.
    fn advances(&mut self, weight: u8) {
        let report = format!("Advance podinfo.default canary weight {weight}");
        let silent_for = self.silent_for();
        self.apply(&Event::Reported {
            report: Report::Event,
            message: &question(),
            event_message: Some(&report),
            silent_for,
            observed: Observed::Unread,
        });
    }

    fn step_of(&self, id: &GateId) -> (u32, Share, bool) {
        let gate = self.canary.gate_by_id(id).unwrap();
        let step = gate.step.unwrap();
        (gate.name.step.unwrap(), step.share, step.over)
    }

    fn verdict_of(&self, id: &GateId) -> Verdict {
        self.canary.gate_by_id(id).unwrap().verdict(self.now, self.rules.validity)
    }
}

/// A ticket for each step; the approval of an earlier one opens no later one.
#[test]
fn each_step_needs_its_own_approval() {
    let mut world = World::steps();
    let mut before = None;
    for (nth, weight) in [0, 10, 20, 50].into_iter().enumerate() {
        let (open, gate) = world.asks_step(None, read(weight));
        let gate = gate.unwrap();
        assert!(!open && before != Some(gate.clone()), "{weight}");
        assert_eq!(world.asks_step(None, read(weight)), (false, Some(gate.clone())), "the same ticket");
        let (number, share, over) = world.step_of(&gate);
        let after = (weight < 50).then_some(weight + 10);
        let expected = Share { before: Some(weight), after, is_last: after.is_none() };
        assert_eq!((number as usize, share, over), (nth + 1, expected, false));
        world.decides(&gate, "Approved");
        assert!(world.asks_step(None, read(weight)).0, "{weight}");
        if let Some(before) = before.replace(gate) {
            assert_eq!(world.verdict_of(&before), Verdict::Passed);
        }
    }
    assert_eq!(world.canary.rollout.as_ref().unwrap().gates.len(), 4);
}

/// Without a reading, each approval is good for one answer: Flagger may have taken the step.
#[test]
fn without_a_reading_an_approval_opens_once() {
    let mut world = World::steps();
    let first = world.asks_step(None, StepReading::NotRead).1.unwrap();
    assert_eq!(world.step_of(&first), (1, Share::default(), false));
    world.decides(&first, "Approved");
    assert!(world.asks_step(None, StepReading::NotRead).0);
    let (open, second) = world.asks_step(None, StepReading::NotRead);
    assert!(!open && second != Some(first.clone()));
    // What was approved for the first step is not moved on to the second.
    world.decides(&first, "To Do");
    world.decides(&first, "Approved");
    assert!(!world.asks_step(None, StepReading::NotRead).0);
    assert_eq!(world.verdict_of(&first), Verdict::Passed);
}

/// What Flagger reports is shown, and another report means another step.
#[test]
fn reports_say_how_much_traffic_there_is() {
    let mut world = World::steps();
    let first = world.asks_step(None, StepReading::NotRead).1.unwrap();
    world.advances(10);
    // It was not known before, so it may be the same step.
    assert_eq!(world.asks_step(None, StepReading::NotRead).1.unwrap(), first);
    world.decides(&first, "Approved");
    assert!(world.asks_step(None, StepReading::NotRead).0);
    let second = world.asks_step(None, StepReading::NotRead).1.unwrap();
    assert_eq!(world.step_of(&second).1.before, Some(10));
    // Flagger went on without an answer, as after its hook was taken out and put back.
    world.advances(20);
    let third = world.asks_step(None, StepReading::NotRead).1.unwrap();
    assert_eq!(world.step_of(&third), (3, Share { before: Some(20), ..Share::default() }, false));
    assert_eq!(world.verdict_of(&second), Verdict::Passed);
}

/// Two hooks: the first is asked again while the second waits, about the same step.
#[test]
fn two_approvers_of_one_step() {
    let mut world = World::steps();
    let qa = world.asks_step(Some("qa"), read(0)).1.unwrap();
    world.decides(&qa, "Approved");
    assert!(world.asks_step(Some("qa"), read(0)).0);
    let cab = world.asks_step(Some("cab"), read(0)).1.unwrap();
    assert_eq!(world.asks_step(Some("qa"), read(0)), (true, Some(qa.clone())));
    assert_eq!(world.asks_step(Some("cab"), read(0)), (false, Some(cab.clone())));
    world.decides(&cab, "Approved");
    assert_eq!(world.asks_step(Some("qa"), read(0)), (true, Some(qa.clone())));
    assert_eq!(world.asks_step(Some("cab"), read(0)), (true, Some(cab.clone())));
    let (open, next) = world.asks_step(Some("qa"), read(10));
    assert!(!open && next != Some(qa));
    let (open, next) = world.asks_step(Some("cab"), read(10));
    assert!(!open && next != Some(cab));
}

/// If the cluster cannot be read, no ticket is opened for a step that is not known. What is approved opens once.
#[test]
fn an_unreadable_step_gets_no_ticket() {
    let mut world = World::steps();
    assert_eq!(world.asks_step(None, unread()), (false, None));
    let gate = world.asks_step(None, read(0)).1.unwrap();
    world.decides(&gate, "Approved");
    assert_eq!(world.asks_step(None, unread()), (true, Some(gate.clone())));
    assert_eq!(world.asks_step(None, unread()), (false, None));
    assert_eq!(world.verdict_of(&gate), Verdict::Passed);
    let (open, next) = world.asks_step(None, read(10));
    assert!(!open && next.is_some_and(|next| next != gate));
}

/// No means no, also after the step was taken.
#[test]
fn a_rejection_of_an_earlier_step_rolls_back() {
    let mut world = World::steps();
    let first = world.asks_step(None, read(0)).1.unwrap();
    world.decides(&first, "Approved");
    assert!(world.asks_step(None, read(0)).0);
    world.asks_step(None, read(10));
    world.decides(&first, "Rejected");
    assert_eq!(world.verdict_of(&first), Verdict::Rejected);
    assert!(world.rolls_back(&question()));
}

/// A limit opens no ticket, and brings no earlier approval back.
#[test]
fn beyond_a_limit_the_next_step_waits() {
    let mut world = World::steps();
    let first = world.asks_step(None, read(0)).1.unwrap();
    world.decides(&first, "Approved");
    assert!(world.asks_step(None, read(0)).0);
    world.rules.budget.headroom = Headroom::None;
    for _ in 0..2 {
        assert_eq!(world.asks_step(None, read(10)), (false, None));
    }
    world.rules.budget.headroom = Headroom::Available;
    assert!(world.asks_step(None, read(10)).1.is_some_and(|next| next != first));
}

/// If the settings change, tickets for all steps open none of these, and the other way round.
#[test]
fn tickets_of_the_other_kind_open_nothing() {
    let mut world = World::new();
    let (name, question) = (name(None), question());
    let once = world.asks(&name, &question).1.unwrap();
    world.decides(&once, "Approved");
    assert!(world.asks(&name, &question).0);
    let (open, step) = world.asks_step(None, read(10));
    assert!(!open && step != Some(once));
    world.decides(&step.unwrap(), "Approved");
    assert!(world.asks_step(None, read(10)).0);
    world.canary.rollout.as_mut().unwrap().gates.retain(|gate| gate.name.step.is_some());
    world.step = None;
    assert!(!world.asks(&name, &question).0);
}

/// Two questions on their way at once: the second one opens a ticket for a step that the first one let Flagger take. Nothing
/// was bypassed by that.
#[test]
fn a_step_that_was_asked_about_twice_is_no_bypass() {
    let mut world = World::steps();
    let first = world.asks_step(None, read(40)).1.unwrap();
    world.decides(&first, "Approved");
    assert!(world.asks_step(None, read(40)).0);
    let twin = world.asks_step(None, read(40)).1.unwrap();
    let last = world.asks_step(None, read(50)).1.unwrap();
    assert_eq!(world.verdict_of(&twin), Verdict::Passed);
    world.decides(&last, "Approved");
    assert!(world.asks_step(None, read(50)).0);
    world.reports(Report::PostRollout, &message(Phase::Succeeded, "r"));
    assert_eq!(world.ended.len(), 1);
    assert!(!world.audit_events.iter().any(|it| matches!(it, AuditEvent::Bypassed { .. })));
}

/// What happens in one tick of Flagger.
#[derive(Clone, Debug)]
struct Tick {
    /// 0: not read. 1: read. 2: could not be read.
    reading: u8,
    approves: [bool; 2],
    loses_answer: bool,
    loses_report: bool,
    /// Flagger shifted the traffic, and could not write that into the Canary.
    loses_status: bool,
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let tick = (0..3_u8, any::<[bool; 2]>(), 0..6_u8, 0..4_u8, 0..6_u8).prop_map(
        |(reading, approves, answer, report, status)| Tick {
            reading,
            approves,
            loses_answer: answer == 0,
            loses_report: report == 0,
            loses_status: status == 0,
        },
    );
    prop::collection::vec(tick, 1..40)
}

proptest! {
    /// Whatever is lost or late, no ticket lets Flagger take two steps.
    #[test]
    fn no_approval_opens_two_steps(ticks in ticks(), two in any::<bool>(), mixed in any::<bool>()) {
        let mut world = World::steps();
        let (mut weight, mut status) = (0, 0);
        let mut taken: BTreeSet<GateId> = BTreeSet::new();
        let hooks: &[Option<&str>] = if two { &[Some("qa"), Some("cab")] } else { &[None] };
        for tick in ticks {
            let mut opened = Vec::new();
            for (nth, hook) in hooks.iter().enumerate() {
                let reading = match tick.reading {
                    0 if mixed => StepReading::NotRead,
                    2 => unread(),
                    _ => read(status),
                };
                let (open, gate) = world.asks_step(*hook, reading);
                if let Some(gate) = &gate && tick.approves[nth] && world.verdict_of(gate) == Verdict::Waiting {
                    world.decides(gate, "Approved");
                }
                if !open || (tick.loses_answer && nth + 1 == hooks.len()) {
                    break;
                }
                opened.extend(gate);
            }
            if opened.len() < hooks.len() || weight >= 50 {
                continue;
            }
            for gate in opened {
                prop_assert!(taken.insert(gate.clone()), "{gate} let Flagger take two steps");
            }
            weight += 10;
            if !tick.loses_status {
                status = weight;
            }
            if !tick.loses_report {
                world.advances(weight);
            }
        }
    }
}
