//! OAuth 2.0 for a service account of Cloud: the token endpoint, the site's cloud id, and the gateway, where alone access
//! tokens count. One host plays all of them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Content, HandlerResult},
    auth::Caller,
    call::Call,
    fake::FakeJira,
    model::BRIDGE,
    oauth_client::OAuthClient,
    recorded::Credentials,
    state::State,
};

/// The cloud id of this site.
const CLOUD_ID: &str = "1f2e";
/// The path of the gateway that leads to this site.
pub(super) const GATEWAY: &str = "/ex/jira/1f2e";

impl FakeJira {
    /// Gives the bridge's account, a service account, an OAuth client with the three classic scopes. Its access tokens
    /// are said to be valid for an hour, and are until [`FakeJira::expire_access_tokens`].
    pub fn set_oauth_client(&self, id: &str, secret: &str) {
        let mut state = self.lock();
        let given = state.oauth.as_ref().map_or(0, |client| client.given);
        let valid = state.oauth.take().map(|client| client.valid).unwrap_or_default();
        state.oauth = Some(OAuthClient {
            id: id.to_owned(),
            secret: secret.to_owned(),
            lifetime: Duration::from_hours(1),
            scopes: ["read:jira-work", "write:jira-work", "read:jira-user"].map(str::to_owned).to_vec(),
            given,
            valid,
        });
    }

    /// Sets the scopes of the OAuth client. The token endpoint names them; the gateway refuses what they do not cover.
    pub fn set_oauth_scopes(&self, scopes: &[&str]) {
        if let Some(client) = &mut self.lock().oauth {
            client.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        }
    }

    /// Makes all access tokens invalid.
    pub fn expire_access_tokens(&self) {
        if let Some(client) = &mut self.lock().oauth {
            client.valid.clear();
        }
    }

    /// All access tokens that were given and are valid.
    #[must_use]
    pub fn access_tokens(&self) -> Vec<String> {
        self.lock().oauth.as_ref().map(|client| client.valid.clone()).unwrap_or_default()
    }
}

/// Whether the path belongs to the token endpoint or the site's edge.
pub(super) fn serves(path: &str) -> bool {
    matches!(path, "/_edge/tenant_info" | "/oauth/token")
}

/// `GET /_edge/tenant_info`: everybody may read it.
pub(super) fn tenant_info() -> Answer {
    Answer::ok(json!({ "cloudId": CLOUD_ID }))
}

/// `POST /oauth/token`.
pub(super) fn access_token(state: &mut State, call: &Call) -> HandlerResult {
    let none = Map::new();
    let sent = call.json.as_ref().and_then(Value::as_object).unwrap_or(&none);
    let field = |name: &str| sent.get(name).and_then(Value::as_str).unwrap_or_default();
    let refusal = |status: u16, error: &str, description: &str| {
        let body = json!({ "error": error, "error_description": description });
        Answer::new(status, Content::Json(body))
    };
    if field("grant_type") != "client_credentials" {
        let answer = refusal(400, "unsupported_grant_type", "Unsupported grant type");
        return Err(answer.with_complaint(format!("grant_type is {:?}", field("grant_type"))));
    }
    if call.header("authorization").is_some() {
        return Err(refusal(400, "invalid_request", "Too many credentials").with_complaint("two credentials"));
    }
    let client = state.oauth.as_mut();
    let Some(client) = client.filter(|it| it.id == field("client_id") && it.secret == field("client_secret"))
    else {
        return Err(refusal(401, "access_denied", "Unauthorized"));
    };
    client.given += 1;
    let token = format!("access-token-{}", client.given);
    client.valid.push(token.clone());
    Ok(Answer::ok(json!({
        "access_token": token, "token_type": "Bearer", "expires_in": client.lifetime.as_secs(),
        "scope": client.scopes.join(" "),
    })))
}

/// The caller of a request through the gateway.
pub(super) fn caller(state: &State, header: Option<&str>) -> (Caller, Credentials) {
    let sent = header.and_then(|header| header.strip_prefix("Bearer "));
    let client = state.oauth.as_ref();
    if let (Some(client), Some(sent)) = (client, sent)
        && client.valid.iter().any(|token| token == sent)
    {
        return match client.scopes.iter().any(|scope| scope == "read:jira-work") {
            true => (Caller::Account(BRIDGE), Credentials::Right),
            false => {
                (Caller::Rejected(unauthorized("Unauthorized; scope does not match")), Credentials::Right)
            }
        };
    }
    (Caller::Rejected(unauthorized("Unauthorized")), Credentials::Wrong)
}

fn unauthorized(message: &str) -> Answer {
    Answer::new(401, Content::Json(json!({ "code": 401, "message": message })))
}
