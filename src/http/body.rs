//! Reads request bodies. The bodies of all unauthenticated callers share one memory limit.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::{select, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::lock::lock;

/// The most memory that all bodies of unauthenticated callers may use together, in bytes.
const MAX_SHARED_BYTES: usize = 8 * 1024 * 1024;
/// A body of up to this many bytes is not counted: it arrives in a few packets, which each connection buffers anyway.
const UNCOUNTED_BYTES: usize = 8 * 1024;
/// How long to wait for the body of a request that is refused anyway, to log which canary it is about.
const PEEK_TIMEOUT: Duration = Duration::from_millis(250);

/// The bytes that the bodies of unauthenticated callers use, on all listeners.
#[derive(Debug, Default)]
pub struct Bodies(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: usize,
    next: u64,
    /// Oldest first.
    bodies: BTreeMap<u64, (usize, CancellationToken)>,
}

impl Bodies {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Registers one more body.
    fn begin(self: &Arc<Self>) -> HeldMemory {
        let (mut state, cut) = (self.state(), CancellationToken::new());
        let id = state.next;
        state.next += 1;
        state.bodies.insert(id, (0, cut.clone()));
        HeldMemory { bodies: Arc::clone(self), id, cut }
    }
}

/// The bytes that one body uses. Dropping it releases them.
#[derive(Debug)]
pub(super) struct HeldMemory {
    bodies: Arc<Bodies>,
    id: u64,
    cut: CancellationToken,
}

impl HeldMemory {
    /// Reserves `by` more bytes. Beyond the limit, cancels the oldest bodies. Returns false if that includes this one.
    fn grow(&self, by: usize) -> bool {
        let mut state = self.bodies.state();
        let Some((mine, _)) = state.bodies.get_mut(&self.id) else { return false };
        *mine += by;
        state.held += by;
        while state.held > MAX_SHARED_BYTES
            && let Some((_, (bytes, cut))) = state.bodies.pop_first()
        {
            state.held -= bytes;
            cut.cancel();
        }
        state.bodies.contains_key(&self.id)
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        let mut state = self.bodies.state();
        if let Some((bytes, _)) = state.bodies.remove(&self.id) {
            state.held -= bytes;
        }
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is longer than allowed.
    TooLarge,
    /// The caller did not send all of it.
    Incomplete,
    /// Unauthenticated callers send too much at the same time.
    MemoryLimit,
}

impl BodyError {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::MemoryLimit => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::TooLarge => "the body is too large",
            Self::Incomplete => "the body ended early",
            Self::MemoryLimit => "too many large bodies arrive at the same time; send it again",
        }
    }
}

/// Who sends a body.
#[derive(Clone, Copy)]
pub(super) enum Sender<'a> {
    /// A caller that has authenticated.
    Authenticated,
    /// A caller that has not; its body counts against this shared limit.
    Unauthenticated(&'a Arc<Bodies>),
}

/// Reads a whole body. The caller drops the returned [`HeldMemory`] once it has authenticated the sender.
///
/// # Errors
/// If the body is longer than `limit` bytes or incomplete, or if unauthenticated callers use too much memory.
pub(super) async fn read_body(
    mut body: Body,
    limit: usize,
    sender: Sender<'_>,
) -> Result<(Bytes, Option<HeldMemory>), BodyError> {
    let declared = body.size_hint();
    if usize::try_from(declared.lower()).is_ok_and(|least| least > limit) {
        return Err(BodyError::TooLarge);
    }
    let Some(first) = next_chunk(&mut body, None).await? else { return Ok((Bytes::new(), None)) };
    if first.len() > limit {
        return Err(BodyError::TooLarge);
    }
    if body.is_end_stream() {
        return Ok((first, None));
    }
    // Boxed to keep the common future small.
    Box::pin(read_rest(body, first, limit, sender)).await
}

