//! The story of a canary: revisions are pushed, Flagger asks, people decide in Jira. Every answer is judged at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fake_jira::MIA;
use flagger_jira_bridge::{
    clock::Clock,
    demo::fake_flagger::{Answered, Call, FakeFlagger, Phase, Tick},
    millis::Millis,
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::{Instant, sleep};

use crate::{judge, tally::Part, world::World};

const ROLLOUT: &str = "confirm-rollout";
const TRAFFIC: &str = "confirm-traffic-increase";
const PROMOTION: &str = "confirm-promotion";
/// How long a rollout may make no progress: bridges that are killed again and again may need long.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(240);
/// How long after a move a reading of the ticket that was under way may still show the status before.
const READING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take until every replica knows what one of them knows.
const SPREADS_WITHIN: Duration = Duration::from_secs(3);

/// One attempt to ship a revision, as the story knows it: Flagger's messages do not identify attempts.
pub(crate) struct Attempt {
    pub(crate) began: Millis,
    /// By stage.
    pub(crate) gates: BTreeMap<String, Gate>,
    pub(crate) ended: Ended,
}

impl Attempt {
    /// Whether a newer revision may have replaced this one before the bridge received its checksum: no gate after
    /// confirm-rollout had a ticket. To such a bridge both are one rollout.
    pub(crate) fn may_live_on(&self) -> bool {
        self.ended == Ended::Restarted && self.gates.keys().all(|stage| stage == ROLLOUT)
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It has not ended.
    Not,
    /// A newer revision replaced it, without a question.
    Restarted,
    /// Flagger reported it.
    Reported {
        /// The word that the comments on its tickets must contain.
        word: &'static str,
        /// Whether a report was answered 200.
        stored: bool,
    },
}

/// A gate of an attempt.
pub(crate) struct Gate {
    /// The ticket that answers name.
    pub(crate) key: String,
    pub(crate) last_move: PersonMove,
    opened: bool,
    /// Whether a person moved the ticket after the attempt had ended.
    pub(crate) moved_late: bool,
}

/// What a person did with a ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PersonMove {
    Nothing,
    Approved(Instant),
    Rejected(Instant),
    Withdrawn {
        at: Instant,
        /// When an answer of the bridge first showed that it knows.
        known: Option<Instant>,
    },
}

/// What people plan for an attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Plan {
    reject: Option<&'static str>,
    withdraw: Option<&'static str>,
    /// Push a newer revision while Flagger asks at this stage.
    restart: Option<&'static str>,
}

/// A canary, its Flagger and its people.
pub(crate) struct Story {
    world: Arc<World>,
    flagger: FakeFlagger,
    pub(crate) canary: String,
    pub(crate) attempts: Vec<Attempt>,
    choices: StdRng,
    revision: u32,
    progressed_at: Instant,
}

impl Story {
    pub(crate) fn new(world: Arc<World>, number: u32) -> anyhow::Result<Self> {
        let canary = format!("cart-{number}");
        let flagger = FakeFlagger::new(&format!("http://{}", world.gate.address), "shop", &canary)?;
        let choices = world.rng(number);
        Ok(Self {
            world,
            flagger,
            canary,
            attempts: Vec::new(),
            choices,
            revision: 1,
            progressed_at: Instant::now(),
        })
    }

    /// Rolls out until no process is killed any more, and then once more, to the end.
    pub(crate) async fn play(mut self) -> anyhow::Result<Self> {
        while self.flagger.phase() != Phase::Initialized {
            drop(self.tick().await);
        }
        loop {
            let last = self.world.is_quiet();
            let plan = if last { Plan::default() } else { self.plan() };
            let ended = self.roll_out(plan).await;
            judge::judge_so_far(&self.world);
            if !ended || last {
                return Ok(self);
            }
        }
    }

