//! PURE: one difference between what runs now and what would run. It holds names, never a value: values of variables,
//! arguments and the like may be secrets.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A difference besides the images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The container it is in. `None`: it is of the whole pod or workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What differs.
    pub what: What,
    /// How.
    pub how: How,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The number of pods.
    Replicas {
        /// Of what runs now.
        now: u64,
        /// After the promotion.
        then: u64,
    },
    /// A reference to the ConfigMap of this name: added if nothing in the pod referred to it, removed if nothing would.
    ConfigMap(String),
    /// The same of a Secret.
    Secret(String),
    /// `command`
    Command,
    /// `args`
    Args,
    /// `resources`
    Resources,
    /// `livenessProbe`
    LivenessProbe,
    /// `readinessProbe`
    ReadinessProbe,
    /// `startupProbe`
    StartupProbe,
    /// `ports`
    Ports,
    /// `volumeMounts`
    VolumeMounts,
    /// `envFrom`, in more than the names of ConfigMaps and Secrets.
    EnvFrom,
    /// The volume of this name.
    Volume(String),
    /// `serviceAccountName`
    ServiceAccount,
    /// `strategy` of a Deployment, `updateStrategy` of a DaemonSet.
    UpdateStrategy,
    /// The order of the list at this path.
    Order(String),
    /// Any other field, by its path: within the container, or from the root of the workload.
    Field(String),
    /// The environment variable of this name.
    Env(String),
    /// The label of this name, of the pods.
    Label(String),
    /// The annotation of this name, of the pods.
    Annotation(String),
}

impl What {
    /// Whether there can be so many that they must not push out others if the list is cut.
    pub(super) const fn is_plentiful(&self) -> bool {
        match self {
            Self::Env(_) | Self::Label(_) | Self::Annotation(_) => true,
            Self::Replicas { .. }
            | Self::ConfigMap(_)
            | Self::Secret(_)
            | Self::Command
            | Self::Args
            | Self::Resources
            | Self::LivenessProbe
            | Self::ReadinessProbe
            | Self::StartupProbe
            | Self::Ports
            | Self::VolumeMounts
            | Self::EnvFrom
            | Self::Volume(_)
            | Self::ServiceAccount
            | Self::UpdateStrategy
            | Self::Order(_)
            | Self::Field(_) => false,
        }
    }
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is not in what runs now.
    Added,
    /// It would be gone.
    Removed,
    /// It would be another.
    Changed,
}

impl How {
    /// Between two values that differ; null is absent.
    pub(super) const fn between(now: &Value, then: &Value) -> Self {
        match (now, then) {
            (Value::Null, _) => Self::Added,
            (_, Value::Null) => Self::Removed,
            _ => Self::Changed,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        })
    }
}

/// `Container cart: liveness probe changed`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { container, what, how } = self;
        let sentence = match what {
            What::Replicas { now, then } => format!("replicas: {now} → {then}"),
            What::ConfigMap(name) => reference("ConfigMap", name, *how),
            What::Secret(name) => reference("Secret", name, *how),
            What::Command => format!("command {how}"),
            What::Args => format!("arguments {how}"),
            What::Resources => format!("resources {how}"),
            What::LivenessProbe => format!("liveness probe {how}"),
            What::ReadinessProbe => format!("readiness probe {how}"),
            What::StartupProbe => format!("startup probe {how}"),
            What::Ports => format!("ports {how}"),
            What::VolumeMounts => format!("volume mounts {how}"),
            What::EnvFrom => format!("variables from ConfigMaps and Secrets {how}"),
            What::Volume(name) => format!("volume {name} {how}"),
            What::ServiceAccount => format!("service account {how}"),
            What::UpdateStrategy => format!("update strategy {how}"),
            What::Order(list) => format!("order of {list} changed"),
            // A path is not a word: it keeps its small letter.
            What::Field(path) => match container {
                Some(container) => return write!(f, "Container {container}: {path} {how}"),
                None => return write!(f, "{path} {how}"),
            },
            What::Env(name) => format!("environment variable {name} {how}"),
            What::Label(name) => format!("pod label {name} {how}"),
            What::Annotation(name) => format!("pod annotation {name} {how}"),
        };
        match container {
            Some(container) => write!(f, "Container {container}: {sentence}"),
            None => f.write_str(&capitalized(&sentence)),
        }
    }
}

fn reference(kind: &str, name: &str, how: How) -> String {
    match how {
        How::Added => format!("{kind} {name} is now referenced"),
        How::Removed => format!("{kind} {name} is no longer referenced"),
        How::Changed => format!("the reference to {kind} {name} changed"),
    }
}

fn capitalized(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
