//! README.md matches the program: its configurations load, its Canary uses existing paths, its commands exist, and the
//! bridge gives its quoted answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use fake_jira::{FakeJira, Flavour, Setup};
use flagger_jira_bridge::{
    check::check,
    cli::{self, Gates, OutputStyle},
    clock::Clock,
    config::{self, Config, EXAMPLE},
    gate::Verdict,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{WEBHOOK_SECRET, World, program, yaml};

const README: &str = include_str!("../../../README.md");
/// The directory of the secrets in the README.
const SECRETS: &str = "/secrets";

/// The code blocks in this language, in order.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let found = README.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let found: Vec<String> = found.collect();
    assert!(!found.is_empty(), "the README has {language}");
    found
}

/// The inline code spans in text and tables.
fn inline() -> Vec<&'static str> {
    let text = README.split("\n```").step_by(2);
    text.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// The documents of all YAML blocks.
fn documents() -> Vec<Value> {
    blocks("yaml").iter().flat_map(|block| yaml::documents(block)).collect()
}

/// The only document of this kind.
fn document(kind: &str) -> Value {
    let mut found: Vec<Value> = documents().into_iter().filter(|it| it["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found.remove(0)
}

/// The names of the files under [`SECRETS`].
fn secrets() -> BTreeSet<String> {
    let folder = format!("{SECRETS}/");
    README.split(&folder).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// A directory with a file for each secret.
fn mounted() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in secrets() {
        std::fs::write(directory.path().join(name), "sixteen-characters-or-more\n").unwrap();
    }
    directory
}

fn load(directory: &Path, text: &str, env: Vec<(String, String)>) -> Config {
    let path = directory.join("config.toml");
    std::fs::write(&path, text).unwrap();
    config::load(&path, env).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

/// Complete configurations load unchanged; a part loads as an addition to each of them.
#[test]
fn configurations_load() {
    let (whole, parts): (Vec<String>, Vec<String>) =
        blocks("toml").into_iter().partition(|block| block.contains("[jira]"));
    assert_eq!((whole.len(), parts.len()), (2, 1));
    let directory = mounted();
    let here = directory.path().to_str().unwrap();
    let mut users = Vec::new();
    for text in &whole {
        let text = text.replace(SECRETS, here);
        let config = load(directory.path(), &text, vec![]);
        assert!(config.jira.webhook_secret.is_some());
        users.push(config.jira.client.user);
        for part in &parts {
            let config = load(directory.path(), &format!("{text}\n{}", part.replace(SECRETS, here)), vec![]);
            assert!(config.flagger.token.is_some());
        }
    }
    assert!(users[0].is_some() && users[1].is_none(), "Cloud first, then Data Center: {users:?}");
}

/// Without mounted files, the exported variables supply the secrets.
#[test]
fn the_exported_variables_suffice() {
    let directory = mounted();
    let sh = blocks("sh").concat();
    let exports = sh.lines().find_map(|line| line.strip_prefix("export ")).unwrap();
    let pairs = exports.split(' ').map(|pair| pair.split_once('=').unwrap());
    let env: Vec<(String, String)> = pairs
        .map(|(name, file)| (name.to_owned(), directory.path().join(file).to_str().unwrap().to_owned()))
        .collect();
    assert_eq!(env.len(), 2);
    load(directory.path(), &blocks("toml")[0], env);
    let token = README.split('`').find(|it| it.starts_with("BRIDGE__")).unwrap();
    let without =
        blocks("toml")[0].lines().filter(|line| !line.contains("_file")).collect::<Vec<_>>().join("\n");
    load(directory.path(), &without, vec![(token.to_owned(), "a-token".to_owned())]);
}

/// The message that Flagger sends for a hook of this type.
pub(crate) fn sent(kind: &str, hook: &Value, canary: &Value) -> Value {
    let phase = if kind == "confirm-rollout" { "Initialized" } else { "Progressing" };
    let mut body = json!({
        "name": canary["metadata"]["name"],
        "namespace": canary["metadata"]["namespace"],
        "phase": phase,
        "checksum": "5594979469",
    });
    if let Some(metadata) = hook.get("metadata") {
        body["metadata"] = metadata.clone();
    }
    body
}

/// The part of a URL after the host.
pub(crate) fn path_of(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

#[tokio::test]
async fn every_hook_of_the_canary_is_accepted() {
    let canary = document("Canary");
    let of = |text: &str| yaml::documents(text).remove(0);
    let service = of(include_str!("../../../deploy/kustomize/base/services.yaml"));
    let namespace = &of(include_str!("../../../deploy/kustomize/base/kustomization.yaml"))["namespace"];
    assert_eq!(
        service["spec"]["ports"],
        json!([{ "name": "gate", "port": 80, "targetPort": "gate", "appProtocol": "http" }])
    );
    let host = format!("{}.{}", service["metadata"]["name"].as_str().unwrap(), namespace.as_str().unwrap());
    let world = World::start(Flavour::Cloud).await;
    let mut answers = BTreeMap::new();
    for hook in canary["spec"]["analysis"]["webhooks"].as_array().unwrap() {
        let (kind, url) = (hook["type"].as_str().unwrap(), hook["url"].as_str().unwrap());
        assert!(url.starts_with(&format!("http://{host}/")), "{url} does not lead to the Service");
        // Flagger refuses metadata values that are not strings.
        assert!(hook.get("metadata").is_none_or(|it| it.as_object().unwrap().values().all(Value::is_string)));
        // Flagger repeats a question anyway, but sends a report once.
        assert_eq!(hook.get("retries").is_some(), matches!(kind, "event" | "post-rollout"), "{kind}");
        let answer = world.posts(&path_of(url), &sent(kind, hook, &canary)).await;
        answers.insert(kind.to_owned(), answer.status);
    }
    let expected = [
        ("confirm-promotion", 403),
        ("confirm-rollout", 403),
        ("confirm-traffic-increase", 403),
        ("event", 200),
        ("post-rollout", 200),
        ("rollback", 403),
    ];
    assert_eq!(answers, expected.map(|(kind, status)| (kind.to_owned(), status)).into());
    world.finish().await;
}

#[tokio::test]
async fn the_token_in_the_url_lets_flagger_in() {
    let canary = document("Canary");
    let url = inline().into_iter().find_map(|code| code.strip_prefix("url: ")).unwrap();
    let (user, rest) = url.strip_prefix("http://").unwrap().split_once(':').unwrap();
    let (token, _) = rest.split_once('@').unwrap();
    let world = World::start_with(Flavour::Cloud, &format!("flagger.token = \"{token}\"")).await;
    let mut body = sent("confirm-promotion", &Value::Null, &canary);
    let ask = |body: &Value| {
        world.gate("POST", &path_of(url)).header("content-type", "application/json").body(body.to_string())
    };
    assert_eq!(world.sends(ask(&body)).await.status, 401);
    assert_eq!(world.sends(ask(&body).basic_auth(user, Some(token))).await.status, 403);
    body["metadata"] = json!({ "token": token });
    assert_eq!(world.sends(ask(&body)).await.status, 403);
    world.finish().await;
}

/// The deployment commands, the manifests they apply and the configuration use the same names. The test
/// `deploy::rendered_manifests` compares manifests and image.
#[test]
fn the_commands_deploy_it() {
    let block = blocks("sh").into_iter().find(|block| block.starts_with("docker build ")).unwrap();
    let base = |name: &str| format!("deploy/kustomize/base/{name}");
    let read = |name: &str| yaml::documents(&std::fs::read_to_string(base(name)).unwrap()).remove(0);
    let (kustomization, deployment) = (read("kustomization.yaml"), read("deployment.yaml"));
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let image = &kustomization["images"][0];
    let image = format!("{}:{}", word(&image["newName"]), word(&image["newTag"]));
    let namespace = word(&kustomization["namespace"]);
    let secret = word(&deployment["spec"]["template"]["spec"]["volumes"][1]["secret"]["secretName"]);
    let files: String = secrets().iter().map(|name| format!(" --from-file={name}")).collect();
    let expected = [
        format!("docker build -t {image} ."),
        format!("docker push {image}"),
        format!("kubectl create namespace {namespace}"),
        format!("kubectl -n {namespace} create secret generic {secret}{files}"),
        "kubectl apply -k deploy/kustomize/sqlite".to_owned(),
    ];
    assert_eq!(block.lines().collect::<Vec<_>>(), expected);
    // The settings that the manifests need are present, and the README tells the reader to keep them.
    let config: toml::Table = std::fs::read_to_string(base("config.toml")).unwrap().parse().unwrap();
    assert!(config["server"].get("admin_listen").is_some() && config["flagger"].get("token_file").is_some());
    assert!(README.contains("keep its `[server]` and `[flagger]`"));
    // Every secret is created first.
    let made = blocks("sh").into_iter().find(|block| block.contains("umask")).unwrap();
    assert!(secrets().iter().all(|name| made.contains(&format!(" > {name}\n"))), "{made}");
    assert_eq!(kustomization["configMapGenerator"][0]["files"], json!(["config.toml"]));
    for path in ["kustomization.yaml", "networkpolicy.yaml", "config.toml"].map(base) {
        assert!(Path::new(&path).is_file(), "{path}");
    }
    assert!(Path::new("deploy/kustomize/sqlite/kustomization.yaml").is_file());
}

/// Every command in the README exists, with its options.
#[test]
fn commands_exist() {
    let all = blocks("sh").into_iter().chain(inline().into_iter().map(str::to_owned));
    let mut named = BTreeSet::new();
    for line in all.collect::<Vec<_>>().iter().flat_map(|code| code.lines()) {
        let line = line.replace("cargo run -- ", "flagger-jira-bridge ");
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        for at in 0..words.len().saturating_sub(1) {
            let command = words[at + 1];
            if words[at] != "flagger-jira-bridge" || !command.chars().all(char::is_alphabetic) {
                continue;
            }
            let (code, help, _) = program::run(&[command, "--help"]);
            assert_eq!(code, Some(0), "{command}");
            named.insert(command.to_owned());
            for option in words[at + 2..].iter().filter(|word| word.starts_with('-')) {
                assert!(help.contains(option), "{command} has no {option}");
            }
        }
    }
    assert_eq!(named, ["audit", "check", "demo", "gates", "serve"].map(str::to_owned).into());
    for option in inline().into_iter().filter(|code| code.starts_with("--") && !code.contains('=')) {
        let helps = ["gates", "audit", "demo"].map(|command| program::run(&[command, "--help"]).1);
        assert!(
            helps.iter().any(|help| help.contains(option.split(' ').next().unwrap())),
            "no command has {option}"
        );
    }
    let first = &blocks("sh")[0];
    assert!(first.contains("cargo run -- demo") && first.contains("cargo test"));
}

/// The quoted lines and table are the bridge's, except for Jira's address.
#[tokio::test]
async fn answers_are_quoted_right() {
    let canary = document("Canary");
    let world = World::start(Flavour::Cloud).await;
    let body = sent("confirm-promotion", &Value::Null, &canary);
    let ask = async || {
        let answer = world.posts("/gate/confirm-promotion", &body).await;
        answer.body.replace(world.jira.base_url().as_str(), "https://example.atlassian.net")
    };
    let mut lines = ask().await;
    world.run_worker().await;
    world.advance(Duration::from_secs(725));
    lines += &ask().await;
    let wanted = Gates::of(&format!("http://{}", world.address(2)));
    let table = cli::gates(&wanted, &OutputStyle::default(), world.clock.now()).await.unwrap();
    world.decides(&world.newest(), "Approved").await;
    lines += &ask().await;
    let quoted = blocks("text");
    assert_eq!(quoted[1], format!("{table}\n"));
    assert_eq!(quoted[2], lines);
    world.finish().await;
}

/// The curl command asks as Flagger does, and the statement about its checksum is true.
#[tokio::test]
async fn the_curl_command_asks() {
    let command = blocks("sh").into_iter().find(|block| block.starts_with("curl -i ")).unwrap();
    let quoted: Vec<&str> = command.split('\'').skip(1).step_by(2).collect();
    let (header, body) = (quoted[0].split_once(": ").unwrap(), quoted[1]);
    let port = &EXAMPLE.parse::<toml::Table>().unwrap()["server"]["gate_listen"];
    let port = port.as_str().unwrap().strip_prefix("0.0.0.0:").unwrap().to_owned();
    let url = command.split(' ').find(|word| word.starts_with("http://")).unwrap();
    let path = url.strip_prefix(&format!("http://127.0.0.1:{port}")).unwrap();
    let world = World::start(Flavour::Cloud).await;
    let asks = async |body: &str| {
        world.sends(world.gate("POST", path).header(header.0, header.1).body(body.to_owned())).await
    };
    let answer = asks(body).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "closed: opening: the ticket is being opened\n"));
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 1, "it opened a real ticket");
    let other = body.replace("5594979469", "6b5c9d7f48");
    assert_ne!(body, other);
    asks(&other).await;
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 2, "another revision");
    assert!(asks(&other).await.body.contains(&world.newest()));
    world.finish().await;
}

