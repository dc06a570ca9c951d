//! Bodies that go wrong: cut off, endless, or too slow.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::Response,
};
use hyper::body::{Body as HttpBody, Frame};
use tokio::time::{Sleep, sleep};

use super::fake::FakeJira;

/// The same answer, ending in the middle of its body.
pub(super) async fn cut(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    // Without a body there is nothing to cut: promise one that never comes.
    let length = whole.len().max(2);
    head.headers.insert("content-length", length.into());
    if head.status == 204 {
        head.status = axum::http::StatusCode::OK;
    }
    Response::from_parts(
        head,
        Body::new(Half { bytes: Some(whole.slice(..whole.len() / 2)), flushed: false }),
    )
}

/// A body that breaks off.
struct Half {
    bytes: Option<Bytes>,
    flushed: bool,
}

impl HttpBody for Half {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(bytes) = self.bytes.take().filter(|b| !b.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !self.flushed {
            // Gives the server a turn to send what it has.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::Error::other("cut on purpose"))))
    }
}

/// The beginning of a text in JSON, 1 GiB long, made while it is sent.
pub(super) struct Flood {
    left: u64,
    jira: FakeJira,
}

impl Flood {
    /// 1 GiB.
    pub(super) const LENGTH: u64 = 1 << 30;
    const CHUNK: [u8; 1 << 16] = [b'['; 1 << 16];

    pub(super) const fn new(jira: FakeJira) -> Self {
        Self { left: Self::LENGTH, jira }
    }
}

impl HttpBody for Flood {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let length = self.left.min(Self::CHUNK.len() as u64);
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length;
        self.jira.lock().flooded += length;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&Self::CHUNK)))))
    }
}

/// A blank each tenth of a second, without end.
#[derive(Default)]
pub(super) struct Trickle {
    next: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Trickle {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(next) = &mut self.next {
            ready!(next.as_mut().poll(context));
        }
        self.next = Some(Box::pin(sleep(Duration::from_millis(100))));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}
