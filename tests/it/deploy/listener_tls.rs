//! TLS on the listeners, with the real program: certificates that are replaced while it runs, and callers with the
//! wrong protocol.

use std::path::{Path, PathBuf};

use fake_jira::Flavour;
use reqwest::{Certificate, Version};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{
    network::{Mounted, fixture, pem},
    program::{Serving, jira_and_config, program},
    question,
};

/// The settings of a bridge that uses TLS with these files.
fn tls(cert_file: &Path, key_file: &Path) -> String {
    format!("tls = {{ cert_file = {cert_file:?}, key_file = {key_file:?} }}\n")
}

fn port(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

/// Asks as Flagger does: over a new connection, with HTTP/2 if it is offered. The status, or the error.
#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn asks(serving: &Serving, listener: usize, path: &str, trusted: &str) -> Result<u16, String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(&pem(&format!("{trusted}.crt.pem"))).unwrap()])
        .build()
        .unwrap();
    let url = format!("https://localhost:{}{path}", port(&serving.addresses[listener]));
    let request = client.post(url).header("content-type", "application/json");
    match request.body(question("Progressing", "new").to_string()).send().await {
        Ok(answer) => {
            assert_eq!(answer.version(), Version::HTTP_11);
            assert_eq!(answer.headers()["connection"], "close");
            Ok(answer.status().as_u16())
        }
        Err(error) => Err(format!("{error:?}")),
    }
}

async fn gate(serving: &Serving, trusted: &str) -> Result<u16, String> {
    asks(serving, 0, "/gate/confirm-promotion", trusted).await
}

fn pair(certificate: &str, key: &str) -> [(&'static str, Vec<u8>); 2] {
    [("tls.crt", pem(&format!("{certificate}.crt.pem"))), ("tls.key", pem(&format!("{key}.key.pem")))]
}

fn holds(mounted: &mut Mounted, files: &[(&'static str, Vec<u8>)]) {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    mounted.holds(&files);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_while_it_serves() {
    let mut mounted = Mounted::new(&[("tls.crt", &pem("old.crt.pem")), ("tls.key", &pem("old.key.pem"))]);
    let [cert_file, key_file] = ["tls.crt", "tls.key"].map(|name| mounted.path(name));
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, &tls(&cert_file, &key_file)).await;
    let serving = Serving::start(&config);
    assert_eq!(gate(&serving, "old").await, Ok(403));
    assert_eq!(asks(&serving, 1, "/jira/webhook", "old").await, Ok(401));
    // The admin listener stays without TLS.
    assert_eq!(serving.posts(2, "/healthz", &question("Progressing", "new")).await, 405);

    holds(&mut mounted, &pair("new", "new"));
    assert_eq!(gate(&serving, "new").await, Ok(403));
    assert_eq!(asks(&serving, 1, "/jira/webhook", "new").await, Ok(401));
    assert!(gate(&serving, "old").await.unwrap_err().contains("UnknownIssuer"));

    let [old_certificate, _] = pair("old", "old");
    let broken = [("tls.crt", b"-----BEGIN CERTIFICATE-----\nMII".to_vec()), ("tls.key", pem("old.key.pem"))];
    for trouble in [&[old_certificate][..], &pair("old", "new"), &broken, &[]] {
        holds(&mut mounted, trouble);
        for _ in 0..3 {
            assert_eq!(gate(&serving, "new").await, Ok(403), "the previous certificate is still used");
        }
    }
    // The bridge does not check the certificate's dates; clients do.
    holds(&mut mounted, &pair("expired", "expired"));
    assert!(gate(&serving, "expired").await.unwrap_err().to_lowercase().contains("expired"));
    holds(&mut mounted, &pair("old", "old"));
    assert_eq!(gate(&serving, "old").await, Ok(403));

    let log = serving.ends();
    let logged: Vec<&str> = log.lines().filter(|line| line.contains("stays in use")).collect();
    assert_eq!(logged.len(), 4, "once for each problem:\n{log}");
    let (cert, key) = (cert_file.display().to_string(), key_file.display().to_string());
    for (line, words) in logged.iter().zip([
        format!("server.tls.key_file: cannot read {key}: No such file"),
        format!("server.tls: the certificate in {cert} and the key in {key} do not belong together"),
        format!("server.tls.cert_file: {cert} holds no certificate that can be used: the 1st certificate is incomplete: its last line is missing"),
        format!("server.tls.cert_file: cannot read {cert}: No such file"),
    ]) {
        assert!(line.contains(&words), "{words}\nis not in\n{line}");
    }
    assert_eq!(log.matches("changed and is now in use").count(), 3, "{log}");
}

/// The complete answer to these bytes.
async fn says(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port(address))).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_protocol_gets_a_clear_answer() {
    let [cert_file, key_file] = ["old.crt.pem", "old.key.pem"].map(fixture);
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, &tls(&cert_file, &key_file)).await;
    let serving = Serving::start(&config);
    for listener in [0, 1] {
        let plain = b"POST /gate/check HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
        let answer = says(&serving.addresses[listener], plain).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            answer.ends_with("\r\n\r\nthis port speaks TLS: write https:// instead of http://\n"),
            "{answer}"
        );
    }
    // TLS to a plain listener: the caller recognizes this answer.
    let hello = [&[22, 3, 1, 0, 5][..], &[1, 0, 0, 1, 0], &[0; 32]].concat();
    let answer = says(&serving.addresses[2], &hello).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(asks(&serving, 2, "/", "old").await.unwrap_err().contains("InvalidContentType"));
    let log = serving.ends();
    assert!(!log.contains("ERROR"), "{log}");
}

