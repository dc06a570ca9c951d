//! Connecting to Jira with the real program: private certificate authorities, and proxies.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use fake_jira::{FakeJira, Flavour};

use crate::world::{
    network::{Proxy, TlsFront, fixture, pem},
    program::{Home, Serving, jira_and_config, program},
};

const PASSWORD: &str = "pass-of-the-proxy";

/// A Jira, and the configuration of a bridge with `url` as Jira's address; `HOST` is replaced by its real address.
async fn at(url: &str, settings: &str) -> (FakeJira, Home, PathBuf, String) {
    let (jira, home, config) = jira_and_config(Flavour::DataCenter, "").await;
    let base = jira.base_url();
    let host = base.strip_prefix("http://").unwrap().to_owned();
    moves(&config, &base, url, settings);
    (jira, home, config, host)
}

/// Changes jira.url in a file.
fn moves(config: &Path, from: &str, to: &str, settings: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    let line = format!("url = \"{from}\"\n");
    assert!(text.contains(&line), "{text}");
    std::fs::write(config, text.replace(&line, &format!("url = \"{to}\"\n{settings}"))).unwrap();
}

/// The output of `check`.
fn checks(config: &Path, prepare: impl FnOnce(&mut Command)) -> String {
    let mut check = program();
    check.args(["check", "-c"]).arg(config);
    prepare(&mut check);
    let Output { stdout, stderr, .. } = check.output().unwrap();
    format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority() {
    let (jira, home, config, host) = at("URL", "").await;
    let front = TlsFront::start("jira", host).await;
    let url = format!("https://localhost:{}", front.port);
    moves(&config, "URL", &url, "");
    let mut serving = Serving::start(&config);
    let message = serving.has_logged("signed by an authority that is not known here");
    assert!(
        message.contains("cannot reach Jira at localhost") && message.contains("into jira.ca_file"),
        "{message}"
    );
    drop(serving);

    // The file contains several authorities.
    let ca_file = home.0.path().join("ca.pem");
    let bundle = [pem("new.crt.pem"), b"\n# The one that counts\n".to_vec(), pem("ca.crt.pem")].concat();
    std::fs::write(&ca_file, bundle).unwrap();
    moves(&config, &url, &url, &format!("ca_file = {ca_file:?}\n"));
    let mut serving = Serving::start(&config);
    serving.has_logged("Jira accepts the bridge");
    serving.asks_until("confirm-promotion", "Progressing", "1", "waiting for a decision").await;

    // An unusable file changes nothing.
    std::fs::write(&ca_file, "-----BEGIN NOTHING-----\n").unwrap();
    serving.asks_until("confirm-promotion", "Progressing", "2", "waiting for a decision").await;
    let message = serving.logs("stays in use");
    let words = format!("jira.ca_file: {} holds no certificate in PEM; what", ca_file.display());
    assert!(message.contains(&words), "{message}");

    // Jira gets a certificate of another authority before the bridge trusts it.
    front.shows("old");
    serving.asks_until("confirm-promotion", "Progressing", "3", "into jira.ca_file").await;
    std::fs::rename(fixture_copy(&home, "old.crt.pem"), &ca_file).unwrap();
    serving.asks_until("confirm-promotion", "Progressing", "3", "waiting for a decision").await;
    let log = serving.ends();
    assert_eq!(log.matches("stays in use").count(), 1, "{log}");
    assert_eq!(jira.complaints(), Vec::<String>::new());
}

fn fixture_copy(home: &Home, name: &str) -> PathBuf {
    let copy = home.0.path().join(name);
    std::fs::write(&copy, pem(name)).unwrap();
    copy
}

/// The system's authorities stay trusted beside a private one, and no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_beside_the_public_ones() {
    let (_jira, _home, config, host) = at("URL", "").await;
    let front = TlsFront::start("jira", host).await;
    let ca_file = fixture("new.crt.pem");
    moves(&config, "URL", &format!("https://localhost:{}", front.port), &format!("ca_file = {ca_file:?}\n"));
    let out = checks(&config, |check| {
        check.env("SSL_CERT_FILE", fixture("ca.crt.pem")).env_remove("SSL_CERT_DIR");
    });
    assert!(out.contains("ok    jira.url ") && out.contains("ok    jira.token "), "{out}");
    let out = checks(&config, |_| {});
    assert!(
        out.contains("FAIL  jira.ca_file ") && out.contains("an authority that is not known here"),
        "{out}"
    );
    for (file, code, words) in [
        ("old.key.pem", 1, "jira.ca_file: FILE holds no certificate in PEM"),
        ("none.pem", 2, "jira.ca_file: cannot read FILE: No such file"),
    ] {
        let mut serve = program();
        let output = serve.args(["serve", "-c"]).arg(&config).env("BRIDGE__JIRA__CA_FILE", fixture(file));
        let output = output.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(&words.replace("FILE", &fixture(file).display().to_string())), "{errors}");
    }
}

/// A system without authorities is reported; without TLS none is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_authority_at_all() {
    let (_jira, _home, config, host) = at("URL", "").await;
    let front = TlsFront::start("jira", host.clone()).await;
    moves(&config, "URL", &format!("https://localhost:{}", front.port), "");
    let knows_none = |program: &mut Command| {
        program.env("SSL_CERT_FILE", "/nowhere").env("SSL_CERT_DIR", "/nowhere");
    };
    let out = checks(&config, knows_none);
    assert!(
        out.contains("FAIL  jira.ca_file ") && out.contains("no certificate authority is known here"),
        "{out}"
    );
    let mut serve = program();
    knows_none(serve.args(["serve", "-c"]).arg(&config));
    let Output { status, stderr, .. } = serve.output().unwrap();
    let errors = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("no certificate authority is known here"), "{errors}");

    moves(&config, &format!("https://localhost:{}", front.port), &format!("http://{host}"), "");
    assert!(checks(&config, knows_none).contains("ok    jira.url "));
}

