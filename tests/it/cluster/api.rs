//! The API server, over its REST API.

use std::time::Duration;

use axum::http::Request;
use kube::{Client, Config, config::Kubeconfig};
use serde_json::{Value, json};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use super::{PATIENCE, home};
use crate::world::yaml;

/// Who applies objects.
const MANAGER: &str = "cluster-tests";
/// The media type of an object to apply.
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// The kinds without a namespace.
const CLUSTER_WIDE: [&str; 4] =
    ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"];
/// Whether what all tests need is there.
static PREPARED: OnceCell<()> = OnceCell::const_new();

/// The API server, as its administrator.
#[derive(Clone)]
pub(super) struct Api(Client);

impl Api {
    /// Connects, and sees to what all tests need: Flagger's and the mesh's resource definitions, the namespace of
    /// Flagger's lease, and the bridge as its chart installs it.
    pub(super) async fn connect() -> Self {
        let kubeconfig = Kubeconfig::read_from(home().join("kubeconfig")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        let api = Self(Client::try_from(config).unwrap());
        PREPARED.get_or_init(|| api.prepare()).await;
        api
    }

    async fn prepare(&self) {
        for namespace in ["flagger-system", "flagger"] {
            self.makes_namespace(namespace).await;
        }
        // Our reader of YAML does not accept the line breaks in its texts: the API server reads it itself.
        let definitions = std::fs::read_to_string(home().join("crd.yaml")).unwrap();
        for definition in definitions.split("\n---\n") {
            let name = definition.split("\n  name: ").nth(1).unwrap().lines().next().unwrap();
            let path = format!("{DEFINITIONS}/{name}?fieldManager={MANAGER}");
            self.sends("PATCH", &path, APPLY, definition.as_bytes()).await.unwrap();
        }
        for (group, plural, kind) in [
            ("networking.istio.io", "virtualservices", "VirtualService"),
            ("networking.istio.io", "destinationrules", "DestinationRule"),
            ("monitoring.coreos.com", "servicemonitors", "ServiceMonitor"),
            ("monitoring.coreos.com", "prometheusrules", "PrometheusRule"),
        ] {
            self.applies(&definition(group, plural, kind)).await;
        }
        for object in yaml::documents(&std::fs::read_to_string(home().join("bridge.yaml")).unwrap()) {
            self.applies(&object).await;
        }
    }

    /// A namespace in which Pod Security admits only what is `restricted`.
    pub(super) async fn makes_namespace(&self, name: &str) {
        let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        self.applies(&object).await;
    }

    /// A token for a service account, as its pod gets one.
    pub(super) async fn token(&self, namespace: &str, account: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 3600 } });
        let answer = self.sends("POST", &path, JSON, request.to_string().as_bytes()).await.unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// An object, if there is one.
    pub(super) async fn get(&self, path: &str) -> Option<Value> {
        match self.sends("GET", path, JSON, &[]).await {
            Ok(object) => Some(object),
            Err((404, _)) => None,
            Err((code, message)) => panic!("GET {path}: {code} {message}"),
        }
    }

    /// Applies an object. It must have no field that the API server does not know.
    pub(super) async fn applies(&self, object: &Value) {
        let path = format!("{}?fieldManager={MANAGER}&force=true&fieldValidation=Strict", path(object));
        let began = Instant::now();
        loop {
            match self.sends("PATCH", &path, APPLY, object.to_string().as_bytes()).await {
                Ok(_) => return,
                // A definition that was just made is not served yet.
                Err((404, _)) if began.elapsed() < PATIENCE => sleep(Duration::from_millis(100)).await,
                Err((code, message)) => panic!("{path}: {code} {message}\n{object:#}"),
            }
        }
    }

    /// Changes an object by a merge patch. The path may be that of its status.
    pub(super) async fn patches(&self, path: &str, patch: &Value) -> Value {
        let answer =
            self.sends("PATCH", path, "application/merge-patch+json", patch.to_string().as_bytes()).await;
        answer.unwrap_or_else(|(code, message)| panic!("PATCH {path}: {code} {message}"))
    }

    /// Creates an object. The error is the status with its message.
    pub(super) async fn creates(&self, object: &Value) -> Result<Value, (u16, String)> {
        let path = path(object);
        let (collection, _) = path.rsplit_once('/').unwrap();
        self.sends(
            "POST",
            &format!("{collection}?fieldValidation=Strict"),
            JSON,
            object.to_string().as_bytes(),
        )
        .await
    }

    pub(super) async fn deletes(&self, path: &str) {
        self.sends("DELETE", path, JSON, &[]).await.unwrap();
    }

    /// Sends a request, and repeats it while the API server cannot be reached, for it is restarted now and then.
    async fn sends(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: &[u8],
    ) -> Result<Value, (u16, String)> {
        let began = Instant::now();
        loop {
            let request = Request::builder().method(method).uri(path).header("content-type", media_type);
            match self.0.request(request.body(body.to_vec()).unwrap()).await {
                Ok(answer) => return Ok(answer),
                Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                    return Err((status.code, status.message));
                }
                Err(error) => assert!(began.elapsed() < PATIENCE, "{method} {path}: {error}"),
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The path of an object.
pub(super) fn path(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let root = if version == "v1" { "/api" } else { "/apis" };
    let lower = kind.to_lowercase();
    let plural = match kind.as_str() {
        "Canary" | "NetworkPolicy" => format!("{}ies", lower.trim_end_matches('y')),
        "Ingress" => format!("{lower}es"),
        _ => format!("{lower}s"),
    };
    let name = text(&object["metadata"]["name"]);
    if CLUSTER_WIDE.contains(&kind.as_str()) {
        return format!("{root}/{version}/{plural}/{name}");
    }
    let namespace = text(&object["metadata"]["namespace"]);
    format!("{root}/{version}/namespaces/{namespace}/{plural}/{name}")
}

/// A resource definition that takes any object: of the mesh and of Prometheus only the names matter here.
fn definition(group: &str, plural: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let version = |name: &str, storage: bool| json!({ "name": name, "served": true, "storage": storage, "schema": { "openAPIV3Schema": schema } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind },
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    })
}
