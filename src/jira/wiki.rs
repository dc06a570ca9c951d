//! PURE: renders a [`Doc`] for Data Center: wiki markup, in which no text from outside is markup.
//!
//! A backslash escapes punctuation; a backslash itself and an ampersand are written as entities,
//! because two backslashes are a line break and `&#123;` is a brace.

use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::web::web_address;
use crate::{
    text,
    ticket::{Block, Doc, Span},
};

/// Characters that would be markup in a URL.
const MARKUP: &AsciiSet = &AsciiSet::EMPTY
    .add(b'[')
    .add(b']')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'~')
    .add(b'!')
    .add(b'*')
    .add(b'@');

/// Renders the document.
pub(super) fn render(doc: &Doc) -> String {
    doc.0.iter().flat_map(blocks).collect::<Vec<_>>().join("\n\n")
}

/// The paragraphs, lists and tables of a block.
fn blocks(block: &Block) -> Vec<String> {
    match block {
        Block::External(external) => external.iter().flat_map(blocks).collect(),
        Block::Heading(_) | Block::Paragraph(_) | Block::Bullets(_) | Block::Table { .. } => {
            markup_of(block).into_iter().collect()
        }
    }
}

/// The markup of a block that is one.
fn markup_of(block: &Block) -> Option<String> {
    match block {
        Block::External(_) => None,
        Block::Heading(text) => Some(escape(&text::single_line(text)))
            .filter(|text| !text.trim().is_empty())
            .map(|text| format!("h3. {text}")),
        Block::Paragraph(spans) => paragraph(spans),
        Block::Bullets(entries) => {
            let entries: Vec<String> =
                entries.iter().filter_map(|spans| Some(format!("* {}", paragraph(spans)?))).collect();
            (!entries.is_empty()).then(|| entries.join("\n"))
        }
        Block::Table { header, rows } => {
            let header = row("||", header.iter().map(|cell| vec![Span::Text(cell.clone())]));
            let rows = rows.iter().map(|cells| row("|", cells.iter().cloned()));
            (header != "||").then(|| std::iter::once(header).chain(rows).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// A cell without text needs a space, or its bars would be those of a header.
fn row(bar: &str, cells: impl Iterator<Item = Vec<Span>>) -> String {
    let mut line = bar.to_owned();
    for spans in cells {
        line.push_str(&format!(" {} {bar}", paragraph(&spans).unwrap_or_default().trim()));
    }
    line
}

/// Adjacent plain texts are escaped together: markup may begin in one and end in the next.
fn paragraph(spans: &[Span]) -> Option<String> {
    let (mut out, mut plain) = (String::new(), String::new());
    for span in spans {
        let marked = match span {
            Span::Text(_) => None,
            Span::Strong(text) => strong(&text::single_line(text)),
            Span::Link { text, url } => link(&text::single_line(text), url),
            Span::Mention { id, .. } => mention(id),
            // A new line in the markup could begin a list or a heading; two backslashes cannot.
            Span::Break => Some("\\\\ ".to_owned()),
        };
        match (marked, span) {
            (Some(marked), _) => {
                out.push_str(&escape(&std::mem::take(&mut plain)));
                out.push_str(&marked);
            }
            (None, Span::Text(text) | Span::Strong(text) | Span::Link { text, .. }) => {
                plain.push_str(&text::single_line(text));
            }
            (None, Span::Mention { name, .. }) => plain.push_str(&text::single_line(name)),
            (None, Span::Break) => {}
        }
    }
    out.push_str(&escape(&plain));
    (!out.trim().is_empty()).then_some(out)
}

/// Bold text, with the star in braces, because a bare star is bold only at the edge of a word. None if the text is
/// blank.
fn strong(text: &str) -> Option<String> {
    let inner = text.trim();
    let (before, after) = text.split_once(inner)?;
    (!inner.is_empty()).then(|| format!("{before}{{*}}{}{{*}}{after}", escape(inner)))
}

/// None if the URL may not become a link.
fn link(text: &str, url: &str) -> Option<String> {
    let url = web_address(url)?;
    let address = utf8_percent_encode(url.as_str(), MARKUP);
    let text = if text.trim().is_empty() { url.as_str() } else { text };
    Some(format!("[{}|{address}]", escape(text)))
}

/// None if the user name has a sign that may be markup.
fn mention(user: &str) -> Option<String> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    (!user.is_empty() && user.chars().all(is_plain)).then(|| format!("[~{user}]"))
}

/// Characters that are markup anywhere in a text.
fn always_escaped(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | '(' | ')' | '|' | '!' | '*' | '_' | '#' | '@' | '~' | '^' | '+' | '?')
}

/// Escapes one line of text, so that nothing in it is markup.
pub(super) fn escape(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let near = |at: Option<usize>| at.and_then(|at| chars.get(at)).copied();
    let wordy = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut out = String::with_capacity(text.len() + 16);
    for (at, &c) in chars.iter().enumerate() {
        let (before, after) = (near(at.checked_sub(1)), near(Some(at + 1)));
        match c {
            '\\' => out.push_str("&#92;"),
            '&' => out.push_str("&amp;"),
            '-' if wordy(before) && wordy(after) => out.push('-'),
            // h1. and bq. begin a block at the start of a line.
            '.' if !line_start_markup(&chars[..at]) => out.push('.'),
            // http:// and mailto: would become links, :D an emoticon; a time of day and a port stay as they are.
            ':' if after.is_none_or(|c| c.is_whitespace() || c.is_ascii_digit()) => out.push(':'),
            '-' | '.' | ':' => out.extend(['\\', c]),
            c if always_escaped(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Whether a period after this would begin a heading or a quotation.
fn line_start_markup(before: &[char]) -> bool {
    let word: Vec<char> = before.iter().copied().skip_while(|c| c.is_whitespace()).collect();
    matches!(word.as_slice(), ['h' | 'H', '0'..='9'] | ['b' | 'B', 'q' | 'Q'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Span {
        Span::Text(text.into())
    }

    #[test]
    fn words_from_outside_are_words() {
        insta::assert_snapshot!(escape("confirm-promotion of a_b {code} [~admin] !x.png! -gone- | h1. C:\\x"), @r"confirm-promotion of a\_b \{code\} \[\~admin\] \!x.png\! \-gone\- \| h1. C\:&#92;x");
        insta::assert_snapshot!(escape("h1. Big"), @r"h1\. Big");
        insta::assert_snapshot!(escape("bq. said &#123;x} http://evil mailto:a@b 12:30 :)"), @r"bq\. said &amp;\#123;x\} http\://evil mailto\:a\@b 12:30 \:\)");
        insta::assert_snapshot!(escape("- list ---- #1 *2* ??c?? +d+ ^e^ (i)"), @r"\- list \-\-\-\- \#1 \*2\* \?\?c\?\? \+d\+ \^e\^ \(i\)");
    }

    #[test]
    fn a_document_in_markup() {
        let doc = Doc(vec![
            Block::Heading("Approve\nthis".into()),
            Block::Paragraph(vec![
                text("h1"),
                Span::Strong(String::new()),
                Span::Link { text: ". no {link}".into(), url: "javascript:alert(1)".into() },
                Span::Break,
                Span::Strong(" it*is ".into()),
                Span::Link { text: "a|b]".into(), url: "https://x.example/a?b=[c|d]".into() },
            ]),
            Block::Bullets(vec![vec![text("one")], vec![], vec![text("* two")]]),
            Block::Paragraph(vec![
                Span::Mention { id: "mia.change".into(), name: "Mia Change".into() },
                text(" or "),
                Span::Mention { id: "x] {color}".into(), name: "Eve [x]".into() },
            ]),
            Block::Table {
                header: vec!["Name".into(), "Value".into()],
                rows: vec![
                    vec![vec![text("a|b")], vec![text("one"), Span::Break, text("* two")]],
                    vec![
                        vec![text("link")],
                        vec![Span::Link {
                            text: "https://x.example/a|b".into(),
                            url: "https://x.example/a|b".into(),
                        }],
                    ],
                    vec![vec![], vec![]],
                ],
            },
            Block::External(vec![Block::Paragraph(vec![text("")])]),
        ]);
        insta::assert_snapshot!(render(&doc), @r"
        h3. Approve this

        h1\. no \{link\}\\  {*}it\*is{*} [a\|b\]|https://x.example/a?b=%5Bc%7Cd%5D]

        * one
        * \* two

        [~mia.change] or Eve \[x\]

        || Name || Value ||
        | a\|b | one\\ \* two |
        | link | [https\://x.example/a\|b|https://x.example/a%7Cb] |
        |  |  |
        ");
    }

    #[test]
    fn what_is_too_long_is_cut_after_escaping() {
        let doc = Doc(vec![Block::Paragraph(vec![text(&"[".repeat(40_000))]), Block::Heading("end".into())]);
        let cut = super::super::truncate::fit_to_limit(&doc, render, |text| text.chars().count());
        assert!((25_000..=32_000).contains(&cut.chars().count()), "{}", cut.chars().count());
        assert!(cut.ends_with("\n\n… \\(cut\\)") && !cut.contains("end"));
    }

    /// The markup without its escapes; no special character may be left in it.
    fn unescaped(markup: &str) -> String {
        let plain = markup.replace("&#92;", "").replace("&amp;", "");
        let (mut rest, mut chars) = (String::new(), plain.chars());
        while let Some(c) = chars.next() {
            if c == '\\' {
                assert!(chars.next().is_some_and(|c| c.is_ascii_punctuation()), "{markup}");
                rest.push('x');
            } else {
                rest.push(c);
            }
        }
        rest
    }

    proptest! {
        #[test]
        fn nothing_special_is_left(words in "([hb][1q]\\. )?([\\PC]|[-{}\\[\\]|!*_#@~^+?&\\\\:./h1 ]){0,40}") {
            let rest = unescaped(&escape(&words));
            prop_assert!(!rest.contains(always_escaped), "{rest}");
            prop_assert!(!rest.contains(['&', '\\']), "{rest}");
            prop_assert!(!rest.contains("://") && !rest.contains("--") && !rest.starts_with('-'), "{rest}");
            prop_assert!(!rest.trim_start().starts_with("h1.") && !rest.trim_start().starts_with("bq."), "{rest}");
        }

        /// No text in a cell ends its cell or its row.
        #[test]
        fn a_row_has_its_cells(cells in prop::collection::vec("([a-z ]|[|\\n\\\\{}*]){0,12}", 1..4)) {
            let row = cells.iter().map(|words| vec![text(words)]).collect();
            let markup = render(&Doc(vec![Block::Table { header: cells.clone(), rows: vec![row] }]));
            let lines: Vec<&str> = markup.lines().collect();
            prop_assert_eq!(lines.len(), 2, "{}", markup);
            prop_assert_eq!(unescaped(lines[1]).matches('|').count(), cells.len() + 1, "{}", markup);
        }
    }
}
