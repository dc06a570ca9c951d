//! PURE: what differs between what runs now and what would run, besides the images.

use serde_json::Value;

use super::{
    config_refs::{RefKind, for_each_ref, refs},
    difference::{Difference, How, What},
    json::{member_names, name},
    pairs::{Pair, pairs},
};

/// Fields of the workload that Flagger copies to the primary when it promotes, besides the template and, without an
/// autoscaler, the replicas.
const PROMOTED: [&str; 5] =
    ["minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit", "strategy", "updateStrategy"];

/// What differs between two pod templates in their normal form. Those that can be many come last.
pub(super) fn template_differences(now: &Value, then: &Value) -> Vec<Difference> {
    let (mut now, mut then) = (now.clone(), then.clone());
    let mut found = Found { container: None, all: Vec::new() };
    found.config_refs(&mut now, &mut then);
    found.each_member(&now, &then, "spec.template", |found, field, now, then| match field {
        "metadata" => found.metadata(now, then),
        "spec" => found.pod(now, then),
        _ => found.field(&format!("spec.template.{field}"), now, then),
    });
    let mut all = found.all;
    all.sort_by_key(|difference| difference.what.is_plentiful());
    all
}

/// What differs between two workloads, besides their templates and replicas.
pub(super) fn workload_differences(now: &Value, then: &Value) -> Vec<Difference> {
    let mut found = Found { container: None, all: Vec::new() };
    for field in PROMOTED {
        let (now, then) = (&now["spec"][field], &then["spec"][field]);
        if now != then {
            match field {
                "strategy" | "updateStrategy" => found.push(What::UpdateStrategy, How::between(now, then)),
                _ => found.field(&format!("spec.{field}"), now, then),
            }
        }
    }
    found.all
}

/// The number of pods, if a promotion would change it.
///
/// Flagger scales the target itself: to zero while nothing is rolled out, and to the primary's number while it
/// analyses. So a zero means nothing, and during an analysis nothing tells Flagger's number from the team's (1.44.0
/// takes the primary's, older versions one pod). In the phases before, a number other than zero can only have been
/// pushed, and a promotion copies it to the primary, unless an autoscaler decides (`Promote`). In the recordings the
/// target has zero in all these phases, also where a new image was pushed.
pub(super) fn replicas_difference(canary: &Value, now: &Value, then: &Value) -> Option<Difference> {
    let is_at_rest = matches!(
        canary["status"]["phase"].as_str(),
        Some("Initialized" | "Waiting" | "Succeeded" | "Failed")
    );
    if !is_at_rest || !canary["spec"]["autoscalerRef"].is_null() {
        return None;
    }
    let replicas = |workload: &Value| workload["spec"]["replicas"].as_u64();
    let (now, then) = (replicas(now)?, replicas(then)?);
    let what = What::Replicas { now, then };
    (then != 0 && now != then).then_some(Difference { container: None, what, how: How::Changed })
}

/// The differences found so far, and the container that is being compared.
struct Found {
    container: Option<String>,
    all: Vec<Difference>,
}

impl Found {
    fn push(&mut self, what: What, how: How) {
        self.all.push(Difference { container: self.container.clone(), what, how });
    }

    /// Names the ConfigMaps and Secrets that only one of the templates refers to, and takes these names out of both. A
    /// variable, source or volume that differs in nothing else is told by them: with generated names, each change of
    /// a ConfigMap would otherwise be told once for each variable, too.
    fn config_refs(&mut self, now: &mut Value, then: &mut Value) {
        let (old, new) = (refs(now), refs(then));
        let removed = old.difference(&new).map(|it| (it, How::Removed));
        let added = new.difference(&old).map(|it| (it, How::Added));
        for ((kind, reference), how) in removed.chain(added) {
            let reference = name(reference);
            let what = match kind {
                RefKind::ConfigMap => What::ConfigMap(reference),
                RefKind::Secret => What::Secret(reference),
            };
            self.push(what, how);
        }
        for (template, others) in [(now, &new), (then, &old)] {
            for_each_ref(template, &mut |kind, reference| {
                if reference.as_str().is_some_and(|it| !others.contains(&(kind, it.to_owned()))) {
                    *reference = Value::Null;
                }
            });
        }
    }

