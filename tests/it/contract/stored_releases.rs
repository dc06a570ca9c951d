//! Databases of earlier releases: every row is read, questions get the same answers, and all commands are completed.
//! `fixtures/store` has a folder for each release, and a README that says how to create one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use fake_jira::{FakeJira, Flavour, MIA, Setup, Workflow};
use flagger_jira_bridge::{
    clock::Clock,
    gate::{GateId, GateName, Ticket},
    millis::Millis,
    rollout::{CanaryId, Command},
    store::Store,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use sqlx::{
    AnyConnection, AnyPool, AssertSqlSafe, Column as _, Connection as _, Row as _, SqlSafeStr as _,
    any::AnyRow,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::world::{Answer, World, program::run};

mod story;

/// Every table except the one of sqlx's migrations.
const TABLES: [&str; 9] =
    ["turn", "canary", "heard", "outbox", "ticket", "nudge", "lease", "audit", "audit_chain"];

/// The folders of the releases.
fn releases() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store");
    let folders = std::fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no release is kept");
    folders
}

/// The lines of a file as JSON values.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(path: &Path, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).unwrap();
}

/// Creates the tables of that release, and fills them.
async fn fill(url: &str, release: &Path) {
    sqlx::any::install_default_drivers();
    let mode = if url.starts_with("sqlite:") { "?mode=rwc" } else { "" };
    let pool = AnyPool::connect(&format!("{url}{mode}")).await.unwrap();
    let mut files: Vec<PathBuf> = std::fs::read_dir(release)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let migrations = files.iter().map(|path| {
        let (version, name) = path.file_stem().unwrap().to_str().unwrap().split_once('_').unwrap();
        let sql = AssertSqlSafe(std::fs::read_to_string(path).unwrap()).into_sql_str();
        let version = version.parse().unwrap();
        Migration::new(version, name.to_owned().into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect()).run(&pool).await.unwrap();
    for table in TABLES {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&pool).await.unwrap();
    }
    for line in lines(&release.join("rows.jsonl")) {
        let row = line["row"].as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        let (columns, values): (Vec<&String>, Vec<&Value>) = row.unzip();
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        let columns = columns.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ");
        let table = line["table"].as_str().unwrap();
        let sql = format!("INSERT INTO {table} ({columns}) VALUES ({})", places.join(", "));
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            insert = match value.as_str() {
                Some(text) => insert.bind(text.to_owned()),
                None => insert.bind(value.as_i64().unwrap()),
            };
        }
        insert.execute(&pool).await.unwrap();
    }
    pool.close().await;
}

/// All rows of the database.
async fn rows(url: &str) -> Vec<Value> {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let mut all = Vec::new();
    for table in TABLES {
        let read = |row: AnyRow| {
            let mut fields = Map::new();
            for (at, column) in row.columns().iter().enumerate() {
                let value = match row.try_get::<Option<i64>, _>(at) {
                    Ok(number) => json!(number),
                    Err(_) => json!(row.try_get::<String, _>(at)?),
                };
                fields.insert(column.name().to_owned(), value);
            }
            Ok(fields)
        };
        let sql = AssertSqlSafe(format!("SELECT * FROM {table} ORDER BY 1"));
        let rows = sqlx::query(sql).try_map(read).fetch_all(&mut connection).await.unwrap();
        all.extend(rows.into_iter().map(|row| json!({ "table": table, "row": row })));
    }
    connection.close().await.unwrap();
    all
}

/// Repeats the recorded actions in Jira, in their order and at their times.
struct JiraReplay<'a> {
    jira: &'a FakeJira,
    clock: &'a Clock,
}

