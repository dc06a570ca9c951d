//! The body of a watch's answer, which lasts as long as the watch.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    fake::FakeKubernetes,
    watch::{Next, Watch},
};

/// Sends what the watch has to send, until it ends or the caller leaves.
pub(super) fn body(fake: FakeKubernetes, watch: Watch) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(run(fake, watch, sender));
    Body::new(Lines(receiver))
}

struct Lines(mpsc::Receiver<io::Result<Bytes>>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|next| next.map(|text| text.map(Frame::data)))
    }
}

async fn run(fake: FakeKubernetes, mut watch: Watch, sender: mpsc::Sender<io::Result<Bytes>>) {
    let mut changed = fake.lock().changed.subscribe();
    loop {
        changed.mark_unchanged();
        let next = watch.next(&fake.lock(), Instant::now());
        let (text, until, ends) = match next {
            Next::Wait(text, until) => (Ok(text), Some(until), false),
            Next::Hang => (Ok(String::new()), None, false),
            Next::End(text) => (Ok(text), None, true),
            Next::Cut => (Err(io::Error::other("the connection was cut on purpose")), None, true),
        };
        let is_empty = text.as_ref().is_ok_and(String::is_empty);
        // It fails if the caller has left.
        if !is_empty && sender.send(text.map(Bytes::from)).await.is_err() || ends {
            return;
        }
        tokio::select! {
            // Never fails: the sender lives as long as this server.
            _ = changed.changed() => {}
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            () = sender.closed() => return,
        }
    }
}
