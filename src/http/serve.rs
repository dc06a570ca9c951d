//! The accept loop of all listeners. Each request is logged, and a bug in its handler is answered. One request per
//! connection, and no connection for long: Flagger opens a new one for each call and leaves it idle, and half-open ones
//! must not use up what there is.

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
use super::app::{App, observed};

pub use self::{
    connections::Connection,
    tls::{Tls, TlsProblem},
};

/// How soon it is tried again to accept, when that failed.
const AGAIN: Duration = Duration::from_millis(100);

/// How soon it is looked again for a connection that may make room.
const ROOM_AGAIN: Duration = Duration::from_millis(50);
/// The longest head of a request, in bytes; hyper answers 431 beyond.
const HEAD: usize = 16 * 1024;

/// Files that this process needs beside its callers' connections.
const OTHER_FILES: usize = 160;
const LISTENERS: usize = 3;
/// So many connections a listener has at least.
const LEAST: usize = 32;

/// How many files this process may have open: as many as the system lets it.
#[must_use]
pub fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let was = getrlimit(Resource::Nofile);
    // Where it may not be raised, it stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: was.maximum, maximum: was.maximum });
    let is = getrlimit(Resource::Nofile).current;
    is.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// What one listener allows.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections at a time. When all places are taken, the oldest of those make room that only wait for a caller who
    /// proved nothing; further connections wait to be accepted.
    pub connections: usize,
    /// For the request's headers, and before them for the TLS handshake.
    pub headers: Duration,
    /// For a connection in all.
    pub whole: Duration,
    /// For the caller to close its side, if it was answered before all of its request was read.
    pub linger: Duration,
    /// For a caller to begin its request once the listener is told to stop.
    pub begin: Duration,
    /// For requests in hand once the listener is told to stop.
    pub grace: Duration,
}

impl ServeLimits {
    /// What is promised to users; `grace` is `server.shutdown_grace`.
    #[must_use]
    pub const fn promised(grace: Duration) -> Self {
        Self {
            connections: 1_024,
            headers: Duration::from_secs(5),
            whole: Duration::from_secs(15),
            linger: Duration::from_secs(1),
            begin: Duration::from_secs(1),
            grace,
        }
    }

    /// The same, if this process may have so many files open: no listener uses up what the others need, or the database.
    #[must_use]
    pub fn within(self, open_files: usize) -> Self {
        let most = (open_files.saturating_sub(OTHER_FILES) / LISTENERS).max(LEAST);
        Self { connections: self.connections.min(most), ..self }
    }
}

/// Where a connection comes from, for the handler of its request.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Connection>);

/// Why a connection never came to a request.
#[derive(Debug)]
pub enum ConnectionRefused {
    /// The handshake failed.
    Handshake(rustls::Error),
    /// HTTP where TLS is spoken.
    PlainHttp,
    /// Something else than HTTP.
    NotHttp,
    /// HTTP whose first line is not one, though it begins with a method and a path.
    FirstLine,
    /// The head of the request is too long.
    HeadTooLarge,
    /// It did not come whole in time.
    Slow,
    /// It was slow while all places were taken.
    Crowded,
}

/// Is told of connections that never came to a request, and where they came from.
pub type Observer = Arc<dyn Fn(IpAddr, &ConnectionRefused) + Send + Sync>;

/// Nobody wants to know.
#[must_use]
pub fn unobserved() -> Observer {
    Arc::new(|_, _| {})
}

/// Serves `app` until `stop`; then takes what has connected by then and nothing more, and lets the requests in hand
/// finish within the grace.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    tls: Option<Arc<Tls>>,
    limits: ServeLimits,
    stop: CancellationToken,
) {
    serve_observed(listener, app, tls, limits, unobserved(), stop).await;
}

