//! hyper that answers 403 and decides nothing, with the bridge's time limits: what is left of the bridge if nothing is to
//! be decided. Told to, it wastes CPU before each answer, evenly and without a lock, an allocation or a miss of the cache: how
//! much of a delay is only the price of so much CPU. It is this program again, in a process of its own.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::client::now;

/// A running one. Killed when dropped.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Bare {
    /// Starts one that wastes so much CPU on each answer.
    pub(crate) fn start(waste: Duration) -> anyhow::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg(format!("--bare={}", waste.as_nanos()))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut bare = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), child };
        let mut line = String::new();
        BufReader::new(bare.child.stdout.take().context("it says nothing")?).read_line(&mut line)?;
        bare.address = line.trim().parse().context("it does not listen")?;
        Ok(bare)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves for ever.
#[expect(clippy::print_stdout, reason = "that is how the other process learns the address")]
pub(crate) async fn serve(waste: Duration) -> anyhow::Result<()> {
    let turns = turns_in(waste);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    // Not in the main task, which is nobody's to steal.
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(timeout(Duration::from_secs(15), connection(stream, turns)));
        }
    })
    .await?
}

async fn connection(stream: TcpStream, turns: u64) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5)).keep_alive(false);
    let service = service_fn(|request| answer(request, turns));
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(request: Request<Incoming>, turns: u64) -> Result<Response<Full<Bytes>>, Infallible> {
    drop(request.into_body().collect().await);
    waste(turns);
    let mut response = Response::new(Full::from("closed: OPS-1 (To Do), waiting for a decision\n"));
    *response.status_mut() = StatusCode::FORBIDDEN;
    Ok(response)
}

/// Work that nothing can be left out of, and that is no longer for being interrupted.
fn waste(turns: u64) {
    let mut state = turns;
    for tx in 0..turns {
        state = std::hint::black_box(state.rotate_left(5) ^ tx);
    }
}

/// How many turns of [`waste`] take so long here: by the best of some attempts.
fn turns_in(time: Duration) -> u64 {
    const TURNS: u32 = 1_000_000;
    let attempts = (0..20).map(|_| {
        let begin = now();
        waste(u64::from(TURNS));
        now() - begin
    });
    let best = attempts.min().unwrap_or_default();
    (time.as_secs_f64() / best.as_secs_f64() * f64::from(TURNS)) as u64
}
