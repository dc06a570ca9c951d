//! The bridge from outside: over HTTP, against the fake Jira.

mod openapi;
