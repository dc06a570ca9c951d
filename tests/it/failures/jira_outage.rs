//! Times in which Jira answers badly or not at all: what Flagger hears meanwhile, how seldom Jira is asked, and that all
//! goes on by itself afterwards.
//!
//! The client waits by tokio's clock, everything else by the test's own: [`World::passes`] moves both.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use fake_jira::{Fault, MIA, Operation, Recorded, Times};
use flagger_jira_bridge::millis::Millis;
use serde_json::Value;
use tokio::{select, time};

use crate::world::{Answer, World, question};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// How often the worker looks for work here.
const STEP: Duration = Duration::from_secs(5);
const TRUST_FOR: Duration = Duration::from_secs(120);
const SETTINGS: &str = "jira.trust_for = \"2m\"\napproval.approvers = [\"group:cab\"]\nticket.transitions = { failed = \"Cancelled\" }\n";

/// Something that is wrong with Jira for a while.
struct Trouble {
    on: &'static [Operation],
    fault: Fault,
    /// What the answers to Flagger say of it.
    says: &'static str,
    /// At most so many requests may be sent in an hour of it, and that many and fifty in less.
    most: u64,
    /// After so long at most everything has gone on.
    heals: Duration,
    /// The bridge is started anew when it begins.
    restarts: bool,
    /// Commands are refused outright: the bridge is started anew when it is over, which tries them again.
    parks: bool,
    /// It shows that the credentials are not accepted.
    locks_out: bool,
    lasts: Duration,
}

impl Trouble {
    /// With everything that is asked.
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
            lasts: bad_time(),
        }
    }

    fn only(on: &'static [Operation], fault: Fault, says: &'static str) -> Self {
        Self { on, ..Self::new(fault, says) }
    }

    /// Nothing but `/myself` is asked, every 15 seconds.
    fn locks_out(self) -> Self {
        Self { most: 240, locks_out: true, ..self }
    }
}

