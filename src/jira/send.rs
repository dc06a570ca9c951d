//! The only way to Jira: takes a turn, sends, and reads.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, ACCEPT_LANGUAGE, DATE, HeaderMap, LOCATION, RETRY_AFTER},
};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::{
    answer::{Answer, Body, body, is_json, media, text},
    credentials::{Admission, Credentials, signature},
    error::{Error, SideEffect, UnreadableReason},
    http_client::{Clients, clients, proxy},
    observe::{Observation, Observer, RequestOutcome},
    request::{Idempotency, Request},
    retry::MOST_DEMANDED,
    settings::{Kind, Settings, UnusableSettings},
    throttle::{Throttle, Urgency},
    time, transport, wire,
};
use crate::{clock::Clock, millis::Millis, secret::Secret};

tokio::task_local! {
    /// Whether what must not be done twice may still be sent; see [`fenced`].
    static PERMIT: Permit;
    /// That what is sent is urgent; see [`urgently`].
    static URGENT: ();
    /// The queue in which those wait who are one to all others; see [`one_at_a_time`].
    static QUEUE: Arc<tokio::sync::Mutex<()>>;
}

type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// Does `work`, of which no request that is not idempotent goes out unless `permit` says so in that moment. Between a
/// permit and its use a process may stand still for as long as its machine likes, and somebody else may do the work
/// meanwhile; what is sent cannot be called back.
pub async fn fenced<T>(
    permit: impl Fn() -> bool + Send + Sync + 'static,
    work: impl Future<Output = T>,
) -> T {
    PERMIT.scope(Arc::new(permit), work).await
}

/// Does `work`, whose requests need not wait for any that are not urgent.
pub async fn urgently<T>(work: impl Future<Output = T>) -> T {
    URGENT.scope((), work).await
}

/// Does `work`, whose requests wait in `queue` for their turn: whatever is done so with the same queue is one of those who
/// wait for the throttle, however much it is.
pub async fn one_at_a_time<T>(queue: Arc<tokio::sync::Mutex<()>>, work: impl Future<Output = T>) -> T {
    QUEUE.scope(queue, work).await
}

