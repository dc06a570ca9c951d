//! PURE: truncates a [`Doc`]: Jira refuses a text of more than 32,767 characters.

use crate::{
    text::{TRUNCATED, beginning},
    ticket::{Block, Doc, Span},
};

/// The longest rendered text, in characters as Java counts them (UTF-16).
const LONGEST: usize = 32_000;

/// Renders the document, truncated so that `length` of the result is at most 32,000: what comes from outside is cut first,
/// and the bridge's own words only if that is not enough.
///
/// Atlassian does not document how Jira counts ADF, so the length of its JSON is what counts here.
pub(super) fn fit_to_limit<T>(doc: &Doc, render: fn(&Doc) -> T, length: fn(&T) -> usize) -> T {
    let mut rendered = render(doc);
    for cut in [cut_external, cut_end] {
        let mut budget = LONGEST;
        while length(&rendered) > LONGEST && budget > 0 {
            budget = (budget * LONGEST / length(&rendered)).min(budget - budget / 20 - 1);
            rendered = render(&cut(doc, budget));
        }
    }
    rendered
}

/// The document with `budget` characters from outside. Each part from outside gets as much as the others, unless it needs less.
fn cut_external(doc: &Doc, budget: usize) -> Doc {
    let external = |block: &Block| match block {
        Block::External(blocks) => Some(size(blocks)),
        Block::Heading(_) | Block::Paragraph(_) | Block::Bullets(_) | Block::Table { .. } => None,
    };
    let share = share(doc.0.iter().filter_map(external).collect(), budget);
    let block = |block: &Block| match block {
        Block::External(blocks) if size(blocks) > share => {
            let mut left = share;
            Block::External(ended(cut_blocks(blocks, &mut left)))
        }
        Block::External(_)
        | Block::Heading(_)
        | Block::Paragraph(_)
        | Block::Bullets(_)
        | Block::Table { .. } => block.clone(),
    };
    Doc(doc.0.iter().map(block).collect())
}

/// The largest share such that all parts fit into the budget, if those that are larger are cut to it.
fn share(mut sizes: Vec<usize>, mut budget: usize) -> usize {
    sizes.sort_unstable();
    let mut left = sizes.len();
    for size in sizes {
        if size * left > budget {
            return budget / left;
        }
        budget -= size;
        left -= 1;
    }
    usize::MAX
}

/// What blocks cost.
fn size(blocks: &[Block]) -> usize {
    let mut left = usize::MAX;
    cut_blocks(blocks, &mut left);
    usize::MAX - left
}

/// The first `budget` characters of the document.
fn cut_end(doc: &Doc, mut budget: usize) -> Doc {
    Doc(ended(cut_blocks(&doc.0, &mut budget)))
}

/// The blocks with a mark that the text was truncated.
fn ended(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.push(Block::Paragraph(vec![Span::Text(TRUNCATED.into())]));
    blocks
}

/// The first `budget` characters of some blocks.
fn cut_blocks(blocks: &[Block], budget: &mut usize) -> Vec<Block> {
    let mut kept = vec![];
    for block in blocks {
        // What a block costs besides its words, so that many empty blocks end, too.
        *budget = budget.saturating_sub(8);
        if *budget == 0 {
            break;
        }
        kept.push(match block {
            Block::Heading(text) => Block::Heading(take(text, budget)),
            Block::Paragraph(spans) => Block::Paragraph(cut_spans(spans, budget)),
            Block::Bullets(entries) => Block::Bullets(
                entries.iter().map_while(|spans| (*budget > 0).then(|| cut_spans(spans, budget))).collect(),
            ),
            Block::Table { header, rows } => Block::Table {
                header: header.iter().map(|cell| take(cell, budget)).collect(),
                rows: rows.iter().map_while(|cells| (*budget > 0).then(|| cut_row(cells, budget))).collect(),
            },
            Block::External(blocks) => Block::External(cut_blocks(blocks, budget)),
        });
    }
    kept
}

/// A row keeps all its cells, if only to be empty.
fn cut_row(cells: &[Vec<Span>], budget: &mut usize) -> Vec<Vec<Span>> {
    let cut = |spans: &Vec<Span>| {
        *budget = budget.saturating_sub(8);
        cut_spans(spans, budget)
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
            Span::Mention { id, name } => {
                *budget = budget.saturating_sub(id.chars().count() + name.chars().count());
                Span::Mention { id: id.clone(), name: name.clone() }
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
