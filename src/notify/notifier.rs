//! Sends messages.

use std::{path::PathBuf, time::Duration};

use reqwest::{
    Certificate, Client, Response, StatusCode, Url,
    header::{HeaderMap, RETRY_AFTER},
};

use super::{
    channel::{Channel, ChannelId, address},
    message::Message,
};
use crate::{
    pem,
    reload::Reloaded,
    text::{single_line, truncate},
};

/// How long one message may take, from connecting to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So much of a refusal is read, in bytes.
const LONGEST_ANSWER: usize = 4 << 10;
/// So much of it is shown, in characters.
const LONGEST_COMPLAINT: usize = 200;
/// The longest `Retry-After` that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent {
    /// The channel took it.
    Done,
    /// The channel refused it, or has no address to which it can be sent: a retry does not help.
    Refused {
        /// Why.
        why: String,
    },
    /// The channel did not take it.
    Failed {
        /// Why.
        why: String,
        /// How long to wait, if it said so.
        retry_after: Option<Duration>,
    },
    /// It was sent, and no complete answer arrived: it may be in the channel.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Sent {
    /// Its label in metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Done => "sent",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Sends messages to the channels of the configuration.
pub struct Notifier {
    channels: Vec<Channel>,
    /// The client; when the file of authorities changes, a new one. Or why there is none.
    client: Result<Reloaded<Client, String>, String>,
}

impl Notifier {
    /// Nothing is sent yet. `ca_file` names further certificate authorities to trust.
    #[must_use]
    pub fn new(channels: Vec<Channel>, ca_file: Option<PathBuf>) -> Self {
        let encrypted = channels.iter().any(|channel| {
            channel.url.values().iter().any(|url| address(url).is_ok_and(|url| url.scheme() == "https"))
        });
        let read = move |files: &[PathBuf]| client(files, encrypted);
        let client = Reloaded::open(ca_file.into_iter().collect(), read, |_| {});
        Self { channels, client }
    }

    /// The channel with this id, if the configuration still has it.
    #[must_use]
    pub fn channel(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.id == *id)
    }

    /// Sends a message, in one request. The errors hold no part of the address but its host.
    pub async fn send(&self, channel: &Channel, message: &Message<'_>) -> Sent {
        let url = match address(&channel.url.newest()) {
            Ok(url) => url,
            Err(what) => return Sent::Refused { why: format!("{}.url {what}", channel.key) },
        };
        let client = match &self.client {
            Ok(client) => client.current(),
            Err(why) => return Sent::Refused { why: why.clone() },
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let body = channel.format.body(message);
        #[expect(clippy::disallowed_methods, reason = "a channel is not Jira")]
        let sent = client.post(url.clone()).json(&body).send().await;
        match sent {
            Ok(response) => judge(&host, &url, response).await,
            Err(error) if error.is_connect() => {
                Sent::Failed { why: format!("cannot reach {host}: {}", words(error)), retry_after: None }
            }
            Err(error) if error.is_timeout() => {
                let seconds = TIMEOUT.as_secs();
                Sent::Unknown { why: format!("{host} did not answer within {seconds} s") }
            }
            Err(error) => Sent::Unknown { why: format!("no answer from {host}: {}", words(error)) },
        }
    }
}

async fn judge(host: &str, url: &Url, response: Response) -> Sent {
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_success() {
        return Sent::Done;
    }
    let number = status.as_u16();
    if status.is_redirection() {
        let why = format!("{host} answered {number}, a redirect; put the address that answers itself there");
        return Sent::Refused { why };
    }
    let later = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_EARLY
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    );
    let why = match complaint(response).await {
        said if said.is_empty() || repeats(&said, url) => format!("{host} answered {number}"),
        said => format!("{host} answered {number}: {said}"),
    };
    if later || status.is_server_error() {
        return Sent::Failed { why, retry_after: retry_after(&headers) };
    }
    Sent::Refused { why }
}

/// The beginning of a refusal, if it is plain text or JSON: Slack answers `no_service`, for instance.
async fn complaint(mut response: Response) -> String {
    let media =
        response.headers().get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default();
    if media.starts_with("text/html") {
        return String::new();
    }
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= LONGEST_ANSWER {
            break;
        }
    }
    truncate(single_line(&String::from_utf8_lossy(&body)).trim(), LONGEST_COMPLAINT)
}

/// Whether a text holds a part of the address that is secret.
fn repeats(said: &str, url: &Url) -> bool {
    let parts = url.path_segments().into_iter().flatten().chain(url.query());
    parts.filter(|part| part.len() >= 8).any(|part| said.contains(part))
}

/// The seconds of `Retry-After`. A date is not obeyed: a retry comes soon enough by itself.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// The innermost cause of an error, on one line, without the address.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    truncate(&single_line(&cause.to_string()), LONGEST_COMPLAINT)
}

/// A client that also trusts the authorities in a file. Without encrypted addresses it needs none.
fn client(files: &[PathBuf], encrypted: bool) -> Result<Client, String> {
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(TIMEOUT)
        .connect_timeout(TIMEOUT / 2)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("flagger-jira-bridge/", env!("CARGO_PKG_VERSION")));
    let builder = match files {
        [] if !encrypted => builder.no_proxy().tls_certs_only([]),
        [] => builder,
        [file, ..] => {
            let read: Result<Vec<_>, _> =
                pem::authorities(file)?.certificates.iter().map(|one| Certificate::from_der(one)).collect();
            let unfit = |error| format!("{} cannot be used: {}", file.display(), words(error));
            builder.tls_certs_merge(read.map_err(unfit)?)
        }
    };
    builder.build().map_err(|error| format!("no message can be sent: {}", words(error)))
}
