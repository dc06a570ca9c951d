//! PURE: parts that several sections of a ticket share.

use super::doc::{Block, Span};

/// Where the bridge's page is.
pub(super) fn status_page(url: &str) -> Block {
    let link =
        Span::Link { text: "The bridge's status page: what waits now, and why".into(), url: url.to_owned() };
    Block::Paragraph(vec![link])
}

/// A bullet: a name and its value.
pub(super) fn line(name: &str, value: &str) -> Vec<Span> {
    labelled(name, vec![text(value)])
}

/// The same with a value of several parts.
pub(super) fn labelled(name: &str, value: Vec<Span>) -> Vec<Span> {
    let mut spans = vec![Span::Strong(format!("{name}: "))];
    spans.extend(value);
    spans
}

pub(super) fn text(words: &str) -> Span {
    Span::Text(words.into())
}

pub(super) fn paragraph(sentence: &str) -> Block {
    Block::Paragraph(vec![text(sentence)])
}

/// A section, unless it is empty.
pub(super) fn section(heading: &str, blocks: Vec<Block>) -> Vec<Block> {
    if blocks.is_empty() {
        return blocks;
    }
    std::iter::once(Block::Heading(heading.to_owned())).chain(blocks).collect()
}

/// A list, unless it is empty.
pub(super) fn bullets(lines: Vec<Vec<Span>>) -> Option<Block> {
    (!lines.is_empty()).then_some(Block::Bullets(lines))
}
