//! TLS faults of the server, with the real program: each fault has its own advice, in the output of `check` and in the
//! log.

use std::path::PathBuf;

use fake_jira::Flavour;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::world::{
    network::{TlsFront, fixture},
    program::{Serving, jira_and_config, program},
};

/// A server that answers the first bytes of a handshake by these bytes. Returns its port.
async fn answers_handshake(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut hello = [0; 4096];
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(bytes).await;
            });
        }
    });
    port
}

/// The bytes of a fatal alert.
const fn alert(number: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, number]
}

const PROTOCOL_VERSION: [u8; 7] = alert(70);
const HANDSHAKE_FAILURE: [u8; 7] = alert(40);
const UNRECOGNIZED_NAME: [u8; 7] = alert(112);
const CERTIFICATE_REQUIRED: [u8; 7] = alert(116);
/// TLS 1.0 in a ServerHello, with a cipher of its time.
const OLD_HELLO: [u8; 47] = {
    let mut hello = [7; 47];
    let head = [22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    hello[43] = 0;
    hello[44] = 0;
    hello[45] = 47;
    hello[46] = 0;
    hello
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_has_its_own_advice() {
    let (jira, _home, config) = jira_and_config(Flavour::DataCenter, "").await;
    let host = jira.base_url().strip_prefix("http://").unwrap().to_owned();
    let mut cases: Vec<(String, u16, PathBuf, &str, &str)> = vec![];
    for (certificate, trusted, key, words) in [
        ("no-name", "no-name", "jira.url", "its certificate names no host in subjectAltName"),
        ("authority", "authority", "jira.url", "its certificate is that of an authority (CA:TRUE)"),
        ("future", "future", "jira.url", "its certificate is not valid yet"),
        ("expired", "expired", "jira.url", "its certificate has expired"),
        ("other", "other", "jira.url", "put one that it is for into jira.url: jira.example, *.example.com"),
        ("client", "client", "jira.url", "its certificate is not meant for servers"),
        ("old", "new", "jira.ca_file", "signed by an authority that is not known here"),
    ] {
        let front = TlsFront::start(certificate, host.clone()).await;
        cases.push((certificate.to_owned(), front.port, fixture(&format!("{trusted}.crt.pem")), key, words));
    }
    for (name, bytes, words) in [
        ("an alert about the version", &PROTOCOL_VERSION[..], "turn on TLS 1.2 or 1.3"),
        ("a hello of TLS 1.0", &OLD_HELLO, "turn on TLS 1.2 or 1.3"),
        ("no cipher", &HANDSHAKE_FAILURE, "it has no cipher in common with the bridge"),
        ("another name", &UNRECOGNIZED_NAME, "it does not know the name that it is asked for"),
        ("a certificate is wanted", &CERTIFICATE_REQUIRED, "it wants a certificate from the bridge"),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak TLS"),
        ("silence", b"", "it ends the connection while TLS begins"),
    ] {
        cases.push((
            name.to_owned(),
            answers_handshake(bytes).await,
            fixture("ca.crt.pem"),
            "jira.url",
            words,
        ));
    }
    for (name, port, ca_file, key, words) in cases {
        let url = format!("https://localhost:{port}");
        let mut check = program();
        check.args(["check", "-c"]).arg(&config).env("BRIDGE__JIRA__URL", &url);
        let output = check.env("BRIDGE__JIRA__CA_FILE", &ca_file).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let line = out.lines().find(|line| line.starts_with("FAIL  jira.")).unwrap_or_default();
        assert!(line.starts_with(&format!("FAIL  {key} ")) && line.contains(words), "{name}: {out}");
        for other in ["InvalidCertificate", "InvalidMessage", "received fatal alert", "client error"] {
            assert!(!line.contains(other), "{name}: {line}");
        }

        let mut serve = program();
        serve.env("BRIDGE__JIRA__URL", &url).env("BRIDGE__JIRA__CA_FILE", &ca_file);
        let mut serving = Serving::start_as(serve, &config);
        serving.has_logged(words);
    }
}

/// An unknown host name and a port without a listener are distinguished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_hosts_and_closed_ports() {
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    for (url, words) in [
        ("https://jira.invalid", "the host name jira.invalid cannot be resolved"),
        ("http://jira.invalid", "the host name jira.invalid cannot be resolved"),
        ("https://127.0.0.1:1", "nothing listens at 127.0.0.1:1"),
        ("http://[::1]:1", "nothing listens at [::1]:1"),
    ] {
        let mut check = program();
        check.args(["check", "-c"]).arg(&config).env("BRIDGE__JIRA__URL", url);
        let out = String::from_utf8(check.output().unwrap().stdout).unwrap();
        let line = out.lines().find(|line| line.starts_with("FAIL  jira.url ")).unwrap_or_default();
        assert!(line.contains(words), "{url}: {out}");
    }
}
