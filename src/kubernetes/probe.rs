//! What `check` finds out: whether the bridge may read what it needs, and which Canaries there are.

use std::{path::PathBuf, time::Duration};

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
    core::DynamicObject,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{clusters::Clusters, connect::connect, error, kind::Kind};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
const VERBS: [&str; 3] = ["get", "list", "watch"];

/// What was found out about one cluster.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its name.
    pub cluster: String,
    /// What it shows. The error says why it cannot be read, on one line.
    pub shown: Result<ClusterView, String>,
}

/// What a cluster shows to `check`.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    /// What the bridge may not do and has to, such as `list deployments.apps in namespace shop`.
    pub denied: Vec<String>,
    /// The Canaries that it may list.
    pub canaries: Vec<Value>,
}

impl Clusters {
    /// Asks each cluster what the bridge may do, and lists its Canaries.
    pub async fn probe(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (cluster, kubeconfig, namespaces) in self.places() {
            let shown = view(kubeconfig, &namespaces).await;
            probes.push(Probe { cluster: cluster.to_owned(), shown });
        }
        probes
    }
}

async fn view(kubeconfig: Option<&PathBuf>, namespaces: &[Option<&str>]) -> Result<ClusterView, String> {
    let client = connect(kubeconfig.map(PathBuf::as_path)).await?;
    let mut view = ClusterView::default();
    for namespace in namespaces {
        for kind in Kind::ALL {
            for verb in VERBS {
                if !may(&client, kind, verb, *namespace).await? {
                    let place =
                        namespace.map_or("in all namespaces".into(), |name| format!("in namespace {name}"));
                    view.denied.push(format!("{verb} {} {place}", kind.resource()));
                }
            }
        }
        if view.denied.is_empty() {
            view.canaries.extend(canaries(&client, *namespace).await?);
        }
    }
    Ok(view)
}

async fn may(client: &Client, kind: Kind, verb: &str, namespace: Option<&str>) -> Result<bool, String> {
    let resource = kind.api_resource();
    let attributes = ResourceAttributes {
        group: Some(resource.group),
        resource: Some(resource.plural),
        verb: Some(verb.to_owned()),
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = in_time(api.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

async fn canaries(client: &Client, namespace: Option<&str>) -> Result<Vec<Value>, String> {
    let resource = Kind::Canary.api_resource();
    let api: Api<DynamicObject> = match namespace {
        None => Api::all_with(client.clone(), &resource),
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    let list = in_time(api.list(&ListParams::default())).await?;
    Ok(list.items.into_iter().filter_map(|canary| serde_json::to_value(canary).ok()).collect())
}

async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match timeout(TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error::of_request(&error)),
        Err(_) => Err(format!("the API server did not answer within {} s", TIMEOUT.as_secs())),
    }
}
