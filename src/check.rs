//! `check`: proves a configuration against the real Jira, and changes nothing there.
//!
//! Each topic is a function that looks at one thing and returns what it found. Where a topic needs what an earlier one
//! could not have (no connection, no credentials, no project), one line says that it was left out.

mod address;
mod approvers;
mod connection;
mod fields;
mod ports;
mod routes;
mod screen;
mod settings;
mod templates;
#[cfg(test)]
mod tests;
mod tickets;
mod workflow;

use std::fmt;

use crate::{
    clock::Clock,
    config::Config,
    jira::{By, Error},
    store::{self, Volumes},
    text::one_line,
};

/// The longest line of a finding, in characters. Jira's own words in it are cut before.
const LONGEST: usize = 2_000;
/// What a token with scopes needs.
const SCOPES: &str = "; give the token the scopes read:jira-work, write:jira-work and read:jira-user";
/// From this likeness on, of at most 1, a name may be meant by another.
const LIKE: f64 = 0.8;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but somebody should know.
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

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The key of the configuration to edit.
    pub key: String,
    /// What was found, and what to put there; one line.
    pub what: String,
    /// Jira as a whole is the matter, so that the like of it will be found again and again.
    halts: bool,
}

impl Finding {
    fn new(level: Level, key: impl Into<String>, what: impl AsRef<str>) -> Self {
        // Jira ends its own words with a full stop.
        let what = one_line(&what.as_ref().replace(".; ", "; "), LONGEST);
        Self { level, key: key.into(), what, halts: false }
    }

    fn ok(key: impl Into<String>, what: impl AsRef<str>) -> Self {
        Self::new(Level::Ok, key, what)
    }

    fn warn(key: impl Into<String>, what: impl AsRef<str>) -> Self {
        Self::new(Level::Warn, key, what)
    }

    fn fail(key: impl Into<String>, what: impl AsRef<str>) -> Self {
        Self::new(Level::Fail, key, what)
    }

    /// A request that failed: at `key` if it is about what was asked, in other words if not.
    fn failed(key: impl Into<String>, error: &Error, otherwise: impl FnOnce() -> String) -> Self {
        let scope = if error.is_of_scope() { SCOPES } else { "" };
        match error {
            Error::Throttled { .. } | Error::Broken { .. } => {
                Self { halts: true, ..Self::fail("jira.url", format!("{error}; check again later")) }
            }
            Error::NoAnswer { .. } | Error::Unauthorized { .. } => {
                Self { halts: true, ..Self::fail("jira.url", format!("{error}; check again")) }
            }
            // No path of Jira's API is missing.
            Error::Refused { by: By::Somebody, status: 404 | 405 | 410, .. } => {
                Self { halts: true, ..Self::fail("jira.url", format!("{error}; check again")) }
            }
            Error::Token
            | Error::NotSent { .. }
            | Error::Refused { .. }
            | Error::NotFound { .. }
            | Error::Redirected { .. }
            | Error::Unreadable { .. } => Self::fail(key, format!("{}{scope}", otherwise())),
            Error::Beside { source, .. } => Self::failed(key, source, otherwise),
        }
    }
}

/// All that was found. Displays as one line each, in columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Whether something will not work.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Fail)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.0.iter().map(|finding| finding.key.chars().count()).max().unwrap_or_default();
        for Finding { level, key, what, halts: _ } in &self.0 {
            writeln!(f, "{level:<4}  {key:<widest$}  {what}")?;
        }
        Ok(())
    }
}

/// Looks at everything. Jira is asked, never told: all requests are reads. Nor is anything stored.
pub async fn check(config: &Config, clock: Clock) -> Report {
    let (mut findings, jira) = connection::connect(&config.jira.client, clock).await;
    match jira {
        Some(jira) => {
            findings.extend(tickets::tickets(&jira, &config.policy).await);
            findings.extend(approvers::approvers(&jira, &config.policy).await);
        }
        None => {
            findings.push(Finding::warn(
                "ticket",
                "projects, issue types, permissions, fields, statuses and transitions were not checked: Jira has to \
                 let the bridge in first",
            ));
            if approvers::any(&config.policy) {
                let what = "approvers and deny were not checked: Jira has to let the bridge in first";
                findings.push(Finding::warn("approval", what));
            }
        }
    }
    // Jira being in the way is told once.
    let mut halted = false;
    findings.retain(|finding| !(finding.halts && std::mem::replace(&mut halted, true)));
    findings.extend(templates::templates(config));
    findings.extend(routes::routes(config));
    findings.extend(routes::patterns(config));
    findings.extend(settings::settings(config));
    findings.extend(ports::ports(&config.server).await);
    let volumes = Volumes::allowing(config.store.allow_network_volume);
    findings.push(match store::probe(&config.store.url, volumes).await {
        Ok(what) => Finding::ok("store.url", what),
        Err(error) => {
            let what = format!("{error}; put the address of a database there that the bridge may write");
            Finding::fail("store.url", what)
        }
    });
    Report(findings)
}

/// The end of a sentence that names what may have been meant instead.
fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let wrong = wrong.trim().to_lowercase();
    let like = |name: &str| {
        // Two letters in the wrong order count for much in a short name.
        let slip = if wrong.len() > 2 && strsim::osa_distance(&wrong, name) == 1 { LIKE } else { 0.0 };
        strsim::jaro_winkler(&wrong, name).max(slip)
    };
    let scored = names.into_iter().map(|name| (like(&name.to_lowercase()), name));
    let best = scored.filter(|(like, _)| *like >= LIKE).max_by(|one, other| one.0.total_cmp(&other.0));
    best.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"))
}
