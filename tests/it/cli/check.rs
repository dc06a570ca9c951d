//! The output of `check` for each of many mistakes, made one by one in a working configuration. docs/check.md shows the
//! same output, and is compared with it here.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use fake_jira::{
    Category, FakeJira, Fault, Field, Flavour, MIA, Operation, Setup, Shape, Status, Times, Transition,
    Workflow,
};
use flagger_jira_bridge::{
    clock::Clock,
    config,
    http::serve::{ServeLimits, Tls, serve},
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

mod table;

use table::{Case, Reach, cases};

use crate::docs::page::Page;

const DOC: &str = "docs/check.md";
/// Between these two lines the document is generated from the table.
const BEGIN: &str = "<!-- from here on as the program prints it -->\n";
const END: &str = "<!-- up to here -->\n";

/// The secrets, none of which may be printed.
const TOKEN: &str = "the-swordfish-token-of-jira";
const WEBHOOK: &str = "the-swordfish-of-the-webhook";
const FLAGGER: &str = "the-swordfish-of-flagger";
const CLUSTER: &str = "the-swordfish-of-a-cluster";

/// A valid configuration. Each line is one key, so that a mistake can replace or remove it.
fn good(flavour: Flavour) -> Vec<String> {
    let user = match flavour {
        Flavour::Cloud => {
            "jira.user = \"bridge@example.com\"\napproval.approvers = [\"5b10ac8d82e05b22cc7d4e01\"]"
        }
        Flavour::DataCenter => "approval.approvers = [\"mia\"]",
    };
    format!(
        r#"server.gate_listen = "127.0.0.1:0"
server.webhook_listen = "127.0.0.1:0"
server.admin_listen = "127.0.0.1:0"
server.public_url = "https://bridge.example.com"
store.url = "sqlite://DIR/bridge.db"
flagger.token = "{FLAGGER}"
jira.url = "URL"
{user}
jira.token = "{TOKEN}"
jira.webhook_secret = "{WEBHOOK}"
jira.requests_per_second = 1000
jira.burst = 1000
ticket.project = "OPS"
"#
    )
    .lines()
    .filter(|line| !line.is_empty())
    .map(str::to_owned)
    .collect()
}

/// The configuration with a mistake: a line replaces the one with the same key, or is added; `-key` removes one, and
/// everything from `[[` on is added at the end.
fn with_mistake(flavour: Flavour, lines: &str) -> String {
    let (keys, tables) = lines.split_at(lines.find("[[").unwrap_or(lines.len()));
    let mut text = good(flavour);
    let key = |line: &str| line.split(" = ").next().unwrap().to_owned();
    for line in keys.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix('-') {
            Some(gone) => text.retain(|had| key(had) != gone),
            None => {
                text.retain(|had| key(had) != key(line));
                text.push(line.to_owned());
            }
        }
    }
    format!("{}\n{tables}\n", text.join("\n"))
}

fn fake(flavour: Flavour, reach: Reach) -> FakeJira {
    let mut setup = Setup { token: TOKEN.into(), ..Setup::new(flavour, Clock::System) };
    match reach {
        Reach::Context => setup.context = "/jira".into(),
        Reach::Password => setup.password = Some("the-swordfish-password".into()),
        Reach::Plain | Reach::Tls | Reach::Nowhere => {}
    }
    FakeJira::new(setup)
}

/// The files of a folder with their contents.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap_or_default()))
        .collect()
}

/// Runs the program's `check` without this process's environment.
async fn run(folder: &Path, log: &'static str) -> (Option<i32>, String, String) {
    let folder = folder.to_owned();
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flagger-jira-bridge"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BRIDGE_") {
                command.env_remove(name);
            }
        }
        command.env_remove("HTTP_PROXY").env_remove("HTTPS_PROXY").env("RUST_LOG", log);
        command.current_dir(&folder).args(["check", "-c", "config.toml"]).output().unwrap()
    };
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The result for a mistake: the exit code, and the lines that are not ok.
#[derive(Debug)]
struct Seen {
    code: i32,
    lines: Vec<String>,
}

