//! PURE: a [`Doc`] as Cloud wants it: Atlassian Document Format.

use serde_json::{Value, json};

use super::words;
use crate::ticket::{Block, Doc, Span};

/// The document. What is empty is left out: Jira refuses empty text nodes and lists.
pub(super) fn render(doc: &Doc) -> Value {
    let mut content: Vec<Value> = doc.0.iter().filter_map(block).collect();
    if content.is_empty() {
        content.push(json!({"type": "paragraph", "content": []}));
    }
    json!({"type": "doc", "version": 1, "content": content})
}

fn block(block: &Block) -> Option<Value> {
    match block {
        Block::Heading(text) => {
            let content = node(&words::line(text), &[])?;
            Some(json!({"type": "heading", "attrs": {"level": 3}, "content": [content]}))
        }
        Block::Paragraph(spans) => paragraph(spans),
        Block::Bullets(entries) => {
            let entries: Vec<Value> = entries
                .iter()
                .filter_map(|spans| Some(json!({"type": "listItem", "content": [paragraph(spans)?]})))
                .collect();
            (!entries.is_empty()).then(|| json!({"type": "bulletList", "content": entries}))
        }
        Block::Verbatim(text) => {
            let content = node(&words::clean(text), &[])?;
            Some(json!({"type": "codeBlock", "content": [content]}))
        }
    }
}

fn paragraph(spans: &[Span]) -> Option<Value> {
    let content: Vec<Value> = spans.iter().filter_map(span).collect();
    (!content.is_empty()).then(|| json!({"type": "paragraph", "content": content}))
}

fn span(span: &Span) -> Option<Value> {
    match span {
        Span::Text(text) => node(&words::line(text), &[]),
        Span::Strong(text) => node(&words::line(text), &[json!({"type": "strong"})]),
        Span::Link { text, url } => {
            let marks: Vec<Value> = super::web_address(url)
                .map(|url| json!({"type": "link", "attrs": {"href": url.as_str()}}))
                .into_iter()
                .collect();
            node(&words::line(text), &marks)
        }
        Span::Break => Some(json!({"type": "hardBreak"})),
    }
}

fn node(text: &str, marks: &[Value]) -> Option<Value> {
    match (text.is_empty(), marks) {
        (true, _) => None,
        (false, []) => Some(json!({"type": "text", "text": text})),
        (false, marks) => Some(json!({"type": "text", "text": text, "marks": marks})),
    }
}
