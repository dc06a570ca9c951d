//! The installations of README.md, deploy/README.md and docs/install.md work as written: files are saved and commands run in
//! order, with stand-ins for docker, kubectl and helm that refuse a step whose predecessor is missing. Then `check` runs
//! with the configuration that this installs. For the README, `serve` runs, too, and the Canary asks with its token. With
//! TEST_HELM, the path of a helm, the chart itself makes the configuration.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use fake_jira::{FakeJira, Flavour, MIA, Setup};
use flagger_jira_bridge::clock::Clock;
use serde_json::{Value, json};

use crate::{
    docs::{flagger::sent, page::page},
    world::{
        program::{Serving, plain_client, program, until},
        yaml,
    },
};

/// The API token that the reader gets from Jira.
const JIRA_TOKEN: &str = "the-api-token-of-jira";

const DOCKER: &str = r#"
case $1 in
build) test -f "${!#}/Dockerfile" && echo "$3" >"$STATE/built" ;;
push) grep -qxF "$2" "$STATE/built" && echo "$2" >"$STATE/pushed" ;;
*) exit 9 ;;
esac
"#;
const KUBECTL: &str = r#"
case "$*" in
"create namespace "*) mkdir "$STATE/$3" ;;
"-n "*" create secret generic "*)
    cd "$STATE/$2" && mkdir "$6" && for file in "${@:7}"; do cp "$OLDPWD/${file#--from-file=}" "$6/"; done ;;
"-n "*" rollout status deploy/"*) test -f "$STATE/$2/installed-${5#deploy/}" ;;
"-n "*" exec deploy/"*" -- "*) test -f "$STATE/$2/installed-${4#deploy/}" && echo "${@:6}" >>"$STATE/executed" ;;
"-n "*" get secret "*" -o go-template="*) cat "$STATE/$2/$5/$(cut -d'"' -f2 <<<"$7")" ;;
"apply -f -") cat >"$STATE/applied.yaml" ;;
"apply -k "*)
    base=$3/../base/kustomization.yaml && test -f "$3/kustomization.yaml"
    touch "$STATE/$(sed -n 's/^namespace: //p' "$base")/installed-flagger-jira-bridge" ;;
*) exit 9 ;;
esac
"#;
const HELM: &str = r#"
[ "$1 $4 $6" = "install -n -f" ] && test -f "$3/Chart.yaml" && cp "$7" "$STATE/values.yaml" && test -d "$STATE/$5"
if [ -n "${TEST_HELM:-}" ]; then "$TEST_HELM" template "$2" "$3" --namespace "$5" -f "$7" >"$STATE/rendered.yaml"; fi
echo "$2.$5" >"$STATE/release" && touch "$STATE/$5/installed-$2"
"#;

/// Where the reader works: the files of the repository that the commands use, and the stand-ins with their state.
struct Reader {
    directory: tempfile::TempDir,
}

