//! `docs/openapi.json` and `docs/api.md` describe the API: every field of an answer is described, with the right type, and
//! every described field occurs in an answer.

use std::{collections::BTreeSet, time::Duration};

use fake_jira::{BOB, Fault, Flavour, MIA, Operation, Times};
use flagger_jira_bridge::{
    gate::Verdict,
    metrics::{ListenerLabel, RefusalReason},
};
use serde_json::{Map, Value, json};

use crate::world::{World, cluster::Cluster, question};

const OPENAPI: &str = include_str!("../../../docs/openapi.json");
const API: &str = include_str!("../../../docs/api.md");

/// The keywords that say nothing about values.
const ANNOTATIONS: [&str; 1] = ["description"];

/// The described schemas, and what answers had of them.
struct Described {
    document: Value,
    /// `Schema.field`, and `Schema.field null` for a null.
    seen: BTreeSet<String>,
}

impl Described {
    fn read() -> Self {
        Self { document: serde_json::from_str(OPENAPI).unwrap(), seen: BTreeSet::new() }
    }

    fn schemas(&self) -> &Map<String, Value> {
        self.document["components"]["schemas"].as_object().unwrap()
    }

    /// Compares an answer with the description of its path.
    fn compare(&mut self, path: &str, answer: &Value) {
        let content = &self.document["paths"][path]["get"]["responses"]["200"]["content"];
        let schema = content["application/json"]["schema"].clone();
        assert!(schema.is_object(), "{path} is not described");
        self.check(&schema, answer, path);
    }

    /// Asserts that a value is as its schema says, and records the fields that it has. Fails for a keyword that it does
    /// not know.
    fn check(&mut self, schema: &Value, value: &Value, place: &str) {
        for (keyword, says) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "$ref" => {
                    let name = says.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
                    let schema = self.schemas()[name].clone();
                    self.check(&schema, value, name);
                }
                "anyOf" => {
                    let [some, none] = says.as_array().unwrap().as_slice() else { panic!("{place}") };
                    assert_eq!(*none, json!({ "type": "null" }), "{place}");
                    if !value.is_null() {
                        self.check(some, value, place);
                    }
                }
                "type" => {
                    let is = |name: &Value| match name.as_str().unwrap() {
                        "string" => value.is_string(),
                        "integer" => value.is_u64(),
                        "boolean" => value.is_boolean(),
                        "null" => value.is_null(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        other => panic!("{place}: {other}"),
                    };
                    let fits = says.as_array().map_or_else(|| is(says), |names| names.iter().any(is));
                    assert!(fits, "{place}: {value} is no {says}");
                }
                "enum" => assert!(says.as_array().unwrap().contains(value), "{place}: {value}"),
                "format" => {
                    assert_eq!(says, "date-time", "{place}");
                    let time = value.as_str().map(str::parse::<jiff::Timestamp>);
                    assert!(time.is_none_or(|time| time.is_ok()), "{place}: {value}");
                }
                "minimum" => assert!(value.as_u64() >= says.as_u64(), "{place}: {value}"),
                "maximum" => assert!(value.as_u64() <= says.as_u64(), "{place}: {value}"),
                "items" => {
                    value.as_array().into_iter().flatten().for_each(|item| self.check(says, item, place));
                }
                "properties" => self.check_fields(schema, value, place),
                // Checked with the properties.
                "required" | "additionalProperties" => {}
                other => assert!(ANNOTATIONS.contains(&other), "{place}: what does {other} mean?"),
            }
        }
    }

    fn check_fields(&mut self, schema: &Value, value: &Value, place: &str) {
        assert_eq!(schema["additionalProperties"], false, "{place}");
        let fields = value.as_object().unwrap();
        for name in schema["required"].as_array().unwrap() {
            assert!(fields.contains_key(name.as_str().unwrap()), "{place} has no {name}: {value}");
        }
        for (name, value) in fields {
            let field = &schema["properties"][name];
            assert!(field.is_object(), "{place}.{name} is not described: {value}");
            let null = if value.is_null() { " null" } else { "" };
            self.seen.insert(format!("{place}.{name}{null}"));
            self.check(field, value, &format!("{place}.{name}"));
        }
    }

    /// Every field, and every null, that is described.
    fn all(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (schema, described) in self.schemas() {
            for (name, field) in described["properties"].as_object().unwrap() {
                all.insert(format!("{schema}.{name}"));
                let is_null = |kind: &Value| kind == "null" || kind["type"] == "null";
                let kinds = field["type"].as_array().or(field["anyOf"].as_array());
                if kinds.into_iter().flatten().any(is_null) {
                    all.insert(format!("{schema}.{name} null"));
                }
            }
        }
        all
    }
}

