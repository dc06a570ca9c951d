//! The open connections, and which of them to close when the connection limit is reached.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use axum::body::Bytes;
use futures_util::task::AtomicWaker;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

/// A connection younger than this is not closed: what Flagger sends arrives at once.
const MIN_AGE: Duration = Duration::from_millis(250);
/// How many connections are closed at once, because choosing them scans all connections.
const CLOSE_BATCH: usize = 16;

/// The state of a connection, shared by its handler and the accept loop.
#[derive(Debug)]
pub struct Connection {
    source: IpAddr,
    began: Instant,
    /// Whether all of the request was read.
    request_read: AtomicBool,
    /// Whether the caller has authenticated.
    authenticated: AtomicBool,
    /// Whether the request was answered.
    answered: AtomicBool,
    /// Whether the connection has ended.
    closed: AtomicBool,
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Connection {
    fn new(source: IpAddr) -> Self {
        Self {
            source,
            began: Instant::now(),
            request_read: AtomicBool::new(false),
            authenticated: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// The caller's address.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// Marks the caller as authenticated: it keeps its connection, however slow it is.
    pub fn mark_authenticated(&self) {
        self.authenticated.store(true, Relaxed);
    }

    pub(super) fn is_request_read(&self) -> bool {
        self.request_read.load(Relaxed)
    }

    /// Marks the request as answered. From now on the connection only waits for the caller to close it.
    pub(super) fn mark_answered(&self) {
        self.answered.store(true, Relaxed);
    }

    /// Whether the connection may be closed: it is answered, or it only waits for an unauthenticated caller.
    fn may_be_closed(&self) -> bool {
        let works = self.is_request_read() || self.authenticated.load(Relaxed);
        (!works || self.answered.load(Relaxed)) && !self.closed.load(Relaxed) && !self.cut.load(Relaxed)
    }

    fn cut(&self) {
        self.cut.store(true, Relaxed);
        self.waker.wake();
    }

    /// Waits until the connection is to be closed.
    pub(super) async fn wait_until_cut(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.cut.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Wraps a body so that the connection records when it was read to its end.
    pub(super) fn track_body(self: &Arc<Self>, body: Incoming) -> TrackedBody {
        let noted = TrackedBody { body, connection: Arc::clone(self) };
        noted.mark_read_if(noted.body.is_end_stream());
        noted
    }
}

/// Records the end of a connection when it is dropped.
pub(super) struct ConnectionGuard(pub(super) Arc<Connection>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.closed.store(true, Relaxed);
    }
}

/// A body that records when it was read to its end.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Incoming,
    connection: Arc<Connection>,
}

impl TrackedBody {
    fn mark_read_if(&self, ended: bool) {
        if ended {
            self.connection.request_read.store(true, Relaxed);
        }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(std::pin::Pin::new(&mut self.body).poll_frame(context));
        self.mark_read_if(frame.is_none() || self.body.is_end_stream());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connections of a listener, oldest first. Only its accept loop uses this list, so it needs no lock.
pub(super) struct Connections {
    all: VecDeque<Arc<Connection>>,
    limit: usize,
}

impl Connections {
    /// An empty list for at most this many concurrent connections.
    pub(super) const fn new(most: usize) -> Self {
        Self { all: VecDeque::new(), limit: most }
    }

    /// Adds a connection.
    pub(super) fn register(&mut self, source: IpAddr) -> Arc<Connection> {
        let over = |connection: &Arc<Connection>| connection.closed.load(Relaxed);
        while self.all.front().is_some_and(over) {
            self.all.pop_front();
        }
        if self.all.len() >= 2 * self.limit {
            self.all.retain(|connection| !over(connection));
        }
        let connection = Arc::new(Connection::new(source.to_canonical()));
        self.all.push_back(Arc::clone(&connection));
        connection
    }

    /// Closes the oldest connections that may be closed, of the address that has most of them, so that one caller
    /// cannot hold all slots. Returns the address and how many.
    pub(super) fn close_idle(&self) -> Option<(IpAddr, usize)> {
        let now = Instant::now();
        let waiting = || {
            let old = |connection: &&Arc<Connection>| now.duration_since(connection.began) >= MIN_AGE;
            self.all.iter().take_while(old).filter(|connection| connection.may_be_closed())
        };
        let mut held: HashMap<IpAddr, usize> = HashMap::new();
        for connection in waiting() {
            *held.entry(connection.source).or_default() += 1;
        }
        let (source, _) = held.into_iter().max_by_key(|(_, held)| *held)?;
        let cut = waiting().filter(|connection| connection.source == source).take(CLOSE_BATCH);
        Some((source, cut.map(|connection| connection.cut()).count()))
    }

    /// Closes every connection.
    pub(super) fn cut_all(&self) {
        self.all.iter().for_each(|connection| connection.cut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// Closes connections to free slots, and returns their addresses.
    fn closed_addresses(connections: &Connections) -> Vec<IpAddr> {
        let before: Vec<bool> =
            connections.all.iter().map(|connection| connection.cut.load(Relaxed)).collect();
        connections.close_idle();
        let after = connections.all.iter().zip(before);
        after
            .filter(|(connection, was)| connection.cut.load(Relaxed) && !was)
            .map(|(connection, _)| connection.source)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_with_most_slots_loses_connections_and_working_ones_stay() {
        let mut connections = Connections::new(100);
        let flagger: Vec<_> = (0..3).map(|_| connections.register(from(1))).collect();
        let slow: Vec<_> = (0..40).map(|_| connections.register(from(2))).collect();
        assert!(closed_addresses(&connections).is_empty(), "all connections are new");
        tokio::time::advance(MIN_AGE).await;
        let late = connections.register(from(3));
        slow[0].mark_authenticated();
        slow[1].request_read.store(true, Relaxed);
        assert_eq!(closed_addresses(&connections), [from(2); CLOSE_BATCH]);
        assert!(!slow[0].cut.load(Relaxed) && !slow[1].cut.load(Relaxed) && slow[2].cut.load(Relaxed));
        assert_eq!(
            closed_addresses(&connections).len() + closed_addresses(&connections).len(),
            38 - CLOSE_BATCH
        );
        // The only ones left to close are one of Flagger's that waits, and one that is answered.
        flagger[0].request_read.store(true, Relaxed);
        flagger[1].mark_authenticated();
        slow[1].mark_answered();
        assert_eq!(closed_addresses(&connections).len(), 1);
        assert_eq!(closed_addresses(&connections).len(), 1);
        assert!(!flagger[0].cut.load(Relaxed) && !flagger[1].cut.load(Relaxed) && !late.cut.load(Relaxed));
        assert!(closed_addresses(&connections).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn ended_connections_are_removed() {
        let mut connections = Connections::new(4);
        let kept = connections.register(from(1));
        for _ in 0..1_000 {
            drop(ConnectionGuard(connections.register(from(2))));
        }
        assert!(connections.all.len() <= 8, "{}", connections.all.len());
        assert!(!kept.closed.load(Relaxed));
    }

    #[tokio::test]
    async fn a_connection_learns_that_it_is_cut() {
        let mut connections = Connections::new(4);
        let connection = connections.register(from(1));
        let waits = tokio::spawn({
            let connection = Arc::clone(&connection);
            async move { connection.wait_until_cut().await }
        });
        tokio::task::yield_now().await;
        connections.cut_all();
        waits.await.unwrap();
    }
}