/// Jira at `https://jira.example`, a name that only the proxy can resolve.
async fn behind_a_proxy(password: Option<&'static str>) -> (FakeJira, Home, PathBuf, Proxy) {
    let ca_file = format!("ca_file = {:?}\n", fixture("ca.crt.pem"));
    let (jira, home, config, host) = at("https://jira.example", &ca_file).await;
    let front = TlsFront::start("jira", host).await;
    let proxy = Proxy::start(format!("127.0.0.1:{}", front.port), password).await;
    (jira, home, config, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_proxy_that_wants_a_password() {
    // Base 64 of `bridge:` and the password.
    let (jira, _home, config, proxy) = behind_a_proxy(Some("YnJpZGdlOnBhc3Mtb2YtdGhlLXByb3h5")).await;
    let mut serve = program();
    serve.env("HTTPS_PROXY", format!("http://bridge:{PASSWORD}@{}", proxy.address));
    serve.env("RUST_LOG", "trace");
    let mut serving = Serving::start_as(serve, &config);
    serving
        .has_logged(&format!("requests to Jira go through the proxy http://{} (HTTPS_PROXY)", proxy.address));
    serving.has_logged("Jira accepts the bridge");
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    assert!(
        proxy.request_lines().iter().all(|line| line == "CONNECT jira.example:443 HTTP/1.1"),
        "{:?}",
        proxy.request_lines()
    );
    assert!(!proxy.request_lines().is_empty());
    let log = serving.ends();
    assert!(!log.contains(PASSWORD) && !log.contains("YnJpZGdlOn"), "the proxy's password is in the log");
    assert_eq!(jira.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_proxy() {
    let (_jira, _home, config, proxy) = behind_a_proxy(Some("something else")).await;
    let at = &proxy.address;
    for (address, words) in [
        (
            format!("http://bridge:{PASSWORD}@{at}"),
            format!("the proxy http://{at} (HTTPS_PROXY) does not know the bridge (407)"),
        ),
        (
            format!("http://{at}"),
            format!("the proxy http://{at} (HTTPS_PROXY) does not know the bridge (407)"),
        ),
        (
            format!("http://bridge:{PASSWORD}@127.0.0.1:1"),
            "through the proxy http://127.0.0.1:1 (HTTPS_PROXY): ".into(),
        ),
        (
            format!("socks5://bridge:{PASSWORD}@{at}"),
            format!("HTTPS_PROXY names socks5://{at}, and only an HTTP proxy can be used"),
        ),
    ] {
        let out = checks(&config, |check| {
            check.env("HTTPS_PROXY", &address);
        });
        let line = out.lines().find(|line| line.starts_with("FAIL  jira.url ")).unwrap_or_default();
        assert!(line.contains(&words), "{out}");
        assert!(!out.contains(PASSWORD), "{out}");
    }
    let mut serve = program();
    serve.env("HTTPS_PROXY", format!("http://bridge:{PASSWORD}@{at}"));
    let mut serving = Serving::start_as(serve, &config);
    serving.has_logged("does not know the bridge (407)");
    let (_, line) =
        serving.asks_until("confirm-promotion", "Progressing", "new", "could not be opened").await;
    assert!(line.contains("cannot reach Jira at jira.example: the proxy http://"), "{line}");
    let log = serving.ends();
    assert!(!log.contains(PASSWORD) && !line.contains(PASSWORD), "{log}");
}

/// A proxy is also used for Jira without TLS, unless NO_PROXY excludes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_a_proxy() {
    let (_jira, _home, config, host) = at("URL", "").await;
    // An address of this machine that is not `localhost`, for which no proxy is used.
    let port = host.rsplit(':').next().unwrap().to_owned();
    moves(&config, "URL", &format!("http://0.0.0.0:{port}"), "");
    let proxy = Proxy::start(host.clone(), None).await;
    let through = format!("http://{}", proxy.address);
    let out = checks(&config, |check| {
        check.env("HTTP_PROXY", &through).env("NO_PROXY", "example.com, 0.0.0.0");
    });
    assert!(out.contains("ok    jira.token "), "{out}");
    assert_eq!(proxy.request_lines(), Vec::<String>::new());
    let out = checks(&config, |check| {
        check.env("HTTP_PROXY", &through).env("NO_PROXY", "example.com");
    });
    assert!(out.contains("ok    jira.token "), "{out}");
    let first = format!("GET http://0.0.0.0:{port}/rest/api/2/serverInfo ");
    assert!(proxy.request_lines().iter().any(|line| line.starts_with(&first)), "{:?}", proxy.request_lines());

    let closed = Proxy::start(host, Some("something else")).await;
    let out = checks(&config, |check| {
        check.env("HTTP_PROXY", format!("http://bridge:{PASSWORD}@{}", closed.address));
    });
    let words = format!("the proxy http://{} (HTTP_PROXY) does not know the bridge (407)", closed.address);
    assert!(out.contains(&words) && !out.contains(PASSWORD), "{out}");
}
