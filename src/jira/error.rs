//! What can go wrong with Jira: each error knows whether to try again, and whether the request may have worked.

use std::{error::Error as _, time::Duration};

use super::{
    cause::{Cause, Tls},
    denial::Denial,
    words,
};
use crate::text;

/// Why Jira did not do what was asked. Each reads as one line, and never holds a token or a query.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The settings can never work.
    #[error("{0}")]
    Settings(String),
    /// The file of authorities cannot be used.
    #[error("jira.ca_file: {0}")]
    Authorities(String),
    /// Neither the system nor a file names an authority, and Jira speaks TLS.
    #[error(
        "jira.ca_file: no certificate authority is known here: install the system's (Debian: ca-certificates), or put \
         the PEM file of the one that signed Jira's certificate into jira.ca_file"
    )]
    NoAuthority,
    /// The token cannot be sent as a header.
    #[error("cannot use Jira's token: {0}")]
    Token(String),
    /// No connection: refused, no such name, no TLS. Nothing was sent.
    #[error("cannot reach Jira at {host}: {why}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the system said, or what it means.
        why: String,
        /// What is the matter.
        cause: Cause,
    },
    /// The permit to send was over before it was this request's turn. Nothing was sent.
    #[error(
        "it was not sent to Jira at {host}: the bridge stood still for so long that another replica may do it"
    )]
    NotSent {
        /// Host and port.
        host: String,
    },
    /// Sent, but no whole answer came: silence, a cut connection, a timeout.
    #[error("no answer from Jira at {host}: {why}")]
    NoAnswer {
        /// Host and port.
        host: String,
        /// What the system said, or what it means.
        why: String,
        /// What is the matter.
        cause: Cause,
    },
    /// An answer of 500 or above.
    #[error("Jira at {host} answered {status}{}", colon(.messages))]
    Broken {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What Jira said about it.
        messages: String,
        /// From `Retry-After`, at most an hour; everybody waits for it.
        retry_after: Option<Duration>,
    },
    /// 429, or a pause after one.
    #[error("Jira at {host} asks to wait{}", .retry_after.map(|wait| format!(" {} s", wait.as_secs_f64().ceil())).unwrap_or_default())]
    Throttled {
        /// Host and port.
        host: String,
        /// At most an hour, for which everybody waits. None: only this request should, and Jira did not say how long.
        retry_after: Option<Duration>,
    },
    /// The answer was given to nobody, or to somebody who is not let in; or nothing was asked because the last
    /// answers were like that.
    #[error("Jira at {host} {}: {why}; {}", .denial.says(), .denial.advice())]
    Unauthorized {
        /// Host and port.
        host: String,
        /// How it shows.
        why: String,
        /// What is the matter.
        denial: Denial,
        /// Whether the request may have worked all the same.
        happened: Happened,
    },
    /// 4xx, with credentials that are proven. Only what Jira itself said is its no.
    #[error("{}", refused(.host, .operation, *.status, .messages, *.by))]
    Refused {
        /// Host and port.
        host: String,
        /// What was asked.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// Jira's own words, on one line; empty if it gave none.
        messages: String,
        /// Who said it.
        by: By,
    },
    /// Something of the configuration that Jira does not show.
    #[error("Jira shows no {what}{}", there_is(.candidates))]
    NotFound {
        /// What it would be.
        thing: Thing,
        /// Which one, and what might be the matter.
        what: String,
        /// What there is instead.
        candidates: Vec<String>,
    },
    /// A redirect, which is never followed: the credentials are for one host.
    #[error("Jira at {host} redirects to {target}: put the address that answers itself into jira.url")]
    Redirected {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The host it names.
        target: String,
    },
    /// An answer that is not what Jira's API describes: no JSON, too long, fields missing.
    #[error("Jira's answer at {host} cannot be read: {what}")]
    Unreadable {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        what: String,
        /// Of which kind that is.
        flaw: Flaw,
    },
    /// A request that had to be made before or after this one failed: which kind of Jira, who are we.
    #[error("{source}")]
    Beside {
        /// That failure.
        source: Box<Self>,
        /// Whether the request asked for may have worked all the same.
        happened: Happened,
    },
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once: somebody else was quicker.
    Now,
    /// Jira named the time.
    NotBefore(Duration),
    /// After the next step of [`super::retry::delay`].
    Backoff,
    /// Not before somebody changed something.
    Never,
}

