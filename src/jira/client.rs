//! The client: which Jira this is, who the bridge is there, and how they get on.

use std::{fmt, sync::OnceLock, time::Duration};

use reqwest::Url;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    account::Account,
    cloud, data_center,
    denial::Denied,
    error::{Error, SideEffect},
    observe::Observer,
    request::{Operation, Request},
    send::Sender,
    settings::{Kind, Settings, UnusableSettings},
    web::web_address,
    wire,
};
use crate::{clock::Clock, millis::Millis, text, ticket::Doc};

/// A place under the rate limit. It is waited for before the sending of a create is recorded, so that the create then
/// waits for nothing: nobody searches for a ticket longer after it was sent than was recorded.
#[derive(Debug)]
#[must_use]
pub struct CreatePermit {
    /// How long that took.
    pub(super) throttled: Duration,
    /// What had to be asked of Jira before.
    pub(super) ready: Result<Kind, Error>,
}

/// How Jira and we get on, for page and metrics. Times are by our clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JiraHealth {
    /// When the last answer came that was proven to be for us.
    pub last_answer: Option<Millis>,
    /// Since when Jira does not let us in, and why.
    pub refused: Option<(Millis, Denied)>,
    /// Jira asked all to wait until then.
    pub paused_until: Option<Millis>,
}

/// What Jira says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Which kind it says it is, whatever is configured.
    pub kind: Kind,
    /// Its version, if it tells.
    pub version: Option<String>,
    /// Its title, if it tells.
    pub title: Option<String>,
    /// Where people find it, if it tells.
    pub base_url: Option<String>,
    /// What time it was there when it answered, if it told.
    pub date: Option<Millis>,
}

/// Jira. To be shared by reference.
pub struct Jira {
    pub(super) sender: Sender,
    /// Where people find it, if that is elsewhere than where programs do.
    site: OnceLock<Url>,
}

impl Jira {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// If the address or the certificates cannot be used.
    pub fn new(settings: Settings, observer: Observer, clock: Clock) -> Result<Self, UnusableSettings> {
        Ok(Self { sender: Sender::new(settings, observer, clock)?, site: OnceLock::new() })
    }

    /// The proxy that requests go through, if one does: what the environment says, without its password.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.sender.proxy.as_deref()
    }

    /// What is to be said of certificates in `jira.ca_file` that cannot be used.
    #[must_use]
    pub fn skipped_certificates(&self) -> Vec<String> {
        self.sender.client.current().skipped
    }

    /// The page of an issue, for people. Behind Atlassian's gateway for scoped tokens it is known once Jira was asked.
    #[must_use]
    pub fn browse_url(&self, key: &str) -> String {
        self.sender.address(self.site.get(), ["browse", key]).into()
    }

    /// Waits for a place under the rate limit. What else stands in the way of a create is told by the create.
    pub async fn create_permit(&self) -> CreatePermit {
        let ready = match self.sender.admit().await {
            Ok(()) => self.kind().await,
            Err(error) => Err(error.as_prerequisite(SideEffect::None)),
        };
        match self.sender.acquire().await {
            Ok(throttled) => CreatePermit { throttled, ready },
            Err(error) => CreatePermit { throttled: Duration::ZERO, ready: ready.and(Err(error)) },
        }
    }

    /// How Jira and we get on.
    #[must_use]
    pub fn health(&self) -> JiraHealth {
        let (last_answer, refusal) = self.sender.credentials.health();
        let now = self.sender.clock.now();
        JiraHealth {
            last_answer,
            refused: refusal.map(|it| (it.since, it.denied)),
            paused_until: self.sender.throttle.paused().map(|left| now + left),
        }
    }

    /// What Jira says of itself. It tells strangers too.
    ///
    /// Where the kind is not known yet, a user beside the token speaks for Cloud, and a token alone for Data Center;
    /// if the API of that kind is not there, the other's is tried.
    ///
    /// # Errors
    /// Any.
    pub async fn server(&self) -> Result<ServerInfo, Error> {
        let (first, other) = match self.sender.kind.get() {
            Some(Kind::Cloud) => (Kind::Cloud, Kind::DataCenter),
            Some(Kind::DataCenter) => (Kind::DataCenter, Kind::Cloud),
            None if self.sender.has_user() => (Kind::Cloud, Kind::DataCenter),
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
        let told = if deployment.eq_ignore_ascii_case("cloud") { Kind::Cloud } else { Kind::DataCenter };
        // What was configured, or told first, stays.
        let _ = self.sender.kind.set(told);
        if self.sender.is_gateway()
            && let Some(site) = info.base_url.as_deref().and_then(web_address)
        {
            let _ = self.site.set(site);
        }
        let line = |text: Option<String>| text.map(|text| text::single_line(&text));
        Ok(ServerInfo {
            kind: told,
            version: line(info.version),
            title: line(info.server_title),
            base_url: line(info.base_url),
            date: answer.date,
        })
    }

    /// Who we are; asked once.
    ///
    /// # Errors
    /// Any.
    pub async fn account(&self) -> Result<Account, Error> {
        self.kind().await?;
        self.sender.account().await
    }

    /// Who we are, asked anew.
    ///
    /// # Errors
    /// Any.
    pub async fn myself(&self) -> Result<Account, Error> {
        self.kind().await?;
        self.sender.authenticate(Instant::now()).await?;
        self.sender.account().await
    }

    /// A `/myself` sent now: what Jira said before that it said to us. All who ask while one is under way share the next.
    ///
    /// # Errors
    /// If that is not proven.
    pub async fn is_authenticated(&self) -> Result<(), Error> {
        self.sender.admit().await?;
        self.sender.authenticate(Instant::now()).await
    }

    /// Which kind of Jira this is; asked once. Behind the gateway it is asked where people find it, too, also where the
    /// kind is configured: links on tickets lead there. What does not answer that keeps nothing else from being done.
    pub(super) async fn kind(&self) -> Result<Kind, Error> {
        match self.sender.kind.get() {
            Some(kind) if self.sender.is_gateway() && self.site.get().is_none() => {
                Ok(self.server().await.map_or(*kind, |_| *kind))
            }
            Some(kind) => Ok(*kind),
            None => self
                .server()
                .await
                .map(|server| server.kind)
                .map_err(|error| error.as_prerequisite(SideEffect::None)),
        }
    }

    /// A text in the language of this kind of Jira.
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
