//! The files in deploy/ use settings, metrics and addresses that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use fake_jira::Flavour;
use flagger_jira_bridge::config::{self, EXAMPLE};
use serde_json::Value;

use crate::{
    docs::flagger::{path_of, sent},
    world::{World, yaml},
};

const CHART: &str = "deploy/helm/flagger-jira-bridge";

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// The files of a folder, by name.
fn files(folder: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(&path))).collect()
}

fn strings(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().map(|it| it.as_str().unwrap()).collect()
}

#[test]
fn versions_are_those_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = &yaml::documents(&read(format!("{CHART}/Chart.yaml")))[0];
    assert_eq!((chart["version"].as_str(), chart["appVersion"].as_str()), (Some(version), Some(version)));
    let base = &yaml::documents(&read("deploy/kustomize/base/kustomization.yaml"))[0];
    assert_eq!(base["images"][0]["newTag"], version);
    assert!(read("deploy/README.md").contains(&format!("flagger-jira-bridge:{version}")));
}

/// The keys of the example file, for instance `ticket.statuses.approved`, including those that are commented out.
fn settings() -> BTreeSet<String> {
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in EXAMPLE.lines() {
        let code = line.trim_start_matches("# ");
        if let Some(table) = line.strip_prefix('[') {
            section = table.trim_end_matches(']').to_owned();
        } else if let Some(table) = code.strip_prefix("[[") {
            section = table.trim_end_matches(']').to_owned();
        } else if let Some((key, _)) = code.split_once('=')
            && key.trim_end().chars().all(|c| c.is_ascii_lowercase() || c == '_')
            && section != "ticket.fields"
            && section != "routes"
            && section != "notify"
        {
            found.insert(format!("{section}.{}", key.trim_end()));
        }
    }
    found
}

/// The chart's schema contains every setting except those that the chart sets itself, and no other.
#[test]
fn the_chart_takes_every_setting() {
    fn keys(schema: &Value, at: &Value, path: &str, found: &mut BTreeSet<String>) {
        let at = match at["$ref"].as_str() {
            Some(reference) => &schema["$defs"][reference.trim_start_matches("#/$defs/")],
            None => at,
        };
        match at["properties"].as_object() {
            Some(properties) => {
                assert_eq!(at["additionalProperties"], false, "{path} takes anything");
                for (name, below) in properties {
                    keys(schema, below, &format!("{path}.{name}"), found);
                }
            }
            None => drop(found.insert(path.trim_start_matches('.').to_owned())),
        }
    }
    let schema: Value = serde_json::from_str(&read(format!("{CHART}/values.schema.json"))).unwrap();
    let config = &schema["properties"]["config"];
    let mut known = BTreeSet::new();
    keys(&schema, config, "", &mut known);
    let mut expected = settings();
    let own = [
        "server.gate_listen",
        "server.webhook_listen",
        "server.admin_listen",
        "server.page_listen",
        "server.tls",
        "store.url",
        "flagger.token_file",
        "flagger.clusters.name",
        "flagger.clusters.token_file",
        "flagger.clusters.kubeconfig_file",
        "flagger.tokens.token_file",
        "flagger.tokens.namespaces",
        "flagger.tokens.cluster",
        "kubernetes.kubeconfig_file",
        "jira.token_file",
        "jira.oauth",
        "jira.webhook_secret_file",
        "jira.ca_file",
    ];
    for key in own {
        assert!(expected.remove(key), "{key} is no setting");
    }
    assert!(expected.remove("approval.planned"));
    expected.extend(["approval.planned.start", "approval.planned.end"].map(str::to_owned));
    for list in ["windows", "freezes"] {
        let items = &config["properties"][list]["items"];
        let own = |key: &&String| key.starts_with(&format!("{list}."));
        let written: BTreeSet<String> = expected.iter().filter(own).cloned().collect();
        let taken = items["properties"].as_object().unwrap().keys().map(|key| format!("{list}.{key}"));
        assert_eq!(taken.collect::<BTreeSet<_>>(), written);
        expected.retain(|key| !written.contains(key));
        expected.insert(list.to_owned());
    }
    expected.extend(["ticket.fields", "routes", "notify"].map(str::to_owned));
    assert_eq!(known, expected);

    let mut route = BTreeSet::new();
    keys(&schema, &config["properties"]["routes"]["items"], "", &mut route);
    let line = EXAMPLE.lines().find_map(|line| line.strip_prefix("# match  = ")).unwrap();
    let line = format!("match = {line}").parse::<toml::Table>().unwrap();
    let expected = line["match"].as_table().unwrap().keys().map(|key| format!("match.{key}"));
    let same = known.iter().filter(|key| key.starts_with("ticket.") || key.starts_with("approval."));
    assert_eq!(route, expected.chain(same.cloned()).collect());
}

