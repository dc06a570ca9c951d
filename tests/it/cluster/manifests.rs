//! What the chart and kustomize install is admitted by a real API server, in namespaces with Pod Security `restricted`.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::{
    api::{Api, path},
    home,
};
use crate::world::yaml;

/// The namespace that the manifests name.
const OURS: &str = "flagger";

/// Moves an object to a namespace, and gives what has none a name of its own.
fn moves(object: &mut Value, namespace: &str) {
    let renames = |name: &mut Value| *name = json!(format!("{namespace}-{}", name.as_str().unwrap()));
    let metadata = object["metadata"].as_object_mut().unwrap();
    match metadata.get("namespace").cloned() {
        None => renames(&mut metadata["name"]),
        Some(named) if named == OURS => drop(metadata.insert("namespace".to_owned(), json!(namespace))),
        // A role in a namespace that the bridge reads.
        Some(_) => {}
    }
    if object.pointer("/roleRef/kind") == Some(&json!("ClusterRole")) {
        renames(&mut object["roleRef"]["name"]);
    }
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        assert_eq!(subject["namespace"], OURS);
        subject["namespace"] = json!(namespace);
    }
}

/// The pod that the Deployment's controllers would create.
fn pod(deployment: &Value) -> Value {
    let template = &deployment["spec"]["template"];
    let mut metadata = template["metadata"].clone();
    metadata["name"] = json!("bridge-0");
    metadata["namespace"] = deployment["metadata"]["namespace"].clone();
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn everything_is_admitted() {
    let api = Api::connect().await;
    let files = fs::read_dir(home().join("rendered")).unwrap().map(|entry| entry.unwrap().path());
    let mut pods = 0;
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let namespace = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut objects = yaml::documents(&fs::read_to_string(&file).unwrap());
        objects.iter_mut().for_each(|object| moves(object, &namespace));
        let named = objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str());
        for namespace in named.collect::<BTreeSet<_>>() {
            api.makes_namespace(namespace).await;
        }
        for object in &objects {
            api.applies(object).await;
        }
        for deployment in objects.iter().filter(|object| object["kind"] == "Deployment") {
            let pod = pod(deployment);
            let admitted = api.creates(&pod).await;
            assert!(admitted.is_ok(), "{namespace}: {admitted:?}");
            pods += 1;

            let mut privileged = pod;
            privileged["metadata"]["name"] = json!("bridge-1");
            privileged["spec"]["containers"][0]["securityContext"]["privileged"] = json!(true);
            privileged["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
            let (code, why) = api.creates(&privileged).await.unwrap_err();
            assert!(code == 403 && why.contains("PodSecurity \"restricted"), "{code} {why}");
            assert_eq!(api.get(&path(&privileged)).await, None);
        }
    }
    assert_eq!(pods, 8);
}
