//! The story that a release's fixture is made from: a canary in every course, with gates in every standing, and work of
//! every kind left to do. Each canary is called after what it shows.

use std::{cell::RefCell, time::Duration};

use fake_jira::{BOB, BRIDGE, Fault, Flavour, Operation, Times};
use serde_json::{Value, json};

use super::{APPROVER, Stage, promised, rows};
use crate::world::{Answer, World, question};

const MINUTE: Duration = Duration::from_secs(60);
/// How often live tickets are read.
const POLL: Duration = Duration::from_secs(20);

/// What a fixture consists of.
pub(super) struct Told {
    pub(super) rows: Vec<Value>,
    pub(super) jira: Vec<Value>,
    pub(super) questions: Vec<Value>,
}

/// What the bridge of the story is configured with.
pub(super) fn settings() -> String {
    format!(
        r#"jira.index_lag = "1m"
rollout.idle_after = "6h"
rollout.abandon_after = "25m"
limits.tickets_per_canary_per_hour = 3
approval.valid_for = "15m"
approval.approvers = ["{APPROVER}"]
ticket.transitions = {{ succeeded = "Done", failed = "Cancelled", superseded = "Cancelled", abandoned = "Cancelled" }}

[[routes]]
match = {{ canary = "group-*" }}
approval = {{ approvers = ["group:cab"] }}

[[routes]]
match = {{ canary = "denied" }}
approval = {{ deny = ["{{{{ metadata.author }}}}"] }}

[[routes]]
match = {{ canary = "parked" }}
ticket = {{ project = "NOPE" }}

[[routes]]
match = {{ canary = "not-moved" }}
ticket = {{ transitions = {{ succeeded = "Nowhere" }} }}
"#
    )
}

/// A bridge that is asked and told things, and a record of what happens at its Jira.
struct Tale {
    world: World,
    jira: RefCell<Vec<Value>>,
    /// How many requests are in the record.
    recorded: RefCell<usize>,
}

/// Requests that change something.
const WRITES: [Operation; 5] = [
    Operation::CreateIssue,
    Operation::EditIssue,
    Operation::DoTransition,
    Operation::AddComment,
    Operation::LinkIssues,
];

impl Tale {
    /// Notes what the bridge did at Jira since the last time. A request without an answer was carried out all the same.
    fn notes(&self) {
        let requests = self.world.jira.requests();
        let new = &requests[*self.recorded.borrow()..];
        *self.recorded.borrow_mut() = requests.len();
        let done = new.iter().filter(|request| {
            WRITES.contains(&request.operation) && request.status.is_none_or(|status| status < 300)
        });
        self.jira.borrow_mut().extend(done.map(|request| {
            json!({ "at": request.at, "method": request.method, "path": request.path, "body": request.body })
        }));
    }

    /// Somebody does something at Jira.
    fn person(&self, did: Value) {
        self.notes();
        Stage { jira: &self.world.jira, clock: &self.world.clock }.person(&did);
        self.jira.borrow_mut().push(json!({ "at": self.world.clock.now().0, "person": did }));
    }

    async fn works(&self) {
        self.world.works().await;
    }

    /// Time passes, and somebody is there to hear that nothing is said.
    async fn serves_for(&self, time: Duration) {
        for _ in 0..time.as_secs() / 5 {
            self.world.later(Duration::from_secs(5));
            self.world.ticks().await;
        }
    }

    /// The tickets are read.
    async fn looks(&self) {
        self.world.later(POLL);
        self.works().await;
    }

    async fn tells(&self, path: &str, body: &Value) -> Answer {
        self.world.posts(path, body).await
    }

    /// A question about a canary.
    async fn asks(&self, name: &str, stage: &str, phase: &str, checksum: &str) -> u16 {
        self.tells(&format!("/gate/{stage}"), &about(name, phase, checksum)).await.status
    }

    /// Flagger asks at the promotion gate for the first time, and its ticket is opened. Returns its key.
    async fn promotion(&self, name: &str) -> String {
        assert_eq!(self.asks(name, "confirm-promotion", "Progressing", "new").await, 403, "{name}");
        self.works().await;
        self.world.newest()
    }

    /// The same at confirm-rollout.
    async fn rollout(&self, name: &str, phase: &str, checksum: &str) -> String {
        assert_eq!(self.asks(name, "confirm-rollout", phase, checksum).await, 403, "{name}");
        self.works().await;
        self.world.newest()
    }

