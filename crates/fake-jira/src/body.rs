//! Faulty response bodies: truncated, huge, or endless and slow.

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

/// Truncates the body in the middle, so that the connection ends early.
pub(super) async fn truncate(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let full_body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    // An empty body cannot be truncated: announce two bytes and send none.
    let length = full_body.len().max(2);
    head.headers.insert("content-length", length.into());
    if head.status == 204 {
        head.status = axum::http::StatusCode::OK;
    }
    Response::from_parts(
        head,
        Body::new(TruncatedBody { bytes: Some(full_body.slice(..full_body.len() / 2)), flushed: false }),
    )
}

/// Sends these bytes and then fails.
struct TruncatedBody {
    bytes: Option<Bytes>,
    flushed: bool,
}

impl HttpBody for TruncatedBody {
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
            // Yields once, so that the server sends the bytes before the error.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::Error::other("body truncated on purpose"))))
    }
}

/// 1 GiB of opening brackets, generated while it is sent. Counts the bytes.
pub(super) struct Flood {
    remaining: u64,
    jira: FakeJira,
}

impl Flood {
    /// 1 GiB.
    pub(super) const LENGTH: u64 = 1 << 30;
    const CHUNK: [u8; 1 << 16] = [b'['; 1 << 16];

    pub(super) const fn new(jira: FakeJira) -> Self {
        Self { remaining: Self::LENGTH, jira }
    }
}

impl HttpBody for Flood {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let length = self.remaining.min(Self::CHUNK.len() as u64);
        if length == 0 {
            return Poll::Ready(None);
        }
        self.remaining -= length;
        self.jira.lock().flooded_bytes += length;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&Self::CHUNK)))))
    }
}

/// A blank every 100 ms, without end.
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