/// `serve` ends with one line that starts with the key, and `check` lists the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_files_are_reported_with_their_key() {
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let run = |command: &str, files: [&PathBuf; 2]| {
        let mut run = program();
        run.args([command, "-c"]).arg(&config);
        run.env("BRIDGE__SERVER__TLS", tls(files[0], files[1]).trim_start_matches("tls = ").trim());
        let output = run.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let [cert, key, other, none] = ["old.crt.pem", "old.key.pem", "new.key.pem", "none.pem"].map(fixture);
    for (files, name, words) in [
        ([&key, &key], "server.tls.cert_file", "old.key.pem holds no certificate in PEM"),
        ([&cert, &cert], "server.tls.key_file", "old.crt.pem holds no private key in PEM"),
        ([&cert, &other], "server.tls", "do not belong together"),
    ] {
        let (code, _, errors) = run("serve", files);
        assert_eq!(code, Some(1), "{errors}");
        let last = errors.lines().last().unwrap();
        assert!(
            last.starts_with(&format!("flagger-jira-bridge: {name}: ")) && last.contains(words),
            "{errors}"
        );
        let (code, out, errors) = run("check", files);
        assert_eq!(code, Some(1), "{out}{errors}");
        let line = out.lines().find(|line| line.contains("server.tls")).unwrap();
        assert!(line.starts_with(&format!("FAIL  {name} ")) && line.contains(words), "{line}");
    }
    for command in ["serve", "check"] {
        let (code, _, errors) = run(command, [&cert, &none]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(
            errors.contains("server.tls.key_file: cannot read") && errors.contains("none.pem"),
            "{errors}"
        );
    }
    let (_, out, _) = run("check", [&cert, &key]);
    assert!(out.lines().any(|line| line.starts_with("ok    server.tls ")), "{out}");
}

/// `check` recognizes a running bridge on its ports, with TLS and without. The bridge does not record that as a refused
/// call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_beside_a_running_bridge_is_not_refused() {
    for settings in [String::new(), tls(&fixture("old.crt.pem"), &fixture("old.key.pem"))] {
        let (_jira, _home, config) = jira_and_config(Flavour::Cloud, &settings).await;
        let serving = Serving::start(&config);
        let mut check = program();
        check.args(["check", "-c"]).arg(&config);
        for (key, address) in ["GATE", "WEBHOOK", "ADMIN"].into_iter().zip(&serving.addresses) {
            check.env(format!("BRIDGE__SERVER__{key}_LISTEN"), address.strip_prefix("http://").unwrap());
        }
        let out = String::from_utf8(check.output().unwrap().stdout).unwrap();
        let hosts = serving.addresses.clone().map(|address| address.replace("http://", "")).join(", ");
        assert!(out.contains(&format!("taken by a bridge that runs here: {hosts}\n")), "{out}");
        assert_eq!(serving.gets(2, "/api/refused").await, (200, "[]".to_owned()));
        let log = serving.ends();
        assert!(!log.contains("refused a call"), "{log}");
    }
}
