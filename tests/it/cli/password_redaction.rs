//! A password in an address is never printed, however it was written.

use std::{fs, path::Path};

use crate::world::program::program;

/// Ambiguous addresses, each with the parts that must not be printed.
const UNCLEAR: [(&str, &[&str]); 12] = [
    ("postgres://bridge:/7Mabc@db/gates", &["7Mabc"]),
    ("postgres://bridge:1234/34xyz@db/gates", &["1234", "34xyz"]),
    ("postgres://bridge:p77@ss99/w88@db/gates", &["p77", "ss99", "w88"]),
    ("postgres://bridge:ab77#cd88@db/gates", &["ab77", "cd88"]),
    ("postgres://bridge:1234#cd88@db/gates", &["1234", "cd88"]),
    ("postgres://bridge:ab77?cd88@db/gates", &["ab77", "cd88"]),
    ("postgres://bridge:1234?cd88@db/gates", &["1234", "cd88"]),
    ("postgres://bridge:1234?user=cd88@db/gates", &["1234", "cd88"]),
    ("postgres://bridge:ab77%zzcd88@db/gates", &["ab77", "cd88"]),
    ("postgres://bridge:ab77%ffcd88@db/gates", &["ab77", "cd88"]),
    ("postgres://bridge:hunter77", &["hunter77"]),
    ("postgres://bridge:p77@h88/d?hunter99=x", &["p77", "hunter99"]),
];

const REST: &str =
    "[jira]\nurl = \"http://127.0.0.1:1\"\ntoken = \"0123456789abcdef\"\n[ticket]\nproject = \"OPS\"\n";
const LISTEN: &str = "[server]\ngate_listen = \"127.0.0.1:0\"\nwebhook_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";

/// The exit code and the complete output of a command.
fn says(command: &str, config: &Path, url: Option<&str>) -> (Option<i32>, String) {
    let mut program = program();
    program.args([command, "-c"]).arg(config).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    if let Some(url) = url {
        program.env("BRIDGE__STORE__URL", url);
    }
    let output = program.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

#[test]
fn an_ambiguous_address_is_refused_and_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let (file, plain) = (home.path().join("file.toml"), home.path().join("plain.toml"));
    fs::write(&plain, format!("{LISTEN}{REST}")).unwrap();
    for (url, secrets) in UNCLEAR {
        fs::write(&file, format!("{LISTEN}[store]\nurl = {url:?}\n{REST}")).unwrap();
        for command in ["serve", "check", "audit"] {
            for (config, variable) in [(&file, None), (&plain, Some(url))] {
                let (code, said) = says(command, config, variable);
                assert_eq!(code, Some(2), "{command} {url}: {said}");
                assert!(said.contains("store.url: "), "{command} {url}: {said}");
                assert!(said.contains("percent-encode the password"), "{command} {url}: {said}");
                for secret in secrets {
                    assert!(!said.contains(secret), "{command} {url}: {said}");
                }
            }
        }
    }
}

/// If the file is not valid TOML, the faulty line is not shown.
#[test]
fn an_address_in_broken_toml_is_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file.toml");
    for broken in [
        "[store]\nurl = postgres://bridge:hunter77@db/gates\n",
        "[store]\nurl = \"postgres://bridge:hunter77@db/gates\n",
        "[store]\nurl = \"postgres://bridge:hunter77\\q@db/gates\"\n",
        "[store]\nurl = [\"postgres://bridge:hunter77@db/gates\"]\n",
        "store = \"postgres://bridge:hunter77@db/gates\"\n",
        "[store]\nurl = { password = \"hunter77\" }\n",
    ] {
        fs::write(&file, format!("{broken}{REST}")).unwrap();
        for command in ["check", "audit"] {
            let (code, said) = says(command, &file, None);
            assert_eq!(code, Some(2), "{broken}: {said}");
            assert!(!said.contains("hunter77"), "{broken}: {said}");
        }
    }
}

/// Passwords that a lenient parser reads as a port and a path, each with the parts that must not be printed.
const EARLY: [(&str, &[&str]); 6] = [
    ("1234/cr3tpw", &["1234", "cr3tpw"]),
    ("1234#cr3tpw", &["1234", "cr3tpw"]),
    ("1234?cr3tpw", &["1234", "cr3tpw"]),
    ("1234\\cr3tpw", &["1234", "cr3tpw"]),
    ("\\cr3tpw", &["cr3tpw"]),
    ("12@34/cr3tpw", &["34", "cr3tpw"]),
];

