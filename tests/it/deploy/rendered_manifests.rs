//! The objects that helm and kustomize render match each other and the program. `.ci/deploy` renders them and runs
//! this.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use flagger_jira_bridge::config::{self, Config, KubernetesMode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{deploy::image::Facts, world::yaml};

/// The expected renderings: name, replicas, and the kinds of objects with their numbers.
#[rustfmt::skip]
const RENDERED: [(&str, u64, &str); 8] = [
    ("helm-everything", 3, "1 ClusterRole, 1 ClusterRoleBinding, 3 ConfigMap, 1 Deployment, 1 Ingress, 1 NetworkPolicy, 1 PodDisruptionBudget, 1 PrometheusRule, 1 Secret, 4 Service, 1 ServiceAccount, 1 ServiceMonitor"),
    ("helm-minimal", 1, "1 ConfigMap, 1 Deployment, 1 NetworkPolicy, 1 PersistentVolumeClaim, 1 Secret, 2 Service, 1 ServiceAccount"),
    ("helm-openshift", 1, "1 ConfigMap, 1 Deployment, 1 NetworkPolicy, 1 PersistentVolumeClaim, 3 Service, 1 ServiceAccount"),
    ("helm-postgres", 2, "1 ConfigMap, 1 Deployment, 1 NetworkPolicy, 1 PodDisruptionBudget, 2 Role, 2 RoleBinding, 1 Secret, 3 Service, 1 ServiceAccount"),
    ("helm-sqlite", 1, "1 ConfigMap, 1 Deployment, 1 NetworkPolicy, 1 PersistentVolumeClaim, 3 Service, 1 ServiceAccount"),
    ("kustomize-kubernetes", 1, "1 ClusterRole, 1 ClusterRoleBinding, 1 ConfigMap, 1 Deployment, 1 NetworkPolicy, 1 PersistentVolumeClaim, 4 Service, 1 ServiceAccount"),
    ("kustomize-postgres", 2, "1 ConfigMap, 1 Deployment, 1 NetworkPolicy, 1 PodDisruptionBudget, 3 Service, 1 ServiceAccount"),
    ("kustomize-sqlite", 1, "1 ConfigMap, 1 Deployment, 1 NetworkPolicy, 1 PersistentVolumeClaim, 3 Service, 1 ServiceAccount"),
];

/// The objects of one rendering.
struct Rendering {
    name: String,
    objects: Vec<Value>,
}

impl Rendering {
    fn read(folder: &Path, name: &str) -> Self {
        let text = fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        Self { name: name.to_owned(), objects: yaml::documents(&text) }
    }

