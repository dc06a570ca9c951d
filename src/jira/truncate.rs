//! PURE: truncates a [`Doc`]: Jira refuses a text of more than 32,767 characters.

use crate::{
    text::{TRUNCATED, beginning},
    ticket::{Block, Doc, Span},
};

/// The longest rendered text, in characters as Java counts them (UTF-16).
const LONGEST: usize = 32_000;

/// Renders the document, truncated so that `length` of the result is at most 32,000.
///
/// Atlassian does not document how Jira counts ADF, so the length of its JSON is what counts here.
pub(super) fn fit_to_limit<T>(doc: &Doc, render: fn(&Doc) -> T, length: fn(&T) -> usize) -> T {
    let mut rendered = render(doc);
    let mut budget = LONGEST;
    while length(&rendered) > LONGEST && budget > 0 {
        budget = (budget * LONGEST / length(&rendered)).min(budget - budget / 20 - 1);
        rendered = render(&truncate_doc(doc, budget));
    }
    rendered
}

/// The first `budget` characters, and a mark that the text was truncated.
fn truncate_doc(doc: &Doc, mut budget: usize) -> Doc {
    let mut kept = vec![];
    for block in &doc.0 {
        // What a block costs besides its words, so that many empty blocks end, too.
        budget = budget.saturating_sub(8);
        if budget == 0 {
            break;
        }
        kept.push(match block {
            Block::Heading(text) => Block::Heading(take(text, &mut budget)),
            Block::Paragraph(spans) => Block::Paragraph(cut_spans(spans, &mut budget)),
            Block::Bullets(entries) => Block::Bullets(
                entries
                    .iter()
                    .map_while(|spans| (budget > 0).then(|| cut_spans(spans, &mut budget)))
                    .collect(),
            ),
            Block::Table { header, rows } => Block::Table {
                header: cut_row(header, &mut budget),
                rows: rows
                    .iter()
                    .map_while(|cells| (budget > 0).then(|| cut_row(cells, &mut budget)))
                    .collect(),
            },
            Block::Verbatim(text) => Block::Verbatim(take(text, &mut budget)),
        });
    }
    kept.push(Block::Paragraph(vec![Span::Text(TRUNCATED.into())]));
    Doc(kept)
}

/// A row keeps all its cells, if only to be empty.
fn cut_row(cells: &[String], budget: &mut usize) -> Vec<String> {
    let cut = |cell: &String| {
        *budget = budget.saturating_sub(8);
        take(cell, budget)
    };
    cells.iter().map(cut).collect()
}

fn cut_spans(spans: &[Span], budget: &mut usize) -> Vec<Span> {
    let mut kept = vec![];
    for span in spans {
        *budget = budget.saturating_sub(2);
        if *budget == 0 {
            break;
        }
        kept.push(match span {
            Span::Text(text) => Span::Text(take(text, budget)),
            Span::Strong(text) => Span::Strong(take(text, budget)),
            Span::Link { text, url } => {
                *budget = budget.saturating_sub(url.chars().count());
                if *budget == 0 {
                    break;
                }
                Span::Link { text: take(text, budget), url: url.clone() }
            }
            Span::Break => Span::Break,
        });
    }
    kept
}

fn take(text: &str, budget: &mut usize) -> String {
    let kept = beginning(text, *budget).unwrap_or(text);
    *budget -= kept.chars().count();
    kept.to_owned()
}
