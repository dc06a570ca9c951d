//! The whole output, for a Jira that fits and for each way in which it does not.

mod approvers;

use std::{path::Path, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config,
    demo::fake_jira::{FakeJira, Fault, Field, Flavour, Operation, Setup, Shape, Times},
    http::serve::{Limits, Tls, serve},
    millis::Millis,
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

fn load(url: &str, text: &str, env: &[(&str, &str)]) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let store =
        format!("sqlite://{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("of-the-tests.db").display());
    let env =
        [("BRIDGE__JIRA__URL", url), ("BRIDGE__STORE__URL", &store)].into_iter().chain(env.iter().copied());
    config::load(file.path(), env.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
}

/// What is printed, with `HOST` for the address, and whether it failed. Nothing may have been changed, and no request
/// may have been wrong.
async fn run(fake: &FakeJira, text: &str, env: &[(&str, &str)]) -> (String, bool) {
    let url = fake.start().await.unwrap();
    let report = check(&load(&url, text, env), clock()).await;
    for request in fake.requests() {
        assert_eq!(request.method, "GET", "{}", request.path);
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
fn bad(output: &str) -> String {
    output.lines().filter(|line| !line.starts_with("ok")).map(|line| format!("{line}\n")).collect()
}

fn data_center(text: &str) -> String {
    text.replace("user = \"bridge@example.com\"\n", "")
}

#[tokio::test]
async fn all_is_well_with_cloud() {
    let (output, failed) = run(&fake(Flavour::Cloud), CLOUD, &[]).await;
    insta::assert_snapshot!(output, @r#"
    ok    jira.url                  reached Jira Cloud "Jira" at http://HOST
    ok    jira.kind                 auto found "cloud"
    ok    jira.token                Jira takes the bridge for "Flagger Bridge" (5b10ac8d82e05b22cc7d4e99)
    ok    ticket.project            OPS is there, and the account has every permission it needs in it
    ok    ticket.issue_type         "Change" (10004) in OPS
    ok    ticket.fields             the create screen of Change in OPS has all that is configured, and requires nothing else
    ok    ticket.statuses.approved  "Approved" (10007)
    ok    ticket.statuses.rejected  "Rejected" (10008)
    ok    ticket.summary            a ticket would be called "Approve confirm-promotion of test/podinfo on default"
    ok    jira.requests_per_second  5 are enough to read limits.open_tickets = 500 tickets every 200s (a third of jira.trust_for)
    ok    approval.valid_for        an approval that is not used within 72h is void
    ok    jira.webhook_secret       is set, so webhooks are accepted; whether Jira sends any was not checked
    ok    server.public_url         tickets link to the status page at https://bridge.example.com
    ok    flagger.token             Flagger has to bring its token
    ok    store.url                 DIR/of-the-tests.db is not there yet and can be created
    "#);
    assert!(!failed);
}

#[tokio::test]
async fn all_is_well_with_data_center_and_routes() {
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
    ok    jira.token                               Jira takes the bridge for "Flagger Bridge" (flagger-bridge)
    ok    ticket.project                           OPS is there, and the account has every permission it needs in it
    ok    ticket.issue_type                        "Change" (10004) in OPS
    ok    routes[0].ticket.project                 PAY is there, and the account has every permission it needs in it
    ok    routes[0].ticket.issue_type              "Task" (10002) in PAY
    ok    ticket.fields                            the create screen of Change in OPS has all that is configured, and requires nothing else
    ok    ticket.statuses.approved                 "Approved" (10007)
    ok    ticket.statuses.rejected                 "Rejected" (10008)
    ok    ticket.transitions.succeeded             "done" exists; whether a ticket can get there shows only on a ticket
    ok    ticket.transitions.superseded            "Cancelled" exists; whether a ticket can get there shows only on a ticket
    ok    routes[0].ticket.fields                  the create screen of Task in PAY has all that is configured, and requires nothing else
    ok    routes[0].ticket.statuses.approved       "Approved" (10007)
    ok    routes[0].ticket.statuses.rejected       "Rejected" (10008)
    ok    routes[0].ticket.transitions.succeeded   "done" exists; whether a ticket can get there shows only on a ticket
    ok    routes[0].ticket.transitions.superseded  "Cancelled" exists; whether a ticket can get there shows only on a ticket
    ok    ticket.summary                           a ticket would be called "Approve confirm-promotion of test/podinfo on default"
    ok    routes[0].ticket.summary                 a ticket would be called "Approve confirm-promotion of test/podinfo on default"
    ok    jira.requests_per_second                 5 are enough to read limits.open_tickets = 500 tickets every 200s (a third of jira.trust_for)
    ok    approval.valid_for                       an approval that is not used within 72h is void
    ok    jira.webhook_secret                      is set, so webhooks are accepted; whether Jira sends any was not checked
    ok    server.public_url                        tickets link to the status page at https://bridge.example.com
    ok    flagger.token                            Flagger has to bring its token
    ok    store.url                                DIR/of-the-tests.db is not there yet and can be created
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
    FAIL  jira.token                Jira at HOST does not accept the credentials: asked who the bridge is, it answered as to an anonymous visitor. jira.token is wrong or expired, or jira.user is not the e-mail of the account it belongs to
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    ok    ticket.summary            a ticket would be called "Approve confirm-promotion of test/podinfo on default"
    ok    jira.requests_per_second  5 are enough to read limits.open_tickets = 500 tickets every 200s (a third of jira.trust_for)
    ok    approval.valid_for        an approval that is not used within 72h is void
    ok    jira.webhook_secret       is set, so webhooks are accepted; whether Jira sends any was not checked
    ok    server.public_url         tickets link to the status page at https://bridge.example.com
    ok    flagger.token             Flagger has to bring its token
    ok    store.url                 DIR/of-the-tests.db is not there yet and can be created
    "#);
    let own = fake(Flavour::DataCenter);
    own.set_token("another");
    let (output, _) = run(&own, &data_center(CLOUD), &[]).await;
    insta::assert_snapshot!(bad(&output), @r#"
    FAIL  jira.token                Jira at HOST does not accept the credentials: asked who the bridge is, it answered 401. jira.token is wrong or expired, or jira.user is missing: Cloud needs the account's e-mail there, Data Center none with a personal access token
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
}

#[tokio::test]
async fn an_account_that_is_not_let_in_is_told_how() {
    for (fault, says) in [
        (Fault::Anonymous, "anonymous"),
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
    insta::assert_snapshot!(bad(&output), @r#"
    FAIL  jira.token                Jira at HOST does not accept the credentials: asked who the bridge is, it answered 403. jira.token is wrong or expired, or jira.user is missing: Cloud needs the account's e-mail there, Data Center none with a personal access token
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
}

#[tokio::test]
async fn an_unknown_project() {
    let env = [("BRIDGE__TICKET__PROJECT", "ops")];
    insta::assert_snapshot!(fails(&fake(Flavour::Cloud), &env).await, @r#"
    ok    jira.url                  reached Jira Cloud "Jira" at http://HOST
    ok    jira.kind                 auto found "cloud"
    ok    jira.token                Jira takes the bridge for "Flagger Bridge" (5b10ac8d82e05b22cc7d4e99)
    FAIL  ticket.project            Jira shows no project "ops" to this account: is the key spelled with the right case, and may the account browse the project?
    warn  ticket                    issue type, permissions, fields, statuses and transitions were not checked: Jira has to show the project first
    ok    ticket.summary            a ticket would be called "Approve confirm-promotion of test/podinfo on default"
    ok    jira.requests_per_second  5 are enough to read limits.open_tickets = 500 tickets every 200s (a third of jira.trust_for)
    ok    approval.valid_for        an approval that is not used within 72h is void
    ok    jira.webhook_secret       is set, so webhooks are accepted; whether Jira sends any was not checked
    ok    server.public_url         tickets link to the status page at https://bridge.example.com
    ok    flagger.token             Flagger has to bring its token
    ok    store.url                 DIR/of-the-tests.db is not there yet and can be created
    "#);
}

#[tokio::test]
async fn an_unknown_issue_type() {
    let env = [("BRIDGE__TICKET__ISSUE_TYPE", "Chnage")];
    insta::assert_snapshot!(bad(&fails(&fake(Flavour::Cloud), &env).await), @r#"
    FAIL  ticket.issue_type         Jira shows no issue type "Chnage" in project OPS; there is: Change, Task; did you mean "Change"?
    warn  ticket                    fields, statuses and transitions were not checked: there has to be an issue type first
    "#);
}

#[tokio::test]
async fn names_that_the_workflow_does_not_have() {
    let env = [
        ("BRIDGE__TICKET__STATUSES__APPROVED", "Aproved"),
        ("BRIDGE__TICKET__TRANSITIONS__SUCCEEDED", "Dome"),
        ("BRIDGE__TICKET__TRANSITIONS__FAILED", "rejected"),
    ];
    insta::assert_snapshot!(fails(&fake(Flavour::Cloud), &env).await, @r#"
    ok    jira.url                      reached Jira Cloud "Jira" at http://HOST
    ok    jira.kind                     auto found "cloud"
    ok    jira.token                    Jira takes the bridge for "Flagger Bridge" (5b10ac8d82e05b22cc7d4e99)
    ok    ticket.project                OPS is there, and the account has every permission it needs in it
    ok    ticket.issue_type             "Change" (10004) in OPS
    ok    ticket.fields                 the create screen of Change in OPS has all that is configured, and requires nothing else
    FAIL  ticket.statuses.approved      no status "Aproved" in this workflow, which has "To Do", "In Review", "Approved", "Rejected", "Done", "Cancelled"; did you mean "Approved"?
    FAIL  ticket.transitions.succeeded  no status "Dome" in this workflow, which has "To Do", "In Review", "Approved", "Rejected", "Done", "Cancelled"; did you mean "Done"?
    ok    ticket.transitions.failed     "rejected" exists; whether a ticket can get there shows only on a ticket
    ok    ticket.summary                a ticket would be called "Approve confirm-promotion of test/podinfo on default"
    ok    jira.requests_per_second      5 are enough to read limits.open_tickets = 500 tickets every 200s (a third of jira.trust_for)
    ok    approval.valid_for            an approval that is not used within 72h is void
    ok    jira.webhook_secret           is set, so webhooks are accepted; whether Jira sends any was not checked
    ok    server.public_url             tickets link to the status page at https://bridge.example.com
    ok    flagger.token                 Flagger has to bring its token
    ok    store.url                     DIR/of-the-tests.db is not there yet and can be created
    "#);
}

#[tokio::test]
async fn a_missing_permission() {
    let fake = fake(Flavour::Cloud);
    fake.revoke("OPS", &["CREATE_ISSUES", "TRANSITION_ISSUES", "LINK_ISSUES"]);
    insta::assert_snapshot!(bad(&fails(&fake, &[]).await), @r#"
    FAIL  ticket.project            the account lacks the permission CREATE_ISSUES in OPS; have Jira's administrator grant it, or name another project
    warn  ticket.project            the account lacks the permission TRANSITION_ISSUES in OPS; it needs it only once ticket.transitions are set
    FAIL  ticket.project            the account lacks the permission LINK_ISSUES in OPS; have Jira's administrator grant it, or name another project
    warn  ticket.fields             were not checked: Jira shows the create screen only to accounts that may create issues
    "#);
    let moves = [("BRIDGE__TICKET__TRANSITIONS__SUCCEEDED", "Done")];
    let output = fails(&fake, &moves).await;
    assert!(
        output.lines().any(|line| line.starts_with("FAIL") && line.contains("TRANSITION_ISSUES")),
        "{output}"
    );
}

#[tokio::test]
async fn fields_that_are_missing_here_or_there() {
    let fake = fake(Flavour::Cloud);
    fake.add_create_field("OPS", "Change", Field::required("customfield_10010", "Change risk", Shape::Text));
    fake.add_create_field("OPS", "Change", Field::optional("customfield_10011", "Service", Shape::Text));
    fake.remove_create_field("OPS", "Change", "labels");
    let env = [("BRIDGE__TICKET__FIELDS__customfield_1001", "x"), ("BRIDGE__TICKET__FIELDS__Service", "y")];
    insta::assert_snapshot!(bad(&fails(&fake, &env).await), @r#"
    FAIL  ticket.labels                    the create screen of Change in OPS has no field "labels", so the bridge cannot mark its tickets and would not find them again; have Jira's administrator add it
    FAIL  ticket.fields.customfield_10010  the create screen of Change in OPS requires "Change risk"; put a value there
    FAIL  ticket.fields.Service            is not on the create screen of Change in OPS, and Jira would refuse the ticket; have it added there, or take it out; "Service" is called "customfield_10011" there, put that
    FAIL  ticket.fields.customfield_1001   is not on the create screen of Change in OPS, and Jira would refuse the ticket; have it added there, or take it out; did you mean "customfield_10011"?
    "#);
}

#[tokio::test]
async fn nobody_is_there() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let report = check(&load(&url, CLOUD, &[]), clock()).await;
    let output = report.to_string().replace(&url[7..], "HOST");
    insta::assert_snapshot!(bad(&output), @r#"
    FAIL  jira.url                  cannot reach Jira at HOST: client error (Connect): tcp connect error: Connection refused (os error 111); put an address there that can be reached from here, or set HTTPS_PROXY
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
    assert!(report.failed());
}

#[tokio::test]
async fn something_else_is_there() {
    for (fault, says) in [
        (Fault::Redirect, "redirects"),
        (Fault::Status { code: 404, retry_after: None, body: "nothing here".into() }, "context path"),
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
    let fake = fake(Flavour::Cloud);
    fake.fault(Operation::ServerInfo, Fault::Html, Times::Always);
    insta::assert_snapshot!(bad(&fails(&fake, &[]).await), @r#"
    FAIL  jira.url                  Jira's answer at HOST cannot be read: it is not JSON; is a log-in page in the way? (in answer to the question which Jira it is); put the address of Jira itself there, with its context path (such as /jira) if it has one
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
}

#[tokio::test]
async fn a_port_without_tls() {
    let fake = fake(Flavour::Cloud);
    let url = fake.start().await.unwrap().replace("http://", "https://");
    let report = check(&load(&url, CLOUD, &[]), clock()).await;
    insta::assert_snapshot!(bad(&report.to_string().replace(&url[8..], "HOST")), @r#"
    FAIL  jira.url                  cannot reach Jira at HOST: client error (Connect): received corrupt message of type InvalidContentType; does that port speak http:// instead of https://?
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
}

#[tokio::test]
async fn a_certificate_that_nobody_knows() {
    let file = |name: &str| format!("{}/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = config::Tls { cert_file: file("old.crt.pem").into(), key_file: file("old.key.pem").into() };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    let (tls, limits) = (Tls::load(files).unwrap(), Limits::promised(Duration::ZERO));
    tokio::spawn(serve(port, axum::Router::new(), Some(Arc::new(tls)), limits, CancellationToken::new()));
    let url = format!("https://localhost:{}", address.port());
    let output = async |env: &[(&str, &str)]| {
        let report = check(&load(&url, CLOUD, env), clock()).await;
        bad(&report.to_string().replace(&url[8..], "HOST"))
    };
    insta::assert_snapshot!(output(&[]).await, @r#"
    FAIL  jira.ca_file              cannot reach Jira at HOST: client error (Connect): invalid peer certificate: UnknownIssuer; put the PEM file of the authority that signed its certificate into jira.ca_file
    warn  ticket                    projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to let the bridge in first
    "#);
    // With the authority it gets further.
    let known = output(&[("BRIDGE__JIRA__CA_FILE", &file("old.crt.pem"))]).await;
    assert!(known.starts_with("FAIL  jira.url ") && known.contains("404"), "{known}");
    let none = output(&[("BRIDGE__JIRA__CA_FILE", &file("old.key.pem"))]).await;
    assert!(
        none.contains("FAIL  jira.ca_file ") && none.contains("old.key.pem holds no certificate in PEM\n"),
        "{none}"
    );
}

#[tokio::test]
async fn the_wrong_kind_is_one_line() {
    let env = [("BRIDGE__JIRA__KIND", "data-center")];
    insta::assert_snapshot!(bad(&fails(&fake(Flavour::Cloud), &env).await), @r#"
    FAIL  jira.kind                 Jira says that it is Cloud, not Data Center; put "cloud" or "auto" there
    "#);
    let text = CLOUD.replace("bridge@example.com", "flagger-bridge");
    let fake = FakeJira::new(Setup {
        token: "a-personal-access-token".into(),
        password: Some(TOKEN.into()),
        context: "/jira".into(),
        ..Setup::new(Flavour::DataCenter, clock())
    });
    let (output, _) = run(&fake, &text, &[("BRIDGE__JIRA__KIND", "cloud")]).await;
    insta::assert_snapshot!(bad(&output), @r#"
    FAIL  jira.kind                 Jira says that it is Data Center, not Cloud; put "data-center" or "auto" there
    "#);
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
    insta::assert_snapshot!(bad(&output), @r#"
    FAIL  approval.approvers         Jira does not show whose e-mail "mia@example.com" is; put the account id there: Mia Change (5b10ac8d82e05b22cc7d4e01)?
    FAIL  ticket.description         cannot be rendered: invalid operation: unable to calculate 1 // 0 (in <string>:1)
    FAIL  jira.requests_per_second   1 are too few: 50 requests read limits.open_tickets = 5000 tickets, every 20s (a third of jira.trust_for), and may use half of them; put 5 there, or jira.trust_for = "300s"
    warn  server.public_url          is empty, so tickets do not link to the status page; put the address there at which people reach it
    warn  flagger.token              is missing, so whoever reaches server.gate_listen may ask and have tickets opened; put one there, or let only Flagger in
    warn  flagger.clusters[0].token  is missing, so whoever may ask may say that it is "prod"
    warn  jira.token                 has fewer than 16 characters; put a longer one there
    warn  jira.webhook_secret        has fewer than 16 characters; put a longer one there
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