/// A TLS listener with a certificate of an unknown authority.
async fn unknown_certificate() -> String {
    let file = |name: &str| format!("{}/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = config::Tls { cert_file: file("old.crt.pem").into(), key_file: file("old.key.pem").into() };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    let (tls, limits) = (Tls::load(files).unwrap(), ServeLimits::promised(Duration::ZERO));
    tokio::spawn(serve(port, axum::Router::new(), Some(Arc::new(tls)), limits, CancellationToken::new()));
    format!("https://localhost:{}", address.port())
}

/// Makes a mistake and runs `check`, which must print no secret and change nothing in Jira or on disk.
async fn make_mistake(case: &Case) -> Seen {
    let jira = fake(case.flavour, case.reach);
    if case.oauth {
        jira.set_oauth_client("k3Ff0aT5x9", "the-swordfish-of-the-client");
    }
    (case.jira)(&jira);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    std::fs::write(folder.path().join("a-letter"), "this is no database, nor anything else").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let url = match case.reach {
        Reach::Tls => unknown_certificate().await,
        Reach::Plain | Reach::Password => jira.start().await.unwrap(),
        Reach::Context => jira.start().await.unwrap().trim_end_matches("/jira").to_owned(),
        Reach::Nowhere => "http://127.0.0.1:1".to_owned(),
    };
    let host = url.split("://").nth(1).unwrap().to_owned();
    let text = with_mistake(case.flavour, case.config);
    let text = text.replace("URL", &url).replace("HOST", &host).replace("DIR", &dir).replace("TAKEN", &port);
    std::fs::write(folder.path().join("config.toml"), text).unwrap();
    let before = contents(folder.path());
    let (issues, requests) = (jira.issues(), jira.requests().len());
    let (code, stdout, stderr) = run(folder.path(), "warn").await;
    let all = format!("{stdout}{stderr}");
    assert!(!all.contains("swordfish"), "{}: a secret was printed\n{all}", case.name);
    assert_eq!(contents(folder.path()), before, "{}: the folder was changed", case.name);
    assert_eq!(jira.issues(), issues, "{}", case.name);
    assert_eq!(jira.complaints(), [""; 0], "{}", case.name);
    for request in jira.requests().iter().skip(requests) {
        // Only reading requests are allowed.
        let reads = [Operation::BulkFetch, Operation::Search, Operation::AccessToken];
        let reads = request.method == "GET" || reads.contains(&request.operation);
        assert!(reads, "{}: {} {}", case.name, request.method, request.path);
    }
    let show = |line: &str| {
        let line = line.replace(&host, "jira.example.com").replace(&dir, "/data").replace(&port, "8080");
        // Columns are collapsed to two spaces.
        let mut words = line.splitn(3, "  ").map(str::trim);
        let shown: Vec<&str> = words.by_ref().filter(|word| !word.is_empty()).collect();
        shown.join("  ")
    };
    let lines: Vec<String> = match code {
        Some(2) => {
            assert_eq!(stdout, "", "{}", case.name);
            stderr.lines().skip(1).map(show).collect()
        }
        _ => {
            assert_eq!(stderr, "", "{}", case.name);
            let (lines, summary) = stdout.trim_end().rsplit_once('\n').unwrap();
            let many = |level: &str| lines.lines().filter(|line| line.starts_with(level)).count();
            let counted = summary.split(' ').filter_map(|word| word.parse::<usize>().ok());
            assert_eq!(counted.collect::<Vec<_>>(), [many("FAIL"), many("warn")], "{stdout}");
            let bad = lines.lines().filter(|line| !line.starts_with("ok"));
            bad.filter(|line| !line.contains("not checked:")).map(show).collect()
        }
    };
    let failed = lines.iter().any(|line| line.starts_with("FAIL"));
    let expected = if code == Some(2) { 2 } else { i32::from(failed) };
    assert_eq!(code, Some(expected), "{}: {stdout}{stderr}", case.name);
    assert!(!lines.is_empty(), "{}: nothing was found\n{stdout}", case.name);
    Seen { code: expected, lines }
}

/// A mistake as shown in the document.
fn shown(case: &Case, seen: &Seen) -> String {
    let mut text = format!("**{}** (exit code {})\n\n", case.name, seen.code);
    let config: Vec<&str> = case
        .config
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('-'))
        .collect();
    if !config.is_empty() && !case.config.contains("DIR") && !case.config.contains("swordfish") {
        let config =
            config.join("\n").replace("HOST", "jira.example.com").replace("URL", "https://jira.example.com");
        text += &format!("```toml\n{}\n```\n\n", config.replace("TAKEN", "8080"));
    }
    text + &format!("```text\n{}\n```\n\n", seen.lines.join("\n"))
}

