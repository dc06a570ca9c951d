//! PURE: words from outside, made harmless, and plain words as parts of a ticket.

use super::{Block, Span};

/// The longest text of a description's template, in characters, so that there is room for what the bridge adds.
const LONGEST_TEXT: usize = 8_000;
/// The most lines of it: in ADF a line costs more than its words.
const MOST_LINES: usize = 150;
/// The mark of a text that was longer.
pub(super) const CUT: &str = "… (cut)";

/// One line of at most `longest` characters: control characters and line ends become spaces, and what only steers the
/// order or the width of other characters goes.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    let spaced: String = text
        .chars()
        .filter(|c| !is_unseen(*c))
        .map(|c| if c.is_control() || is_line_end(c) { ' ' } else { c })
        .collect();
    let trimmed = spaced.trim();
    match trimmed.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &trimmed[..at]),
        None => trimmed.to_owned(),
    }
}

/// Several lines of at most `longest` characters, each that follows set in by `margin`, so that it cannot pass for a
/// line of its own.
pub(super) fn set_in(text: &str, margin: &str, longest: usize) -> String {
    let mut lines = String::new();
    let text = text.replace("\r\n", "\n");
    for (nth, c) in text.trim_end().chars().filter(|c| !is_unseen(*c)).enumerate() {
        if nth == longest {
            lines.push_str(CUT);
            break;
        }
        match c {
            c if is_line_end(c) => {
                lines.push('\n');
                lines.push_str(margin);
            }
            c if c.is_control() => lines.push(' '),
            c => lines.push(c),
        }
    }
    lines
}

/// Whatever some reader takes for the end of a line.
const fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Characters that are not seen, but make others be read otherwise: marks of direction, spaces of no width, tags.
/// Joiners stay, for some scripts and emoji are made with them.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Plain text as paragraphs and bullets: a blank line ends a paragraph, `- ` begins a bullet.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let fitting = text.char_indices().nth(LONGEST_TEXT).map_or(text, |(at, _)| &text[..at]);
    let mut blocks: Vec<Block> = Vec::new();
    let mut new_paragraph = true;
    for line in fitting.lines().take(MOST_LINES).map(str::trim) {
        if line.is_empty() {
            new_paragraph = true;
            continue;
        }
        match (line.strip_prefix("- "), blocks.last_mut()) {
            (Some(entry), Some(Block::Bullets(entries))) if !new_paragraph => {
                entries.push(vec![Span::Text(entry.into())]);
            }
            (Some(entry), _) => blocks.push(Block::Bullets(vec![vec![Span::Text(entry.into())]])),
            (None, Some(Block::Paragraph(spans))) if !new_paragraph => {
                spans.extend([Span::Break, Span::Text(line.into())]);
            }
            (None, _) => blocks.push(Block::Paragraph(vec![Span::Text(line.into())])),
        }
        new_paragraph = false;
    }
    if fitting.len() < text.len() || text.lines().nth(MOST_LINES).is_some() {
        blocks.push(Block::Paragraph(vec![Span::Text(CUT.into())]));
    }
    blocks
}

/// One of several names: `A`, `A or B`, `A, B or C`.
pub(super) fn any_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

/// Milliseconds in their largest whole unit, in words: `1 hour`, `90 minutes`, `3 days`.
pub(super) fn span(millis: u128) -> String {
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    let whole = units.iter().find(|(size, _)| millis > 0 && millis.is_multiple_of(*size));
    let (count, unit) = whole.map_or((millis, "millisecond"), |(size, unit)| (millis / size, unit));
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_line_is_one_line(text: String, longest in 0..40_usize) {
            let line = one_line(&text, longest);
            prop_assert!(line.chars().count() <= longest + 1);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_line_end(c) || is_unseen(c)), "{line:?}");
            // Of a text within a margin only the first line begins at the edge.
            let lines = set_in(&text, "    ", 100);
            prop_assert!(lines.split('\n').skip(1).all(|line| line.starts_with("    ")), "{lines:?}");
            prop_assert!(!lines.chars().any(|c| c != '\n' && (c.is_control() || is_line_end(c) || is_unseen(c))));
        }
    }

    #[test]
    fn durations_are_read_aloud() {
        for (millis, words) in [
            (86_400_000, "1 day"),
            (259_200_000, "3 days"),
            (129_600_000, "36 hours"),
            (5_400_000, "90 minutes"),
            (1_000, "1 second"),
            (1_500, "1500 milliseconds"),
        ] {
            assert_eq!(span(millis), words);
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(one_line(" a\u{202e}b\u{2028}c\r\nd\u{7}\u{200b} ", 99), "ab c  d");
        assert_eq!(one_line("äöü", 2), "äö…");
        assert_eq!(set_in("a\r\nb\u{2028}c\td\u{200f}\n\n", "  ", 99), "a\n  b\n  c d");
        assert_eq!(set_in("abcd", "  ", 3), "abc… (cut)");
    }
}
