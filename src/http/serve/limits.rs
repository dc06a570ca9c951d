//! The limits and timeouts of a listener.

use std::time::Duration;

/// File descriptors that this process needs besides its connections.
const RESERVED_FILES: usize = 160;
const LISTENERS: usize = 4;
/// The minimum connection limit of a listener.
const MIN_CONNECTIONS: usize = 32;

/// Raises the limit of open files to the highest that the system allows, and returns it.
#[must_use]
pub fn raise_open_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let was = getrlimit(Resource::Nofile);
    // If it cannot be raised, the current limit applies.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: was.maximum, maximum: was.maximum });
    let is = getrlimit(Resource::Nofile).current;
    is.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// The limits and timeouts of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Concurrent connections. At the limit, the oldest ones that only wait for an unauthenticated caller are closed,
    /// and new ones wait to be accepted.
    pub connections: usize,
    /// Timeout for the request's headers, and before them for the TLS handshake.
    pub headers: Duration,
    /// Timeout for the whole connection.
    pub total: Duration,
    /// How long the caller has to close its side after an answer that was sent before the whole request was read.
    pub linger: Duration,
    /// How long a caller has to begin its request after the listener was asked to stop.
    pub begin: Duration,
    /// How long running requests may take after the listener was asked to stop.
    pub grace: Duration,
}

impl ServeLimits {
    /// The documented limits. `grace` is `server.shutdown_grace`.
    #[must_use]
    pub const fn promised(grace: Duration) -> Self {
        Self {
            connections: 1_024,
            headers: Duration::from_secs(5),
            total: Duration::from_secs(15),
            linger: Duration::from_secs(1),
            begin: Duration::from_secs(1),
            grace,
        }
    }

    /// Lowers the connection limit to fit `open_files`, so that one listener leaves enough for the others and the
    /// database.
    #[must_use]
    pub fn within(self, open_files: usize) -> Self {
        let most = (open_files.saturating_sub(RESERVED_FILES) / LISTENERS).max(MIN_CONNECTIONS);
        Self { connections: self.connections.min(most), ..self }
    }
}
