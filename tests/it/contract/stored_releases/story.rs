//! Creates the fixture of a release: canaries with every progress of a rollout, gates in every state, and pending
//! commands of every kind. Each canary is named after what it shows.

use std::{cell::RefCell, time::Duration};

use fake_jira::{BOB, BRIDGE, Fault, Flavour, Operation, Times};
use serde_json::{Value, json};

use super::{APPROVER, JiraReplay, promised, rows};
use crate::world::{Answer, World, question};

const MINUTE: Duration = Duration::from_secs(60);
/// The poll interval.
const POLL: Duration = Duration::from_secs(20);

/// The content of a fixture.
pub(super) struct Fixture {
    pub(super) rows: Vec<Value>,
    pub(super) jira: Vec<Value>,
    pub(super) questions: Vec<Value>,
}

/// The bridge's settings.
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

/// A bridge, and a recording of what happens in its Jira.
struct Recording {
    world: World,
    jira: RefCell<Vec<Value>>,
    /// The number of recorded requests.
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

impl Recording {
    /// Records the bridge's changes in Jira since the last call. A request without an answer was carried out, too.
    fn records(&self) {
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

    /// Performs and records a person's action in Jira.
    fn person(&self, did: Value) {
        self.records();
        JiraReplay { jira: &self.world.jira, clock: &self.world.clock }.person(&did);
        self.jira.borrow_mut().push(json!({ "at": self.world.clock.now().0, "person": did }));
    }

    async fn run_worker(&self) {
        self.world.run_worker().await;
    }

    /// Advances the clock while the bridge serves.
    async fn serves_for(&self, time: Duration) {
        for _ in 0..time.as_secs() / 5 {
            self.world.advance(Duration::from_secs(5));
            self.world.ticks().await;
        }
    }

    /// Lets the bridge poll its tickets.
    async fn polls(&self) {
        self.world.advance(POLL);
        self.run_worker().await;
    }

    async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.world.posts(path, body).await
    }

    /// Asks about a canary. Returns the status.
    async fn asks(&self, name: &str, stage: &str, phase: &str, checksum: &str) -> u16 {
        self.posts(&format!("/gate/{stage}"), &about(name, phase, checksum)).await.status
    }

    /// Asks at a promotion gate for the first time, and opens its ticket. Returns the key.
    async fn promotion(&self, name: &str) -> String {
        assert_eq!(self.asks(name, "confirm-promotion", "Progressing", "new").await, 403, "{name}");
        self.run_worker().await;
        self.world.newest()
    }

    /// The same at confirm-rollout.
    async fn rollout(&self, name: &str, phase: &str, checksum: &str) -> String {
        assert_eq!(self.asks(name, "confirm-rollout", phase, checksum).await, 403, "{name}");
        self.run_worker().await;
        self.world.newest()
    }

    fn moves(&self, key: &str, status: &str, who: &str) {
        self.person(json!(["move", key, status, who]));
    }

    fn fails(&self, operation: Operation) {
        let fault = Fault::Status { code: 503, retry_after: None, body: "<html>".into() };
        self.world.jira.fault(operation, fault, Times::Always);
    }

