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
pub(super) fn change_section(shown: Option<&Shown>, bound: bool) -> Vec<Block> {
    let Some(shown) = shown else { return Vec::new() };
    let mut blocks = vec![Block::Heading("What changes".into())];
    match shown {
        Shown::Change { change, as_of } => {
            blocks.extend(containers(change));
            let differences = difference_lines(change);
            if !differences.is_empty() {
                let lead = if has_new_image(change) {
                    "Also changes:"
                } else {
                    "No image changes. These settings of the workload do:"
                };
                blocks.extend([paragraph(lead), Block::Bullets(differences)]);
            }
            blocks.extend([paragraph("About this rollout:"), Block::Bullets(context_lines(change))]);
            blocks.extend(as_of.map(|since| {
                let since = clock_time(since);
                paragraph(&format!(
                    "This is what the cluster showed before {since}. The bridge has not been able to read it since."
                ))
            }));
        }
        Shown::Unreadable { why } => {
            blocks.push(paragraph(&format!("The bridge could not read what changes: {why}.")));
            if !bound {
                blocks.push(paragraph(
                    "You can decide all the same: ask the team what changes. And tell the team that runs the bridge.",
                ));
            }
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
    let header = ["Container", "Runs now", "After the rollout"].map(str::to_owned).to_vec();
    let rows = change.containers.iter().map(row).collect();
    let mut blocks = Vec::new();
    if let Some(sentence) = summary(change) {
        blocks.push(paragraph(sentence));
    }
    blocks.push(Block::Table { header, rows });
    blocks.extend(more(change.containers_cut, "container").map(|more| paragraph(&more)));
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
             the bridge does not show it.",
        );
    }
    None
}

fn has_new_image(change: &Change) -> bool {
    change.containers.iter().any(ContainerChange::is_changed)
}

/// How many were cut, in words.
fn more(cut: usize, what: &str) -> Option<String> {
    match cut {
        0 => None,
        1 => Some(format!("And 1 more {what}.")),
        cut => Some(format!("And {cut} more {what}s.")),
    }
}

fn difference_lines(change: &Change) -> Vec<Vec<Span>> {
    change.sentences().iter().map(|sentence| vec![text(sentence)]).collect()
}

/// Who pushed it, and how Flagger would roll it out.
fn context_lines(change: &Change) -> Vec<Vec<Span>> {
    let mut lines = vec![line("Target", &change.target.to_string())];
    lines.extend(change.annotations.iter().map(annotation));
    lines.extend(more(change.annotations_cut, "annotation").map(|more| vec![text(&more)]));
    lines.extend(change.owner.as_ref().map(|owner| line("Deployed by", &owner.to_string())));
    lines.extend(change.pushed.as_ref().map(|push| line("Last pushed with", &push.to_string())));
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

fn paragraph(sentence: &str) -> Block {
    Block::Paragraph(vec![text(sentence)])
}
