//! PURE: renders a [`Doc`] for Cloud: Atlassian Document Format (ADF).

use serde_json::{Value, json};

use super::web::web_address;
use crate::{
    text,
    ticket::{Block, Doc, Span},
};

/// Renders the document without empty parts: Jira refuses empty text nodes and lists.
pub(super) fn render(doc: &Doc) -> Value {
    let mut content: Vec<Value> = doc.0.iter().flat_map(blocks).collect();
    if content.is_empty() {
        content.push(json!({"type": "paragraph", "content": []}));
    }
    json!({"type": "doc", "version": 1, "content": content})
}

/// The nodes of a block.
fn blocks(block: &Block) -> Vec<Value> {
    match block {
        Block::External(external) => external.iter().flat_map(blocks).collect(),
        Block::Heading(_) | Block::Paragraph(_) | Block::Bullets(_) | Block::Table { .. } => {
            node_of(block).into_iter().collect()
        }
    }
}

/// The node of a block that is one.
fn node_of(block: &Block) -> Option<Value> {
    match block {
        Block::External(_) => None,
        Block::Heading(text) => {
            let content = node(&text::single_line(text), &[])?;
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
        Block::Table { header, rows } => {
            let header = row("tableHeader", header.iter().map(|cell| vec![Span::Text(cell.clone())]));
            let rows = rows.iter().map(|cells| row("tableCell", cells.iter().cloned()));
            let rows: Vec<Value> = std::iter::once(header).chain(rows).collect();
            (!rows[0]["content"].as_array().is_none_or(Vec::is_empty))
                .then(|| json!({"type": "table", "content": rows}))
        }
    }
}

/// A cell without text holds an empty paragraph.
fn row(kind: &str, cells: impl Iterator<Item = Vec<Span>>) -> Value {
    let cell = |spans: Vec<Span>| {
        let empty = || json!({"type": "paragraph", "content": []});
        json!({"type": kind, "content": [paragraph(&spans).unwrap_or_else(empty)]})
    };
    json!({"type": "tableRow", "content": cells.map(cell).collect::<Vec<_>>()})
}

fn paragraph(spans: &[Span]) -> Option<Value> {
    let content: Vec<Value> = spans.iter().filter_map(span).collect();
    (!content.is_empty()).then(|| json!({"type": "paragraph", "content": content}))
}

fn span(span: &Span) -> Option<Value> {
    match span {
        Span::Text(text) => node(&text::single_line(text), &[]),
        Span::Strong(text) => node(&text::single_line(text), &[json!({"type": "strong"})]),
        Span::Link { text, url } => {
            let marks: Vec<Value> = web_address(url)
                .map(|url| json!({"type": "link", "attrs": {"href": url.as_str()}}))
                .into_iter()
                .collect();
            node(&text::single_line(text), &marks)
        }
        Span::Mention { id, name } => {
            let text = format!("@{}", text::single_line(name));
            Some(json!({"type": "mention", "attrs": {"id": id, "text": text}}))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_in_adf() {
        let doc = Doc(vec![
            Block::Heading("Approve\nthis".into()),
            Block::Paragraph(vec![
                Span::Text(String::new()),
                Span::Strong("now\u{7}".into()),
                Span::Break,
                Span::Link { text: "page".into(), url: "https://x.example/a".into() },
                Span::Link { text: "trap".into(), url: "javascript:alert(1)".into() },
                Span::Link { text: "trap".into(), url: "https://jira.example.com@evil.example/".into() },
                Span::Mention { id: "5b10".into(), name: "Mia\nChange".into() },
            ]),
            Block::Bullets(vec![vec![Span::Text("one".into())], vec![]]),
            Block::Bullets(vec![]),
            Block::External(vec![]),
        ]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&render(&doc)["content"][1]).unwrap(), @r#"
        {
          "content": [
            {
              "marks": [
                {
                  "type": "strong"
                }
              ],
              "text": "now ",
              "type": "text"
            },
            {
              "type": "hardBreak"
            },
            {
              "marks": [
                {
                  "attrs": {
                    "href": "https://x.example/a"
                  },
                  "type": "link"
                }
              ],
              "text": "page",
              "type": "text"
            },
            {
              "text": "trap",
              "type": "text"
            },
            {
              "text": "trap",
              "type": "text"
            },
            {
              "attrs": {
                "id": "5b10",
                "text": "@Mia Change"
              },
              "type": "mention"
            }
          ],
          "type": "paragraph"
        }
        "#);
        insta::assert_snapshot!(render(&Doc::default()), @r#"{"content":[{"content":[],"type":"paragraph"}],"type":"doc","version":1}"#);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let bullets = (0..2000).map(|n| vec![Span::Text(format!("entry {n} \"quoted\""))]).collect();
        let doc = Doc(vec![Block::Bullets(bullets), Block::Heading("end".into())]);
        let cut = super::super::truncate::fit_to_limit(&doc, render, |json| json.to_string().chars().count());
        let text = cut.to_string();
        assert!((20_000..=32_000).contains(&text.chars().count()), "{}", text.chars().count());
        assert!(text.contains("… (cut)") && !text.contains("end"));
    }

    fn span() -> impl Strategy<Value = Span> {
        let words = "[\\PC\n\u{7}]{0,6}";
        prop_oneof![
            words.prop_map(Span::Text),
            words.prop_map(Span::Strong),
            (words, "(https://a/)?[a-z]{0,4}").prop_map(|(text, url)| Span::Link { text, url }),
            words.prop_map(|name| Span::Mention { id: "5b10".into(), name }),
            Just(Span::Break),
        ]
    }

    fn block() -> impl Strategy<Value = Block> {
        let spans = || prop::collection::vec(span(), 0..4);
        prop_oneof![
            "[\\PC\n]{0,6}".prop_map(Block::Heading),
            spans().prop_map(Block::Paragraph),
            prop::collection::vec(spans(), 0..4).prop_map(Block::Bullets),
            prop::collection::vec(prop::collection::vec(spans(), 1), 0..3)
                .prop_map(|rows| Block::Table { header: vec!["Name".into()], rows }),
            spans().prop_map(|spans| Block::External(vec![Block::Paragraph(spans)])),
        ]
    }

    /// Checks every node: texts are not empty and hold no control characters, lists are not empty.
    fn check(node: &Value) {
        let content = node["content"].as_array();
        match node["type"].as_str().unwrap() {
            "text" => {
                let text = node["text"].as_str().unwrap();
                assert!(!text.is_empty() && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            }
            "bulletList" | "listItem" | "heading" | "doc" | "table" | "tableRow" | "tableHeader"
            | "tableCell" => {
                assert!(!content.unwrap().is_empty())
            }
            "paragraph" | "hardBreak" | "mention" => {}
            other => panic!("{other}"),
        }
        content.into_iter().flatten().for_each(check);
    }

    proptest! {
        #[test]
        fn every_document_is_valid(blocks in prop::collection::vec(block(), 0..5)) {
            check(&render(&Doc(blocks)));
        }
    }
}
