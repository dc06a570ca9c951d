//! The whole output, for a suitable Jira and for several mistakes.

mod approvers;

use std::{path::Path, sync::Arc, time::Duration};

use fake_jira::{FakeJira, Fault, Field, Flavour, Operation, Setup, Shape, Times};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config,
    http::serve::{ServeLimits, Tls, serve},
    millis::Millis,
    suggest::did_you_mean,
};

const TOKEN: &str = "the-token-of-the-bridge";
const CLOUD: &str = r#"
[server]
public_url = "https://bridge.example.com"
[flagger]
token = "the-token-of-flagger"
[jira]
user = "bridge@example.com"
token = "the-token-of-the-bridge"
webhook_secret = "the-secret-of-the-webhook"
[ticket]
project = "OPS"
"#;

fn clock() -> Clock {
    Clock::manual(Millis(1_800_000_000_000))
}

fn fake(flavour: Flavour) -> FakeJira {
    FakeJira::new(Setup { token: TOKEN.into(), ..Setup::new(flavour, clock()) })
}

fn load(url: &str, text: &str, given: &[(&str, &str)]) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let store =
        format!("sqlite://{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("of-the-tests.db").display());
    let listen = ["GATE", "WEBHOOK", "ADMIN"].map(|name| format!("BRIDGE__SERVER__{name}_LISTEN"));
    let listen = listen.iter().map(|name| (name.as_str(), "127.0.0.1:0"));
    let env = [("BRIDGE__JIRA__URL", url), ("BRIDGE__STORE__URL", &store)].into_iter().chain(listen);
    let env = env.chain(given.iter().copied());
    config::load(file.path(), env.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
}

/// The output, with `HOST` for the address, and whether it failed. Asserts that nothing was changed and that every
/// request was valid.
async fn run(fake: &FakeJira, text: &str, env: &[(&str, &str)]) -> (String, bool) {
    let url = fake.start().await.unwrap();
    let report = check(&load(&url, text, env), clock()).await;
    for request in fake.requests() {
        // These POST requests only read.
        let reads = [Operation::BulkFetch, Operation::Search];
        let reads = request.method == "GET" || reads.contains(&request.operation);
        assert!(reads, "{} {}", request.method, request.path);
    }
    assert_eq!(fake.issues(), []);
    assert_eq!(fake.complaints(), [""; 0]);
    assert!(!report.to_string().contains(TOKEN));
    let output = report.to_string().replace(url.trim_start_matches("http://"), "HOST");
    (output.replace(env!("CARGO_MANIFEST_DIR"), "DIR"), report.failed())
}

async fn fails(fake: &FakeJira, env: &[(&str, &str)]) -> String {
    let (output, failed) = run(fake, CLOUD, env).await;
    assert!(failed, "{output}");
    output
}

/// The lines that are not ok.
fn not_ok(output: &str) -> String {
    output.lines().filter(|line| !line.starts_with("ok")).map(|line| format!("{line}\n")).collect()
}

fn data_center(text: &str) -> String {
    text.replace("user = \"bridge@example.com\"\n", "")
}

#[tokio::test]
async fn data_center_with_routes_passes() {
    let text = data_center(CLOUD)
        + r#"
[ticket.transitions]
succeeded = "done"
superseded = { to = "Cancelled", fields = { resolution = { name = "Done" } } }
[ticket.fields]
customfield_10010 = "{{ canary }}"
[[routes]]
match = { namespace = "payments-*" }
ticket = { project = "PAY", issue_type = "task", fields = { customfield_10010 = "x" } }
[[routes]]
match = { namespace = "more-*" }
approval = { valid_for = "90m" }
"#;
    let fake = fake(Flavour::DataCenter);
    for (project, kind) in [("OPS", "Change"), ("PAY", "Task")] {
        let field = Field::required("customfield_10010", "Change risk", Shape::Text);
        fake.add_create_field(project, kind, field);
    }
    let (output, failed) = run(&fake, &text, &[("BRIDGE__JIRA__KIND", "data-center")]).await;
    insta::assert_snapshot!(output, @r#"
    ok    jira.url                                 reached Jira Data Center "Jira", version 10.3.24, at http://HOST
    ok    jira.kind                                it is "data-center"
    ok    jira.token                               Jira knows the bridge as "Flagger Bridge" (flagger-bridge)
    ok    ticket.project                           OPS exists, and the account has every permission it needs there
    ok    ticket.issue_type                        "Change" (10004) in OPS
    ok    routes[0].ticket.project                 PAY exists, and the account has every permission it needs there
    ok    routes[0].ticket.issue_type              "Task" (10002) in PAY
    ok    ticket.fields                            the create screen of Change in OPS has all that is configured, and requires nothing else
    ok    ticket.statuses.approved                 "Approved" (10007)
    ok    ticket.statuses.rejected                 "Rejected" (10008)
    ok    ticket.transitions.succeeded             "done" exists; no existing ticket shows whether it can be reached
    ok    ticket.transitions.superseded            "Cancelled" exists; no existing ticket shows whether it can be reached
    ok    routes[0].ticket.fields                  the create screen of Task in PAY has all that is configured, and requires nothing else
    ok    routes[0].ticket.statuses.approved       "Approved" (10007)
    ok    routes[0].ticket.statuses.rejected       "Rejected" (10008)
    ok    routes[0].ticket.transitions.succeeded   "done" exists; no existing ticket shows whether it can be reached
    ok    routes[0].ticket.transitions.superseded  "Cancelled" exists; no existing ticket shows whether it can be reached
    warn  approval.approvers                       no approvers are listed, so any account that can move a ticket may approve, automations too: Data Center does not distinguish them from people; list the approvers
    ok    ticket.summary                           a ticket would be called "Promote podinfo v1.2.3 (default/test) (qa) #1"
    ok    routes[0].ticket.summary                 a ticket would be called "Promote podinfo v1.2.3 (default/test) (qa) #1"
    ok    jira.requests_per_second                 5 are enough to read limits.open_tickets = 500 tickets every 200s (a third of jira.trust_for)
    ok    approval.valid_for                       an approval that is not used within 72h expires
    ok    jira.webhook_secret                      is set, so webhooks are accepted; whether Jira sends any was not checked
    ok    server.public_url                        tickets link to the status page at https://bridge.example.com
    ok    flagger.token                            Flagger must send its token
    ok    server.gate_listen                       free: 127.0.0.1:0, 127.0.0.1:0, 127.0.0.1:0
    ok    store.url                                DIR/of-the-tests.db does not exist yet and can be created
    "#);
    assert!(!failed);
}

#[tokio::test]
async fn a_wrong_token_is_one_line_and_the_rest_is_left_out() {
    let cloud = fake(Flavour::Cloud);
    cloud.set_token("another");
    insta::assert_snapshot!(fails(&cloud, &[]).await, @r#"
    ok    jira.url                  reached Jira Cloud "Jira" at http://HOST
    ok    jira.kind                 auto found "cloud"
    FAIL  jira.token                Jira at HOST does not let the bridge in (it answered as if the bridge were not logged in): put a new token there: this one is wrong or expired, or jira.user is not the e-mail of its account; one with scopes needs jira.url = "https://api.atlassian.com/ex/jira/CLOUD-ID" (see /_edge/tenant_info of the site)
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    ok    ticket.summary            a ticket would be called "Promote podinfo v1.2.3 (default/test) (qa) #1"
    ok    jira.requests_per_second  5 are enough to read limits.open_tickets = 500 tickets every 200s (a third of jira.trust_for)
    ok    approval.valid_for        an approval that is not used within 72h expires
    ok    jira.webhook_secret       is set, so webhooks are accepted; whether Jira sends any was not checked
    ok    server.public_url         tickets link to the status page at https://bridge.example.com
    ok    flagger.token             Flagger must send its token
    ok    server.gate_listen        free: 127.0.0.1:0, 127.0.0.1:0, 127.0.0.1:0
    ok    store.url                 DIR/of-the-tests.db does not exist yet and can be created
    "#);
    let own = fake(Flavour::DataCenter);
    own.set_token("another");
    let (output, _) = run(&own, &data_center(CLOUD), &[]).await;
    insta::assert_snapshot!(not_ok(&output), @r#"
    FAIL  jira.token                Jira at HOST does not let the bridge in (it answered 401): put a new token there: this one is wrong or expired; or jira.user is missing, which Cloud needs and a personal access token of Data Center does not
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
}

#[tokio::test]
async fn rejected_credentials_get_advice() {
    for (fault, says) in [
        (Fault::Anonymous, "not logged in"),
        (Fault::Captcha, "CAPTCHA"),
        (Fault::Status { code: 403, retry_after: None, body: "{}".into() }, "403"),
    ] {
        let fake = fake(Flavour::Cloud);
        fake.fault(Operation::Myself, fault, Times::Always);
        let output = fails(&fake, &[]).await;
        let failures: Vec<_> = output.lines().filter(|line| line.starts_with("FAIL")).collect();
        assert!(matches!(failures.as_slice(), [one] if one.contains(says)), "{output}");
    }
    let bare = CLOUD.replace("user = \"bridge@example.com\"\n", "");
    let (output, _) = run(&fake(Flavour::Cloud), &bare, &[]).await;
    insta::assert_snapshot!(not_ok(&output), @r#"
    FAIL  jira.user                 Jira at HOST does not let the bridge in (it answered 403: Failed to parse Connect Session Auth Token): put the e-mail of the account that jira.token belongs to there
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
}

#[tokio::test]
async fn another_server_answers() {
    for (fault, says) in [
        (Fault::Redirect, "redirects"),
        (Fault::Html, "answers with a page"),
        (
            Fault::Status { code: 404, retry_after: None, body: "nothing here".into() },
            "context path (such as /jira)",
        ),
        (Fault::TooMany { retry_after: Some("7".into()) }, "asks to wait 7 s"),
        (Fault::Status { code: 503, retry_after: None, body: "<html>".into() }, "answered 503"),
        (Fault::WrongJson, "which kind of Jira"),
        (Fault::Dropped, "no answer"),
    ] {
        let fake = fake(Flavour::Cloud);
        fake.fault(Operation::ServerInfo, fault, Times::Always);
        let output = fails(&fake, &[]).await;
        let failures: Vec<_> = output.lines().filter(|line| line.starts_with("FAIL  jira.url ")).collect();
        assert!(matches!(failures.as_slice(), [one] if one.contains(says)), "{output}");
    }
}

#[tokio::test]
async fn an_unknown_certificate_authority() {
    let file = |name: &str| format!("{}/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = config::Tls { cert_file: file("old.crt.pem").into(), key_file: file("old.key.pem").into() };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    let (tls, limits) = (Tls::load(files).unwrap(), ServeLimits::promised(Duration::ZERO));
    tokio::spawn(serve(port, axum::Router::new(), Some(Arc::new(tls)), limits, CancellationToken::new()));
    let url = format!("https://localhost:{}", address.port());
    let output = async |env: &[(&str, &str)]| {
        let report = check(&load(&url, CLOUD, env), clock()).await;
        not_ok(&report.to_string().replace(&url[8..], "HOST"))
    };
    assert!(output(&[]).await.starts_with("FAIL  jira.ca_file "));
    // With the authority it gets further.
    let known = output(&[("BRIDGE__JIRA__CA_FILE", &file("old.crt.pem"))]).await;
    assert!(known.starts_with("FAIL  jira.url ") && known.contains("404"), "{known}");
    let none = output(&[("BRIDGE__JIRA__CA_FILE", &file("old.key.pem"))]).await;
    assert!(none.contains("old.key.pem holds no certificate in PEM; put "), "{none}");
    // The name of the file makes no difference.
    let folder = tempfile::tempdir().unwrap();
    let called = folder.path().join("put it into jira.ca_file");
    std::fs::copy(file("old.key.pem"), &called).unwrap();
    let none = output(&[("BRIDGE__JIRA__CA_FILE", called.to_str().unwrap())]).await;
    assert!(none.contains("holds no certificate in PEM; put the file of the authority"), "{none}");
}

#[tokio::test]
async fn what_the_configuration_alone_shows() {
    let text = r#"
[jira]
user = "bridge@example.com"
token = "short"
webhook_secret = "short too"
requests_per_second = 1
trust_for = "1m"
[limits]
open_tickets = 5000
[[flagger.clusters]]
name = "prod"
[ticket]
project = "OPS"
summary = "{{ label }}"
description = "{{ 1 // (metadata.n|int) }}"
[approval]
approvers = ["mia@example.com"]
[[routes]]
match = { namespace = "a" }
approval = { approvers = [], deny = ["{{ metadata.author }}"] }
"#;
    let fake = FakeJira::new(Setup { token: "short".into(), ..Setup::new(Flavour::Cloud, clock()) });
    let (output, failed) = run(&fake, text, &[]).await;
    insta::assert_snapshot!(not_ok(&output), @r#"
    FAIL  approval.approvers            Jira does not show which account has the e-mail "mia@example.com"; put the account id there: Mia Change (5b10ac8d82e05b22cc7d4e01)?
    FAIL  ticket.description            cannot be rendered for every question: invalid operation: unable to calculate 1 // 0; fix the template
    FAIL  jira.requests_per_second      1 are too few: 50 requests read limits.open_tickets = 5000 tickets, every 20s (a third of jira.trust_for), and may use half of them; put 5 there, or jira.trust_for = "300s"
    warn  server.public_url             is empty, so tickets do not link to the status page; put the address there at which people reach it
    warn  flagger.token                 is missing, so any client that reaches server.gate_listen may ask and have tickets opened; put one there, or let only Flagger reach it
    warn  flagger.clusters[0].token     is missing, so any caller that may ask can claim to be "prod"
    warn  jira.token                    is shorter than 16 characters; put a longer one there
    warn  jira.webhook_secret           is shorter than 16 characters; put a longer one there
    "#);
    assert!(failed);
}

#[test]
fn a_finding_is_one_line() {
    let report = Report(vec![
        Finding::ok("a", "b\nc\u{1b}[31m"),
        Finding::warn("a.longer.key", "d"),
        Finding::fail("a", "e"),
    ]);
    insta::assert_snapshot!(report, @r"
    ok    a             b c [31m
    warn  a.longer.key  d
    FAIL  a             e
    ");
    assert!(report.failed());
}

#[test]
fn only_likely_names_are_suggested() {
    let names = ["To Do", "Approved", "Rejected"];
    assert_eq!(did_you_mean(" aproved", names), "; did you mean \"Approved\"?");
    assert_eq!(did_you_mean("Genehmigt", names), "");
}
