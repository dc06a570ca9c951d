//! TLS on a listener: a certificate and its key, and a word for callers who do not speak it.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, anyhow};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
    },
};

use crate::{config, watched::Watched};

/// A certificate and its key. While the files cannot be used, for instance because only one of them was replaced yet,
/// what they held before is shown.
#[derive(Debug)]
pub struct Tls(Watched<Acceptor, anyhow::Error>);

#[derive(Clone)]
struct Acceptor(TlsAcceptor);

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// If one cannot be read, or they do not belong together; it begins with the key.
    pub fn load(files: config::Tls) -> anyhow::Result<Self> {
        let paths = vec![files.cert_file.clone(), files.key_file.clone()];
        Watched::open(paths, move |_| acceptor(&files)).map(Self)
    }

    /// What accepts connections now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.0.current().0
    }
}

fn acceptor(files: &config::Tls) -> anyhow::Result<Acceptor> {
    let chain = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&files.cert_file, "certificate", &error))
        .context("server.tls.cert_file")?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|error| unreadable(&files.key_file, "private key without a passphrase", &error))
        .context("server.tls.key_file")?;
    if chain.is_empty() {
        let none = unreadable(&files.cert_file, "certificate", &pem::Error::NoItemsFound);
        return Err(none.context("server.tls.cert_file"));
    }
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unfit(files, &error))
        .context("server.tls")?;
    // Go's client speaks HTTP/2 wherever it is offered.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
}

/// Why a file cannot be used. Nothing of its content is repeated: it may be the key.
fn unreadable(file: &Path, wanted: &str, error: &pem::Error) -> anyhow::Error {
    let file = file.display();
    if let pem::Error::Io(error) = error {
        return anyhow!("cannot read {file}: {error}");
    }
    if matches!(error, pem::Error::NoItemsFound) {
        return anyhow!("{file} holds no {wanted} in PEM");
    }
    anyhow!("{file} is no PEM file, or not a whole one")
}

fn unfit(files: &config::Tls, error: &rustls::Error) -> anyhow::Error {
    let [cert, key] = [&files.cert_file, &files.key_file].map(|file| file.display());
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        return anyhow!("the certificate in {cert} and the key in {key} do not belong together");
    }
    anyhow!("the certificate in {cert} and the key in {key} cannot be used: {error}")
}

/// Tells a caller who begins to speak HTTP where TLS is spoken; whether it did. Without this it would get a few bytes
/// that nobody can read.
pub(super) async fn tells_plain(stream: &mut TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    // Every method begins with a letter, and a handshake with the byte 22.
    if stream.peek(&mut first).await? == 0 || !first[0].is_ascii_alphabetic() {
        return Ok(false);
    }
    let words = "this port speaks TLS: write https:// instead of http://\n";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{words}",
        words.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(true)
}