#[test]
fn the_address_of_a_server_that_holds_a_password_is_refused_and_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file.toml");
    fs::write(&file, format!("{LISTEN}{REST}")).unwrap();
    for (password, secrets) in EARLY {
        for (variable, key, words) in [
            (
                "BRIDGE__JIRA__URL",
                "jira.url",
                "must not hold a user or password; put them into jira.user and jira.token",
            ),
            ("BRIDGE__SERVER__PUBLIC_URL", "server.public_url", "must not hold a user or password"),
        ] {
            for command in ["serve", "check"] {
                let mut program = program();
                let url = format!("http://bob:{password}@jira.invalid");
                let output = program.args([command, "-c"]).arg(&file).env(variable, url).output().unwrap();
                let said =
                    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
                // Its name is random, and may hold a part of a password.
                let said = said.replace(&file.display().to_string(), "FILE");
                assert_eq!(output.status.code(), Some(2), "{command} {password}: {said}");
                assert!(said.contains(&format!("{key}: {words}")), "{command} {password}: {said}");
                assert!(!secrets.iter().any(|secret| said.contains(secret)), "{command} {password}: {said}");
            }
        }
    }
}

/// A proxy with an ambiguous or invalid address is refused: otherwise another proxy, or none, would be used silently.
#[test]
fn a_proxy_that_cannot_be_used_is_refused_and_not_shown() {
    const UNCLEAR: &str = "cannot be read as http://user:password@host:port; percent-encode the password (/ is %2F, # is %23, ? is %3F, @ is %40)";
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file.toml");
    fs::write(&file, format!("{LISTEN}{REST}").replace("127.0.0.1:1\"", "jira.invalid\"")).unwrap();
    let proxies = EARLY.map(|(password, secrets)| (format!("http://u:{password}@127.0.0.1:9"), secrets));
    let bare = EARLY.map(|(password, secrets)| (format!("u:{password}@127.0.0.1:9"), secrets));
    let others = ["http://", "http://u:cr3tpw@127.0.0.1:99999", "http://u:cr3tpw@h:x", "ftp://127.0.0.1:9"];
    let others = others.map(|url| (url.to_owned(), &["cr3tpw"][..]));
    for (proxy, secrets) in proxies.into_iter().chain(bare).chain(others) {
        for (command, before) in [("serve", "flagger-jira-bridge: "), ("check", "FAIL  jira.url ")] {
            for variable in ["HTTP_PROXY", "ALL_PROXY"] {
                let mut program = program();
                program.args([command, "-c"]).arg(&file).env(variable, &proxy).env("RUST_LOG", "trace");
                let output = program.output().unwrap();
                let said =
                    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
                // Its name is random, and may hold a part of a password.
                let said = said.replace(&file.display().to_string(), "FILE");
                assert_eq!(output.status.code(), Some(1), "{command} {proxy}: {said}");
                let line = said.lines().find(|line| line.starts_with(before)).unwrap_or_default();
                assert!(line.contains(&format!("{variable}: {UNCLEAR}")), "{command} {proxy}: {said}");
                assert!(!secrets.iter().any(|secret| said.contains(secret)), "{command} {proxy}: {said}");
            }
        }
    }
    // A single word is not a password, but may be a typing error. It is used as a host, at port 80.
    for (proxy, said) in [
        ("banana", "HTTP_PROXY: is a single word, which may be a host or a mistake; write http://host:port"),
        ("proxy.invalid", "the proxy http://proxy.invalid (HTTP_PROXY)"),
        ("127.0.0.1", "the proxy http://127.0.0.1 (HTTP_PROXY)"),
    ] {
        let mut check = program();
        let output = check.args(["check", "-c"]).arg(&file).env("HTTP_PROXY", proxy).output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.contains(said), "{proxy}: {report}");
    }
    // Requests to Jira do not use this proxy.
    let mut check = program();
    check.args(["check", "-c"]).arg(&file).env("HTTP_PROXY", "banana").env("NO_PROXY", "jira.invalid");
    let output = check.output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("HTTP_PROXY: "));
}

