//! Whether the bridge can read the clusters, and whether their Canaries ask it as they should.

use super::finding::Finding;
use crate::{
    config::{Config, KubernetesMode},
    hooks::{Hooks, Silence, hooks},
    kubernetes::{ClusterView, Clusters, Probe},
    text::one_line,
};

/// More Canaries than this are counted, not named.
const MOST_NAMED: usize = 10;

pub(super) async fn kubernetes(config: &Config) -> Vec<Finding> {
    let clusters = Clusters::new(&config.kubernetes, &config.flagger);
    let probes = clusters.probe(config.kubernetes.events).await;
    probes.iter().flat_map(|probe| findings(probe, config)).collect()
}

fn findings(Probe { cluster, shown }: &Probe, config: &Config) -> Vec<Finding> {
    let key = match config.flagger.clusters.iter().position(|further| further.name == *cluster) {
        Some(nth) => format!("flagger.clusters[{nth}].kubeconfig_file"),
        None => "kubernetes.kubeconfig_file".to_owned(),
    };
    match shown {
        Err(why) => vec![Finding::fail(key, format!("cluster {cluster} cannot be read: {why}"))],
        Ok(ClusterView { denied, .. }) if !denied.is_empty() => vec![Finding::fail(
            key,
            format!(
                "in cluster {cluster} the bridge may not {}; give it these rights (docs/kubernetes.md)",
                denied.join(", nor ")
            ),
        )],
        Ok(ClusterView { canaries, config_maps, denied: _ }) => {
            let (mut asking, mut total) = (0, 0);
            let (mut silent, mut wrong) = (Vec::new(), Vec::new());
            for canary in canaries {
                let text = |name: &str| one_line(canary["metadata"][name].as_str().unwrap_or_default(), 100);
                let name = format!("{}/{}", text("namespace"), text("name"));
                match hooks(canary, cluster, &config.flagger) {
                    Hooks::Elsewhere => {}
                    Hooks::AskNobody(why) => {
                        total += 1;
                        silent.push(match why {
                            Silence::NoHook => name,
                            Silence::ReportsOnly | Silence::SkipAnalysis => {
                                format!("{name} ({})", why.words())
                            }
                        });
                    }
                    Hooks::Ask(problems) => {
                        asking += 1;
                        total += 1;
                        let problems =
                            problems.iter().map(|what| Finding::warn(format!("canary {name}"), what));
                        wrong.extend(problems);
                    }
                }
            }
            let mut what =
                format!("cluster {cluster} can be read; {asking} of {total} Canaries ask the bridge");
            if !silent.is_empty() {
                let more = silent.len().saturating_sub(MOST_NAMED);
                silent.truncate(MOST_NAMED);
                what.push_str(&format!("; these do not: {}", silent.join(", ")));
                if more > 0 {
                    what.push_str(&format!(" and {more} more"));
                }
            }
            let mut findings = vec![Finding::ok("kubernetes.mode", what)];
            findings.extend(covered(cluster, config.kubernetes.mode, *config_maps));
            findings.extend(wrong);
            findings
        }
    }
}

/// Whether approvals cover ConfigMaps: that is up to whoever grants the rights.
fn covered(cluster: &str, mode: KubernetesMode, config_maps: bool) -> Option<Finding> {
    let what = match (mode, config_maps) {
        (KubernetesMode::Off | KubernetesMode::Show, _) => return None,
        (KubernetesMode::Bind, true) => "approvals cover the content of ConfigMaps",
        (KubernetesMode::Bind, false) => {
            "approvals do not cover the content of ConfigMaps, which the bridge has no right to get"
        }
    };
    Some(Finding::ok("kubernetes.mode", format!("in cluster {cluster} {what}")))
}
