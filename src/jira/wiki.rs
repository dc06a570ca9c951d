//! PURE: a [`Doc`] as Data Center wants it: wiki markup, in which no word from outside is markup.
//!
//! A backslash before punctuation makes it plain; a backslash itself and an ampersand are written as entities,
//! because two backslashes are a line break and `&#123;` is a brace.

use std::fmt::Write as _;

use super::words;
use crate::ticket::{Block, Doc, Span};

/// The markup.
pub(super) fn render(doc: &Doc) -> String {
    doc.0.iter().filter_map(block).collect::<Vec<_>>().join("\n\n")
}

fn block(block: &Block) -> Option<String> {
    match block {
        Block::Heading(text) => Some(escape(&words::line(text)))
            .filter(|text| !text.trim().is_empty())
            .map(|text| format!("h3. {text}")),
        Block::Paragraph(spans) => paragraph(spans),
        Block::Bullets(entries) => {
            let entries: Vec<String> =
                entries.iter().filter_map(|spans| Some(format!("* {}", paragraph(spans)?))).collect();
            (!entries.is_empty()).then(|| entries.join("\n"))
        }
        Block::Verbatim(text) => {
            let text = sealed(&words::clean(text));
            (!text.is_empty()).then(|| format!("{{noformat}}\n{text}\n{{noformat}}"))
        }
    }
}

/// Neighbouring words are escaped together: markup may begin in one and end in the next.
fn paragraph(spans: &[Span]) -> Option<String> {
    let (mut out, mut plain) = (String::new(), String::new());
    for span in spans {
        match span {
            Span::Text(text) => {
                plain.push_str(&words::line(text));
                continue;
            }
            Span::Strong(_) | Span::Link { .. } | Span::Break => {
                out.push_str(&escape(&std::mem::take(&mut plain)));
            }
        }
        match span {
            Span::Text(_) => {}
            Span::Strong(text) => strong(&words::line(text), &mut out),
            Span::Link { text, url } => link(&words::line(text), url, &mut out),
            // A new line of markup would be a place for lists and headings; two backslashes are not.
            Span::Break => out.push_str("\\\\ "),
        }
    }
    out.push_str(&escape(&plain));
    (!out.trim().is_empty()).then_some(out)
}

/// In braces, because a bare star is only bold at the edge of a word.
fn strong(text: &str, out: &mut String) {
    let inner = text.trim();
    if inner.is_empty() {
        out.push_str(text);
    } else {
        let _ = write!(out, "{{*}}{}{{*}}", escape(inner));
    }
}

fn link(text: &str, url: &str, out: &mut String) {
    let Some(url) = super::web_address(url) else {
        out.push_str(&escape(text));
        return;
    };
    let mut address = String::new();
    for c in url.as_str().chars() {
        if matches!(c, '[' | ']' | '{' | '}' | '|' | '\\' | '^' | '~' | '!' | '*' | '@') {
            let _ = write!(address, "%{:02X}", u32::from(c));
        } else {
            address.push(c);
        }
    }
    let text = if text.trim().is_empty() { &address } else { text };
    let _ = write!(out, "[{}|{address}]", escape(text));
}

/// Text between `{noformat}` marks, without any such mark of its own: a space of no width breaks it.
fn sealed(text: &str) -> String {
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

/// What is markup wherever it stands.
fn always(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | '(' | ')' | '|' | '!' | '*' | '_' | '#' | '@' | '~' | '^' | '+' | '?')
}

/// One line of words in which nothing is markup.
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
            '.' if !heads(&chars[..at]) => out.push('.'),
            // http:// and mailto: become links, :D a face; a time of day and a port stay as they are.
            ':' if after.is_none_or(|c| c.is_whitespace() || c.is_ascii_digit()) => out.push(':'),
            '-' | '.' | ':' => out.extend(['\\', c]),
            c if always(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Whether a full stop after this would begin a heading or a quotation.
fn heads(before: &[char]) -> bool {
    let word: Vec<char> = before.iter().copied().skip_while(|c| c.is_whitespace()).collect();
    matches!(word.as_slice(), ['h' | 'H', '0'..='9'] | ['b' | 'B', 'q' | 'Q'])
}