    fn metadata(&mut self, now: &Value, then: &Value) {
        self.each_member(now, then, "spec.template.metadata", |found, field, now, then| {
            let path = format!("spec.template.metadata.{field}");
            let what: fn(String) -> What = match field {
                "labels" => What::Label,
                "annotations" => What::Annotation,
                _ => return found.field(&path, now, then),
            };
            found.each_member(now, then, &path, |found, key, now, then| {
                found.push(what(name(key)), How::between(now, then));
            });
        });
    }

    fn pod(&mut self, now: &Value, then: &Value) {
        self.each_member(now, then, "spec.template.spec", |found, field, now, then| {
            let path = format!("spec.template.spec.{field}");
            match field {
                "containers" | "initContainers" => found.containers(&path, now, then),
                "volumes" => found.named(&path, now, then, What::Volume),
                // The API server keeps both equal: the first is the old name of the second.
                "serviceAccount" | "serviceAccountName" => {
                    if !found.all.iter().any(|difference| difference.what == What::ServiceAccount) {
                        found.push(What::ServiceAccount, How::between(now, then));
                    }
                }
                _ => found.field(&path, now, then),
            }
        });
    }

    /// Those that are in both lists. The others, and the images, are in the table of containers.
    fn containers(&mut self, path: &str, now: &Value, then: &Value) {
        let Some(pairs) = pairs(now, then) else { return self.field(path, now, then) };
        if pairs.is_reordered {
            self.push(What::Order(name(path)), How::Changed);
        }
        for pair in pairs.pairs {
            if let Pair { name, now: Some(now), then: Some(then) } = pair {
                self.container = Some(name);
                self.container(now, then);
                self.container = None;
            }
        }
    }

    fn container(&mut self, now: &Value, then: &Value) {
        // An element that is no object has no path within the container.
        self.each_member(now, then, "container", |found, field, now, then| {
            let what = match field {
                "image" if now.is_string() || then.is_string() => return,
                "env" => return found.named(field, now, then, What::Env),
                "envFrom" => What::EnvFrom,
                "command" => What::Command,
                "args" => What::Args,
                "resources" => What::Resources,
                "livenessProbe" => What::LivenessProbe,
                "readinessProbe" => What::ReadinessProbe,
                "startupProbe" => What::StartupProbe,
                "ports" => What::Ports,
                "volumeMounts" => What::VolumeMounts,
                _ => return found.field(field, now, then),
            };
            found.push(what, How::between(now, then));
        });
    }

    /// A list whose elements are told by their names.
    fn named(&mut self, path: &str, now: &Value, then: &Value, what: fn(String) -> What) {
        let Some(pairs) = pairs(now, then) else { return self.field(path, now, then) };
        if pairs.is_reordered {
            self.push(What::Order(name(path)), How::Changed);
        }
        for Pair { name, now, then } in pairs.pairs {
            if now != then {
                let (now, then) = (now.unwrap_or(&Value::Null), then.unwrap_or(&Value::Null));
                self.push(what(name), How::between(now, then));
            }
        }
    }

    /// Any other field that differs, by the paths of what differs in it.
    fn field(&mut self, path: &str, now: &Value, then: &Value) {
        let has_members = |value: &Value| value.as_object().is_some_and(|members| !members.is_empty());
        let is_within = match (now, then) {
            (Value::Object(_), Value::Object(_)) => true,
            (Value::Null, other) | (other, Value::Null) => has_members(other),
            _ => false,
        };
        if is_within {
            self.each_member(now, then, path, |found, field, now, then| {
                found.field(&format!("{path}.{field}"), now, then);
            });
        } else {
            self.push(What::Field(name(path)), How::between(now, then));
        }
    }

    /// Visits each member that differs between two objects; null is an object without members. Anything else differs as
    /// a whole.
    fn each_member(
        &mut self,
        now: &Value,
        then: &Value,
        path: &str,
        mut visit: impl FnMut(&mut Self, &str, &Value, &Value),
    ) {
        match member_names(now, then) {
            Some(fields) => {
                for field in fields.into_iter().filter(|field| now[field] != then[field]) {
                    visit(self, field, &now[field], &then[field]);
                }
            }
            None if now == then => {}
            None => self.push(What::Field(name(path)), How::between(now, then)),
        }
    }
}
