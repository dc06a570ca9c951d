//! PURE: the section of a ticket that says what a rollout changes.

use super::{
    doc::{Block, Span},
    sections::{line, paragraph, section, text},
    team::team_table,
    words::moment,
    writer::LONGEST_VALUE,
};
use crate::{
    gate::Stage,
    rollout::Subject,
    text::one_line,
    workload::{Change, ContainerChange, Image, Shown},
};

/// What a rollout changes, or why that is not known, and what the team says about it.
pub(super) fn change_section(subject: &Subject) -> Vec<Block> {
    let mut blocks = Vec::new();
    if subject.unapproved {
        blocks.push(paragraph(
            "Attention: Flagger started this version although another one was approved for the start of this rollout.",
        ));
    }
    match &subject.change {
        Some(Shown::Change { change, as_of }) => {
            blocks.extend(containers(change, subject.gate.stage));
            blocks.extend(as_of.map(|since| {
                let since = moment(since);
                paragraph(&format!(
                    "This is what the cluster showed before {since}. The bridge has not been able to read it since."
                ))
            }));
        }
        Some(Shown::Unreadable { .. }) => {
            blocks.push(paragraph(
                "The bridge could not read what changes. The technical details of this ticket say why.",
            ));
            if !subject.bound {
                blocks.push(paragraph(
                    "You can still decide: ask the team what changes. Please also tell the team that runs the bridge.",
                ));
            }
        }
        None => blocks.extend(named_version(subject)),
    }
    blocks.extend(other_label(subject));
    blocks.push(Block::External(team_table(subject)));
    section("What changes", blocks)
}

/// What is known if the bridge does not read the cluster.
fn named_version(subject: &Subject) -> Vec<Block> {
    match &subject.label {
        Some(label) => {
            let label = one_line(label, LONGEST_VALUE);
            vec![Block::Paragraph(line("New version, as the application team calls it", &label))]
        }
        None => vec![paragraph(
            "This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no \
             version. Ask the team.",
        )],
    }
}

/// The team gives the same revision another name than before.
fn other_label(subject: &Subject) -> Option<Block> {
    let before = one_line(subject.called_before.as_deref()?, LONGEST_VALUE);
    let now = one_line(subject.label.as_deref()?, LONGEST_VALUE);
    Some(paragraph(&format!(
        "Attention: the team now calls this version \"{now}\", and called the very same version \"{before}\" before."
    )))
}

/// The images before and after the rollout, and what else differs.
fn containers(change: &Change, stage: Stage) -> Vec<Block> {
    // Once it has started, some users may get the new version already.
    let (before, nothing_differs) = match stage {
        Stage::ConfirmRollout => ("Runs now", "Nothing differs from what runs now."),
        Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => {
            ("Before this rollout", "Nothing differs from what ran before this rollout.")
        }
    };
    let image = |image: Option<&Image>| image.map_or_else(|| "–".to_owned(), ToString::to_string);
    let row = |container: &ContainerChange| {
        let cells =
            [container.title(), image(container.runs_now.as_ref()), image(container.would_run.as_ref())];
        cells.iter().map(|cell| vec![text(cell)]).collect()
    };
    let header = ["Container", before, "After the rollout"].map(str::to_owned).to_vec();
    let rows = change.containers.iter().map(row).collect();
    let mut blocks = Vec::new();
    if let Some(sentence) = summary(change, nothing_differs) {
        blocks.push(paragraph(&sentence));
    }
    let mut external = vec![Block::Table { header, rows }];
    external.extend(more(change.containers_cut, "container").map(|more| paragraph(&more)));
    let differences = difference_lines(change);
    if !differences.is_empty() {
        let lead =
            if has_new_image(change) { "Also changes:" } else { "No image changes. These settings do:" };
        external.extend([paragraph(lead), Block::Bullets(differences)]);
    }
    external.extend(more(change.annotations_cut, "annotation").map(|more| paragraph(&more)));
    blocks.push(Block::External(external));
    blocks
}

/// A sentence for what the table alone does not say.
fn summary(change: &Change, nothing_differs: &str) -> Option<String> {
    if change.running.is_none() {
        return Some("Nothing runs yet that Flagger would replace.".to_owned());
    }
    if change.is_empty() {
        return Some(format!(
            "{nothing_differs} If Flagger tracks ConfigMaps or Secrets for this workload, their content may have changed: the \
             bridge does not show it."
        ));
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