/// values.yaml and the schema have the same keys.
#[test]
fn the_schema_matches_the_values() {
    fn compare(path: &str, schema: &Value, values: &Value) {
        let (Some(known), Some(shown)) = (schema["properties"].as_object(), values.as_object()) else {
            assert!(schema.get("properties").is_none() || values.is_null(), "{path}");
            return;
        };
        assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
        // Helm's own key, for subcharts, and the former name of replicaCount.
        let hidden = |key: &str| path == "values" && ["global", "replicas"].contains(&key);
        let known: BTreeSet<&String> = known.keys().filter(|key| !hidden(key)).collect();
        assert_eq!(known, shown.keys().collect(), "{path}");
        for key in known {
            compare(&format!("{path}.{key}"), &schema["properties"][key], &values[key]);
        }
    }
    let mut schema: Value = serde_json::from_str(&read(format!("{CHART}/values.schema.json"))).unwrap();
    // The settings are shown in config.example.toml instead.
    schema["properties"]["config"] = Value::Null;
    compare("values", &schema, &yaml::documents(&read(format!("{CHART}/values.yaml")))[0]);
}

/// Every file of a kustomization is used, and its configuration loads.
#[test]
fn kustomizations_are_complete() {
    for folder in ["base", "sqlite", "postgres"] {
        let folder = format!("deploy/kustomize/{folder}");
        let mut files = files(&folder);
        let kustomization = &yaml::documents(&files.remove("kustomization.yaml").unwrap())[0];
        let mut used: BTreeSet<String> = BTreeSet::new();
        used.extend(strings(&kustomization["resources"]).into_iter().map(str::to_owned));
        for list in ["patches", "configMapGenerator"] {
            for it in kustomization[list].as_array().into_iter().flatten() {
                used.extend(it["path"].as_str().map(str::to_owned));
                used.extend(strings(&it["files"]).into_iter().map(str::to_owned));
            }
        }
        used.remove("../base");
        assert_eq!(used, files.keys().cloned().collect(), "{folder}");
        for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".yaml")) {
            assert!(!yaml::documents(text).is_empty(), "{folder}/{name}");
        }
    }
    let here = tempfile::tempdir().unwrap();
    for name in ["flagger-token", "jira-token", "jira-webhook"] {
        fs::write(here.path().join(name), "sixteen-characters-or-more\n").unwrap();
    }
    let text = read("deploy/kustomize/base/config.toml");
    let path = here.path().join("config.toml");
    fs::write(&path, text.replace("/secrets", here.path().to_str().unwrap())).unwrap();
    config::load(&path, []).unwrap_or_else(|problems| panic!("{problems}"));
}

/// Every hook of every Canary is accepted, and each strategy has exactly the hooks that Flagger calls for it.
#[tokio::test]
async fn the_canaries_hooks_are_accepted() {
    let always = ["confirm-promotion", "event", "post-rollout", "rollback"];
    let weights = ["confirm-promotion", "confirm-traffic-increase", "event", "post-rollout", "rollback"];
    let expected: [(&str, &[&str]); 4] = [
        ("ab-testing.yaml", &always),
        ("blue-green.yaml", &always),
        ("canary.yaml", &weights),
        ("session-affinity.yaml", &weights),
    ];
    let files = files("deploy/canaries");
    assert_eq!(files.keys().collect::<Vec<_>>(), expected.map(|(name, _)| name));
    for (name, hooks) in expected {
        let canary = &yaml::documents(&files[name])[0];
        let analysis = &canary["spec"]["analysis"];
        let with_weights = analysis.get("stepWeight").is_some();
        assert_eq!(with_weights, hooks == weights, "{name}");
        assert_eq!(analysis.get("iterations").is_some(), !with_weights, "{name}");
        assert_eq!(analysis.get("match").is_some(), name == "ab-testing.yaml");
        assert_eq!(analysis.get("sessionAffinity").is_some(), name == "session-affinity.yaml");
        let world = World::start(Flavour::Cloud).await;
        let mut answers = BTreeMap::new();
        for hook in analysis["webhooks"].as_array().unwrap() {
            let (kind, url) = (hook["type"].as_str().unwrap(), hook["url"].as_str().unwrap());
            assert!(url.starts_with("http://flagger-jira-bridge.flagger/"), "{url}");
            let answer = world.posts(&path_of(url), &sent(kind, hook, canary)).await;
            let is_report = matches!(kind, "event" | "post-rollout");
            assert_eq!(answer.status, if is_report { 200 } else { 403 }, "{name} {kind}: {}", answer.body);
            // Flagger repeats a question anyway, but sends a report once.
            assert_eq!(hook.get("retries").is_some(), is_report, "{name} {kind}");
            answers.insert(kind, answer.status);
        }
        assert_eq!(answers.into_keys().collect::<Vec<_>>(), hooks, "{name}");
        world.finish().await;
    }
}
