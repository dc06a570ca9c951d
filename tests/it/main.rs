//! The bridge from outside: over HTTP, against the fake Jira.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod approvers;
mod audit;
mod bad_days;
mod bad_input;
mod browser;
mod check;
mod clusters;
mod crash;
mod database;
mod deliveries;
mod deploy;
mod docs;
mod duplicates;
mod endings;
mod guides;
mod histories;
mod image;
mod messages;
mod monitoring;
mod openapi;
mod process;
mod promises;
mod releases;
mod rendered;
mod replicas;
mod restore;
mod rotation;
mod shape;
mod shell;
mod store_away;
mod stopping;
mod store_days;
mod stories;
mod tls;
mod traces;
mod trouble;
mod unknown;
mod way;
mod wire;
mod words;
mod world;
mod yaml;
