//! OAuth 2.0 for a service account of Cloud: fetches access tokens with the client's id and secret (client
//! credentials), and finds the address of the API, where alone they count. Neither secret nor token is logged, shown or
//! stored.

use std::time::Duration;

use reqwest::{
    Response, StatusCode, Url,
    header::{ACCEPT, DATE, HeaderValue, LOCATION, RETRY_AFTER},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::time::Instant;

use super::{
    access_token::{Access, AccessToken, Fetched, Wait},
    answer::{Answer, Body, body_within, is_json, media_type, text},
    cause::Cause,
    credentials::Signature,
    denial::{Denial, Denied, Symptom, mentions_scope},
    error::{Error, SideEffect, UNREADABLE_TARGET},
    observe::{Observation, RequestOutcome},
    request::{Idempotency, Operation, Request, Target},
    retry::MAX_RETRY_AFTER,
    send::Sender,
    settings::OAuth,
    time, transport, wire,
};
use crate::text::{single_line, truncate};

/// The longest answer of the token endpoint that is read, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;
/// How long a token is used if the endpoint does not say how long it is valid. Atlassian's are valid for an hour.
const UNSTATED_LIFETIME: Duration = Duration::from_mins(5);
/// The scopes that the bridge needs.
pub const SCOPES: [&str; 3] = ["read:jira-work", "write:jira-work", "read:jira-user"];

/// Why there is no token.
enum Failure {
    /// The endpoint does not accept the client.
    Refused(Denied),
    /// Something else.
    Failed(Error),
}

impl Sender {
    /// The reason in the words of the credentials in use.
    pub(super) fn as_login(&self, denied: Denied) -> Denied {
        let is_of_login = matches!(denied.denial, Denial::Credentials | Denial::App);
        if is_of_login && self.login.oauth().is_some() {
            return Denied { denial: Denial::AccessToken, ..denied };
        }
        denied
    }

    /// Fetches what a request needs before it can be sent, so that it can then be sent at once.
    pub(super) async fn prepare_access(&self) -> Result<(), Error> {
        let Some(oauth) = self.login.oauth() else { return Ok(()) };
        self.find_api(oauth).await?;
        // Boxed, as all that waits for a request: see `worker::outbox`.
        Box::pin(self.access_token(oauth, Idempotency::Idempotent)).await.map(drop)
    }

    /// The credentials for a request.
    pub(super) async fn access(&self, request: &Request) -> Result<Access, Error> {
        match (request.target, self.login.oauth()) {
            (Target::Site, _) => Ok(Access::Anonymous),
            (Target::Api, None) => Ok(Access::Token(self.login.secret().newest())),
            (Target::Api, Some(oauth)) => {
                self.find_api(oauth).await?;
                self.access_token(oauth, request.idempotency).await.map(Access::Fetched)
            }
        }
    }

    /// Whether Jira refused the access token of this answer and there is, or may be fetched, another one.
    pub(super) fn renew_access(&self, access: &Access, answer: &Answer) -> bool {
        let Access::Fetched(token) = access else { return false };
        let refused = answer.status == StatusCode::UNAUTHORIZED;
        refused && !mentions_scope(&answer.words()) && self.access_tokens.refuse(token, Instant::now())
    }

    /// The scopes of the access token, if the token endpoint names them.
    pub(super) fn granted_scopes(&self) -> Option<Vec<String>> {
        self.access_tokens.scopes()
    }

    /// Reads the cloud id of the site, once, which is part of the address of the API.
    async fn find_api(&self, oauth: &OAuth) -> Result<(), Error> {
        if self.api.get().is_some() {
            return Ok(());
        }
        let _once = self.access_tokens.fetching.lock().await;
        if self.api.get().is_some() {
            return Ok(());
        }
        let before = |error: Error| error.into_prerequisite(SideEffect::None);
        let throttled = self.acquire().await?;
        let request = Request::cloud_id();
        let answer =
            Box::pin(self.exchange_as(&request, &Access::Anonymous, throttled)).await.map_err(before)?;
        if !answer.status.is_success() {
            return Err(before(answer.refused()));
        }
        let info: wire::TenantInfo = answer.read().map_err(before)?;
        let api = info.cloud_id().and_then(|id| Url::parse(&format!("{}/ex/jira/{id}", oauth.api_url)).ok());
        let api = api.ok_or_else(|| before(answer.unreadable("it has no cloud id")))?;
        let _ = self.api.set(api);
        Ok(())
    }

    /// A valid access token. It is renewed before its end, by one request; while that does not succeed, the old one is
    /// used. A request that is not idempotent must not wait, so it takes any valid token.
    async fn access_token(&self, oauth: &OAuth, idempotency: Idempotency) -> Result<AccessToken, Error> {
        let tokens = &self.access_tokens;
        let now = Instant::now();
        let usable = match idempotency {
            Idempotency::Idempotent => tokens.fresh(now),
            Idempotency::NonIdempotent => tokens.current(now),
        };
        if let Some(token) = usable {
            return Ok(token);
        }
        let _one_at_a_time = match tokens.current(now) {
            None => tokens.fetching.lock().await,
            Some(token) => match tokens.fetching.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(token),
            },
        };
        let (now, secret) = (Instant::now(), oauth.client_secret.newest());
        if let Some(token) = tokens.fresh(now) {
            return Ok(token);
        }
        let old = tokens.current(now);
        if let Some(error) = tokens.paused(now, &secret) {
            return old.ok_or(error);
        }
        let throttled = match self.acquire().await {
            Ok(throttled) => throttled,
            Err(error) => return old.ok_or(error),
        };
        let sent = Instant::now();
        match Box::pin(self.fetch(oauth, &secret, throttled)).await {
            Ok(fetched) => Ok(tokens.store(fetched, sent, rand::random())),
            Err(failure) => self.without_token(failure, secret, old),
        }
    }

    /// Records that no token was given. An old one that is still valid is used on.
    fn without_token(
        &self,
        failure: Failure,
        secret: SecretString,
        old: Option<AccessToken>,
    ) -> Result<AccessToken, Error> {
        let now = Instant::now();
        let (error, wait) = match failure {
            Failure::Refused(denied) => {
                if old.is_none() {
                    self.credentials.record_tried(secret.clone());
                    self.credentials.record_probe(secret.clone(), now);
                    self.credentials.refuse(&denied, Signature::None, now, self.clock.now());
                }
                (self.unauthorized(denied, SideEffect::None), Wait::Refused)
            }
            Failure::Failed(error) => {
                let retry_after =
                    if let Error::NoAccessToken { retry_after, .. } = &error { *retry_after } else { None };
                (error, Wait::Backoff { retry_after, unit: rand::random() })
            }
        };
        let first = self.access_tokens.failed(error.clone(), secret, wait, now);
        let Some(old) = old else {
            self.last_request.failed(&error, self.clock.now());
            return Err(error);
        };
        if first {
            tracing::warn!(error = %error, "the access token for Jira cannot be renewed; the bridge uses the old one until it ends");
        }
        Ok(old)
    }

    /// Requests an access token.
    async fn fetch(
        &self,
        oauth: &OAuth,
        secret: &SecretString,
        throttled: Duration,
    ) -> Result<Fetched, Failure> {
        let began = Instant::now();
        let body = json!({
            "grant_type": "client_credentials",
            "client_id": oauth.client_id,
            "client_secret": secret.expose_secret(),
        });
        let client = self.client.current().client;
        let request = client.post(&oauth.token_url).header(ACCEPT, "application/json").json(&body);
        #[expect(clippy::disallowed_methods, reason = "the token endpoint is not Jira")]
        let sent = request.send().await;
        let status = sent.as_ref().ok().map(Response::status);
        let result = match sent {
            Ok(response) => self.read_token(oauth, secret, response).await,
            Err(error) => Err(Failure::Failed(self.no_answer(oauth, error))),
        };
        let outcome = match (status, &result) {
            (Some(status), Ok(_) | Err(Failure::Refused(_))) => RequestOutcome::Answered(status.as_u16()),
            (Some(status), Err(_)) if !status.is_success() => RequestOutcome::Answered(status.as_u16()),
            (Some(_), Err(_)) => RequestOutcome::NoAnswer,
            (None, _) => RequestOutcome::Unreachable,
        };
        (self.observer)(&Observation {
            operation: Operation::ACCESS_TOKEN.name,
            outcome,
            took: began.elapsed(),
            throttled,
        });
        result
    }

    /// Reads the answer of the token endpoint.
    async fn read_token(
        &self,
        oauth: &OAuth,
        secret: &SecretString,
        response: Response,
    ) -> Result<Fetched, Failure> {
        let (status, headers) = (response.status(), response.headers().clone());
        let failed = |why: String, retry_after: Option<Duration>| {
            Failure::Failed(Error::NoAccessToken { host: host(oauth), why, cause: None, retry_after })
        };
        let now = text(&headers, DATE.as_str()).and_then(time::parse_http);
        let now = now.unwrap_or_else(|| self.clock.now());
        let retry_after =
            text(&headers, RETRY_AFTER.as_str()).and_then(|value| time::retry_after(value, now));
        let retry_after = retry_after.map(|wait| wait.min(MAX_RETRY_AFTER));
        let number = status.as_u16();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(failed("it asks to wait (429)".to_owned(), retry_after));
        }
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let proxy = self.access_tokens.proxy.as_deref().unwrap_or("a proxy");
            return Err(failed(format!("{proxy} does not know the bridge (407)"), None));
        }
        if status.is_redirection() {
            let base = Url::parse(&oauth.token_url).ok();
            let target =
                text(&headers, LOCATION.as_str()).zip(base).and_then(|(to, base)| base.join(to).ok());
            let target = target.and_then(|url| Some(format!("{}://{}", url.scheme(), url.host_str()?)));
            let target = target.as_deref().unwrap_or(UNREADABLE_TARGET);
            let why = format!(
                "it redirects to {target}; put the address that answers itself into jira.oauth.token_url"
            );
            return Err(failed(why, None));
        }
        if status.is_server_error() {
            return Err(failed(format!("it answered {number}"), retry_after));
        }
        let json = is_json(&media_type(&headers));
        let body = match body_within(response, LONGEST_ANSWER).await {
            Ok(body) => body,
            Err(Body::Cut(error)) => return Err(Failure::Failed(self.no_answer(oauth, error))),
            Err(Body::TooLong) => return Err(failed("its answer is longer than 64 KiB".to_owned(), None)),
        };
        if !status.is_success() {
            let said = Some(&body).filter(|_| json).and_then(|body| wire::OAuthError::read(body));
            return Err(match said {
                Some(said) => {
                    let said = format!(": {}", without(&said.words(), secret));
                    let symptom = Symptom::NoAccessToken { host: host(oauth), status: number, said };
                    Failure::Refused(Denied { denial: Denial::Client, symptom })
                }
                None => {
                    let why = format!(
                        "it answered {number}; it does not answer like this, so a proxy or firewall may be in the way"
                    );
                    failed(why, None)
                }
            });
        }
        if !json {
            let why = "it answers with a page, so a log-in page, a proxy or a firewall may be in the way";
            return Err(failed(why.to_owned(), None));
        }
        let token = wire::AccessToken::read(&body);
        // The errors of the parser are not shown: they may quote a part of the token.
        let Some(token) = token.filter(|token| can_be_sent(token.value())) else {
            return Err(failed("its answer holds no access token".to_owned(), None));
        };
        let lifetime = token.lifetime().unwrap_or(UNSTATED_LIFETIME);
        Ok(Fetched { lifetime, scopes: token.scopes(), value: token.into_value() })
    }

    /// The error for a token endpoint that gave no complete answer.
    fn no_answer(&self, oauth: &OAuth, error: reqwest::Error) -> Error {
        let (host, tls) = (host(oauth), oauth.token_url.starts_with("https:"));
        let proxy = self.access_tokens.proxy.as_deref();
        let error = transport::failed(&host, proxy, tls, error);
        let (why, cause) = if let Error::NoAnswer { why, cause, .. } = error {
            (why, cause)
        } else {
            (error.to_string(), Cause::Other)
        };
        Error::NoAccessToken { host, why, cause: Some(cause), retry_after: None }
    }
}

/// The host of the token endpoint, and its port if it names one.
fn host(oauth: &OAuth) -> String {
    let url = Url::parse(&oauth.token_url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    match url.as_ref().and_then(Url::port) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether a header can carry the token.
fn can_be_sent(token: &SecretString) -> bool {
    let token = token.expose_secret();
    !token.is_empty() && HeaderValue::from_str(token).is_ok()
}

/// The endpoint's words on one line. An endpoint that repeats the secret does not get it shown.
fn without(words: &str, secret: &SecretString) -> String {
    let words = words.replace(secret.expose_secret(), "…");
    truncate(single_line(&words).trim().trim_end_matches('.'), 200)
}