    fn all(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |it| it["kind"] == kind)
    }

    fn named(&self, kind: &'static str, name: &Value) -> &Value {
        self.all(kind)
            .find(|it| it["metadata"]["name"] == *name)
            .unwrap_or_else(|| panic!("{}: no {kind} {name}", self.name))
    }

    fn deployment(&self) -> &Value {
        self.all("Deployment").next().unwrap()
    }

    fn pod(&self) -> &Value {
        &self.deployment()["spec"]["template"]
    }

    fn container(&self) -> &Value {
        &self.pod()["spec"]["containers"][0]
    }

    fn env(&self) -> impl Iterator<Item = (&str, &Value)> {
        items(&self.container()["env"]).map(|it| (text(&it["name"]), it))
    }

    fn is_postgres(&self) -> bool {
        self.env().any(|(name, _)| name == "BRIDGE__STORE__URL")
    }

    /// Whether it serves the status page on a port of its own.
    fn has_page(&self) -> bool {
        ["helm-everything", "kustomize-kubernetes"].contains(&self.name.as_str())
    }

    fn volume(&self, name: &str) -> &Value {
        items(&self.pod()["spec"]["volumes"]).find(|it| it["name"] == name).unwrap()
    }

    /// The names of the container's ports, with their numbers.
    fn ports(&self) -> BTreeMap<&str, u64> {
        items(&self.container()["ports"])
            .map(|it| (text(&it["name"]), it["containerPort"].as_u64().unwrap()))
            .collect()
    }

    fn config_toml(&self) -> &str {
        let map = self.named("ConfigMap", &self.volume("config")["configMap"]["name"]);
        text(&map["data"]["config.toml"])
    }

    /// The files below /secrets, each with its secret and key.
    fn secret_files(&self) -> BTreeMap<String, (String, String)> {
        let volume = self.volume("secrets");
        if let Some(name) = volume["secret"]["secretName"].as_str() {
            // The whole secret is mounted: each file is named after its key, and deploy/README.md says how to create
            // it.
            let readme = include_str!("../../../deploy/README.md");
            let line = readme.lines().find(|line| line.contains(&format!("secret generic {name} "))).unwrap();
            let keys = line.split("--from-file=").skip(1).map(|rest| rest.trim().to_owned());
            return keys.map(|key| (key.clone(), (name.to_owned(), key))).collect();
        }
        let mut files = BTreeMap::new();
        for source in items(&volume["projected"]["sources"]) {
            for item in items(&source["secret"]["items"]) {
                let from = (text(&source["secret"]["name"]).to_owned(), text(&item["key"]).to_owned());
                assert!(files.insert(text(&item["path"]).to_owned(), from).is_none(), "{item} occurs twice");
            }
        }
        files
    }

    /// The configuration as the pod's process reads it.
    fn config(&self) -> Config {
        let mounts = TempDir::new().unwrap();
        for (path, from) in self.secret_files() {
            let path = mounts.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("the value of {from:?}\n")).unwrap();
        }
        let file = mounts.path().join("config.toml");
        let here = format!("\"{}/", mounts.path().display());
        fs::write(&file, self.config_toml().replace("\"/secrets/", &here)).unwrap();
        let env = self.env().map(|(name, it)| {
            let secret = it.get("valueFrom").map(|from| {
                let from = &from["secretKeyRef"];
                assert!(from["name"].is_string() && from["key"].is_string(), "{it}");
                "postgres://user:password@host/database"
            });
            (name.to_owned(), secret.unwrap_or_else(|| text(&it["value"])).to_owned())
        });
        config::load(&file, env).unwrap_or_else(|problems| panic!("{}\n{problems}", self.name))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}

/// The items of a list; empty if it is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether a non-empty selector matches these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
}

fn each(check: impl Fn(&Rendering)) {
    let folder = std::env::var("RENDERED").expect("RENDERED names the folder that .ci/deploy renders to");
    for (name, ..) in RENDERED {
        check(&Rendering::read(Path::new(&folder), name));
    }
}

#[test]
#[ignore = "run by .ci/deploy"]
fn every_object_is_there() {
    each(|it| {
        let (_, replicas, kinds) = RENDERED.into_iter().find(|(name, ..)| *name == it.name).unwrap();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for object in &it.objects {
            assert!(object["apiVersion"].is_string());
            let kind = text(&object["kind"]);
            match kind {
                "ClusterRole" | "ClusterRoleBinding" => {
                    assert!(object["metadata"].get("namespace").is_none())
                }
                "Role" | "RoleBinding" => {}
                _ => assert_eq!(object["metadata"]["namespace"], "flagger", "{}: {object}", it.name),
            }
            *counts.entry(kind).or_default() += 1;
            let (namespace, name) = (&object["metadata"]["namespace"], text(&object["metadata"]["name"]));
            assert!(names.insert((kind, namespace.to_string(), name)), "{object}");
        }
        let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        assert_eq!(counts.join(", "), kinds, "{}", it.name);
        assert_eq!(it.deployment()["spec"]["replicas"], replicas);
        let sqlite =
            ["helm-minimal", "helm-openshift", "helm-sqlite", "kustomize-kubernetes", "kustomize-sqlite"];
        assert_eq!(it.is_postgres(), !sqlite.contains(&it.name.as_str()));
    });
}

