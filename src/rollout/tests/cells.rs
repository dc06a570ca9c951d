//! Every cell of the table of transitions.

use super::*;

/// A rollout in the state of this column, reached by messages. `b` is the base, `r` the revision.
fn start(column: &str) -> World {
    let mut world = World::new();
    let promotion = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let rollout = GateName { stage: Stage::ConfirmRollout, approver: None, step: None };
    let ask = |world: &mut World, name: &GateName, phase, checksum| {
        world.asks(name, &message(phase, checksum)).1.unwrap()
    };
    match column {
        "none" => {}
        "asked b" => {
            ask(&mut world, &rollout, Phase::Initialized, "b");
        }
        "asked b!" => {
            ask(&mut world, &rollout, Phase::Failed, "b");
        }
        "waiting b" => {
            ask(&mut world, &rollout, Phase::Waiting, "b");
        }
        "admitted b" | "admitted b!" => {
            let before = if column.ends_with('!') { Phase::Failed } else { Phase::Succeeded };
            let gate = ask(&mut world, &rollout, before, "b");
            world.decides(&gate, "Approved");
            ask(&mut world, &rollout, Phase::Waiting, "b");
        }
        "running r" | "rejected r" | "failing r" | "promoting r" => {
            ask(&mut world, &rollout, Phase::Waiting, "b");
            let gate = ask(&mut world, &promotion, Phase::Progressing, "r");
            if column == "promoting r" {
                assert!(!world.rolls_back(&message(Phase::WaitingPromotion, "r")));
            }
            if column == "rejected r" || column == "failing r" {
                world.decides(&gate, "Rejected");
            }
            if column == "failing r" {
                world.reports(Report::Event, &message(Phase::Failed, "r"));
            }
        }
        other => panic!("no such column: {other}"),
    }
    let there = shown(&world);
    let expected = column.replace("rejected r", "running r").replace("promoting r", "running r+");
    assert_eq!(there, expected, "the way to {column}");
    world.ended.clear();
    world
}

/// The endings, and then the progress: `superseded, asked b`.
fn shown(world: &World) -> String {
    let revision = |revision: Option<&Revision>| revision.map_or("-".into(), |revision| revision.0.clone());
    let base = |base: &Base| match base {
        Base::Outgoing(checksum) => revision(checksum.as_ref()),
        Base::AfterFailure(checksum) => format!("{}!", revision(checksum.as_ref())),
        Base::Incoming(checksum) => format!("{}^", revision(checksum.as_ref())),
    };
    let run = |run: &Run| match run.furthest_phase {
        FurthestPhase::Progressing => revision(run.revision.as_ref()),
        FurthestPhase::WaitingPromotion => format!("{}+", revision(run.revision.as_ref())),
    };
    let progress = match world.canary.rollout.as_ref().map(|rollout| &rollout.progress) {
        None => "none".to_owned(),
        Some(Progress::Asked(at)) => format!("asked {}", base(at)),
        Some(Progress::Waiting(at)) => format!("waiting {}", base(at)),
        Some(Progress::Admitted(at)) => format!("admitted {}", base(at)),
        Some(Progress::Running(at)) => format!("running {}", run(at)),
        Some(Progress::Failing(at)) => format!("failing {}", run(at)),
    };
    let mut parts: Vec<String> = world.ended.iter().map(|(how, _)| how.as_str().to_owned()).collect();
    parts.push(progress);
    parts.join(", ")
}

/// Sends a message written like `event Succeeded b`; `-` is no checksum.
fn send(world: &mut World, words: &str) {
    let mut parts = words.split(' ');
    let (what, word, checksum) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let sent = message(Phase::named(word), checksum.trim_matches('-'));
    match what {
        "rollback" => {
            world.rolls_back(&sent);
        }
        "post-rollout" => world.reports(Report::PostRollout, &sent),
        "event" => world.reports(Report::Event, &sent),
        gate => {
            world.asks(&GateName { stage: stage(gate), approver: None, step: None }, &sent);
        }
    }
}

/// A message, and what it leads to in each column. `=` means no change.
type Row = (&'static str, [&'static str; 10]);

