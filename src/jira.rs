//! Jira, as the bridge needs it: open a ticket, find it, look at it, and tell it how things ended.
//!
//! Every method is one operation, and nothing is retried inside: an [`Error`] says whether to try again and whether
//! the request may have worked. All requests share one budget and one pause, and an answer counts only when it
//! proves that it was given to our account.

mod adf;
mod answer;
mod cause;
mod client;
mod cloud;
mod credentials;
mod data_center;
mod denial;
mod endings;
mod error;
mod issues;
mod people;
mod prove;
mod request;
pub mod retry;
mod send;
mod settings;
mod setup;
mod shorten;
mod span;
mod survey;
mod throttle;
mod time;
mod transport;
mod wiki;
mod wire;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::Url;
use serde_json::{Map, Value};

pub use self::{
    cause::{Cause, Tls},
    denial::{Denial, Denied, Symptom},
    endings::{Linked, Transitioned, Whereabouts, is_status},
    error::{By, Candidate, Error, Flaw, Happened, Retry, Thing, UNREADABLE},
    issues::{Before, Created, Marks, Page, Reading, add},
    people::{Group, People, Role},
    request::Operation,
    send::{one_at_a_time, only_while, unobserved, urgently},
    settings::{Kind, Settings, Unusable},
    setup::{Choice, Field, NEEDED, Permissions, Server, Shape, Workflow},
    span::Span,
    survey::{About, Sample, Way},
};
use crate::{clock::Clock, gate::GateId, millis::Millis, ticket::Doc};

/// The label of every ticket that the bridge opened.
pub const LABEL: &str = "flagger-gate";

/// The label of a ticket whose rollout is over.
pub const ENDED: &str = "flagger-ended";

/// The label by which the ticket of one gate is found.
#[must_use]
pub fn gate_label(gate: &GateId) -> String {
    gate.label()
}

/// A ticket to be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The gate it is for: a label and a property tell so.
    pub gate: GateId,
    /// The project's key.
    pub project: String,
    /// The id of the issue type.
    pub issue_type: String,
    /// One line; what is too long for Jira is cut.
    pub summary: String,
    /// What people read.
    pub description: Doc,
    /// Labels beside our own two.
    pub labels: Vec<String>,
    /// Any other fields, in Jira's JSON. They cannot replace project, type, summary or description; labels are added.
    pub fields: Map<String, Value>,
}

/// An account of Jira.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `accountId` on Cloud, `name` on Data Center.
    pub id: String,
    /// Data Center's key, which stays when the name changes.
    pub key: Option<String>,
    /// What people call it.
    pub name: String,
}

impl Account {
    /// Whether both are the same account.
    fn is(&self, other: &Self) -> bool {
        match (&self.key, &other.key) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (Some(_), None) | (None, Some(_)) | (None, None) => self.id == other.id,
        }
    }
}

/// One request, for the metrics.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What it was for: one of a closed set of words.
    pub operation: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// From sending to the last byte.
    pub took: Duration,
    /// How long it had waited for its turn, and for how long Jira then made all wait.
    pub throttled: Duration,
}

/// How a request went. Displays as a metric's label: the status, or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this HTTP status.
    Answered(u16),
    /// It was never sent.
    Unreachable,
    /// It was sent, and no whole answer came that could be read.
    NoAnswer,
}

impl Outcome {
    fn of(error: &Error) -> Self {
        match error {
            Error::Broken { status, .. } | Error::Refused { status, .. } => Self::Answered(*status),
            Error::Throttled { .. } => Self::Answered(429),
            Error::Redirected { status, .. } => Self::Answered(*status),
            Error::Token | Error::NotSent { .. } | Error::NotFound { .. } => Self::Unreachable,
            Error::NoAnswer { happened: Happened::No, .. } => Self::Unreachable,
            Error::NoAnswer { happened: Happened::Maybe, .. }
            | Error::Unauthorized { .. }
            | Error::Unreadable { .. }
            | Error::Beside { .. } => Self::NoAnswer,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => status.fmt(f),
            Self::Unreachable => f.write_str("unreachable"),
            Self::NoAnswer => f.write_str("no_answer"),
        }
    }
}

/// Told of each request.
pub type Observer = Arc<dyn Fn(&Observation) + Send + Sync>;

/// A place under the rate limit. It is waited for before the sending of a create is recorded, so that the create then
/// waits for nothing: nobody searches for a ticket longer after it was sent than was recorded.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    /// How long that took.
    throttled: Duration,
    /// What had to be asked of Jira before.
    ready: Result<Kind, Error>,
}

/// How Jira and we get on, for page and metrics. Times are by our clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// When the last answer came that was proven to be for us.
    pub last_answer: Option<Millis>,
    /// Since when Jira does not let us in, and why.
    pub refused: Option<(Millis, Denied)>,
    /// Jira asked all to wait until then.
    pub paused_until: Option<Millis>,
}

/// Jira. To be shared by reference.
pub struct Jira {
    sender: send::Sender,
    /// Where people find it, if that is elsewhere than where programs do.
    site: OnceLock<Url>,
}

impl Jira {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// If the address or the certificates cannot be used.
    pub fn new(settings: Settings, observer: Observer, clock: Clock) -> Result<Self, Unusable> {
        Ok(Self { sender: send::Sender::new(settings, observer, clock)?, site: OnceLock::new() })
    }

    /// The proxy that requests go through, if one does: what the environment says, without its password.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.sender.proxy.as_deref()
    }

    /// What is to be said of certificates in `jira.ca_file` that cannot be used.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        self.sender.client.current().left_out
    }

    /// The page of an issue, for people. Behind Atlassian's gateway for scoped tokens it is known once Jira was asked.
    #[must_use]
    pub fn browse_url(&self, key: &str) -> String {
        self.sender.address(self.site.get(), ["browse", key]).into()
    }

    /// Waits for a place under the rate limit. What else stands in the way of a create is told by the create.
    pub async fn slot(&self) -> Slot {
        let ready = match self.sender.admit().await {
            Ok(()) => self.kind().await,
            Err(error) => Err(error.beside(Happened::No)),
        };
        match self.sender.turn().await {
            Ok(throttled) => Slot { throttled, ready },
            Err(error) => Slot { throttled: Duration::ZERO, ready: ready.and(Err(error)) },
        }
    }

    /// How Jira and we get on.
    #[must_use]
    pub fn health(&self) -> Health {
        let (last_answer, refusal) = self.sender.credentials.health();
        let now = self.sender.clock.now();
        Health {
            last_answer,
            refused: refusal.map(|it| (it.since, it.denied)),
            paused_until: self.sender.throttle.paused().map(|left| now + left),
        }
    }

    /// Which kind of Jira this is; asked once. Behind the gateway it is asked where people find it, too, also where the
    /// kind is configured: links on tickets lead there. What does not answer that keeps nothing else from being done.
    async fn kind(&self) -> Result<Kind, Error> {
        match self.sender.kind.get() {
            Some(kind) if self.sender.is_gateway() && self.site.get().is_none() => {
                Ok(self.server().await.map_or(*kind, |_| *kind))
            }
            Some(kind) => Ok(*kind),
            None => self.server().await.map(|server| server.kind).map_err(|error| error.beside(Happened::No)),
        }
    }

    /// A text in the language of this kind of Jira.
    fn text(kind: Kind, doc: &Doc) -> Value {
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

/// An address that may be made a link: of the web, and nothing else.
fn web_address(url: &str) -> Option<Url> {
    Url::parse(url.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests;
