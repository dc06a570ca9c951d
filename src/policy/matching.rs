//! PURE: which gates a setting is for.

/// A gate, by its names.
#[derive(Clone, Copy, Debug)]
pub struct GateAddress<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The canary's name.
    pub canary: &'a str,
    /// The stage, as Flagger spells it.
    pub stage: &'a str,
    /// The gate's own name; empty if it has none.
    pub gate: &'a str,
}

/// Which gates a route is for. Every pattern is a glob and must match.
#[derive(Clone, Debug)]
pub struct Match {
    /// The cluster's name.
    pub cluster: globset::GlobMatcher,
    /// The namespace.
    pub namespace: globset::GlobMatcher,
    /// The canary's name.
    pub canary: globset::GlobMatcher,
    /// The stage, as Flagger spells it.
    pub stage: globset::GlobMatcher,
    /// The gate's own name (`?gate=`); a gate without one is the empty string.
    pub gate: globset::GlobMatcher,
}

impl Match {
    /// Whether it is for this gate.
    #[must_use]
    pub fn is_match(&self, gate: GateAddress<'_>) -> bool {
        self.cluster.is_match(gate.cluster)
            && self.namespace.is_match(gate.namespace)
            && self.canary.is_match(gate.canary)
            && self.stage.is_match(gate.stage)
            && self.gate.is_match(gate.gate)
    }
    /// Its globs: cluster, namespace, canary, stage and gate.
    #[must_use]
    pub fn globs(&self) -> [&str; 5] {
        [&self.cluster, &self.namespace, &self.canary, &self.stage, &self.gate].map(|it| it.glob().glob())
    }
}
