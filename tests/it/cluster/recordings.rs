//! The recordings whose messages do not suffice to answer right, played by the real Flagger. With `kubernetes.mode =
//! "bind"` the bridge knows more, and each question has one right answer: the recorded one.

use std::{collections::BTreeMap, fs, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    PATIENCE,
    scene::{Position, Scene},
    target::image,
    until,
};

/// How long to wait for an effect before Flagger looks again: the first look may have been lost.
const LOOK_AGAIN: Duration = Duration::from_secs(25);

/// A step of a recording.
enum Step {
    /// Somebody deploys this version.
    Ship(String),
    /// Whether Flagger's checks pass from now on.
    Metrics(bool),
    /// A person moves the ticket of this stage of this attempt.
    Decide { attempt: u64, stage: String, status: String },
    /// How an attempt ended.
    End { attempt: u64, outcome: String },
    /// Flagger looks. The questions with their answers, and how far Flagger is after that.
    Look { asks: Vec<Ask>, then: Option<Position> },
}

/// A question, and the answer that is right.
struct Ask {
    attempt: u64,
    path: String,
    answer: u16,
}

/// The Canary of a recording, and its steps after the initialisation.
fn recording(name: &str) -> (Value, Vec<Step>) {
    let text = fs::read_to_string(format!("fixtures/flagger/undecidable/{name}.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut steps = Vec::new();
    for line in lines.iter().skip_while(|line| line["do"] != "ship") {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        if line["ask"].is_string() {
            let Some(Step::Look { asks, .. }) =
                steps.iter_mut().rfind(|step| matches!(step, Step::Look { .. }))
            else {
                panic!("{name}: a question before Flagger looks: {line}");
            };
            let answer = u16::try_from(line["answer"].as_u64().unwrap()).unwrap();
            asks.push(Ask { attempt: line["attempt"].as_u64().unwrap(), path: text("ask"), answer });
            continue;
        }
        match line["do"].as_str() {
            Some("ship") => steps.push(Step::Ship(text("how").rsplit(':').next().unwrap().to_owned())),
            Some("note") => steps.push(Step::Metrics(text("note").contains("pass"))),
            Some("decide") => steps.push(Step::Decide {
                attempt: line["attempt"].as_u64().unwrap(),
                stage: text("stage"),
                status: text("status"),
            }),
            Some("end") => {
                steps
                    .push(Step::End { attempt: line["attempt"].as_u64().unwrap(), outcome: text("outcome") });
            }
            Some("tick") => {
                let before = position(line);
                if let Some(Step::Look { then, .. }) =
                    steps.iter_mut().rfind(|step| matches!(step, Step::Look { .. }))
                {
                    *then = Some(before);
                }
                steps.push(Step::Look { asks: Vec::new(), then: None });
            }
            // A report, or something that is not done here.
            Some(_) | None => {}
        }
    }
    (canary(&lines[0]), steps)
}

fn position(tick: &Value) -> Position {
    let number = |key: &str| tick[key].as_i64().unwrap();
    Position {
        phase: tick["phase_before"].as_str().unwrap().to_owned(),
        weight: number("weight_before"),
        iterations: number("iterations_before"),
        failed_checks: number("failed_checks_before"),
    }
}

/// The Canary that a recording's first line describes.
fn canary(line: &Value) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": { "name": "podinfo", "namespace": "replaced" },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": line["kind"], "name": "podinfo" },
            "service": { "port": 9898 },
            "analysis": line["analysis"],
        },
    })
}

/// A recording that is played.
struct Play {
    name: &'static str,
    scene: Scene,
    /// The ticket of each attempt and stage.
    tickets: BTreeMap<(u64, String), String>,
    outcomes: BTreeMap<u64, String>,
    /// How many calls of Flagger were compared.
    heard: usize,
    /// Whether a version was pushed since Flagger looked last.
    pushed: bool,
    /// Whether Flagger asked nothing when it looked last.
    silent: bool,
}