/// How long each trouble lasts: four minutes, or as many as `TROUBLE_MINUTES` says.
fn bad_time() -> Duration {
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
    /// A question about the promotion of one of several canaries.
    async fn asks_about(&self, canary: &str) -> Answer {
        let answer = self.posts("/gate/confirm-promotion", &of(canary, "Progressing")).await;
        assert!([200, 403].contains(&answer.status), "{answer:?}");
        answer
    }

    /// What `/api/gates` shows of a canary.
    async fn shown(&self, canary: &str) -> Value {
        let gates = self.gates().await;
        gates.as_array().unwrap().iter().find(|gate| gate["canary"] == canary).cloned().unwrap()
    }

    /// The worker does what is due, and never waits for the end of a pause.
    async fn works_promptly(&self) {
        time::timeout(30 * SECOND, self.works()).await.expect("a step of the worker never waits long");
    }

    /// The same where Jira does not answer: the bridge waits as long as jira.timeout says, which takes no time here.
    async fn works_in_silence(&self) {
        let mut work = pin!(self.works_promptly());
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

    /// Jira was sent one request more, and will not answer it.
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

/// Gates of four canaries: `waits` for a decision, `agreed` is approved and not used, `over` ended as the trouble began, and
/// `fresh` was first asked about then.
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
            world.works().await;
            keys.insert(canary, world.newest());
        }
        world.decides(&keys["agreed"], "Approved").await;
        // What the bridge believes of a workflow for an hour ends in the first minutes of the trouble.
        world.passes(59 * MINUTE).await;
        world.ticks().await;
        world.works().await;
        if restarts {
            world.restarts().await;
        }
        world.jira.clear_requests();
        Self { world, keys }
    }

    /// The bad hour. Returns what Jira was sent.
    async fn endure(&mut self, trouble: &Trouble) -> Vec<Recorded> {
        let world = &self.world;
        for on in trouble.on {
            world.jira.fault(*on, trouble.fault.clone(), Times::Always);
        }
        for canary in ["fresh", "waits"] {
            assert_eq!(world.asks_about(canary).await.status, 403);
        }
        assert_eq!(world.posts("/post-rollout", &of("over", "Failed")).await.status, 200);
        // Reading goes on, if one ticket at a time: a GET is no more than that.
        let reads = trouble.fault == Fault::Xsrf;
        let hides_all = trouble.on == [Operation::Any] && !reads;
        let mut since = Duration::ZERO;
        while since < trouble.lasts {
            if matches!(trouble.fault, Fault::Slow(_) | Fault::Trickle) {
                world.works_in_silence().await;
            } else {
                world.works_promptly().await;
            }
            world.passes(STEP).await;
            since += STEP;
            world.ticks().await;
            // A restart may have taken as long as a lease.
            if since == TRUST_FOR - 3 * STEP {
                assert_eq!(world.asks_about("agreed").await.status, 200, "it was proven lately");
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

    /// Every answer says what the matter is.
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

    /// The trouble is over. Returns how long it took until everything was as if it had never been.
    async fn heal(&mut self, trouble: &Trouble) -> Duration {
        self.world.jira.clear_faults();
        if trouble.parks {
            self.world.restarts().await;
        }
        let world = &self.world;
        let mut since = Duration::ZERO;
        while !self.is_well().await {
            assert!(since <= trouble.heals, "not well after {since:?}: {}", world.gates().await);
            world.passes(STEP).await;
            since += STEP;
            world.ticks().await;
            world.works().await;
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
            // A ticket that may be there twice is looked for a while longer.
            && world.count("outbox WHERE command NOT LIKE '%recount%'").await == 0
    }

    /// Nothing was done twice.
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

/// One line for each: requests in the bad hour, and how long it took to heal.
async fn plays(troubles: &[Trouble]) {
    for trouble in troubles {
        for world in World::both(SETTINGS).await {
            let kind = if world.is_cloud() { "Cloud" } else { "Data Center" };
            let mut scene = Scene::set(world, trouble.restarts).await;
            let sent = scene.endure(trouble).await;
            let mut fault = format!("{:?}", trouble.fault);
            fault.truncate(70);
            let taken = scene.world.jira.flooded() / sent.len().max(1) as u64;
            let other = sent.iter().filter(|it| it.operation != Operation::Myself).count();
            assert!(!trouble.locks_out || other <= 1, "{fault}: {other} requests beside /myself");
            // What is not read, buffers on the way hold.
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
async fn it_answers_that_it_is_broken() {
    plays(&[
        Trouble::new(status(500, None), "answered 500"),
        Trouble::new(status(502, None), "answered 502"),
        Trouble { most: 100, ..Trouble::new(status(503, Some("120")), "; nothing is sent before ") },
    ])
    .await;
}

#[tokio::test]
async fn it_answers_nonsense() {
    plays(&[
        Trouble::new(Fault::Html, "is a log-in page in the way"),
        Trouble::new(Fault::WrongJson, "cannot be read"),
        Trouble::new(Fault::BrokenJson, "cannot be read"),
        Trouble::new(Fault::DeepJson, "cannot be read"),
        Trouble::new(Fault::Redirect, "redirects to"),
    ])
    .await;
}

/// More than 4 MiB is read of nothing, however much comes.
#[tokio::test]
async fn it_answers_too_much() {
    plays(&[Trouble::new(Fault::Flood, "longer than 4 MiB")]).await;
}

#[tokio::test]
async fn it_does_not_answer() {
    plays(&[
        Trouble::new(Fault::Dropped, "no answer from Jira"),
        Trouble::new(Fault::LostAnswer, "no answer from Jira"),
        Trouble::new(Fault::Cut, "no answer from Jira"),
        Trouble::new(Fault::Slow(2 * HOUR), "longer than jira.timeout"),
        Trouble::new(Fault::Trickle, "longer than jira.timeout"),
    ])
    .await;
}

/// While the credentials do not work, nothing but `/myself` is asked.
#[tokio::test]
async fn it_does_not_know_the_bridge() {
    let unknown = "does not accept the credentials";
    plays(&[
        Trouble::new(Fault::Unauthorized, unknown).locks_out(),
        Trouble::new(status(403, None), "a proxy or firewall may be in the way").locks_out(),
        Trouble::new(Fault::Anonymous, unknown).locks_out(),
        Trouble::new(Fault::Empty, unknown).locks_out(),
        Trouble { most: 12, ..Trouble::new(Fault::Captcha, "CAPTCHA").locks_out() },
    ])
    .await;
}

#[tokio::test]
async fn it_refuses_what_is_more_than_reading() {
    plays(&[Trouble { parks: true, most: 1_000, ..Trouble::new(Fault::Xsrf, "XSRF check failed") }]).await;
}

/// Only some of what the bridge asks fails.
#[tokio::test]
async fn a_part_of_it_is_broken() {
    let broken = || status(500, None);
    let groups = &[Operation::UserGroups, Operation::User];
    plays(&[
        Trouble::only(groups, broken(), "answered 500"),
        Trouble::only(groups, Fault::Dropped, "no answer from Jira"),
        Trouble::only(&[Operation::ProjectStatuses], broken(), "answered 500"),
        Trouble { restarts: true, ..Trouble::only(&[Operation::Myself], broken(), "answered 500") },
    ])
    .await;
}

#[tokio::test]
async fn it_asks_to_wait() {
    plays(&[
        Trouble::new(Fault::TooMany { retry_after: None }, "asks to wait"),
        Trouble { most: 40, ..Trouble::new(too_many("120"), "asks to wait") },
    ])
    .await;
}

/// A time so long after now, as Jira writes it.
fn iso(world: &World, ahead: i64) -> String {
    jiff::Timestamp::from_second(world.clock.now().0 / 1000 + ahead).unwrap().to_string()
}

/// An HTTP date so long after now.
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

    /// One poll is answered 429 with this header. Returns how long nothing at all was sent.
    async fn is_told_to_wait(&self, (name, value): (&'static str, String)) -> Duration {
        let poll = if self.is_cloud() { Operation::BulkFetch } else { Operation::Search };
        let (headers, body) = (vec![(name, value)], "Rate limit exceeded".to_owned());
        let fault = Fault::Says { code: 429, media: "text/plain", headers, body };
        self.jira.fault(poll, fault, Times::Once);
        self.jira.clear_requests();
        while self.jira.requests().is_empty() {
            self.passes(STEP).await;
            self.works_promptly().await;
        }
        let told = self.clock.now();
        assert_eq!(self.jira.requests().len(), 1, "the one that was refused");
        self.asks_about("fresh").await;
        loop {
            self.works_promptly().await;
            if let Some(next) = self.jira.requests().get(1) {
                return Millis(next.at).since(told);
            }
            let since = self.clock.now().since(told);
            if since.as_secs() % 10 == 1 {
                let line = self.asks_about("fresh").await.body;
                assert!(
                    line.contains("asks to wait") && line.contains("; nothing is sent before "),
                    "{line}"
                );
                assert!(self.asks_about("waits").await.body.contains("asks to wait"));
            }
            self.passes(if since > MINUTE { 4 * STEP } else { SECOND }).await;
        }
    }
}

/// Nobody sends anything for as long as Jira says, at most an hour, and the metric counts it. Whatever is no time is as
/// if it was not said: then everybody waits a little.
#[tokio::test]
async fn all_wait_as_long_as_it_says() {
    for case in 0..16 {
        for world in World::both(SETTINGS).await {
            world.asks_about("waits").await;
            world.works().await;
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
                // The poll is some seconds away.
                10 => ("X-RateLimit-Reset", iso(&world, 90), 90 - 20),
                11 => ("X-RateLimit-Reset", iso(&world, 7 * 86_400), 3600),
                12 => ("X-RateLimit-Reset", iso(&world, -60), 2),
                13 => ("X-RateLimit-Reset", "whenever".into(), 2),
                14 => ("RateLimit", "\"tenant-app-quota\";r=0;t=40".into(), 40),
                _ => ("X-RateLimit-Remaining", "0".into(), 2),
            };
            let before = world.metric("jira_throttled_seconds_total").await;
            let silent = world.is_told_to_wait((name, value.clone())).await;
            let most = silence * 6 / 5 + 20;
            assert!((silence..=most).contains(&silent.as_secs()), "{value}: silent for {silent:?}");
            let counted = world.metric("jira_throttled_seconds_total").await - before;
            let expected = f64::from(u32::try_from(silence).unwrap());
            assert!((expected - 0.1..expected + 1.0).contains(&counted), "{value}: counted {counted} s");
            // Each waits up to a fifth longer, so that not all come at once.
            for _ in 0..10 {
                world.passes(Duration::from_secs(silence / 5 + 20) / 10).await;
                world.works().await;
            }
            assert_eq!(world.tickets().len(), 2, "{value}");
            world.finish().await;
        }
    }
}

/// Somebody's webhooks come all the time: the trouble is looked at no more often for them.
#[tokio::test]
async fn nudges_make_no_haste() {
    for world in World::both("").await {
        for canary in ["over", "waits"] {
            world.asks_about(canary).await;
            world.works().await;
        }
        let [over, waits] = world.tickets().try_into().unwrap();
        world.posts("/post-rollout", &of("over", "Failed")).await;
        world.works().await;
        world.later(MINUTE);
        world.jira.move_issue(&over.key, "Approved", MIA).unwrap();
        let single = &[Operation::GetIssue, Operation::Changelog][..];
        for (on, nudged, most) in [(&[Operation::Any][..], &waits.key, 20), (single, &over.key, 40)] {
            for on in on {
                world.jira.fault(*on, status(503, None), Times::Always);
            }
            world.jira.clear_requests();
            for _ in 0..200 {
                assert_eq!(world.nudges(nudged).await.status, 200);
                world.works().await;
                world.passes(SECOND).await;
            }
            let sent = world.jira.requests().len();
            assert!(sent <= most, "{sent} requests in 200 seconds");
            world.jira.clear_faults();
            for _ in 0..8 {
                world.passes(MINUTE).await;
                world.works().await;
            }
        }
        let told = world.jira.issue(&over.key).unwrap().comments;
        assert_eq!(told.len(), 2, "{told:?}");
        world.finish().await;
    }
}

/// What cannot be looked up for one ticket is not asked again for the next of the same look.
#[tokio::test]
async fn a_look_asks_in_vain_once() {
    for what in [[Operation::UserGroups, Operation::User], [Operation::ProjectStatuses; 2]] {
        for world in World::both("approval.approvers = [\"group:cab\"]").await {
            world.jira.add_group("cab", &[MIA]);
            for number in 0..20 {
                world.asks_about(&format!("c{number}")).await;
            }
            world.works().await;
            world.later(2 * HOUR);
            for ticket in world.tickets() {
                world.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
            }
            for on in what {
                world.jira.fault(on, status(500, None), Times::Always);
            }
            world.jira.clear_requests();
            world.works().await;
            let sent = world.jira.requests();
            let vain = sent.iter().filter(|it| it.status == Some(500)).count();
            assert_eq!(vain, 1, "of {} requests", sent.len());
            world.jira.clear_faults();
            world.later(20 * SECOND);
            world.works().await;
            world.later(4 * MINUTE);
            world.works().await;
            assert_eq!(world.asks_about("c19").await.status, 200);
            world.finish().await;
        }
    }
}

/// What Jira refuses is put aside, shown, and tried again each hour and at each start; never dropped.
#[tokio::test]
async fn what_is_parked_is_tried_again() {
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
        world.works().await;
        // A lease that is not renewed in time would be a start, too.
        for step in 0..HOUR.as_secs() / STEP.as_secs() {
            if step % 60 == 0 {
                world.works().await;
                assert_eq!(creates(&world), 1, "not yet");
                assert!(world.asks_about("fresh").await.body.contains("The board is closed"));
            }
            world.passes(STEP).await;
            world.ticks().await;
        }
        world.works().await;
        assert_eq!(creates(&world), 2, "after an hour");
        world.ticks().await;
        let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
        assert!(metrics.contains("flagger_jira_bridge_outbox_rows{state=\"parked\"} 1\n"), "{metrics}");
        let before = creates(&world);
        world.restarts().await;
        world.works().await;
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
        world.passes(HOUR).await;
        world.ticks().await;
        world.works().await;
        assert_eq!(world.tickets().len(), 1);
        // The page tells of an effect that no gate waits for.
        world.posts("/post-rollout", &of("fresh", "Failed")).await;
        world.works().await;
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(page.contains("No comments") && page.contains("fresh</td>"), "{page}");
        world.jira.clear_faults();
        world.restarts().await;
        world.works().await;
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(!page.contains("No comments"), "{page}");
        world.finish().await;
    }
}
