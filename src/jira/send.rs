//! The only place that sends requests to Jira: waits for the rate limit, sends, and reads the answer.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, ACCEPT_LANGUAGE, DATE, HeaderMap, LOCATION, RETRY_AFTER},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{
    access_token::{Access, AccessTokens},
    answer::{Answer, Body, body, is_json, media_type, text},
    credentials::{Admission, Credentials, signature},
    error::{Error, SideEffect, UnreadableReason},
    failing::LastRequest,
    http_client::{Clients, clients, proxy},
    observe::{Observation, Observer, RequestOutcome},
    request::{Idempotency, Request, Target},
    retry::MAX_RETRY_AFTER,
    settings::{Kind, Login, OAuth, Settings, UnusableSettings},
    throttle::{Throttle, Urgency},
    time, transport, wire,
};
use crate::{clock::Clock, millis::Millis};

tokio::task_local! {
    /// Whether a request that is not idempotent may still be sent; see [`fenced`].
    static PERMIT: Permit;
    /// Set while requests are urgent; see [`urgently`].
    static URGENT: ();
    /// The queue of requests that wait for the throttle one at a time; see [`one_at_a_time`].
    static QUEUE: Arc<tokio::sync::Mutex<()>>;
}

type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// Does `work`. Each request in it that is not idempotent is sent only if `permit` allows it at that moment: before it
/// is sent, the process may have been paused for any time, and another replica may have taken over the work. A request
/// that was sent cannot be recalled.
pub async fn fenced<T>(
    permit: impl Fn() -> bool + Send + Sync + 'static,
    work: impl Future<Output = T>,
) -> T {
    PERMIT.scope(Arc::new(permit), work).await
}

/// Does `work`; its requests do not wait for requests that are not urgent.
pub async fn urgently<T>(work: impl Future<Output = T>) -> T {
    URGENT.scope((), work).await
}

/// Does `work`; its requests wait in `queue`, so that only one request of each queue waits for the throttle, however
/// much work shares the queue.
pub async fn one_at_a_time<T>(queue: Arc<tokio::sync::Mutex<()>>, work: impl Future<Output = T>) -> T {
    QUEUE.scope(queue, work).await
}

/// What all requests share.
pub(super) struct Sender {
    pub(super) client: Clients,
    /// The proxy that requests go through, described without its password.
    pub(super) proxy: Option<String>,
    /// `jira.url`.
    base: Url,
    /// The base of the API; not known before an OAuth client has read the site's cloud id.
    pub(super) api: OnceLock<Url>,
    /// Host and port, for errors.
    pub(super) host: String,
    pub(super) login: Login,
    pub(super) access_tokens: AccessTokens,
    pub(super) throttle: Throttle,
    pub(super) credentials: Credentials,
    pub(super) last_request: LastRequest,
    pub(super) kind: OnceLock<Kind>,
    pub(super) observer: Observer,
    pub(super) clock: Clock,
}

impl Sender {
    pub(super) fn new(
        settings: Settings,
        observer: Observer,
        clock: Clock,
    ) -> Result<Self, UnusableSettings> {
        let base = base(&settings.url)?;
        let host = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let others = settings.login.oauth().map(Others::of).transpose()?;
        let bases: Vec<&Url> = std::iter::once(&base).chain(others.iter().flat_map(Others::all)).collect();
        let client = clients(&bases, settings.ca_file, settings.timeout)?;
        let access_tokens = AccessTokens::new(match &others {
            Some(others) => proxy(&others.token)?,
            None => None,
        });
        // At the site's own address, access tokens do not count.
        let (api, proxy) = match &others {
            Some(others) if !is_gateway(&base) => (OnceLock::new(), proxy(&others.api)?),
            Some(_) | None => (OnceLock::from(base.clone()), proxy(&base)?),
        };
        Ok(Self {
            client,
            proxy,
            base,
            api,
            host,
            login: settings.login,
            access_tokens,
            throttle: Throttle::new(settings.requests_per_second, settings.burst),
            credentials: Credentials::default(),
            last_request: LastRequest::default(),
            kind: settings.kind.map_or_else(OnceLock::new, OnceLock::from),
            observer,
            clock,
        })
    }

