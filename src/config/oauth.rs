//! `[jira.oauth]`: a service account of Cloud.

use reqwest::Url;

use super::read::Section;
use crate::{
    jira::{Kind, Login, OAuth},
    server_url,
};

/// Where Atlassian gives access tokens.
const TOKEN_URL: &str = "https://auth.atlassian.com/oauth/token";
/// Where Atlassian takes them.
const API_URL: &str = "https://api.atlassian.com";

/// Reads `[jira.oauth]`, which stands in `[jira]`.
pub(super) fn login(jira: &Section<'_>, s: &Section<'_>, kind: Option<Kind>) -> Option<Login> {
    let both: Vec<&str> =
        ["user", "token", "token_file"].into_iter().filter(|name| jira.value(name).is_some()).collect();
    if let Some(name) = both.first() {
        let what = format!("stands beside {}; use one of the two", jira.key(name));
        jira.problem("oauth", what);
    }
    if kind == Some(Kind::DataCenter) {
        let what =
            "is for service accounts of Cloud, and jira.kind is \"data-center\"; use jira.token_file instead";
        jira.problem("oauth", what);
    }
    let client_id = s.text("client_id");
    let client_secret = s.secret("client_secret");
    if s.value("client_secret").or(s.value("client_secret_file")).is_none() {
        s.problem("client_secret", format!("is missing; give it, or {}", s.key("client_secret_file")));
    }
    let token_url = address(s, "token_url", TOKEN_URL);
    let api_url = address(s, "api_url", API_URL);
    s.report_unknown_keys();
    let right = both.is_empty() && kind != Some(Kind::DataCenter);
    let oauth = OAuth {
        client_id: client_id?,
        client_secret: client_secret?,
        token_url: token_url?,
        api_url: api_url?,
    };
    right.then_some(Login::OAuth(oauth))
}

/// An address to which a secret is sent: over TLS, unless it is on this machine.
fn address(s: &Section<'_>, name: &str, default: &str) -> Option<String> {
    if s.value(name).is_none() {
        return Some(default.to_owned());
    }
    let url = s.site(name)?;
    let here = |url: &Url| url.host_str().is_some_and(server_url::is_this_machine);
    let encrypted = Url::parse(&url).is_ok_and(|url| url.scheme() == "https" || here(&url));
    if !encrypted {
        s.problem(name, "must begin with https://, because a secret is sent there");
        return None;
    }
    Some(url)
}