/// The same, and tells of connections that never came to a request.
pub async fn serve_observed(
    listener: TcpListener,
    app: Router,
    tls: Option<Arc<Tls>>,
    limits: ServeLimits,
    observer: Observer,
    stop: CancellationToken,
) {
    if tls.is_none() {
        in_one_packet(&listener);
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers).max_buf_size(HEAD).keep_alive(false);
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
                    // Too many open files, most likely: connections in hand must end first.
                    tracing::warn!(%error, "cannot accept a connection, and tries again; are too many files open?");
                    tasks.make_room();
                    sleep(AGAIN).await;
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
            tracing::warn!(%error, "cannot accept who has connected already");
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

/// Has the last piece of each answer wait for the end of its connection, which follows at once, so that both take one packet
/// and the caller wakes once. The connections inherit it. With TLS it would hold up the handshake; a `100 Continue`, which
/// neither Flagger nor Jira asks for, comes a fifth of a second later.
fn in_one_packet(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_cork(listener, true) {
        tracing::debug!(%error, "answers take a packet more");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

/// The connections in hand.
struct Tasks {
    template: Arc<ConnectionTask>,
    slots: Arc<Semaphore>,
    connections: Connections,
    tasks: TaskTracker,
}

/// A place among the connections that one listener has at a time.
type ConnectionPermit = Result<OwnedSemaphorePermit, AcquireError>;

impl Tasks {
    /// Waits for a slot. While all are taken, those who only keep one waiting lose it.
    async fn permit(&self) -> ConnectionPermit {
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return Ok(slot);
            }
            self.make_room();
            if let Ok(slot) = timeout(ROOM_AGAIN, Arc::clone(&self.slots).acquire_owned()).await {
                return slot;
            }
        }
    }

    fn make_room(&self) {
        if let Some((source, cut)) = self.connections.make_room() {
            tracing::debug!(%source, cut, "slow connections make room");
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
                () = connection.0.is_cut() => {}
            }
        });
    }

    /// Takes whoever the system has let connect; dropping the listener would reset them, and their requests with them.
    async fn accept(
        &mut self,
        accepted: Option<(TcpStream, SocketAddr)>,
        listener: TcpListener,
    ) -> std::io::Result<()> {
        if let Some((stream, source)) = accepted {
            let slot = self.permit().await;
            self.begin(slot, stream, source);
        }
        // Tokio would say that nobody is there until it has looked again.
        let listener = listener.into_std()?;
        loop {
            let slot = self.permit().await;
            match listener.accept() {
                Ok((stream, source)) => {
                    stream.set_nonblocking(true)?;
                    self.begin(slot, TcpStream::from_std(stream)?, source);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => sleep(AGAIN).await,
            }
        }
    }
}

/// What it takes to serve a connection.
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
        match timeout(self.limits.whole, self.secured(stream, connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = format!("{error:#}"), "a connection failed");
                if let Some(broken) = refused(error) {
                    (self.observer)(connection.source(), &broken);
                }
            }
            Err(_) => {
                tracing::debug!("a connection took too long");
                if !connection.is_ended() {
                    (self.observer)(connection.source(), &ConnectionRefused::Slow);
                }
            }
        }
    }

    async fn secured(&self, stream: TcpStream, connection: &Arc<Connection>) -> Result<(), ConnectionError> {
        match &self.tls {
            None => self.request(stream, connection).await,
            // In a box, or plain connections would carry the room for it.
            Some(tls) => Box::pin(self.secured_by(tls, stream, connection)).await,
        }
    }

    async fn secured_by(
        &self,
        tls: &Tls,
        mut stream: TcpStream,
        connection: &Arc<Connection>,
    ) -> Result<(), ConnectionError> {
        // Without it an answer may wait until what TLS itself has sent is acknowledged; if it fails it just does. A plain
        // answer never waits: it goes with the end of the connection.
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
                let response = observed(&self.app, request).await;
                connection.answer();
                Ok::<_, Infallible>(response)
            });
            let mut served = std::pin::pin!(self.http.serve_connection(TokioIo::new(&mut io), service));
            let silent = async {
                self.stop.cancelled().await;
                // What was sent may not have been read yet.
                sleep(self.limits.begin).await;
            };
            select! {
                done = served.as_mut() => done,
                () = silent => {
                    // Closes a connection on which nothing came, and no other.
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            }
        };
        // What cannot be read was answered, too.
        let is_answered = served.as_ref().is_ok() || served.as_ref().is_err_and(hyper::Error::is_parse);
        if is_answered && (!connection.is_ended() || has_more(&mut io).await) {
            self.linger(&mut io).await;
        }
        Ok(served?)
    }

    /// Reads and forgets what the caller still sends, until it closes. A socket that is closed with bytes unread is
    /// reset, and the reset may overtake the answer: a 413 would never be seen.
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

/// What is worth telling of a failure. Connections that just end are not: load balancers probe ports like that.
fn refused(failed: ConnectionError) -> Option<ConnectionRefused> {
    match failed {
        ConnectionError::NoHandshake => Some(ConnectionRefused::Slow),
        ConnectionError::Http(error) if error.is_parse_too_large() => Some(ConnectionRefused::HeadTooLarge),
        // Hyper does not tell these apart from others otherwise. It looks at the version once it has read a method and a path.
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

/// Whether something came that was not read. After most requests that were read to their end, nothing does.
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
