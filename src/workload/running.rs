//! PURE: what runs now. Flagger makes the pod template of `NAME-primary` from the target's; here that is undone, so
//! that the two can be compared.

use serde_json::Value;

use super::{
    config_refs::{for_each_ref, refs},
    digest::normal,
    json::members,
    target::{Target, TargetKind},
};

/// What Flagger appends to names and label values.
const SUFFIX: &str = "-primary";
/// The annotation that Flagger adds, with a new value at each promotion, to restart the pods (`makeAnnotations`).
const FLAGGER_ID: &str = "flagger-id";
/// Labels and annotations whose name contains this are Flux's, and Flagger does not copy them (`toolkitMarker`).
const FLUX: &str = "toolkit.fluxcd.io";
/// The labels that Flagger takes for the selector if its `-selector-labels` is not set.
const SELECTOR_LABELS: [&str; 3] = ["app", "name", "app.kubernetes.io/name"];
/// Lists of a Deployment's template, and where their elements select pods by labels that Flagger rewrites
/// (`getPrimaryDeploymentTemplateSpec`).
const SELECTORS: [(&str, &str); 3] = [
    ("/spec/topologySpreadConstraints", "/labelSelector"),
    (
        "/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution",
        "/podAffinityTerm/labelSelector",
    ),
    ("/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution", "/labelSelector"),
];

/// The pod template of the primary in its normal form, as that of the target would be if it were what runs.
pub(super) fn running_template(canary: &Value, reference: &Target, target: &Value, primary: &Value) -> Value {
    let template = &target["spec"]["template"];
    let selector = &primary["spec"]["selector"]["matchLabels"];
    let mut running = primary["spec"]["template"].clone();
    undo_annotations(&mut running, template);
    undo_labels(&mut running, target, selector, &reference.name);
    if tracks_configs(canary) {
        undo_config_names(&mut running, template);
    }
    match reference.kind {
        TargetKind::Deployment => undo_selectors(&mut running, template, selector, &reference.name),
        TargetKind::DaemonSet => {}
    }
    normal(reference.kind, &running)
}

fn undo_annotations(running: &mut Value, template: &Value) {
    let Some(Value::Object(annotations)) = running.pointer_mut("/metadata/annotations") else { return };
    annotations.remove(FLAGGER_ID);
    for (name, value) in members(&template["metadata"]["annotations"]) {
        if name == FLAGGER_ID || name.contains(FLUX) {
            annotations.insert(name.clone(), value.clone());
        }
    }
}

/// The primary's selector holds exactly the label that tells its pods from the target's. Its value is the target's with
/// a suffix, and was the target's name with the suffix in old versions of Flagger.
fn undo_labels(running: &mut Value, target: &Value, selector: &Value, name: &str) {
    let Some(Value::Object(labels)) = running.pointer_mut("/metadata/labels") else { return };
    let spec = &target["spec"];
    for (label, own) in members(&spec["template"]["metadata"]["labels"]) {
        let is_selecting = selector.get(label).is_some() && spec["selector"]["matchLabels"][label] == *own;
        let is_derived = |from: &str| labels.get(label).is_some_and(|value| is_derived(value, from));
        let is_selector = is_selecting && own.as_str().is_some_and(|own| is_derived(own) || is_derived(name));
        if is_selector || label.contains(FLUX) {
            labels.insert(label.clone(), own.clone());
        }
    }
}

/// Whether Flagger follows ConfigMaps and Secrets, and so refers to copies of them. If not (`-enable-config-tracking`),
/// the status of a Canary whose template it has applied holds no `trackedConfigs`, otherwise at least an empty object.
pub(super) fn tracks_configs(canary: &Value) -> bool {
    let status = &canary["status"];
    let has_applied = status["lastAppliedSpec"].as_str().is_some_and(|hash| !hash.is_empty());
    status["trackedConfigs"].is_object() || !has_applied
}

/// Flagger refers to its copy `X-primary` of each ConfigMap and Secret `X`, but for those that it cannot or must not
/// follow. A name with the suffix that the target refers to as well is therefore one that was not followed.
fn undo_config_names(running: &mut Value, template: &Value) {
    let own = refs(template);
    for_each_ref(running, &mut |kind, name| {
        let Some(copy) = name.as_str() else { return };
        if let Some(original) = copy.strip_suffix(SUFFIX)
            && !own.contains(&(kind, copy.to_owned()))
        {
            *name = Value::from(original);
        }
    });
}

/// A selector at the same place becomes the target's if Flagger would make exactly this one of it. Any other differs.
fn undo_selectors(running: &mut Value, template: &Value, selector: &Value, name: &str) {
    let is_selector_label = |label: &str| SELECTOR_LABELS.contains(&label) || selector.get(label).is_some();
    for (list, within) in SELECTORS {
        let (Some(Value::Array(running)), Some(Value::Array(own))) =
            (running.pointer_mut(list), template.pointer(list))
        else {
            continue;
        };
        for (running, own) in running.iter_mut().zip(own) {
            if let (Some(running), Some(own)) = (running.pointer_mut(within), own.pointer(within))
                && *running == derived_selector(own, name, &is_selector_label)
            {
                *running = own.clone();
            }
        }
    }
}

/// What Flagger makes of a selector (`appendPrimarySuffixToValuesIfNeeded`).
fn derived_selector(own: &Value, name: &str, is_selector_label: &dyn Fn(&str) -> bool) -> Value {
    let mut derived = own.clone();
    if let Some(Value::Array(expressions)) = derived.get_mut("matchExpressions") {
        let with_label =
            expressions.iter_mut().filter(|it| it["key"].as_str().is_some_and(is_selector_label));
        for values in with_label.filter_map(|it| it.get_mut("values").and_then(Value::as_array_mut)) {
            if let Some(value) = values.iter_mut().find(|value| value.as_str() == Some(name)) {
                *value = Value::from(format!("{name}{SUFFIX}"));
            }
        }
    }
    if let Some(Value::Object(labels)) = derived.get_mut("matchLabels") {
        for (_, value) in labels.iter_mut().filter(|(label, _)| is_selector_label(label)) {
            if value.as_str() == Some(name) {
                *value = Value::from(format!("{name}{SUFFIX}"));
            }
        }
    }
    derived
}

fn is_derived(value: &Value, own: &str) -> bool {
    value.as_str().and_then(|value| value.strip_suffix(SUFFIX)) == Some(own)
}
