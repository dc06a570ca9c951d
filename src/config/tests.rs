//! The defaults of the example file, and the messages for a wrong configuration.

mod random;

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
fn the_example_has_the_documented_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    let env = REQUIRED.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = load(&example, env).unwrap();
    let s = Duration::from_secs;

    let Server { gate_listen, webhook_listen, admin_listen, public_url, shutdown_grace, tls } = config.server;
    assert_eq!(gate_listen, "0.0.0.0:8080".parse().unwrap());
    assert_eq!(webhook_listen, "0.0.0.0:8081".parse().unwrap());
    assert_eq!(admin_listen, "127.0.0.1:9090".parse().unwrap());
    assert_eq!((public_url, shutdown_grace, tls.is_none()), (None, s(20), true));

    assert_eq!(config.store.url.expose_secret(), "sqlite://bridge.db");
    assert_eq!(config.store.keep_for, None);
    assert!(!config.store.allow_network_volume);

    assert_eq!(config.flagger.cluster, "default");
    assert!(config.flagger.namespaces.is_match("anything"));
    assert!(config.flagger.token.is_none() && config.flagger.clusters.is_empty());

    let jira = config.jira;
    let client = jira.client;
    assert_eq!(client.url, "https://jira.example.com");
    assert_eq!((client.kind, client.user, client.ca_file), (None, None, None));
    assert_eq!(client.token.newest().expose_secret(), "swordfish");
    assert!(jira.webhook_secret.is_none());
    assert_eq!((client.requests_per_second.get(), client.burst.get()), (5, 10));
    assert_eq!(
        (client.timeout, jira.poll_every, jira.trust_for, jira.index_lag),
        (s(10), s(20), s(600), s(120))
    );

    assert_eq!((config.rollout.idle_after, config.rollout.abandon_after), (s(600), s(7 * 86_400)));
    let limits = config.limits;
    assert_eq!((limits.tickets_per_canary_per_hour, limits.open_tickets), (12, 500));
    assert_eq!(limits.open_tickets_per_namespace, 100);

    assert!(config.policy.routes.is_empty());
    let Route { key, ticket, approval, fingerprint: _ } = config.policy.base;
    assert_eq!(
        (key.as_str(), ticket.project.as_str(), ticket.issue_type.as_str()),
        ("ticket", "OPS", "Change")
    );
    assert_eq!(ticket.summary, "Approve {{ stage }} of {{ namespace }}/{{ canary }} on {{ cluster }}");
    assert_eq!(ticket.labels, ["flagger"]);
    assert!(ticket.fields.is_empty());
    assert_eq!(
        (ticket.approved, ticket.rejected),
        (vec!["Approved".to_owned()], vec!["Rejected".to_owned()])
    );
    assert_eq!(format!("{:?}", ticket.transitions), format!("{:?}", crate::policy::Transitions::default()));
    assert_eq!((approval.valid_for, approval.approvers.len(), approval.deny.len()), (s(72 * 3600), 0, 0));
}

/// The example's keys that are commented out, each with its section; those of a commented-out table together.
fn commented_out() -> Vec<String> {
    let (mut section, mut found) = (String::new(), Vec::<String>::new());
    let mut in_table = false;
    for line in EXAMPLE.lines() {
        let Some(code) = line.strip_prefix("# ") else {
            in_table = in_table && line.starts_with('#');
            if line.starts_with('[') {
                line.clone_into(&mut section);
            }
            continue;
        };
        let key = code.split_once('=').map(|(key, _)| key.trim_end());
        let is_key = key.is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        if code.starts_with("[[") {
            in_table = true;
            found.push(code.to_owned());
        } else if is_key && in_table {
            write!(found.last_mut().unwrap(), "\n{code}").unwrap();
        } else if is_key {
            found.push(format!("{section}\n{code}"));
        }
    }
    found
}

