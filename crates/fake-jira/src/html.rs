//! Renders a description or a comment as HTML.

use serde_json::Value;

use super::{
    markup::{Names, anchor, element, escape, is_web, link, mention},
    time, wiki,
};

/// HTML of a description or a comment, ADF or wiki markup; empty for null.
pub(super) fn html(body: &Value, names: Names<'_>) -> String {
    match body {
        Value::Null => String::new(),
        Value::String(markup) => wiki::html(markup, names),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let mut out = String::new();
            node(body, names, &mut out);
            out
        }
    }
}

fn children(value: &Value) -> impl Iterator<Item = &Value> {
    value.get("content").and_then(Value::as_array).into_iter().flatten()
}

fn node(value: &Value, names: Names<'_>, out: &mut String) {
    let attribute = |name: &str| value["attrs"][name].as_str().unwrap_or_default();
    let tag = match value["type"].as_str().unwrap_or_default() {
        "text" => return text_node(value, out),
        "hardBreak" => return out.push_str("<br>"),
        "rule" => return out.push_str("<hr>"),
        "mention" => return mention(attribute("id"), attribute("text"), names, out),
        "inlineCard" | "blockCard" => return link(attribute("url"), attribute("url"), out),
        "emoji" => return escape(attribute(if has_text(value) { "text" } else { "shortName" }), out),
        "status" => return element("span class=\"lozenge new\"", out, |out| escape(attribute("text"), out)),
        "date" => {
            let at = attribute("timestamp").parse().unwrap_or_default();
            return element("time", out, |out| escape(&time::format_page(at), out));
        }
        "table" => return table(value, names, out),
        "paragraph" => "p",
        "heading" => "h3",
        "bulletList" => "ul",
        "orderedList" => "ol",
        "listItem" => "li",
        "codeBlock" => "pre",
        "blockquote" => "blockquote",
        "panel" => "div class=\"panel\"",
        _ => "div",
    };
    element(tag, out, |out| children(value).for_each(|child| node(child, names, out)));
}

fn has_text(value: &Value) -> bool {
    value["attrs"]["text"].is_string()
}

/// A table whose first rows consist of headings has a head; a heading in another row is that of its row.
fn table(value: &Value, names: Names<'_>, out: &mut String) {
    let is_head = |row: &&Value| children(row).all(|cell| cell["type"] == "tableHeader");
    let head = children(value).take_while(is_head).count();
    let rows = |from: usize, to: usize, scope: &str, out: &mut String| {
        for row in children(value).skip(from).take(to) {
            element("tr", out, |out| {
                for cell in children(row) {
                    let heading = format!("th scope=\"{scope}\"");
                    let tag = if cell["type"] == "tableHeader" { heading.as_str() } else { "td" };
                    element(tag, out, |out| children(cell).for_each(|child| node(child, names, out)));
                }
            });
        }
    };
    element("table", out, |out| {
        if head > 0 {
            element("thead", out, |out| rows(0, head, "col", out));
        }
        element("tbody", out, |out| rows(head, usize::MAX, "row", out));
    });
}

fn text_node(value: &Value, out: &mut String) {
    let marks = value["marks"].as_array();
    let mark = |kind: &str| marks.into_iter().flatten().find(|mark| mark["type"] == kind);
    let text = value["text"].as_str().unwrap_or_default();
    let tags = [("strong", "b"), ("em", "i"), ("code", "code"), ("strike", "s"), ("underline", "u")];
    let mut marked = String::new();
    escape(text, &mut marked);
    for (_, tag) in tags.iter().filter(|(kind, _)| mark(kind).is_some()) {
        marked = format!("<{tag}>{marked}</{tag}>");
    }
    match mark("link").and_then(|link| link["attrs"]["href"].as_str()).filter(|href| is_web(href)) {
        Some(href) => anchor(href, &marked, out),
        None => out.push_str(&marked),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(body: &Value) -> String {
        html(body, &|id| (id == "5b1").then(|| "Mia <Change>".to_owned()))
    }

    fn document(content: &Value) -> Value {
        json!({"type": "doc", "version": 1, "content": content})
    }

    #[test]
    fn text_is_escaped_and_only_http_links_are_kept() {
        let link = |text: &str, href: &str| json!({"type": "text", "text": text, "marks": [{"type": "link", "attrs": {"href": href}}]});
        let document = document(&json!([
            {"type": "heading", "attrs": {"level": 3}, "content": [{"type": "text", "text": "What"}]},
            {"type": "paragraph", "content": [
                {"type": "text", "text": "<b>", "marks": [{"type": "strong"}]},
                {"type": "hardBreak"},
                link("page", "http://x.example/?a=\"&b"),
                link("trap", "javascript:alert(1)"),
                {"type": "inlineCard", "attrs": {"url": "https://x.example/1"}},
                {"type": "inlineCard", "attrs": {"url": "mailto:<x>"}},
            ]},
        ]));
        assert_eq!(
            rendered(&document),
            "<div><h3>What</h3><p><b>&lt;b&gt;</b><br>\
             <a href=\"http://x.example/?a=&quot;&amp;b\">page</a>trap\
             <a href=\"https://x.example/1\">https://x.example/1</a>mailto:&lt;x&gt;</p></div>"
        );
        assert_eq!(rendered(&json!(null)), "");
    }

    #[test]
    fn mentions_show_the_name_of_the_account() {
        let document = document(&json!([{"type": "paragraph", "content": [
            {"type": "mention", "attrs": {"id": "5b1", "text": "@old name"}},
            {"type": "mention", "attrs": {"id": "5b9", "text": "@<gone>"}},
            {"type": "mention", "attrs": {"id": "5b9"}},
        ]}]));
        let mention = |name: &str| format!("<span class=\"mention\">@{name}</span>");
        let all = ["Mia &lt;Change&gt;", "&lt;gone&gt;", "unknown user"].map(mention).concat();
        assert_eq!(rendered(&document), format!("<div><p>{all}</p></div>"));
    }

    #[test]
    fn tables_have_headings_of_columns_and_rows() {
        let cell = |kind: &str, text: &str| json!({"type": kind, "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}]});
        let row = |cells: &[Value]| json!({"type": "tableRow", "content": cells});
        let document = document(&json!([{"type": "table", "content": [
            row(&[cell("tableHeader", "Container"), cell("tableHeader", "Runs now")]),
            row(&[cell("tableHeader", "app"), cell("tableCell", "app:1")]),
        ]}]));
        assert_eq!(
            rendered(&document),
            "<div><table><thead><tr><th scope=\"col\"><p>Container</p></th><th scope=\"col\"><p>Runs now</p></th></tr></thead>\
             <tbody><tr><th scope=\"row\"><p>app</p></th><td><p>app:1</p></td></tr></tbody></table></div>"
        );
    }
}