/// Whether a request that failed may have done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Happened {
    /// It did not.
    No,
    /// Nobody knows.
    Maybe,
}

/// What is looked for by the name that the configuration gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A project.
    Project,
    /// An issue type of a project.
    IssueType,
    /// A role of a project.
    Role,
}

/// What an answer that is a page is said to be.
pub(super) const NOT_JSON: &str = "it is not JSON; is a log-in page in the way?";

/// Why an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is no JSON at all: a page, as far as can be seen.
    NotJson,
    /// It is not what Jira's API describes.
    Other,
}

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Jira's API: the answer has its form.
    Jira,
    /// Somebody on the way, as far as can be seen.
    Somebody,
}

impl Error {
    /// When to try again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled { retry_after: Some(wait), .. }
            | Self::Broken { retry_after: Some(wait), .. } => Retry::NotBefore(*wait),
            Self::Token(_)
            | Self::Unreachable { .. }
            | Self::NotSent { .. }
            | Self::NoAnswer { .. }
            | Self::Broken { retry_after: None, .. }
            | Self::Throttled { retry_after: None, .. }
            | Self::Unauthorized { .. }
            | Self::Redirected { .. }
            | Self::Unreadable { .. } => Retry::Backoff,
            Self::Refused { by: By::Somebody, .. } => Retry::Backoff,
            Self::Refused { status: 409, .. } => Retry::Now,
            // 408 and 425 speak of this request's timing, not of its content.
            Self::Refused { status: 408 | 425, .. } => Retry::Backoff,
            Self::Settings(_)
            | Self::Authorities(_)
            | Self::NoAuthority
            | Self::Refused { .. }
            | Self::NotFound { .. } => Retry::Never,
            Self::Beside { source, .. } => source.retry(),
        }
    }

    /// Whether the request may have worked all the same. Only a request that was not sent, and an answer of 4xx that
    /// Jira itself gave, mean that it did not: something on the way may also replace what Jira said. Nobody does what
    /// was asked and says 401; and 408 is also what a proxy says that lost patience with Jira.
    pub fn happened(&self) -> Happened {
        match self {
            Self::Refused { status: 401, .. } => Happened::No,
            Self::NoAnswer { .. }
            | Self::Broken { .. }
            | Self::Redirected { .. }
            | Self::Unreadable { .. }
            | Self::Refused { status: 408, .. }
            | Self::Refused { by: By::Somebody, .. } => Happened::Maybe,
            Self::Settings(_)
            | Self::Authorities(_)
            | Self::NoAuthority
            | Self::Token(_)
            | Self::Unreachable { .. }
            | Self::NotSent { .. }
            | Self::Throttled { .. }
            | Self::Refused { .. }
            | Self::NotFound { .. } => Happened::No,
            Self::Unauthorized { happened, .. } | Self::Beside { happened, .. } => *happened,
        }
    }

    /// Whether it may be about the one thing that was asked for, and not about Jira as a whole.
    #[must_use]
    pub const fn is_of_one(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Unreadable { .. } | Self::Broken { .. } | Self::NotFound { .. } => {
                true
            }
            Self::Settings(_)
            | Self::Authorities(_)
            | Self::NoAuthority
            | Self::Token(_)
            | Self::Unreachable { .. }
            | Self::NotSent { .. }
            | Self::NoAnswer { .. }
            | Self::Throttled { .. }
            | Self::Unauthorized { .. }
            | Self::Redirected { .. }
            | Self::Beside { .. } => false,
        }
    }

    /// This error as that of a request beside the one asked for, which itself may have `happened` or not.
    pub(super) fn beside(self, happened: Happened) -> Self {
        if let Self::Unauthorized { host, why, denial, .. } = self {
            return Self::Unauthorized { host, why, denial, happened };
        }
        Self::Beside { source: Box::new(self), happened }
    }

    /// From a failure of reqwest: only one to connect proves that nothing was sent. `proxy` is what it went through, and
    /// `tls` whether it was to speak TLS.
    pub(super) fn transport(host: &str, proxy: Option<&str>, tls: bool, error: reqwest::Error) -> Self {
        let connect = error.is_connect();
        let found = Cause::of(&error);
        let cause = if error.is_timeout() {
            Cause::Slow
        } else if tls && connect && found == Cause::Ended {
            Cause::Tls(Tls::Ended)
        } else {
            found
        };
        let why = match &cause {
            Cause::ProxyAsksWho => return Self::proxy_refused(host, proxy),
            Cause::Slow if connect => "no connection within half of jira.timeout".to_owned(),
            Cause::Slow => "it took longer than jira.timeout".to_owned(),
            Cause::Tls(Tls::Other) => chain(error),
            Cause::Tls(fault) => fault.to_string(),
            Cause::NoSuchName
            | Cause::Refused
            | Cause::NoRoute
            | Cause::Ended
            | Cause::ProxyRefuses
            | Cause::Other => chain(error),
        };
        let why = match proxy {
            None => why,
            Some(proxy) if cause == Cause::ProxyRefuses => {
                format!("{proxy} does not connect the bridge to it")
            }
            Some(proxy) => format!("through {proxy}: {why}"),
        };
        let host = host.to_owned();
        if connect { Self::Unreachable { host, why, cause } } else { Self::NoAnswer { host, why, cause } }
    }

    /// The proxy answered 407, so nothing came to Jira.
    pub(super) fn proxy_refused(host: &str, proxy: Option<&str>) -> Self {
        let proxy = proxy.unwrap_or("a proxy");
        let why = format!(
            "{proxy} does not know the bridge (407): give it a user and a password, as http://USER:PASSWORD@HOST:PORT"
        );
        Self::Unreachable { host: host.to_owned(), why, cause: Cause::ProxyAsksWho }
    }
}

