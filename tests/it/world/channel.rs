//! A team's channel, which takes messages on a port of this machine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, response::Response, routing::any};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

/// What a channel does with a message.
#[derive(Clone, Debug)]
pub(crate) enum Channel {
    /// Takes it.
    Takes,
    /// Answers with this status, headers and body.
    Answers(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Takes it, and does not answer until the test changes what it does.
    Holds,
}

/// The messages that a channel got.
#[derive(Clone)]
pub(crate) struct FakeChannel(Arc<Shared>);

struct Shared {
    url: String,
    got: Mutex<Vec<Value>>,
    does: watch::Sender<Channel>,
}

impl FakeChannel {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("http://{}/services/T0/B0/swordfish-of-the-channel", listener.local_addr().unwrap());
        let (does, _) = watch::channel(Channel::Takes);
        let own = Self(Arc::new(Shared { url, got: Mutex::default(), does }));
        let app = Router::new().fallback(any(take)).with_state(own.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        own
    }

    /// The settings for one channel in this format.
    pub(crate) fn settings(&self, format: &str) -> String {
        format!("[[notify]]\nurl = \"{}\"\nformat = \"{format}\"\n", self.url())
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn does(&self, what: Channel) {
        self.0.does.send_replace(what);
    }

    /// All bodies, also those that it refused.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.0.got.lock().unwrap().clone()
    }

    /// The field `text` of all messages.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.bodies().iter().map(|body| body["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The field `event` of all messages; of each that came twice once. Asserts that none came more often.
    pub(crate) fn events(&self) -> Vec<String> {
        let (mut events, mut times) = (Vec::new(), BTreeMap::<String, u32>::new());
        for body in self.bodies() {
            let times = times.entry(body["id"].to_string()).or_default();
            *times += 1;
            assert!(*times <= 2, "{body}");
            if *times == 1 {
                events.push(body["event"].as_str().unwrap().to_owned());
            }
        }
        events
    }
}

async fn take(State(channel): State<FakeChannel>, body: Bytes) -> Response {
    channel.0.got.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    let mut does = channel.0.does.subscribe();
    let answer = |status: u16, headers: &[(&'static str, &'static str)], body: &'static str| {
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    };
    loop {
        let now = does.borrow_and_update().clone();
        match now {
            Channel::Takes => return answer(200, &[], "ok"),
            Channel::Answers(status, headers, body) => return answer(status, headers, body),
            Channel::Holds => does.changed().await.unwrap(),
        }
    }
}
