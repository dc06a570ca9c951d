//! The world around the bridge, in memory, for the `demo` command and for the tests.

pub mod fake_flagger;
pub mod fake_jira;
