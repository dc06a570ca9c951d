//! State that all listeners share.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::http::Extensions;

use crate::{
    clock::Clock,
    gatekeeper::Gatekeeper,
    http::{
        body::Bodies,
        refused_calls::{Authentication, RefusedCall, RefusedCalls, for_connection},
        serve::{Caller, Connection, ConnectionRefused},
    },
    metrics::{ListenerLabel, Metrics},
};

/// State that all listeners share.
#[derive(Clone)]
pub struct Shared {
    /// Empty until the store is open: until then every gate is closed, and nothing can be reported.
    pub gatekeeper: Arc<OnceLock<Arc<Gatekeeper>>>,
    /// The wall clock.
    pub clock: Clock,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The calls that were refused.
    pub refused: Arc<RefusedCalls>,
    /// The memory that bodies of unauthenticated callers use.
    pub bodies: Arc<Bodies>,
}

impl Shared {
    /// The gatekeeper, once the store is open.
    pub(super) fn gatekeeper(&self) -> Option<&Arc<Gatekeeper>> {
        self.gatekeeper.get()
    }

    /// Counts and logs a connection that ended before it sent a request.
    pub fn report_refused(&self, listener: ListenerLabel, source: IpAddr, broken: &ConnectionRefused) {
        let (reason, why, hint) = for_connection(broken);
        self.refuse(RefusedCall {
            listener,
            authentication: Authentication::Unauthenticated,
            source: Some(source),
            path: String::new(),
            canary: None,
            reason,
            message: why,
            hint: hint.to_owned(),
        });
    }

    pub(super) fn refuse(&self, refusal: RefusedCall) {
        self.refused.refuse(refusal, &self.metrics, self.clock.now());
    }
}

/// The connection of a request; `None` in tests without a listener.
pub(super) fn connection(extensions: &Extensions) -> Option<&Arc<Connection>> {
    extensions.get::<Caller>().map(|Caller(connection)| connection)
}

/// The state before the store is open, for tests.
#[cfg(test)]
pub(super) fn not_open_yet() -> Shared {
    let clock = Clock::manual(crate::millis::Millis(1_790_000_000_000));
    Shared {
        gatekeeper: Arc::default(),
        clock,
        metrics: Arc::default(),
        refused: Arc::default(),
        bodies: Arc::default(),
    }
}
