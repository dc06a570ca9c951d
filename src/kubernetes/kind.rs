//! The kinds of objects that are watched.

use kube::core::{ApiResource, GroupVersionKind};

/// A kind of object that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `canaries.flagger.app`
    Canary,
    /// `deployments.apps`
    Deployment,
    /// `daemonsets.apps`
    DaemonSet,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Canary, Self::Deployment, Self::DaemonSet];

    /// As in `kind` of an object.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "Canary",
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// The kind of a Canary's target, if the bridge reads it. Flagger also takes a Service, whose pods it does not know.
    pub(super) fn of_target(kind: &str) -> Option<Self> {
        [Self::Deployment, Self::DaemonSet].into_iter().find(|known| known.as_str() == kind)
    }

    /// The resource, as RBAC names it.
    pub(super) const fn resource(self) -> &'static str {
        match self {
            Self::Canary => "canaries.flagger.app",
            Self::Deployment => "deployments.apps",
            Self::DaemonSet => "daemonsets.apps",
        }
    }

    pub(super) fn api_resource(self) -> ApiResource {
        let (group, version, plural) = match self {
            Self::Canary => ("flagger.app", "v1beta1", "canaries"),
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::DaemonSet => ("apps", "v1", "daemonsets"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, self.as_str()), plural)
    }
}
