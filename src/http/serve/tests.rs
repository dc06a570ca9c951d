use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
};

use axum::{
    body::Bytes,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::Notify,
    task::JoinHandle,
    time::Instant,
};

use super::*;

mod tls;

/// Long enough for every step here, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than the socket buffers hold.
const LARGE: usize = 16 * 1024 * 1024;

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(60);

/// For callers that send nothing more.
const BRIEFLY: Duration = Duration::from_millis(20);

/// Short enough to wait for, long enough not to be reached by accident.
fn limits() -> ServeLimits {
    ServeLimits {
        connections: 8,
        headers: Duration::from_millis(300),
        total: Duration::from_millis(900),
        linger: Duration::from_millis(300),
        begin: Duration::from_millis(300),
        grace: PATIENCE,
    }
}

struct Running {
    at: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn running(app: Router, tls: Option<Arc<Tls>>, limits: ServeLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(serve(listener, app, tls, limits, stop.clone()));
    Running { at, stop, task }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    async fn stops(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

fn app() -> Router {
    Router::new()
        .route("/", post(async |body: Bytes| format!("{} bytes", body.len())))
        .route("/large", get(async || "x".repeat(LARGE)))
        .route("/panic", post(async || -> &str { panic!("a bug") }))
        .layer(DefaultBodyLimit::max(64 * 1024))
}

const REQUEST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

/// Everything that arrives until the other side closes or resets the connection.
async fn rest(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = vec![];
    let _ = timeout(PATIENCE, io.read_to_end(&mut bytes)).await.expect("the connection is still open");
    String::from_utf8(bytes).unwrap()
}

async fn send_and_read(io: &mut (impl AsyncRead + AsyncWrite + Unpin), words: &str) -> String {
    io.write_all(words.as_bytes()).await.unwrap();
    rest(io).await
}

#[tokio::test]
async fn a_connection_carries_one_request() {
    let server = running(app(), None, limits()).await;
    let answer = send_and_read(&mut server.connect().await, &format!("{REQUEST}{REQUEST}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n2 bytes"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    server.stops().await;
}

/// After reading the answer the caller need not wait for the end of the connection: both arrive together.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_answer_comes_with_the_end_of_its_connection() {
    let server = running(app(), None, limits()).await;
    let at = server.at;
    let asking = tokio::task::spawn_blocking(move || {
        for _ in 0..50 {
            let mut stream = std::net::TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(REQUEST.as_bytes()).unwrap();
            let mut bytes = [0; 4096];
            assert!(stream.read(&mut bytes).unwrap() > 0);
            stream.set_nonblocking(true).unwrap();
            assert_eq!(stream.read(&mut bytes).ok(), Some(0));
        }
    });
    asking.await.unwrap();
    server.stops().await;
}

#[tokio::test]
async fn half_open_connections_are_closed_and_make_room() {
    let limits = ServeLimits { connections: 2, total: FOREVER, ..limits() };
    let server = running(app(), None, limits).await;
    let mut silent = server.connect().await;
    let mut begun = server.connect().await;
    begun.write_all(b"P").await.unwrap();
    // No slot is free for this one until one of those connections is closed.
    let began = Instant::now();
    let answer = send_and_read(&mut server.connect().await, REQUEST).await;
    assert!(answer.ends_with("2 bytes"), "{answer}");
    assert!(began.elapsed() >= limits.headers / 2, "{:?}", began.elapsed());
    for half_open in [&mut silent, &mut begun] {
        assert!(!rest(half_open).await.starts_with("HTTP/1.1 2"));
    }
    server.stops().await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let server = running(app(), None, ServeLimits { connections: 1, ..limits() }).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhi").await.unwrap();
    assert!(send_and_read(&mut server.connect().await, REQUEST).await.ends_with("2 bytes"));
    assert_eq!(rest(&mut stuck).await, "");
    server.stops().await;
}

#[tokio::test]
async fn trickling_headers_do_not_keep_a_connection() {
    let server = running(app(), None, ServeLimits { total: FOREVER, ..limits() }).await;
    let (mut read, mut write) = server.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        // Slow enough that the request is not refused for the number of its headers.
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let mut words = "POST / HTTP/1.1\r\n";
        while write.write_all(words.as_bytes()).await.is_ok() {
            words = "X-Y: z\r\n";
            pace.tick().await;
        }
    });
    let answer = rest(&mut read).await;
    assert!(!answer.starts_with("HTTP/1.1 2") && !answer.contains("431"), "{answer}");
    drop(read);
    timeout(PATIENCE, trickle).await.unwrap().unwrap();
    server.stops().await;
}

#[tokio::test]
async fn a_caller_that_stays_after_the_answer_does_not_block() {
    let limits = ServeLimits { connections: 1, total: PATIENCE, headers: PATIENCE, ..limits() };
    let server = running(app(), None, limits).await;
    let mut idle = vec![];
    for _ in 0..3 {
        let mut io = server.connect().await;
        assert!(send_and_read(&mut io, REQUEST).await.ends_with("2 bytes"));
        idle.push(io);
    }
    server.stops().await;
}

#[tokio::test]
async fn a_refused_body_does_not_cost_the_answer() {
    let server = running(app(), None, ServeLimits { total: PATIENCE, ..limits() }).await;
    let size = 2 * 1024 * 1024;
    for _ in 0..5 {
        let mut io = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
        let answer = send_and_read(&mut io, &format!("{head}{}", "x".repeat(size))).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    server.stops().await;
}

/// The number of bytes that arrive until the other side closes; it must not reset the connection.
async fn all(io: &mut (impl AsyncRead + Unpin)) -> usize {
    let (mut count, mut some) = (0, vec![0; 1_024]);
    loop {
        match timeout(PATIENCE, io.read(&mut some)).await.expect("it is still open").expect("it was reset") {
            0 => return count,
            read => count += read,
        }
    }
}

#[tokio::test]
async fn an_answer_is_not_cut_however_the_request_ends() {
    let server = running(app(), None, ServeLimits { total: FOREVER, linger: PATIENCE, ..limits() }).await;
    let large = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut io = server.connect().await;
    io.write_all(large.as_bytes()).await.unwrap();
    assert!(all(&mut io).await > LARGE);
    // The caller sends much more than the request.
    let (mut read, mut write) = server.connect().await.into_split();
    let writes = tokio::spawn(async move {
        write.write_all(format!("{large}{}", "y".repeat(LARGE)).as_bytes()).await.unwrap();
        drop(write);
    });
    assert!(all(&mut read).await > LARGE);
    writes.await.unwrap();
    // A body in chunks.
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let mut io = server.connect().await;
    io.write_all(chunked.as_bytes()).await.unwrap();
    assert!(all(&mut io).await > 100);
    server.stops().await;
}

#[tokio::test]
async fn a_panic_is_answered_and_ends_one_connection() {
    let server = running(app(), None, limits()).await;
    let words = "POST /panic HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let answer = send_and_read(&mut server.connect().await, words).await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.ends_with("see the bridge's log\n"), "{answer}");
    assert!(send_and_read(&mut server.connect().await, REQUEST).await.ends_with("2 bytes"));
    server.stops().await;
}

/// An app with two notifications: it sends the first when a request arrives, and answers after the second.
fn slow() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&go));
    let handler = async move || {
        tell.notify_one();
        wait.notified().await;
        "done"
    };
    (Router::new().route("/", post(handler)), asked, go)
}