impl World {
    /// Compares what the API answers now with its description.
    async fn is_as_described(&self, described: &mut Described) {
        for path in ["/api/gates", "/api/refused", "/api/unguarded", "/api/jira"] {
            let answer = self.sends(self.admin("GET", path)).await;
            assert_eq!(answer.status, 200, "{path}");
            described.compare(path, &answer.json());
        }
    }
}

fn bad_gateway() -> Fault {
    Fault::Status { code: 502, retry_after: None, body: "<html>Bad gateway</html>".into() }
}

/// What happens on a few days, as far as fields of the answers depend on it.
#[tokio::test]
async fn every_field_is_described_and_every_described_field_occurs() {
    let cluster = Cluster::start().await;
    cluster.is_at("Progressing", 40, 0);
    cluster.has_canary("shop", "till", &json!({ "analysis": { "webhooks": [] } }));
    let window = "windows = [{ match = { canary = \"canary-*\" }, open = [\"Sun 01:00-02:00\"], time_zone = \"UTC\" }]";
    let routes = "[[routes]]\nmatch = { canary = \"canary-0\" }\napproval = { mode = \"record\" }\n\
                  [[routes]]\nmatch = { stage = \"confirm-traffic-increase\" }\nticket = { traffic = \"step\" }";
    let steps = format!(
        "[[routes]]\nmatch = {{ canary = \"canary-1\" }}\n\
         approval = {{ approvers = [\"{MIA}\"], steps = [\"In Review\", \"Approved\"], decide_within = \"3d\" }}"
    );
    let settings =
        format!("{}\nlimits.open_tickets = 5\n{window}\n{routes}\n{steps}", cluster.settings("show"));
    let world = World::start_with(Flavour::Cloud, &settings).await;
    let mut described = Described::read();
    let asks = async |name: &str, path: &str, metadata: Value| {
        let mut body = question("Progressing", "5594979469");
        body["name"] = name.into();
        body["metadata"] = metadata;
        world.posts(path, &body).await
    };
    world.is_as_described(&mut described).await;
    asks("cart", "/gate/confirm-promotion?gate=qa", json!({ "revision": "6.5.0" })).await;
    asks("cart", "/gate/confirm-traffic-increase", json!({ "revision": "6.5.0" })).await;
    world.is_as_described(&mut described).await;
    // The ticket is opened, and cannot be read yet.
    for reading in [Operation::BulkFetch, Operation::GetIssue] {
        world.jira.fault(reading, bad_gateway(), Times::Always);
    }
    world.run_worker().await;
    world.is_as_described(&mut described).await;
    world.jira.clear_faults();
    world.advance(Duration::from_secs(300));
    world.run_worker().await;
    let mut waits = question("Initialized", "0ld");
    waits["name"] = "web".into();
    world.posts("/gate/confirm-rollout", &waits).await;
    for nth in 0..4 {
        let name = format!("canary-{nth}");
        asks(&name, "/gate/confirm-promotion", json!({})).await;
    }
    asks("cart", "/gate/confirm-promotoin", json!({})).await;
    assert_eq!(world.posts("/gate/confirm-promotion", &json!({ "name": "Cart!" })).await.status, 400);
    asks("cart", "/gate/confirm-promotion?cluster=moon", json!({})).await;
    world.is_as_described(&mut described).await;
    world.advance(Duration::from_secs(20));
    world.run_worker().await;
    world.is_as_described(&mut described).await;
    let gates = world.gates().await;
    let gate = gates.as_array().unwrap().iter().find(|gate| gate["canary"] == "canary-1").unwrap();
    world.jira.move_issue(gate["ticket"]["key"].as_str().unwrap(), "In Review", BOB).unwrap();
    world.advance(Duration::from_secs(20));
    world.run_worker().await;
    world.is_as_described(&mut described).await;

    let body = r#"{"errorMessages":["The value is invalid."],"errors":{}}"#.to_owned();
    let fault = Fault::Status { code: 400, retry_after: None, body };
    world.jira.fault(Operation::BulkFetch, fault, Times::Always);
    for _ in 0..4 {
        world.advance(Duration::from_secs(20));
        world.run_worker().await;
        world.is_as_described(&mut described).await;
    }
    world.jira.fault(Operation::Any, bad_gateway(), Times::Always);
    for _ in 0..4 {
        world.advance(Duration::from_secs(60));
        world.run_worker().await;
        world.is_as_described(&mut described).await;
    }
    // `failures::bulk_reads` reads tickets one by one, and looks at these fields.
    let elsewhere = ["Jira.one_by_one", "OneByOne.since", "OneByOne.why"];
    let missing = described.all();
    let missing = missing.difference(&described.seen).filter(|name| !elsewhere.contains(&name.as_str()));
    let missing: Vec<_> = missing.cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "described, but in no answer");
}

