//! Gates that ask nobody.

use super::*;

fn record() -> Rules {
    Rules { validity: Validity { mode: ApprovalMode::Record, ..RULES.validity }, ..RULES }
}

fn world() -> World {
    World { rules: record(), ..World::new() }
}

fn name(stage: Stage) -> GateName {
    GateName { stage, approver: None, step: None }
}

impl World {
    /// What was recorded of how Flagger passed.
    fn passed(&self) -> Vec<&'static str> {
        let word = |audit_event: &AuditEvent| {
            if let AuditEvent::Passed { .. } = audit_event {
                Some("approved")
            } else if let AuditEvent::Recorded { .. } = audit_event {
                Some("recorded")
            } else {
                None
            }
        };
        self.audit_events.iter().filter_map(word).collect()
    }

    fn verdict(&self, name: &GateName) -> Verdict {
        self.canary.gate(name).unwrap().verdict(self.now, self.rules.validity)
    }
}

/// The first question is answered open, and the same change opens the ticket.
#[test]
fn the_first_question_opens_it_and_records_it() {
    let world = world();
    let name = name(Stage::ConfirmRollout);
    let asked = Event::Asked {
        gate: &name,
        message: &message(Phase::Succeeded, "base"),
        metadata: &BTreeMap::new(),
        names: None,
        deny: &[],
        denials: &[],
        new_id: GateId("g".into()),
        silent_for: Duration::ZERO,
        pace: Pace::default(),
        observed: Observed::Unread,
        analysis: None,
        hours: HoursOf::OPEN,
        step: None,
    };
    let Change::To { canary, commands, audit_events } = world.canary.apply(&asked, Millis(0), &record())
    else {
        panic!("nothing is stored")
    };
    let gate = canary.gate(&name).unwrap();
    assert_eq!(gate.verdict(Millis(0), record().validity), Verdict::Recorded);
    assert!(gate.is_recorded() && !gate.is_approval_used());
    assert!(matches!(canary.rollout.as_ref().unwrap().progress, Progress::Admitted(_)));
    assert!(matches!(&commands[..], [Command::Open { .. }]), "{commands:?}");
    let recorded = AuditEvent::Recorded { gate: name, ticket: None };
    assert_eq!(audit_events.iter().filter(|audit_event| **audit_event == recorded).count(), 1);
    assert!(
        !audit_events.iter().any(|it| matches!(it, AuditEvent::AnswerChanged { .. })),
        "{audit_events:?}"
    );
}

/// A limit opens nothing: without a ticket there is no record.
#[test]
fn beyond_a_limit_it_is_closed() {
    for headroom in [Headroom::NamespaceFull, Headroom::None] {
        let mut world =
            World { rules: Rules { budget: Budget { per_hour: 1, headroom }, ..record() }, ..World::new() };
        let (open, gate) = world.asks(&name(Stage::ConfirmPromotion), &message(Phase::Progressing, "r"));
        assert!(!open && gate.is_none(), "{headroom:?}");
        assert_eq!(world.passed(), Vec::<&str>::new());
    }
    // Its ticket is labelled as ended, and a limit prevents another one.
    let mut world = world();
    let (name, question) = (name(Stage::ConfirmPromotion), message(Phase::Progressing, "r"));
    let gate = world.asks(&name, &question).1.unwrap();
    world.sees_labelled(&gate, "To Do", "OPS", true);
    world.rules.budget.headroom = Headroom::None;
    assert!(!world.asks(&name, &question).0);
    world.rules.budget.headroom = Headroom::Available;
    let (open, another) = world.asks(&name, &question);
    assert!(open && another != Some(gate));
}

/// A freeze beats everything: it closes a gate that asks nobody, too, before and after it was open. An approved status
/// changes nothing of that, and gets no comment: nobody was asked.
#[test]
fn a_freeze_closes_it() {
    let mut world = world();
    let (name, question) = (name(Stage::ConfirmPromotion), message(Phase::Progressing, "r"));
    world.rules.validity.hours = Hours::Closed;
    let (open, gate) = world.asks(&name, &question);
    let gate = gate.unwrap();
    assert!(!open);
    assert_eq!(world.verdict(&name), Verdict::Frozen);
    world.decides(&gate, "Approved");
    assert!(!world.asks(&name, &question).0);
    assert_eq!(world.passed(), Vec::<&str>::new());
    world.rules.validity.hours = Hours::Open;
    assert!(world.asks(&name, &question).0);
    assert_eq!(world.passed(), ["recorded"]);
    world.rules.validity.hours = Hours::Closed;
    assert!(!world.asks(&name, &question).0);
    let frozen = |audit_event: &AuditEvent| matches!(audit_event, AuditEvent::Frozen { .. });
    assert!(!world.audit_events.iter().any(frozen), "{:?}", world.audit_events);
    // A rejection still says no, and still rolls back.
    world.decides(&gate, "Rejected");
    assert_eq!(world.verdict(&name), Verdict::Rejected);
    assert!(world.rolls_back(&question));
}

