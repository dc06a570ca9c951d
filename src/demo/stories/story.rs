//! The steps of a story. Each waits for an observable condition with a timeout, never for a fixed time.

use std::{collections::HashSet, fmt::Debug, time::Duration};

use fake_jira::MIA;
use tokio::time::{Instant, sleep};

use crate::{
    clock::Clock,
    demo::{
        commentary::Commentary,
        fake_flagger::{
            CONFIRM_HOOKS, CONFIRM_PROMOTION, CONFIRM_ROLLOUT, CONFIRM_TRAFFIC_INCREASE, Call, FakeFlagger,
            Phase, Tick,
        },
        release::Release,
        world::{RETRY_INTERVAL, World},
    },
    gate::Verdict,
    view::GateView,
};

/// The questions of a rollout, in order.
pub(super) const STAGES: [&str; 3] = CONFIRM_HOOKS;
pub(super) const ROLLOUT: &str = CONFIRM_ROLLOUT;
pub(super) const TRAFFIC: &str = CONFIRM_TRAFFIC_INCREASE;
pub(super) const PROMOTION: &str = CONFIRM_PROMOTION;
/// The timeout for each condition.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval between two checks of Flagger while waiting.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Where the canaries are.
const NAMESPACE: &str = "shop";

/// The result of a step or a story.
pub(super) type StoryResult<T = ()> = Result<T, Mismatch>;

/// What went wrong.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub expected: String,
    pub saw: String,
}

impl Mismatch {
    fn new(expected: impl Into<String>, saw: impl Into<String>) -> Self {
        Self { expected: expected.into(), saw: saw.into() }
    }
}

/// A canary, and the people around it.
pub(super) struct Story<'a> {
    world: &'a mut World,
    commentary: &'a mut Commentary,
    flagger: FakeFlagger,
    canary: &'static str,
    /// The hooks that were ever answered open.
    opened: HashSet<String>,
}

impl<'a> Story<'a> {
    /// A new canary whose first revision is the primary.
    pub(super) async fn begin(
        world: &'a mut World,
        commentary: &'a mut Commentary,
        canary: &'static str,
    ) -> StoryResult<Self> {
        let flagger = FakeFlagger::new(&world.gate, NAMESPACE, canary)
            .map_err(|error| Mismatch::new("a client for Flagger", error.to_string()))?;
        world.cluster.show(&flagger);
        let mut story = Self { world, commentary, flagger, canary, opened: HashSet::new() };
        story.check_until_phase(Phase::Initialized).await?;
        Ok(story)
    }

    /// A developer pushes a revision.
    pub(super) fn push(&mut self, revision: &str) {
        self.commentary.say(&format!("A developer pushes {revision} of {}", self.flagger.canary()));
        Release::of_bob(revision).push_to(&mut self.flagger);
        self.world.cluster.show(&self.flagger);
    }

    /// The canary's phase.
    pub(super) fn phase(&self) -> Phase {
        self.flagger.phase()
    }

    /// Whether a hook was ever answered open.
    pub(super) fn was_open(&self, hook: &str) -> bool {
        self.opened.contains(hook)
    }

    async fn check(&mut self) -> Tick {
        let tick = self.flagger.tick(Clock::System.now()).await;
        self.world.cluster.show(&self.flagger);
        self.commentary.jira(&self.world.jira);
        self.commentary.flagger(&self.flagger, &tick);
        let opened = tick.calls.iter().filter(|call| call.answered.is_open()).filter_map(Call::question);
        self.opened.extend(opened.map(str::to_owned));
        tick
    }