    fn moves(&self, key: &str, status: &str, who: &str) {
        self.person(json!(["move", key, status, who]));
    }

    fn fails(&self, operation: Operation) {
        let fault = Fault::Status { code: 503, retry_after: None, body: "<html>".into() };
        self.world.jira.fault(operation, fault, Times::Always);
    }

    /// The next create is carried out and not answered, and Jira's search does not show it for a while.
    fn loses_the_next(&self) {
        self.world.jira.set_index_lag(10 * MINUTE);
        self.world.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
    }
}

fn about(name: &str, phase: &str, checksum: &str) -> Value {
    let mut body = question(phase, checksum);
    body["name"] = name.into();
    body
}

fn with(mut body: Value, key: &str, value: &str) -> Value {
    body["metadata"] = json!({ key: value });
    body
}

/// Tells the story.
pub(super) async fn tell() -> Told {
    let world = World::start_with(Flavour::Cloud, &settings()).await;
    let tale = Tale { world, jira: RefCell::default(), recorded: RefCell::default() };
    tale.person(json!(["group", "cab", APPROVER]));
    half_an_hour_before(&tale).await;
    courses(&tale).await;
    tickets_that_were_opened_twice(&tale).await;
    decisions(&tale).await;
    what_is_left_to_do(&tale).await;
    // Here the rollout that nobody asks about is abandoned, and what was heard is written back.
    tale.serves_for(2 * MINUTE).await;
    tale.notes();
    let rows = rows(tale.world.database_url()).await;
    shows_everything(&rows);
    tale.world.restarts().await;
    let questions = questions(&tale.world).await;
    Told { rows, jira: tale.jira.into_inner(), questions }
}

/// Approvals that are older than they may be: one was used in time. And a rollout that is over and told so.
async fn half_an_hour_before(tale: &Tale) {
    let used = tale.promotion("used").await;
    let expired = tale.promotion("expired").await;
    tale.promotion("abandoned").await;
    let dead = tale.promotion("dead").await;
    tale.moves(&used, "Approved", APPROVER);
    tale.moves(&expired, "Approved", APPROVER);
    tale.looks().await;
    assert_eq!(tale.asks("used", "confirm-promotion", "Progressing", "new").await, 200);
    tale.tells("/post-rollout", &about("dead", "Failed", "new")).await;
    tale.works().await;
    for _ in 0..8 {
        tale.serves_for(3 * MINUTE).await;
        tale.works().await;
        assert_eq!(tale.asks("used", "confirm-promotion", "Progressing", "new").await, 200);
        // It is heard of, but not asked about.
        tale.tells("/event", &about("expired", "Progressing", "new")).await;
    }
    // From here on no comment is taken, and no link.
    tale.fails(Operation::AddComment);
    tale.fails(Operation::LinkIssues);
    tale.moves(&dead, "To Do", APPROVER);
    tale.world.nudges(&dead).await;
    assert_eq!(tale.asks("expired", "confirm-promotion", "Progressing", "new").await, 403);
    tale.works().await;
}

/// How far a rollout can be.
async fn courses(tale: &Tale) {
    tale.rollout("asked", "Succeeded", "old").await;
    tale.rollout("asked-after-failure", "Failed", "new").await;
    let mut unnamed = about("unnamed", "Initialized", "");
    unnamed.as_object_mut().unwrap().remove("checksum");
    tale.tells("/gate/confirm-rollout", &unnamed).await;
    tale.rollout("waiting", "Succeeded", "old").await;
    tale.asks("waiting", "confirm-rollout", "Waiting", "old").await;
    let mut admitted = Vec::new();
    for name in ["admitted", "running", "failing"] {
        admitted.push(tale.rollout(name, "Succeeded", "old").await);
    }
    for key in &admitted {
        tale.moves(key, "Approved", APPROVER);
    }
    tale.looks().await;
    for name in ["admitted", "running", "failing"] {
        assert_eq!(tale.asks(name, "confirm-rollout", "Waiting", "old").await, 200);
    }
    let labelled = with(about("running", "Progressing", "new"), "revision", "6.5.0");
    tale.tells("/gate/confirm-traffic-increase?gate=qa", &labelled).await;
    let failing = tale.promotion("failing").await;
    tale.moves(&failing, "Rejected", APPROVER);
    let promoting = tale.promotion("promoting").await;
    tale.tells("/gate/rollback", &about("promoting", "WaitingPromotion", "new")).await;
    tale.moves(&promoting, "Approved", APPROVER);
    tale.looks().await;
    assert_eq!(tale.asks("promoting", "confirm-promotion", "Progressing", "new").await, 200);
    assert_eq!(tale.asks("failing", "rollback", "Progressing", "new").await, 200);
    tale.tells("/event", &about("failing", "Failed", "new")).await;
    for revision in ["1", "2", "3", "4"] {
        tale.asks("refused", "confirm-promotion", "Progressing", revision).await;
        tale.works().await;
    }
    tale.promotion("linked").await;
    tale.asks("linked", "confirm-promotion", "Progressing", "newer").await;
    tale.works().await;
}

