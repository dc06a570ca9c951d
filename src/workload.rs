//! PURE: what the Kubernetes API shows of a Flagger target: what a rollout would change, in words for a ticket, and the
//! digest that an approval is bound to.
//!
//! [`change()`] is the entry point. It reads objects as raw JSON, exactly as the API server stores them, so that fields
//! which the bridge does not know count, too. What is known of Flagger here was read in its source, version 1.44.0
//! (`pkg/canary`), and seen in the recordings of `fixtures/kubernetes`.

mod annotations;
mod change;
mod compare;
mod config_refs;
mod configs;
mod containers;
mod difference;
mod digest;
mod json;
mod origin;
mod pairs;
mod rollback_hook;
mod running;
mod shown;
mod strategy;
mod target;
#[cfg(test)]
mod tests;
mod timing;
mod words;

pub use self::{
    annotations::{Annotation, AnnotationValue, Withheld},
    change::{Change, MOST_ANNOTATIONS, MOST_CONTAINERS, MOST_DIFFERENCES, change},
    configs::{Configs, config_digest, config_maps, content_of},
    containers::{ContainerChange, Image},
    difference::{Difference, How, What},
    digest::{Digest, digest},
    origin::{Owner, Push},
    rollback_hook::{ROLLBACK_PATHS, RollbackHook},
    shown::{Divergence, Shown, Shows},
    strategy::{Limits, limits},
    target::{Target, TargetKind},
    timing::{Timing, shares},
};