impl Play {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Ship(version) => {
                self.scene.pushes(&image(&version)).await;
                self.pushed = true;
            }
            Step::Metrics(pass) => self.scene.relay.metrics_pass(pass),
            // The person leaves it as it is.
            Step::Decide { status, .. } if status == "Waiting" => {}
            Step::Decide { attempt, stage, status } => {
                self.scene.decides(&self.tickets[&(attempt, stage)], &status).await;
            }
            Step::End { attempt, outcome } => {
                // Nobody tells the bridge: what the Canary says counts, and Flagger's intervals leave time to read that.
                match outcome.as_str() {
                    "superseded" if self.silent => self.scene.sees_another_version().await,
                    _ if self.silent => self.is_told(attempt, &outcome).await,
                    _ => {}
                }
                self.outcomes.insert(attempt, outcome);
            }
            Step::Look { asks, then } => {
                self.looks(&asks, then.as_ref()).await;
                self.silent = asks.is_empty();
                if let Some(Ask { attempt, path, answer: 403 }) = asks.last()
                    && path != "/gate/rollback"
                {
                    self.has_ticket(*attempt, path.trim_start_matches("/gate/")).await;
                }
            }
        }
    }

    /// The tickets of an attempt are told how it ended.
    async fn is_told(&self, attempt: u64, outcome: &str) {
        for (_, key) in self.tickets.iter().filter(|((of, _), _)| *of == attempt) {
            self.scene.is_told(key, outcome).await;
        }
    }

    /// The gate of this stage has a ticket, and it is not that of another attempt.
    async fn has_ticket(&mut self, attempt: u64, stage: &str) {
        let of = (attempt, stage.to_owned());
        let others: Vec<String> =
            self.tickets.iter().filter(|(it, _)| **it != of).map(|(_, key)| key.clone()).collect();
        let mut key = None;
        until(&format!("{}: a ticket of {stage} of attempt {attempt}", self.name), async || {
            key = self.scene.ticket(stage).await.filter(|key| !others.contains(key));
            key.is_some()
        })
        .await;
        let key = key.unwrap();
        let known = self.tickets.entry(of).or_insert_with(|| key.clone());
        assert_eq!(*known, key, "{}: another ticket of {stage} of attempt {attempt}", self.name);
    }

    /// The questions since the last look, and their answers.
    fn asked(&self) -> Vec<(String, u16)> {
        let calls = self.scene.relay.calls().split_off(self.heard);
        let asked = calls.into_iter().filter(|call| call.path.starts_with("/gate/"));
        asked.map(|call| (call.path, call.status)).collect()
    }

    async fn looks(&mut self, asks: &[Ask], then: Option<&Position>) {
        let right: Vec<(String, u16)> = asks.iter().map(|ask| (ask.path.clone(), ask.answer)).collect();
        let before = self.scene.status().await;
        let stays = then.is_none_or(|then| *then == Position::of(&before));
        if stays && asks.is_empty() && !self.pushed {
            // Nothing would show that Flagger has looked.
            return;
        }
        // Only the hash of what it applied shows that it saw a version and left it at that.
        let only_sees = stays && asks.is_empty();
        self.pushed = false;
        let began = Instant::now();
        loop {
            self.scene.looks().await;
            let looked = Instant::now();
            loop {
                sleep(Duration::from_millis(50)).await;
                let (status, asked) = (self.scene.status().await, self.asked());
                let position = Position::of(&status);
                let name = self.name;
                assert!(
                    right.starts_with(&asked),
                    "{name}: Flagger asked, and was answered\n{asked:?}; recorded as right is\n{right:?}"
                );
                let arrived = then.is_none_or(|then| position == *then);
                if asked == right && arrived && (!only_sees || status != before) {
                    self.heard = self.scene.relay.calls().len();
                    return;
                }
                assert!(
                    began.elapsed() < PATIENCE,
                    "{name}: {position:?} is never {then:?}, asked {asked:?} of {right:?}"
                );
                if looked.elapsed() > LOOK_AGAIN && asked.is_empty() && status == before {
                    break;
                }
            }
        }
    }
}

/// Plays a recording to its end.
async fn plays(name: &'static str) {
    let (canary, steps) = recording(name);
    let scene = Scene::start(&name.to_lowercase(), canary).await;
    let heard = scene.relay.calls().len();
    let mut play = Play {
        name,
        scene,
        tickets: BTreeMap::new(),
        outcomes: BTreeMap::new(),
        heard,
        pushed: false,
        silent: false,
    };
    let mut shipped = String::new();
    for step in steps {
        if let Step::Ship(version) = &step {
            shipped = image(version);
        }
        play.step(step).await;
    }
    for (attempt, outcome) in &play.outcomes {
        play.is_told(*attempt, outcome).await;
    }
    play.scene.ships(&shipped).await;
    play.scene.finish().await;
}

/// A test that plays each of these recordings.
macro_rules! plays {
    ($($test:ident: $name:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
        #[ignore = "run by .ci/cluster"]
        async fn $test() {
            plays($name).await;
        }
    )*

        /// None is left out.
        #[test]
        fn each_recording_is_played() {
            let files = fs::read_dir("fixtures/flagger/undecidable").unwrap();
            let mut files: Vec<String> =
                files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            assert_eq!(files, [$(concat!($name, ".jsonl")),*]);
        }
    };
}

plays! {
    rejected_at_rollout_07a: "07a-rejected-at-rollout",
    revert_while_waiting_07b: "07b-revert-while-waiting",
    newer_while_waiting_silent_07c: "07c-newer-while-waiting-silent",
    approved_then_newer_before_asked_07d: "07d-approved-then-newer-before-asked",
    failed_then_two_pushes_07e: "07e-failed-then-two-pushes",
    v2_v3_v2_promotion_only_08c: "08c-v2-v3-v2-promotion-only",
    indistinguishable_promotion_only_23a: "23a-indistinguishable-promotion-only",
    twin_other_attempt_33b: "33b-twin-other-attempt",
    twin_other_attempt_two_gates_33d: "33d-twin-other-attempt-two-gates",
    twin_progressing_other_attempt_33h: "33h-twin-progressing-other-attempt",
}