/// Jira does not answer, is asked again, and shows later that it had opened a ticket the first time.
async fn tickets_that_were_opened_twice(tale: &Tale) {
    tale.loses_the_next();
    tale.asks("twice", "confirm-promotion", "Progressing", "new").await;
    for _ in 0..6 {
        tale.works().await;
        tale.world.later(MINUTE / 4);
    }
    tale.works().await;
    tale.world.jira.set_index_lag(Duration::ZERO);
    tale.world.later(MINUTE);
    tale.works().await;
}

/// What a ticket can show.
async fn decisions(tale: &Tale) {
    let denied = with(about("denied", "Progressing", "new"), "author", APPROVER);
    tale.tells("/gate/confirm-promotion", &denied).await;
    tale.works().await;
    for (name, status, who) in [
        ("rejected", "Rejected", APPROVER),
        ("rejected-by-nobody", "Rejected", BOB),
        ("not-allowed", "Approved", BOB),
        ("approved-by-the-bridge", "Approved", BRIDGE),
        ("in-review", "In Review", APPROVER),
        ("approved", "Approved", APPROVER),
        ("succeeded", "Approved", APPROVER),
        ("not-moved", "Approved", APPROVER),
    ] {
        let key = tale.promotion(name).await;
        tale.moves(&key, status, who);
    }
    let key = tale.rollout("rejected-at-start", "Succeeded", "old").await;
    tale.moves(&key, "Rejected", APPROVER);
    for name in ["bypassed", "failed", "superseded"] {
        tale.promotion(name).await;
    }
    let away = tale.promotion("moved-away").await;
    tale.person(json!(["to_project", away, "PAY", APPROVER]));
    let labelled = tale.promotion("labelled").await;
    tale.person(json!(["label", labelled, "flagger-ended", APPROVER]));
    tale.notes();
    tale.person(json!(["first_status", "Approved"]));
    tale.promotion("no-history").await;
    tale.person(json!(["first_status", "To Do"]));
    tale.looks().await;
    for name in ["succeeded", "not-moved"] {
        assert_eq!(tale.asks(name, "confirm-promotion", "Progressing", "new").await, 200, "{name}");
    }
    tale.tells("/post-rollout", &about("not-moved", "Succeeded", "new")).await;
    tale.works().await;
    let groups = [("group-approved", "Approved"), ("group-rejected", "Rejected")];
    for (name, status) in groups {
        let key = tale.promotion(name).await;
        tale.moves(&key, status, APPROVER);
    }
    let missing = tale.promotion("missing").await;
    tale.person(json!(["delete", missing, APPROVER]));
    tale.fails(Operation::UserGroups);
    tale.fails(Operation::User);
    tale.looks().await;
}

/// What is not done yet when the curtain falls.
async fn what_is_left_to_do(tale: &Tale) {
    tale.loses_the_next();
    tale.asks("sent", "confirm-promotion", "Progressing", "new").await;
    tale.works().await;
    tale.asks("parked", "confirm-promotion", "Progressing", "new").await;
    tale.works().await;
    // Nobody works from here on.
    tale.asks("opening", "confirm-promotion", "Progressing", "new").await;
    tale.asks("superseded", "confirm-promotion", "Progressing", "newer").await;
    for (name, phase) in [("succeeded", "Succeeded"), ("bypassed", "Succeeded"), ("failed", "Failed")] {
        tale.tells("/post-rollout", &about(name, phase, "new")).await;
    }
    let news = with(about("running", "Progressing", "new"), "eventMessage", "Advance weight 20");
    tale.tells("/event", &news).await;
    let key = tale.world.tickets().into_iter().find(|it| it.summary.contains("in-review")).unwrap().key;
    tale.world.nudges(&key).await;
}

