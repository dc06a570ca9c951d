//! `[jira.oauth]`.

use super::{in_force::shown, *};
use crate::jira::Login;

const BASE: [(&str, &str); 2] =
    [("BRIDGE__JIRA__URL", "https://example.atlassian.net"), ("BRIDGE__TICKET__PROJECT", "OPS")];
const CLIENT: &str = "client_id = \"k3Ff0\", client_secret = \"hunter2\"";

fn with(text: &str) -> Result<Config, Problems> {
    read(&format!("[jira]\n{text}\n"), &BASE)
}

fn wrong(text: &str) -> String {
    with(text).unwrap_err().to_string()
}

#[test]
fn it_takes_the_place_of_user_and_token() {
    let config = with(&format!("kind = \"cloud\"\noauth = {{ {CLIENT} }}")).unwrap();
    let Login::OAuth(oauth) = config.jira.client.login else { panic!() };
    assert_eq!(oauth.client_id, "k3Ff0");
    assert_eq!(oauth.client_secret.newest().expose_secret(), "hunter2");
    assert_eq!(oauth.token_url, "https://auth.atlassian.com/oauth/token");
    assert_eq!(oauth.api_url, "https://api.atlassian.com");
    let own = "token_url = \"http://127.0.0.1:1/token\", api_url = \"https://api.example.com/\"";
    let config = with(&format!("oauth = {{ {CLIENT}, {own} }}")).unwrap();
    let Login::OAuth(oauth) = config.jira.client.login else { panic!() };
    assert_eq!(
        (oauth.token_url.as_str(), oauth.api_url.as_str()),
        ("http://127.0.0.1:1/token", "https://api.example.com")
    );
    let env = BASE.into_iter().chain([
        ("BRIDGE__JIRA__OAUTH__CLIENT_ID", "k3Ff0"),
        ("BRIDGE__JIRA__OAUTH__CLIENT_SECRET", "hunter2"),
    ]);
    assert!(read("", &env.collect::<Vec<_>>()).unwrap().jira.client.login.oauth().is_some());
}

#[test]
fn every_mistake_is_reported() {
    insta::assert_snapshot!(wrong(&format!("user = \"bridge\"\noauth = {{ {CLIENT} }}")), @"jira.oauth: stands beside jira.user; use one of the two");
    insta::assert_snapshot!(wrong(&format!("token = \"t\"\nkind = \"data-center\"\noauth = {{ {CLIENT} }}")), @r#"
    jira.oauth: stands beside jira.token; use one of the two
    jira.oauth: is for service accounts of Cloud, and jira.kind is "data-center"; use jira.token_file instead
    "#);
    insta::assert_snapshot!(wrong("oauth = {}"), @r"
    jira.oauth.client_id: is missing
    jira.oauth.client_secret: is missing; give it, or jira.oauth.client_secret_file
    ");
    insta::assert_snapshot!(wrong("oauth = \"hunter2\""), @r#"
    jira.oauth: expected a table, such as { client_id = "k3Ff0…", client_secret_file = "/run/secrets/jira-oauth" }, got a string
    "#);
    insta::assert_snapshot!(
        wrong(&format!("oauth = {{ {CLIENT}, clientid = \"x\", token_url = \"http://auth.example/x\", api_url = \"auth.example\" }}")),
        @r"
    jira.oauth.token_url: must begin with https://, because a secret is sent there
    jira.oauth.api_url: has no scheme; put https:// in front
    jira.oauth.clientid: unknown key; did you mean jira.oauth.client_id?
    "
    );
}

#[test]
fn the_settings_in_force_hide_the_secret() {
    let shown = shown(&format!("[jira.oauth]\n{}\n", CLIENT.replace(", ", "\n")), &BASE).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("\n[jira.oauth]\nclient_id = \"k3Ff0\" # FILE\nclient_secret = \"hidden-1\" # FILE\n"),
        "{shown}"
    );
}
