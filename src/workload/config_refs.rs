//! PURE: where a pod template refers to ConfigMaps and Secrets.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a reference is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RefKind {
    ConfigMap,
    Secret,
}

/// Visits the name in each reference, at all places where Flagger follows and rewrites them (`ApplyPrimaryConfigs`).
pub(super) fn for_each_ref(template: &mut Value, visit: &mut dyn FnMut(RefKind, &mut Value)) {
    let Some(spec) = template.get_mut("spec") else { return };
    for volume in items_mut(spec, "volumes") {
        at(volume, "/configMap/name", RefKind::ConfigMap, visit);
        at(volume, "/secret/secretName", RefKind::Secret, visit);
        for source in
            volume.get_mut("projected").into_iter().flat_map(|projected| items_mut(projected, "sources"))
        {
            at(source, "/configMap/name", RefKind::ConfigMap, visit);
            at(source, "/secret/name", RefKind::Secret, visit);
        }
    }
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            for variable in items_mut(container, "env") {
                at(variable, "/valueFrom/configMapKeyRef/name", RefKind::ConfigMap, visit);
                at(variable, "/valueFrom/secretKeyRef/name", RefKind::Secret, visit);
            }
            for source in items_mut(container, "envFrom") {
                at(source, "/configMapRef/name", RefKind::ConfigMap, visit);
                at(source, "/secretRef/name", RefKind::Secret, visit);
            }
        }
    }
}

/// All ConfigMaps and Secrets that a template refers to.
pub(super) fn refs(template: &Value) -> BTreeSet<(RefKind, String)> {
    let mut found = BTreeSet::new();
    for_each_ref(&mut template.clone(), &mut |kind, name| {
        found.extend(name.as_str().map(|name| (kind, name.to_owned())));
    });
    found
}

fn at(value: &mut Value, pointer: &str, kind: RefKind, visit: &mut dyn FnMut(RefKind, &mut Value)) {
    if let Some(name) = value.pointer_mut(pointer).filter(|name| name.is_string()) {
        visit(kind, name);
    }
}

fn items_mut<'a>(value: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}
