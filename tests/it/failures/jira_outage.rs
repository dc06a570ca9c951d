//! Jira answers wrongly or not at all for a while: the answers to Flagger, the number of requests to Jira, and the
//! recovery without a restart.
//!
//! The HTTP client waits on tokio's clock, everything else on the test's: [`World::advance_all_clocks`] advances both.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use fake_jira::{Fault, MIA, Operation, Recorded, Times};
use flagger_jira_bridge::millis::Millis;
use serde_json::Value;
use tokio::{select, time};

use crate::world::{Answer, World, question};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The interval at which the worker runs here.
const STEP: Duration = Duration::from_secs(5);
const TRUST_FOR: Duration = Duration::from_secs(120);
const SETTINGS: &str = "jira.trust_for = \"2m\"\napproval.approvers = [\"group:cab\"]\nticket.transitions = { failed = \"Cancelled\" }\n";

/// A temporary failure of Jira.
struct Trouble {
    on: &'static [Operation],
    fault: Fault,
    /// Words that the answers to Flagger contain.
    says: &'static str,
    /// The limit of requests per hour; 50 more are allowed in total.
    most: u64,
    /// The longest time until everything has recovered.
    heals: Duration,
    /// Whether the bridge is restarted when it begins.
    restarts: bool,
    /// Whether commands are parked: the bridge is restarted when it is over, which retries them.
    parks: bool,
    /// Whether Jira rejects the credentials.
    locks_out: bool,
    lasts: Duration,
}

impl Trouble {
    /// A failure of all requests.
    fn new(fault: Fault, says: &'static str) -> Self {
        let on = &[Operation::Any];
        // A step of the backoff is five minutes at most, and a fifth more.
        Self {
            on,
            fault,
            says,
            most: 500,
            heals: Duration::from_secs(365),
            restarts: false,
            parks: false,
            locks_out: false,
            lasts: outage_duration(),
        }
    }

    fn only(on: &'static [Operation], fault: Fault, says: &'static str) -> Self {
        Self { on, ..Self::new(fault, says) }
    }

    /// The bridge only requests `/myself`, every 15 seconds.
    fn locks_out(self) -> Self {
        Self { most: 240, locks_out: true, ..self }
    }
}