/// The fixture is worth something only if it holds one of everything.
fn shows_everything(rows: &[Value]) {
    let column = |table: &str, column: &str| {
        let rows = rows.iter().filter(|line| line["table"] == table);
        rows.map(|line| line["row"][column].as_str().unwrap_or_default().to_owned() + "\n")
            .collect::<String>()
    };
    let (canaries, commands) = (column("canary", "state"), column("outbox", "command"));
    for word in "asked waiting admitted running failing outgoing after_failure progressing waiting_promotion opening stuck \
                 watched approved rejected not_allowed unjudged gone labelled_ended moved_elsewhere no_changelog_entry missing accepted \
                 not_accepted unknown"
        .split_whitespace()
    {
        assert!(canaries.contains(&format!("\"{word}\"")), "no canary shows {word}");
    }
    for word in "open recount comment label move link ended progress rejected_at_start rejected_by_nobody \
                 rejected_without_rollback not_allowed expired duplicate late not_moved sent_to succeeded failed superseded \
                 abandoned bypassed"
        .split_whitespace()
    {
        assert!(commands.contains(&format!("\"{word}\"")), "no command shows {word}");
    }
    for (table, what) in
        [("outbox", "sent_at"), ("outbox", "parked_at"), ("ticket", "ended_at"), ("nudge", "at")]
    {
        let shown = rows.iter().any(|line| line["table"] == table && !line["row"][what].is_null());
        assert!(shown, "no row of {table} has {what}");
    }
    assert!(rows.iter().any(|line| line["table"] == "ticket" && line["row"]["answered"] == 1));
    for field in [
        "\"superseded\":[\"",
        "\"refused\":1",
        "\"deny\":[\"",
        "\"told\":[\"",
        "\"label\":\"6.5.0",
        "\"rollback_asked\":true",
        "\"reports\":[\"",
        "\"used\":{",
        "\"approver\":\"qa",
    ] {
        assert!(canaries.contains(field), "no canary has {field}");
    }
}

/// What Flagger asks next, and the answers.
async fn questions(world: &World) -> Vec<Value> {
    let promotion = "confirm-promotion";
    let mut asked = vec![
        ("confirm-rollout", about("asked", "Waiting", "old")),
        ("confirm-rollout", about("asked-after-failure", "Waiting", "new")),
        ("confirm-rollout", about("waiting", "Waiting", "old")),
        ("confirm-rollout", about("admitted", "Waiting", "old")),
        ("rollback", about("failing", "Progressing", "new")),
        ("confirm-rollout", about("rejected-at-start", "Waiting", "old")),
        (promotion, about("refused", "Progressing", "4")),
        (promotion, about("linked", "Progressing", "newer")),
        (promotion, about("superseded", "Progressing", "newer")),
        ("rollback", about("rejected", "Progressing", "new")),
        ("rollback", about("rejected-by-nobody", "Progressing", "new")),
        ("rollback", about("group-rejected", "Progressing", "new")),
    ];
    let mut running = about("running", "Progressing", "new");
    running["metadata"] = json!({ "revision": "6.5.0" });
    asked.push(("confirm-traffic-increase?gate=qa", running));
    for name in [
        "used",
        "expired",
        "promoting",
        "twice",
        "denied",
        "rejected",
        "rejected-by-nobody",
        "not-allowed",
        "approved-by-the-bridge",
        "in-review",
        "approved",
        "moved-away",
        "labelled",
        "no-history",
        "group-approved",
        "group-rejected",
        "missing",
        "sent",
        "parked",
        "opening",
    ] {
        asked.push((promotion, about(name, "Progressing", "new")));
    }
    let mut questions = Vec::new();
    for (stage, body) in asked {
        let mut question =
            json!({ "at": world.clock.now().0, "path": format!("/gate/{stage}"), "body": body });
        question["answer"] = promised(&world.answers(&question).await);
        questions.push(question);
    }
    questions
}
