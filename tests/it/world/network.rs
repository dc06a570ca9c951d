//! TLS servers, proxies, and a volume whose files are replaced as Kubernetes does it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};
use tokio_util::sync::CancellationToken;

/// The path of a file in `fixtures/tls`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name)
}

/// The content of a file in `fixtures/tls`.
pub(crate) fn pem(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// A secret volume as Kubernetes mounts it: each file is a link through `..data`, which is replaced as a whole.
pub(crate) struct Mounted {
    root: TempDir,
    version: usize,
}

impl Mounted {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let mut mounted = Self { root: tempfile::tempdir().unwrap(), version: 0 };
        mounted.holds(files);
        for (name, _) in files {
            std::os::unix::fs::symlink(Path::new("..data").join(name), mounted.path(name)).unwrap();
        }
        mounted
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Replaces the volume's files by these.
    pub(crate) fn holds(&mut self, files: &[(&str, &[u8])]) {
        self.version += 1;
        let version = format!("..version-{}", self.version);
        std::fs::create_dir(self.path(&version)).unwrap();
        for (name, bytes) in files {
            std::fs::write(self.path(&version).join(name), bytes).unwrap();
        }
        std::os::unix::fs::symlink(&version, self.path("..data_tmp")).unwrap();
        std::fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
    }
}

/// Terminates TLS before a plain server.
pub(crate) struct TlsFront {
    pub(crate) port: u16,
    shown: Arc<Mutex<(TlsAcceptor, CancellationToken)>>,
}

impl TlsFront {
    /// Starts one before the server at `behind`, with a certificate of `fixtures/tls`.
    pub(crate) async fn start(certificate: &str, behind: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = Arc::new(Mutex::new((acceptor(certificate), CancellationToken::new())));
        let shows = Arc::clone(&shown);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, cut) = shows.lock().unwrap().clone();
                let behind = behind.clone();
                tokio::spawn(cut.run_until_cancelled_owned(async move {
                    // A client that rejects the certificate closes the connection.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        forward(stream, &behind).await;
                    }
                }));
            }
        });
        Self { port, shown }
    }

    /// Uses another certificate from now on, and closes the open connections.
    pub(crate) fn shows(&self, certificate: &str) {
        let mut shown = self.shown.lock().unwrap();
        shown.1.cancel();
        *shown = (acceptor(certificate), CancellationToken::new());
    }
}

fn acceptor(certificate: &str) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_file(fixture(&format!("{certificate}.crt.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture(&format!("{certificate}.key.pem"))).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn forward(mut stream: impl AsyncRead + AsyncWrite + Unpin, behind: &str) {
    let mut behind = TcpStream::connect(behind).await.unwrap();
    // Either side may close the connection without a TLS close_notify.
    let _ = copy_bidirectional(&mut stream, &mut behind).await;
}

/// An HTTP proxy that forwards each connection to one server.
pub(crate) struct Proxy {
    pub(crate) address: String,
    request_lines: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts a proxy to `behind`. With a password, a request without it in `Proxy-Authorization` gets 407.
    pub(crate) async fn start(behind: String, password: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let request_lines = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&request_lines);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(forward_http(stream, behind.clone(), password, Arc::clone(&received)));
            }
        });
        Self { address, request_lines }
    }

    /// The first request line of each connection.
    pub(crate) fn request_lines(&self) -> Vec<String> {
        self.request_lines.lock().unwrap().clone()
    }
}

async fn forward_http(
    mut stream: TcpStream,
    behind: String,
    password: Option<&str>,
    request_lines: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8(head.clone()).unwrap();
    request_lines.lock().unwrap().push(text.lines().next().unwrap().to_owned());
    let has_password = |password| {
        text.lines()
            .any(|line| line.to_lowercase().starts_with("proxy-authorization:") && line.ends_with(password))
    };
    if !password.is_none_or(has_password) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all(refusal.as_bytes()).await;
        return;
    }
    let mut server = TcpStream::connect(behind).await.unwrap();
    if text.starts_with("CONNECT ") {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        server.write_all(&head).await.unwrap();
    }
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

/// How a TCP proxy treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It forwards all bytes.
    Open,
    /// It closes open and new connections.
    Cut,
    /// It keeps connections open and forwards nothing.
    Silent,
}

/// A proxy before PostgreSQL. Returns its address and the switch for its mode.
async fn proxy(server: &str) -> (std::net::SocketAddr, watch::Sender<Way>) {
    let (ways, way) = watch::channel(Way::Open);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (listener.local_addr().unwrap(), server.to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward_tcp(stream, server.clone(), way.clone()));
        }
    });
    (address, ways)
}

/// The address of a PostgreSQL database through a proxy, and the switch for the proxy's mode.
pub(crate) async fn proxied(url: &str) -> (String, watch::Sender<Way>) {
    let mut url = reqwest::Url::parse(url).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let (address, way) = proxy(&server).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(address.port())).unwrap();
    (url.into(), way)
}

async fn forward_tcp(mut stream: TcpStream, server: String, mut way: watch::Receiver<Way>) {
    let mut upstream = TcpStream::connect(server).await.unwrap();
    let now = *way.borrow_and_update();
    if now == Way::Open {
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut upstream) => return,
            _ = way.changed() => {}
        }
    }
    let now = *way.borrow();
    if now == Way::Silent {
        // A silent connection stays silent.
        std::future::pending::<()>().await;
    }
}
