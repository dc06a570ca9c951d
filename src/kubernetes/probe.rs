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
/// The Events that it creates.
const EVENTS: &str = "events.events.k8s.io";
/// Of the core group.
const CONFIG_MAPS: &str = "configmaps";

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
    /// Whether it may read ConfigMaps, in each of its namespaces.
    pub config_maps: bool,
    /// The Canaries that it may list.
    pub canaries: Vec<Value>,
}

impl Clusters {
    /// Asks each cluster what the bridge may do, and lists its Canaries. With `events` it has to create Events, too.
    pub async fn probe(&self, events: bool) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (cluster, kubeconfig, namespaces) in self.places() {
            let shown = view(kubeconfig, &namespaces, events).await;
            probes.push(Probe { cluster: cluster.to_owned(), shown });
        }
        probes
    }
}

async fn view(
    kubeconfig: Option<&PathBuf>,
    namespaces: &[Option<&str>],
    events: bool,
) -> Result<ClusterView, String> {
    let client = connect(kubeconfig.map(PathBuf::as_path)).await?;
    let mut view = ClusterView { config_maps: true, ..ClusterView::default() };
    for namespace in namespaces {
        let reads = Kind::ALL.iter().flat_map(|kind| VERBS.map(|verb| (verb, kind.resource())));
        let mut denied = Vec::new();
        for (verb, resource) in reads {
            if !may(&client, verb, resource, *namespace).await? {
                denied.push(right(verb, resource, *namespace));
            }
        }
        if denied.is_empty() {
            view.canaries.extend(canaries(&client, *namespace).await?);
        }
        if events && !may(&client, "create", EVENTS, *namespace).await? {
            denied.push(right("create", EVENTS, *namespace));
        }
        view.config_maps &= may(&client, "get", CONFIG_MAPS, *namespace).await?;
        view.denied.extend(denied);
    }
    Ok(view)
}

/// A right in words.
fn right(verb: &str, resource: &str, namespace: Option<&str>) -> String {
    let place = namespace.map_or("in all namespaces".into(), |name| format!("in namespace {name}"));
    format!("{verb} {resource} {place}")
}

/// Whether the bridge has this right. `resource` is as RBAC names it, with its group.
async fn may(client: &Client, verb: &str, resource: &str, namespace: Option<&str>) -> Result<bool, String> {
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
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
