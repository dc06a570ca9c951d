//! PURE: the digest of a pod template, or of a ConfigMap's content.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::target::TargetKind;

/// Flagger adds this to the node selector in a DaemonSet's own template, so that it runs no pods, and takes it out to
/// start them. Its own hash ignores it, too (`HasTargetChanged`).
const SCALED_TO_ZERO: &str = "flagger.app/scale-to-zero";

/// Where an empty object means the same as none, so that versions and clients write either. Elsewhere it may have a
/// meaning: an empty `labelSelector` selects everything, an absent one nothing.
const EMPTY_IS_ABSENT: [&str; 7] =
    ["annotations", "labels", "limits", "nodeSelector", "requests", "resources", "securityContext"];

/// SHA-256 over the canonical JSON of a pod template, or of a ConfigMap's content, in hex. This is what an approval is
/// bound to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Of JSON in its normal form.
    pub(super) fn of_normal(normal: &Value) -> Self {
        let mut canonical = String::new();
        write_canonical(normal, &mut canonical);
        Self(hex::encode(Sha256::digest(canonical)))
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a target's pod template (`spec.template`). It is the same in every namespace, however the JSON is
/// written, and whether Flagger has scaled the target to zero or not. Everything else counts.
#[must_use]
pub fn digest(kind: TargetKind, template: &Value) -> Digest {
    Digest::of_normal(&normal(kind, template))
}

/// The template without what does not count.
pub(super) fn normal(kind: TargetKind, template: &Value) -> Value {
    let mut normal = template.clone();
    match kind {
        TargetKind::DaemonSet => {
            if let Some(Value::Object(labels)) = normal.pointer_mut("/spec/nodeSelector") {
                labels.remove(SCALED_TO_ZERO);
            }
        }
        TargetKind::Deployment => {}
    }
    drop_absent(&mut normal);
    normal
}

/// Removes members that mean the same as no member. The elements of a list all stay: their position may matter.
fn drop_absent(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::Array(items) => items.iter_mut().for_each(drop_absent),
        Value::Object(members) => {
            members.values_mut().for_each(drop_absent);
            members.retain(|name, member| !is_absent(name, member));
        }
    }
}

fn is_absent(name: &str, member: &Value) -> bool {
    member.is_null() || (member.as_object().is_some_and(Map::is_empty) && EMPTY_IS_ABSENT.contains(&name))
}

/// Without whitespace, members sorted by name. They are sorted here because `serde_json` keeps the order in which they
/// came as soon as any crate turns that feature on.
fn write_canonical(value: &Value, out: &mut String) {
    let separate = |index: usize, out: &mut String| {
        if index > 0 {
            out.push(',');
        }
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string())
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, out);
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                separate(index, out);
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
    }
}