#[test]
#[ignore = "run by .ci/deploy"]
fn pods_have_minimal_rights() {
    each(|it| {
        let (pod, container) = (&it.pod()["spec"], it.container());
        assert_eq!(items(&pod["containers"]).count(), 1);
        let reads = it.config().kubernetes.mode != KubernetesMode::Off;
        assert_eq!(pod["automountServiceAccountToken"], reads, "{}", it.name);
        assert_eq!(pod["enableServiceLinks"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        let (user, group) = Facts::read().user;
        for (who, is) in [("runAsUser", user), ("runAsGroup", group), ("fsGroup", group)] {
            if it.name == "helm-openshift" {
                assert!(pod["securityContext"].get(who).is_none(), "{who} is the platform's");
            } else {
                assert_eq!(pod["securityContext"][who], is, "{who}");
            }
        }
        assert_eq!(pod["securityContext"]["seccompProfile"], json!({ "type": "RuntimeDefault" }));
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        assert_eq!(container["securityContext"]["capabilities"], json!({ "drop": ["ALL"] }));
        assert!(container["resources"]["requests"]["cpu"].is_string());
        assert!(container["resources"]["limits"]["memory"].is_string());
        let account = it.named("ServiceAccount", &pod["serviceAccountName"]);
        assert_eq!(account["automountServiceAccountToken"], false);
    });
}

/// The bridge gets the rights that kubernetes.mode needs, only where it is asked for, and no others.
#[test]
#[ignore = "run by .ci/deploy"]
fn roles_have_minimal_rights() {
    each(|it| {
        let roles: Vec<&Value> = it.all("ClusterRole").chain(it.all("Role")).collect();
        let config = it.config();
        assert_eq!(roles.is_empty(), config.kubernetes.mode == KubernetesMode::Off, "{}", it.name);
        let mut rules = vec![
            json!({ "apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get", "list", "watch"] }),
            json!({ "apiGroups": ["apps"], "resources": ["deployments", "daemonsets"], "verbs": ["get", "list", "watch"] }),
            json!({ "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"] }),
        ];
        if it.name == "helm-everything" {
            rules.insert(2, json!({ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] }));
        }
        for role in roles {
            assert_eq!(role["rules"], json!(rules));
            let kind = text(&role["kind"]);
            let binding = if kind == "Role" { "RoleBinding" } else { "ClusterRoleBinding" };
            let namespace = &role["metadata"]["namespace"];
            let binding = it.all(binding).find(|it| it["metadata"]["namespace"] == *namespace).unwrap();
            assert_eq!(
                binding["roleRef"],
                json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role["metadata"]["name"] })
            );
            let account = &it.pod()["spec"]["serviceAccountName"];
            assert_eq!(
                binding["subjects"],
                json!([{ "kind": "ServiceAccount", "name": account, "namespace": "flagger" }])
            );
        }
        let places: BTreeSet<&str> = it.all("Role").map(|it| text(&it["metadata"]["namespace"])).collect();
        let names: BTreeSet<&str> = config.flagger.namespace_globs.iter().map(String::as_str).collect();
        assert!(places.is_empty() || places == names, "{}", it.name);
    });
}

