//! A relay to Jira that holds back answers.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use fake_jira::FakeJira;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::world::program::program;

/// A relay to Jira that holds back the answers to some requests.
pub(super) struct Relay {
    url: String,
    /// Answers to POST requests to a path with this ending are held. `None` releases all.
    held: Arc<watch::Sender<Option<&'static str>>>,
}

impl Relay {
    pub(super) async fn before(jira: &FakeJira) -> Self {
        let mut url = reqwest::Url::parse(&jira.base_url()).unwrap();
        let there = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let held = Arc::new(watch::Sender::new(None));
        let holds = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let there = TcpStream::connect(&there).await.unwrap();
                tokio::spawn(pass(caller, there, Arc::clone(&holds)));
            }
        });
        Self { url: url.to_string().trim_end_matches('/').to_owned(), held }
    }

    pub(super) fn holds(&self, path: Option<&'static str>) {
        self.held.send_replace(path);
    }

    /// The program with this relay as Jira.
    pub(super) fn program(&self) -> Command {
        let mut program = program();
        program.env("BRIDGE__JIRA__URL", &self.url);
        program
    }
}

async fn pass(caller: TcpStream, there: TcpStream, held: Arc<watch::Sender<Option<&'static str>>>) {
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_there, mut to_there) = there.into_split();
    // Whether the current request on this connection is held; requests do not overlap.
    let holding = Arc::new(Mutex::new(false));
    let (holds, path) = (Arc::clone(&holding), Arc::clone(&held));
    tokio::spawn(async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_caller.read(&mut bytes).await {
            let path = *path.borrow();
            let line = String::from_utf8_lossy(&bytes[..read]);
            let line = line.lines().next().unwrap_or_default();
            if line.ends_with(" HTTP/1.1") {
                let end = path.map(|path| format!("{path} HTTP/1.1"));
                *holds.lock().unwrap() =
                    line.starts_with("POST ") && end.is_some_and(|end| line.ends_with(&end));
            }
            if to_there.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_there.read(&mut bytes).await {
        if *holding.lock().unwrap() {
            held.subscribe().wait_for(Option::is_none).await.unwrap();
        }
        if to_caller.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
