//! The client: the kind of Jira, the bridge's account in it, and connection health.

use std::{fmt, sync::OnceLock, time::Duration};

use reqwest::Url;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    account::Account,
    cloud, data_center,
    denial::Denied,
    error::{Error, SideEffect},
    failing::Failing,
    observe::Observer,
    request::{Operation, Request},
    send::Sender,
    settings::{Kind, Settings, UnusableSettings},
    web::web_address,
    wire::{self, FIELDS, PRIORITY},
};
use crate::{clock::Clock, millis::Millis, policy::Exception, text, ticket::Doc};

/// A permit under the rate limit. The bridge waits for it before it stores the time of sending, so that the create is
/// then sent at once: the search for a ticket without an answer counts from the stored time.
#[derive(Debug)]
#[must_use]
pub struct CreatePermit {
    /// How long the wait took.
    pub(super) waited: Duration,
    /// The kind of Jira, or why nothing can be sent.
    pub(super) kind: Result<Kind, Error>,
}

/// Connection health, for page and metrics. Times are by the bridge's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JiraHealth {
    /// When the last answer arrived that was proven to be for the bridge's account.
    pub last_answer: Option<Millis>,
    /// Since when Jira denies the bridge access, and why.
    pub refused: Option<(Millis, Denied)>,
    /// While Jira denies access: when the bridge asks next.
    pub next_probe: Option<Millis>,
    /// Jira asked to wait; until then no request is sent.
    pub paused_until: Option<Millis>,
    /// The last request failed.
    pub failing: Option<Failing>,
}

/// Jira's server info.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The kind that Jira reports, which may differ from the configured one.
    pub kind: Kind,
    /// Its version, if reported.
    pub version: Option<String>,
    /// Its title, if reported.
    pub title: Option<String>,
    /// Its URL for browsers, if reported.
    pub base_url: Option<String>,
    /// The time of the answer by Jira's clock, if reported.
    pub date: Option<Millis>,
}

/// A client of one Jira, to be shared by reference.
pub struct Jira {
    pub(super) sender: Sender,
    /// The URL for browsers, if it differs from `jira.url`.
    site: OnceLock<Url>,
    /// The fields that are read of tickets.
    pub(super) fields: Vec<String>,
    /// What of tickets may lift a freeze or a window.
    pub(super) exceptions: Vec<Exception>,
    /// Whether some tickets are opened as requests of Jira Service Management.
    pub(super) opens_requests: bool,
}

impl Jira {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// If the address or the certificates cannot be used.
    pub fn new(settings: Settings, observer: Observer, clock: Clock) -> Result<Self, UnusableSettings> {
        let always = FIELDS.iter().map(|field| (*field).to_owned());
        let is_priority = |exception: &Exception| matches!(exception, Exception::Priority(_));
        let priority = settings.exceptions.iter().any(is_priority).then(|| PRIORITY.to_owned());
        let fields = always.chain(settings.planned_fields.iter().cloned()).chain(priority).collect();
        let (exceptions, opens_requests) = (settings.exceptions.clone(), settings.opens_requests);
        let sender = Sender::new(settings, observer, clock)?;
        Ok(Self { sender, site: OnceLock::new(), fields, exceptions, opens_requests })
    }

