//! What is kept of an object: a cluster has many Deployments, and most of one is of no use here.

use serde_json::{Map, Value, json};

use super::kind::Kind;

/// Takes out of an object what nobody reads.
pub(super) fn reduce(kind: Kind, object: &mut Value) {
    match kind {
        Kind::Canary => {}
        Kind::Deployment | Kind::DaemonSet => {
            if let Some(object) = object.as_object_mut() {
                object.remove("status");
            }
        }
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    // kubectl apply keeps a copy of the whole object here, with the values of its environment variables.
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    if let Some(Value::Array(managers)) = metadata.get_mut("managedFields") {
        managers.retain(owns_template);
        managers.iter_mut().filter_map(Value::as_object_mut).for_each(reduce_manager);
    }
}

fn owns_template(manager: &Value) -> bool {
    manager.pointer("/fieldsV1/f:spec/f:template").is_some()
}

/// Keeps who it is and when, but not each single field.
fn reduce_manager(manager: &mut Map<String, Value>) {
    manager.insert("fieldsV1".into(), json!({ "f:spec": { "f:template": {} } }));
}
