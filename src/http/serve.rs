//! The accept loop of all listeners. Serves one request per connection, and closes each connection soon: Flagger opens
//! a new connection for each call and leaves it idle, and half-open connections must not use up the connection limit.

mod connections;
mod limits;
mod refused;
mod task;
mod tls;

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    connections::{ConnectionGuard, Connections},
    task::ConnectionTask,
};
use super::app::App;

pub use self::{
    connections::Connection,
    limits::{ServeLimits, raise_open_file_limit},
    refused::{ConnectionRefused, Observer, unobserved},
    task::Caller,
    tls::{Tls, TlsProblem},
};

/// The delay before the next attempt after `accept` failed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// How often to look for a connection to evict while the limit is reached.
const SLOT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// The longest head of a request, in bytes; hyper answers a longer one with 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Serves `app` until `stop`. Then accepts the connections that are already established, and lets running requests
/// finish within the grace period.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    tls: Option<Arc<Tls>>,
    limits: ServeLimits,
    stop: CancellationToken,
) {
    serve_observed(listener, app, tls, limits, unobserved(), stop).await;
}

/// Like [`serve`], and reports connections that ended before they sent a request.
pub async fn serve_observed(
    listener: TcpListener,
    app: Router,
    tls: Option<Arc<Tls>>,
    limits: ServeLimits,
    observer: Observer,
    stop: CancellationToken,
) {
    if tls.is_none() {
        cork_answers(&listener);
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false);
    let mut tasks = Tasks {
        template: Arc::new(ConnectionTask {
            http,
            app: App::new(app),
            tls,
            limits,
            observer,
            stop: stop.clone(),
        }),
        slots: Arc::new(Semaphore::new(limits.connections)),
        connections: Connections::new(limits.connections),
        tasks: TaskTracker::new(),
    };
    let mut accepted = None;
    while !stop.is_cancelled() {
        let (stream, source) = select! {
            () = stop.cancelled() => break,
            came = listener.accept() => match came {
                Ok(came) => came,
                Err(error) => {
                    // Most likely too many open files: some connections must end first.
                    tracing::warn!(%error, "cannot accept a connection, and retries; are too many files open?");
                    tasks.make_room();
                    sleep(ACCEPT_RETRY_DELAY).await;
                    continue;
                }
            },
        };
        select! {
            biased;
            slot = tasks.permit() => tasks.begin(slot, stream, source),
            () = stop.cancelled() => accepted = Some((stream, source)),
        }
    }
    let finish = async {
        if let Err(error) = tasks.accept(accepted, listener).await {
            tracing::warn!(%error, "cannot accept the connections that still wait in the backlog");
        }
        tasks.tasks.close();
        tasks.tasks.wait().await;
    };
    if timeout(limits.grace, finish).await.is_err() {
        tracing::warn!(
            connections = tasks.tasks.len(),
            "requests took longer than server.shutdown_grace and are cut off"
        );
        tasks.tasks.close();
        tasks.connections.cut_all();
        tasks.tasks.wait().await;
    }
}

/// Sets `TCP_CORK`, which connections inherit: the end of an answer and the end of its connection share one packet, so
/// the caller wakes once. Not for TLS, where it would delay the handshake. It delays a `100 Continue` by a fifth of a
/// second, but neither Flagger nor Jira asks for one.
fn cork_answers(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_cork(listener, true) {
        tracing::debug!(%error, "cannot set TCP_CORK: each answer takes one more packet");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

/// The open connections.
struct Tasks {
    template: Arc<ConnectionTask>,
    slots: Arc<Semaphore>,
    connections: Connections,
    tasks: TaskTracker,
}

/// A slot of the connection limit.
type ConnectionPermit = Result<OwnedSemaphorePermit, AcquireError>;

impl Tasks {
    /// Waits for a slot. While none is free, closes connections that only wait for their caller.
    async fn permit(&self) -> ConnectionPermit {
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return Ok(slot);
            }
            self.make_room();
            if let Ok(slot) = timeout(SLOT_RETRY_DELAY, Arc::clone(&self.slots).acquire_owned()).await {
                return slot;
            }
        }
    }

    fn make_room(&self) {
        if let Some((source, cut)) = self.connections.close_idle() {
            tracing::debug!(%source, cut, "closed slow connections to free their slots");
            (self.template.observer)(source, &ConnectionRefused::Crowded);
        }
    }

    fn begin(&mut self, slot: ConnectionPermit, stream: TcpStream, source: SocketAddr) {
        let (one, connection) = (Arc::clone(&self.template), self.connections.register(source.ip()));
        self.tasks.spawn(async move {
            let _slot = slot;
            let connection = ConnectionGuard(connection);
            select! {
                biased;
                () = one.connection(stream, &connection.0) => {}
                () = connection.0.wait_until_cut() => {}
            }
        });
    }

    /// Accepts the connections that the kernel has already established. Dropping the listener would reset them and lose
    /// their requests.
    async fn accept(
        &mut self,
        accepted: Option<(TcpStream, SocketAddr)>,
        listener: TcpListener,
    ) -> std::io::Result<()> {
        if let Some((stream, source)) = accepted {
            let slot = self.permit().await;
            self.begin(slot, stream, source);
        }
        // Tokio's listener may report `WouldBlock` until the reactor has polled again.
        let listener = listener.into_std()?;
        loop {
            let slot = self.permit().await;
            match listener.accept() {
                Ok((stream, source)) => {
                    stream.set_nonblocking(true)?;
                    self.begin(slot, TcpStream::from_std(stream)?, source);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => sleep(ACCEPT_RETRY_DELAY).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
