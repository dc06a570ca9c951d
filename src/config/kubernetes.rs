//! `[kubernetes]`

use super::{
    read::Section,
    settings::{Kubernetes, KubernetesMode},
};

pub(super) fn kubernetes(s: &Section<'_>) -> Option<Kubernetes> {
    let mode = s.string("mode").and_then(|word| {
        let known = KubernetesMode::ALL.into_iter().find(|mode| mode.as_str() == word);
        if known.is_none() {
            let known = KubernetesMode::ALL.map(|mode| format!("{:?}", mode.as_str()));
            s.problem("mode", format!("must be {}, not {word:?}", known.join(" or ")));
        }
        known
    });
    let kubeconfig_file = s.optional("kubeconfig_file", Section::file);
    let events = s.flag("events");
    let annotations = s.globs("annotations");
    s.report_unknown_keys();
    let (annotations, _) = annotations?;
    Some(Kubernetes { mode: mode?, kubeconfig_file, events: events?, annotations })
}