const COLUMNS: [&str; 10] = [
    "none",
    "asked b",
    "asked b!",
    "waiting b",
    "admitted b",
    "admitted b!",
    "running r",
    "promoting r",
    "rejected r",
    "failing r",
];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // a question at confirm-rollout
    ("confirm-rollout Initialized b",
        ["asked b", "=", "=", "superseded, asked b", "superseded, asked b", "superseded, asked b",
         "superseded, asked b", "superseded, asked b", "superseded, asked b", "failed, asked b"]),
    ("confirm-rollout Failed b",
        ["asked b!", "=", "=", "superseded, asked b!", "superseded, asked b!", "superseded, asked b!",
         "superseded, asked b!", "superseded, asked b!", "superseded, asked b!", "failed, asked b!"]),
    ("confirm-rollout Waiting b",
        ["waiting b", "waiting b", "waiting b!", "=", "=", "=",
         "superseded, waiting b", "superseded, waiting b", "superseded, waiting b", "failed, waiting b"]),
    ("confirm-rollout Waiting x",
        ["waiting x", "superseded, waiting x", "superseded, waiting x", "superseded, waiting x", "superseded, waiting x", "superseded, waiting x",
         "superseded, waiting x", "superseded, waiting x", "superseded, waiting x", "failed, waiting x"]),
    ("confirm-rollout Succeeded x",
        ["asked x", "superseded, asked x", "superseded, asked x", "superseded, asked x", "superseded, asked x", "superseded, asked x",
         "superseded, asked x", "superseded, asked x", "superseded, asked x", "failed, asked x"]),
    // its own success; the report did not arrive
    ("confirm-rollout Succeeded r",
        ["asked r", "superseded, asked r", "superseded, asked r", "superseded, asked r", "superseded, asked r", "superseded, asked r",
         "succeeded, asked r", "succeeded, asked r", "succeeded, asked r", "failed, asked r"]),
    // from a Flagger that names the new revision, or from a hook without a type
    ("confirm-rollout Progressing r",
        ["asked r^", "superseded, asked r^", "superseded, asked r^", "superseded, asked r^", "superseded, asked r^", "superseded, asked r^",
         "=", "=", "=", "failed, asked r^"]),
    ("confirm-rollout Progressing x",
        ["asked x^", "superseded, asked x^", "superseded, asked x^", "superseded, asked x^", "superseded, asked x^", "superseded, asked x^",
         "superseded, asked x^", "superseded, asked x^", "superseded, asked x^", "failed, asked x^"]),
    // a question at another gate
    ("confirm-promotion Progressing r",
        ["running r", "running r", "running r", "running r", "running r", "running r",
         "=", "=", "=", "failed, running r"]),
    ("confirm-traffic-increase Progressing x",
        ["running x", "running x", "running x", "running x", "running x", "running x",
         "superseded, running x", "superseded, running x", "superseded, running x", "failed, running x"]),
    ("confirm-promotion Progressing b",
        ["running b", "=", "running b", "=", "running b", "running b",
         "superseded, running b", "superseded, running b", "superseded, running b", "failed, running b"]),
    // the question whether to roll back
    ("rollback Progressing r",
        ["running r", "running r", "running r", "running r", "running r", "running r",
         "=", "superseded, running r", "=", "="]),
    ("rollback WaitingPromotion r",
        ["running r+", "running r+", "running r+", "running r+", "running r+", "running r+",
         "running r+", "=", "running r+", "failing r+"]),
    ("rollback Progressing b",
        ["running b", "=", "running b", "=", "running b", "running b",
         "superseded, running b", "superseded, running b", "superseded, running b", "failed, running b"]),
    // post-rollout
    ("post-rollout Succeeded r",
        ["=", "=", "=", "=", "succeeded, none", "succeeded, none",
         "succeeded, none", "succeeded, none", "succeeded, none", "failed, none"]),
    ("post-rollout Failed r",
        ["=", "=", "=", "=", "failed, none", "failed, none",
         "failed, none", "failed, none", "failed, none", "failed, none"]),
    ("post-rollout Succeeded b",
        ["=", "=", "=", "=", "succeeded, none", "succeeded, none",
         "superseded, none", "superseded, none", "superseded, none", "failed, none"]),
    ("post-rollout Failed b",
        ["=", "failed, none", "failed, none", "failed, none", "failed, none", "failed, none",
         "superseded, none", "superseded, none", "superseded, none", "failed, none"]),
    ("post-rollout Progressing r", ["=", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    // events of an end
    ("event Succeeded b",
        ["=", "=", "=", "=", "=", "succeeded, none",
         "superseded, none", "superseded, none", "superseded, none", "failed, none"]),
    ("event Failed b",
        ["=", "=", "=", "=", "=", "failed, none",
         "superseded, none", "superseded, none", "superseded, none", "failed, none"]),
    ("event Succeeded r",
        ["=", "=", "=", "=", "succeeded, none", "succeeded, none",
         "succeeded, none", "succeeded, none", "succeeded, none", "failed, none"]),
    ("event Failed r",
        ["=", "=", "=", "=", "failed, none", "failed, none",
         "failed, none", "failed, none", "failing r", "="]),
    // events on the way
    ("event Progressing r",
        ["=", "running r", "running r", "running r", "running r", "running r", "=", "=", "=", "="]),
    ("event WaitingPromotion r",
        ["=", "running r+", "running r+", "running r+", "running r+", "running r+",
         "running r+", "=", "running r+", "failing r+"]),
    ("event Promoting x",
        ["=", "running x", "running x", "running x", "running x", "running x",
         "superseded, none", "superseded, none", "superseded, none", "failed, none"]),
    ("event Finalising x",
        ["=", "running x", "running x", "running x", "running x", "running x",
         "superseded, none", "superseded, none", "superseded, none", "failed, none"]),
    ("event Progressing b", ["=", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    ("event WaitingPromotion b", ["=", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    // phases that move nothing
    ("event Initialized b", ["=", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    ("event Waiting x", ["=", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    ("event Frobnicating x", ["=", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    // a Canary that is set up again
    ("event Initialized x",
        ["=", "recreated, none", "recreated, none", "recreated, none", "recreated, none", "recreated, none",
         "recreated, none", "recreated, none", "recreated, none", "recreated, none"]),
    ("event Initializing x",
        ["=", "recreated, none", "recreated, none", "recreated, none", "recreated, none", "recreated, none",
         "recreated, none", "recreated, none", "recreated, none", "recreated, none"]),
    // without a checksum: once any message had one, a question without one is ignored
    ("confirm-rollout Waiting -", ["waiting -", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    ("confirm-promotion Progressing -", ["running -", "=", "=", "=", "=", "=", "=", "=", "=", "="]),
    ("post-rollout Failed -",
        ["=", "failed, none", "failed, none", "failed, none", "failed, none", "failed, none",
         "failed, none", "failed, none", "failed, none", "failed, none"]),
    ("event Succeeded -",
        ["=", "=", "=", "=", "succeeded, none", "succeeded, none",
         "succeeded, none", "succeeded, none", "succeeded, none", "failed, none"]),
];

#[test]
fn every_cell_of_the_table() {
    let mut wrong = Vec::new();
    for (words, cells) in TABLE {
        for (column, expected) in COLUMNS.iter().zip(cells) {
            let mut world = start(column);
            let before = shown(&world);
            send(&mut world, words);
            let expected = if *expected == "=" { before.as_str() } else { expected };
            let got = shown(&world);
            if got != expected {
                wrong.push(format!("{column} + {words}: expected {expected}, got {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// After a failure the base is already the new revision's checksum, so the same checksum is not stale.
#[test]
fn after_a_failure_the_base_is_the_revision() {
    let mut world = start("asked b!");
    for (words, expected) in [
        ("event Progressing b", "asked b!"),
        ("confirm-promotion Progressing b", "running b"),
        ("event Progressing b", "running b"),
        ("event WaitingPromotion b", "running b+"),
        ("event Promoting b", "running b+"),
        ("event Progressing x", "superseded, none"),
    ] {
        send(&mut world, words);
        assert_eq!(shown(&world), expected, "{words}");
    }
}

/// A confirm-rollout in phase Progressing names the revision that starts: a message with another checksum is not about
/// it.
#[test]
fn the_form_that_names_the_new_revision() {
    for (admitted, words, expected) in [
        (false, "confirm-rollout Progressing r", "asked r^"),
        (false, "confirm-rollout Waiting r", "waiting r^"),
        (false, "confirm-rollout Progressing x", "superseded, asked x^"),
        (false, "confirm-rollout Succeeded r", "asked r^"),
        (false, "confirm-promotion Progressing x", "asked r^"),
        (false, "rollback Progressing r", "running r"),
        (false, "event Progressing r", "asked r^"),
        (false, "event Initialized b", "asked r^"),
        (false, "event Succeeded b", "asked r^"),
        (false, "post-rollout Succeeded r", "asked r^"),
        (true, "confirm-rollout Progressing r", "admitted r^"),
        (true, "confirm-rollout Waiting r", "admitted r^"),
        (true, "confirm-rollout Progressing x", "superseded, asked x^"),
        (true, "confirm-rollout Succeeded r", "superseded, asked r"),
        (true, "confirm-promotion Progressing r", "running r"),
        (true, "confirm-promotion Progressing x", "superseded, running x"),
        (true, "event Waiting b", "admitted r^"),
        (true, "event Progressing b", "admitted r^"),
        (true, "event Progressing r", "running r"),
        (true, "event Succeeded b", "admitted r^"),
        (true, "event Succeeded r", "succeeded, none"),
        (true, "post-rollout Succeeded r", "succeeded, none"),
        (true, "post-rollout Failed x", "superseded, none"),
        (true, "event Initializing x", "recreated, none"),
    ] {
        let mut world = World::new();
        let rollout = GateName { stage: Stage::ConfirmRollout, approver: None, step: None };
        let question = message(Phase::Progressing, "r");
        let gate = world.asks(&rollout, &question).1.unwrap();
        if admitted {
            world.decides(&gate, "Approved");
            assert!(world.asks(&rollout, &question).0);
        }
        send(&mut world, words);
        assert_eq!(shown(&world), expected, "admitted {admitted}: {words}");
    }
}

/// A message with another label ends any rollout; a first label is not another one.
#[test]
fn another_label_is_another_rollout() {
    for column in &COLUMNS[1..] {
        let mut world = start(column);
        let named = |label: &str| Message {
            label: Some(Label(label.into())),
            ..message(Phase::Other, if column.ends_with('r') { "r" } else { "b" })
        };
        let before = shown(&world);
        world.canary.rollout.as_mut().unwrap().label = Some(Label("1.0".into()));
        world.reports(Report::Event, &named("1.0"));
        assert_eq!(shown(&world), before, "{column}: the same label");
        world.reports(Report::Event, &named("1.1"));
        let end = if *column == "failing r" { "failed" } else { "superseded" };
        assert_eq!(shown(&world), format!("{end}, none"), "{column}: another label");
    }
    let mut world = start("running r");
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let named =
        |label: &str| Message { label: Some(Label(label.into())), ..message(Phase::Progressing, "r") };
    world.asks(&name, &named("1.0"));
    assert_eq!(shown(&world), "running r", "a first label");
    world.asks(&name, &named("1.1"));
    assert_eq!(shown(&world), "superseded, running r", "another label");
}

#[test]
fn silence_ends_a_rollout_and_every_message_breaks_it() {
    for column in &COLUMNS[1..] {
        let mut world = start(column);
        let before = shown(&world);
        let limit = if *column == "failing r" { RULES.idle_after } else { RULES.abandon_after };
        world.apply(&Event::TimePassed { silent_for: limit });
        assert_eq!(shown(&world), before, "{column}: not yet");
        world.apply(&Event::TimePassed { silent_for: limit + Duration::from_millis(1) });
        let end = if *column == "failing r" { "failed" } else { "abandoned" };
        assert_eq!(shown(&world), format!("{end}, none"), "{column}");
    }
}

/// A question at an opened gate after a long pause is about another rollout of the same revision.
#[test]
fn an_opened_gate_is_not_opened_again_after_long_silence() {
    let minute = Duration::from_secs(60);
    // (pause between the questions while closed, silence before the last one, whether it is the same rollout)
    for (pause, silence, same) in [
        (minute, RULES.idle_after, true),
        (minute, RULES.idle_after + Duration::from_millis(1), false),
        (5 * minute, 15 * minute, true),
        (5 * minute, 15 * minute + Duration::from_millis(1), false),
    ] {
        let mut world = World::new();
        let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
        let question = message(Phase::Progressing, "r");
        let (_, gate) = world.asks(&name, &question);
        world.now = world.now + pause;
        world.asks(&name, &question);
        world.decides(gate.as_ref().unwrap(), "Approved");
        world.now = world.now + minute;
        assert!(world.asks(&name, &question).0, "approved");
        world.now = world.now + silence;
        world.polls();
        let (open, again) = world.asks(&name, &question);
        assert_eq!(open, same, "pause {pause:?}, silence {silence:?}");
        assert_eq!(again == gate, same);
    }
}