    /// Lets Flagger check the canary until a check satisfies `wanted`.
    async fn check_until(&mut self, what: &str, wanted: impl Fn(&Tick) -> bool) -> StoryResult<Tick> {
        let until = Instant::now() + STEP_TIMEOUT;
        loop {
            let tick = self.check().await;
            if wanted(&tick) {
                return Ok(tick);
            }
            if Instant::now() > until {
                let last = tick.calls.iter().rfind(|call| call.question().is_some());
                let last = last.map_or_else(String::new, |call| format!(" and {:?}", call.answered));
                return Err(Mismatch::new(what, format!("phase {}{last}", tick.phase.as_str())));
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Lets Flagger check until the canary is in this phase.
    pub(super) async fn check_until_phase(&mut self, phase: Phase) -> StoryResult {
        let what = format!("{} to become {}", self.flagger.canary(), phase.as_str());
        self.check_until(&what, |tick| tick.phase == phase).await.map(drop)
    }

    /// Lets Flagger check until this question is answered open.
    pub(super) async fn check_until_open(&mut self, hook: &str) -> StoryResult {
        let what = format!("{hook} to be answered 200");
        let open = |call: &Call| call.question() == Some(hook) && call.answered.is_open();
        self.check_until(&what, |tick| tick.calls.iter().any(open)).await.map(drop)
    }

    /// Lets Flagger check until it asks this question, which must be refused. Returns the ticket once it exists.
    pub(super) async fn wait_for_ticket(&mut self, stage: &str) -> StoryResult<String> {
        let asks = |call: &Call| call.question() == Some(stage);
        let what = format!("{stage} to be asked");
        let tick = self.check_until(&what, |tick| tick.calls.iter().any(asks)).await?;
        refused(&tick, stage)?;
        let ticket = |gates: &[GateView]| {
            let gate = gates.iter().find(|gate| gate.stage == stage)?;
            gate.ticket.as_ref().map(|ticket| ticket.key.clone())
        };
        let key = self.until(&format!("a ticket for {stage}"), ticket).await?;
        let exists = self.world.jira.issue(&key).is_some();
        self.expect(exists, &format!("{key} to be in Jira"), "no such issue")?;
        self.commentary.jira(&self.world.jira);
        Ok(key)
    }

    /// Lets Flagger check once: it must ask this question and be refused.
    pub(super) async fn expect_closed(&mut self, stage: &str) -> StoryResult {
        let tick = self.check().await;
        refused(&tick, stage)
    }

    /// Passes a gate: refused, ticket opened, approved, open. Returns the ticket.
    pub(super) async fn pass_gate(&mut self, stage: &str) -> StoryResult<String> {
        let ticket = self.wait_for_ticket(stage).await?;
        self.move_ticket(&ticket, "Approved")?;
        self.check_until_open(stage).await?;
        Ok(ticket)
    }

    /// Mia moves a ticket.
    pub(super) fn move_ticket(&mut self, ticket: &str, status: &str) -> StoryResult {
        let moved = self.world.jira.move_issue(ticket, status, MIA);
        self.commentary.jira(&self.world.jira);
        moved.map_err(|error| Mismatch::new(format!("{ticket} to be moved to {status}"), error))
    }

    /// Waits until the bridge has noticed the state of a ticket, without a question from Flagger.
    pub(super) async fn wait_for_verdict(&mut self, ticket: &str, verdict: Verdict) -> StoryResult {
        let stands = |gates: &[GateView]| {
            let gate = gates.iter().find(|g| g.ticket.as_ref().is_some_and(|t| t.key == ticket))?;
            (gate.state == verdict).then_some(())
        };
        let what = format!("{ticket} to be {}", verdict.as_str());
        self.until(&what, stands).await?;
        self.commentary.say(&format!("The bridge knows: {ticket} is {}", verdict.as_str()));
        Ok(())
    }

    /// The status of a ticket in Jira.
    pub(super) fn status(&self, ticket: &str) -> String {
        self.world.jira.issue(ticket).map_or_else(String::new, |issue| issue.status)
    }

    /// The gates of this canary, as the bridge shows them.
    pub(super) async fn gates(&self) -> StoryResult<Vec<GateView>> {
        let gates = self.world.gates().await;
        let mut gates = gates.map_err(|error| Mismatch::new("an answer of /api/gates", error.to_string()))?;
        gates.retain(|gate| gate.canary == self.canary);
        Ok(gates)
    }

    async fn until<T>(&mut self, what: &str, wanted: impl Fn(&[GateView]) -> Option<T>) -> StoryResult<T> {
        let until = Instant::now() + STEP_TIMEOUT;
        loop {
            let gates = self.gates().await?;
            if let Some(found) = wanted(&gates) {
                return Ok(found);
            }
            if Instant::now() > until {
                let shown = gates.iter().map(|gate| {
                    let state = gate.state.as_str();
                    format!("{} {state} ({})", gate.stage, gate.reason)
                });
                return Err(Mismatch::new(what, shown.collect::<Vec<_>>().join("; ")));
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// Stops the bridge.
    pub(super) async fn stop_bridge(&mut self) -> StoryResult {
        let stopped = self.world.stop().await;
        self.commentary.say("The bridge is stopped");
        stopped.map_err(|error| Mismatch::new("the bridge to stop", error.to_string()))
    }

    /// Starts the bridge again.
    pub(super) async fn restart_bridge(&mut self) -> StoryResult {
        let back = self.world.restart().await;
        self.commentary.say("The bridge is back");
        back.map_err(|error| Mismatch::new("the bridge to come back", error.to_string()))
    }

    /// Expects exactly this number of tickets for this canary in Jira.
    pub(super) fn expect_tickets(&self, number: usize) -> StoryResult {
        let issues = self.world.jira.issues();
        let about = issues.iter().filter(|issue| issue.summary.contains(self.canary));
        let keys: Vec<_> = about.map(|issue| &issue.key).collect();
        self.expect(keys.len() == number, &format!("{number} tickets in all"), &keys)
    }

    /// Fails the story unless `so` holds.
    #[expect(clippy::unused_self, reason = "it reads as what the story does")]
    pub(super) fn expect(&self, so: bool, expected: &str, saw: impl Debug) -> StoryResult {
        if so { Ok(()) } else { Err(Mismatch::new(expected, format!("{saw:?}"))) }
    }
}

/// Expects that Flagger asked the question and was refused.
fn refused(tick: &Tick, stage: &str) -> StoryResult {
    match tick.calls.iter().find(|call| call.question() == Some(stage)) {
        Some(call) if !call.answered.is_open() => Ok(()),
        Some(call) => Err(Mismatch::new(format!("{stage} to be closed"), format!("{:?}", call.answered))),
        None => Err(Mismatch::new(format!("{stage} to be asked"), format!("phase {}", tick.phase.as_str()))),
    }
}