/// `check` finds every mistake. TEST_WRITE_DOCS=1 generates the document; then review every difference.
#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_found_and_documented() {
    let all = cases();
    assert!(all.len() >= 35, "{}", all.len());
    let (few, mut tasks) = (Arc::new(Semaphore::new(4)), JoinSet::new());
    for (nth, case) in all.into_iter().enumerate() {
        let few = Arc::clone(&few);
        tasks.spawn(async move {
            let _one = few.acquire().await.unwrap();
            let seen = make_mistake(&case).await;
            (nth, case, seen)
        });
    }
    let mut done = tasks.join_all().await;
    done.sort_by_key(|(nth, ..)| *nth);
    let (mut contents, mut text, mut section) = ("Contents:\n\n".to_owned(), String::new(), "");
    for (_, case, seen) in &done {
        if case.section != section {
            section = case.section;
            contents += &format!("- [{section}](#{})\n", Page::anchor(section));
            text += &format!("## {section}\n\n");
        }
        text += &shown(case, seen);
    }
    let doc = std::fs::read_to_string(DOC).unwrap();
    let (head, rest) = doc.split_once(BEGIN).unwrap();
    let (had, tail) = rest.split_once(END).unwrap();
    let made = format!("\n{contents}\n{text}");
    if std::env::var_os("TEST_WRITE_DOCS").is_some() {
        std::fs::write(DOC, format!("{head}{BEGIN}{made}{END}{tail}")).unwrap();
        return;
    }
    for (had, made) in had.lines().zip(made.lines()) {
        assert_eq!(had, made, "{DOC} is outdated; TEST_WRITE_DOCS=1 generates it");
    }
    assert_eq!(had.lines().count(), made.lines().count(), "{DOC} has another number of lines");
}

/// The output without a mistake, as in the document's example.
#[tokio::test(flavor = "multi_thread")]
async fn a_valid_configuration() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let jira = fake(flavour, Reach::Plain);
        let url = jira.start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display().to_string();
        let text = with_mistake(flavour, "").replace("URL", &url).replace("DIR", &dir);
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
        let before = contents(folder.path());
        let (code, stdout, stderr) = run(folder.path(), "info").await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        assert_eq!(contents(folder.path()), before);
        let findings = stdout.strip_suffix("0 failures, 0 warnings\n").expect("a last line counts them");
        assert!(findings.lines().all(|line| line.starts_with("ok    ")), "{stdout}");
        let columns: Vec<_> = findings.lines().map(|line| line[6..].find("  ")).collect();
        assert!(columns.iter().all(Option::is_some), "{stdout}");
        assert!(findings.lines().count() <= 17, "{stdout}");
        if flavour == Flavour::Cloud {
            let shown = stdout
                .replace(&url, "https://example.atlassian.net")
                .replace(&dir, "/data")
                .replace("1000 a second", "5 a second");
            let shown = shown.replace(
                "127.0.0.1:0, 127.0.0.1:0, 127.0.0.1:0",
                "0.0.0.0:8080, 0.0.0.0:8081, 127.0.0.1:9090",
            );
            let doc = std::fs::read_to_string(DOC).unwrap();
            assert!(doc.contains(&format!("```text\n{shown}```\n")), "{DOC} has another example:\n{shown}");
        }
    }
}

