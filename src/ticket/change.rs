//! PURE: the section of a ticket that says what a rollout changes.

use super::{
    doc::{Block, Span},
    sections::{line, text},
};
use crate::{
    millis::clock_time,
    workload::{Annotation, AnnotationValue, Change, ContainerChange, Image, Shown},
};

/// What a rollout changes, or why that is not known. Nothing if the bridge does not read the cluster.
pub(super) fn change_section(shown: Option<&Shown>) -> Vec<Block> {
    let Some(shown) = shown else { return Vec::new() };
    let mut blocks = vec![Block::Heading("What changes".into())];
    match shown {
        Shown::Change { change, as_of } => {
            blocks.extend(containers(change));
            blocks.extend(bullets(difference_lines(change)));
            blocks.extend(bullets(context_lines(change)));
            blocks.extend(as_of.map(|since| {
                let since = clock_time(since);
                paragraph(&format!(
                    "This is what the cluster showed before {since}. Since then the bridge cannot read it."
                ))
            }));
        }
        Shown::Unreadable { why } => {
            blocks.push(paragraph(&format!("The bridge could not read what changes: {why}.")));
        }
    }
    blocks
}

/// The images now and after the rollout.
fn containers(change: &Change) -> Vec<Block> {
    let image = |image: Option<&Image>| image.map_or_else(|| "–".to_owned(), ToString::to_string);
    let row = |container: &ContainerChange| {
        vec![container.title(), image(container.runs_now.as_ref()), image(container.would_run.as_ref())]
    };
    let header = ["Container", "Runs now", "Would run"].map(str::to_owned).to_vec();
    let rows = change.containers.iter().map(row).collect();
    let mut blocks = Vec::new();
    if let Some(sentence) = summary(change) {
        blocks.push(paragraph(sentence));
    }
    blocks.push(Block::Table { header, rows });
    if change.containers_cut > 0 {
        blocks.push(paragraph(&format!("And {} more containers.", change.containers_cut)));
    }
    blocks
}

/// A sentence for what the table alone does not say.
fn summary(change: &Change) -> Option<&'static str> {
    if change.running.is_none() {
        return Some("Nothing runs yet that Flagger would replace.");
    }
    if change.is_empty() {
        return Some(
            "Nothing differs from what runs now. If the canary tracks ConfigMaps or Secrets, their content may have changed: \
             the bridge does not read it.",
        );
    }
    let has_new_image = change.containers.iter().any(ContainerChange::is_changed);
    (!has_new_image).then_some("The images stay the same; only configuration changes.")
}

fn difference_lines(change: &Change) -> Vec<Vec<Span>> {
    change.sentences().iter().map(|sentence| vec![text(sentence)]).collect()
}

/// Who pushed it, and how Flagger would roll it out.
fn context_lines(change: &Change) -> Vec<Vec<Span>> {
    let mut lines = vec![line("Target", &change.target.to_string())];
    lines.extend(change.annotations.iter().map(annotation));
    if change.annotations_cut > 0 {
        lines.push(vec![text(&format!("And {} more annotations.", change.annotations_cut))]);
    }
    lines.extend(change.owner.as_ref().map(|owner| line("Deployed by", &owner.to_string())));
    lines.extend(change.pushed.as_ref().map(|push| line("Pushed by", &push.to_string())));
    lines.extend(change.strategy.as_deref().map(|strategy| line("Strategy", strategy)));
    lines
}

fn annotation(annotation: &Annotation) -> Vec<Span> {
    match &annotation.value {
        AnnotationValue::Link(url) => {
            let link = Span::Link { text: url.clone(), url: url.clone() };
            vec![Span::Strong(format!("{}: ", annotation.name)), link]
        }
        value @ (AnnotationValue::Text(_) | AnnotationValue::Withheld(_)) => {
            line(&annotation.name, &value.to_string())
        }
    }
}

fn bullets(lines: Vec<Vec<Span>>) -> Option<Block> {
    (!lines.is_empty()).then_some(Block::Bullets(lines))
}

fn paragraph(sentence: &str) -> Block {
    Block::Paragraph(vec![text(sentence)])
}
