//! A small Kubernetes API server that keeps its objects in memory and serves them over HTTP: list, watch and get of
//! what Flagger works with, Events, and reviews of the caller's own access. It answers, and refuses, in the words of
//! the real one.
//!
//! It follows the documentation and the sources of Kubernetes only and shares no code with the bridge's client, so that
//! a mistake in that client cannot be repeated here.

mod answer;
mod call;
mod configure;
mod event;
mod event_check;
mod fake;
mod field_errors;
mod kind;
mod list;
mod merge;
mod names;
mod recorded;
mod review;
mod rights;
mod route;
mod serve;
mod state;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

pub use self::{fake::FakeKubernetes, recorded::Recorded};
