//! An OAuth client: when access tokens are fetched, what is sent with them, and what their endpoint's errors mean.

use fake_jira::{FakeJira, Fault, Flavour, Operation as Asked, Times};

use super::*;
use crate::jira::{Cause, Denial};

const SECRET: &str = "the-clients-secret";

/// A fake Jira of Cloud with an OAuth client, and the settings of the bridge.
async fn pair() -> (FakeJira, Settings) {
    let fake = FakeJira::new(fake_jira::Setup::new(Flavour::Cloud, Clock::manual(Millis(1_800_000_000_000))));
    fake.set_oauth_client("the-client", SECRET);
    let url = fake.start().await.unwrap();
    let settings = settings(&url, Some(Kind::Cloud));
    let login = client(&url, Secret::value(SECRET).unwrap());
    (fake, Settings { login, ..settings })
}

fn client(url: &str, client_secret: Secret) -> Login {
    let (client_id, api_url) = ("the-client".to_owned(), url.to_owned());
    Login::OAuth(OAuth { client_id, client_secret, token_url: format!("{url}/oauth/token"), api_url })
}

fn jira(settings: Settings) -> Jira {
    Jira::new(settings, unobserved(), Clock::manual(Millis(1_800_000_000_000))).unwrap()
}

fn asked(fake: &FakeJira) -> Vec<Asked> {
    let asked = fake.requests().iter().map(|request| request.operation).collect();
    fake.clear_requests();
    asked
}