/// The causes of an error, on one line, without the address, whose query may say too much.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = vec![];
    let mut cause = error.source();
    while let Some(next) = cause {
        words.push(next.to_string());
        cause = next.source();
    }
    if words.is_empty() {
        words.push(error.to_string());
    }
    words.dedup();
    text::truncate(&text::line(&words.join(": ")), 300)
}

/// What was refused, and by whom.
fn refused(host: &str, operation: &'static str, status: u16, messages: &str, by: By) -> String {
    let said = format!("answered {status} to {}{}", words::doing(operation), colon(messages));
    match by {
        By::Jira => {
            let told = Denial::told(messages).filter(|_| status == 403);
            let advice = told.map_or(String::new(), |denial| format!("; {}", denial.advice()));
            format!("Jira at {host} {said}{advice}")
        }
        By::Somebody => {
            format!("{host} {said}; Jira does not answer like this, so a proxy or firewall may be in the way")
        }
    }
}

fn colon(messages: &str) -> String {
    if messages.is_empty() { String::new() } else { format!(": {messages}") }
}

fn there_is(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there is: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Error {
        refused_by(status, By::Jira)
    }

    fn refused_by(status: u16, by: By) -> Error {
        let (host, messages) = ("jira:443".to_owned(), "no".to_owned());
        Error::Refused { host, operation: "create", status, messages, by }
    }

    #[test]
    fn each_status_knows_whether_to_try_again_and_whether_it_happened() {
        let host = || "jira:443".to_owned();
        let wait = Some(Duration::from_secs(9));
        let broken = |status, retry_after| Error::Broken {
            host: host(),
            status,
            messages: String::new(),
            retry_after,
        };
        let table = [
            (refused(400), Retry::Never, Happened::No),
            (refused(403), Retry::Never, Happened::No),
            (refused(404), Retry::Never, Happened::No),
            (refused(408), Retry::Backoff, Happened::Maybe),
            (refused(409), Retry::Now, Happened::No),
            (refused(413), Retry::Never, Happened::No),
            (refused(422), Retry::Never, Happened::No),
            (refused(425), Retry::Backoff, Happened::No),
            (refused_by(401, By::Somebody), Retry::Backoff, Happened::No),
            (refused_by(403, By::Somebody), Retry::Backoff, Happened::Maybe),
            (refused_by(404, By::Somebody), Retry::Backoff, Happened::Maybe),
            (refused_by(405, By::Somebody), Retry::Backoff, Happened::Maybe),
            (refused_by(409, By::Somebody), Retry::Backoff, Happened::Maybe),
            (refused_by(410, By::Somebody), Retry::Backoff, Happened::Maybe),
            (Error::Throttled { host: host(), retry_after: None }, Retry::Backoff, Happened::No),
            (
                Error::Throttled { host: host(), retry_after: wait },
                Retry::NotBefore(Duration::from_secs(9)),
                Happened::No,
            ),
            (broken(500, None), Retry::Backoff, Happened::Maybe),
            (broken(503, wait), Retry::NotBefore(Duration::from_secs(9)), Happened::Maybe),
            (
                Error::Unreachable { host: host(), why: "refused".into(), cause: Cause::Refused },
                Retry::Backoff,
                Happened::No,
            ),
            (Error::NotSent { host: host() }, Retry::Backoff, Happened::No),
            (
                Error::NoAnswer { host: host(), why: "cut".into(), cause: Cause::Ended },
                Retry::Backoff,
                Happened::Maybe,
            ),
            (
                Error::Unreadable { host: host(), what: "HTML".into(), flaw: Flaw::NotJson },
                Retry::Backoff,
                Happened::Maybe,
            ),
            (
                Error::Redirected { host: host(), status: 302, target: "sso".into() },
                Retry::Backoff,
                Happened::Maybe,
            ),
            (Error::Settings("no".into()), Retry::Never, Happened::No),
            (Error::Authorities("no".into()), Retry::Never, Happened::No),
            (Error::NoAuthority, Retry::Never, Happened::No),
            (Error::Token("no".into()), Retry::Backoff, Happened::No),
            (
                Error::NotFound { thing: Thing::Project, what: "x".into(), candidates: vec![] },
                Retry::Never,
                Happened::No,
            ),
            (
                Error::NoAnswer { host: host(), why: "cut".into(), cause: Cause::Ended }.beside(Happened::No),
                Retry::Backoff,
                Happened::No,
            ),
        ];
        for (error, retry, happened) in table {
            assert_eq!((error.retry(), error.happened()), (retry, happened), "{error}");
        }
    }

    #[test]
    fn errors_are_one_plain_line() {
        insta::assert_snapshot!(refused(400), @"Jira at jira:443 answered 400 to creating a ticket: no");
        insta::assert_snapshot!(refused_by(404, By::Somebody), @"jira:443 answered 404 to creating a ticket: no; Jira does not answer like this, so a proxy or firewall may be in the way");
        let throttled =
            Error::Throttled { host: "jira:443".into(), retry_after: Some(Duration::from_millis(1500)) };
        insta::assert_snapshot!(throttled, @"Jira at jira:443 asks to wait 2 s");
        let missing = Error::NotFound {
            thing: Thing::IssueType,
            what: "issue type \"Chnage\" in project OPS".into(),
            candidates: vec!["Bug".into(), "Change".into()],
        };
        insta::assert_snapshot!(missing, @r#"Jira shows no issue type "Chnage" in project OPS; there is: Bug, Change"#);
    }
}
