//! The settings in force, as `config` prints them.

use super::*;

/// The settings in force, for a file with this text. Its name is `FILE`.
pub(super) fn shown(text: &str, env: &[(&str, &str)]) -> Result<String, Problems> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    super::super::in_force(file.path(), env)
        .map(|shown| shown.replace(&file.path().display().to_string(), "FILE"))
}

const TEXT: &str = r##"
[server]
public_url = "https://bridge.example.com"
[store]
url = "postgres://bridge:hunter2@db/bridge?sslmode=require"
[flagger]
token = "hunter2-of-flagger"
[[flagger.clusters]]
name = "eu"
token = "hunter2-of-eu"
[jira]
url = "https://example.atlassian.net"
token = "hunter2-of-jira"
poll_every = "10s"
[ticket]
project = "OPS"
summary = "Approve \"{{ canary }}\" # 1"
[ticket.fields]
priority = { name = "High" }
components = [{ name = "web" }]
"customfield 1" = "see https://me:hunter2@wiki/x"
[ticket.transitions]
succeeded = { to = "Done", fields = { resolution = { name = "Done" } } }
[[routes]]
match = { namespace = "pay-*" }
ticket = { project = "PAY", fields = { priority = { name = "Highest" } } }
approval = { approvers = ["group:cab"] }
[[routes]]
match = { stage = "confirm-promotion" }
"##;

const ENV: [(&str, &str); 4] = [
    ("BRIDGE__JIRA__BURST", "20"),
    ("BRIDGE__JIRA__WEBHOOK_SECRET", "hunter2-of-the-webhook"),
    ("BRIDGE__TICKET__FIELDS__fixVersions", r#"[{ name = "1" }]"#),
    ("BRIDGE__APPROVAL__DENY", "bob, group:interns"),
];

#[test]
fn each_value_with_where_it_comes_from() {
    let shown = shown(TEXT, &ENV).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown, @r#"
    # The settings in force: the defaults, FILE and the environment. Secrets are hidden.

    [server]
    gate_listen = "0.0.0.0:8080" # default
    webhook_listen = "0.0.0.0:8081" # default
    admin_listen = "127.0.0.1:9090" # default
    public_url = "https://bridge.example.com" # FILE
    shutdown_grace = "20s" # default

    [store]
    url = "postgres://bridge:hidden@db/bridge?sslmode=require" # FILE
    keep_for = "forever" # default
    allow_network_volume = false # default

    [flagger]
    cluster = "default" # default
    namespaces = ["*"] # default
    token = "hidden-1" # FILE

    [[flagger.clusters]] # FILE
    name = "eu"
    token = "hidden-2"

    [kubernetes]
    mode = "off" # default
    events = true # default
    annotations = ["kubernetes.io/change-cause", "app.kubernetes.io/version"] # default

    [jira]
    url = "https://example.atlassian.net" # FILE
    kind = "auto" # default
    requests_per_second = 5 # default
    burst = 20 # BRIDGE__JIRA__BURST
    timeout = "10s" # default
    poll_every = "10s" # FILE
    trust_for = "10m" # default
    index_lag = "2m" # default
    token = "hidden-3" # FILE
    webhook_secret = "hidden-4" # BRIDGE__JIRA__WEBHOOK_SECRET

    [rollout]
    idle_after = "10m" # default
    abandon_after = "7d" # default

    [limits]
    tickets_per_canary_per_hour = 12 # default
    open_tickets = 500 # default
    open_tickets_per_namespace = 100 # default

    [ticket]
    project = "OPS" # FILE
    issue_type = "Change" # default
    summary = 'Approve "{{ canary }}" # 1' # FILE
    description = """
    Flagger, which rolls out new versions in Kubernetes, is ready to {% if stage == "confirm-rollout" -%}
      start a new version
    {%- elif stage == "confirm-traffic-increase" -%}
      send more traffic to the new version
    {%- elif stage == "confirm-promotion" -%}
      give all users the new version
    {%- else -%}
      continue with the new version
    {%- endif %} of {{ canary }} in namespace {{ namespace }} on cluster {{ cluster }}. It waits for your decision on this ticket.
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    """ # default
    labels = ["flagger"] # default
    on_bypass = "record" # default
    traffic = "once" # default

    [ticket.fields]
    priority = { name = "High" } # FILE
    components = [{ name = "web" }] # FILE
    "customfield 1" = "see https://hidden@wiki/x" # FILE
    fixVersions = [{ name = "1" }] # BRIDGE__TICKET__FIELDS__fixVersions

    [ticket.statuses]
    approved = ["Approved"] # default
    rejected = ["Rejected"] # default

    [ticket.transitions]
    succeeded = { fields = { resolution = { name = "Done" } }, to = "Done" } # FILE

    [approval]
    mode = "required" # default
    valid_for = "72h" # default
    source = "status" # default
    approvers = [] # default
    deny = ["bob", "group:interns"] # BRIDGE__APPROVAL__DENY
    on_timeout = "wait" # default
    remind_after = [] # default

    [[routes]] # FILE
    match = { namespace = "pay-*" }
    ticket = { fields = { priority = { name = "Highest" } }, project = "PAY" }
    approval = { approvers = ["group:cab"] }

    [[routes]] # FILE
    match = { stage = "confirm-promotion" }
    "#);
}

/// What is printed is a configuration with the same meaning, except for the secrets.
#[test]
fn what_is_printed_is_a_configuration() {
    let first = shown(TEXT, &ENV).unwrap();
    let again = shown(&first, &[]).unwrap();
    let plain = |text: &str| text.parse::<toml::Table>().unwrap();
    assert_eq!(plain(&first), plain(&again));
    // That password is part of a ticket's field.
    let text = TEXT.replace("me:hunter2@", "hidden@");
    let (meant, read) = (read(&text, &ENV).unwrap(), read(&first, &[]).unwrap());
    assert_eq!(format!("{:?}", meant.policy), format!("{:?}", read.policy));
    assert_eq!(format!("{:?}", meant.limits), format!("{:?}", read.limits));
    assert_eq!(format!("{:?}", meant.jira), format!("{:?}", read.jira));
    assert_eq!(read.store.url.expose_secret(), "postgres://bridge:hidden@db/bridge?sslmode=require");
}

#[test]
fn a_wrong_configuration_is_reported_as_by_the_others() {
    let problems = shown("[jira]\nurl = 5", &[]).unwrap_err().to_string();
    assert!(problems.starts_with("jira.url: expected a string, such as "), "{problems}");
}
