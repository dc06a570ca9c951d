//! The HTTP server: reads requests, records them, and writes answers.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{
    answer::Answer,
    call::Call,
    fake::FakeKubernetes,
    recorded::Recorded,
    route::{self, Reply},
    stream,
};

impl FakeKubernetes {
    /// Serves on a free port of 127.0.0.1 until the runtime ends. Returns the base URL.
    ///
    /// # Errors
    /// If it cannot bind a port.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        self.lock().url.clone_from(&url);
        tokio::spawn(self.clone().accept(listener));
        Ok(url)
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let fake = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| fake.clone().handle(request));
                // The caller may disconnect at any time.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        // The real server takes 3 MiB.
        let Ok(raw) = axum::body::to_bytes(Body::new(body), 3 << 20).await else {
            return Ok(respond(413, Body::empty()));
        };
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&head.uri);
        let call = Call {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: query.map(|query| query.0).unwrap_or_default(),
            headers: head.headers,
            json: serde_json::from_slice(&raw).ok(),
        };
        let number = self.record(&call);
        self.while_hanging().await;
        let reply = {
            let mut state = self.lock();
            let reply = route::reply(&mut state, &call);
            let status = match &reply {
                Reply::Answer(answer) => answer.status,
                Reply::Watch(_) => 200,
            };
            if let Some((_, recorded)) = state.requests.iter_mut().find(|(of, _)| *of == number) {
                recorded.status = Some(status);
            }
            // An Event may have been created.
            state.changed.send_replace(());
            reply
        };
        Ok(match reply {
            Reply::Answer(Answer { status, body, .. }) => respond(status, Body::from(body.to_string())),
            Reply::Watch(watch) => respond(200, stream::body(self, watch)),
        })
    }

    /// Returns the number of the request.
    fn record(&self, call: &Call) -> u64 {
        let mut state = self.lock();
        state.last_request += 1;
        let number = state.last_request;
        let recorded = Recorded {
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            status: None,
        };
        state.requests.push((number, recorded));
        number
    }

    /// Waits while nothing is answered.
    async fn while_hanging(&self) {
        let mut changed = self.lock().changed.subscribe();
        while self.lock().hanging {
            // Never fails: the sender lives as long as this server.
            changed.changed().await.ok();
        }
    }
}

fn respond(status: u16, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("Content-Type", "application/json")
        .body(body)
        .unwrap_or_default()
}
