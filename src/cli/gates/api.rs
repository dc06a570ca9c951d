//! The client for the admin API of a running bridge.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{server_url, text::one_line};

/// The shown fields of an entry of `/api/gates`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Gate {
    pub(super) cluster: String,
    pub(super) namespace: String,
    pub(super) canary: String,
    pub(super) stage: String,
    pub(super) gate: Option<String>,
    pub(super) state: String,
    pub(super) reason: String,
    /// Missing if an earlier version answers.
    #[serde(default)]
    pub(super) change: Option<String>,
    /// As above.
    #[serde(default)]
    pub(super) weight: Option<u8>,
    /// As above.
    #[serde(default)]
    pub(super) step: Option<u32>,
    /// As above.
    #[serde(default)]
    pub(super) allowed_weight: Option<u8>,
    pub(super) ticket: Option<Ticket>,
    /// `None` if no gate was begun.
    #[serde(deserialize_with = "timestamp")]
    pub(super) asked_at: Option<jiff::Timestamp>,
    /// `None` if the question belongs to no rollout.
    #[serde(default)]
    pub(super) rollout: Option<Rollout>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Rollout {
    pub(super) base: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) label: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Ticket {
    pub(super) key: String,
    pub(super) url: String,
}

/// The shown fields of an entry of `/api/refused`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Refused {
    pub(super) source: String,
    pub(super) path: String,
    /// Namespace and name.
    pub(super) canary: Option<String>,
    pub(super) reason: String,
    pub(super) hint: String,
    #[serde(deserialize_with = "timestamp")]
    pub(super) last: Option<jiff::Timestamp>,
    pub(super) count: u64,
}

/// An entry of `/api/unguarded`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Unguarded {
    pub(super) cluster: String,
    pub(super) namespace: String,
    pub(super) canary: String,
    pub(super) why: String,
}

/// RFC 3339, or null.
fn timestamp<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// The client for one bridge.
pub(super) struct AdminClient {
    /// Scheme, host and port: the part of the address that is shown.
    pub(super) admin: String,
    /// The base URL of the API.
    url: String,
    client: reqwest::Client,
}

impl AdminClient {
    /// Errors do not quote an address that cannot be parsed, because it may hold a password.
    pub(super) fn new(admin: &str) -> anyhow::Result<Self> {
        if !server_url::is_unambiguous(admin) {
            bail!("--admin: {}", server_url::AMBIGUOUS);
        }
        if !admin.contains("://") {
            bail!("--admin has no scheme; put http:// in front");
        }
        let origin = match reqwest::Url::parse(admin) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url.origin().ascii_serialization(),
            Ok(_) => bail!("--admin must begin with http:// or https://"),
            Err(error) => bail!("--admin is not a URL: {error}"),
        };
        // The bridge is nearby, so no proxy is used and no redirect followed.
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot prepare the request")?;
        Ok(Self { admin: origin, url: admin.trim_end_matches('/').to_owned(), client })
    }

    /// The gates, and the body of the answer.
    pub(super) async fn gates(&self) -> anyhow::Result<(Vec<Gate>, String)> {
        let Self { admin, .. } = self;
        let body = self.fetch("gates").await?;
        let Ok(objects) = serde_json::from_str::<Vec<Map<String, Value>>>(&body) else {
            bail!("{admin} answers, but not as a bridge does; is it the bridge's server.admin_listen?");
        };
        let gates = objects.into_iter().map(|object| serde_json::from_value(Value::Object(object)));
        let gates = gates.collect::<Result<Vec<Gate>, _>>().map_err(|error| {
            let (what, version) = (one_line(&error.to_string(), 200), env!("CARGO_PKG_VERSION"));
            anyhow!(
                "{admin} answers in a format that flagger-jira-bridge {version} cannot read ({what}); use the version that \
                 the bridge runs"
            )
        });
        Ok((gates?, body))
    }

    /// The refused hooks. Empty if the bridge, such as an earlier version, does not list them.
    pub(super) async fn refused(&self) -> Vec<Refused> {
        let Ok(body) = self.fetch("refused").await else { return Vec::new() };
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// The Unguarded Canaries, and the body of the answer.
    pub(super) async fn unguarded(&self) -> anyhow::Result<(Vec<Unguarded>, String)> {
        let body = self.fetch("unguarded").await?;
        let Ok(canaries) = serde_json::from_str(&body) else {
            bail!(
                "{} answers, but not as a bridge does; is it the bridge's server.admin_listen?",
                self.admin
            );
        };
        Ok((canaries, body))
    }

    async fn fetch(&self, what: &str) -> anyhow::Result<String> {
        let Self { admin, url, client } = self;
        let request = client.get(format!("{url}/api/{what}")).build().map_err(reqwest::Error::without_url);
        let request = request.context("--admin is not a URL")?;
        let answer = match client.execute(request).await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                bail!(
                    "cannot reach the bridge at {admin}. If its server.admin_listen differs, pass --admin http://HOST:PORT or \
                     set BRIDGE_ADMIN."
                )
            }
            Err(error) if error.is_timeout() => bail!("{admin} does not answer"),
            Err(error) => {
                return Err(error.without_url()).with_context(|| format!("cannot ask {admin}"));
            }
        };
        let status = answer.status();
        let body = answer.text().await.map_err(reqwest::Error::without_url);
        if status == reqwest::StatusCode::SERVICE_UNAVAILABLE {
            let why = one_line(&body.unwrap_or_default(), 200);
            bail!("the bridge at {admin} is not ready: {why}; its log says more");
        }
        if !status.is_success() {
            bail!("{admin} answers {status}; is it the bridge's server.admin_listen?");
        }
        body.with_context(|| format!("cannot read the answer of {admin}"))
    }
}