#[tokio::test]
async fn requests_in_hand_are_finished() {
    let (app, asked, go) = slow();
    let server = running(app, None, ServeLimits { total: PATIENCE, ..limits() }).await;
    let mut io = server.connect().await;
    io.write_all(REQUEST.as_bytes()).await.unwrap();
    timeout(PATIENCE, asked.notified()).await.unwrap();
    server.stop.cancel();
    while TcpStream::connect(server.at).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    assert!(rest(&mut io).await.ends_with("done"));
    server.stops().await;
}

#[tokio::test]
async fn running_requests_are_cut_off_after_the_grace() {
    let (app, asked, _) = slow();
    let limits = ServeLimits { total: FOREVER, grace: Duration::from_millis(100), ..limits() };
    let server = running(app, None, limits).await;
    let mut io = server.connect().await;
    io.write_all(REQUEST.as_bytes()).await.unwrap();
    timeout(PATIENCE, asked.notified()).await.unwrap();
    server.stops().await;
    assert_eq!(rest(&mut io).await, "");
}

/// Callers that have connected and sent a request before the listener has run: only the kernel knows of them.
fn waiting(at: SocketAddr, callers: usize) -> Vec<std::net::TcpStream> {
    let asks = |_| {
        let mut io = std::net::TcpStream::connect(at).unwrap();
        std::io::Write::write_all(&mut io, REQUEST.as_bytes()).unwrap();
        io.set_nonblocking(true).unwrap();
        io
    };
    (0..callers).map(asks).collect()
}

/// The test has one thread, so the listener does not run between the connects and the stop.
#[tokio::test]
async fn a_caller_that_connected_before_the_stop_is_answered() {
    for connections in [1, 2, 64] {
        let limits =
            ServeLimits { connections, begin: PATIENCE, total: PATIENCE, linger: BRIEFLY, ..limits() };
        let server = running(app(), None, limits).await;
        let (at, callers) = (server.at, waiting(server.at, 10));
        server.stop.cancel();
        for io in callers {
            let answer = rest(&mut TcpStream::from_std(io).unwrap()).await;
            assert!(answer.ends_with("2 bytes"), "{connections} at a time: {answer:?}");
        }
        server.stops().await;
        assert!(TcpStream::connect(at).await.is_err(), "no further connection is accepted");
    }
}

/// The stop comes after the connection was accepted and before its request was read.
#[tokio::test]
async fn a_request_that_was_not_read_before_the_stop_is_answered() {
    let limits = ServeLimits { begin: PATIENCE, total: PATIENCE, linger: BRIEFLY, ..limits() };
    for _ in 0..20 {
        let server = running(app(), None, limits).await;
        let mut io = server.connect().await;
        tokio::task::yield_now().await;
        server.stop.cancel();
        assert!(send_and_read(&mut io, REQUEST).await.ends_with("2 bytes"));
        server.stops().await;
    }
}

#[tokio::test]
async fn a_silent_caller_does_not_delay_the_stop() {
    let limits = ServeLimits { headers: FOREVER, total: FOREVER, grace: FOREVER, ..limits() };
    let server = running(app(), None, limits).await;
    let mut silent = server.connect().await;
    let _backlog = waiting(server.at, 1);
    server.stops().await;
    assert_eq!(rest(&mut silent).await, "");
}

/// A caller that has connected waits for a slot no longer than the grace period.
#[tokio::test]
async fn a_caller_without_a_slot_does_not_delay_the_stop() {
    let (app, asked, _) = slow();
    let limits =
        ServeLimits { connections: 1, total: FOREVER, grace: Duration::from_millis(100), ..limits() };
    let server = running(app, None, limits).await;
    let mut io = server.connect().await;
    io.write_all(REQUEST.as_bytes()).await.unwrap();
    timeout(PATIENCE, asked.notified()).await.unwrap();
    let _backlog = waiting(server.at, 3);
    server.stops().await;
    assert_eq!(rest(&mut io).await, "");
}
