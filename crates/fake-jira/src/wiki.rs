//! Renders the part of Jira's wiki markup that tickets use: headings, lists, tables, `{noformat}`, bold text, links and
//! mentions. What it does not know is shown as text.

use super::markup::{Names, element, escape, link, mention};

/// HTML of wiki markup.
pub(super) fn html(markup: &str, names: Names<'_>) -> String {
    let mut out = String::new();
    element("div", &mut out, |out| blocks(markup, names, out));
    out
}

fn blocks(markup: &str, names: Names<'_>, out: &mut String) {
    let lines: Vec<&str> = markup.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let same = |is: fn(&str) -> bool| lines.iter().skip(at).take_while(|line| is(line)).count();
        let kind = Kind::of(line);
        let taken = match kind {
            Kind::Preformatted => 1 + lines.iter().skip(at + 1).take_while(|it| **it != FENCE).count() + 1,
            Kind::Row => same(|line| Kind::of(line) == Kind::Row),
            Kind::Item => same(|line| Kind::of(line) == Kind::Item),
            Kind::Text => same(|line| Kind::of(line) == Kind::Text),
            Kind::Heading | Kind::Empty => 1,
        };
        let block: Vec<&str> = lines.iter().skip(at).take(taken).copied().collect();
        match kind {
            Kind::Empty => {}
            Kind::Heading => element("h3", out, |out| inline(line[3..].trim(), names, out)),
            Kind::Preformatted => {
                let inner: Vec<&str> = block.iter().filter(|line| **line != FENCE).copied().collect();
                element("pre", out, |out| escape(&inner.join("\n"), out));
            }
            Kind::Row => table(&block, names, out),
            Kind::Item => element("ul", out, |out| {
                block.iter().for_each(|line| element("li", out, |out| inline(&line[2..], names, out)));
            }),
            Kind::Text => element("p", out, |out| inline(&block.join("\n"), names, out)),
        }
        at += taken;
    }
}

const FENCE: &str = "{noformat}";

/// What a line begins or continues.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    Heading,
    Preformatted,
    Row,
    Item,
    Text,
}

impl Kind {
    fn of(line: &str) -> Self {
        let is_heading = matches!(line.as_bytes(), [b'h', b'1'..=b'6', b'.', ..]);
        match line {
            FENCE => Self::Preformatted,
            line if line.trim().is_empty() => Self::Empty,
            _ if is_heading => Self::Heading,
            line if line.starts_with('|') => Self::Row,
            line if line.starts_with("* ") || line.starts_with("- ") => Self::Item,
            _ => Self::Text,
        }
    }
}

/// Rows that begin with `||` are the head of the table.
fn table(lines: &[&str], names: Names<'_>, out: &mut String) {
    let head = lines.iter().take_while(|line| line.starts_with("||")).count();
    let (head, body) = lines.split_at(head);
    let rows = |lines: &[&str], cell: &str, out: &mut String| {
        for line in lines {
            element("tr", out, |out| {
                for text in cells(line) {
                    element(cell, out, |out| inline(text.trim(), names, out));
                }
            });
        }
    };
    element("table", out, |out| {
        if !head.is_empty() {
            element("thead", out, |out| rows(head, "th scope=\"col\"", out));
        }
        element("tbody", out, |out| rows(body, "td", out));
    });
}