    fn plan(&mut self) -> Plan {
        let stage = [ROLLOUT, TRAFFIC, PROMOTION][self.choices.random_range(0..3)];
        match self.choices.random_range(0..10) {
            0..3 => Plan { reject: Some(stage), ..Plan::default() },
            3..5 => Plan { withdraw: Some(stage), ..Plan::default() },
            5..7 => Plan { restart: Some(stage), ..Plan::default() },
            _ => Plan::default(),
        }
    }

    /// Plays one rollout, or several if newer revisions replace it. Returns whether the last one ended.
    async fn roll_out(&mut self, mut plan: Plan) -> bool {
        // After a failure the same revision may be tried again.
        let again = self.flagger.phase() == Phase::Failed && self.choices.random_bool(0.5);
        self.push(again);
        loop {
            let tick = self.tick().await;
            let word = match tick.phase {
                Phase::Succeeded => Some("succeeded"),
                Phase::Failed => Some("failed"),
                Phase::Initializing
                | Phase::Initialized
                | Phase::Waiting
                | Phase::Progressing
                | Phase::WaitingPromotion
                | Phase::Promoting
                | Phase::Finalising => None,
            };
            // Until Flagger begins, its phase is still the end of the previous rollout.
            if let Some(word) = word.filter(|_| reports_an_end(&tick)) {
                self.end(word, &tick);
                return true;
            }
            self.act(&tick, &mut plan);
            if self.progressed_at.elapsed() > PROGRESS_TIMEOUT {
                let (phase, canary) = (tick.phase.as_str(), &self.canary);
                let last = tick.calls.iter().rfind(|call| call.question().is_some());
                let words = format!("{canary} makes no progress in {phase}: {last:?}, {}", self.gates_text());
                self.world.violation(&words);
                return false;
            }
        }
    }

    fn gates_text(&self) -> String {
        let gates = self.attempts.last().map(|attempt| &attempt.gates);
        let gates = gates.into_iter().flatten().map(|(stage, gate)| {
            format!("{stage} has {}, {:?}, opened: {}", gate.key, gate.last_move, gate.opened)
        });
        gates.collect::<Vec<_>>().join("; ")
    }

    fn push(&mut self, again: bool) {
        if !again {
            self.revision += 1;
        }
        let (began, gates) = (Clock::System.now(), BTreeMap::new());
        self.attempts.push(Attempt { began, gates, ended: Ended::Not });
        self.flagger.push(&format!("v{}", self.revision));
        self.progressed_at = Instant::now();
    }

