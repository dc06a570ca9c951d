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
    doc.0.iter().filter_map(block).collect::<Vec<_>>().join("\n\n")
}

fn block(block: &Block) -> Option<String> {
    match block {
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
            let lines = std::iter::once(row("||", header)).chain(rows.iter().map(|cells| row("|", cells)));
            (!header.is_empty()).then(|| lines.collect::<Vec<_>>().join("\n"))
        }
        Block::Verbatim(text) => {
            let text = escape_noformat(&text::sanitize(text));
            (!text.is_empty()).then(|| format!("{{noformat}}\n{text}\n{{noformat}}"))
        }
    }
}

/// A cell without text needs a space, or its bars would be those of a header.
fn row(bar: &str, cells: &[String]) -> String {
    let mut line = bar.to_owned();
    for cell in cells {
        line.push_str(&format!(" {} {bar}", escape(text::single_line(cell).trim())));
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

/// Text for a `{noformat}` block: a zero-width space breaks every `{noformat}` in it.
fn escape_noformat(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        out.push(c);
        if c == '{' && lower[at + 1..].trim_start().starts_with("noformat") {
            out.push('\u{200b}');
        }
    }
    out
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
            Block::Verbatim("a {NoFormat} {code}\n* b".into()),
            Block::Paragraph(vec![text("")]),
        ]);
        insta::assert_snapshot!(render(&doc).replace('\u{200b}', "<zero>"), @r"
        h3. Approve this

        h1\. no \{link\}\\  {*}it\*is{*} [a\|b\]|https://x.example/a?b=%5Bc%7Cd%5D]

        * one
        * \* two

        {noformat}
        a {<zero>NoFormat} {code}
        * b
        {noformat}
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

        #[test]
        fn verbatim_text_ends_where_it_should(words in "([a-z{}:\\n]|\\{ ?NoFormat:?[a-z]*\\}){0,20}") {
            let markup = render(&Doc(vec![Block::Verbatim(words.clone())]));
            prop_assert_eq!(markup.to_lowercase().matches("{noformat").count(), if words.is_empty() { 0 } else { 2 });
        }
    }
}