/// Reads the rest of a body that did not arrive at once. Copies it, because a small slice would keep its whole read
/// buffer alive.
async fn read_rest(
    mut body: Body,
    first: Bytes,
    limit: usize,
    sender: Sender<'_>,
) -> Result<(Bytes, Option<HeldMemory>), BodyError> {
    let mut all = Vec::with_capacity(UNCOUNTED_BYTES.max(first.len()).min(limit));
    all.extend_from_slice(&first);
    drop(first);
    let mut held: Option<HeldMemory> = None;
    while let Some(more) = next_chunk(&mut body, held.as_ref()).await? {
        if all.len() + more.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if let Sender::Unauthenticated(bodies) = sender
            && all.len() + more.len() > UNCOUNTED_BYTES
        {
            let by = if held.is_some() { more.len() } else { all.len() + more.len() };
            if !held.get_or_insert_with(|| bodies.begin()).grow(by) {
                return Err(BodyError::MemoryLimit);
            }
        }
        all.extend_from_slice(&more);
    }
    Ok((all.into(), held))
}

/// The next bytes; `None` at the end.
async fn next_chunk(body: &mut Body, held: Option<&HeldMemory>) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = match held {
            None => body.frame().await,
            Some(held) => select! {
                biased;
                () = held.cut.cancelled() => return Err(BodyError::MemoryLimit),
                frame = body.frame() => frame,
            },
        };
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyError::Incomplete),
            Some(Ok(frame)) => {
                // Trailers are ignored.
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// The body of a request that is refused anyway, if all of it arrives in time: the log names the canary in it.
pub(super) async fn peek(body: Body, limit: usize, bodies: &Arc<Bodies>) -> Option<Bytes> {
    let size = body.size_hint().exact().and_then(|size| usize::try_from(size).ok())?;
    if size == 0 || size > limit {
        return None;
    }
    let read = read_body(body, limit, Sender::Unauthenticated(bodies));
    timeout(PEEK_TIMEOUT, read).await.ok()?.ok().map(|(bytes, _)| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(bodies: &Bodies) -> usize {
        bodies.state().held
    }

    #[test]
    fn the_oldest_bodies_make_room_and_give_back_what_they_held() {
        let bodies = Arc::<Bodies>::default();
        let [old, young] = [bodies.begin(), bodies.begin()];
        assert!(old.grow(MAX_SHARED_BYTES / 2) && young.grow(MAX_SHARED_BYTES / 2));
        assert!(young.grow(1), "the younger body continues");
        assert!(old.cut.is_cancelled() && !young.cut.is_cancelled());
        assert!(!old.grow(1));
        assert_eq!(held(&bodies), MAX_SHARED_BYTES / 2 + 1);
        assert!(!young.grow(MAX_SHARED_BYTES), "more than the limit");
        assert_eq!(held(&bodies), 0);
        drop((old, young));
        assert_eq!(held(&bodies), 0);
        let last = bodies.begin();
        assert!(last.grow(10));
        drop(last);
        assert_eq!((held(&bodies), bodies.state().bodies.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_not_at_all() {
        let bodies = Arc::<Bodies>::default();
        let chunks = |sizes: &[usize]| {
            let chunks: Vec<_> =
                sizes.iter().map(|size| Ok::<_, std::io::Error>("x".repeat(*size))).collect();
            Body::from_stream(futures_util::stream::iter(chunks))
        };
        for sizes in [&[][..], &[5], &[5, 0, 7], &[UNCOUNTED_BYTES, 1], &[20_000, 20_000]] {
            let sent: usize = sizes.iter().sum();
            for sender in [Sender::Authenticated, Sender::Unauthenticated(&bodies)] {
                let (bytes, kept) = read_body(chunks(sizes), 50_000, sender).await.unwrap();
                assert_eq!(bytes.len(), sent);
                let counts = matches!(sender, Sender::Unauthenticated(_)) && sent > UNCOUNTED_BYTES;
                assert_eq!((kept.is_some(), held(&bodies)), (counts, if counts { sent } else { 0 }));
            }
            assert_eq!(held(&bodies), 0);
        }
        let large =
            read_body(chunks(&[20_000, 20_000, 20_000]), 50_000, Sender::Unauthenticated(&bodies)).await;
        assert_eq!(large.unwrap_err(), BodyError::TooLarge);
        assert_eq!(held(&bodies), 0);
        assert_eq!(
            read_body(Body::from("x".repeat(11)), 10, Sender::Authenticated).await.unwrap_err(),
            BodyError::TooLarge
        );
    }
}
