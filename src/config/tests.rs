//! What a configuration means, and what the other tests of it share.

mod example;
mod in_force;
mod mistakes;
mod notify;
mod oauth;
mod random;
mod schedule;

use std::{fmt::Write as _, time::Duration};

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::policy::Route;

const REQUIRED: [(&str, &str); 3] = [
    ("BRIDGE__JIRA__URL", "https://jira.example.com/"),
    ("BRIDGE__JIRA__TOKEN", "swordfish"),
    ("BRIDGE__TICKET__PROJECT", "OPS"),
];

fn read(text: &str, env: &[(&str, &str)]) -> Result<Config, Problems> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load(file.path(), env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// With the three required keys from the environment.
fn load_text(text: &str) -> Result<Config, Problems> {
    read(text, &REQUIRED)
}

fn problems(text: &str) -> String {
    load_text(text).unwrap_err().to_string()
}

fn with_env(env: &[(&str, &str)]) -> Result<Config, Problems> {
    let required = REQUIRED.into_iter().filter(|(name, _)| !env.iter().any(|(other, _)| other == name));
    read("", &required.chain(env.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn the_environment_wins_over_the_file() {
    let text =
        "[jira]\npoll_every = \"5s\"\nburst = 3\n[ticket]\nproject = \"FILE\"\n[ticket.fields]\na = 1\n";
    let env = [
        ("BRIDGE__JIRA__URL", "https://jira.example.com/jira/"),
        ("BRIDGE__JIRA__TOKEN", "12345678"),
        ("BRIDGE__JIRA__POLL_EVERY", "7s"),
        ("BRIDGE__JIRA__BURST", " 4 "),
        ("BRIDGE__FLAGGER__NAMESPACES", "shop-*, pay"),
        ("BRIDGE__FLAGGER__CLUSTERS", r#"[{ name = "eu", token = "e" }, { name = "default", token = "d" }]"#),
        ("BRIDGE__FLAGGER__TOKENS", r#"[{ token = "t", namespaces = ["shop"], cluster = "eu" }]"#),
        ("BRIDGE__TICKET__FIELDS", r#"{ fixVersions = [{ name = "1" }] }"#),
        ("BRIDGE__TICKET__FIELDS__PRIORITY", r#"{ name = "High" }"#),
        ("BRIDGE__TICKET__FIELDS__customFieldText", "{{ canary }}"),
        ("BRIDGE__TICKET__FIELDS__customfield_7", "true"),
        ("BRIDGE__TICKET__STATUSES__APPROVED", r#"["A, B", "C"]"#),
        ("BRIDGE__TICKET__TRANSITIONS__FAILED", "Failed"),
        (
            "BRIDGE__TICKET__TRANSITIONS__SUCCEEDED",
            r#"{ to = "Done", fields = { resolution = { name = "Done" } } }"#,
        ),
        ("BRIDGE__TICKET__TRANSITIONS__SUCCEEDED__FIELDS__fixVersions", r#"[{ name = "2" }]"#),
        ("BRIDGE__APPROVAL__APPROVERS", "group:cab, Bob B"),
        ("BRIDGE__APPROVAL__DENY", ""),
        ("BRIDGE__ROUTES", r#"[{ match = { gate = "qa" }, ticket = { project = "QA" } }]"#),
        ("BRIDGE_CONFIG", "not ours"),
        ("PATH", "/bin"),
    ];
    let config = read(text, &env).unwrap();
    assert_eq!(config.jira.client.url, "https://jira.example.com/jira");
    assert_eq!(config.jira.client.login.secret().newest().expose_secret(), "12345678");
    assert_eq!((config.jira.poll_every, config.jira.client.burst.get()), (Duration::from_secs(7), 4));
    let may = |namespace| config.flagger.namespaces.is_match(namespace);
    assert_eq!((may("shop-1"), may("pay"), may("other")), (true, true, false));
    let clusters: Vec<&str> = config.flagger.clusters.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(clusters, ["eu", "default"]);
    let [token] = &config.flagger.tokens[..] else { panic!("{:?}", config.flagger.tokens) };
    assert_eq!(token.token.newest().expose_secret(), "t");
    assert_eq!((token.namespaces.is_match("shop"), token.namespaces.is_match("pay")), (true, false));
    assert_eq!(token.cluster.as_deref(), Some("eu"));
    let ticket = &config.policy.base.ticket;
    assert_eq!(ticket.project, "FILE");
    insta::assert_snapshot!(format!("{:?}", ticket.fields), @r#"{"a": 1, "customFieldText": '{{ canary }}', "customfield_7": 'true', "fixVersions": [{'name': '1'}], "priority": {'name': 'High'}}"#);
    assert_eq!(ticket.approved, ["A, B", "C"]);
    assert_eq!(ticket.transitions.failed.as_ref().unwrap().to, "Failed");
    let succeeded = ticket.transitions.succeeded.as_ref().unwrap();
    insta::assert_snapshot!(format!("{} {:?}", succeeded.to, succeeded.fields), @r#"Done {"fixVersions": [{'name': '2'}], "resolution": {'name': 'Done'}}"#);
    assert_eq!(config.policy.base.approval.approvers, ["group:cab", "Bob B"]);
    assert!(config.policy.base.approval.deny.is_empty());
    let route = config.policy.route("default", "n", "c", "confirm-rollout", Some("qa"));
    assert_eq!((route.key.as_str(), route.ticket.project.as_str()), ("routes[0]", "QA"));
}

#[test]
fn variables_are_named_where_they_are_wrong() {
    let env = [
        ("BRIDGE__JIRA__BURST", "ten"),
        ("BRIDGE__JIRA__TOKN", "hunter2"),
        ("BRIDGE__", "x"),
        ("BRIDGE__LIMITS", "500"),
        ("BRIDGE__FLAGGER__TOKEN", " "),
        ("BRIDGE__FLAGGER__CLUSTERS", "hunter2"),
        ("BRIDGE__FLAGGER__TOKENS", "hunter2"),
        ("BRIDGE__TICKET__LABELS", "[a, b]"),
        ("BRIDGE__TICKET__STATUSES__REJECTED", "Approved"),
        ("BRIDGE__TICKET__TRANSITIONS__FAILED", "{ to = x }"),
        ("BRIDGE__SERVER__GATE_LISTEN", "here"),
    ];
    insta::assert_snapshot!(with_env(&env).unwrap_err(), @r#"
    BRIDGE__: no such setting
    flagger.clusters: is not a TOML list of tables; write for example [{ name = "value" }] (set by BRIDGE__FLAGGER__CLUSTERS)
    flagger.tokens: is not a TOML list of tables; write for example [{ name = "value" }] (set by BRIDGE__FLAGGER__TOKENS)
    jira.burst: expected a whole number, at least 1 (set by BRIDGE__JIRA__BURST)
    limits: is not a TOML table; write for example { name = "value" } (set by BRIDGE__LIMITS)
    ticket.labels: is not a TOML list; write for example ["a", "b"], or a,b (set by BRIDGE__TICKET__LABELS)
    ticket.transitions.failed: is not a TOML table; write for example { name = "value" } (set by BRIDGE__TICKET__TRANSITIONS__FAILED)
    server.gate_listen: "here" is not an address to listen on; write for example "0.0.0.0:8080" (set by BRIDGE__SERVER__GATE_LISTEN)
    flagger.token: is empty (set by BRIDGE__FLAGGER__TOKEN)
    BRIDGE__JIRA__TOKN: no such setting; did you mean BRIDGE__JIRA__TOKEN?
    ticket.statuses: "Approved" is both approved and rejected; remove it from one of the two
    "#);
}

#[test]
fn the_first_route_that_matches_wins_and_says_only_what_differs() {
    let text = r#"
        [ticket]
        issue_type = "Task"
        [ticket.fields]
        customfield_10010 = "base"
        fixVersions = [{ name = "{{ label }}" }]
        [ticket.transitions]
        failed = "Failed"
        abandoned = "Cancelled"
        [approval]
        approvers = ["ann"]
        deny = ["{{ metadata.author }}"]
        [[routes]]
        match = { namespace = "pay-*", stage = "confirm-promotion" }
        approval = { valid_for = "1h" }
        [routes.ticket]
        project = "PAY"
        fields = { customfield_10010 = { value = "route" }, dueDate = "x" }
        statuses = { approved = ["Go"] }
        transitions = { failed = { to = "Broken" } }
        [[routes]]
        match = { namespace = "pay-*", cluster = "e?" }
        ticket = { project = "SECOND" }
        approval = { approvers = [] }
    "#;
    let policy = load_text(text).unwrap().policy;
    let find = |cluster, namespace, stage| {
        let route = policy.route(cluster, namespace, "web", stage, None);
        (route.key.clone(), route.ticket.project.clone())
    };
    let is = |key: &str, project: &str| (key.to_owned(), project.to_owned());
    assert_eq!(find("eu", "pay-1", "confirm-promotion"), is("routes[0]", "PAY"));
    assert_eq!(find("eu", "pay-1", "confirm-rollout"), is("routes[1]", "SECOND"));
    assert_eq!(find("default", "pay-1", "confirm-rollout"), is("ticket", "OPS"));
    assert_eq!(find("eu", "shop", "confirm-promotion"), is("ticket", "OPS"));

    let (_, first) = &policy.routes[0];
    assert_eq!(first.ticket.issue_type, "Task");
    let fields: Vec<String> = first.ticket.fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        fields,
        ["customfield_10010={'value': 'route'}", "dueDate=x", "fixVersions=[{'name': '{{ label }}'}]"]
    );
    assert_eq!(
        (&first.ticket.approved[..], &first.ticket.rejected[..]),
        (&["Go".to_owned()][..], &["Rejected".to_owned()][..])
    );
    let to = |target: &Option<crate::policy::Target>| target.as_ref().map(|t| t.to.clone());
    assert_eq!(to(&first.ticket.transitions.failed).as_deref(), Some("Broken"));
    assert_eq!(to(&first.ticket.transitions.abandoned).as_deref(), Some("Cancelled"));
    assert_eq!(first.approval.valid_for, Duration::from_secs(3600));
    assert_eq!((first.approval.approvers.len(), first.approval.deny.len()), (1, 1));
    let (_, second) = &policy.routes[1];
    assert_eq!((second.approval.approvers.len(), second.approval.deny.len()), (0, 1));
    assert_eq!(policy.base.ticket.fields["customfield_10010"].as_str(), Some("base"));
}

proptest! {
    /// A secret is never shown, wherever it is given and whatever else is wrong.
    #[test]
    fn secrets_are_never_shown(
        secret in "[A-Za-z0-9+=]{16,24}",
        key in prop::sample::select(vec![
            "jira.token", "jira.webhook_secret", "flagger.token", "jira.token_file", "flagger.token_file",
            "store.url", "jira.url", "server.public_url",
        ]),
        broken in any::<bool>(),
    ) {
        let (section, name) = key.split_once('.').unwrap();
        let value = match name {
            "url" if section == "store" => format!("postgres://bridge:{secret}@db/bridge"),
            "url" | "public_url" => format!("https://bridge:{secret}@example.com"),
            _ => secret.clone(),
        };
        let worse = if broken { "[nowhere]\nx = 1\n" } else { "" };
        let clusters = format!("[[flagger.clusters]]\nname = \"a\"\ntoken = \"c{secret}\"\n");
        let text = format!("[{section}]\n{name} = \"{value}\"\n{clusters}{worse}");
        let variable = format!("BRIDGE__{}", key.replace('.', "__").to_uppercase());
        let mut env = REQUIRED.to_vec();
        if key == "jira.token" {
            env.remove(1);
        }
        let by_variable = [&env[..], &[(&variable, &value)]].concat();
        for shown in [read(&text, &env), read(worse, &by_variable)] {
            let shown = match shown {
                Ok(config) => format!("{config:?} {config:#?}"),
                Err(problems) => format!("{problems} {problems:?}"),
            };
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
        for shown in [in_force::shown(&text, &env), in_force::shown(worse, &by_variable)] {
            let shown = shown.unwrap_or_else(|problems| problems.to_string());
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
