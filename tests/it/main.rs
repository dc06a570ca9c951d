//! The bridge from outside: over HTTP, against the fake Jira.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

/// As in the program: the tests allocate as much as it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The test harness: a bridge between a fake Jira and a simulated Flagger, its database, processes, kills, TLS and
/// proxies.
mod world;

/// Rollouts, their tickets and the people who decide.
mod stories {
    mod approval;
    mod approval_binding;
    mod approvers;
    mod audit;
    mod bound_approvals;
    mod bound_configs;
    mod browser;
    mod bypasses;
    mod canary_events;
    mod canary_status;
    mod canary_weight;
    mod change_windows;
    mod cluster_isolation;
    mod command_concurrency;
    mod emergencies;
    mod existing_tickets;
    mod flagger_edge_cases;
    mod four_eyes;
    mod history;
    mod late_moves;
    mod notifications;
    mod oauth;
    mod poll_priority;
    mod random_histories;
    mod recorded;
    mod rejection;
    mod rollout_endings;
    mod service_desk_approvals;
    mod service_desk_requests;
    mod team_isolation;
    mod ticket_links;
    mod time_limits;
    mod told;
    mod traffic_steps;
    mod unguarded;
    mod untrusted_text;
    mod what_changes;
}

/// Failures and attacks: Jira, the database, callers and networks.
mod failures {
    mod bulk_reads;
    mod duplicate_tickets;
    mod gateway_errors;
    mod hostile_webhooks;
    mod jira_access_denied;
    mod jira_outage;
    mod jira_tls;
    mod lost_answers;
    mod malformed_requests;
    mod parked_commands;
    mod refused_callers;
    mod restarts_and_broken_issues;
    mod restored_backup;
    mod stale_answers;
    mod store_faults;
    mod store_unavailable;
    mod tickets_not_found;
    mod two_mistakes;
}

/// Several bridges on one database.
mod replicas;

/// Interfaces that others rely on: Flagger's recorded messages, Jira's API, stored data, metrics; and the module map.
mod contract {
    mod api;
    mod flagger_traces;
    pub(crate) mod jira_openapi;
    mod metrics;
    mod module_dependencies;
    mod stored_releases;
}

/// The program as a process: commands, output, log, signals and exit codes.
mod cli {
    mod check;
    mod config_output;
    pub(crate) mod demo;
    mod gates_output;
    mod generated;
    mod help;
    mod password_redaction;
    mod serve;
    mod shutdown;
    mod startup_log;
}

/// README.md and `docs/` match the program.
mod docs {
    mod answers;
    mod contributing;
    mod deploy_path;
    pub(crate) mod flagger;
    mod guides;
    mod install;
    mod install_path;
    mod messages;
    pub(crate) mod page;
    pub(crate) mod reader;
    mod readme;
    mod restore_path;
}

/// The real Flagger on a real API server.
mod cluster;

/// Deployment: manifests, image, monitoring, certificates, proxies, secrets and volumes.
mod deploy {
    mod ca_and_proxy;
    mod chart_readme;
    mod chart_schema;
    pub(crate) mod image;
    mod listener_tls;
    mod manifests;
    mod monitoring;
    mod pem_files;
    mod pgbouncer;
    mod rendered_manifests;
    mod secret_rotation;
    mod sqlite_files;
}
