//! A hyper server with the bridge's timeouts that always answers 403: the bridge without its decisions. It can burn CPU
//! time before each answer, evenly and without locks, allocations or cache misses, to show how much of a delay is due
//! to CPU time alone. It is this program again, in its own process.

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

/// A running server. Killed when dropped.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Bare {
    /// Starts a server that burns this much CPU time before each answer.
    pub(crate) fn start(waste: Duration) -> anyhow::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg(format!("--bare={}", waste.as_nanos()))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut bare = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), child };
        let mut line = String::new();
        BufReader::new(bare.child.stdout.take().context("the server has no output")?).read_line(&mut line)?;
        bare.address = line.trim().parse().context("the server does not listen")?;
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

/// Serves forever.
#[expect(clippy::print_stdout, reason = "the parent process reads the address from it")]
pub(crate) async fn serve(waste: Duration) -> anyhow::Result<()> {
    let iterations = iterations_in(waste);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    // Not in the main task, which no worker thread can steal.
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(timeout(Duration::from_secs(15), connection(stream, iterations)));
        }
    })
    .await?
}

async fn connection(stream: TcpStream, iterations: u64) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5)).keep_alive(false);
    let service = service_fn(|request| answer(request, iterations));
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(request: Request<Incoming>, iterations: u64) -> Result<Response<Full<Bytes>>, Infallible> {
    drop(request.into_body().collect().await);
    burn(iterations);
    let mut response = Response::new(Full::from("closed: OPS-1 (To Do), waiting for a decision\n"));
    *response.status_mut() = StatusCode::FORBIDDEN;
    Ok(response)
}

/// Burns CPU time. The compiler cannot remove the work, and preemption does not add to it.
fn burn(turns: u64) {
    let mut state = turns;
    for iteration in 0..turns {
        state = std::hint::black_box(state.rotate_left(5) ^ iteration);
    }
}

/// How many iterations of [`waste`] take this long on this machine, by the fastest of several attempts.
fn iterations_in(time: Duration) -> u64 {
    const TURNS: u32 = 1_000_000;
    let attempts = (0..20).map(|_| {
        let begin = now();
        burn(u64::from(TURNS));
        now() - begin
    });
    let best = attempts.min().unwrap_or_default();
    (time.as_secs_f64() / best.as_secs_f64() * f64::from(TURNS)) as u64
}
