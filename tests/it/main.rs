//! The bridge from outside: over HTTP, against the fake Jira.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod approvers;
mod audit;
mod bad_days;
mod bad_input;
mod check;
mod counting;
mod crash;
mod database;
mod deliveries;
mod deploy;
mod docs;
mod duplicates;
mod endings;
mod help;
mod histories;
mod log_at_start;
mod monitoring;
mod openapi;
mod process;
mod promises;
mod rehearsal;
mod rendered;
mod replicas;
mod shape;
mod shell;
mod store_days;
mod stories;
mod terminal;
mod traces;
mod trouble;
mod unknown;
mod words;
mod world;
mod yaml;