async fn advance(by: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(by)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_token_is_fetched_once_and_counts_at_the_gateway() {
    let (fake, settings) = pair().await;
    let jira = jira(Settings { kind: None, ..settings.clone() });
    assert_eq!(jira.myself().await.unwrap().name, "Flagger Bridge");
    jira.permissions("OPS").await.unwrap();
    assert_eq!(
        asked(&fake),
        [Asked::TenantInfo, Asked::AccessToken, Asked::ServerInfo, Asked::Myself, Asked::MyPermissions]
    );
    // What people read leads to the site.
    assert_eq!(jira.browse_url("OPS-7"), format!("{}/browse/OPS-7", settings.url));
    assert_eq!(jira.granted_scopes().unwrap(), SCOPES);
    assert_eq!(fake.complaints(), [""; 0]);
}

#[tokio::test]
async fn the_address_of_the_gateway_needs_no_cloud_id() {
    let (fake, settings) = pair().await;
    let jira = jira(Settings { url: format!("{}/ex/jira/1f2e", settings.url), ..settings.clone() });
    jira.myself().await.unwrap();
    assert_eq!(asked(&fake), [Asked::AccessToken, Asked::ServerInfo, Asked::Myself]);
    assert_eq!(jira.browse_url("OPS-7"), format!("{}/browse/OPS-7", settings.url));
}

#[tokio::test]
async fn many_requests_fetch_one_token_and_it_is_renewed_before_its_end() {
    let (fake, settings) = pair().await;
    let jira = jira(settings);
    let permissions = || jira.permissions("OPS");
    let (a, b, c) = tokio::join!(permissions(), permissions(), permissions());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(asked(&fake).iter().filter(|asked| **asked == Asked::AccessToken).count(), 1);
    advance(3_200).await;
    permissions().await.unwrap();
    assert_eq!(asked(&fake), [Asked::MyPermissions]);
    advance(300).await;
    permissions().await.unwrap();
    assert_eq!(asked(&fake), [Asked::AccessToken, Asked::MyPermissions]);
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_until_its_end() {
    let (fake, settings) = pair().await;
    let jira = jira(settings);
    jira.myself().await.unwrap();
    fake.fault(Asked::AccessToken, Fault::Dropped, Times::Always);
    advance(3_500).await;
    jira.permissions("OPS").await.unwrap();
    // The next attempt is some time after the last one.
    jira.permissions("OPS").await.unwrap();
    assert_eq!(asked(&fake)[3..], [Asked::AccessToken, Asked::MyPermissions, Asked::MyPermissions]);
    advance(101).await;
    let error = jira.permissions("OPS").await.unwrap_err();
    assert!(matches!(error, Error::Prerequisite { .. }), "{error:?}");
    assert_eq!(asked(&fake), [Asked::AccessToken]);
    assert!(
        jira.health().failing.unwrap().why.starts_with("cannot get an access token for Jira from 127.0.0.1")
    );
    fake.clear_faults();
    advance(5).await;
    jira.permissions("OPS").await.unwrap();
    assert_eq!(jira.health().failing, None);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_at_once() {
    let (fake, settings) = pair().await;
    let jira = jira(settings);
    jira.myself().await.unwrap();
    asked(&fake);
    fake.expire_access_tokens();
    jira.permissions("OPS").await.unwrap();
    assert_eq!(asked(&fake), [Asked::MyPermissions, Asked::AccessToken, Asked::MyPermissions]);
    // The new one does not count either: as with a token that Jira refuses.
    fake.expire_access_tokens();
    let error = jira.permissions("OPS").await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&fake.base_url()[7..], "HOST"), @"Jira at HOST does not accept the credentials: asked who the bridge is, it answered 401; check that the service account of jira.oauth still exists, may use this Jira, and that its credential has the scopes that the bridge needs");
    assert_eq!(asked(&fake), [Asked::MyPermissions, Asked::Myself]);
    jira.permissions("OPS").await.unwrap_err();
    advance(14).await;
    jira.permissions("OPS").await.unwrap_err();
    assert_eq!(asked(&fake), []);
    advance(2).await;
    jira.permissions("OPS").await.unwrap();
    assert_eq!(asked(&fake), [Asked::Myself, Asked::AccessToken, Asked::Myself, Asked::MyPermissions]);
}

#[tokio::test]
async fn a_create_with_a_refused_token_is_left_to_its_caller() {
    let (fake, settings) = pair().await;
    let jira = jira(settings);
    jira.myself().await.unwrap();
    fake.expire_access_tokens();
    let error = create(&jira).await.unwrap_err();
    assert_eq!((error.retry(), error.side_effect()), (Retry::Backoff, SideEffect::None), "{error:?}");
    assert_eq!(fake.issues().len(), 0);
    create(&jira).await.unwrap();
    assert_eq!(fake.issues().len(), 1);
}

#[tokio::test]
async fn a_wrong_secret_is_tried_rarely_until_the_file_changes() {
    let (fake, settings) = pair().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "wr0ng-secret").unwrap();
    let login = client(&settings.url, Secret::file(file.path()).unwrap());
    let jira = jira(Settings { login, ..settings });
    let error = jira.permissions("OPS").await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&fake.base_url()[7..], "HOST"), @"Jira at HOST cannot be asked: asked for an access token, HOST answered 401: access_denied (Unauthorized); check jira.oauth.client_id, and put a valid secret of that client into jira.oauth.client_secret");
    assert!(matches!(&error, Error::Unauthorized { denied, .. } if denied.denial == Denial::Client));
    assert_eq!(error.side_effect(), SideEffect::None);
    jira.permissions("OPS").await.unwrap_err();
    assert!(!jira.has_new_token());
    assert_eq!(asked(&fake), [Asked::TenantInfo, Asked::AccessToken]);
    advance(16).await;
    jira.permissions("OPS").await.unwrap_err();
    assert_eq!(asked(&fake), [Asked::AccessToken]);
    std::fs::write(file.path(), SECRET).unwrap();
    advance(2).await;
    assert!(jira.has_new_token());
    jira.permissions("OPS").await.unwrap();
    assert_eq!(asked(&fake), [Asked::AccessToken, Asked::Myself, Asked::MyPermissions]);
}

