//! What deploy/README.md adds to an installation works as written: Jira's webhook, an upgrade, a second cluster, the component of
//! the status page, and an Application of Argo CD.

use std::fs;

use fake_kubernetes::FakeKubernetes;
use serde_json::{Value, json};

use crate::{
    docs::{
        page::page,
        reader::{Installed, Reader, block, section},
    },
    world::yaml,
};

const GUIDE: &str = "deploy/README.md";

/// A reader who followed the README to a running bridge, without its Canary.
fn installed() -> Reader {
    let reader = Reader::new();
    reader.follows(&section("README.md", "## Install", "### 5. Let a Canary ask"));
    reader
}

/// The configuration of the release, which reads this API server.
fn config(reader: &Reader, api: &FakeKubernetes) -> toml::Table {
    let mut config = reader.config("flagger");
    fs::write(reader.path("kubeconfig"), api.kubeconfig()).unwrap();
    let kubeconfig = reader.path("kubeconfig").to_str().unwrap().into();
    config["kubernetes"].as_table_mut().unwrap().insert("kubeconfig_file".to_owned(), kubeconfig);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_webhook_is_added() {
    let reader = installed();
    assert!(reader.config("flagger")["jira"].get("webhook_secret_file").is_none());
    reader.follows(&section(GUIDE, "## Jira's webhook", "## Upgrade"));
    let api = FakeKubernetes::new();
    api.start().await.unwrap();
    let printed = Installed::new(&reader, &config(&reader, &api)).await.checks();
    assert!(printed.contains("\nok    jira.webhook_secret "), "{printed}");
    let host = &reader.values()["ingress"]["host"];
    let url = format!("https://{}/jira/webhook", host.as_str().unwrap());
    assert!(page(GUIDE).text.contains(&url));
    if std::env::var_os("TEST_HELM").is_some() {
        let rendered = yaml::documents(&reader.state("rendered.yaml"));
        let ingress = rendered.iter().find(|it| it["kind"] == "Ingress").unwrap();
        assert_eq!(ingress["spec"]["rules"][0]["host"], *host);
    }
}

/// The pod that runs `check` of the new version is that of the bridge, without its probes.
#[test]
fn the_new_version_is_checked_before_an_upgrade() {
    let reader = installed();
    let read = |path: &str| yaml::documents(&fs::read_to_string(path).unwrap()).remove(0);
    let mut pod = read("deploy/kustomize/base/deployment.yaml")["spec"]["template"]["spec"].clone();
    pod["nodeName"] = json!("node-1");
    let running = pod["containers"][0].clone();
    pod["containers"].as_array_mut().unwrap().push(json!({ "name": "sidecar", "image": "mesh" }));
    fs::write(reader.path("state/pods.json"), json!({ "items": [{ "spec": pod }] }).to_string()).unwrap();
    reader.follows(&section(GUIDE, "## Upgrade", "## A second cluster"));

    let ran: Value = serde_json::from_str(&reader.state("ran.json")).unwrap();
    assert_eq!(ran["apiVersion"], "v1");
    let image = reader.state("ran-image");
    assert!(reader.state("pushed") == image, "{image}");
    let [container] = ran["spec"]["containers"].as_array().unwrap().as_slice() else { panic!("{ran}") };
    assert_eq!((&container["image"], &container["args"]), (&json!(image.trim_end()), &json!(["check"])));
    for same in ["env", "volumeMounts", "securityContext", "resources"] {
        assert_eq!(container[same], running[same], "{same}");
    }
    assert!(container.as_object().unwrap().keys().all(|key| !key.ends_with("Probe")), "{container}");
    assert_eq!(
        (&ran["spec"]["restartPolicy"], &ran["spec"]["nodeName"]),
        (&json!("Never"), &json!("node-1"))
    );
    assert_eq!(ran["spec"]["volumes"], pod["volumes"]);
    let ignored = fs::read_to_string(".gitignore").unwrap();
    assert!(reader.created().iter().all(|file| ignored.contains(&format!("\n/{file}\n"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_cluster_is_read() {
    let reader = installed();
    let (here, there) = (FakeKubernetes::new(), FakeKubernetes::new());
    here.start().await.unwrap();
    let server = there.start().await.unwrap();
    let token = yaml::documents(&there.kubeconfig())[0]["users"][0]["user"]["token"].clone();
    fs::create_dir_all(reader.path("state/prod-eu/account")).unwrap();
    for (file, content) in
        [("server", server.as_str()), ("account/token", token.as_str().unwrap()), ("account/ca.crt", "")]
    {
        fs::write(reader.path("state/prod-eu").join(file), content).unwrap();
    }
    reader.follows(&section(GUIDE, "## A second cluster", "## With Argo CD or Flux"));

    // The reader adds the values, and upgrades as the guide says above.
    let values = fs::read_to_string(reader.path("work/values.yaml")).unwrap();
    fs::write(reader.path("work/values.yaml"), values + &block(GUIDE, "yaml", "clusters:\n")).unwrap();
    let upgrade = block(GUIDE, "sh", "helm upgrade ").replace(" -f webhook.yaml", "");
    assert!(section(GUIDE, "## Upgrade", "## A second cluster").contains(&upgrade));
    reader.runs(&upgrade);
    let printed = Installed::new(&reader, &config(&reader, &here)).await.checks();
    let reads = |line: &&str| line.starts_with("ok    kubernetes.mode ") && line.contains("prod-eu");
    assert!(printed.lines().any(|line| reads(&line)), "{printed}");
    assert!(!there.requests().is_empty(), "the other cluster was asked");
    let ignored = fs::read_to_string(".gitignore").unwrap();
    assert!(reader.created().iter().all(|file| ignored.contains(&format!("\n/{file}\n"))));
}

/// The values of the Application are those of the guide, and the chart takes them.
#[test]
fn the_application_has_values_of_the_chart() {
    let application = yaml::documents(&block(GUIDE, "yaml", "apiVersion: argoproj.io/")).remove(0);
    let source = &application["spec"]["source"];
    assert!(fs::exists(format!("{}/Chart.yaml", source["path"].as_str().unwrap())).unwrap());
    let values = &source["helm"]["valuesObject"];
    let mut of_the_guide = yaml::documents(&block(GUIDE, "yaml", "image: ")).remove(0);
    // The default.
    of_the_guide.as_object_mut().unwrap().remove("networkPolicy").unwrap();
    assert_eq!(*values, of_the_guide);
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(source["targetRevision"], version);
}

/// The component of the status page fits the base and the program.
#[test]
fn the_component_of_the_page_fits() {
    let components = yaml::documents(&block(GUIDE, "yaml", "components: [../page]")).remove(0);
    let folder = format!("deploy/kustomize/sqlite/{}", components["components"][0].as_str().unwrap());
    let kustomization = fs::read_to_string(format!("{folder}/kustomization.yaml")).unwrap();
    let service = yaml::documents(&fs::read_to_string(format!("{folder}/service.yaml")).unwrap()).remove(0);
    assert!(page(GUIDE).inline().contains(&service["metadata"]["name"].as_str().unwrap().to_owned()));
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "page");
    let port = "9091";
    assert!(kustomization.contains(&format!("{{ name: page, containerPort: {port} }}")));
    let base = fs::read_to_string("deploy/kustomize/base/config.toml").unwrap();
    assert!(base.contains(&format!("\n# page_listen = \"0.0.0.0:{port}\"\n")));
}
