//! Reads the configuration and finds all problems in it.

mod duration;
mod examples;
mod in_force;
mod kubernetes;
mod layers;
mod limits;
mod notify;
mod oauth;
mod policy;
mod problems;
mod read;
mod schedule;
mod sections;
mod settings;
mod steps;
mod template;
#[cfg(test)]
mod tests;
mod variables;
mod wanted;

use std::{net::SocketAddr, path::Path};

use crate::policy::Policy;

pub use self::{
    duration::parse as parse_duration,
    layers::EXAMPLE,
    problems::{Problem, Problems},
    settings::{
        Cluster, Config, Flagger, Jira, Kubernetes, KubernetesMode, Limits, Rollout, ScopedToken, Server,
        Store, Tls,
    },
};

/// Reads the configuration: the defaults of [`EXAMPLE`], then the file, then the variables of `env` that begin with
/// `BRIDGE__`. Relative paths in it start at the working directory.
///
/// # Errors
/// All problems in it, not only the first.
pub fn load(path: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<Config, Problems> {
    let sink = problems::Sink::default();
    let config = layers::merge(path, env, &sink)
        .and_then(|tree| config(&read::Section::new(String::new(), &tree, &sink)));
    let mut problems = sink.into_problems();
    match config {
        Some(config) if problems.0.is_empty() => Ok(config),
        Some(_) => Err(problems),
        None => {
            // A getter that returns `None` reports why. If one ever forgets to, report at least this.
            if problems.0.is_empty() {
                let what = "the configuration is not complete".to_owned();
                problems.0.push(Problem { key: path.display().to_string(), what });
            }
            Err(problems)
        }
    }
}

/// The settings in force, as TOML: what [`load`] reads, with all secrets hidden, and after each value where it comes from.
///
/// # Errors
/// All problems, as [`load`].
pub fn in_force(path: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<String, Problems> {
    let env: Vec<(String, String)> = env.into_iter().collect();
    load(path, env.clone())?;
    let sink = problems::Sink::default();
    in_force::render(path, env, &sink).ok_or_else(|| sink.into_problems())
}

/// `server.admin_listen` alone, for programs that ask the bridge. Nothing else has to be right: secrets may be missing
/// where the bridge does not run.
///
/// # Errors
/// If the file cannot be read, or the value is wrong.
pub fn admin_listen(
    path: &Path,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<SocketAddr, Problems> {
    let sink = problems::Sink::default();
    let listen = layers::merge(path, env, &sink).and_then(|tree| {
        let root = read::Section::new(String::new(), &tree, &sink);
        root.section("server")?.address("admin_listen")
    });
    listen.ok_or_else(|| sink.into_problems())
}

fn config(root: &read::Section<'_>) -> Option<Config> {
    let server = root.section("server").and_then(|s| sections::server(&s));
    let store = root.section("store").and_then(|s| sections::store(&s));
    let flagger = root.section("flagger").and_then(|s| sections::flagger(&s));
    let kubernetes = root.section("kubernetes").and_then(|s| kubernetes::kubernetes(&s));
    let jira = root.section("jira").and_then(|s| sections::jira(&s));
    let rollout = root.section("rollout").and_then(|s| sections::rollout(&s));
    let limits = root.section("limits").and_then(|s| sections::limits(&s));
    let policy = policy::policy(root);
    let schedule = schedule::schedule(root);
    let notify = notify::channels(root);
    root.report_unknown_keys();
    let policy = Policy { schedule, ..policy? };
    let mut jira = jira?;
    jira.client.exceptions = policy.schedule.exceptions().cloned().collect();
    jira.client.opens_requests = policy.all().any(|route| route.ticket.request_type.is_some());
    jira.client.planned_fields = policy.planned_fields().into_iter().map(str::to_owned).collect();
    Some(Config {
        server: server?,
        store: store?,
        flagger: flagger?,
        kubernetes: kubernetes?,
        jira,
        rollout: rollout?,
        limits: limits?,
        policy,
        notify,
    })
}