/// `gates` shows scheme, host and port of the bridge's address, and nothing of an ambiguous one.
#[test]
fn the_address_of_the_bridge_is_shown_without_its_password() {
    let shown = |admin: &str, variable: bool| {
        let mut gates = program();
        gates.arg("gates");
        match variable {
            true => gates.env("BRIDGE_ADMIN", admin),
            false => gates.args(["--admin", admin]),
        };
        let output = gates.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{admin}");
        String::from_utf8(output.stderr).unwrap()
    };
    for variable in [true, false] {
        let said = shown("http://u:secretpw@127.0.0.1:1/x?y=secretpw", variable);
        assert!(said.contains("cannot reach the bridge at http://127.0.0.1:1. If"), "{said}");
        for (password, secrets) in EARLY {
            let said = shown(&format!("http://u:{password}@127.0.0.1:1"), variable);
            assert!(said.contains("--admin: cannot be read as http://user:password@host:port;"), "{said}");
            assert!(!secrets.iter().any(|secret| said.contains(secret)), "{said}");
        }
        for admin in ["u:secretpw@127.0.0.1:1", "http://u:secretpw@[", "ftp://u:secretpw@127.0.0.1:1"] {
            assert!(!shown(admin, variable).contains("secretpw"), "{admin}");
        }
    }
    let mut help = program();
    let help = help.args(["gates", "--help"]).env("BRIDGE_ADMIN", "http://u:secretpw@h").output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("secretpw"));
}

/// An unambiguous address is passed to the driver, and the driver's error is printed. No server listens there.
#[test]
fn a_server_that_cannot_be_reached_is_named_without_the_password() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    fs::write(&config, format!("{LISTEN}{REST}")).unwrap();
    for (url, place) in [
        ("postgres://bridge:hunter77@127.0.0.1:1/gates", "127.0.0.1:1/gates"),
        ("postgres://bridge:hunter77:x@127.0.0.1:1/gates", "127.0.0.1:1/gates"),
        ("postgres://bridge:%2Fhunter77@127.0.0.1:1/gates", "127.0.0.1:1/gates"),
        ("postgres://bridge:hunter77@[::1]:1/gates", "[::1]:1/gates"),
        ("postgres://bridge:hunter77@/gates?host=/nowhere&port=1", "/nowhere:1/gates"),
        ("postgres://127.0.0.1:1/gates?user=bridge&password=hunter77&connect_timeout=9", "127.0.0.1:1/gates"),
    ] {
        for command in ["check", "audit"] {
            let (code, said) = says(command, &config, Some(url));
            assert_eq!(code, Some(1), "{url}: {said}");
            assert!(said.contains(&format!("cannot open {place}: ")), "{url}: {said}");
            assert!(!said.contains("hunter77"), "{url}: {said}");
            assert!(!said.contains("lookup"), "the name of a host is made of an address: {said}");
        }
    }
}

/// The secret of an OAuth client and the address of a channel: no command prints them, whatever is wrong beside them.
#[test]
fn the_secrets_of_an_oauth_client_and_a_channel_are_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file.toml");
    let client = |secret: &str, token_url: &str| {
        format!(
            "{LISTEN}[jira]\nurl = \"http://127.0.0.1:1\"\noauth = {{ client_id = \"k3Ff0\", client_secret = {secret}, \
             token_url = {token_url} }}\n[ticket]\nproject = \"OPS\"\n"
        )
    };
    let right = client("\"hunter77-of-the-client\"", "\"http://127.0.0.1:1/token\"");
    let channel = |url: &str| format!("{right}[[notify]]\nurl = {url}\nformat = \"slack\"\n");
    for (text, commands) in [
        (right.clone(), &["check", "config"][..]),
        (client("[\"hunter77\"]", "\"http://127.0.0.1:1/token\""), &["check", "serve", "config"]),
        (client("\"hunter77-of-the-client\"", "\"https://me:hunter77@auth.example/x\""), &["check", "serve"]),
        (client("\"hunter77-of-the-client\"", "\"http://auth.example/hunter77\""), &["check", "serve"]),
        (channel("\"https://hooks.slack.com/services/T0/B0/hunter77\""), &["check", "config"]),
        (channel("\"http://hooks.slack.com/services/T0/B0/hunter77\""), &["check", "serve", "config"]),
        (channel("\"https://me:hunter77@hooks.example/x\""), &["check", "serve", "config"]),
        (channel("[\"https://hooks.slack.com/services/T0/B0/hunter77\"]"), &["check", "serve", "config"]),
        (format!("{right}notify = \"https://hooks.slack.com/hunter77\"\n"), &["check", "serve"]),
    ] {
        fs::write(&file, &text).unwrap();
        for command in commands {
            let (code, said) = says(command, &file, Some("sqlite:///nowhere/bridge.db"));
            assert!(code.is_some() && !said.is_empty(), "{command} {text}: {said}");
            assert!(!said.contains("hunter77"), "{command} {text}: {said}");
        }
    }
}