impl Reader {
    fn new() -> Self {
        let reader = Self { directory: tempfile::tempdir().unwrap() };
        for folder in ["work", "state", "programs"] {
            fs::create_dir(reader.path(folder)).unwrap();
        }
        for name in ["Dockerfile", "deploy"] {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), reader.path("work").join(name))
                .unwrap();
        }
        for (name, script) in [("docker", DOCKER), ("kubectl", KUBECTL), ("helm", HELM)] {
            let program = reader.path("programs").join(name);
            fs::write(&program, format!("#!/usr/bin/env bash\nset -euo pipefail\n{script}")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        reader
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn state(&self, name: &str) -> String {
        fs::read_to_string(self.path("state").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Does what a part of the page says: saves files, and pastes commands into a shell.
    fn follows(&self, section: &str) {
        let mut parts = section.split("```");
        let mut prose = parts.next().unwrap();
        while let Some(block) = parts.next() {
            let (language, code) = block.split_once('\n').unwrap();
            let named =
                |words: &str| prose.split_once(words).map(|(_, rest)| rest.split('`').next().unwrap());
            if let Some(file) = named("in a file named `") {
                fs::write(self.path("work").join(file), format!("{JIRA_TOKEN}\n")).unwrap();
            }
            match language {
                "yaml" => fs::write(self.path("work").join(named("Save this as `").unwrap()), code).unwrap(),
                "sh" => drop(self.runs(code)),
                _ => panic!("{language}"),
            }
            prose = parts.next().unwrap();
        }
    }

    /// Pastes commands into a shell in which $TOKEN is the token from Jira. Returns what they print.
    fn runs(&self, commands: &str) -> String {
        let path = format!("{}:{}", self.path("programs").display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", commands])
            .current_dir(self.path("work"))
            .env("PATH", path)
            .env("STATE", self.path("state"))
            .env("TOKEN", JIRA_TOKEN)
            .output()
            .expect("bash is installed");
        assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file of a secret that the commands created.
    fn secret(&self, namespace: &str, name: &str, key: &str) -> String {
        let path = self.path("state").join(namespace).join(name).join(key);
        assert!(path.is_file(), "the commands create {key} of the secret {name}");
        path.to_str().unwrap().to_owned()
    }

    /// The config.toml that the chart makes of the values, with the secrets where the commands put them.
    fn config(&self, namespace: &str) -> toml::Table {
        let values = yaml::documents(&self.state("values.yaml")).remove(0);
        let mut config: toml::Table = if std::env::var_os("TEST_HELM").is_some() {
            let rendered = yaml::documents(&self.state("rendered.yaml"));
            let map = rendered.iter().find(|it| it["kind"] == "ConfigMap").unwrap();
            map["data"]["config.toml"].as_str().unwrap().parse().unwrap()
        } else {
            let mut config = values["config"].clone();
            config["flagger"] = json!({});
            toml::to_string(&config).unwrap().parse().unwrap()
        };
        for (value, file, section, key) in [
            ("jiraToken", "jira-token", "jira", "token_file"),
            ("webhook", "jira-webhook", "jira", "webhook_secret_file"),
            ("gateToken", "flagger-token", "flagger", "token_file"),
        ] {
            if let Some(name) = values["secrets"][value]["name"].as_str() {
                let section = config[section].as_table_mut().unwrap();
                section.insert(key.to_owned(), self.secret(namespace, name, file).into());
            }
        }
        config
    }
}

/// What the commands installed, with a Jira that knows its account.
struct Installed<'a> {
    reader: &'a Reader,
    jira: FakeJira,
    url: String,
}

impl<'a> Installed<'a> {
    async fn new(reader: &'a Reader, config: &toml::Table) -> Self {
        let user = config["jira"]["user"].as_str().unwrap().to_owned();
        let setup = Setup::new(Flavour::Cloud, Clock::System);
        let jira = FakeJira::new(Setup { user, token: JIRA_TOKEN.to_owned(), ..setup });
        let url = jira.start().await.unwrap();
        fs::write(reader.path("config.toml"), toml::to_string(config).unwrap()).unwrap();
        Self { reader, jira, url }
    }

    /// The program with this configuration, except for what differs from the reader's cluster.
    fn program(&self) -> Command {
        let mut program = program();
        let store = format!("sqlite://{}", self.reader.path("bridge.db").display());
        program.env("BRIDGE_CONFIG", self.reader.path("config.toml")).env("BRIDGE__STORE__URL", store);
        program.env("BRIDGE__JIRA__URL", &self.url).env("BRIDGE__JIRA__POLL_EVERY", "300ms");
        for listener in ["GATE", "WEBHOOK", "ADMIN"] {
            program.env(format!("BRIDGE__SERVER__{listener}_LISTEN"), "127.0.0.1:0");
        }
        program
    }

    /// Runs the command that the reader runs in the pod.
    fn checks(&self) {
        let executed = self.reader.state("executed");
        let command = executed.trim_end().strip_prefix("flagger-jira-bridge ").unwrap();
        assert_eq!(command, "check");
        let done = self.program().args(command.split(' ')).output().unwrap();
        let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(0), "{out}{errors}");
    }
}

/// The part of the README between two headings.
fn section(from: &str, to: &str) -> String {
    let text = page("README.md").text;
    let rest = text.split_once(&format!("\n{from}\n")).unwrap().1;
    rest.split_once(&format!("\n{to}\n")).unwrap().0.to_owned()
}

/// Calls a hook as Flagger does. Returns the status and the line.
#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn calls(serving: &Serving, hook: &Value, canary: &Value, authenticated: bool) -> (u16, String) {
    let url = hook["url"].as_str().unwrap();
    let (credentials, rest) = url.strip_prefix("http://").unwrap().split_once('@').unwrap();
    let (user, token) = credentials.split_once(':').unwrap();
    let path = &rest[rest.find('/').unwrap()..];
    let body = sent(hook["type"].as_str().unwrap(), hook, canary);
    let request = plain_client().post(format!("{}{path}", serving.addresses[0]));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let request = if authenticated { request.basic_auth(user, Some(token)) } else { request };
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_installation_works_as_written() {
    let reader = Reader::new();
    reader.follows(&section("## Install", "## What approvers see"));

    // What was pushed is what the chart runs, and what was installed is what the Canary calls.
    let values = yaml::documents(&reader.state("values.yaml")).remove(0);
    let repository = values["image"]["repository"].as_str().unwrap();
    assert_eq!(reader.state("pushed"), format!("{repository}:{}\n", env!("CARGO_PKG_VERSION")));
    let release = reader.state("release");
    let namespace = release.trim_end().split_once('.').unwrap().1;
    let canary = yaml::documents(&reader.state("applied.yaml")).remove(0);
    let hooks = canary["spec"]["analysis"]["webhooks"].as_array().unwrap();
    let token = fs::read_to_string(reader.path("work/flagger-token")).unwrap();
    for hook in hooks {
        let url = hook["url"].as_str().unwrap();
        let host = format!("http://any:{}@{}/", token.trim_end(), release.trim_end());
        assert!(url.starts_with(&host), "{url}");
    }

    let installed = Installed::new(&reader, &reader.config(namespace)).await;
    installed.checks();

    let serving = Serving::start_as(installed.program(), &reader.path("config.toml"));
    let hooks: BTreeMap<&str, &Value> = hooks.iter().map(|it| (it["type"].as_str().unwrap(), it)).collect();
    assert_eq!(
        hooks.keys().copied().collect::<Vec<_>>(),
        ["confirm-promotion", "event", "post-rollout", "rollback"]
    );
    for hook in hooks.values() {
        assert_eq!(calls(&serving, hook, &canary, false).await.0, 401, "{hook}");
    }
    let promotion = hooks["confirm-promotion"];
    let says = async |words: &str| calls(&serving, promotion, &canary, true).await.1.contains(words);
    until("the ticket is open", async || says("waiting for a decision").await).await;
    let [ticket] = installed.jira.issues().try_into().unwrap();
    assert_eq!(calls(&serving, hooks["rollback"], &canary, true).await.0, 403);
    installed.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    until("the approval opens the gate", async || says("open: ").await).await;
    assert_eq!(calls(&serving, promotion, &canary, true).await.0, 200);
    for report in ["event", "post-rollout"] {
        assert_eq!(calls(&serving, hooks[report], &canary, true).await.0, 200, "{report}");
    }
    serving.ends();
}

/// The block of a page that begins like this.
fn block(path: &str, language: &str, begins: &str) -> String {
    let blocks = page(path).blocks(language);
    blocks.into_iter().find(|block| block.starts_with(begins)).unwrap_or_else(|| panic!("{path}: {begins}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_is_installed_as_the_guide_says() {
    let (reader, guide) = (Reader::new(), "deploy/README.md");
    reader.runs(&block(guide, "sh", "docker build -t "));
    reader.runs(&block(guide, "sh", "umask 077\n"));
    fs::write(reader.path("work/values.yaml"), block(guide, "yaml", "image: ")).unwrap();
    reader.runs(&block(guide, "sh", "helm install "));
    reader.runs(&block(guide, "sh", "kubectl -n flagger rollout status "));
    let printed = reader.runs(&block(guide, "sh", "kubectl -n flagger get secret "));
    assert_eq!(printed, fs::read_to_string(reader.path("work/flagger-token")).unwrap());
    let config = reader.config("flagger");
    assert!(config["jira"].get("webhook_secret_file").is_some());
    Installed::new(&reader, &config).await.checks();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manifests_are_applied_as_the_guide_says() {
    let (reader, guide) = (Reader::new(), "docs/install.md");
    reader.runs(&block(guide, "sh", "umask 077\n"));
    reader.runs(&block(guide, "sh", "docker build -t "));
    reader.runs(&block("deploy/README.md", "sh", "kubectl -n flagger rollout status "));
    let text = fs::read_to_string("deploy/kustomize/base/config.toml").unwrap();
    let folder = reader.path("state/flagger/flagger-jira-bridge");
    let text = text.replace("/secrets/", &format!("{}/", folder.display()));
    Installed::new(&reader, &text.parse().unwrap()).await.checks();
}
