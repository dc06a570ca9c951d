//! `check`: proves a configuration against the real Jira, and changes nothing there.
//!
//! Each topic is a function that checks one thing and returns its findings. If an earlier topic failed (no connection,
//! no credentials, no project), one line says that the topics that depend on it were skipped.

mod address;
mod approvers;
mod connection;
mod diagnosis;
mod discovery;
mod existing;
mod finding;
mod kubernetes;
mod limits;
mod modes;
mod notify;
mod permissions;
mod planned;
mod ports;
mod project;
mod routes;
mod schedule;
mod screen;
mod service_desk;
mod settings;
mod statuses;
mod steps;
mod templates;
#[cfg(test)]
mod tests;
mod tickets;
mod traffic;
mod transitions;

pub use self::finding::{Finding, Level, Report};
use crate::{
    clock::Clock,
    config::Config,
    store::{self, AllowedVolumes},
};

/// Runs all checks. It only reads from Jira, and stores nothing.
pub async fn check(config: &Config, clock: Clock) -> Report {
    let now = clock.now();
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
    // A failure of Jira as a whole is reported once.
    let mut halted = false;
    findings.retain(|finding| !(finding.affects_all_checks && std::mem::replace(&mut halted, true)));
    findings.extend(templates::templates(config));
    findings.extend(routes::routes(config));
    findings.extend(routes::patterns(config));
    findings.extend(schedule::schedule(config, now));
    findings.extend(modes::modes(config));
    findings.extend(traffic::traffic(config));
    findings.extend(settings::settings(config));
    findings.extend(notify::channels(config));
    findings.extend(kubernetes::kubernetes(config).await);
    findings.extend(ports::ports(&config.server).await);
    let volumes = AllowedVolumes::allowing(config.store.allow_network_volume);
    findings.push(match store::probe(&config.store.url, volumes).await {
        Ok(what) => Finding::ok("store.url", what),
        Err(error) => {
            let what = format!("{error}; put the address of a database there that the bridge may write");
            Finding::fail("store.url", what)
        }
    });
    Report(findings)
}