/// The answer to Flagger as JSON is a gate, and `open`.
#[tokio::test]
async fn an_answer_to_flagger_is_a_gate() {
    let world = World::start(Flavour::Cloud).await;
    let mut described = Described::read();
    let gate = json!({ "$ref": "#/components/schemas/Gate" });
    for path in ["/gate/confirm-promotion", "/gate/rollback", "/gate/check"] {
        let request = world.gate("POST", path).header("content-type", "application/json");
        let request = request.header("accept", "application/json");
        let answer = world.sends(request.body(question("Progressing", "new").to_string())).await;
        let mut answer = answer.json();
        assert_eq!(answer.as_object_mut().unwrap().remove("open"), Some(json!(false)));
        described.check(&gate, &answer, "Gate");
    }
}

/// The words that a field may have are those of the program.
#[test]
fn every_word_is_described() {
    let described = Described::read();
    let words = |schema: &str, field: &str| described.schemas()[schema]["properties"][field]["enum"].clone();
    assert_eq!(words("Gate", "state"), json!(Verdict::ALL.map(Verdict::as_str)));
    assert_eq!(words("Refused", "kind"), json!(RefusalReason::ALL.map(RefusalReason::as_str)));
    assert_eq!(words("Refused", "listener"), json!(ListenerLabel::ALL.map(ListenerLabel::as_str)));
    assert_eq!(described.document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// The type of a field, as the page for people has it.
fn type_words(field: &Value) -> String {
    if let Some(name) = field["anyOf"][0]["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return format!("[{name}](#{}) or null", name.to_lowercase());
    }
    let word = |name: &Value| match name.as_str().unwrap() {
        "string" if field["format"] == "date-time" => "time".to_owned(),
        name => name.to_owned(),
    };
    match field["type"].as_array() {
        Some(names) => names.iter().map(word).collect::<Vec<_>>().join(" or "),
        None => word(&field["type"]),
    }
}

/// The page for people says the same.
#[test]
fn the_page_says_the_same() {
    for (name, schema) in Described::read().schemas() {
        let required: Vec<&str> =
            schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let about = schema["description"].as_str().unwrap();
        let section = API.split(&format!("\n## {name}\n\n{about}\n\n")).nth(1);
        let section = section.unwrap_or_else(|| panic!("{name} is missing in docs/api.md"));
        let section = section.split("\n## ").next().unwrap();
        let mut expected = vec!["| field | type | what it is |".to_owned(), "|---|---|---|".to_owned()];
        for (field, says) in schema["properties"].as_object().unwrap() {
            let mut about = says["description"].as_str().unwrap().to_owned();
            if let Some(words) = says["enum"].as_array() {
                let words: Vec<_> =
                    words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
                about += &format!(" One of {}.", words.join(", "));
            }
            let missing = if required.contains(&field.as_str()) { "" } else { ", may be missing" };
            expected.push(format!("| `{field}`{missing} | {} | {about} |", type_words(says)));
        }
        // The order of the fields is for readers.
        let mut lines: Vec<&str> = section.trim().lines().collect();
        lines[2..].sort_unstable();
        expected[2..].sort();
        assert_eq!(lines, expected, "{name}");
    }
}
