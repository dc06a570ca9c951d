//! Connections over TLS, and replaced certificates.

use std::{path::Path, time::SystemTime};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::*;
use crate::config;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name)
}

/// Installs a certificate and its key with this modification time.
fn place(files: &config::Tls, which: &str, at: u64) {
    for (file, kind) in [(&files.cert_file, "crt"), (&files.key_file, "key")] {
        std::fs::copy(fixture(&format!("{which}.{kind}.pem")), file).unwrap();
        touch(file, at);
    }
}

fn touch(file: &Path, at: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
    std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
}

/// Sends a request over TLS, trusting only this certificate.
async fn ask_over_tls(server: &Running, trusted: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    let file = fixture(&format!("{trusted}.crt.pem"));
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut io = TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await?;
    Ok(send_and_read(&mut io, REQUEST).await)
}

#[tokio::test]
async fn a_certificate_is_replaced_while_serving() {
    let dir = tempfile::tempdir().unwrap();
    let files = config::Tls { cert_file: dir.path().join("crt"), key_file: dir.path().join("key") };
    assert!(Tls::load(files.clone()).is_err());
    place(&files, "old", 1_000);
    let tls = Arc::new(Tls::load(files.clone()).unwrap());
    let generous = ServeLimits { headers: PATIENCE, total: PATIENCE, ..limits() };
    let server = running(app(), Some(tls), generous).await;
    assert!(ask_over_tls(&server, "old").await.unwrap().ends_with("2 bytes"));
    assert!(ask_over_tls(&server, "new").await.is_err());

    // Half replaced: the key does not belong to the certificate.
    std::fs::copy(fixture("new.crt.pem"), &files.cert_file).unwrap();
    touch(&files.cert_file, 2_000);
    assert!(ask_over_tls(&server, "old").await.unwrap().ends_with("2 bytes"));

    place(&files, "new", 2_000);
    assert!(ask_over_tls(&server, "new").await.unwrap().ends_with("2 bytes"));
    assert!(ask_over_tls(&server, "old").await.is_err());

    std::fs::remove_file(&files.cert_file).unwrap();
    assert!(ask_over_tls(&server, "new").await.unwrap().ends_with("2 bytes"));
    server.stops().await;
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_not_waited_for() {
    let files = config::Tls { cert_file: fixture("old.crt.pem"), key_file: fixture("old.key.pem") };
    let limits = ServeLimits { total: FOREVER, ..limits() };
    let server = running(app(), Some(Arc::new(Tls::load(files).unwrap())), limits).await;
    let mut silent = server.connect().await;
    // The beginning of a handshake of 512 bytes, and then no more.
    let mut begun = server.connect().await;
    begun.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(rest(&mut begun).await, "");
    let plain = send_and_read(&mut server.connect().await, REQUEST).await;
    assert!(
        plain.starts_with("HTTP/1.1 400 ") && plain.ends_with("write https:// instead of http://\n"),
        "{plain}"
    );
    server.stops().await;
}