#[tokio::test]
async fn what_a_token_endpoint_answers_is_an_error_of_nothing_sent() {
    let says = |code, media, body: &str| Fault::Says { code, media, headers: vec![], body: body.into() };
    let json = |code, body: &str| says(code, "application/json", body);
    let mut said = String::new();
    for (name, fault) in [
        ("dropped", Fault::Dropped),
        ("trickle", Fault::Trickle),
        ("too many", Fault::TooMany { retry_after: Some("30".into()) }),
        ("redirect", Fault::Redirect),
        ("flood", Fault::Flood),
        ("html", Fault::Html),
        ("wrong json", Fault::WrongJson),
        ("no token", json(200, r#"{"access_token": "", "expires_in": 3600}"#)),
        ("no header", json(200, r#"{"access_token": "a\nb", "expires_in": 3600}"#)),
        ("down", Fault::Status { code: 503, retry_after: Some("40".into()), body: "<p>".into() }),
        ("page", says(403, "text/html", "<p>blocked</p>")),
        ("invalid client", json(400, r#"{"error": "invalid_client"}"#)),
        (
            "echo",
            json(401, r#"{"error": "invalid_client", "error_description": "no the-clients-secret here."}"#),
        ),
    ] {
        let (fake, settings) = pair().await;
        fake.fault(Asked::AccessToken, fault, Times::Always);
        let jira = jira(Settings { timeout: Duration::from_millis(300), ..settings });
        let error = jira.permissions("OPS").await.unwrap_err();
        assert_eq!(error.side_effect(), SideEffect::None, "{name}");
        assert_eq!(asked(&fake), [Asked::TenantInfo, Asked::AccessToken], "{name}");
        let retry = match error.retry() {
            Retry::NotBefore(wait) => format!("not before {} s", wait.as_secs()),
            retry @ (Retry::Now | Retry::Backoff | Retry::Never) => format!("{retry:?}"),
        };
        let error = error.to_string().replace(&fake.base_url()[7..], "HOST");
        assert!(!error.contains(SECRET), "{error}");
        said += &format!("{name}: {error} [{retry}]\n");
    }
    insta::assert_snapshot!(said, @r"
    dropped: cannot get an access token for Jira from HOST: client error (SendRequest): connection closed before message completed [Backoff]
    trickle: cannot get an access token for Jira from HOST: it took longer than jira.timeout [Backoff]
    too many: cannot get an access token for Jira from HOST: it asks to wait (429) [not before 30 s]
    redirect: cannot get an access token for Jira from HOST: it redirects to http://127.0.0.1; put the address that answers itself into jira.oauth.token_url [Backoff]
    flood: cannot get an access token for Jira from HOST: its answer is longer than 64 KiB [Backoff]
    html: cannot get an access token for Jira from HOST: it answers with a page, so a log-in page, a proxy or a firewall may be in the way [Backoff]
    wrong json: cannot get an access token for Jira from HOST: its answer holds no access token [Backoff]
    no token: cannot get an access token for Jira from HOST: its answer holds no access token [Backoff]
    no header: cannot get an access token for Jira from HOST: its answer holds no access token [Backoff]
    down: cannot get an access token for Jira from HOST: it answered 503 [not before 40 s]
    page: cannot get an access token for Jira from HOST: it answered 403; it does not answer like this, so a proxy or firewall may be in the way [Backoff]
    invalid client: Jira at HOST cannot be asked: asked for an access token, HOST answered 400: invalid_client; check jira.oauth.client_id, and put a valid secret of that client into jira.oauth.client_secret [Backoff]
    echo: Jira at HOST cannot be asked: asked for an access token, HOST answered 401: invalid_client (no … here); check jira.oauth.client_id, and put a valid secret of that client into jira.oauth.client_secret [Backoff]
    ");
}

#[tokio::test]
async fn without_the_cloud_id_no_secret_is_sent() {
    for fault in [Fault::Html, Fault::WrongJson, Fault::Dropped] {
        let (fake, settings) = pair().await;
        fake.fault(Asked::TenantInfo, fault, Times::Once);
        let jira = jira(settings);
        jira.permissions("OPS").await.unwrap_err();
        assert_eq!(asked(&fake), [Asked::TenantInfo]);
        jira.permissions("OPS").await.unwrap();
    }
    // A cloud id is not a path.
    let (fake, settings) = pair().await;
    let body = r#"{"cloudId": "../../elsewhere"}"#.to_owned();
    fake.fault(
        Asked::TenantInfo,
        Fault::Says { code: 200, media: "application/json", headers: vec![], body },
        Times::Once,
    );
    let error = jira(settings).permissions("OPS").await.unwrap_err();
    assert!(error.to_string().contains("it has no cloud id"), "{error}");
}

#[tokio::test]
async fn a_token_endpoint_that_nothing_serves() {
    let (fake, settings) = pair().await;
    let Login::OAuth(oauth) = settings.login.clone() else { panic!() };
    let login = Login::OAuth(OAuth { token_url: "http://127.0.0.1:1/oauth/token".into(), ..oauth });
    let jira = jira(Settings { login, ..settings });
    let error = jira.permissions("OPS").await.unwrap_err();
    let Error::Prerequisite { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*source, Error::NoAccessToken { cause: Some(Cause::Refused), .. }), "{source:?}");
    assert_eq!(asked(&fake), [Asked::TenantInfo]);
}
