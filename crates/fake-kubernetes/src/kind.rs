//! The kinds of objects that are stored, and where the API serves them.

/// A kind of objects. All of them are namespaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Canary,
    Deployment,
    DaemonSet,
    ConfigMap,
    Event,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Canary, Self::Deployment, Self::DaemonSet, Self::ConfigMap, Self::Event];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn served_at(group: &str, resource: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.group() == group && kind.resource() == resource)
    }

    pub(super) const fn name(self) -> &'static str {
        self.words().0
    }

    /// Its name in paths and in the rules of RBAC.
    pub(super) const fn resource(self) -> &'static str {
        self.words().1
    }

    /// Empty for the core group.
    pub(super) const fn group(self) -> &'static str {
        self.words().2
    }

    pub(super) const fn version(self) -> &'static str {
        self.words().3
    }

    const fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Canary => ("Canary", "canaries", "flagger.app", "v1beta1"),
            Self::Deployment => ("Deployment", "deployments", "apps", "v1"),
            Self::DaemonSet => ("DaemonSet", "daemonsets", "apps", "v1"),
            Self::ConfigMap => ("ConfigMap", "configmaps", "", "v1"),
            Self::Event => ("Event", "events", "events.k8s.io", "v1"),
        }
    }

    /// The `apiVersion` of its objects.
    pub(super) fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// Whether a CustomResourceDefinition defines it. The items of a list then say their kind and version.
    pub(super) const fn is_custom(self) -> bool {
        matches!(self, Self::Canary)
    }

    /// Whether `metadata.generation` counts the changes of its `spec`.
    pub(super) const fn has_generation(self) -> bool {
        matches!(self, Self::Canary | Self::Deployment | Self::DaemonSet)
    }
}