    /// The next create is carried out but not answered, and Jira's search does not show it for a while.
    fn loses_next_answer(&self) {
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

/// Creates the fixture.
pub(super) async fn create() -> Fixture {
    let world = World::start_with(Flavour::Cloud, &settings()).await;
    let recording = Recording { world, jira: RefCell::default(), recorded: RefCell::default() };
    recording.person(json!(["group", "cab", APPROVER]));
    older_than_half_an_hour(&recording).await;
    rollout_progress(&recording).await;
    tickets_that_were_opened_twice(&recording).await;
    decisions(&recording).await;
    pending_commands(&recording).await;
    // Meanwhile the rollout without questions is abandoned, and the times of messages are written.
    recording.serves_for(2 * MINUTE).await;
    recording.records();
    let rows = rows(recording.world.database_url()).await;
    assert_complete(&rows);
    recording.world.restarts().await;
    let questions = questions(&recording.world).await;
    Fixture { rows, jira: recording.jira.into_inner(), questions }
}

/// Approvals older than `approval.valid_for`, one of them used in time; and an ended rollout whose comment was written.
async fn older_than_half_an_hour(recording: &Recording) {
    let used = recording.promotion("used").await;
    let expired = recording.promotion("expired").await;
    recording.promotion("abandoned").await;
    let ended = recording.promotion("dead").await;
    recording.moves(&used, "Approved", APPROVER);
    recording.moves(&expired, "Approved", APPROVER);
    recording.polls().await;
    assert_eq!(recording.asks("used", "confirm-promotion", "Progressing", "new").await, 200);
    recording.posts("/post-rollout", &about("dead", "Failed", "new")).await;
    recording.run_worker().await;
    for _ in 0..8 {
        recording.serves_for(3 * MINUTE).await;
        recording.run_worker().await;
        assert_eq!(recording.asks("used", "confirm-promotion", "Progressing", "new").await, 200);
        // Flagger reports about it, but does not ask.
        recording.posts("/event", &about("expired", "Progressing", "new")).await;
    }
    // From here on Jira refuses comments and links.
    recording.fails(Operation::AddComment);
    recording.fails(Operation::LinkIssues);
    recording.moves(&ended, "To Do", APPROVER);
    recording.world.nudges(&ended).await;
    assert_eq!(recording.asks("expired", "confirm-promotion", "Progressing", "new").await, 403);
    recording.run_worker().await;
}

/// Every progress of a rollout.
async fn rollout_progress(recording: &Recording) {
    recording.rollout("asked", "Succeeded", "old").await;
    recording.rollout("asked-after-failure", "Failed", "new").await;
    let mut unnamed = about("unnamed", "Initialized", "");
    unnamed.as_object_mut().unwrap().remove("checksum");
    recording.posts("/gate/confirm-rollout", &unnamed).await;
    recording.rollout("waiting", "Succeeded", "old").await;
    recording.asks("waiting", "confirm-rollout", "Waiting", "old").await;
    let mut admitted = Vec::new();
    for name in ["admitted", "running", "failing"] {
        admitted.push(recording.rollout(name, "Succeeded", "old").await);
    }
    for key in &admitted {
        recording.moves(key, "Approved", APPROVER);
    }
    recording.polls().await;
    for name in ["admitted", "running", "failing"] {
        assert_eq!(recording.asks(name, "confirm-rollout", "Waiting", "old").await, 200);
    }
    let labelled = with(about("running", "Progressing", "new"), "revision", "6.5.0");
    recording.posts("/gate/confirm-traffic-increase?gate=qa", &labelled).await;
    let failing = recording.promotion("failing").await;
    recording.moves(&failing, "Rejected", APPROVER);
    let promoting = recording.promotion("promoting").await;
    recording.posts("/gate/rollback", &about("promoting", "WaitingPromotion", "new")).await;
    recording.moves(&promoting, "Approved", APPROVER);
    recording.polls().await;
    assert_eq!(recording.asks("promoting", "confirm-promotion", "Progressing", "new").await, 200);
    assert_eq!(recording.asks("failing", "rollback", "Progressing", "new").await, 200);
    recording.posts("/event", &about("failing", "Failed", "new")).await;
    for revision in ["1", "2", "3", "4"] {
        recording.asks("refused", "confirm-promotion", "Progressing", revision).await;
        recording.run_worker().await;
    }
    recording.promotion("linked").await;
    recording.asks("linked", "confirm-promotion", "Progressing", "newer").await;
    recording.run_worker().await;
}

/// Jira does not answer, the request is repeated, and the search shows later that the first one opened a ticket.
async fn tickets_that_were_opened_twice(recording: &Recording) {
    recording.loses_next_answer();
    recording.asks("twice", "confirm-promotion", "Progressing", "new").await;
    for _ in 0..6 {
        recording.run_worker().await;
        recording.world.advance(MINUTE / 4);
    }
    recording.run_worker().await;
    recording.world.jira.set_index_lag(Duration::ZERO);
    recording.world.advance(MINUTE);
    recording.run_worker().await;
}

/// Every decision that a ticket can show.
async fn decisions(recording: &Recording) {
    let denied = with(about("denied", "Progressing", "new"), "author", APPROVER);
    recording.posts("/gate/confirm-promotion", &denied).await;
    recording.run_worker().await;
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
        let key = recording.promotion(name).await;
        recording.moves(&key, status, who);
    }
    let key = recording.rollout("rejected-at-start", "Succeeded", "old").await;
    recording.moves(&key, "Rejected", APPROVER);
    for name in ["bypassed", "failed", "superseded"] {
        recording.promotion(name).await;
    }
    let away = recording.promotion("moved-away").await;
    recording.person(json!(["to_project", away, "PAY", APPROVER]));
    let labelled = recording.promotion("labelled").await;
    recording.person(json!(["label", labelled, "flagger-ended", APPROVER]));
    recording.records();
    recording.person(json!(["first_status", "Approved"]));
    recording.promotion("no-history").await;
    recording.person(json!(["first_status", "To Do"]));
    recording.polls().await;
    for name in ["succeeded", "not-moved"] {
        assert_eq!(recording.asks(name, "confirm-promotion", "Progressing", "new").await, 200, "{name}");
    }
    recording.posts("/post-rollout", &about("not-moved", "Succeeded", "new")).await;
    recording.run_worker().await;
    let groups = [("group-approved", "Approved"), ("group-rejected", "Rejected")];
    for (name, status) in groups {
        let key = recording.promotion(name).await;
        recording.moves(&key, status, APPROVER);
    }
    let missing = recording.promotion("missing").await;
    recording.person(json!(["delete", missing, APPROVER]));
    recording.fails(Operation::UserGroups);
    recording.fails(Operation::User);
    recording.polls().await;
}

/// Commands that are still pending at the end.
async fn pending_commands(recording: &Recording) {
    recording.loses_next_answer();
    recording.asks("sent", "confirm-promotion", "Progressing", "new").await;
    recording.run_worker().await;
    recording.asks("parked", "confirm-promotion", "Progressing", "new").await;
    recording.run_worker().await;
    // The worker does not run from here on.
    recording.asks("opening", "confirm-promotion", "Progressing", "new").await;
    recording.asks("superseded", "confirm-promotion", "Progressing", "newer").await;
    for (name, phase) in [("succeeded", "Succeeded"), ("bypassed", "Succeeded"), ("failed", "Failed")] {
        recording.posts("/post-rollout", &about(name, phase, "new")).await;
    }
    let news = with(about("running", "Progressing", "new"), "eventMessage", "Advance weight 20");
    recording.posts("/event", &news).await;
    let key = recording.world.tickets().into_iter().find(|it| it.summary.contains("in-review")).unwrap().key;
    recording.world.nudges(&key).await;
}

/// Checks that the fixture contains every kind of state and command.
fn assert_complete(rows: &[Value]) {
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

/// Flagger's next questions, with the answers.
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