#[test]
fn every_line_of_the_example_may_be_uncommented() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    std::fs::write(&file, "from a file\n").unwrap();
    let found = commented_out();
    assert_eq!(found.len(), 18, "{found:#?}");
    for text in found {
        // The files that it names do not exist here; one that can be read replaces them.
        let here = format!("\"{}\"", file.display());
        let text: String = text
            .split_inclusive('"')
            .collect::<Vec<_>>()
            .chunks(2)
            .map(|pair| match pair {
                [before, path] if path.starts_with('/') => {
                    format!("{}{here}", before.strip_suffix('"').unwrap())
                }
                other => other.concat(),
            })
            .collect();
        let given = |key: &str| text.contains(&format!("\n{key} ")) && text.starts_with("[jira]");
        let env: Vec<_> = REQUIRED
            .into_iter()
            .filter(|(name, _)| !(name.ends_with("TOKEN") && given("token_file")))
            .collect();
        read(&text, &env).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    }
}

#[test]
fn the_three_required_keys_are_asked_for() {
    insta::assert_snapshot!(read("", &[]).unwrap_err(), @r#"
    jira.url: is missing; write for example "https://example.atlassian.net"
    jira.token: is missing; give it, or jira.token_file
    ticket.project: is missing; give the key of the project in which tickets are opened
    "#);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = r##"
        sevrer = {}
        [server]
        gate_listen = "8080"
        admin_listen = "0.0.0.0:8081"
        public_url = "bridge.example.com"
        shutdown_grace = "0s"
        [store]
        url = "mysql://root:hunter2@db/bridge"
        keep_for = "for ever"
        allow_network_volume = "yes"
        [flagger]
        cluster = "Prod"
        namespaces = ["ok", "a[", 7]
        token = "a"
        tokens = [{ token = "a", namespaces = ["x", "["] }, { token = "b", cluster = "mars" }, { namespaces = ["y"] }]
        clusters = [{ name = "eu", token = "b" }, { name = "eu", token = "b" }, { nmae = "us", token = "a" }]
        [jira]
        url = "https://me:hunter2@jira.example.com"
        kind = "cloud"
        token_file = "/nowhere/token"
        pol_every = "10s"
        poll_every = "20"
        timeout = 10
        trust_for = "30s"
        burst = 0
        requests_per_second = "many"
        [limits]
        open_tickets = -1
        [ticket]
        summary = "{{ nmespace }}"
        description = "{% if canary %}"
        labels = ["two words", "", "flagger-ended"]
        [ticket.fields]
        customfield_1 = [{ value = "{{ canary|shout }}" }]
        summary = "x"
        [ticket.statuses]
        approved = ["Done", "Approved"]
        rejected = ["done"]
        [ticket.transitions]
        opened = 5
        failed = { too = "Failed" }
        suceeded = "Done"
        [approval]
        valid_for = "3 days"
        approvers = ["group:", "{{ metadata.boss }}"]
        deny = ["{{ metdata.author }}"]
        [[routes]]
        match = { stage = "confirm-promotio", namespce = "x" }
        ticket = { project = "", statuses = { approved = [] } }
        aproval = {}
        [[routes]]
        ticket = { statuses = { rejected = ["APPROVED"] } }
    "##;
    let env =
        [("BRIDGE__JIRA__TRUSTFOR", "1m"), ("BRIDGE__NOPE__X", "1"), ("BRIDGE__ROLLOUT__IDLE_AFTER", "1")];
    insta::assert_snapshot!(read(text, &env).unwrap_err(), @r#"
    server.gate_listen: "8080" is no address to listen on; write for example "0.0.0.0:8080"
    server.admin_listen: is the same address as server.webhook_listen
    server.public_url: has no scheme; put https:// in front
    server.shutdown_grace: "0s" must be above zero
    store.url: must be sqlite://FILE or postgres://user:password@host/database
    store.keep_for: "for ever" is no duration; write a whole number with ms, s, m, h or d, for example "20s", or "forever"
    store.allow_network_volume: must be true or false, not a string
    flagger.cluster: "Prod" is no cluster name; use up to 63 of a-z, 0-9 and -, with no - at either end
    flagger.namespaces[1]: "a[" is no glob: unclosed character class; missing ']'
    flagger.namespaces[2]: must be a string, not a number
    flagger.clusters[1].name: "eu" is there twice
    flagger.clusters[1].token: is also the token of "eu"; each cluster needs its own
    flagger.clusters[2].name: is missing
    flagger.clusters[2].nmae: unknown key; did you mean flagger.clusters[2].name?
    flagger.tokens[0].namespaces[1]: "[" is no glob: unclosed character class; missing ']'
    flagger.tokens[0].token: is also flagger.token, which is good for all namespaces; put another one there
    flagger.tokens[1].namespaces: is missing; list the namespaces that the token is good for
    flagger.tokens[1].token: is also the token of cluster "eu"; put another one there
    flagger.tokens[2].token: is missing; give it, or flagger.tokens[2].token_file
    jira.url: must not hold a user or password; put them into jira.user and jira.token
    jira.user: is missing; Cloud needs the account's e-mail; if it is no Cloud, put "auto" into jira.kind
    jira.token_file: cannot read /nowhere/token: No such file or directory (os error 2)
    jira.requests_per_second: must be a whole number, not a string
    jira.burst: must be a whole number from 1 to 4294967295, not 0
    jira.timeout: 10 is no duration; write a whole number with ms, s, m, h or d, for example "20s"
    jira.poll_every: "20" is no duration; write a whole number with ms, s, m, h or d, for example "20s"
    jira.pol_every: unknown key; did you mean jira.poll_every?
    BRIDGE__JIRA__TRUSTFOR: no such setting; did you mean BRIDGE__JIRA__TRUST_FOR?
    rollout.idle_after: "1" is no duration; write a whole number with ms, s, m, h or d, for example "20s" (set by BRIDGE__ROLLOUT__IDLE_AFTER)
    limits.open_tickets: must be a whole number from 1 to 4294967295, not -1
    ticket.summary: the template knows no "nmespace"; there are canary, namespace, cluster, stage, gate, phase, base, revision, label, metadata (with .NAME behind it)
    ticket.description: is no template: unexpected end of input, expected end of block
    ticket.labels[0]: "two words" has a space in it, which Jira refuses
    ticket.labels[1]: is empty; leave it out
    ticket.labels[2]: "flagger-ended" marks tickets of ended rollouts, which open no gate
    ticket.fields.customfield_1[0].value: the template knows no filter "shout"
    ticket.fields.summary: is set by the bridge; there is a key of its own for it in [ticket]
    ticket.transitions.opened: must be a status, or { to = "STATUS", fields = { … } }, not a number
    ticket.transitions.failed.to: is missing
    ticket.transitions.failed.too: unknown key
    ticket.transitions.suceeded: unknown key; did you mean ticket.transitions.succeeded?
    ticket.project: is missing; give the key of the project in which tickets are opened
    ticket.statuses: "done" is both approved and rejected; take it out of one of the two
    approval.valid_for: "3 days" is no duration; write a whole number with ms, s, m, h or d, for example "20s"
    approval.approvers[0]: "group:" needs a name after it
    approval.approvers[1]: cannot be a template; only entries of deny can
    approval.deny[0]: the template knows no "metdata"; there are canary, namespace, cluster, stage, gate, phase, base, revision, label, metadata (with .NAME behind it)
    routes[0].match.stage: "confirm-promotio" matches no stage; there are confirm-rollout, confirm-traffic-increase, confirm-promotion, gate
    routes[0].match.namespce: unknown key; did you mean routes[0].match.namespace?
    routes[0].ticket.project: is empty
    routes[0].ticket.statuses.approved: is empty, so no gate could ever open
    routes[0].aproval: unknown key; did you mean routes[0].approval?
    routes[1].match: is missing
    routes[1].ticket.statuses: "APPROVED" is both approved and rejected; take it out of one of the two
    BRIDGE__NOPE__X: no such setting
    sevrer: unknown key; did you mean server?
    "#);
}

#[test]
fn a_syntax_error_is_reported_by_line_only() {
    let path = "/nowhere/config.toml";
    let missing = load(Path::new(path), []).unwrap_err().to_string();
    assert_eq!(
        missing,
        format!(
            "{path}: cannot read the configuration: No such file or directory (os error 2); give one with -c, or copy config.example.toml"
        )
    );

    let broken = load_text("[jira]\nurl = \"https://x\"\ntoken = \"hunter2\n").unwrap_err().0;
    assert_eq!(broken.len(), 1);
    assert!(broken[0].what.starts_with("line 3: "), "{broken:?}");
    assert!(!broken[0].what.contains("hunter2"), "{broken:?}");
}

#[test]
fn sections_of_the_wrong_shape() {
    insta::assert_snapshot!(problems("server = 5\nroutes = {}\n[ticket]\nfields = []\n[jira]\ntoken_file = \"x\""), @r"
    server: must be a table, not a number
    jira.token: is given twice, as BRIDGE__JIRA__TOKEN in the environment and as jira.token_file in the configuration file; keep one
    ticket.fields: must be a table, not a list
    routes: must be a list of tables ([[routes]]), not a table
    ");
}

/// The message names both places, in the file or in the environment.
#[test]
fn a_secret_that_is_given_twice() {
    let token = ("token", "BRIDGE__JIRA__TOKEN", "one");
    let file = ("token_file", "BRIDGE__JIRA__TOKEN_FILE", "/x");
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut text = "[jira]\nurl = \"https://x.example\"\n[ticket]\nproject = \"OPS\"\n".to_owned();
        let (mut env, mut places) = (vec![], vec![]);
        for ((key, variable, value), by_variable) in [(token, first), (file, second)] {
            if by_variable {
                env.push((variable.to_owned(), value.to_owned()));
                places.push(format!("as {variable} in the environment"));
            } else {
                text.insert_str(7, &format!("{key} = {value:?}\n"));
                places.push(format!("as jira.{key} in the configuration file"));
            }
        }
        let env: Vec<(&str, &str)> =
            env.iter().map(|(name, value): &(String, String)| (name.as_str(), value.as_str())).collect();
        let said = read(&text, &env).unwrap_err().to_string();
        assert_eq!(said, format!("jira.token: is given twice, {} and {}; keep one", places[0], places[1]));
    }
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
        ("BRIDGE__APPROVAL__APPROVERS", "group:cab, Bob B"),
        ("BRIDGE__APPROVAL__DENY", ""),
        ("BRIDGE__ROUTES", r#"[{ match = { gate = "qa" }, ticket = { project = "QA" } }]"#),
        ("BRIDGE_CONFIG", "not ours"),
        ("PATH", "/bin"),
    ];
    let config = read(text, &env).unwrap();
    assert_eq!(config.jira.client.url, "https://jira.example.com/jira");
    assert_eq!(config.jira.client.token.newest().expose_secret(), "12345678");
    assert_eq!((config.jira.poll_every, config.jira.client.burst.get()), (Duration::from_secs(7), 4));
    let may = |namespace| config.flagger.namespaces.is_match(namespace);
    assert_eq!((may("shop-1"), may("pay"), may("other")), (true, true, false));
    let clusters: Vec<&str> = config.flagger.clusters.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(clusters, ["eu", "default"]);
    let ticket = &config.policy.base.ticket;
    assert_eq!(ticket.project, "FILE");
    insta::assert_snapshot!(format!("{:?}", ticket.fields), @r#"{"a": 1, "customFieldText": '{{ canary }}', "customfield_7": 'true', "fixVersions": [{'name': '1'}], "priority": {'name': 'High'}}"#);
    assert_eq!(ticket.approved, ["A, B", "C"]);
    assert_eq!(ticket.transitions.failed.as_ref().unwrap().to, "Failed");
    let succeeded = ticket.transitions.succeeded.as_ref().unwrap();
    assert_eq!((succeeded.to.as_str(), succeeded.fields.len()), ("Done", 1));
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
        ("BRIDGE__TICKET__LABELS", "[a, b]"),
        ("BRIDGE__TICKET__STATUSES__REJECTED", "Approved"),
        ("BRIDGE__TICKET__TRANSITIONS__FAILED", "{ to = x }"),
        ("BRIDGE__SERVER__GATE_LISTEN", "here"),
    ];
    insta::assert_snapshot!(with_env(&env).unwrap_err(), @r#"
    BRIDGE__: no such setting
    flagger.clusters: is no TOML list of tables; write for example [{ name = "value" }] (set by BRIDGE__FLAGGER__CLUSTERS)
    jira.burst: must be a whole number, at least 1 (set by BRIDGE__JIRA__BURST)
    limits: is no TOML table; write for example { name = "value" } (set by BRIDGE__LIMITS)
    ticket.labels: is no TOML list; write for example ["a", "b"], or a,b (set by BRIDGE__TICKET__LABELS)
    ticket.transitions.failed: is no TOML table; write for example { name = "value" } (set by BRIDGE__TICKET__TRANSITIONS__FAILED)
    server.gate_listen: "here" is no address to listen on; write for example "0.0.0.0:8080" (set by BRIDGE__SERVER__GATE_LISTEN)
    flagger.token: is empty (set by BRIDGE__FLAGGER__TOKEN)
    BRIDGE__JIRA__TOKN: no such setting; did you mean BRIDGE__JIRA__TOKEN?
    ticket.statuses: "Approved" is both approved and rejected; take it out of one of the two
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

#[test]
fn the_default_description_reads_well_at_every_stage() {
    let config = load_text("").unwrap();
    let env = minijinja::Environment::new();
    let render = |stage: &str| {
        let context =
            minijinja::context! { canary => "web", namespace => "shop", cluster => "default", stage };
        env.render_str(&config.policy.base.ticket.description, context).unwrap()
    };
    insta::assert_snapshot!(render("confirm-rollout"), @"Flagger is about to start rolling out a new revision of web in namespace shop on cluster default. It waits for this ticket.");
    insta::assert_snapshot!(render("confirm-promotion"), @"Flagger is about to replace what is running with the new revision of web in namespace shop on cluster default. It waits for this ticket.");
    insta::assert_snapshot!(render("confirm-traffic-increase"), @"Flagger is about to send more traffic to the new revision of web in namespace shop on cluster default. It waits for this ticket.");
    insta::assert_snapshot!(render("gate"), @"Flagger is about to go on with the rollout of web in namespace shop on cluster default. It waits for this ticket.");
}

/// A listener on the wildcard address takes its port on all addresses.
#[test]
fn listeners_that_take_each_others_address() {
    for (gate, webhook, right) in [
        ("0.0.0.0:7001", "127.0.0.1:7001", false),
        ("127.0.0.1:7001", "0.0.0.0:7001", false),
        ("[::]:7001", "127.0.0.1:7001", false),
        ("0.0.0.0:7001", "[::]:7001", false),
        ("[::1]:7001", "[::]:7001", false),
        ("0.0.0.0:7001", "[::1]:7001", true),
        ("127.0.0.1:7001", "127.0.0.2:7001", true),
        ("0.0.0.0:7001", "0.0.0.0:7002", true),
        ("0.0.0.0:0", "127.0.0.1:0", true),
    ] {
        let set = [("BRIDGE__SERVER__GATE_LISTEN", gate), ("BRIDGE__SERVER__WEBHOOK_LISTEN", webhook)];
        let read = with_env(&set);
        assert_eq!(read.is_ok(), right, "{gate} {webhook}");
        if let Err(problems) = read {
            let problems = problems.to_string();
            let words = format!(
                "server.webhook_listen: is taken by server.gate_listen ({gate}); put another port there"
            );
            assert!(problems.starts_with(&words), "{problems}");
        }
    }
}

#[test]
fn sites_and_stores() {
    for (url, right) in [
        ("https://x.atlassian.net", true),
        ("http://localhost:2990/jira/", true),
        ("https://", false),
        ("ftp://x", false),
        ("x.atlassian.net", false),
        ("https://x?y=1", false),
        ("https://x/#y", false),
        ("https://u@x", false),
        ("https://u:1/p@x", false),
        ("", false),
    ] {
        assert_eq!(with_env(&[("BRIDGE__JIRA__URL", url)]).is_ok(), right, "{url}");
    }
    for (url, right) in [
        ("sqlite:///var/lib/bridge.db", true),
        ("postgres://u:p@h/d", true),
        ("postgresql:///d?host=/run", true),
        ("sqlite://", false),
        ("bridge.db", false),
        ("mysql://h/d", false),
    ] {
        assert_eq!(with_env(&[("BRIDGE__STORE__URL", url)]).is_ok(), right, "{url}");
    }
    let capitals = with_env(&[("BRIDGE__STORE__URL", "POSTGRES://u:p@h/d")]).unwrap_err().to_string();
    assert_eq!(capitals, "store.url: write postgres:// in lower case (set by BRIDGE__STORE__URL)");
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
        for shown in [read(&text, &env), read(worse, &[&env[..], &[(&variable, &value)]].concat())] {
            let shown = match shown {
                Ok(config) => format!("{config:?} {config:#?}"),
                Err(problems) => format!("{problems} {problems:?}"),
            };
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}

/// Likely first mistakes, and the messages for them.
#[test]
fn likely_mistakes_get_advice() {
    let text = r#"
    [server]
    admin_listen = ":9090"
    public_url = "bridge.example.com:8443/x"
    [jira]
    username = "bridge@example.com"
    timeout = "1.5s"
    "#;
    let mut env = REQUIRED.to_vec();
    env[0].1 = "example.atlassian.net";
    env.extend([
        ("BRIDGE_JIRA__POLL_EVERY", "1s"),
        ("BRIDGE_JIRA_TOKEN", "swordfish"),
        ("BRIDGE__JIRA_TOKEN", "swordfish"),
        ("BRIDGE_CONFIG", "config.toml"),
        ("BRIDGE_LOG_FORMAT", "json"),
        ("BRIDGE_SERVER", "another program's"),
        ("BRIDGE_JIRA_SERVICE_HOST", "10.0.0.1"),
        ("BRIDGE_JIRA_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
    ]);
    insta::assert_snapshot!(read(text, &env).unwrap_err(), @r#"
    BRIDGE_JIRA__POLL_EVERY: sets nothing; did you mean BRIDGE__JIRA__POLL_EVERY?
    BRIDGE_JIRA_TOKEN: sets nothing; did you mean BRIDGE__JIRA__TOKEN?
    server.admin_listen: ":9090" is no address to listen on; write for example "127.0.0.1:9090"
    server.public_url: has no scheme; put https:// in front
    jira.url: has no scheme; put https:// in front (set by BRIDGE__JIRA__URL)
    jira.timeout: "1.5s" is no duration; write a whole number with ms, s, m, h or d, for example "20s"
    jira.username: unknown key; did you mean jira.user?
    BRIDGE__JIRA_TOKEN: no such setting; did you mean BRIDGE__JIRA__TOKEN?
    "#);
}

/// The message for a relative path names the working directory. A name that may be a secret is not quoted.
#[test]
fn a_file_that_is_not_there_says_where_it_was_looked_for() {
    let here = std::env::current_dir().unwrap().display().to_string();
    let said = |file: &str| {
        let env = ["URL", "USER"].map(|key| format!("BRIDGE__JIRA__{key}"));
        let url = "https://example.atlassian.net";
        let token = "BRIDGE__JIRA__TOKEN_FILE";
        let env = [(env[0].as_str(), url), (env[1].as_str(), "bridge@example.com"), (token, file)];
        read("[ticket]\nproject = \"OPS\"\nissue_type = \"Change\"", &env).unwrap_err().to_string()
    };
    for named in ["./none/token", "../none", ".token", "src/none"] {
        let words = said(named);
        assert!(
            words.starts_with(&format!("jira.token_file: cannot read {named}, looked for in {here}: ")),
            "{words}"
        );
    }
    // Base64 has slashes, too.
    for hidden in ["sword/fish", "swordfish", &"swordfish".repeat(40)] {
        let words = said(hidden);
        let why = if hidden.len() > 255 {
            "the file cannot be read: File name too long (os error 36)".to_owned()
        } else {
            format!("there is no such file in {here}")
        };
        let advice =
            "; if the value is the secret itself, put it into jira.token (set by BRIDGE__JIRA__TOKEN_FILE)";
        assert_eq!(words, format!("jira.token_file: {why}{advice}"));
    }
    // These keys name no secrets, which people might give instead of a file's name.
    let files =
        read("server.tls = { cert_file = \"crt\", key_file = \"key\" }\njira.ca_file = \"ca\"\n", &REQUIRED);
    let files = files.unwrap_err().to_string();
    for (key, name) in
        [("server.tls.cert_file", "crt"), ("server.tls.key_file", "key"), ("jira.ca_file", "ca")]
    {
        assert!(files.contains(&format!("{key}: cannot read {name}, looked for in {here}: ")), "{files}");
    }
}
