//! PURE: plain text as parts of a ticket.

use super::doc::{Block, Span};
use crate::text::{TRUNCATED, beginning, sanitize};

/// The longest text of a description's template, in characters, so that there is room for what the bridge adds.
const LONGEST_TEXT: usize = 8_000;
/// The most lines of it: in ADF a line takes more space than its text.
const MOST_LINES: usize = 150;

/// Text of at most `longest` characters. Each line after the first is indented by `margin`, so that it cannot look like
/// a separate entry.
pub(super) fn indent(text: &str, margin: &str, longest: usize) -> String {
    let text = sanitize(text).replace('\t', " ");
    let text = text.trim_end();
    let lines = |text: &str| text.replace('\n', &format!("\n{margin}"));
    beginning(text, longest).map_or_else(|| lines(text), |kept| lines(kept) + TRUNCATED)
}

/// Plain text as paragraphs and bullets: a blank line ends a paragraph, `- ` begins a bullet.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let fitting = beginning(text, LONGEST_TEXT).unwrap_or(text);
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
        blocks.push(Block::Paragraph(vec![Span::Text(TRUNCATED.into())]));
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
pub(super) fn duration_in_words(millis: u128) -> String {
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
        /// Only the first line of an indented text begins at the left edge.
        #[test]
        fn every_further_line_is_indented(text: String) {
            let lines = indent(&text, "    ", 100);
            prop_assert!(lines.split('\n').skip(1).all(|line| line.starts_with("    ")), "{lines:?}");
            prop_assert_eq!(sanitize(&lines), lines);
        }
    }

    #[test]
    fn durations_are_in_words() {
        for (millis, words) in [
            (86_400_000, "1 day"),
            (259_200_000, "3 days"),
            (129_600_000, "36 hours"),
            (5_400_000, "90 minutes"),
            (1_000, "1 second"),
            (1_500, "1500 milliseconds"),
        ] {
            assert_eq!(duration_in_words(millis), words);
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(indent("a\r\nb\u{2028}c\td\u{200f}\n\n", "  ", 99), "a\n  b\n  c d");
        assert_eq!(indent("abcd", "  ", 3), "abc… (cut)");
    }
}
