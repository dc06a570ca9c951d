//! Renders a description or a comment as HTML.

use serde_json::Value;

/// HTML of a description or a comment; empty for null. Wiki markup is shown as text.
pub(super) fn html(body: &Value) -> String {
    let mut out = String::new();
    match body {
        Value::Null => {}
        Value::String(markup) => {
            element("div class=\"text\"", "div", &mut out, |out| escape(markup, out));
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => node(body, &mut out),
    }
    out
}

fn node(value: &Value, out: &mut String) {
    let tag = match value.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text" => return text_node(value, out),
        "hardBreak" => return out.push_str("<br>"),
        "rule" => return out.push_str("<hr>"),
        "paragraph" => "p",
        "heading" => "h3",
        "bulletList" => "ul",
        "orderedList" => "ol",
        "listItem" => "li",
        "codeBlock" => "pre",
        "blockquote" => "blockquote",
        "table" => "table",
        "tableRow" => "tr",
        "tableHeader" => "th",
        "tableCell" => "td",
        _ => "div",
    };
    element(tag, tag, out, |out| {
        for child in value.get("content").and_then(Value::as_array).into_iter().flatten() {
            node(child, out);
        }
    });
}

fn text_node(value: &Value, out: &mut String) {
    let marks = value.get("marks").and_then(Value::as_array);
    let mark = |kind: &str| marks.into_iter().flatten().find(|mark| mark["type"] == kind);
    let text = value.get("text").and_then(Value::as_str).unwrap_or_default();
    let href = mark("link").and_then(|link| link["attrs"]["href"].as_str());
    // Like Jira: links with other schemes are not rendered.
    let href = href.filter(|href| href.starts_with("https://") || href.starts_with("http://"));
    let strong = mark("strong").is_some();
    if let Some(href) = href {
        out.push_str("<a href=\"");
        escape(href, out);
        out.push_str("\">");
    }
    if strong {
        element("b", "b", out, |out| escape(text, out));
    } else {
        escape(text, out);
    }
    if href.is_some() {
        out.push_str("</a>");
    }
}

fn element(open: &str, close: &str, out: &mut String, inner: impl FnOnce(&mut String)) {
    out.push('<');
    out.push_str(open);
    out.push('>');
    inner(out);
    out.push_str("</");
    out.push_str(close);
    out.push('>');
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_escaped_and_only_http_links_are_kept() {
        let link = |text: &str, href: &str| json!({"type": "text", "text": text, "marks": [{"type": "link", "attrs": {"href": href}}]});
        let document = json!({"type": "doc", "version": 1, "content": [
            {"type": "heading", "attrs": {"level": 3}, "content": [{"type": "text", "text": "What"}]},
            {"type": "paragraph", "content": [
                {"type": "text", "text": "<b>", "marks": [{"type": "strong"}]},
                {"type": "hardBreak"},
                link("page", "http://x.example/?a=\"&b"),
                link("trap", "javascript:alert(1)"),
            ]},
        ]});
        assert_eq!(
            html(&document),
            "<div><h3>What</h3><p><b>&lt;b&gt;</b><br>\
             <a href=\"http://x.example/?a=&quot;&amp;b\">page</a>trap</p></div>"
        );
        assert_eq!(html(&json!(null)), "");
        assert_eq!(html(&json!("*<i>*")), "<div class=\"text\">*&lt;i&gt;*</div>");
    }
}
