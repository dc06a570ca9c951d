//! The installations of README.md, deploy/README.md and docs/install.md work as written. For the README, `serve` runs, too: the
//! Canary asks with its token, a person finds and approves the ticket, and the gate opens.

use std::{collections::BTreeMap, fs};

use fake_jira::{IssueView, MIA};
use fake_kubernetes::FakeKubernetes;
use serde_json::{Value, json};

use crate::{
    docs::{
        flagger::sent,
        page::page,
        reader::{Installed, JIRA_TOKEN, Reader, block, section},
    },
    world::{
        program::{Serving, plain_client, until},
        yaml,
    },
};

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

/// An API server with the reader's Canary and its Deployment, whose image the reader changed.
async fn cluster(reader: &Reader, canary: &Value) -> FakeKubernetes {
    let api = FakeKubernetes::new();
    api.start().await.unwrap();
    let (name, namespace) = (&canary["spec"]["targetRef"]["name"], &canary["metadata"]["namespace"]);
    let deployment = |name: &str, image: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "template": { "spec": { "containers": [{ "name": "podinfod", "image": image }] } } },
        })
    };
    let name = name.as_str().unwrap();
    api.apply(canary.clone());
    api.apply(deployment(&format!("{name}-primary"), "ghcr.io/stefanprodan/podinfo:6.5.0"));
    api.apply(deployment(name, reader.state("image").trim_end()));
    api
}

/// What a search in the Jira of the reader finds.
#[expect(clippy::disallowed_methods, reason = "this is a person's request")]
async fn finds(installed: &Installed<'_>, user: &str, jql: &str) -> Vec<String> {
    let request = plain_client().post(format!("{}/rest/api/3/search/jql", installed.url));
    let request = request.basic_auth(user, Some(JIRA_TOKEN)).header("content-type", "application/json");
    let body = json!({ "jql": jql, "fields": ["summary"] }).to_string();
    let answer: Value = request.body(body).send().await.unwrap().json().await.unwrap();
    let issues = answer["issues"].as_array().unwrap_or_else(|| panic!("{jql}: {answer}"));
    issues.iter().map(|issue| issue["key"].as_str().unwrap().to_owned()).collect()
}

/// The ways of the README's section "Find my ticket" lead to this ticket.
#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn is_found(installed: &Installed<'_>, serving: &Serving, user: &str, ticket: &IssueView) {
    let readme = page("README.md").inline();
    let jql = readme.iter().find(|code| code.starts_with("labels = ")).unwrap();
    assert_eq!(finds(installed, user, jql).await, [ticket.key.as_str()]);
    let other = jql.replace("podinfo", "cart");
    assert!(finds(installed, user, &other).await.is_empty());

    let text = page("README.md").text;
    let link = text.split("<http://127.0.0.1:9090").find_map(|rest| rest.strip_prefix("/go/")).unwrap();
    let link = format!("{}/go/{}", serving.addresses[2], link.split('>').next().unwrap());
    let client = reqwest::Client::builder().tls_certs_only([]).redirect(reqwest::redirect::Policy::none());
    let answer = client.build().unwrap().get(link).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 302);
    assert!(answer.headers()["location"].to_str().unwrap().ends_with(&format!("/browse/{}", ticket.key)));

    let listed = installed.program().args(["gates", "--admin", &serving.addresses[2]]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&ticket.key), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_leads_to_an_approved_rollout() {
    let reader = Reader::new();
    reader.follows(&section("README.md", "## Install", "## What approvers see"));

    // What was pushed is what the chart runs, and what was installed is what the Canary calls.
    let values = reader.values();
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
    let commands = ["flagger-jira-bridge check", "flagger-jira-bridge gates"];
    assert_eq!(reader.state("executed").lines().collect::<Vec<_>>(), commands);

    let mut config = reader.config(namespace);
    // In the pod the bridge reads its own cluster.
    let api = cluster(&reader, &canary).await;
    fs::write(reader.path("kubeconfig"), api.kubeconfig()).unwrap();
    let kubeconfig = reader.path("kubeconfig").to_str().unwrap().into();
    config["kubernetes"].as_table_mut().unwrap().insert("kubeconfig_file".to_owned(), kubeconfig);
    let installed = Installed::new(&reader, &config).await;
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
    assert!(
        ticket.summary.contains("podinfo 6.5.0 → 6.5.1"),
        "the ticket says what changes: {}",
        ticket.summary
    );
    let user = config["jira"]["user"].as_str().unwrap();
    is_found(&installed, &serving, user, &ticket).await;
    assert_eq!(calls(&serving, hooks["rollback"], &canary, true).await.0, 403);
    installed.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    until("the approval opens the gate", async || says("open: ").await).await;
    assert_eq!(calls(&serving, promotion, &canary, true).await.0, 200);
    for report in ["event", "post-rollout"] {
        assert_eq!(calls(&serving, hooks[report], &canary, true).await.0, 200, "{report}");
    }
    serving.ends();
}