/// The duration of each failure: four minutes, or as many as `TROUBLE_MINUTES` says.
fn outage_duration() -> Duration {
    let minutes = std::env::var("TROUBLE_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    MINUTE * minutes.unwrap_or(4)
}

fn status(code: u16, retry_after: Option<&str>) -> Fault {
    let body = "<html><body>no</body></html>".into();
    Fault::Status { code, retry_after: retry_after.map(str::to_owned), body }
}

fn too_many(retry_after: &str) -> Fault {
    Fault::TooMany { retry_after: Some(retry_after.to_owned()) }
}

impl World {
    /// Asks about the promotion of a canary.
    async fn asks_about(&self, canary: &str) -> Answer {
        let answer = self.posts("/gate/confirm-promotion", &of(canary, "Progressing")).await;
        assert!([200, 403].contains(&answer.status), "{answer:?}");
        answer
    }

    /// The gate of a canary in `/api/gates`.
    async fn shown(&self, canary: &str) -> Value {
        let gates = self.gates().await;
        gates.as_array().unwrap().iter().find(|gate| gate["canary"] == canary).cloned().unwrap()
    }

    /// Runs the worker, which must not wait for the end of a pause.
    async fn runs_worker_promptly(&self) {
        time::timeout(30 * SECOND, self.run_worker()).await.expect("a step of the worker does not wait long");
    }

    /// The same while Jira does not answer: the bridge waits for `jira.timeout` on tokio's clock, which the test
    /// advances.
    async fn runs_worker_without_answers(&self) {
        let mut work = pin!(self.runs_worker_promptly());
        loop {
            let sent = self.jira.requests().len();
            select! {
                biased;
                () = &mut work => return,
                () = self.hangs(sent) => {
                    self.advances_timers(2 * SECOND).await;
                }
            }
        }
    }

    /// Waits until Jira has received one more request, which it does not answer.
    async fn hangs(&self, sent: usize) {
        while !self.jira.is_silent() || self.jira.requests().get(sent).is_none() {
            tokio::task::yield_now().await;
        }
    }
}

fn of(canary: &str, phase: &str) -> Value {
    let mut question = question(phase, "new");
    question["name"] = canary.into();
    question
}

/// Gates of four canaries: `waits` waits for a decision, `agreed` is approved and not used, `over` ends when the
/// failure begins, and Flagger first asks about `fresh` then.
struct Scene {
    world: World,
    keys: BTreeMap<&'static str, String>,
}

impl Scene {
    async fn set(world: World, restarts: bool) -> Self {
        world.jira.add_group("cab", &[MIA]);
        let mut keys = BTreeMap::new();
        for canary in ["waits", "agreed", "over"] {
            world.asks_about(canary).await;
            world.run_worker().await;
            keys.insert(canary, world.newest());
        }
        world.decides(&keys["agreed"], "Approved").await;
        // The cached workflow, valid for an hour, expires in the first minutes of the failure.
        world.advance_all_clocks(59 * MINUTE).await;
        world.ticks().await;
        world.run_worker().await;
        if restarts {
            world.restarts().await;
        }
        world.jira.clear_requests();
        Self { world, keys }
    }

    /// Runs the failure. Returns the requests to Jira.
    async fn fail(&mut self, trouble: &Trouble) -> Vec<Recorded> {
        let world = &self.world;
        for on in trouble.on {
            world.jira.fault(*on, trouble.fault.clone(), Times::Always);
        }
        for canary in ["fresh", "waits"] {
            assert_eq!(world.asks_about(canary).await.status, 403);
        }
        assert_eq!(world.posts("/post-rollout", &of("over", "Failed")).await.status, 200);
        // Only GET works, so tickets are still read, one at a time.
        let reads = trouble.fault == Fault::Xsrf;
        let hides_all = trouble.on == [Operation::Any] && !reads;
        let mut since = Duration::ZERO;
        while since < trouble.lasts {
            if matches!(trouble.fault, Fault::Slow(_) | Fault::Trickle) {
                world.runs_worker_without_answers().await;
            } else {
                world.runs_worker_promptly().await;
            }
            world.advance_all_clocks(STEP).await;
            since += STEP;
            world.ticks().await;
            // Three steps early, because a restart may take as long as a lease.
            if since == TRUST_FOR - 3 * STEP {
                assert_eq!(world.asks_about("agreed").await.status, 200, "Jira confirmed it recently");
            }
            if since.as_secs().is_multiple_of(60) {
                self.is_explained(trouble, since, hides_all).await;
            }
            if since == TRUST_FOR + MINUTE {
                world.jira.move_issue(&self.keys["waits"], "Approved", MIA).unwrap();
                world.nudges(&self.keys["waits"]).await;
            }
        }
        world.jira.requests()
    }

    /// Checks that every answer names the failure.
    async fn is_explained(&self, trouble: &Trouble, since: Duration, hides_all: bool) {
        let world = &self.world;
        if since > TRUST_FOR + MINUTE && trouble.fault != Fault::Xsrf {
            let answer = world.asks_about("agreed").await;
            assert_eq!(answer.status, 403);
            assert!(answer.body.contains(trouble.says), "{since:?} {}", answer.body);
            assert_eq!(world.shown("agreed").await["state"], "stale");
        }
        if hides_all {
            let answer = world.asks_about("waits").await;
            assert_eq!(answer.status, 403);
            assert!(answer.body.contains("waiting for a decision"), "{since:?} {}", answer.body);
            assert!(answer.body.contains(trouble.says), "{since:?} {}", answer.body);
            let answer = world.asks_about("fresh").await;
            assert_eq!(answer.status, 403);
            assert!(answer.body.contains(trouble.says), "{since:?} {}", answer.body);
            assert_eq!(world.shown("fresh").await["state"], "stuck");
        }
    }

    /// Ends the failure. Returns the time until everything has recovered.
    async fn heal(&mut self, trouble: &Trouble) -> Duration {
        self.world.jira.clear_faults();
        if trouble.parks {
            self.world.restarts().await;
        }
        let world = &self.world;
        let mut since = Duration::ZERO;
        while !self.is_well().await {
            assert!(since <= trouble.heals, "not recovered after {since:?}: {}", world.gates().await);
            world.advance_all_clocks(STEP).await;
            since += STEP;
            world.ticks().await;
            world.run_worker().await;
        }
        since
    }

    async fn is_well(&self) -> bool {
        let world = &self.world;
        let over = world.jira.issue(&self.keys["over"]).unwrap();
        over.status == "Cancelled"
            && over.labels.iter().any(|label| label == "flagger-ended")
            && world.jira.issues().len() == 4
            && world.asks_about("agreed").await.status == 200
            && world.asks_about("waits").await.status == 200
            && world.shown("fresh").await["ticket"].is_object()
            // The search for a possible duplicate ticket continues for a while.
            && world.count("outbox WHERE command NOT LIKE '%recount%'").await == 0
    }

    /// Checks that nothing was done twice, and ends the test.
    async fn finish(self) {
        let tickets = self.world.tickets();
        assert_eq!(tickets.len(), 4, "{tickets:?}");
        for ticket in tickets {
            let mut comments: Vec<String> = ticket.comments.iter().map(|comment| comment.text()).collect();
            let said = comments.len();
            comments.sort_unstable();
            comments.dedup();
            assert_eq!(comments.len(), said, "{}: {comments:?}", ticket.key);
        }
        self.world.finish().await;
    }
}

/// Runs the failures. Prints one line for each: the requests, and the time to recover.
async fn run(troubles: &[Trouble]) {
    for trouble in troubles {
        for world in World::both(SETTINGS).await {
            let kind = if world.is_cloud() { "Cloud" } else { "Data Center" };
            let mut scene = Scene::set(world, trouble.restarts).await;
            let sent = scene.fail(trouble).await;
            let mut fault = format!("{:?}", trouble.fault);
            fault.truncate(70);
            let taken = scene.world.jira.flooded() / sent.len().max(1) as u64;
            let other = sent.iter().filter(|it| it.operation != Operation::Myself).count();
            assert!(!trouble.locks_out || other <= 1, "{fault}: {other} requests beside /myself");
            // Bytes that the bridge does not read stay in the connection's buffers.
            assert!(taken < 24 << 20, "{taken} bytes of each answer");
            let healed = scene.heal(trouble).await;
            println!("| {fault} {:?} | {kind} | {} | {} s |", trouble.on, sent.len(), healed.as_secs());
            let most = trouble.most * trouble.lasts.as_secs() / HOUR.as_secs() + 50;
            assert!(sent.len() as u64 <= most, "{fault}: {} requests", sent.len());
            scene.finish().await;
        }
    }
}

#[tokio::test]
async fn it_answers_errors() {
    run(&[
        Trouble::new(status(500, None), "answered 500"),
        Trouble::new(status(502, None), "answered 502"),
        Trouble { most: 100, ..Trouble::new(status(503, Some("120")), "; nothing is sent before ") },
    ])
    .await;
}

#[tokio::test]
async fn it_answers_nonsense() {
    run(&[
        Trouble::new(Fault::Html, "is a log-in page in the way"),
        Trouble::new(Fault::WrongJson, "cannot be read"),
        Trouble::new(Fault::BrokenJson, "cannot be read"),
        Trouble::new(Fault::DeepJson, "cannot be read"),
        Trouble::new(Fault::Redirect, "redirects to"),
    ])
    .await;
}

/// The bridge reads at most 4 MiB of an answer.
#[tokio::test]
async fn it_answers_too_much() {
    run(&[Trouble::new(Fault::Flood, "longer than 4 MiB")]).await;
}

#[tokio::test]
async fn it_does_not_answer() {
    run(&[
        Trouble::new(Fault::Dropped, "no answer from Jira"),
        Trouble::new(Fault::LostAnswer, "no answer from Jira"),
        Trouble::new(Fault::Cut, "no answer from Jira"),
        Trouble::new(Fault::Slow(2 * HOUR), "longer than jira.timeout"),
        Trouble::new(Fault::Trickle, "longer than jira.timeout"),
    ])
    .await;
}

/// While the credentials do not work, the bridge only requests `/myself`.
#[tokio::test]
async fn it_rejects_the_credentials() {
    let unknown = "does not accept the credentials";
    run(&[
        Trouble::new(Fault::Unauthorized, unknown).locks_out(),
        Trouble::new(status(403, None), "a proxy or firewall may be in the way").locks_out(),
        Trouble::new(Fault::Anonymous, unknown).locks_out(),
        Trouble::new(Fault::Empty, unknown).locks_out(),
        Trouble { most: 12, ..Trouble::new(Fault::Captcha, "CAPTCHA").locks_out() },
    ])
    .await;
}

#[tokio::test]
async fn it_allows_only_reading() {
    run(&[Trouble { parks: true, most: 1_000, ..Trouble::new(Fault::Xsrf, "XSRF check failed") }]).await;
}

/// Only some kinds of requests fail.
#[tokio::test]
async fn some_requests_fail() {
    let broken = || status(500, None);
    let groups = &[Operation::UserGroups, Operation::User];
    run(&[
        Trouble::only(groups, broken(), "answered 500"),
        Trouble::only(groups, Fault::Dropped, "no answer from Jira"),
        Trouble::only(&[Operation::ProjectStatuses], broken(), "answered 500"),
        // Each comment is tried again, and asks who the bridge is.
        Trouble {
            restarts: true,
            most: 900,
            ..Trouble::only(&[Operation::Myself], broken(), "answered 500")
        },
    ])
    .await;
}

#[tokio::test]
async fn it_asks_to_wait() {
    run(&[
        Trouble::new(Fault::TooMany { retry_after: None }, "asks to wait"),
        Trouble { most: 40, ..Trouble::new(too_many("120"), "asks to wait") },
    ])
    .await;
}

/// The time `ahead` seconds from now, in Jira's format.
fn iso(world: &World, ahead: i64) -> String {
    jiff::Timestamp::from_second(world.clock.now().0 / 1000 + ahead).unwrap().to_string()
}

/// The HTTP date `ahead` seconds from now.
fn date(world: &World, ahead: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(world.clock.now().0 + ahead * 1000).unwrap();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

impl World {
    /// The value of a series without labels.
    async fn metric(&self, name: &str) -> f64 {
        let metrics = self.sends(self.admin("GET", "/metrics")).await.body;
        let line = metrics.lines().find(|line| line.starts_with(&format!("flagger_jira_bridge_{name} ")));
        line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Answers one poll by 429 with this header. Returns how long the bridge sent nothing.
    async fn rate_limit(&self, (name, value): (&'static str, String)) -> Duration {
        let poll = if self.is_cloud() { Operation::BulkFetch } else { Operation::Search };
        let (headers, body) = (vec![(name, value)], "Rate limit exceeded".to_owned());
        let fault = Fault::Says { code: 429, media: "text/plain", headers, body };
        self.jira.fault(poll, fault, Times::Once);
        self.jira.clear_requests();
        while self.jira.requests().is_empty() {
            self.advance_all_clocks(STEP).await;
            self.runs_worker_promptly().await;
        }
        let limited_at = self.clock.now();
        assert_eq!(self.jira.requests().len(), 1, "the refused request");
        self.asks_about("fresh").await;
        loop {
            self.runs_worker_promptly().await;
            if let Some(next) = self.jira.requests().get(1) {
                return Millis(next.at).since(limited_at);
            }
            let since = self.clock.now().since(limited_at);
            if since.as_secs() % 10 == 1 {
                let line = self.asks_about("fresh").await.body;
                assert!(
                    line.contains("asks to wait") && line.contains("; nothing is sent before "),
                    "{line}"
                );
                assert!(self.asks_about("waits").await.body.contains("asks to wait"));
            }
            self.advance_all_clocks(if since > MINUTE { 4 * STEP } else { SECOND }).await;
        }
    }
}

/// The bridge sends no request for as long as Jira says, at most an hour, and the metric counts the time. An unreadable
/// time is ignored: then the bridge waits a little.
#[tokio::test]
async fn no_request_is_sent_before_the_stated_time() {
    for case in 0..16 {
        for world in World::both(SETTINGS).await {
            world.asks_about("waits").await;
            world.run_worker().await;
            let retry = "Retry-After";
            let (name, value, silence) = match case {
                0 => (retry, "30".into(), 30),
                1 => (retry, date(&world, 90), 90 - 20),
                2 => (retry, "99999999999999999999999".into(), 3600),
                3 => (retry, date(&world, 7 * 86_400), 3600),
                4 => (retry, "0".into(), 2),
                5 => (retry, "-30".into(), 2),
                6 => (retry, "soon".into(), 2),
                7 => (retry, date(&world, -86_400), 2),
                8 => (retry, "30.0".into(), 30),
                9 => (retry, "NaN".into(), 2),
                // The next poll is some seconds away.
                10 => ("X-RateLimit-Reset", iso(&world, 90), 90 - 20),
                11 => ("X-RateLimit-Reset", iso(&world, 7 * 86_400), 3600),
                12 => ("X-RateLimit-Reset", iso(&world, -60), 2),
                13 => ("X-RateLimit-Reset", "whenever".into(), 2),
                14 => ("RateLimit", "\"tenant-app-quota\";r=0;t=40".into(), 40),
                _ => ("X-RateLimit-Remaining", "0".into(), 2),
            };
            let before = world.metric("jira_throttled_seconds_total").await;
            let silent = world.rate_limit((name, value.clone())).await;
            let most = silence * 6 / 5 + 20;
            assert!((silence..=most).contains(&silent.as_secs()), "{value}: silent for {silent:?}");
            let counted = world.metric("jira_throttled_seconds_total").await - before;
            let expected = f64::from(u32::try_from(silence).unwrap());
            assert!((expected - 0.1..expected + 1.0).contains(&counted), "{value}: counted {counted} s");
            // Each request waits up to a fifth longer, so that they are spread.
            for _ in 0..10 {
                world.advance_all_clocks(Duration::from_secs(silence / 5 + 20) / 10).await;
                world.run_worker().await;
            }
            assert_eq!(world.tickets().len(), 2, "{value}");
            world.finish().await;
        }
    }
}

/// Webhooks arrive all the time: the bridge does not retry more often because of them.
#[tokio::test]
async fn nudges_do_not_shorten_the_backoff() {
    for world in World::both("").await {
        for canary in ["over", "waits"] {
            world.asks_about(canary).await;
            world.run_worker().await;
        }
        let [over, waits] = world.tickets().try_into().unwrap();
        world.posts("/post-rollout", &of("over", "Failed")).await;
        world.run_worker().await;
        world.advance(MINUTE);
        world.jira.move_issue(&over.key, "Approved", MIA).unwrap();
        let single = &[Operation::GetIssue, Operation::Changelog][..];
        for (on, nudged, most) in [(&[Operation::Any][..], &waits.key, 20), (single, &over.key, 40)] {
            for on in on {
                world.jira.fault(*on, status(503, None), Times::Always);
            }
            world.jira.clear_requests();
            for _ in 0..200 {
                assert_eq!(world.nudges(nudged).await.status, 200);
                world.run_worker().await;
                world.advance_all_clocks(SECOND).await;
            }
            let sent = world.jira.requests().len();
            assert!(sent <= most, "{sent} requests in 200 seconds");
            world.jira.clear_faults();
            for _ in 0..8 {
                world.advance_all_clocks(MINUTE).await;
                world.run_worker().await;
            }
        }
        let comments = world.jira.issue(&over.key).unwrap().comments;
        assert_eq!(comments.len(), 2, "{comments:?}");
        world.finish().await;
    }
}

/// A lookup that fails for one ticket is not repeated for the other tickets of the same round.
#[tokio::test]
async fn a_failed_lookup_is_not_repeated_in_the_same_round() {
    for what in [[Operation::UserGroups, Operation::User], [Operation::ProjectStatuses; 2]] {
        for world in World::both("approval.approvers = [\"group:cab\"]").await {
            world.jira.add_group("cab", &[MIA]);
            for number in 0..20 {
                world.asks_about(&format!("c{number}")).await;
            }
            world.run_worker().await;
            world.advance(2 * HOUR);
            for ticket in world.tickets() {
                world.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
            }
            for on in what {
                world.jira.fault(on, status(500, None), Times::Always);
            }
            world.jira.clear_requests();
            world.run_worker().await;
            let sent = world.jira.requests();
            let vain = sent.iter().filter(|it| it.status == Some(500)).count();
            assert_eq!(vain, 1, "of {} requests", sent.len());
            world.jira.clear_faults();
            world.advance(20 * SECOND);
            world.run_worker().await;
            world.advance(4 * MINUTE);
            world.run_worker().await;
            assert_eq!(world.asks_about("c19").await.status, 200);
            world.finish().await;
        }
    }
}

/// A command that Jira refuses is parked, shown, and retried each hour and at each start; never dropped.
#[tokio::test]
async fn parked_commands_are_retried() {
    for world in World::both("").await {
        let refusal = Fault::Status {
            code: 400,
            retry_after: None,
            body: "{\"errorMessages\":[\"The board is closed\"]}".into(),
        };
        world.jira.fault(Operation::CreateIssue, refusal.clone(), Times::Always);
        world.jira.fault(Operation::AddComment, refusal, Times::Always);
        world.asks_about("fresh").await;
        let creates = |world: &World| {
            world.jira.requests().iter().filter(|it| it.operation == Operation::CreateIssue).count()
        };
        world.run_worker().await;
        // The lease is renewed in time, because taking it again would count as a start.
        for step in 0..HOUR.as_secs() / STEP.as_secs() {
            if step % 60 == 0 {
                world.run_worker().await;
                assert_eq!(creates(&world), 1, "not yet");
                assert!(world.asks_about("fresh").await.body.contains("The board is closed"));
            }
            world.advance_all_clocks(STEP).await;
            world.ticks().await;
        }
        world.run_worker().await;
        assert_eq!(creates(&world), 2, "after an hour");
        world.ticks().await;
        let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
        assert!(metrics.contains("flagger_jira_bridge_outbox_rows{state=\"parked\"} 1\n"), "{metrics}");
        let before = creates(&world);
        world.restarts().await;
        world.run_worker().await;
        assert_eq!(creates(&world), before + 1, "at the start");
        world.jira.clear_faults();
        world.jira.fault(
            Operation::AddComment,
            Fault::Status {
                code: 400,
                retry_after: None,
                body: "{\"errorMessages\":[\"No comments\"]}".into(),
            },
            Times::Always,
        );
        world.advance_all_clocks(HOUR).await;
        world.ticks().await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        // The page also shows a parked command that no gate waits for.
        world.posts("/post-rollout", &of("fresh", "Failed")).await;
        world.run_worker().await;
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(page.contains("No comments") && page.contains("fresh</td>"), "{page}");
        world.jira.clear_faults();
        world.restarts().await;
        world.run_worker().await;
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(!page.contains("No comments"), "{page}");
        world.finish().await;
    }
}
