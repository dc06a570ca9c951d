//! Recordings whose messages do not suffice to answer correctly. The bridge must be consistent there; the differences
//! to the correct answers are listed here, so that they change only on purpose.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use flagger_jira_bridge::{
    gate::{GateName, Stage},
    millis::Millis,
    rollout::{Message, Observed, Phase, Report, Revision},
};
use serde_json::Value;

use super::bridge::{Bridge, Place};

/// A file, and the lines (from 1) at which the bridge's answer is not the recorded one.
type Differs = (&'static str, &'static [usize]);

/// The differences, each 200 instead of 403.
///
/// 07d: the approval of v2 lets v3 start, which was pushed before the next question: one wait, one ticket. In the three
/// of 33 there are only confirm and rollback hooks, and the same revision comes back without another question in
/// between: its approval holds, because it was for this revision. In the others there was no decision that could be
/// mistaken for another attempt's.
const DIFFERS: [Differs; 10] = [
    ("07a-rejected-at-rollout", &[]),
    ("07b-revert-while-waiting", &[]),
    ("07c-newer-while-waiting-silent", &[]),
    ("07d-approved-then-newer-before-asked", &[20, 22, 24]),
    ("07e-failed-then-two-pushes", &[]),
    ("08c-v2-v3-v2-promotion-only", &[]),
    ("23a-indistinguishable-promotion-only", &[]),
    ("33b-twin-other-attempt", &[22, 24]),
    ("33d-twin-other-attempt-two-gates", &[28, 30]),
    ("33h-twin-progressing-other-attempt", &[27, 30]),
];

/// How a recording was answered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replayed {
    answers: Vec<(usize, bool)>,
    differs: Vec<usize>,
    inconsistent: Vec<String>,
}

fn gate(stage: &str, approver: Option<&str>) -> GateName {
    let stage = Stage::ALL.into_iter().find(|known| known.as_str() == stage).unwrap();
    GateName { stage, approver: approver.map(str::to_owned), step: None }
}

struct Replay {
    bridge: Bridge,
    now: Millis,
    /// The first ticket shown for each attempt and gate.
    shown: BTreeMap<(u64, GateName), usize>,
    /// The tickets of the current wait: those shown since the first of an unbroken series of confirm-rollout questions.
    wait: BTreeSet<usize>,
    replayed: Replayed,
}

impl Replay {
    fn asked(&mut self, number: usize, line: &Value, message: &Message) {
        let path = line["ask"].as_str().unwrap().strip_prefix("/gate/").unwrap();
        let attempt = line["attempt"].as_u64().unwrap();
        let open = if path == "rollback" {
            self.wait.clear();
            self.bridge.asked_to_roll_back(message, Observed::Unread, self.now)
        } else {
            let (stage, query) = path.split_once('?').unwrap_or((path, ""));
            let name = gate(stage, query.strip_prefix("gate="));
            let answer = self.bridge.asked(&name, message, &Observed::Unread, self.now, attempt);
            if name.stage != Stage::ConfirmRollout {
                self.wait.clear();
            }
            if let Some(ticket) = answer.ticket {
                self.shown.entry((attempt, name.clone())).or_insert(ticket);
                if name.stage == Stage::ConfirmRollout {
                    self.wait.insert(ticket);
                }
                if self.wait.len() > 1 {
                    self.replayed.inconsistent.push(format!("{number}: a second ticket for one wait"));
                }
            }
            let approved =
                answer.ticket.is_some_and(|ticket| self.bridge.tickets[ticket].place == Place::Approved);
            if answer.open != approved {
                self.replayed
                    .inconsistent
                    .push(format!("{number}: open {}, approved {approved}", answer.open));
            }
            answer.open
        };
        self.replayed.answers.push((number, open));
        let right = line["answer"].as_u64().unwrap() == 200;
        if open != right {
            self.replayed.differs.push(number);
        }
    }

    fn line(&mut self, number: usize, line: &Value) {
        let at = Millis((line["t"].as_f64().unwrap() * 1000.0) as i64);
        while self.now < at {
            self.now = at.min(self.now + Duration::from_secs(60));
            self.bridge.polls(self.now);
        }
        let body = &line["body"];
        let message = Message {
            phase: Phase::named(body["phase"].as_str().unwrap_or_default()),
            checksum: body["checksum"].as_str().map(|checksum| Revision(checksum.into())),
            label: None,
        };
        if line["ask"].is_string() {
            self.asked(number, line, &message);
        } else if line["do"] == "decide" {
            let name = gate(line["stage"].as_str().unwrap(), line["gate"].as_str());
            let place = match line["status"].as_str().unwrap() {
                "Approved" => Place::Approved,
                "Rejected" => Place::Rejected,
                _ => Place::ToDo,
            };
            let ticket = self.shown[&(line["attempt"].as_u64().unwrap(), name)];
            self.bridge.moved(ticket, place, self.now);
            self.bridge.reads_ticket(ticket, self.now);
        } else {
            match line["tell"].as_str() {
                Some("/event") => self.bridge.reported(Report::Event, &message, Observed::Unread, self.now),
                Some("/post-rollout") => {
                    self.bridge.reported(Report::PostRollout, &message, Observed::Unread, self.now);
                }
                Some(_) | None => {}
            }
        }
    }
}

fn replay(name: &str) -> Replayed {
    let text = fs::read_to_string(format!("fixtures/flagger/undecidable/{name}.jsonl")).unwrap();
    let mut replay = Replay {
        bridge: Bridge::new(),
        now: Millis(0),
        shown: BTreeMap::new(),
        wait: BTreeSet::new(),
        replayed: Replayed::default(),
    };
    for (number, line) in (1..).zip(text.lines()) {
        replay.line(number, &serde_json::from_str(line).unwrap());
    }
    replay.replayed
}

#[test]
fn undecidable_questions_are_answered_consistently() {
    let files = fs::read_dir("fixtures/flagger/undecidable").unwrap();
    let known: BTreeSet<String> = DIFFERS.iter().map(|(name, _)| format!("{name}.jsonl")).collect();
    let there: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, known);
    let mut found = Vec::new();
    for (name, _) in DIFFERS {
        let replayed = replay(name);
        assert_eq!(replayed, replay(name), "{name}: a second replay gave other answers");
        assert!(replayed.inconsistent.is_empty(), "{name}: {:?}", replayed.inconsistent);
        assert!(!replayed.answers.is_empty(), "{name} contains no question");
        found.push((name, replayed.differs));
    }
    let written: Vec<(&str, Vec<usize>)> = DIFFERS.map(|(name, lines)| (name, lines.to_vec())).into();
    assert_eq!(found, written);
}