/// `check` prints the sample's lines for the README's configuration.
#[tokio::test]
async fn check_prints_the_sample() {
    let directory = mounted();
    let text = blocks("toml")[0].replace(SECRETS, directory.path().to_str().unwrap());
    let setup = Setup::new(Flavour::Cloud, Clock::System);
    let user = "flagger-bridge@example.com".to_owned();
    let jira = FakeJira::new(Setup { user, token: "sixteen-characters-or-more".to_owned(), ..setup });
    let url = ("BRIDGE__JIRA__URL".to_owned(), jira.start().await.unwrap());
    // The sample does not depend on this machine's ports.
    let any = |name: &str| (format!("BRIDGE__SERVER__{name}_LISTEN"), "127.0.0.1:0".to_owned());
    let env = vec![url, any("GATE"), any("WEBHOOK"), any("ADMIN")];
    let report = check(&load(directory.path(), &text, env), Clock::System).await;
    let wide = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed: BTreeSet<String> = report.to_string().lines().map(wide).collect();
    let sample = &blocks("text")[0];
    assert!(sample.contains("ok    ") && sample.contains("\nwarn  ") && !report.failed(), "{report}");
    for line in sample.lines() {
        assert!(printed.contains(&wide(line)), "{line} is not in\n{report}");
    }
}