/// No means no: a rejection closes it from then on, and rolls back. Moved out, it is open again.
#[test]
fn a_rejection_closes_it_and_rolls_back() {
    let mut world = world();
    let (name, question) = (name(Stage::ConfirmTrafficIncrease), message(Phase::Progressing, "r"));
    let gate = world.asks(&name, &question).1.unwrap();
    assert!(!world.rolls_back(&question));
    world.decides(&gate, "Rejected");
    assert!(!world.asks(&name, &question).0);
    assert!(world.rolls_back(&question));
    world.decides(&gate, "To Do");
    assert!(world.asks(&name, &question).0);
    assert!(!world.rolls_back(&question));
    assert_eq!(world.passed(), ["recorded"]);
}

/// Moving the ticket to an approved status is no approval, and causes no comment.
#[test]
fn an_approval_is_not_used() {
    let mut world = world();
    let (name, question) = (name(Stage::ConfirmPromotion), message(Phase::Progressing, "r"));
    let gate = world.asks(&name, &question).1.unwrap();
    world.decides(&gate, "Approved");
    assert_eq!(world.asks(&name, &question), (true, Some(gate.clone())));
    assert_eq!((world.verdict(&name), world.passed()), (Verdict::Recorded, vec!["recorded"]));
    let told = &world.canary.gate(&name).unwrap().notified;
    assert!(told.is_empty(), "{told:?}");
    // The ticket of another gate does not show it as an approval.
    let approval = world.canary.gate(&name).unwrap().approval().is_some();
    assert!(approval && EarlierApproval::of(world.canary.gate(&name).unwrap()).is_none());
}

/// If an approval is required from now on, what was open without one is closed until there is one, which is then used
/// for the first time: it may expire before.
#[test]
fn a_recorded_gate_may_have_to_be_approved_later() {
    let mut world = world();
    let (name, question) = (name(Stage::ConfirmPromotion), message(Phase::Progressing, "r"));
    let gate = world.asks(&name, &question).1.unwrap();
    world.rules = RULES;
    assert!(!world.asks(&name, &question).0);
    world.decides(&gate, "Approved");
    world.now = Millis(1000 * 3600 * 73);
    world.polls();
    world.last_message = world.now;
    assert!(!world.asks(&name, &question).0);
    assert_eq!(world.verdict(&name), Verdict::Expired);
    world.decides(&gate, "To Do");
    world.decides(&gate, "Approved");
    assert!(world.asks(&name, &question).0);
    assert_eq!(world.passed(), ["recorded", "approved"]);
    assert!(world.canary.gate(&name).unwrap().is_approval_used());
}

/// A gate that was to be approved is open as soon as nobody is asked there.
#[test]
fn a_waiting_gate_may_ask_nobody_later() {
    let mut world = World::new();
    let (name, question) = (name(Stage::ConfirmPromotion), message(Phase::Progressing, "r"));
    let gate = world.asks(&name, &question).1.unwrap();
    world.rules = record();
    assert_eq!(world.asks(&name, &question), (true, Some(gate)));
    assert_eq!(world.passed(), ["recorded"]);
}

/// A rollout that ends says of each gate whether anybody was asked, and nothing was bypassed.
#[test]
fn endings_do_not_speak_of_an_approval() {
    let mut world = world();
    let (name, question) = (name(Stage::ConfirmPromotion), message(Phase::Progressing, "r"));
    world.asks(&name, &question);
    let silent_for = world.silent_for();
    let commands = world.apply(&Event::Reported {
        report: Report::PostRollout,
        message: &message(Phase::Succeeded, "r"),
        event_message: None,
        silent_for,
        observed: Observed::Unread,
    });
    let ended = commands.iter().find_map(|command| {
        let Command::Comment { notice: Notice::Ended { outcome, recorded, .. }, .. } = command else {
            return None;
        };
        Some((*outcome, *recorded))
    });
    assert_eq!(ended, Some((TicketOutcome::Ended(End::Succeeded), true)));
    assert!(!world.audit_events.iter().any(|it| matches!(it, AuditEvent::Bypassed { .. })));
}
