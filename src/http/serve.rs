//! The accept loop of all listeners. Serves one request per connection, and closes each connection soon: Flagger opens
//! a new connection for each call and leaves it idle, and half-open connections must not use up the connection limit.

mod connections;
mod tls;

use std::{
    convert::Infallible,
    future::poll_fn,
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    select,
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::rustls;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::connections::{ConnectionGuard, Connections};
use super::app::{App, call_app};

pub use self::{
    connections::Connection,
    tls::{Tls, TlsProblem},
};

/// The delay before the next attempt after `accept` failed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// How often to look for a connection to evict while the limit is reached.
const SLOT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// The longest head of a request, in bytes; hyper answers a longer one with 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;

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

/// The connection of a request, for its handler.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Connection>);

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

/// All that is needed to serve a connection.
struct ConnectionTask {
    http: http1::Builder,
    app: App,
    tls: Option<Arc<Tls>>,
    limits: ServeLimits,
    observer: Observer,
    stop: CancellationToken,
}

impl ConnectionTask {
    async fn connection(&self, stream: TcpStream, connection: &Arc<Connection>) {
        match timeout(self.limits.total, self.serve_stream(stream, connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = format!("{error:#}"), "a connection failed");
                if let Some(broken) = refused(error) {
                    (self.observer)(connection.source(), &broken);
                }
            }
            Err(_) => {
                tracing::debug!("a connection took too long");
                if !connection.is_request_read() {
                    (self.observer)(connection.source(), &ConnectionRefused::Slow);
                }
            }
        }
    }

    async fn serve_stream(
        &self,
        stream: TcpStream,
        connection: &Arc<Connection>,
    ) -> Result<(), ConnectionError> {
        match &self.tls {
            None => self.request(stream, connection).await,
            // Boxed to keep the future of plain connections small.
            Some(tls) => Box::pin(self.serve_tls(tls, stream, connection)).await,
        }
    }

    async fn serve_tls(
        &self,
        tls: &Tls,
        mut stream: TcpStream,
        connection: &Arc<Connection>,
    ) -> Result<(), ConnectionError> {
        // Without TCP_NODELAY an answer may wait for the acknowledgement of TLS's own records. A failure costs only
        // that delay. A plain answer never waits, see `cork_answers`.
        let _ = stream.set_nodelay(true);
        let handshake = async {
            if tls::answer_plain_http(&mut stream).await? {
                (self.observer)(connection.source(), &ConnectionRefused::PlainHttp);
                self.linger(&mut stream).await;
                return Ok(None);
            }
            tls.acceptor().accept(stream).await.map(Some)
        };
        match timeout(self.limits.headers, handshake).await.map_err(|_| ConnectionError::NoHandshake)?? {
            Some(stream) => self.request(stream, connection).await,
            None => Ok(()),
        }
    }

    async fn request(
        &self,
        mut io: impl AsyncRead + AsyncWrite + Unpin,
        connection: &Arc<Connection>,
    ) -> Result<(), ConnectionError> {
        let served = {
            let service = service_fn(async |request: Request<Incoming>| {
                let mut request = request.map(|body| Body::new(connection.track_body(body)));
                request.extensions_mut().insert(Caller(Arc::clone(connection)));
                let response = call_app(&self.app, request).await;
                connection.mark_answered();
                Ok::<_, Infallible>(response)
            });
            let mut served = std::pin::pin!(self.http.serve_connection(TokioIo::new(&mut io), service));
            let silent = async {
                self.stop.cancelled().await;
                // The caller may have sent bytes that are not read yet.
                sleep(self.limits.begin).await;
            };
            select! {
                done = served.as_mut() => done,
                () = silent => {
                    // Closes the connection only if no byte arrived on it.
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            }
        };
        // Hyper also answers a request that it cannot parse.
        let is_answered = served.as_ref().is_ok() || served.as_ref().is_err_and(hyper::Error::is_parse);
        if is_answered && (!connection.is_request_read() || has_more(&mut io).await) {
            self.linger(&mut io).await;
        }
        Ok(served?)
    }

    /// Reads and discards what the caller still sends, until it closes. Closing a socket with unread bytes resets it,
    /// and the reset may overtake the answer: the caller would never see a 413.
    async fn linger(&self, io: &mut (impl AsyncRead + Unpin)) {
        let mut rest = vec![0; 8 * 1024];
        let closed = async { while io.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
        let _ = timeout(self.limits.linger, closed).await;
    }
}

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("no handshake in time")]
    NoHandshake,
}

/// The failures to report. A connection that just ends is not one: load balancers probe ports like that.
fn refused(failed: ConnectionError) -> Option<ConnectionRefused> {
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

/// Whether unread bytes have arrived. After most requests that were read to their end, there are none.
async fn has_more(io: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut byte = [0];
    let mut read = ReadBuf::new(&mut byte);
    poll_fn(|context| {
        let came = Pin::new(&mut *io).poll_read(context, &mut read).is_ready();
        Poll::Ready(came && !read.filled().is_empty())
    })
    .await
}

#[cfg(test)]
mod tests;
