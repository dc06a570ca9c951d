//! The schema of the chart's values accepts and refuses what the program does.

use std::fs;

use flagger_jira_bridge::config;
use jsonschema::Validator;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../deploy/helm/flagger-jira-bridge/values.schema.json");

/// A configuration with which every value of the tables fits.
fn base() -> Value {
    json!({
        "jira": {
            "url": "https://jira.example.com",
            "user": "bridge@example.com",
            "poll_every": "500ms",
            "trust_for": "30000d",
        },
        "ticket": { "project": "OPS" },
    })
}

/// The base with a value at a key such as `jira.timeout`.
fn with(key: &str, value: &Value) -> Value {
    let mut config = base();
    let (sections, name) = key.rsplit_once('.').unwrap();
    let mut at = &mut config;
    for section in sections.split('.') {
        at = at.as_object_mut().unwrap().entry(section).or_insert_with(|| json!({}));
    }
    at[name] = value.clone();
    config
}

/// Whether the program accepts the configuration, once the chart has added Jira's token.
fn program_accepts(config: &Value) -> bool {
    let mut config = config.clone();
    config["jira"]["token"] = json!("sixteen-characters-or-more");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    config::load(&path, []).is_ok()
}

/// Keys, with values that the program accepts and refuses.
fn table() -> Vec<(&'static [&'static str], Value, Value)> {
    let durations = &[
        "server.shutdown_grace",
        "store.keep_for",
        "jira.timeout",
        "jira.poll_every",
        "jira.trust_for",
        "jira.index_lag",
        "rollout.idle_after",
        "rollout.abandon_after",
        "approval.valid_for",
    ];
    let counts = &[
        "jira.requests_per_second",
        "jira.burst",
        "limits.tickets_per_canary_per_hour",
        "limits.open_tickets",
        "limits.open_tickets_per_namespace",
    ];
    let transitions = &[
        "ticket.transitions.opened",
        "ticket.transitions.succeeded",
        "ticket.transitions.failed",
        "ticket.transitions.superseded",
        "ticket.transitions.abandoned",
        "ticket.transitions.bypassed",
    ];
    vec![
        (
            durations,
            json!(["20s", "5m", "007h", "2000ms", "1d"]),
            json!(["soon", "", "20", "0s", "s", "20 s", " 20s", "1h30m", "1w", "-1s", "1.5h", 20, true]),
        ),
        (&["store.keep_for"], json!(["forever"]), json!(["for ever"])),
        (counts, json!([1, 7, 4_294_967_295_u32]), json!([0, -1, 1.5, "5", 4_294_967_296_u64])),
        (&["jira.kind"], json!(["auto", "cloud", "data-center"]), json!(["server", "Cloud", "", true])),
        (&["kubernetes.mode"], json!(["off", "show", "bind"]), json!(["on", "Off", false])),
        (&["ticket.on_bypass"], json!(["record"]), json!(["ignore", true])),
        (&["kubernetes.events", "store.allow_network_volume"], json!([true, false]), json!(["true", 1])),
        (
            &["jira.url", "server.public_url"],
            json!(["https://example.com", "http://example.com:8080/jira"]),
            json!([
                "example.com",
                "ftp://example.com",
                "https://a:b@example.com",
                "https://example.com?a",
                1
            ]),
        ),
        (&["server.public_url"], json!([""]), json!([])),
        (
            &["flagger.cluster"],
            json!(["default", "prod-eu-1"]),
            json!(["Prod", "-a", "a-", "a b", "a".repeat(64)]),
        ),
        (&["flagger.namespaces"], json!([["*"], ["shop", "payments-*"]]), json!([[], [""], "shop", [1]])),
        (&["kubernetes.annotations"], json!([[], ["a/*"]]), json!([[""], "a"])),
        (&["ticket.issue_type", "ticket.description"], json!(["Change"]), json!([1, ["Change"]])),
        (&["ticket.summary"], json!(["Ship {{ canary }}"]), json!(["two\nlines", 1])),
        (&["ticket.labels"], json!([[], ["release"]]), json!([["two words"], "release", [1]])),
        (
            &["ticket.statuses.approved"],
            json!([["Approved", "10007"]]),
            json!([[], [10007], "Approved", [""]]),
        ),
        (&["ticket.statuses.rejected"], json!([[], ["No"]]), json!([[10007], "No", [""]])),
        (
            transitions,
            json!(["Done", { "to": "Done" }, { "to": "Done", "fields": { "resolution": { "name": "Done" } } }]),
            json!(["", 5, {}, { "fields": {} }, { "to": "Done", "field": {} }]),
        ),
        (
            &["approval.approvers", "approval.deny"],
            json!([[], ["group:cab"]]),
            json!([[""], "group:cab", [1]]),
        ),
    ]
}

#[test]
fn the_schema_and_the_program_agree() {
    let schema: Validator = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let schema_accepts = |config: &Value| schema.is_valid(&json!({ "config": config }));
    assert!(schema_accepts(&base()) && program_accepts(&base()));
    let mut compared = 0;
    for (keys, good, bad) in table() {
        for (values, accepted) in [(good, true), (bad, false)] {
            for (key, value) in
                keys.iter().flat_map(|key| values.as_array().unwrap().iter().map(move |it| (key, it)))
            {
                let config = with(key, value);
                assert_eq!(program_accepts(&config), accepted, "the program: {key} = {value}");
                assert_eq!(schema_accepts(&config), accepted, "the schema: {key} = {value}");
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

/// Values outside of `config`, good and bad.
#[test]
fn values_are_checked() {
    let schema: Validator = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    for (values, accepted) in [
        (json!({ "replicaCount": 2 }), true),
        (json!({ "replicas": 2 }), true),
        (json!({ "replicaCount": "2" }), false),
        (json!({ "image": { "pullPolicy": "Sometimes" } }), false),
        (json!({ "image": { "digest": "e3b0" } }), false),
        (json!({ "persistence": { "size": "1Gi" } }), true),
        (json!({ "persistence": { "size": "1 GB" } }), false),
        (json!({ "persistence": { "accessModes": ["ReadOnlyMany"] } }), false),
        (json!({ "serviceMonitor": { "interval": "1m30s" } }), true),
        (json!({ "serviceMonitor": { "interval": "30" } }), false),
        (json!({ "livenessProbe": { "initialDelaySeconds": 5 } }), true),
        (json!({ "livenessProbe": { "exec": { "command": ["true"] } } }), false),
        (json!({ "podDisruptionBudget": { "maxUnavailable": "50%" } }), true),
        (json!({ "podDisruptionBudget": { "maxUnavailable": "half" } }), false),
        (json!({ "serviceAccount": { "annotations": { "a": "b" } } }), true),
        (json!({ "serviceAccount": { "annotations": { "a": true } } }), false),
        (json!({ "extraEnv": [{ "name": "HTTPS_PROXY", "value": "http://proxy:3128" }] }), true),
        (json!({ "extraEnv": ["HTTPS_PROXY=http://proxy:3128"] }), false),
        (json!({ "extraObjects": [{ "kind": "Secret" }, "kind: Secret"] }), true),
        (json!({ "extraObjects": { "kind": "Secret" } }), false),
        (json!({ "service": { "type": "ExternalName" } }), false),
    ] {
        assert_eq!(schema.is_valid(&values), accepted, "{values}");
    }
}
