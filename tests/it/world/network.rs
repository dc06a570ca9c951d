//! What is between the bridge and the others: TLS, a proxy, and files that are replaced as Kubernetes does it.

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

/// One of `fixtures/tls`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name)
}

/// What is in one of them.
pub(crate) fn pem(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// A volume of secrets: each file is a link through `..data`, and that is swapped as a whole.
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

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// From now on these files and no others are there.
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

/// Speaks TLS before something that does not.
pub(crate) struct Front {
    pub(crate) port: u16,
    shown: Arc<Mutex<(TlsAcceptor, CancellationToken)>>,
}

impl Front {
    /// Before what listens at `behind`, with a certificate of `fixtures/tls`.
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
                    // Who does not like the certificate goes away.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        joined(stream, &behind).await;
                    }
                }));
            }
        });
        Self { port, shown }
    }

    /// Shows another certificate from now on, and ends the connections there are.
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

async fn joined(mut stream: impl AsyncRead + AsyncWrite + Unpin, behind: &str) {
    let mut behind = TcpStream::connect(behind).await.unwrap();
    // Either may leave without a word.
    let _ = copy_bidirectional(&mut stream, &mut behind).await;
}

/// A proxy that leads to one place, whatever it is asked for.
pub(crate) struct Proxy {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// To `behind`. With a password, who does not send it in `Proxy-Authorization` as this is answered 407.
    pub(crate) async fn start(behind: String, password: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(passes(stream, behind.clone(), password, Arc::clone(&noted)));
            }
        });
        Self { address, asked }
    }

    /// The first line of what came over each connection.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn passes(
    mut stream: TcpStream,
    behind: String,
    password: Option<&str>,
    asked: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8(head.clone()).unwrap();
    asked.lock().unwrap().push(text.lines().next().unwrap().to_owned());
    let knows = |password| {
        text.lines()
            .any(|line| line.to_lowercase().starts_with("proxy-authorization:") && line.ends_with(password))
    };
    if !password.is_none_or(knows) {
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

/// How a proxy treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It passes everything on.
    Open,
    /// It cuts what there is, and whoever comes.
    Cut,
    /// It says nothing any more, and does not hang up either.
    Silent,
}

/// A proxy before PostgreSQL. Returns its address and what decides its way.
async fn proxy(server: &str) -> (std::net::SocketAddr, watch::Sender<Way>) {
    let (ways, way) = watch::channel(Way::Open);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (listener.local_addr().unwrap(), server.to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass(stream, server.clone(), way.clone()));
        }
    });
    (address, ways)
}

/// The address of a database of PostgreSQL through a proxy, and what decides the way of that.
pub(crate) async fn proxied(url: &str) -> (String, watch::Sender<Way>) {
    let mut url = reqwest::Url::parse(url).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let (address, way) = proxy(&server).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(address.port())).unwrap();
    (url.into(), way)
}

async fn pass(mut stream: TcpStream, server: String, mut way: watch::Receiver<Way>) {
    let mut there = TcpStream::connect(server).await.unwrap();
    let now = *way.borrow_and_update();
    if now == Way::Open {
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut there) => return,
            _ = way.changed() => {}
        }
    }
    let now = *way.borrow();
    if now == Way::Silent {
        // A connection that was silenced once stays so.
        std::future::pending::<()>().await;
    }
}