    /// Whether `jira.url` is Atlassian's gateway for scoped tokens, or something that leads there. It has no pages for
    /// browsers.
    pub(super) fn is_gateway(&self) -> bool {
        is_gateway(&self.base)
    }

    /// Whether the credentials look like those of Cloud.
    pub(super) fn expects_cloud(&self) -> bool {
        self.login.user().is_some() || self.login.oauth().is_some()
    }

    /// The URL of `path` below `site`, or else below `jira.url`.
    pub(super) fn address<'a>(&self, site: Option<&Url>, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = site.unwrap_or(&self.base).clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Sends a request when the rate limit allows it.
    ///
    /// # Errors
    /// Any, also for 4xx. [`Error::Throttled`] during a pause for all requests: the caller may have other things to do.
    pub(super) async fn call(&self, request: Request) -> Result<Answer, Error> {
        self.admit().await.map_err(|error| error.into_prerequisite(SideEffect::None))?;
        let throttled = self.acquire().await?;
        // Jira may have refused the credentials while this request waited.
        self.check_admission()?;
        self.judge_answer(&request, throttled).await
    }

    /// Sends now or not at all: the caller has waited for everything before, `throttled` of it for the rate limit.
    ///
    /// # Errors
    /// As [`Sender::call`]; [`Error::Throttled`] if a pause has begun meanwhile.
    pub(super) async fn call_now(&self, throttled: Duration, request: Request) -> Result<Answer, Error> {
        self.check_admission()?;
        if let Some(left) = self.throttle.paused() {
            return Err(self.paused(left));
        }
        self.judge_answer(&request, throttled).await
    }

    /// Whether a request may be sent now. A token that Jira has not seen since it refused another one is tried at once.
    pub(super) fn admission(&self) -> Admission {
        match self.credentials.admission(Instant::now()) {
            Admission::Denied(denied) if self.has_new_token() => Admission::ProbeFirst(denied),
            admission @ (Admission::Granted | Admission::ProbeFirst(_) | Admission::Denied(_)) => admission,
        }
    }

    /// Whether Jira refuses the credentials, and there is another token since.
    pub(super) fn has_new_token(&self) -> bool {
        self.credentials.are_refused()
            && self.credentials.refused_before(&self.login.secret().newest(), Instant::now())
    }

    /// Fails if Jira refuses the credentials.
    fn check_admission(&self) -> Result<(), Error> {
        match self.admission() {
            Admission::Granted => Ok(()),
            Admission::Denied(denied) | Admission::ProbeFirst(denied) => {
                Err(self.unauthorized(denied, SideEffect::None))
            }
        }
    }