#[tokio::test]
async fn the_metrics_to_alert_on_exist() {
    let world = World::start(Flavour::Cloud).await;
    world.ticks().await;
    let text = world.sends(world.admin("GET", "/metrics")).await.body;
    world.finish().await;
    let named = inline().into_iter().filter(|code| code.starts_with("flagger_jira_bridge_"));
    let named: BTreeSet<&str> = named.map(|code| code.split('{').next().unwrap()).collect();
    assert_eq!(named.len(), 5);
    for name in named {
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(text.contains(&format!("# TYPE {family} ")), "{name}");
    }
    for series in ["gates{state=\"stuck\"}", "outbox_rows{state=\"parked\"}"] {
        assert!(
            README.contains(series) && text.contains(&format!("flagger_jira_bridge_{series}")),
            "{series}"
        );
    }
}

/// At confirm-rollout only `metadata.revision` shows that a newer revision was pushed.
#[tokio::test]
async fn another_revision_by_name_is_another_rollout() {
    let canary = document("Canary");
    let hook = &canary["spec"]["analysis"]["webhooks"][0];
    let world = World::start(Flavour::Cloud).await;
    let mut body = sent("confirm-rollout", hook, &canary);
    world.posts("/gate/confirm-rollout", &body).await;
    world.run_worker().await;
    let first = world.newest();
    body["phase"] = json!("Waiting");
    assert!(world.posts("/gate/confirm-rollout", &body).await.body.contains(&first));
    body["metadata"]["revision"] = json!("6.6.0");
    let answer = world.posts("/gate/confirm-rollout", &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "closed: opening: the ticket is being opened\n"));
    world.run_worker().await;
    world.decides(&first, "Approved").await;
    assert_eq!(world.posts("/gate/confirm-rollout", &body).await.status, 403, "the old ticket has ended");
    assert_eq!(world.tickets().len(), 2);
    world.finish().await;
}