/// What the guides let readers create in the repository is not committed by mistake.
#[test]
fn git_ignores_what_readers_create() {
    let reader = Reader::new();
    reader.follows(&section("README.md", "## Install", "## What approvers see"));
    reader.runs(&block("deploy/README.md", "sh", "printf %s 'postgres:"));
    let ignored = fs::read_to_string(".gitignore").unwrap();
    let created = reader.created();
    assert!(created.len() >= 5, "{created:?}");
    for file in created {
        assert!(ignored.lines().any(|line| line == format!("/{file}")), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_is_installed_as_the_guide_says() {
    let (reader, guide) = (Reader::new(), "deploy/README.md");
    reader.runs(&block(guide, "sh", "docker build -t "));
    reader.runs(&block(guide, "sh", "umask 077\n"));
    reader.runs(&block(guide, "sh", "printf %s 'postgres:"));
    fs::write(reader.path("work/values.yaml"), block(guide, "yaml", "image: ")).unwrap();
    reader.runs(&block(guide, "sh", "helm install "));
    reader.runs(&block(guide, "sh", "kubectl -n flagger rollout status "));
    let printed = reader.runs(&block(guide, "sh", "kubectl -n flagger get secret "));
    assert_eq!(printed, fs::read_to_string(reader.path("work/flagger-token")).unwrap());
    let config = reader.config("flagger");
    assert!(config["jira"].get("webhook_secret_file").is_some());
    Installed::new(&reader, &config).await.checks();
}

/// In both guides, with SQLite and with PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manifests_are_applied_as_the_guides_say() {
    let token = |guide: &str| block(guide, "sh", "kubectl -n flagger get secret ");
    let guide = "docs/install.md";
    let short = [block(guide, "sh", "umask 077\n"), block(guide, "sh", "docker build -t "), token(guide)];
    let guide = "deploy/README.md";
    let overlays = block(guide, "sh", "kubectl apply -k ");
    let with = |overlay: &str| {
        [
            block(guide, "sh", "docker build -t "),
            block(guide, "sh", "umask 077\n"),
            block(guide, "sh", "printf %s 'postgres:"),
            overlay.to_owned(),
            block(guide, "sh", "kubectl -n flagger rollout status "),
            token(guide),
        ]
    };
    let [sqlite, postgres] = overlays.lines().collect::<Vec<_>>().try_into().unwrap();
    for commands in [&short[..], &with(sqlite), &with(postgres)] {
        let reader = Reader::new();
        let printed: Vec<String> = commands.iter().map(|block| reader.runs(block)).collect();
        assert_eq!(*printed.last().unwrap(), fs::read_to_string(reader.path("work/flagger-token")).unwrap());
        let text = fs::read_to_string("deploy/kustomize/base/config.toml").unwrap();
        let folder = reader.path("state/flagger/flagger-jira-bridge");
        let text = text.replace("/secrets/", &format!("{}/", folder.display()));
        Installed::new(&reader, &text.parse().unwrap()).await.checks();
    }
}

/// Without Kubernetes: the configuration and the secrets are files in the working directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_runs_as_the_guide_says() {
    let (reader, guide) = (Reader::new(), "docs/install.md");
    let config = page(guide).blocks("toml").remove(0);
    let installed = Installed::new(&reader, &config.parse().unwrap()).await;
    fs::write(reader.path("work/config.toml"), config).unwrap();
    reader.runs(&block(guide, "sh", "umask 077\n"));
    // The last command serves until it is stopped.
    let commands = block(guide, "sh", "export ");
    let (checks, serves) = commands.split_once("flagger-jira-bridge serve ").unwrap();
    assert_eq!(serves, "-c config.toml\n");
    let local =
        ["GATE", "WEBHOOK", "ADMIN"].map(|it| format!("export BRIDGE__SERVER__{it}_LISTEN=127.0.0.1:0\n"));
    let printed =
        reader.runs(&format!("export BRIDGE__JIRA__URL={}\n{}{checks}", installed.url, local.concat()));
    assert!(!printed.contains("FAIL"), "{printed}");
}
