//! The bridge from outside: over HTTP, against the fake Jira.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod bad_input;
mod histories;
mod openapi;
mod shape;
mod shell;
mod stories;
mod traces;
mod world;
