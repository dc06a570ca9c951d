//! A request's body that notes whether it was read to its end.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Whether the body was read to its end. Shared with the connection that it comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same body, which notes its end here.
    pub(super) fn of(&self, body: Incoming) -> Noted {
        let noted = Noted { body, ended: self.clone() };
        noted.note(noted.body.is_end_stream());
        noted
    }
}

/// A body that notes its end.
#[derive(Debug)]
pub(super) struct Noted {
    body: Incoming,
    ended: Ended,
}

impl Noted {
    fn note(&self, ended: bool) {
        if ended {
            self.ended.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Body for Noted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.note(frame.is_none() || self.body.is_end_stream());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