/// Ports, probes and the termination grace period match the program's configuration.
#[test]
#[ignore = "run by .ci/deploy"]
fn the_pod_matches_the_configuration() {
    each(|it| {
        let config = it.config();
        let listeners = [
            ("admin", config.server.admin_listen),
            ("gate", config.server.gate_listen),
            ("webhook", config.server.webhook_listen),
        ];
        let mut ports: BTreeMap<&str, u64> = listeners.map(|(name, at)| (name, u64::from(at.port()))).into();
        ports.extend(config.server.page_listen.map(|at| ("page", u64::from(at.port()))));
        assert_eq!(it.ports(), ports);
        assert_eq!(config.server.page_listen.is_some(), it.has_page());
        assert!(listeners.iter().all(|(_, at)| at.ip().is_unspecified()), "{listeners:?}");

        // The admin listener has no TLS, and its own connection slots.
        for (name, path) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            let probe = &it.container()[name]["httpGet"];
            if it.name == "helm-everything" && name == "livenessProbe" {
                assert!(probe.is_null(), "the values turn it off");
                continue;
            }
            assert_eq!((&probe["path"], &probe["port"]), (&json!(path), &json!("admin")));
            assert_eq!(probe["scheme"].as_str().unwrap_or("HTTP"), "HTTP");
        }
        let time = it.pod()["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(time > config.server.shutdown_grace.as_secs(), "{}: {time}", it.name);

        let image = Facts::read();
        assert!(listeners.iter().all(|(_, at)| image.ports.contains(&at.port())), "{listeners:?}");
        for own in ["command", "args", "workingDir"] {
            assert!(it.container().get(own).is_none(), "{own} is the image's");
        }
        let (_, at) = it.env().find(|(name, _)| *name == "BRIDGE_CONFIG").unwrap();
        assert_eq!(Path::new(text(&at["value"])), image.config());
        let mounts: BTreeMap<&str, &str> = items(&it.container()["volumeMounts"])
            .map(|mount| (text(&mount["name"]), text(&mount["mountPath"])))
            .collect();
        assert_eq!(text(&at["value"]), format!("{}/config.toml", mounts["config"]));
        assert_eq!(mounts["secrets"], "/secrets");
        for name in mounts.keys() {
            it.volume(name);
        }
    });
}