    /// The proxy from the environment that requests go through, if any, without its password.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.sender.proxy.as_deref()
    }

    /// Messages about certificates in `jira.ca_file` that cannot be used.
    #[must_use]
    pub fn skipped_certificates(&self) -> Vec<String> {
        self.sender.client.current().skipped
    }

    /// The URL of an issue's page. Behind Atlassian's gateway for scoped tokens it is right only once Jira has reported
    /// its URL for browsers.
    #[must_use]
    pub fn browse_url(&self, key: &str) -> String {
        self.sender.address(self.site.get(), ["browse", key]).into()
    }

    /// Waits for a permit under the rate limit. Other obstacles to the create are returned by [`Jira::create`].
    pub async fn create_permit(&self) -> CreatePermit {
        let ready = match self.sender.admit().await {
            Ok(()) => self.kind().await,
            Err(error) => Err(error.into_prerequisite(SideEffect::None)),
        };
        match self.sender.acquire().await {
            Ok(throttled) => CreatePermit { waited: throttled, kind: ready },
            Err(error) => CreatePermit { waited: Duration::ZERO, kind: ready.and(Err(error)) },
        }
    }

    /// The scopes of the bridge's access token: None without one, or if they are not named.
    #[must_use]
    pub fn granted_scopes(&self) -> Option<Vec<String>> {
        self.sender.granted_scopes()
    }

    /// Connection health.
    #[must_use]
    pub fn health(&self) -> JiraHealth {
        let (last_answer, refusal) = self.sender.credentials.health();
        let now = self.sender.clock.now();
        let until = |at: Instant| now + at.saturating_duration_since(Instant::now());
        JiraHealth {
            last_answer,
            next_probe: refusal.as_ref().map(|it| until(it.next_probe)),
            refused: refusal.map(|it| (it.since, it.denied)),
            paused_until: self.sender.throttle.paused().map(|left| now + left),
            failing: self.sender.last_request.failing(),
        }
    }

    /// Jira's server info, which Jira also sends to anonymous callers.
    ///
    /// If the kind is unknown, tries the API of Cloud first if a user or an OAuth client is configured, else that of Data Center. If the
    /// first API answers 404, tries the other one.
    ///
    /// # Errors
    /// Any.
    pub async fn server(&self) -> Result<ServerInfo, Error> {
        let (first, other) = match self.sender.kind.get() {
            Some(Kind::Cloud) => (Kind::Cloud, Kind::DataCenter),
            Some(Kind::DataCenter) => (Kind::DataCenter, Kind::Cloud),
            None if self.sender.expects_cloud() => (Kind::Cloud, Kind::DataCenter),
            None => (Kind::DataCenter, Kind::Cloud),
        };
        let ask = |kind| {
            self.sender.call(Request::get(Operation::SERVER_INFO, kind, &["serverInfo"]).without_proof())
        };
        let answer = match ask(first).await {
            Err(Error::Refused { status: 404, .. }) => ask(other).await?,
            answer => answer?,
        };
        let info: wire::ServerInfo = answer.read()?;
        let deployment = info
            .deployment_type
            .ok_or_else(|| answer.unreadable("it does not say which kind of Jira it is"))?;
        let reported_kind =
            if deployment.eq_ignore_ascii_case("cloud") { Kind::Cloud } else { Kind::DataCenter };
        // A configured kind stays, and so does the first one reported.
        let _ = self.sender.kind.set(reported_kind);
        if self.sender.is_gateway()
            && let Some(site) = info.base_url.as_deref().and_then(web_address)
        {
            let _ = self.site.set(site);
        }
        let line = |text: Option<String>| text.map(|text| text::single_line(&text));
        Ok(ServerInfo {
            kind: reported_kind,
            version: line(info.version),
            title: line(info.server_title),
            base_url: line(info.base_url),
            date: answer.date,
        })
    }

    /// The bridge's account; requested once.
    ///
    /// # Errors
    /// Any.
    pub async fn account(&self) -> Result<Account, Error> {
        self.kind().await?;
        self.sender.account().await
    }

    /// The bridge's account, requested anew.
    ///
    /// # Errors
    /// Any.
    pub async fn myself(&self) -> Result<Account, Error> {
        self.kind().await?;
        self.sender.authenticate(Instant::now()).await?;
        self.sender.account().await
    }

    /// Sends a `/myself`, which proves that the answers before it were for the bridge's account. Callers that arrive
    /// while one is under way share the next one.
    ///
    /// # Errors
    /// If that is not proven.
    pub async fn verify_credentials(&self) -> Result<(), Error> {
        self.sender.admit().await?;
        self.sender.authenticate(Instant::now()).await
    }

    /// Whether Jira refuses the credentials, and there is another token since, which was not tried yet.
    #[must_use]
    pub fn has_new_token(&self) -> bool {
        self.sender.has_new_token()
    }

    /// The kind of Jira; requested once. Behind the gateway the URL for browsers is requested, too, even if the kind is
    /// configured: links in tickets use it. If only the URL cannot be read, this still succeeds.
    ///
    /// # Errors
    /// Any.
    pub async fn kind(&self) -> Result<Kind, Error> {
        match self.sender.kind.get() {
            Some(kind) if self.sender.is_gateway() && self.site.get().is_none() => {
                Ok(self.server().await.map_or(*kind, |_| *kind))
            }
            Some(kind) => Ok(*kind),
            None => self
                .server()
                .await
                .map(|server| server.kind)
                .map_err(|error| error.into_prerequisite(SideEffect::None)),
        }
    }

    /// A text in the format of this kind of Jira.
    pub(super) fn text(kind: Kind, doc: &Doc) -> Value {
        match kind {
            Kind::Cloud => cloud::text(doc),
            Kind::DataCenter => data_center::text(doc),
        }
    }
}

impl fmt::Debug for Jira {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jira({})", self.sender.host)
    }
}