    /// Waits for a permit under the rate limit; returns how long that took.
    ///
    /// # Errors
    /// [`Error::Throttled`] during a pause for all requests.
    pub(super) async fn acquire(&self) -> Result<Duration, Error> {
        let urgency = URGENT.try_with(|()| Urgency::Urgent).unwrap_or(Urgency::Ordinary);
        let queue = QUEUE.try_with(Arc::clone).ok();
        let _first_come = match &queue {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        self.throttle.acquire(urgency).await.map_err(|left| self.paused(left))
    }

    fn paused(&self, left: Duration) -> Error {
        Error::Throttled { host: self.host.clone(), retry_after: Some(left) }
    }

    /// Sends one request, and returns its answer if its status is 2xx or 4xx. If Jira does not accept the access token
    /// and there is a new one, sends the request once more.
    pub(super) async fn exchange(&self, request: &Request, throttled: Duration) -> Result<Answer, Error> {
        let access = Box::pin(self.access(request)).await?;
        let answer = Box::pin(self.exchange_as(request, &access, throttled)).await?;
        // One that is not idempotent is sent again by its caller, who stores when.
        if !self.renew_access(&access, &answer) || request.idempotency == Idempotency::NonIdempotent {
            return Ok(answer);
        }
        let access = Box::pin(self.access(request)).await?;
        let throttled = self.acquire().await?;
        Box::pin(self.exchange_as(request, &access, throttled)).await
    }

    /// Sends one request with these credentials, and returns its answer if its status is 2xx or 4xx.
    pub(super) async fn exchange_as(
        &self,
        request: &Request,
        access: &Access,
        mut throttled: Duration,
    ) -> Result<Answer, Error> {
        let token = self.login.secret().newest();
        let ready = self.build_request(request, access)?;
        let began = Instant::now();
        if request.idempotency == Idempotency::NonIdempotent {
            if !PERMIT.try_with(|permit| permit()).unwrap_or(true) {
                return Err(Error::NotSent { host: self.host.clone() });
            }
            tracing::trace!(target: "step", "sending");
        }
        #[expect(clippy::disallowed_methods, reason = "every request is sent here")]
        let result = match ready.send().await {
            Ok(response) => self.receive(request, response, token, &mut throttled).await,
            Err(error) => Err(self.transport(error)),
        };
        let outcome = match &result {
            Ok(answer) => {
                self.last_request.answered();
                RequestOutcome::Answered(answer.status.as_u16())
            }
            Err(error) => {
                self.last_request.failed(error, self.clock.now());
                RequestOutcome::of(error)
            }
        };
        (self.observer)(&Observation {
            operation: request.operation.name,
            outcome,
            took: began.elapsed(),
            throttled,
        });
        if request.idempotency == Idempotency::NonIdempotent && matches!(outcome, RequestOutcome::Answered(_))
        {
            tracing::trace!(target: "step", "answered");
        }
        result
    }

    /// The request with host, headers and credentials.
    fn build_request(&self, request: &Request, access: &Access) -> Result<RequestBuilder, Error> {
        let client = self.client.current().client;
        let base = match request.target {
            Target::Api => self.api.get(),
            Target::Site => None,
        };
        let url = self.address(base, request.path.iter().map(String::as_str));
        let mut builder = client
            .request(request.method.clone(), url)
            .header(ACCEPT, "application/json")
            .header(ACCEPT_LANGUAGE, "en")
            .header("X-Force-Accept-Language", "true");
        builder = match (access, self.login.user()) {
            (Access::Anonymous, _) => builder,
            (Access::Token(token), Some(user)) => builder.basic_auth(user, Some(token.expose_secret())),
            (Access::Token(token), None) => builder.bearer_auth(token.expose_secret()),
            (Access::Fetched(token), _) => builder.bearer_auth(token.value.expose_secret()),
        };
        if !request.query.is_empty() {
            builder = builder.query(&request.query);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let built = builder.build().map_err(|_| Error::Token)?;
        Ok(RequestBuilder::from_parts(client, built))
    }

    /// Reads an answer. If it asks for a pause, starts it and adds it to `throttled`.
    async fn receive(
        &self,
        request: &Request,
        response: Response,
        token: SecretString,
        throttled: &mut Duration,
    ) -> Result<Answer, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let host = self.host.clone();
        let date = text(&headers, DATE.as_str()).and_then(time::parse_http);
        let now = date.unwrap_or_else(|| self.clock.now());
        let said = |name: &str| text(&headers, name);
        // Data Center sends 0 if there is no need to wait.
        let retry_after = said(RETRY_AFTER.as_str()).and_then(|value| time::retry_after(value, now));
        let retry_after = retry_after.map(|wait| wait.min(MAX_RETRY_AFTER));
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = retry_after.or_else(|| rate_limit_wait(&headers, now));
            // Too many writes to this one issue: other requests may continue.
            if said("ratelimit-reason") == Some("jira-per-issue-on-write") && request.method != Method::GET {
                return Err(Error::Throttled { host, retry_after: wait });
            }
            let (left, longer) = match wait {
                Some(wait) => (wait, self.throttle.pause(wait)),
                None => self.throttle.pause_briefly(),
            };
            *throttled += longer;
            return Err(Error::Throttled { host, retry_after: Some(left) });
        }
        if let (StatusCode::SERVICE_UNAVAILABLE, Some(wait)) = (status, retry_after) {
            *throttled += self.throttle.pause(wait);
        }
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            // Only a proxy answers 407, so the request did not reach Jira.
            return Err(transport::proxy_refused(&self.host, self.proxy.as_deref()));
        }
        if status.is_redirection() {
            return Err(Error::Redirected { host, status: status.as_u16(), target: self.target(&headers) });
        }
        let media = media_type(&headers);
        let (json, plain) = (is_json(&media), media == "text/plain");
        let read = body(response).await;
        if status.is_server_error() {
            let said = read.ok().filter(|_| json).and_then(|body| wire::complaint(&body));
            let messages = said.map(|said| said.words).unwrap_or_default();
            let retry_after = retry_after.filter(|_| status == StatusCode::SERVICE_UNAVAILABLE);
            return Err(Error::Broken { host, status: status.as_u16(), messages, retry_after });
        }
        let (body, json) = match read {
            Ok(body) => (body, json),
            // A refusal needs no body: its status says that nothing was done.
            Err(_) if status.is_client_error() => (vec![], false),
            Err(Body::Cut(error)) => return Err(self.transport(error)),
            Err(Body::TooLong) => {
                let what = "it is longer than 4 MiB".into();
                return Err(Error::Unreadable { host, what, reason: UnreadableReason::Other });
            }
        };
        let signature = signature(self.kind.get().copied(), &headers);
        let answer =
            Answer { host, operation: request.operation, status, signature, json, plain, body, date, token };
        self.throttle.succeeded();
        if status.is_informational() {
            return Err(answer.unreadable(&format!("status {}", status.as_u16())));
        }
        if status.is_success() && !answer.body.is_empty() && !json {
            return Err(answer.not_json());
        }
        Ok(answer)
    }

    /// The host that a redirect leads to.
    fn target(&self, headers: &HeaderMap) -> Option<String> {
        let location = text(headers, LOCATION.as_str()).and_then(|location| self.base.join(location).ok());
        location.map(|url| {
            format!("{}://{}", url.scheme(), url.authority().rsplit('@').next().unwrap_or_default())
        })
    }

    fn transport(&self, error: reqwest::Error) -> Error {
        let tls = self.api.get().unwrap_or(&self.base).scheme() == "https";
        transport::failed(&self.host, self.proxy.as_deref(), tls, error)
    }
}

