//! TLS on a listener: loads the certificate and its key, and answers callers that speak plain HTTP.

use std::sync::Arc;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, crypto::aws_lc_rs},
};

use crate::{
    config,
    pem::{self, Bundle},
    reload::Reloaded,
};

/// A certificate and its key. While the files cannot be used, for instance because only one of them has been replaced,
/// the listener keeps the previous certificate.
#[derive(Debug)]
pub struct Tls(Reloaded<Acceptor, TlsProblem>);

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {what}")]
pub struct TlsProblem {
    /// The key of the configuration to edit.
    pub key: &'static str,
    /// What is wrong, and what to put there.
    pub what: String,
}

#[derive(Clone)]
struct Acceptor {
    tls: TlsAcceptor,
    skipped: Vec<String>,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// If one cannot be read, or they do not belong together.
    pub fn load(files: config::Tls) -> Result<Self, TlsProblem> {
        let paths = vec![files.cert_file.clone(), files.key_file.clone()];
        // At the first read the caller of `load` logs the skipped certificates.
        let on_reload = |read: &Acceptor| pem::log_skipped("server.tls.cert_file", &read.skipped);
        Reloaded::open(paths, move |_| acceptor(&files), on_reload).map(Self)
    }

    /// One line for each certificate in the file that cannot be used and is left out.
    #[must_use]
    pub fn skipped_certificates(&self) -> Vec<String> {
        self.0.current().skipped
    }

    /// The acceptor with the current certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.0.current().tls
    }
}

fn acceptor(files: &config::Tls) -> Result<Acceptor, TlsProblem> {
    let unfit_at = |key| move |what| TlsProblem { key, what };
    let Bundle { certificates, skipped } =
        pem::certificate_chain(&files.cert_file).map_err(unfit_at("server.tls.cert_file"))?;
    let key = pem::private_key(&files.key_file).map_err(unfit_at("server.tls.key_file"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| unfit_at("server.tls")(problem(files, &error)))?;
    // Go's client would choose HTTP/2 if it were offered.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Acceptor { tls: TlsAcceptor::from(Arc::new(config)), skipped })
}

fn problem(files: &config::Tls, error: &rustls::Error) -> String {
    let [cert, key] = [&files.cert_file, &files.key_file].map(|file| file.display());
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        return format!(
            "the certificate in {cert} and the key in {key} do not belong together; put the key there that the certificate was made with, or its own \
             certificate first"
        );
    }
    format!("the certificate in {cert} and the key in {key} cannot be used: {error}")
}

/// Answers a caller that sends plain HTTP to a TLS port, and returns whether it did. Otherwise the caller would get a
/// TLS alert, which it cannot read.
pub(super) async fn answer_plain_http(stream: &mut TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    // An HTTP method begins with a letter, a TLS handshake with the byte 22.
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