/// No secret is printed, with any mistake and at any log level.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [("jira", TOKEN), ("webhook", WEBHOOK), ("flagger", FLAGGER), ("cluster", CLUSTER)]
    {
        std::fs::write(folder.path().join(name), format!("{secret}\nanother-swordfish\n")).unwrap();
    }
    let by_file = "-jira.token\n-jira.webhook_secret\n-flagger.token\njira.token_file = \"jira\"\n\
        jira.webhook_secret_file = \"webhook\"\nflagger.token_file = \"flagger\"\n[[flagger.clusters]]\nname = \"prod\"\n\
        token_file = \"cluster\"\n";
    let by_oauth = "-jira.user\n-jira.token\njira.oauth = { client_id = \"k3Ff0aT5x9\", client_secret_file = \"jira\", token_url = \"URL/oauth/token\", api_url = \"URL\" }";
    let by_value = format!("[[flagger.clusters]]\nname = \"prod\"\ntoken = \"{CLUSTER}\"\n");
    let database = "store.url = \"postgres://swordfish:swordfish@127.0.0.1:1/gates\"";
    let short = "jira.webhook_secret = \"swordfish\"\nflagger.token = \"swordfish\"";
    let wrong = [
        "jira.token_file = \"the-swordfish-in-the-wrong-key\"\n-jira.token",
        "store.url = \"mysql://swordfish@host/db\"",
        "jira.url = \"https://bridge:swordfish@jira.example.com\"",
        "jira.token = [\"swordfish\"]",
    ];
    let all = [by_file, by_oauth, by_value.as_str(), database, short].into_iter().chain(wrong);
    for config in all {
        for fault in
            [None, Some(Fault::Unauthorized), Some(Fault::Html), Some(Fault::Dropped), Some(Fault::WrongJson)]
        {
            let jira = fake(Flavour::Cloud, Reach::Plain);
            jira.set_oauth_client("k3Ff0aT5x9", TOKEN);
            if let Some(fault) = fault {
                jira.fault(Operation::Myself, fault.clone(), Times::Always);
                jira.fault(Operation::AccessToken, fault, Times::Once);
            }
            let url = jira.start().await.unwrap();
            let dir = folder.path().display().to_string();
            let text = with_mistake(Flavour::Cloud, config).replace("URL", &url).replace("DIR", &dir);
            std::fs::write(folder.path().join("config.toml"), text).unwrap();
            let (_, stdout, stderr) = run(folder.path(), "trace").await;
            let all = format!("{stdout}{stderr}").to_lowercase();
            assert!(!all.is_empty() && !all.contains("swordfish"), "{config}\n{all}");
            assert!(!all.contains("access-token-"), "{config}\n{all}");
            for encoded in ["c3dvcmRmaXNo", "n3b3JkZmlza", "d29yZGZpc2"] {
                assert!(!all.contains(&encoded.to_lowercase()), "{config}\n{all}");
            }
        }
    }
}

/// A running bridge uses the ports; that is no mistake.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_bridge_may_use_the_ports() {
    let jira = fake(Flavour::Cloud, Reach::Plain);
    let world = crate::world::World::start(Flavour::Cloud).await;
    let url = jira.start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let stranger = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stranger = stranger.local_addr().unwrap().to_string();
    let check = async |webhook: &str| {
        let listen = format!(
            "server.gate_listen = \"{}\"\nserver.webhook_listen = \"{webhook}\"\nserver.admin_listen = \"{}\"",
            world.address(0),
            world.address(2)
        );
        let text = with_mistake(Flavour::Cloud, &listen).replace("URL", &url).replace("DIR", &dir);
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
        run(folder.path(), "warn").await
    };
    let (code, stdout, _) = check(&world.address(1).to_string()).await;
    assert_eq!(code, Some(0), "{stdout}");
    let ours = format!("taken by a bridge that runs here: {}, ", world.address(0));
    assert!(stdout.contains(&ours), "{stdout}");
    // Another program uses one of the ports.
    let (code, stdout, _) = check(&stranger).await;
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains(&format!("{stranger} is taken by another program")), "{stdout}");
    world.finish().await;
}
