//! Serves one connection: the handshake, one request, and the end.

use std::{convert::Infallible, future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
    select,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    connections::Connection,
    limits::ServeLimits,
    refused::{ConnectionError, ConnectionRefused, Observer, refused},
    tls::{self, Tls},
};
use crate::http::app::{App, call_app};

/// The connection of a request, for its handler.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Connection>);

/// All that is needed to serve a connection.
pub(super) struct ConnectionTask {
    pub(super) http: http1::Builder,
    pub(super) app: App,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) limits: ServeLimits,
    pub(super) observer: Observer,
    pub(super) stop: CancellationToken,
}

impl ConnectionTask {
    pub(super) async fn connection(&self, stream: TcpStream, connection: &Arc<Connection>) {
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
