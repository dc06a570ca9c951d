//! The accept loop of all listeners. Each request is logged, and a bug in its handler is answered. One request per
//! connection, and no connection for long: Flagger opens a new one for each call and leaves it idle, and half-open ones
//! must not use up what there is.

mod body;
mod tls;

use std::{
    convert::Infallible, future::poll_fn, io::ErrorKind, pin::Pin, sync::Arc, task::Poll, time::Duration,
};

use anyhow::Context as _;
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
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::body::Ended;
pub use self::tls::Tls;
use super::{App, watched};

/// How soon it is tried again to accept, when that failed.
const AGAIN: Duration = Duration::from_millis(100);

/// What one listener allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
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

impl Limits {
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
}

/// Serves `app` until `stop`; then takes what has connected by then and nothing more, and lets the requests in hand
/// finish within the grace.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    stop: CancellationToken,
) {
    if tls.is_none() {
        in_one_packet(&listener);
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers).keep_alive(false);
    let tasks = Tasks {
        one: Arc::new(One { http, app: App::new(app), tls, limits, stop: stop.clone() }),
        slots: Arc::new(Semaphore::new(limits.connections)),
        tasks: TaskTracker::new(),
        cut: CancellationToken::new(),
    };
    loop {
        let accept = async { (tasks.slot().await, listener.accept().await) };
        let (slot, stream) = select! {
            () = stop.cancelled() => break,
            (slot, accepted) = accept => match accepted {
                Ok((stream, _)) => (slot, stream),
                Err(error) => {
                    // Too many open files, most likely: connections in hand must end first.
                    tracing::warn!(%error, "cannot accept a connection, and tries again; are too many files open?");
                    sleep(AGAIN).await;
                    continue;
                }
            },
        };
        tasks.begin(slot, stream);
    }
    let finish = async {
        if let Err(error) = tasks.take_in(listener).await {
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
        tasks.cut.cancel();
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
    one: Arc<One>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Ends them all.
    cut: CancellationToken,
}

/// A place among the connections that one listener has at a time.
type Slot = Result<OwnedSemaphorePermit, AcquireError>;

impl Tasks {
    async fn slot(&self) -> Slot {
        Arc::clone(&self.slots).acquire_owned().await
    }

    fn begin(&self, slot: Slot, stream: TcpStream) {
        let (one, cut) = (Arc::clone(&self.one), self.cut.clone());
        self.tasks.spawn(async move {
            let _slot = slot;
            select! {
                () = cut.cancelled() => {}
                () = one.connection(stream) => {}
            }
        });
    }

    /// Takes whoever the system has let connect; dropping the listener would reset them, and their requests with them.
    async fn take_in(&self, listener: TcpListener) -> std::io::Result<()> {
        // Tokio would say that nobody is there until it has looked again.
        let listener = listener.into_std()?;
        loop {
            let slot = self.slot().await;
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.begin(slot, TcpStream::from_std(stream)?);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => sleep(AGAIN).await,
            }
        }
    }
}

/// What it takes to serve a connection.
struct One {
    http: http1::Builder,
    app: App,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    stop: CancellationToken,
}

impl One {
    async fn connection(&self, stream: TcpStream) {
        match timeout(self.limits.whole, self.secured(stream)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = format!("{error:#}"), "a connection failed"),
            Err(_) => tracing::debug!("a connection took too long"),
        }
    }

    async fn secured(&self, stream: TcpStream) -> anyhow::Result<()> {
        match &self.tls {
            None => self.request(stream).await,
            // In a box, or plain connections would carry the room for it.
            Some(tls) => Box::pin(self.secured_by(tls, stream)).await,
        }
    }

    async fn secured_by(&self, tls: &Tls, mut stream: TcpStream) -> anyhow::Result<()> {
        // Without it an answer may wait until what TLS itself has sent is acknowledged; if it fails it just does. A plain
        // answer never waits: it goes with the end of the connection.
        let _ = stream.set_nodelay(true);
        let handshake = async {
            if tls::tells_plain(&mut stream).await? {
                self.linger(&mut stream).await;
                return Ok(None);
            }
            tls.acceptor().accept(stream).await.map(Some)
        };
        match timeout(self.limits.headers, handshake).await.context("no handshake in time")?? {
            Some(stream) => self.request(stream).await,
            None => Ok(()),
        }
    }

    async fn request(&self, mut io: impl AsyncRead + AsyncWrite + Unpin) -> anyhow::Result<()> {
        let ended = Ended::default();
        {
            let service = service_fn(async |request: Request<Incoming>| {
                let request = request.map(|body| Body::new(ended.of(body)));
                Ok::<_, Infallible>(watched(&self.app, request).await)
            });
            let mut served = std::pin::pin!(self.http.serve_connection(TokioIo::new(&mut io), service));
            let silent = async {
                self.stop.cancelled().await;
                // What was sent may not have been read yet.
                sleep(self.limits.begin).await;
            };
            select! {
                done = served.as_mut() => done?,
                () = silent => {
                    // Closes a connection on which nothing came, and no other.
                    served.as_mut().graceful_shutdown();
                    served.await?;
                }
            }
        }
        if !ended.get() || has_more(&mut io).await {
            self.linger(&mut io).await;
        }
        Ok(())
    }

    /// Reads and forgets what the caller still sends, until it closes. A socket that is closed with bytes unread is
    /// reset, and the reset may overtake the answer: a 413 would never be seen.
    async fn linger(&self, io: &mut (impl AsyncRead + Unpin)) {
        let mut rest = vec![0; 8 * 1024];
        let closed = async { while io.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
        let _ = timeout(self.limits.linger, closed).await;
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