    fn end(&mut self, word: &'static str, tick: &Tick) {
        let stored = tick.calls.iter().any(|call| is_an_end(call) && status(call) == Some(200));
        self.world.run.tally.count(Part::Rollouts, word);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended = Ended::Reported { word, stored };
        }
    }

    /// Lets Flagger run once, and judges its calls.
    async fn tick(&mut self) -> Tick {
        // With several replicas, a change may take two seconds to reach all of them; Flagger must not ask sooner.
        let millis = if self.world.run.options.replicas > 1 { 2_300..2_600 } else { 30..250 };
        let wait = Duration::from_millis(self.choices.random_range(millis));
        sleep(wait).await;
        let (phase, weight) = (self.flagger.phase(), self.opened_gates());
        let tick = self.flagger.tick(Clock::System.now()).await;
        if (tick.phase, self.opened_gates()) != (phase, weight) {
            self.progressed_at = Instant::now();
        }
        for call in &tick.calls {
            self.judge_call(call);
        }
        tick
    }

    /// How many gates of this attempt have opened.
    fn opened_gates(&self) -> usize {
        self.attempts.last().map_or(0, |attempt| attempt.gates.values().filter(|gate| gate.opened).count())
    }

    fn judge_call(&mut self, call: &Call) {
        let tally = &self.world.run.tally;
        let Some(question) = call.question() else {
            match status(call) {
                None => tally.count(Part::Reports, "no answer"),
                Some(status @ (200 | 503)) => tally.count(Part::Reports, status.to_string()),
                Some(_) => self.violation(&format!("an answer to a report: {call:?}")),
            }
            return;
        };
        let Answered::Response { status, line } = &call.answered else {
            return tally.count(Part::Questions, "no answer");
        };
        match (status, question) {
            (200, "rollback") => self.judge_rollback(line),
            (403, "rollback") => tally.count(Part::Questions, "do not roll back"),
            (200, stage) => self.judge_open(stage, line),
            (403, stage) => self.judge_closed(stage, line),
            _ => self.violation(&format!("an answer to a question: {call:?}")),
        }
    }

    fn judge_rollback(&self, line: &str) {
        self.world.run.tally.count(Part::Questions, "roll back");
        let rejected = |attempt: &Attempt| {
            attempt
                .gates
                .values()
                .any(|gate| matches!(gate.last_move, PersonMove::Rejected(_)) && line.contains(&gate.key))
        };
        if !self.attempts.last().is_some_and(rejected) {
            self.violation(&format!("a rollback without a rejection: {line}"));
        }
    }

    fn judge_open(&mut self, stage: &str, line: &str) {
        self.world.run.tally.count(Part::Questions, "open");
        let Some(gate) = self.named(stage, line) else {
            return self.violation(&format!("{stage} is open without a ticket of its own: {line}"));
        };
        let wrong = match gate.last_move {
            PersonMove::Nothing | PersonMove::Rejected(_) => true,
            PersonMove::Approved(_) => false,
            PersonMove::Withdrawn { known, .. } => {
                known.is_some_and(|known| known.elapsed() > SPREADS_WITHIN)
            }
        };
        let first = !std::mem::replace(&mut gate.opened, true);
        let (hand, key) = (gate.last_move, gate.key.clone());
        if wrong {
            return self
                .violation(&format!("{stage} is open without an approval of {key} ({hand:?}): {line}"));
        }
        if let PersonMove::Approved(at) = hand
            && first
        {
            self.world.run.tally.opened_after(at.elapsed());
        }
    }

    fn judge_closed(&mut self, stage: &str, line: &str) {
        self.world.run.tally.count(Part::Questions, "closed");
        if let Some(gate) = self.named(stage, line)
            && let PersonMove::Withdrawn { at, known: known @ None } = &mut gate.last_move
            && at.elapsed() > READING_TIMEOUT
        {
            *known = Some(Instant::now());
        }
    }

    /// The gate of the ticket that an answer names. The ticket must belong to this rollout, and must not change.
    fn named(&mut self, stage: &str, line: &str) -> Option<&mut Gate> {
        let key = key(line)?;
        let issue = self.world.jira.issue(key);
        let attempt = self.attempts.last()?;
        let summary = format!("Approve {stage} of shop/{} on default", self.canary);
        let known = attempt.gates.get(stage).map(|gate| gate.key.clone());
        let wrong = match &issue {
            None => Some("a ticket that does not exist"),
            Some(issue) if issue.summary != summary => Some("the ticket of another gate"),
            Some(issue) if Millis(issue.created) < attempt.began => Some("the ticket of an earlier rollout"),
            Some(_) if known.as_deref().is_some_and(|known| known != key) => {
                Some("another ticket than before")
            }
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            self.violation(&format!("{stage} is answered with {wrong} (before: {known:?}): {line}"));
            return None;
        }
        if known.is_none() {
            self.progressed_at = Instant::now();
        }
        let gate =
            || Gate { key: key.to_owned(), last_move: PersonMove::Nothing, opened: false, moved_late: false };
        Some(self.attempts.last_mut()?.gates.entry(stage.to_owned()).or_insert_with(gate))
    }

    /// People carry out their plan, some time after Flagger asked.
    fn act(&mut self, tick: &Tick, plan: &mut Plan) {
        if self.choices.random_bool(0.03) {
            self.move_an_ended_ticket();
        }
        let asked = tick.calls.iter().filter_map(Call::question).rfind(|question| *question != "rollback");
        let Some(stage) = asked else { return };
        let under_way = matches!(tick.phase, Phase::Progressing | Phase::WaitingPromotion);
        if plan.restart == Some(stage) && under_way && self.choices.random_bool(0.3) {
            plan.restart = None;
            if let Some(attempt) = self.attempts.last_mut() {
                attempt.ended = Ended::Restarted;
            }
            self.world.run.tally.count(Part::Rollouts, "superseded by a newer revision");
            return self.push(false);
        }
        let Some(hand) =
            self.attempts.last().and_then(|attempt| attempt.gates.get(stage)).map(|gate| gate.last_move)
        else {
            return;
        };
        let approves = PersonMove::Approved(Instant::now());
        match hand {
            PersonMove::Nothing if !self.choices.random_bool(0.6) => {}
            PersonMove::Nothing if plan.reject == Some(stage) => {
                self.decide(stage, "Rejected", PersonMove::Rejected(Instant::now()));
            }
            PersonMove::Nothing => self.decide(stage, "Approved", approves),
            PersonMove::Approved(_) if plan.withdraw == Some(stage) && self.choices.random_bool(0.5) => {
                plan.withdraw = None;
                self.decide(stage, "To Do", PersonMove::Withdrawn { at: Instant::now(), known: None });
            }
            // A rejection at confirm-rollout ends nothing: they change their minds.
            PersonMove::Rejected(at) if stage == ROLLOUT && at.elapsed() > READING_TIMEOUT => {
                self.decide(stage, "Approved", approves);
            }
            PersonMove::Withdrawn { known: Some(known), .. } if known.elapsed() > 2 * SPREADS_WITHIN => {
                self.decide(stage, "Approved", approves);
            }
            PersonMove::Approved(_) | PersonMove::Rejected(_) | PersonMove::Withdrawn { .. } => {}
        }
    }

    fn decide(&mut self, stage: &str, status: &str, hand: PersonMove) {
        let Some(gate) = self.attempts.last_mut().and_then(|attempt| attempt.gates.get_mut(stage)) else {
            return;
        };
        gate.last_move = hand;
        let key = gate.key.clone();
        self.move_ticket(&key, status);
        self.progressed_at = Instant::now();
    }

    /// A person moves a ticket although its rollout has ended.
    fn move_an_ended_ticket(&mut self) {
        let status = if self.choices.random_bool(0.7) { "Approved" } else { "Rejected" };
        let over = self.attempts.len().saturating_sub(1);
        let Some(attempt) = (over > 0).then(|| self.choices.random_range(0..over)) else { return };
        let attempt = &mut self.attempts[attempt];
        if attempt.may_live_on() {
            return;
        }
        let Some(gate) = attempt.gates.values_mut().find(|gate| !gate.moved_late) else { return };
        gate.moved_late = true;
        let key = gate.key.clone();
        self.move_ticket(&key, status);
    }

    fn move_ticket(&self, key: &str, status: &str) {
        self.world.run.tally.count(Part::People, format!("to {status}"));
        if let Err(error) = self.world.jira.move_issue(key, status, MIA) {
            self.violation(&format!("{key} cannot be moved to {status}: {error}"));
        }
    }

    pub(crate) fn violation(&self, what: &str) {
        let (canary, attempt) = (&self.canary, self.attempts.len());
        self.world.violation(&format!("{canary}, rollout {attempt}: {what}"));
    }
}

/// Whether a call reports the end of a rollout.
fn is_an_end(call: &Call) -> bool {
    call.question().is_none() && matches!(call.phase, Phase::Succeeded | Phase::Failed)
}

fn reports_an_end(tick: &Tick) -> bool {
    tick.calls.iter().any(|call| call.path == "/post-rollout") && tick.calls.iter().any(is_an_end)
}

fn status(call: &Call) -> Option<u16> {
    match &call.answered {
        Answered::Response { status, .. } => Some(*status),
        Answered::NoResponse { .. } => None,
    }
}

/// The ticket that an answer names: `closed: OPS-7 (To Do), …`.
fn key(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(": ")?;
    let (key, _) = rest.split_once(" (")?;
    key.starts_with("OPS-").then_some(key)
}
