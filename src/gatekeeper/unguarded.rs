//! The Unguarded Canaries, as the watches show them.

use super::handle::Gatekeeper;
use crate::{
    hooks::{Hooks, hooks},
    policy::Recording,
    text::one_line,
    view::{RecordingView, UnguardedView},
};

/// The longest name of an object, in characters.
const LONGEST_NAME: usize = 253;

impl Gatekeeper {
    /// Each place in the settings by which gates ask nobody.
    #[must_use]
    pub fn recording(&self) -> Vec<RecordingView> {
        let all = self.config.policy.recording().into_iter();
        all.map(|Recording { key, gates }| RecordingView { key, gates }).collect()
    }

    /// The Unguarded Canaries, by cluster, namespace and name. None of a cluster that the bridge has not read.
    #[must_use]
    pub fn unguarded(&self) -> Vec<UnguardedView> {
        let mut all = Vec::new();
        for (cluster, canaries) in self.clusters.canaries() {
            for canary in canaries {
                let text = |name: &str| {
                    one_line(canary["metadata"][name].as_str().unwrap_or_default(), LONGEST_NAME)
                };
                match hooks(&canary, cluster, &self.config.flagger) {
                    Hooks::AskNobody(why) => all.push(UnguardedView {
                        cluster: cluster.to_owned(),
                        namespace: text("namespace"),
                        canary: text("name"),
                        why: why.words().to_owned(),
                    }),
                    Hooks::Elsewhere | Hooks::Ask(_) => {}
                }
            }
        }
        all.sort();
        all
    }
}
