//! What is deployed, and what the absent controllers would say of it.

use serde_json::{Value, json};

use super::api::Api;

/// The image of a version of podinfo.
pub(super) fn image(version: &str) -> String {
    format!("registry.example.com/shop/podinfo:{version}")
}

/// The target of a Canary, without the number of replicas, which is Flagger's.
pub(super) fn deployment(namespace: &str, image: &str) -> Value {
    let version = image.rsplit(':').next().unwrap();
    let change = format!("https://git.example.com/shop/podinfo/{version}");
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "podinfo", "namespace": namespace,
            "labels": { "app": "podinfo" },
            "annotations": { "kubernetes.io/change-cause": change },
        },
        "spec": {
            "selector": { "matchLabels": { "app": "podinfo" } },
            "template": {
                "metadata": { "labels": { "app": "podinfo" } },
                "spec": { "containers": [{
                    "name": "podinfo", "image": image,
                    "ports": [{ "name": "http", "containerPort": 9898 }],
                    "env": [{ "name": "PODINFO_UI_COLOR", "value": "#34577c" }],
                    "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
                }] },
            },
        },
    })
}

/// Marks the Deployments of a namespace as rolled out, as the Deployment controller does once their pods run.
pub(super) async fn marks_ready(api: &Api, namespace: &str) {
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let all = api.get(&deployments).await.unwrap();
    for object in all["items"].as_array().unwrap() {
        let (generation, replicas) = (&object["metadata"]["generation"], &object["spec"]["replicas"]);
        if object["status"]["observedGeneration"] == *generation {
            continue;
        }
        let status = json!({
            "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
            "conditions": [
                { "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable" },
                { "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" },
            ],
        });
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patches(&format!("{deployments}/{name}/status"), &json!({ "status": status })).await;
    }
}