impl JiraReplay<'_> {
    fn waits_until(&self, at: &Value) {
        self.clock.advance(Millis(at.as_i64().unwrap()).since(self.clock.now()));
    }

    /// Performs a person's action, for instance `["move", key, status, who]`.
    fn person(&self, did: &Value) {
        let words: Vec<&str> = did.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        match words[..] {
            ["move", key, status, who] => self.jira.move_issue(key, status, who).unwrap(),
            ["delete", key, who] => self.jira.delete_issue(key, who).unwrap(),
            ["to_project", key, project, who] => {
                self.jira.move_to_project(key, project, who).unwrap();
            }
            ["label", key, label, who] => self.jira.edit_labels(key, &[label], &[], who).unwrap(),
            ["group", name, member] => self.jira.add_group(name, &[member]),
            // New issues start in this status.
            ["first_status", status] => {
                let mut workflow = Workflow::change();
                let first = workflow.statuses.iter().position(|it| it.name == status).unwrap();
                workflow.statuses.swap(0, first);
                self.jira.set_workflow("OPS", "Change", workflow);
            }
            _ => panic!("{did}"),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is not the bridge's client")]
    async fn plays(&self, lines: Vec<Value>) {
        let (http, setup) = (reqwest::Client::new(), Setup::new(Flavour::Cloud, self.clock.clone()));
        for line in lines {
            self.waits_until(&line["at"]);
            if let Some(did) = line.get("person") {
                self.person(did);
                continue;
            }
            let url = format!("{}{}", self.jira.base_url(), line["path"].as_str().unwrap());
            let request = http
                .request(line["method"].as_str().unwrap().parse().unwrap(), url)
                .basic_auth(&setup.user, Some(&setup.token))
                .header("content-type", "application/json")
                .body(line["body"].to_string());
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{line}: {answer:?}");
        }
    }
}

/// Whether `read` contains everything that `stored` contains, and perhaps more.
fn contains_all(read: &Value, stored: &Value) -> bool {
    match (read, stored) {
        (Value::Object(read), Value::Object(stored)) => {
            stored.iter().all(|(key, value)| read.get(key).is_some_and(|read| contains_all(read, value)))
        }
        (Value::Array(read), Value::Array(stored)) => {
            read.len() == stored.len()
                && read.iter().zip(stored).all(|(read, stored)| contains_all(read, stored))
        }
        _ => read == stored,
    }
}

/// Parses a stored text, and checks that nothing of it is lost.
fn parse_completely<T: DeserializeOwned + Serialize>(text: &str) -> T {
    let stored: Value = serde_json::from_str(text).unwrap();
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let again = serde_json::to_value(&read).unwrap();
    assert!(contains_all(&again, &stored), "stored: {stored}\nread:   {again}");
    read
}

fn canary_id(text: &str) -> CanaryId {
    let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
    let [cluster, namespace, name] = parts.try_into().unwrap();
    CanaryId { cluster, namespace, name }
}

/// Opens the store, and checks that every row is read.
async fn assert_all_rows_read(url: &str, rows: &[Value]) {
    let store = Store::open(&url.into()).await.unwrap();
    assert_eq!(store.unreadable(), vec![]);
    let mut seen = BTreeMap::new();
    for line in rows {
        let (table, row) = (line["table"].as_str().unwrap(), &line["row"]);
        *seen.entry(table).or_insert(0) += 1;
        let text = |column: &str| row[column].as_str().unwrap();
        match table {
            "canary" => {
                let canary = store.canary(&canary_id(text("id"))).unwrap();
                assert_eq!(*canary, parse_completely(text("state")));
            }
            "outbox" => {
                let command: Command = parse_completely(text("command"));
                assert_eq!(command.gate().0, text("gate"));
            }
            "ticket" => {
                let kept = store.ticket(&GateId(text("gate").into())).await.unwrap().unwrap();
                assert_eq!(kept.name, parse_completely::<GateName>(text("name")));
                assert_eq!(kept.ticket, parse_completely::<Ticket>(text("ticket")));
                assert_eq!(kept.ended_at.map(|at| at.0), row["ended_at"].as_i64());
            }
            "heard" => {
                let canary = canary_id(text("canary"));
                let heard = store.last_message(&canary);
                assert_eq!(heard.map(|at| at.0), row["at"].as_i64());
                for entry in serde_json::from_str::<Vec<Value>>(text("paces")).unwrap() {
                    let (gate, asked) = (GateId(entry[0].as_str().unwrap().into()), &entry[1]);
                    assert_eq!(
                        store.asked_at(&canary, &gate).map(|at| at.0),
                        asked["at"].as_i64(),
                        "{entry}"
                    );
                    let longest: Duration =
                        serde_json::from_value(asked["pace"]["longest_gap"].clone()).unwrap();
                    assert_eq!(store.pace(&canary, &gate).longest_gap_before(), longest, "{entry}");
                }
            }
            _ => {}
        }
    }
    assert_eq!(store.nudges().await.unwrap().len(), seen["nudge"]);
    println!("{seen:?}");
    store.close().await;
}

/// The stable part of an answer: its text may change, and Jira's address differs each time.
fn promised(answer: &Answer) -> Value {
    let mut gate = answer.json();
    let fields = gate.as_object_mut().unwrap();
    fields.remove("reason");
    // Newer than the first release.
    fields.remove("last_asked_at");
    if let Some(ticket) = fields.get_mut("ticket").and_then(Value::as_object_mut) {
        ticket.remove("url");
    }
    json!({ "status": answer.status, "gate": gate })
}

impl World {
    async fn answers(&self, question: &Value) -> Answer {
        let request = self.gate("POST", question["path"].as_str().unwrap());
        let headers = request.header("content-type", "application/json").header("accept", "application/json");
        self.sends(headers.body(question["body"].to_string())).await
    }

    fn audit_holds(&self) {
        let (code, out, errors) = run(&["audit", "--verify", "-c", &self.config()]);
        assert_eq!(code, Some(0), "{out}{errors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_all_releases_are_read() {
    for release in releases() {
        let settings = std::fs::read_to_string(release.join("settings.toml")).unwrap();
        let mut world = World::prepare(Flavour::Cloud, &settings).await;
        fill(world.database_url(), &release).await;
        let rows = lines(&release.join("rows.jsonl"));
        assert_all_rows_read(world.database_url(), &rows).await;
        let stage = JiraReplay { jira: &world.jira, clock: &world.clock };
        stage.plays(lines(&release.join("jira.jsonl"))).await;
        let questions = lines(&release.join("questions.jsonl"));
        stage.waits_until(&questions[0]["at"]);
        world.jira.clear_requests();

        world.start_processes().await;
        world.take_lease().await;
        world.audit_holds();
        // An approval judged by an earlier version opens only after the ticket is read again.
        let is_judged = |question: &&Value| {
            ["approved", "expired"].iter().any(|it| question["answer"]["gate"]["state"] == *it)
        };
        for question in &questions {
            let answer = world.answers(question).await;
            if is_judged(&question) {
                assert_eq!((answer.status, &answer.json()["state"]), (403, &json!("stale")), "{question}");
            } else {
                assert_eq!(promised(&answer), question["answer"], "{question}\n{}", answer.body);
            }
        }
        world.run_worker().await;
        for question in questions.iter().filter(is_judged) {
            let answer = world.answers(question).await;
            assert_eq!(promised(&answer), question["answer"], "{question}\n{}", answer.body);
        }
        assert!(questions.iter().any(|question| question["answer"]["status"] == 200));

        // Denied people were stored when Flagger asked.
        let denied = questions.iter().find(|question| question["body"]["name"] == "denied").unwrap();
        let key = denied["answer"]["gate"]["ticket"]["key"].as_str().unwrap();
        world.decides(key, "Approved").await;
        let answer = world.answers(denied).await;
        assert_eq!((answer.status, &answer.json()["state"]), (403, &json!("not_allowed")), "{}", answer.body);

        // The parked command's cause is fixed, and then the worker completes everything.
        world.settings = world.settings.replace("NOPE", "OPS");
        world.restarts().await;
        let mut live: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let jira = world.jira.clone();
        world.finish().await;
        for ticket in jira.issues() {
            let gate = ticket.properties.values().find_map(|value| value["gate"].as_str());
            if let Some(gate) = gate.filter(|_| !ticket.labels.iter().any(|label| label == "flagger-ended")) {
                live.entry(gate.to_owned()).or_default().push(ticket.key);
            }
        }
        assert!(live.values().all(|tickets| tickets.len() == 1), "{live:?}");
        let texts: Vec<String> =
            jira.issues().iter().flat_map(|ticket| &ticket.comments).map(|said| said.text()).collect();
        for word in
            ["succeeded", "failed", "superseded", "abandoned", "WITHOUT this approval", "duplicate of"]
        {
            assert!(texts.iter().any(|said| said.contains(word)), "no comment contains {word:?}");
        }
        assert!(jira.issues().iter().any(|ticket| !ticket.links.is_empty()));
    }
}

/// Writes the folder of this version again, if the environment asks for it.
#[tokio::test]
async fn the_release_is_written() {
    if std::env::var_os("TEST_WRITE_STORE").is_none() {
        return;
    }
    assert!(std::env::var_os("TEST_DATABASE_URL").is_none(), "it is written from SQLite");
    let release =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store").join(env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(&release).unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            std::fs::copy(&path, release.join(path.file_name().unwrap())).unwrap();
        }
    }
    let fixture = story::create().await;
    std::fs::write(release.join("settings.toml"), story::settings()).unwrap();
    write(&release.join("rows.jsonl"), &fixture.rows);
    write(&release.join("jira.jsonl"), &fixture.jira);
    write(&release.join("questions.jsonl"), &fixture.questions);
}

#[test]
fn lost_fields_are_found() {
    let stored = json!({ "a": [{ "b": 1 }], "c": null });
    assert!(contains_all(&json!({ "a": [{ "b": 1, "new": 2 }], "c": null, "d": 0 }), &stored));
    for read in [
        json!({ "a": [{ "b": 1 }] }),
        json!({ "a": [{ "b": 2 }], "c": null }),
        json!({ "a": [], "c": null }),
        json!({ "a": [{ "renamed": 1 }], "c": null }),
    ] {
        assert!(!contains_all(&read, &stored), "{read}");
    }
}

/// The approver in [`story`].
const APPROVER: &str = MIA;
