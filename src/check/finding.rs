//! Findings: one line each, with the key to edit.

use std::fmt;

use crate::{
    jira::{Error, Origin},
    text::one_line,
};

/// A finding has at most this many characters. Text from Jira is cut earlier.
const MAX_LINE_CHARS: usize = 2_000;
/// Advice for a token that lacks a scope.
const SCOPES_ADVICE: &str = "; give the token the scopes read:jira-work, write:jira-work and read:jira-user";

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but needs attention.
    Warn,
    /// It will not work.
    Fail,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The key of the configuration to edit.
    pub key: String,
    /// What was found, and what to put there; one line.
    pub what: String,
    /// The failure concerns Jira as a whole, so other checks would report it again.
    pub(super) affects_all_checks: bool,
}

impl Finding {
    fn new(level: Level, key: impl Into<String>, what: impl AsRef<str>) -> Self {
        // Jira's own messages end with a full stop.
        let what = one_line(&what.as_ref().replace(".; ", "; "), MAX_LINE_CHARS);
        Self { level, key: key.into(), what, affects_all_checks: false }
    }

    pub(super) fn ok(key: impl Into<String>, what: impl AsRef<str>) -> Self {
        Self::new(Level::Ok, key, what)
    }

    pub(super) fn warn(key: impl Into<String>, what: impl AsRef<str>) -> Self {
        Self::new(Level::Warn, key, what)
    }

    pub(super) fn fail(key: impl Into<String>, what: impl AsRef<str>) -> Self {
        Self::new(Level::Fail, key, what)
    }

    /// A failed request: at `key` with the text of `otherwise` if only this request failed, at `jira.url` if Jira as a
    /// whole did.
    pub(super) fn failed(key: impl Into<String>, error: &Error, otherwise: impl FnOnce() -> String) -> Self {
        let scope = if error.is_about_scope() { SCOPES_ADVICE } else { "" };
        match error {
            Error::Throttled { .. } | Error::Broken { .. } => Self {
                affects_all_checks: true,
                ..Self::fail("jira.url", format!("{error}; check again later"))
            },
            Error::NoAnswer { .. } | Error::NoAccessToken { .. } | Error::Unauthorized { .. } => {
                Self { affects_all_checks: true, ..Self::fail("jira.url", format!("{error}; check again")) }
            }
            // Jira's API has all these paths, so the intermediary is wrong.
            Error::Refused { by: Origin::Intermediary, status: 404 | 405 | 410, .. } => {
                Self { affects_all_checks: true, ..Self::fail("jira.url", format!("{error}; check again")) }
            }
            Error::Token
            | Error::NotSent { .. }
            | Error::Refused { .. }
            | Error::NotFound { .. }
            | Error::Redirected { .. }
            | Error::Unreadable { .. } => Self::fail(key, format!("{}{scope}", otherwise())),
            Error::Prerequisite { source, .. } => Self::failed(key, source, otherwise),
        }
    }
}

/// All findings. Displays as one line each, in columns, and how many there are of each bad level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Whether at least one check failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Fail)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.0.iter().map(|finding| finding.key.chars().count()).max().unwrap_or_default();
        for Finding { level, key, what, affects_all_checks: _ } in &self.0 {
            writeln!(f, "{level:<4}  {key:<widest$}  {what}")?;
        }
        let many = |level, what: &str| match self.0.iter().filter(|finding| finding.level == level).count() {
            1 => format!("1 {what}"),
            many => format!("{many} {what}s"),
        };
        writeln!(f, "{}, {}", many(Level::Fail, "failure"), many(Level::Warn, "warning"))
    }
}