/// Values become settings unchanged, integers stay integers.
#[test]
#[ignore = "run by .ci/deploy"]
fn values_become_settings() {
    each(|it| {
        let config = it.config();
        let limit = config.limits.open_tickets;
        match it.name.as_str() {
            "helm-everything" => {
                assert_eq!(
                    (limit, config.jira.client.requests_per_second.get(), config.jira.client.burst.get()),
                    (100, 7, 20)
                );
                let clusters: Vec<(&str, bool)> =
                    config.flagger.clusters.iter().map(|it| (it.name.as_str(), it.token.is_some())).collect();
                assert_eq!(clusters, [("prod-eu", true), ("staging", false)]);
                let written: toml::Table = it.config_toml().parse().unwrap();
                let values = include_str!("../../../deploy/helm/flagger-jira-bridge/ci/everything.yaml");
                let values = &yaml::documents(values)[0]["config"];
                for section in ["ticket", "approval", "routes", "limits", "rollout"] {
                    assert_eq!(
                        serde_json::to_value(&written[section]).unwrap(),
                        values[section],
                        "{section}"
                    );
                }
                assert!(config.jira.client.ca_file.is_some() && config.server.tls.is_some());
            }
            "helm-sqlite" => {
                assert_eq!(limit, 1_000_000);
                assert!(it.config_toml().contains(r#"summary = "Ship \"{{ canary }}\" = 5.0""#));
            }
            _ => assert_eq!(limit, 500),
        }
        assert!(config.flagger.token.is_some(), "{}", it.name);
        assert_eq!(config.store.allow_network_volume, it.name == "helm-everything");
        assert_eq!(config.jira.webhook_secret.is_some(), it.name != "helm-minimal");
        assert_eq!(config.jira.client.login.oauth().is_some(), it.name == "helm-sqlite");
    });
}

/// Values of Kubernetes' own settings arrive where they belong.
#[test]
#[ignore = "run by .ci/deploy"]
fn values_reach_their_objects() {
    each(|it| {
        let probes = ["startupProbe", "livenessProbe", "readinessProbe"].map(|name| {
            let mut probe = it.container()[name].clone();
            if let Some(probe) = probe.as_object_mut() {
                probe.remove("httpGet");
            }
            probe
        });
        if it.name != "helm-everything" {
            let defaults = [
                json!({ "periodSeconds": 2, "failureThreshold": 30 }),
                json!({ "timeoutSeconds": 5 }),
                json!({ "periodSeconds": 5, "timeoutSeconds": 5 }),
            ];
            assert_eq!(probes, defaults, "{}", it.name);
            return;
        }
        let changed = [
            json!({ "periodSeconds": 2, "failureThreshold": 60 }),
            Value::Null,
            json!({ "periodSeconds": 10, "timeoutSeconds": 5 }),
        ];
        assert_eq!(probes, changed);
        let budget = it.all("PodDisruptionBudget").next().unwrap();
        assert_eq!(budget["spec"]["minAvailable"], "50%");
        assert!(budget["spec"].get("maxUnavailable").is_none(), "Kubernetes accepts only one of the two");
        let annotation = |object: &Value, key: &str| object["metadata"]["annotations"][key].clone();
        let name = json!("bridge");
        assert_eq!(it.pod()["spec"]["serviceAccountName"], name);
        let role = "arn:aws:iam::123456789012:role/bridge";
        assert_eq!(annotation(it.named("ServiceAccount", &name), "eks.amazonaws.com/role-arn"), role);
        assert_eq!(annotation(it.deployment(), "reloader.stakater.com/auto"), "true");
        assert_eq!(annotation(it.pod(), "example.com/scrape"), "no");
        let service = |name: &str| it.named("Service", &json!(name));
        assert_eq!(annotation(service("flagger-jira-bridge"), "example.com/owner"), "platform");
        assert_eq!(annotation(service("flagger-jira-bridge-admin"), "example.com/path"), "/metrics");
        for object in [it.deployment(), it.pod(), service("flagger-jira-bridge-admin"), budget] {
            assert_eq!(annotation(object, "example.com/contact"), "platform", "of all objects");
        }
        // An extra object, with the release's namespace.
        let extra = it.named("ConfigMap", &it.volume("postgres-ca")["configMap"]["name"]);
        assert_eq!(extra["data"]["ca.crt"], "not a certificate");
    });
}

/// A change of the configuration changes the pods.
#[test]
#[ignore = "run by .ci/deploy"]
fn a_new_configuration_rolls_the_pods() {
    each(|it| {
        if it.name.starts_with("helm-") {
            let hash: String = Sha256::digest(it.config_toml().trim_end().replace("\n    \n", "\n\n"))
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(it.pod()["metadata"]["annotations"]["checksum/config"], hash, "{}", it.name);
        } else {
            let name = text(&it.volume("config")["configMap"]["name"]);
            assert!(name.starts_with("flagger-jira-bridge-"), "{name} has no hash");
        }
    });
}

/// SQLite: one process with a volume. PostgreSQL: no volume, and several processes.
#[test]
#[ignore = "run by .ci/deploy"]
fn the_store_fits_the_strategy() {
    each(|it| {
        let spec = &it.deployment()["spec"];
        let claims: Vec<&Value> = it.all("PersistentVolumeClaim").collect();
        let budgets: Vec<&Value> = it.all("PodDisruptionBudget").collect();
        if it.is_postgres() {
            assert_eq!(spec["strategy"]["type"], "RollingUpdate");
            assert!(claims.is_empty() && !it.config_toml().contains("sqlite"));
            let pod = &it.pod();
            assert!(selects(&budgets[0]["spec"]["selector"]["matchLabels"], &pod["metadata"]["labels"]));
            let spread = &pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
            assert!(selects(spread, &pod["metadata"]["labels"]));
        } else {
            assert_eq!((&spec["strategy"]["type"], &spec["replicas"]), (&json!("Recreate"), &json!(1)));
            let claim = &it.volume("data")["persistentVolumeClaim"]["claimName"];
            assert_eq!(claims.len(), 1);
            it.named("PersistentVolumeClaim", claim);
            let mount = items(&it.container()["volumeMounts"]).find(|mount| mount["name"] == "data").unwrap();
            let image = Facts::read();
            assert_eq!(mount["mountPath"], image.volume);
            assert!(mount.get("readOnly").is_none());
            // `kubectl exec … audit` uses the same file as the configuration.
            let url = it.config().store.url;
            let file = url.expose_secret().strip_prefix("sqlite://").unwrap();
            assert_eq!(Path::new(&image.work_dir).join(file), Path::new(&image.volume).join("bridge.db"));
            assert!(budgets.is_empty());
        }
    });
}

/// Every selector matches the pods, and every named port is one of theirs.
#[test]
#[ignore = "run by .ci/deploy"]
fn selectors_and_ports_match_the_pods() {
    each(|it| {
        let labels = &it.pod()["metadata"]["labels"];
        assert!(selects(&it.deployment()["spec"]["selector"]["matchLabels"], labels));
        let mut offered = BTreeSet::new();
        for service in it.all("Service") {
            assert!(selects(&service["spec"]["selector"], labels), "{service}");
            for port in items(&service["spec"]["ports"]) {
                let target = text(&port["targetPort"]);
                assert!(it.ports().contains_key(target), "{service}");
                assert!(offered.insert(target), "{target} is offered twice");
            }
        }
        assert!(offered.contains("gate"));
        let tls = it.config().server.tls.is_some();
        for port in it.all("Service").flat_map(|service| items(&service["spec"]["ports"])) {
            let is_plain = ["admin", "page"].contains(&text(&port["name"]));
            let speaks = if tls && !is_plain { "https" } else { "http" };
            assert_eq!(port["appProtocol"], speaks, "{}: {port}", it.name);
        }
        if it.name == "helm-openshift" {
            let webhook = it.named("Service", &json!("flagger-jira-bridge-webhook"));
            assert_eq!(webhook["spec"]["type"], "LoadBalancer");
            assert_eq!(webhook["metadata"]["annotations"]["example.com/internal"], "true");
        }
        for ingress in it.all("Ingress") {
            let paths = items(&ingress["spec"]["rules"]).flat_map(|rule| items(&rule["http"]["paths"]));
            for path in paths {
                assert_eq!((&path["path"], &path["pathType"]), (&json!("/jira/webhook"), &json!("Exact")));
                let to = &path["backend"]["service"];
                let service = it.named("Service", &to["name"]);
                assert_eq!(to["port"]["name"], "webhook");
                assert_eq!(service["spec"]["ports"][0]["name"], "webhook");
            }
        }
        for monitor in it.all("ServiceMonitor") {
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            let found: Vec<&Value> =
                it.all("Service").filter(|it| selects(selector, &it["metadata"]["labels"])).collect();
            assert_eq!(found.len(), 1, "scraped once");
            assert_eq!(found[0]["spec"]["ports"][0]["name"], monitor["spec"]["endpoints"][0]["port"]);
            assert_eq!(monitor["spec"]["endpoints"][0]["path"], "/metrics");
        }
    });
}

/// The network policy allows each listener its own clients, and the bridge only DNS, Jira, its database and API servers.
#[test]
#[ignore = "run by .ci/deploy"]
fn the_network_policy_allows_only_what_is_needed() {
    each(|it| {
        let policy = it.all("NetworkPolicy").next().unwrap();
        assert!(selects(&policy["spec"]["podSelector"]["matchLabels"], &it.pod()["metadata"]["labels"]));
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        let mut visitors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for rule in items(&policy["spec"]["ingress"]) {
            let from: Vec<&Value> = items(&rule["from"]).collect();
            assert!(!from.is_empty(), "{}: {rule} allows all sources", it.name);
            for port in items(&rule["ports"]) {
                assert!(it.ports().contains_key(text(&port["port"])), "{rule}");
                let names = from.iter().map(|from| {
                    let labels = &from["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
                    labels.as_str().unwrap_or("elsewhere")
                });
                visitors.entry(text(&port["port"])).or_default().extend(names);
            }
        }
        let all = it.name == "helm-everything";
        let flagger: &[&str] = if all { &["istio-system", "flagger-system"] } else { &["flagger-system"] };
        assert_eq!(visitors["gate"], flagger);
        let openshift = it.name == "helm-openshift";
        let monitoring = if openshift { "openshift-user-workload-monitoring" } else { "monitoring" };
        assert_eq!(visitors["admin"], [monitoring]);
        let webhook = visitors.get("webhook").cloned().unwrap_or_default();
        let ingress = if openshift { "openshift-ingress" } else { "ingress-nginx" };
        assert_eq!(webhook.first(), (it.name != "helm-minimal").then_some(&ingress));
        let page = visitors.get("page").cloned().unwrap_or_default();
        assert_eq!(page.first(), it.has_page().then_some(&ingress));

        let outside: Vec<u64> = items(&policy["spec"]["egress"])
            .flat_map(|rule| items(&rule["ports"]).map(|port| port["port"].as_u64().unwrap()))
            .collect();
        let expected: &[u64] = match it.name.as_str() {
            "helm-everything" => &[53, 53, 5353, 5353, 443, 3128, 6432, 6443, 3128],
            "helm-postgres" => &[53, 53, 5353, 5353, 8443, 5432, 443, 6443],
            "kustomize-kubernetes" => &[53, 53, 5353, 5353, 443, 443, 6443],
            "kustomize-postgres" => &[53, 53, 5353, 5353, 443, 5432],
            _ => &[53, 53, 5353, 5353, 443],
        };
        assert_eq!(outside, expected, "{}", it.name);
    });
}

/// Secrets are referenced, never written into an object; only the token that the chart generates is in a Secret.
#[test]
#[ignore = "run by .ci/deploy"]
fn secrets_are_only_referenced() {
    each(|it| {
        let mut known: BTreeSet<(String, String)> = it.secret_files().into_values().collect();
        let url = it.env().filter_map(|(_, it)| it.get("valueFrom"));
        known.extend(url.map(|from| {
            let from = &from["secretKeyRef"];
            (text(&from["name"]).to_owned(), text(&from["key"]).to_owned())
        }));
        let foreign = |name: &str| name.starts_with("bridge-") || name == "flagger-tokens";
        for (name, key) in &known {
            if let Some(own) = it.all("Secret").find(|it| it["metadata"]["name"] == **name) {
                assert!(text(&own["data"][key]).len() > 40, "{name} has no long {key}");
            } else if it.name.starts_with("helm-") {
                assert!(foreign(name), "{}: nothing creates {name}", it.name);
            } else {
                let readme = include_str!("../../../deploy/README.md");
                let line =
                    readme.lines().find(|line| line.contains(&format!("secret generic {name} "))).unwrap();
                assert!(line.contains(&format!("--from-file={key}")), "no command creates {key} of {name}");
            }
        }
        let written: toml::Table = it.config_toml().parse().unwrap();
        for (section, key) in [("jira", "token"), ("jira", "webhook_secret"), ("flagger", "token")] {
            assert!(written[section].get(key).is_none(), "{}: {section}.{key}", it.name);
        }
        let text = serde_json::to_string(&it.objects).unwrap();
        assert!(!text.contains("postgres://"), "{}", it.name);
    });
}

#[test]
#[ignore = "run by .ci/deploy"]
fn rules_and_dashboard_are_rendered() {
    each(|it| {
        for rule in it.all("PrometheusRule") {
            let alerts = include_str!("../../../deploy/helm/flagger-jira-bridge/files/alerts.yaml");
            assert_eq!(rule["spec"], yaml::documents(alerts)[0]);
        }
        for map in
            it.all("ConfigMap").filter(|it| it["metadata"]["labels"].get("grafana_dashboard").is_some())
        {
            let dashboard = include_str!("../../../deploy/helm/flagger-jira-bridge/files/dashboard.json");
            let passed: Value = serde_json::from_str(text(&map["data"]["flagger-jira-bridge.json"])).unwrap();
            assert_eq!(passed, serde_json::from_str::<Value>(dashboard).unwrap());
        }
    });
}