/// The bridge accepts the request of the automation rule, with the issue's number filled in.
#[tokio::test]
async fn the_automation_rule_is_accepted() {
    let world = World::start(Flavour::DataCenter).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    let id = world.tickets()[0].id.clone();
    let body = inline().into_iter().find(|code| code.starts_with("{\"issueId\"")).unwrap();
    let header = inline().into_iter().find_map(|code| code.strip_prefix("Authorization: ")).unwrap();
    let url = inline().into_iter().find_map(|code| code.strip_prefix("https://bridge.example.com")).unwrap();
    let request = world
        .webhook("POST", url)
        .header("Authorization", header.replace("SECRET", WEBHOOK_SECRET))
        .body(body.replace("{{issue.id}}", &id));
    let answer = world.sends(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "accepted\n"));
    world.finish().await;
}

#[test]
fn defaults_and_states_are_real() {
    let defaults: toml::Table = EXAMPLE.parse().unwrap();
    for (words, section, key, value) in [
        ("72 hours (`approval.valid_for`)", "approval", "valid_for", "72h"),
        ("(`jira.poll_every`, 20 seconds)", "jira", "poll_every", "20s"),
        ("`jira.trust_for` (10 minutes)", "jira", "trust_for", "10m"),
        ("`rollout.abandon_after` (7 days)", "rollout", "abandon_after", "7d"),
        ("| 8080 | `server.gate_listen`", "server", "gate_listen", "0.0.0.0:8080"),
        ("| 8081 | `server.webhook_listen`", "server", "webhook_listen", "0.0.0.0:8081"),
        ("| 9090 | `server.admin_listen`", "server", "admin_listen", "127.0.0.1:9090"),
    ] {
        assert!(README.contains(words), "{words}");
        assert_eq!(defaults[section][key].as_str(), Some(value), "{words}");
    }

    let states = README.lines().skip_while(|line| !line.starts_with("| state |")).skip(2);
    let states = states.map_while(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(states.collect::<Vec<_>>(), Verdict::ALL.map(Verdict::as_str));
}
