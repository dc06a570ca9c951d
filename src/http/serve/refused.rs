//! Why a connection ended before it sent a request.

use std::{net::IpAddr, sync::Arc};

use tokio_rustls::rustls;

/// Why a connection ended before it sent a request.
#[derive(Debug)]
pub enum ConnectionRefused {
    /// The handshake failed.
    Handshake(rustls::Error),
    /// HTTP on a port that expects TLS.
    PlainHttp,
    /// Another protocol than HTTP.
    NotHttp,
    /// HTTP with a malformed request line, although it begins with a method and a path.
    FirstLine,
    /// The head of the request is too long.
    HeadTooLarge,
    /// The request did not arrive completely in time.
    Slow,
    /// It was slow while the connection limit was reached.
    Crowded,
}

/// Called for each connection that ended before it sent a request, with the caller's address.
pub type Observer = Arc<dyn Fn(IpAddr, &ConnectionRefused) + Send + Sync>;

/// An observer that ignores everything.
#[must_use]
pub fn unobserved() -> Observer {
    Arc::new(|_, _| {})
}

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("no handshake in time")]
    NoHandshake,
}

/// The failures to report. A connection that just ends is not one: load balancers probe ports like that.
pub(super) fn refused(failed: ConnectionError) -> Option<ConnectionRefused> {
    match failed {
        ConnectionError::NoHandshake => Some(ConnectionRefused::Slow),
        ConnectionError::Http(error) if error.is_parse_too_large() => Some(ConnectionRefused::HeadTooLarge),
        // Only hyper's message distinguishes these. It checks the version after it has read a method and a path.
        ConnectionError::Http(error)
            if error.is_parse()
                && ["invalid HTTP version parsed", "invalid URI"].contains(&error.to_string().as_str()) =>
        {
            Some(ConnectionRefused::FirstLine)
        }
        ConnectionError::Http(error) if error.is_parse() => Some(ConnectionRefused::NotHttp),
        ConnectionError::Http(error) if error.is_timeout() => Some(ConnectionRefused::Slow),
        ConnectionError::Http(_) => None,
        ConnectionError::Io(error) => {
            let error = error.into_inner()?.downcast::<rustls::Error>().ok()?;
            Some(ConnectionRefused::Handshake(*error))
        }
    }
}