/// Where an OAuth client sends requests beside `jira.url`.
struct Others {
    token: Url,
    api: Url,
}

impl Others {
    fn of(oauth: &OAuth) -> Result<Self, UnusableSettings> {
        let read = |key: &str, url: &str| {
            let wrong = |error| UnusableSettings::Address(format!("jira.oauth.{key} is not a URL: {error}"));
            Url::parse(url).map_err(wrong)
        };
        Ok(Self { token: read("token_url", &oauth.token_url)?, api: read("api_url", &oauth.api_url)? })
    }

    const fn all(&self) -> [&Url; 2] {
        [&self.token, &self.api]
    }
}

/// Whether the address is Atlassian's gateway for scoped tokens, or something that leads there.
fn is_gateway(base: &Url) -> bool {
    base.host_str() == Some("api.atlassian.com") || base.path().starts_with("/ex/jira/")
}

/// How long to wait after a 429 without a usable `Retry-After`.
fn rate_limit_wait(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let said = |name: &str| text(headers, name);
    let reset = || {
        ["x-ratelimit-reset", "ratelimit-reset"]
            .iter()
            .find_map(|name| time::rate_limit_reset(said(name)?, now))
    };
    let policies =
        || ["ratelimit", "beta-ratelimit"].iter().find_map(|name| time::rate_limit_policies(said(name)?));
    reset().or_else(policies).map(|wait| wait.min(MAX_RETRY_AFTER))
}

/// `jira.url` as the base of all URLs: its path is kept, for `/jira` and `/ex/jira/<cloud id>`.
fn base(url: &str) -> Result<Url, UnusableSettings> {
    let wrong = |why: &str| UnusableSettings::Address(format!("jira.url {why}"));
    let mut base = Url::parse(url.trim()).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
    if !matches!(base.scheme(), "https" | "http") || base.host_str().is_none_or(str::is_empty) {
        return Err(wrong("must begin with https:// and a host"));
    }
    // Anywhere in the URL: a password may hold a character that ends the host.
    if url.contains('@') {
        return Err(wrong("must not hold credentials: use jira.user and jira.token_file"));
    }
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}
