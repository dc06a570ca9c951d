//! Whether the templates can be rendered, tried with sample questions of each stage.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::{
    config::Config,
    gate::{GateName, Stage},
    policy::Route,
    rollout::{CanaryId, Subject},
    ticket::{People, Surroundings, draft},
};

pub(super) fn templates(config: &Config) -> Vec<Finding> {
    let policy = &config.policy;
    let mut seen = vec![];
    let mut findings = vec![];
    for route in policy.all() {
        let settings = &route.ticket;
        let words = (&settings.summary, &settings.description, &settings.fields);
        if !seen.contains(&words) {
            findings.extend(render(route, config));
            seen.push(words);
        }
    }
    findings
}

fn render(route: &Route, config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = vec![];
    let mut shown = None;
    let mut empty = false;
    let around = Surroundings {
        status_page: config.server.public_url.as_deref(),
        browse: &|key| key.to_owned(),
        people: &People::default(),
        hours: None,
    };
    for subject in sample_subjects(&config.flagger.cluster) {
        match draft(&subject, route, &around) {
            Ok(draft) => {
                empty |= draft.summary.trim().is_empty();
                shown.get_or_insert(draft.summary);
            }
            Err(error) => {
                let what = format!("cannot be rendered for every question: {}; fix the template", error.why);
                let finding = Finding::fail(error.key, what);
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    if empty {
        let what = "comes out empty unless Flagger sends what it names, and Jira opens no ticket without a summary; put \
                    a word there that is always the same";
        findings.push(Finding::warn(route.key_of("summary"), what));
    }
    match shown {
        Some(summary) if findings.is_empty() => {
            vec![Finding::ok(
                route.key_of("summary"),
                format!("example title, for a gate named \"qa\": {summary:?}"),
            )]
        }
        Some(_) | None => findings,
    }
}

/// Two questions of each stage: one with everything that Flagger can send, one with the minimum.
fn sample_subjects(cluster: &str) -> Vec<Subject> {
    let stages = [Stage::ConfirmPromotion, Stage::ConfirmRollout, Stage::ConfirmTrafficIncrease, Stage::Gate];
    let some = |all: bool, text: &str| all.then(|| text.to_owned());
    let subject = |stage, all| Subject {
        canary: CanaryId { cluster: cluster.to_owned(), namespace: "test".into(), name: "podinfo".into() },
        gate: GateName { stage, approver: some(all, "qa"), step: None },
        phase: "Progressing".into(),
        base: some(all, "5c4f9d7b6d"),
        revision: some(all, "7f8d6c5b94"),
        label: some(all, "v1.2.3"),
        metadata: BTreeMap::new(),
        unclear_checksum: None,
        called_before: None,
        change: None,
        bound: false,
        unapproved: false,
        bypass: None,
        number: all.then_some(1),
        earlier_approvals: Vec::new(),
        analysis: None,
        share: None,
    };
    stages.into_iter().flat_map(|stage| [true, false].map(|all| subject(stage, all))).collect()
}
