//! PURE: where a target comes from: what deploys it, and who pushed it last.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::{items, name};

/// As whom Flagger writes. It scales the target, and a DaemonSet by its template.
const FLAGGER: &str = "flagger";

/// What deploys the target, by its own labels and annotations. Displayed as `Flux Kustomization apps in flux-system`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A Kustomization of Flux.
    FluxKustomization {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: Option<String>,
    },
    /// A HelmRelease of Flux.
    FluxHelmRelease {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: Option<String>,
    },
    /// An Application of Argo CD.
    ArgoCd {
        /// Its name; with its namespace before it, as `namespace_name`, if it is not in Argo CD's own.
        application: String,
    },
    /// A release of Helm.
    Helm {
        /// Its name.
        release: String,
        /// Its namespace.
        namespace: Option<String>,
    },
}

impl Owner {
    /// The owner of an object, if it is known. Flux installs charts with Helm, so Flux comes first.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let metadata = &object["metadata"];
        let text = |member: &str, key: &str| {
            metadata[member][key].as_str().filter(|value| !value.is_empty()).map(name)
        };
        let label = |key: &str| text("labels", key);
        let annotation = |key: &str| text("annotations", key);
        if let Some(name) = label("kustomize.toolkit.fluxcd.io/name") {
            let namespace = label("kustomize.toolkit.fluxcd.io/namespace");
            return Some(Self::FluxKustomization { name, namespace });
        }
        if let Some(name) = label("helm.toolkit.fluxcd.io/name") {
            return Some(Self::FluxHelmRelease {
                name,
                namespace: label("helm.toolkit.fluxcd.io/namespace"),
            });
        }
        // `application:group/kind:namespace/name`
        let tracking_id = annotation("argocd.argoproj.io/tracking-id");
        let tracked = tracking_id.and_then(|id| Some(id.split_once(':')?.0.to_owned()));
        let instance = || {
            let key = "argocd.argoproj.io/instance";
            label(key).or_else(|| annotation(key))
        };
        if let Some(application) = tracked.or_else(instance) {
            return Some(Self::ArgoCd { application });
        }
        if label("app.kubernetes.io/managed-by").as_deref() != Some("Helm") {
            return None;
        }
        let release = annotation("meta.helm.sh/release-name")?;
        Some(Self::Helm { release, namespace: annotation("meta.helm.sh/release-namespace") })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name, namespace) = match self {
            Self::FluxKustomization { name, namespace } => ("Flux Kustomization", name, namespace),
            Self::FluxHelmRelease { name, namespace } => ("Flux HelmRelease", name, namespace),
            Self::ArgoCd { application } => ("Argo CD application", application, &None),
            Self::Helm { release, namespace } => ("Helm release", release, namespace),
        };
        match namespace {
            Some(namespace) => write!(f, "{what} {name} in {namespace}"),
            None => write!(f, "{what} {name}"),
        }
    }
}

/// The last write to the target's pod template by anybody but Flagger. Displayed as `kubectl at 2026-11-29T17:28:55Z`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The tool, as the API server names it: `kubectl-client-side-apply`, `helm`, `kustomize-controller`.
    pub by: String,
    /// When, in RFC 3339, to the second, in UTC.
    pub at: String,
}

impl Push {
    /// The last write, by the object's `metadata.managedFields`.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let writes = items(&object["metadata"]["managedFields"]).iter().filter_map(|entry| {
            let (by, at) = (entry["manager"].as_str()?, entry["time"].as_str()?);
            let owns_template = !entry["fieldsV1"]["f:spec"]["f:template"].is_null();
            (owns_template && by != FLAGGER && is_time(at)).then_some((by, at))
        });
        // Times of this form are in the order of their texts.
        let (by, at) = writes.max_by_key(|(_, at)| *at)?;
        Some(Self { by: name(by), at: at.to_owned() })
    }
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.by, self.at)
    }
}

/// Whether this is a time as the API server writes it: `2026-11-29T17:28:55Z`.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00Z";
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, sign)| match sign {
            b'0' => byte.is_ascii_digit(),
            sign => byte == sign,
        })
}