/// The cells of a row. A bar in a link or after a backslash ends none.
fn cells(line: &str) -> Vec<&str> {
    let bar = if line.starts_with("||") { "||" } else { "|" };
    let row = line.strip_prefix(bar).unwrap_or(line).trim_end();
    let (mut found, mut from, mut in_link, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in row.char_indices() {
        let begins = std::mem::take(&mut escaped);
        match c {
            _ if begins || at < from => {}
            '\\' => escaped = true,
            '[' => in_link = true,
            ']' => in_link = false,
            '|' if !in_link && row[at..].starts_with(bar) => {
                found.push(&row[from..at]);
                from = at + bar.len();
            }
            _ => {}
        }
    }
    found.extend(Some(&row[from..]).filter(|rest| !rest.is_empty()));
    found
}

/// Text with escapes, entities, line breaks, `{*}bold{*}`, links and mentions.
fn inline(text: &str, names: Names<'_>, out: &mut String) {
    let (mut rest, mut bold) = (text, false);
    while let Some(c) = rest.chars().next() {
        let taken = if let Some((length, target)) = bracketed(rest) {
            match target {
                Target::Person(name) => mention(name, name, names, out),
                Target::Page { text, url } => link(url, &unescaped(text), out),
            }
            length
        } else if rest.starts_with("{*}") {
            out.push_str(if bold { "</b>" } else { "<b>" });
            bold = !bold;
            3
        } else if rest.starts_with("\\\\") {
            out.push_str("<br>");
            2
        } else if c == '\n' {
            out.push_str("<br>");
            1
        } else {
            let (length, plain) = character(rest);
            escape(plain.encode_utf8(&mut [0; 4]), out);
            length
        };
        rest = &rest[taken..];
    }
    if bold {
        out.push_str("</b>");
    }
}

enum Target<'a> {
    Person(&'a str),
    Page { text: &'a str, url: &'a str },
}

/// `[~name]` or `[text|url]` at the start of the text, with its length.
fn bracketed(text: &str) -> Option<(usize, Target<'_>)> {
    let inner = text.strip_prefix('[')?;
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == ']' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let length = end + 2;
    let inner = &inner[..end];
    if let Some(name) = inner.strip_prefix('~') {
        return Some((length, Target::Person(name)));
    }
    // The address has no bar, for those in it are percent-encoded.
    let (text, url) = inner.rsplit_once('|').unwrap_or((inner, inner));
    let is_link = ["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
    is_link.then_some((length, Target::Page { text, url }))
}

/// The character that the text begins with, and how many bytes of markup it is.
fn character(text: &str) -> (usize, char) {
    for (entity, plain) in [("&#92;", '\\'), ("&amp;", '&')] {
        if text.starts_with(entity) {
            return (entity.len(), plain);
        }
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), Some(next)) if next.is_ascii_punctuation() => (2, next),
        (Some(first), _) => (first.len_utf8(), first),
        (None, _) => (0, ' '),
    }
}

fn unescaped(text: &str) -> String {
    let (mut rest, mut out) = (text, String::new());
    while !rest.is_empty() {
        let (length, plain) = character(rest);
        out.push(plain);
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(markup: &str) -> String {
        html(markup, &|name| (name == "mia").then(|| "Mia Change".to_owned()))
    }

    #[test]
    fn blocks_and_inline_markup() {
        let markup = "h3. What\n\n{*}Canary:{*} pod\\-info&amp;\\\\ next\nline\n\n* one\n* [page|https://x.example/?a=1]\n\n\
                      || Container || Runs now ||\n| app | \\|x [a|http://y.example] |\n\n{noformat}\na: <b>\n\n* no list\n{noformat}\n\nfor [~mia]";
        assert_eq!(
            rendered(markup),
            "<div><h3>What</h3><p><b>Canary:</b> pod-info&amp;<br> next<br>line</p>\
             <ul><li>one</li><li><a href=\"https://x.example/?a=1\">page</a></li></ul>\
             <table><thead><tr><th scope=\"col\">Container</th><th scope=\"col\">Runs now</th></tr></thead>\
             <tbody><tr><td>app</td><td>|x <a href=\"http://y.example\">a</a></td></tr></tbody></table>\
             <pre>a: &lt;b&gt;\n\n* no list</pre><p>for <span class=\"mention\">@Mia Change</span></p></div>"
        );
    }

    #[test]
    fn everything_else_is_text() {
        for (markup, text) in [
            ("*<i>*", "*&lt;i&gt;*"),
            ("[trap|javascript:alert(1)]", "[trap|javascript:alert(1)]"),
            ("\\[~mia\\] \\{\\*\\} &#92;", "[~mia] {*} \\"),
            ("{*}open", "<b>open</b>"),
            ("[", "["),
            ("\\", "\\"),
            ("é\\é", "é\\é"),
        ] {
            assert_eq!(rendered(markup), format!("<div><p>{text}</p></div>"), "{markup}");
        }
        assert_eq!(rendered("{noformat}\nnever closed"), "<div><pre>never closed</pre></div>");
        assert_eq!(rendered("|"), "<div><table><tbody><tr></tr></tbody></table></div>");
    }
}
