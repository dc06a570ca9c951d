//! Atlassian Document Format (ADF): validation, and conversion to text.

use serde_json::{Map, Value};

const INLINE: &[&str] = &["text", "hardBreak", "mention", "emoji", "date", "status", "inlineCard"];
const BLOCKS: &[&str] = &[
    "paragraph",
    "heading",
    "bulletList",
    "orderedList",
    "codeBlock",
    "panel",
    "rule",
    "blockquote",
    "table",
    "expand",
    "blockCard",
];
const IN_ITEM: &[&str] = &["paragraph", "bulletList", "orderedList", "codeBlock"];
const IN_PANEL: &[&str] = &["paragraph", "heading", "bulletList", "orderedList", "codeBlock", "rule"];
const IN_QUOTE: &[&str] = &["paragraph", "bulletList", "orderedList", "codeBlock"];
const IN_CELL: &[&str] =
    &["paragraph", "heading", "bulletList", "orderedList", "codeBlock", "panel", "rule", "blockquote"];
const MARKS: &[&str] =
    &["strong", "em", "code", "link", "strike", "subsup", "textColor", "underline", "backgroundColor"];

/// The types of nodes that a node can contain, and whether it must have content; `None` for an unknown node.
fn allowed_content(kind: &str) -> Option<(&'static [&'static str], bool)> {
    Some(match kind {
        "doc" => (BLOCKS, false),
        "paragraph" | "heading" => (INLINE, false),
        "codeBlock" => (&["text"], false),
        "bulletList" | "orderedList" => (&["listItem"], true),
        "listItem" => (IN_ITEM, true),
        "panel" => (IN_PANEL, true),
        "blockquote" => (IN_QUOTE, true),
        "expand" => (IN_CELL, true),
        "table" => (&["tableRow"], true),
        "tableRow" => (&["tableHeader", "tableCell"], true),
        "tableHeader" | "tableCell" => (IN_CELL, true),
        "text" | "hardBreak" | "mention" | "emoji" | "date" | "status" | "inlineCard" | "rule"
        | "blockCard" => (&[], false),
        _ => return None,
    })
}

/// # Errors
/// Describes the first error in the document and its position.
pub(super) fn check(document: &Value) -> Result<(), String> {
    let doc = document.as_object().ok_or("not an object")?;
    if let Some(key) = doc.keys().find(|k| !matches!(k.as_str(), "type" | "version" | "content")) {
        return Err(format!("unknown key {key:?} in the document"));
    }
    if doc.get("type").and_then(Value::as_str) != Some("doc") {
        return Err("the type of the document is not doc".into());
    }
    if doc.get("version").and_then(Value::as_i64) != Some(1) {
        return Err("the version of the document is not 1".into());
    }
    if !doc.get("content").is_some_and(Value::is_array) {
        return Err("the document has no content".into());
    }
    check_content(doc, "doc", "doc")
}

fn check_content(node: &Map<String, Value>, kind: &str, path: &str) -> Result<(), String> {
    let (allowed, required) =
        allowed_content(kind).ok_or_else(|| format!("unknown node {kind:?} at {path}"))?;
    let content = match node.get("content") {
        None => &[][..],
        Some(content) => content.as_array().ok_or_else(|| format!("content of {path} is not an array"))?,
    };
    if required && content.is_empty() {
        return Err(format!("{path} is empty"));
    }
    for (index, child) in content.iter().enumerate() {
        let child = child.as_object().ok_or_else(|| format!("{path}[{index}] is not a node"))?;
        let name = child
            .get("type")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("{path}[{index}] has no type"))?;
        let path = format!("{path}/{name}[{index}]");
        if !allowed.contains(&name) {
            return Err(format!("{name} is not allowed in {kind}, at {path}"));
        }
        check_node(child, name, kind, &path)?;
        check_content(child, name, &path)?;
    }
    Ok(())
}

/// Checks the keys, attributes and marks of a node.
fn check_node(node: &Map<String, Value>, kind: &str, parent: &str, path: &str) -> Result<(), String> {
    let known = |k: &str| {
        matches!(k, "type" | "attrs" | "content") || (kind == "text" && matches!(k, "text" | "marks"))
    };
    if let Some(key) = node.keys().find(|k| !known(k)) {
        return Err(format!("unknown key {key:?} at {path}"));
    }
    let attribute = |name: &str| node.get("attrs").and_then(|a| a.get(name));
    let valid = match kind {
        "text" => node.get("text").and_then(Value::as_str).is_some_and(|t| !t.is_empty()),
        "heading" => attribute("level").and_then(Value::as_i64).is_some_and(|l| (1..=6).contains(&l)),
        "panel" => attribute("panelType")
            .and_then(Value::as_str)
            .is_some_and(|t| matches!(t, "info" | "note" | "tip" | "warning" | "error" | "success")),
        "inlineCard" | "blockCard" => attribute("url").is_some_and(is_url),
        "mention" => attribute("id").is_some_and(Value::is_string),
        _ => true,
    };
    if !valid {
        return Err(format!("invalid {kind} at {path}"));
    }
    let Some(marks) = node.get("marks") else { return Ok(()) };
    let marks = marks.as_array().ok_or_else(|| format!("marks of {path} are not an array"))?;
    if parent == "codeBlock" && !marks.is_empty() {
        return Err(format!("marks are not allowed in a code block, at {path}"));
    }
    marks.iter().try_for_each(|mark| check_mark(mark, marks.len(), path))
}

fn check_mark(mark: &Value, mark_count: usize, path: &str) -> Result<(), String> {
    let name = mark.get("type").and_then(Value::as_str).unwrap_or_default();
    if !MARKS.contains(&name) {
        return Err(format!("unknown mark {name:?} at {path}"));
    }
    if name == "link" && !mark.get("attrs").and_then(|a| a.get("href")).is_some_and(is_url) {
        return Err(format!("link without a valid URL at {path}"));
    }
    if name == "code" && mark_count > 2 {
        return Err(format!("the mark code can only be combined with link, at {path}"));
    }
    Ok(())
}

fn is_url(value: &Value) -> bool {
    let url = value.as_str().unwrap_or_default();
    ["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme))
        && !url.contains(char::is_whitespace)
}

/// The text of a document, without markup. A string is returned unchanged.
#[must_use]
pub fn text(body: &Value) -> String {
    if let Some(text) = body.as_str() {
        return text.to_owned();
    }
    let mut out = String::new();
    append_text(body, &mut out);
    out.trim_end().to_owned()
}

/// What a mention shows.
pub(super) fn mention(node: &Value) -> &str {
    let attribute = |name: &str| node.get("attrs").and_then(|a| a.get(name)).and_then(Value::as_str);
    attribute("text").or_else(|| attribute("id")).unwrap_or_default()
}

fn append_text(node: &Value, out: &mut String) {
    let kind = node.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "text" => out.push_str(node.get("text").and_then(Value::as_str).unwrap_or_default()),
        "hardBreak" => out.push('\n'),
        "mention" => out.push_str(mention(node)),
        "listItem" => out.push_str("• "),
        "inlineCard" | "blockCard" => {
            let url = node.get("attrs").and_then(|a| a.get("url")).and_then(Value::as_str);
            out.push_str(url.unwrap_or_default());
        }
        _ => {}
    }
    for child in node.get("content").and_then(Value::as_array).into_iter().flatten() {
        append_text(child, out);
    }
    let ends_line = matches!(kind, "paragraph" | "heading" | "codeBlock" | "rule" | "blockCard" | "tableRow");
    if ends_line && !out.ends_with('\n') {
        out.push('\n');
    }
}
