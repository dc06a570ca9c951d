//! Does what the guides say: saves files, and runs commands in order, with stand-ins for docker, kubectl and helm that refuse
//! a step whose predecessor is missing. With TEST_HELM, the path of a helm, the chart itself makes the configuration.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fake_jira::{FakeJira, Flavour, Setup};
use flagger_jira_bridge::clock::Clock;
use serde_json::{Value, json};

use crate::{
    docs::page::page,
    world::{program::program, yaml},
};

/// The API token that the reader gets from Jira.
pub(crate) const JIRA_TOKEN: &str = "the-api-token-of-jira";

const DOCKER: &str = include_str!("stand_ins/docker");
const KUBECTL: &str = include_str!("stand_ins/kubectl");
const HELM: &str = include_str!("stand_ins/helm");

/// The block of a page that begins like this.
pub(crate) fn block(path: &str, language: &str, begins: &str) -> String {
    let blocks = page(path).blocks(language);
    blocks.into_iter().find(|block| block.starts_with(begins)).unwrap_or_else(|| panic!("{path}: {begins}"))
}

/// The part of a page between two headings.
pub(crate) fn section(path: &str, from: &str, to: &str) -> String {
    let text = page(path).text;
    let rest = text.split_once(&format!("\n{from}\n")).unwrap_or_else(|| panic!("{path}: {from}")).1;
    rest.split_once(&format!("\n{to}\n")).unwrap_or_else(|| panic!("{path}: {to}")).0.to_owned()
}

/// Merges a values file over another one, as helm does.
fn over(base: &mut Value, values: &Value) {
    match (base, values) {
        (Value::Object(base), Value::Object(values)) => {
            for (key, value) in values {
                over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, value) => *base = value.clone(),
    }
}

/// Where the reader works: the files of the repository that the commands use, and the stand-ins with their state.
pub(crate) struct Reader {
    directory: tempfile::TempDir,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let reader = Self { directory: tempfile::tempdir().unwrap() };
        for folder in ["work", "state", "programs"] {
            fs::create_dir(reader.path(folder)).unwrap();
        }
        for name in ["Dockerfile", "deploy"] {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), reader.path("work").join(name))
                .unwrap();
        }
        symlink(program().get_program(), reader.path("programs/flagger-jira-bridge")).unwrap();
        for (name, script) in [("docker", DOCKER), ("kubectl", KUBECTL), ("helm", HELM)] {
            let program = reader.path("programs").join(name);
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(reader.path("state/replicas"), "1").unwrap();
        reader
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state(&self, name: &str) -> String {
        fs::read_to_string(self.path("state").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Does what a part of the page says: saves files, and pastes commands into a shell.
    pub(crate) fn follows(&self, section: &str) {
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
                "yaml" => {
                    if let Some(file) = named("Save this as `").or_else(|| named("Save this\nas `")) {
                        fs::write(self.path("work").join(file), code).unwrap();
                    }
                }
                "sh" => drop(self.runs(code)),
                "text" => {}
                _ => panic!("{language}"),
            }
            prose = parts.next().unwrap();
        }
    }

    /// Pastes commands into a shell in which $TOKEN is the token from Jira. Returns what they print.
    pub(crate) fn runs(&self, commands: &str) -> String {
        let path = format!("{}:{}", self.path("programs").display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", commands])
            .current_dir(self.path("work"))
            .env("PATH", path)
            .env("STATE", self.path("state"))
            .env("TOKEN", JIRA_TOKEN)
            .stdin(Stdio::null())
            .output()
            .expect("bash is installed");
        assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file of a secret that the commands created.
    pub(crate) fn secret(&self, namespace: &str, name: &str, key: &str) -> String {
        let path = self.path("state").join(namespace).join(name).join(key);
        assert!(path.is_file(), "the commands create {key} of the secret {name}");
        path.to_str().unwrap().to_owned()
    }

    /// The values of the release.
    pub(crate) fn values(&self) -> Value {
        let files = (1..10).map(|nth| self.path("state").join(format!("values-{nth}.yaml")));
        let mut values = json!({});
        for file in files.filter(|file| file.exists()) {
            over(&mut values, &yaml::documents(&fs::read_to_string(file).unwrap())[0]);
        }
        values
    }

    /// The files that the reader created beside those of the repository.
    pub(crate) fn created(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path("work")).unwrap().map(|entry| entry.unwrap());
        let created = entries.filter(|entry| !entry.file_type().unwrap().is_symlink());
        created.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// The config.toml that the chart makes of the values, with the secrets where the commands put them.
    pub(crate) fn config(&self, namespace: &str) -> toml::Table {
        let values = self.values();
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
        let clusters = values["clusters"].as_array().into_iter().flatten().map(|cluster| {
            let file = |of: &str| {
                let word = |key: &str| cluster[of][key].as_str().unwrap();
                self.secret(namespace, word("name"), word("key"))
            };
            let name = cluster["name"].as_str().unwrap().to_owned();
            let files =
                [("name", name), ("token_file", file("secret")), ("kubeconfig_file", file("kubeconfig"))];
            toml::Value::Table(files.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect())
        });
        let clusters: Vec<toml::Value> = clusters.collect();
        if !clusters.is_empty() {
            config["flagger"].as_table_mut().unwrap().insert("clusters".to_owned(), clusters.into());
        }
        config
    }
}

/// What the commands installed, with a Jira that knows its account.
pub(crate) struct Installed<'a> {
    reader: &'a Reader,
    pub(crate) jira: FakeJira,
    pub(crate) url: String,
}

impl<'a> Installed<'a> {
    pub(crate) async fn new(reader: &'a Reader, config: &toml::Table) -> Self {
        let user = config["jira"]["user"].as_str().unwrap().to_owned();
        let setup = Setup::new(Flavour::Cloud, Clock::System);
        let jira = FakeJira::new(Setup { user, token: JIRA_TOKEN.to_owned(), ..setup });
        let url = jira.start().await.unwrap();
        fs::write(reader.path("config.toml"), toml::to_string(config).unwrap()).unwrap();
        Self { reader, jira, url }
    }

    /// The program's `check` succeeds with this configuration. Returns what it prints.
    pub(crate) fn checks(&self) -> String {
        let executed = self.reader.state("executed");
        assert_eq!(executed.lines().next(), Some("flagger-jira-bridge check"));
        let done = self.program().arg("check").output().unwrap();
        let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(0), "{out}{errors}");
        out.into_owned()
    }

    /// The program with this configuration, except for what differs from the reader's cluster.
    pub(crate) fn program(&self) -> Command {
        let mut program = program();
        let store = format!("sqlite://{}", self.reader.path("bridge.db").display());
        program.env("BRIDGE_CONFIG", self.reader.path("config.toml")).env("BRIDGE__STORE__URL", store);
        program.env("BRIDGE__JIRA__URL", &self.url).env("BRIDGE__JIRA__POLL_EVERY", "300ms");
        for listener in ["GATE", "WEBHOOK", "ADMIN"] {
            program.env(format!("BRIDGE__SERVER__{listener}_LISTEN"), "127.0.0.1:0");
        }
        program
    }
}
