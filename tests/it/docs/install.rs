//! docs/install.md matches the program: its configurations load, its commands deploy the manifests, and `check` prints
//! what it shows.

use std::{collections::BTreeSet, path::Path};

use fake_jira::{FakeJira, Flavour, Setup};
use flagger_jira_bridge::{
    check::check,
    clock::Clock,
    config::{self, Config, EXAMPLE},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    docs::page::{Page, page},
    world::{WEBHOOK_SECRET, World, yaml},
};

/// The directory of the secrets on the page.
const SECRETS: &str = "/secrets";

fn install() -> Page {
    page("docs/install.md")
}

fn blocks(language: &str) -> Vec<String> {
    install().blocks(language)
}

/// The names of the files under [`SECRETS`].
fn secrets() -> BTreeSet<String> {
    let folder = format!("{SECRETS}/");
    install().text.split(&folder).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
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

/// The configurations are complete, and load unchanged with the secrets that the page creates.
#[test]
fn configurations_load() {
    let whole = blocks("toml");
    assert_eq!(whole.len(), 2);
    let directory = mounted();
    let here = directory.path().to_str().unwrap();
    let mut users = Vec::new();
    for text in &whole {
        let text = text.replace(SECRETS, here);
        let config = load(directory.path(), &text, vec![]);
        assert!(config.jira.webhook_secret.is_some() && config.flagger.token.is_some());
        users.push(config.jira.client.login.user().map(str::to_owned));
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
    let named = blocks("toml")[0].matches("_file = ").count();
    assert_eq!((env.len(), secrets().len()), (named, named));
    load(directory.path(), &blocks("toml")[0], env);
    let token = install().inline().into_iter().find(|it| it.starts_with("BRIDGE__")).unwrap();
    let without =
        blocks("toml")[0].lines().filter(|line| !line.contains("_file")).collect::<Vec<_>>().join("\n");
    load(directory.path(), &without, vec![(token.to_owned(), "a-token".to_owned())]);
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
        format!("kubectl -n {namespace} rollout status deploy/flagger-jira-bridge"),
        format!("kubectl -n {namespace} exec deploy/flagger-jira-bridge -- flagger-jira-bridge check"),
    ];
    assert_eq!(block.lines().collect::<Vec<_>>(), expected);
    // The settings that the manifests need are present, and the page tells the reader to keep them.
    let config: toml::Table = std::fs::read_to_string(base("config.toml")).unwrap().parse().unwrap();
    assert!(config["server"].get("admin_listen").is_some() && config["flagger"].get("token_file").is_some());
    assert!(install().text.contains("Keep its `[server]` and `[flagger]`"));
    // Every secret is created first.
    let made = blocks("sh").into_iter().find(|block| block.contains("umask")).unwrap();
    assert!(secrets().iter().all(|name| made.contains(&format!(" > {name}\n"))), "{made}");
    assert_eq!(kustomization["configMapGenerator"][0]["files"], json!(["config.toml"]));
    for path in ["kustomization.yaml", "networkpolicy.yaml", "config.toml"].map(base) {
        assert!(Path::new(&path).is_file(), "{path}");
    }
    assert!(Path::new("deploy/kustomize/sqlite/kustomization.yaml").is_file());
}

/// `check` prints the sample's lines for the page's configuration.
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
    let page = install();
    let named = page.inline().into_iter().filter(|code| code.starts_with("flagger_jira_bridge_"));
    let named: BTreeSet<String> = named.map(|code| code.split('{').next().unwrap().to_owned()).collect();
    assert_eq!(named.len(), 5);
    for name in named {
        let family = name.strip_suffix("_total").unwrap_or(&name);
        assert!(text.contains(&format!("# TYPE {family} ")), "{name}");
    }
    for series in ["gates{state=\"stuck\"}", "outbox_rows{state=\"parked\"}"] {
        assert!(
            page.text.contains(series) && text.contains(&format!("flagger_jira_bridge_{series}")),
            "{series}"
        );
    }
}

/// The bridge accepts the request of the automation rule, with the number filled in.
#[tokio::test]
async fn the_automation_rule_is_accepted() {
    let world = World::start(Flavour::DataCenter).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    let id = world.tickets()[0].id.clone();
    let inline = install().inline();
    let body = inline.iter().find(|code| code.starts_with("{\"issueId\"")).unwrap();
    let header = inline.iter().find_map(|code| code.strip_prefix("Authorization: ")).unwrap();
    let url = inline.iter().find_map(|code| code.strip_prefix("https://bridge.example.com")).unwrap();
    let request = world
        .webhook("POST", url)
        .header("Authorization", header.replace("SECRET", WEBHOOK_SECRET))
        .body(body.replace("{{issue.id}}", &id));
    let answer = world.sends(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "accepted\n"));
    world.finish().await;
}

#[test]
fn defaults_are_quoted_right() {
    let (defaults, text): (toml::Table, String) = (EXAMPLE.parse().unwrap(), install().text);
    for (words, section, key, value) in [
        ("(`jira.poll_every`, 20 seconds)", "jira", "poll_every", "20s"),
        ("| 8080 | `server.gate_listen`", "server", "gate_listen", "0.0.0.0:8080"),
        ("| 8081 | `server.webhook_listen`", "server", "webhook_listen", "0.0.0.0:8081"),
        ("| 9090 | `server.admin_listen`", "server", "admin_listen", "127.0.0.1:9090"),
    ] {
        assert!(text.contains(words), "{words}");
        assert_eq!(defaults[section][key].as_str(), Some(value), "{words}");
    }
    assert!(
        text.contains("| 9091 | `server.page_listen`")
            && EXAMPLE.contains("# page_listen  = \"0.0.0.0:9091\"")
    );
}
