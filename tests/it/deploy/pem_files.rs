//! Certificate files as people have them, with the real program: usable parts are used, unusable ones are reported.

use fake_jira::Flavour;
use reqwest::Certificate;

use crate::world::{
    network::{TlsFront, fixture, pem},
    program::{Serving, jira_and_config, program},
    question,
};

/// A file with a byte order mark, Windows line ends and surrounding text.
fn as_saved(parts: &[&str]) -> Vec<u8> {
    let words = "Bag Attributes\n    friendlyName: bridge\nsubject=CN = x\n";
    let text: String = parts.iter().map(|part| format!("{words}{part}")).collect();
    format!("\u{FEFF}{text}").replace('\n', "\r\n").into_bytes()
}

const BAD: &str = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";

fn text(name: &str) -> String {
    String::from_utf8(pem(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let (jira, home, config) = jira_and_config(flavour, "").await;
        let host = jira.base_url().strip_prefix("http://").unwrap().to_owned();
        let front = TlsFront::start("jira", host).await;
        let ca_file = home.0.path().join("ca.pem");
        std::fs::write(&ca_file, as_saved(&[&text("new.crt.pem"), BAD, &text("ca.crt.pem")])).unwrap();
        let (url, shown) = (format!("https://localhost:{}", front.port), ca_file.display().to_string());
        let expected = format!("the 2nd certificate in {shown} cannot be understood");

        let mut check = program();
        check.args(["check", "-c"]).arg(&config).env("BRIDGE__JIRA__URL", &url);
        let output = check.env("BRIDGE__JIRA__CA_FILE", &ca_file).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(out.contains("ok    jira.token "), "{out}");
        let line = out.lines().find(|line| line.starts_with("warn  jira.ca_file ")).unwrap_or_default();
        assert!(line.contains(&expected), "{out}");

        let mut serve = program();
        serve.env("BRIDGE__JIRA__URL", &url).env("BRIDGE__JIRA__CA_FILE", &ca_file);
        let mut serving = Serving::start_as(serve, &config);
        serving.has_logged(&expected);
        serving.has_logged("Jira accepts the bridge");
        drop(serving);

        std::fs::write(&ca_file, as_saved(&[BAD, BAD])).unwrap();
        for command in ["check", "serve"] {
            let mut run = program();
            run.args([command, "-c"]).arg(&config).env("BRIDGE__JIRA__URL", &url);
            let output = run.env("BRIDGE__JIRA__CA_FILE", &ca_file).output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            let words = format!("{shown} holds no certificate that can be used: the 1st certificate cannot ");
            assert!(said.contains("jira.ca_file") && said.contains(&words), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn the_listeners_certificates() {
    let (_jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| home.0.path().join(name));
    std::fs::write(&cert_file, as_saved(&[&text("jira.crt.pem"), &text("ca.crt.pem"), BAD])).unwrap();
    std::fs::write(&key_file, as_saved(&[&text("jira.key.pem")])).unwrap();
    let tls = format!("{{ cert_file = {cert_file:?}, key_file = {key_file:?} }}");
    let expected = format!("the 3rd certificate in {} cannot be understood", cert_file.display());

    let mut check = program();
    let output = check.args(["check", "-c"]).arg(&config).env("BRIDGE__SERVER__TLS", &tls).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("ok    server.tls "), "{out}");
    let line = out.lines().find(|line| line.starts_with("warn  server.tls.cert_file ")).unwrap_or_default();
    assert!(line.contains(&expected), "{out}");

    let mut serve = program();
    serve.env("BRIDGE__SERVER__TLS", &tls);
    let mut serving = Serving::start_as(serve, &config);
    serving.has_logged(&expected);
    let trusted = Certificate::from_pem(&std::fs::read(fixture("ca.crt.pem")).unwrap()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let port = serving.addresses[0].rsplit(':').next().unwrap().to_owned();
    let asks = client.post(format!("https://localhost:{port}/gate/confirm-promotion"));
    let asks =
        asks.header("content-type", "application/json").body(question("Progressing", "new").to_string());
    assert_eq!(asks.send().await.unwrap().status(), 403);
}
