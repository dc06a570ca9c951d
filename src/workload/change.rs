//! PURE: what a rollout would change.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    annotations::{Annotation, annotations},
    compare::{replicas_difference, template_differences, workload_differences},
    configs::Configs,
    containers::{ContainerChange, containers},
    difference::Difference,
    digest::{Digest, normal},
    json::is_default,
    origin::{Owner, Push},
    rollback_hook::RollbackHook,
    running::running_template,
    strategy::strategy,
    target::Target,
    timing::{Timing, timing},
};

/// More containers than this are counted, not kept.
pub const MOST_CONTAINERS: usize = 50;
/// More differences than this are counted, not kept.
pub const MOST_DIFFERENCES: usize = 100;
/// More annotations than this are counted, not kept.
pub const MOST_ANNOTATIONS: usize = 50;

/// What a rollout would change. It is stored with the gate, and holds no value of a variable, argument, ConfigMap or
/// Secret. Texts from the cluster are on one line and of limited length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is rolled out.
    pub target: Target,
    /// Of the target's pod template: what an approval is bound to.
    pub digest: Digest,
    /// The content of the ConfigMaps that Flagger tracks. `None`: it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configs: Option<Configs>,
    /// Of the pod template that runs now, as if it were the target's: the same as `digest` if nothing differs in it.
    /// `None`: there is no primary yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Digest>,
    /// The containers: those whose image changes, then the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerChange>,
    /// How many containers were cut.
    #[serde(default, skip_serializing_if = "is_default")]
    pub containers_cut: usize,
    /// What else differs. Empty if there is no primary yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// How many differences were cut.
    #[serde(default, skip_serializing_if = "is_default")]
    pub differences_cut: usize,
    /// Labels and annotations of the target, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    /// How many annotations were cut.
    #[serde(default, skip_serializing_if = "is_default")]
    pub annotations_cut: usize,
    /// What deploys the target, if its labels and annotations say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How Flagger would roll it out, in a sentence with a full stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// How long that takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// Whether Flagger asks whether to roll back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rollback_hook: RollbackHook,
    /// Who pushed the target last, if the API server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Push>,
}

/// What a rollout would change, from the objects as the API server stores them: a Canary, its target, and `NAME-primary`
/// if that exists. `is_shown` says by its name whether a label or annotation of the target is shown. ConfigMaps are not
/// among them, so [`Change::configs`] is `None`.
#[must_use]
pub fn change(
    canary: &Value,
    target: &Value,
    primary: Option<&Value>,
    is_shown: &dyn Fn(&str) -> bool,
) -> Change {
    let reference = Target::of(canary);
    let then = normal(reference.kind, &target["spec"]["template"]);
    let now = primary.map(|primary| running_template(canary, &reference, target, primary));
    let mut differences = Vec::new();
    if let (Some(primary), Some(now)) = (primary, &now) {
        differences.extend(replicas_difference(canary, primary, target));
        differences.extend(workload_differences(primary, target));
        differences.extend(template_differences(now, &then));
    }
    let (containers, containers_cut) = cut(containers(now.as_ref(), &then), MOST_CONTAINERS);
    let (differences, differences_cut) = cut(differences, MOST_DIFFERENCES);
    let (annotations, annotations_cut) = cut(annotations(target, is_shown), MOST_ANNOTATIONS);
    Change {
        target: reference,
        digest: Digest::of_normal(&then),
        configs: None,
        running: now.as_ref().map(Digest::of_normal),
        containers,
        containers_cut,
        differences,
        differences_cut,
        annotations,
        annotations_cut,
        owner: Owner::of(target),
        strategy: strategy(canary),
        timing: timing(canary),
        rollback_hook: RollbackHook::of(canary),
        pushed: Push::of(target),
    }
}

/// The first `most` elements, and how many more there were.
fn cut<T>(mut all: Vec<T>, most: usize) -> (Vec<T>, usize) {
    let more = all.len().saturating_sub(most);
    all.truncate(most);
    (all, more)
}