/// What every request shares.
pub(super) struct Sender {
    pub(super) client: Clients,
    /// What stands on the way, in words.
    pub(super) proxy: Option<String>,
    base: Url,
    /// Host and port, for errors.
    pub(super) host: String,
    user: Option<String>,
    token: Secret,
    pub(super) throttle: Throttle,
    pub(super) credentials: Credentials,
    pub(super) kind: OnceLock<Kind>,
    observer: Observer,
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
        let client = clients(&base, settings.ca_file, settings.timeout)?;
        let proxy = proxy(&base)?;
        Ok(Self {
            client,
            proxy,
            base,
            host,
            user: settings.user,
            token: settings.token,
            throttle: Throttle::new(settings.requests_per_second, settings.burst),
            credentials: Credentials::default(),
            kind: settings.kind.map_or_else(OnceLock::new, OnceLock::from),
            observer,
            clock,
        })
    }

    /// Whether this is Atlassian's gateway for scoped tokens, or something that leads there, which has no pages for people.
    pub(super) fn is_gateway(&self) -> bool {
        self.base.host_str() == Some("api.atlassian.com") || self.base.path().starts_with("/ex/jira/")
    }

    /// Whether a user stands beside the token.
    pub(super) const fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// The address of something below `site`, or else below jira.url.
    pub(super) fn address<'a>(&self, site: Option<&Url>, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = site.unwrap_or(&self.base).clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Sends when it is its turn.
    ///
    /// # Errors
    /// Any; 4xx is one too. [`Error::Throttled`] while all are to wait: that is left to whoever has other things to do.
    pub(super) async fn call(&self, request: Request) -> Result<Answer, Error> {
        self.admit().await.map_err(|error| error.as_prerequisite(SideEffect::None))?;
        let throttled = self.acquire().await?;
        if let Admission::Denied(denied) | Admission::ProbeFirst(denied) =
            self.credentials.admission(Instant::now())
        {
            // It came while this one waited.
            return Err(self.unauthorized(denied, SideEffect::None));
        }
        self.judge_answer(&request, throttled).await
    }

    /// Sends now or not at all: all that can be waited for was waited for, `throttled` of it for the turn.
    ///
    /// # Errors
    /// As [`Sender::call`]; [`Error::Throttled`] if a pause began since.
    pub(super) async fn call_now(&self, throttled: Duration, request: Request) -> Result<Answer, Error> {
        if let Admission::Denied(denied) | Admission::ProbeFirst(denied) =
            self.credentials.admission(Instant::now())
        {
            return Err(self.unauthorized(denied, SideEffect::None));
        }
        if let Some(left) = self.throttle.paused() {
            return Err(self.paused(left));
        }
        self.judge_answer(&request, throttled).await
    }

    /// Waits for a place under the rate limit; returns how long that took.
    ///
    /// # Errors
    /// [`Error::Throttled`] while all are to wait.
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

    /// One request on the wire, and its answer if it is one of 2xx or 4xx.
    pub(super) async fn exchange(&self, request: &Request, mut throttled: Duration) -> Result<Answer, Error> {
        let ready = self.ready(request)?;
        let began = Instant::now();
        if request.idempotency == Idempotency::NonIdempotent {
            if !PERMIT.try_with(|permit| permit()).unwrap_or(true) {
                return Err(Error::NotSent { host: self.host.clone() });
            }
            tracing::trace!(target: "step", "sending");
        }
        #[expect(clippy::disallowed_methods, reason = "this is the place that everything goes through")]
        let result = match ready.send().await {
            Ok(response) => self.receive(request, response, &mut throttled).await,
            Err(error) => Err(self.transport(error)),
        };
        let outcome = match &result {
            Ok(answer) => RequestOutcome::Answered(answer.status.as_u16()),
            Err(error) => RequestOutcome::of(error),
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
    fn ready(&self, request: &Request) -> Result<RequestBuilder, Error> {
        let (token, client) = (self.token.first(), self.client.current().client);
        let url = self.address(None, request.path.iter().map(String::as_str));
        let mut builder = client
            .request(request.method.clone(), url)
            .header(ACCEPT, "application/json")
            .header(ACCEPT_LANGUAGE, "en")
            .header("X-Force-Accept-Language", "true");
        builder = match &self.user {
            Some(user) => builder.basic_auth(user, Some(token.expose_secret())),
            None => builder.bearer_auth(token.expose_secret()),
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

    /// Reads an answer, and starts the pause that it may ask for, which counts to `throttled`.
    async fn receive(
        &self,
        request: &Request,
        response: Response,
        throttled: &mut Duration,
    ) -> Result<Answer, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let host = self.host.clone();
        let date = text(&headers, DATE.as_str()).and_then(time::http);
        let now = date.unwrap_or_else(|| self.clock.now());
        let said = |name: &str| text(&headers, name);
        // Data Center says 0 while there is nothing to wait for.
        let retry_after = said(RETRY_AFTER.as_str()).and_then(|value| time::retry_after(value, now));
        let retry_after = retry_after.map(|wait| wait.min(MOST_DEMANDED));
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = retry_after.or_else(|| demanded(&headers, now));
            // Too much was written to this issue: others may go on.
            if said("ratelimit-reason") == Some("jira-per-issue-on-write") && request.method != Method::GET {
                return Err(Error::Throttled { host, retry_after: wait });
            }
            let (left, longer) = match wait {
                Some(wait) => (wait, self.throttle.pause(wait)),
                None => self.throttle.pause_a_little(),
            };
            *throttled += longer;
            return Err(Error::Throttled { host, retry_after: Some(left) });
        }
        if let (StatusCode::SERVICE_UNAVAILABLE, Some(wait)) = (status, retry_after) {
            *throttled += self.throttle.pause(wait);
        }
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            // Jira says no such thing: it was not asked.
            return Err(transport::proxy_refused(&self.host, self.proxy.as_deref()));
        }
        if status.is_redirection() {
            return Err(Error::Redirected { host, status: status.as_u16(), target: self.target(&headers) });
        }
        let media = media(&headers);
        let (json, plain) = (is_json(&media), media == "text/plain");
        let read = body(response).await;
        if status.is_server_error() {
            let said = read.ok().filter(|_| json).and_then(|body| wire::complaint(&body));
            let messages = said.map(|(words, _)| words).unwrap_or_default();
            let retry_after = retry_after.filter(|_| status == StatusCode::SERVICE_UNAVAILABLE);
            return Err(Error::Broken { host, status: status.as_u16(), messages, retry_after });
        }
        let (body, json) = match read {
            Ok(body) => (body, json),
            // A refusal needs no text: its status says that nothing was done.
            Err(_) if status.is_client_error() => (vec![], false),
            Err(Body::Cut(error)) => return Err(self.transport(error)),
            Err(Body::TooLong) => {
                let what = "it is longer than 4 MiB".into();
                return Err(Error::Unreadable { host, what, flaw: UnreadableReason::Other });
            }
        };
        let signature = signature(self.kind.get().copied(), &headers);
        let answer =
            Answer { host, operation: request.operation, status, signature, json, plain, body, date };
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
        let tls = self.base.scheme() == "https";
        transport::failed(&self.host, self.proxy.as_deref(), tls, error)
    }
}

/// For how long a 429 without a usable `Retry-After` asks to wait.
fn demanded(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let said = |name: &str| text(headers, name);
    let reset =
        || ["x-ratelimit-reset", "ratelimit-reset"].iter().find_map(|name| time::reset(said(name)?, now));
    let policies = || ["ratelimit", "beta-ratelimit"].iter().find_map(|name| time::policies(said(name)?));
    reset().or_else(policies).map(|wait| wait.min(MOST_DEMANDED))
}

/// jira.url as the root of all addresses: its path is kept, for `/jira` and `/ex/jira/<cloud id>`.
fn base(url: &str) -> Result<Url, UnusableSettings> {
    let wrong = |why: &str| UnusableSettings::Address(format!("jira.url {why}"));
    let mut base = Url::parse(url.trim()).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
    if !matches!(base.scheme(), "https" | "http") || base.host_str().is_none_or(str::is_empty) {
        return Err(wrong("must begin with https:// and a host"));
    }
    // Also where it comes late: a password may hold what ends a host.
    if url.contains('@') {
        return Err(wrong("must not hold credentials: use jira.user and jira.token_file"));
    }
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}
