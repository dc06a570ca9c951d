//! PURE: plain text as parts of a ticket.

use super::{
    doc::{Block, Span},
    links::linked,
};
use crate::text::{TRUNCATED, beginning};

/// The longest text of a description's template, in characters, so that there is room for what the bridge adds.
const LONGEST_TEXT: usize = 8_000;
/// The most lines of it: in ADF a line takes more space than its text.
const MOST_LINES: usize = 150;

/// Plain text as paragraphs and bullets: a blank line ends a paragraph, `- ` begins a bullet.
/// Addresses become links.
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
                entries.push(linked(entry));
            }
            (Some(entry), _) => blocks.push(Block::Bullets(vec![linked(entry)])),
            (None, Some(Block::Paragraph(spans))) if !new_paragraph => {
                spans.push(Span::Break);
                spans.extend(linked(line));
            }
            (None, _) => blocks.push(Block::Paragraph(linked(line))),
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
    joined(names, "or")
}

/// All of several names: `A`, `A and B`, `A, B and C`.
pub(super) fn all_of(names: &[String]) -> String {
    joined(names, "and")
}

fn joined(names: &[String], word: &str) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} {word} {last}", names.join(", ")),
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
    use super::*;

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
}
