//! PURE: words from outside, made harmless: no control characters, no line that is none, no more than asked for.

/// The mark of a text that was longer.
pub(super) const CUT: &str = "… (cut)";

/// Whether a character steers the terminal or the order of reading instead of being read.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text without control characters; newlines and tabs stay.
pub(super) fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !steers(*c)).collect()
}

/// The text on one line: what separates lines becomes a space, other control characters go.
pub(super) fn line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// At most `most` characters of the text, the mark included.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(CUT.chars().count())).collect();
    format!("{}{CUT}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_and_reading_order_marks_go() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\td\u{202e}e\0\u{2028}f"), "a[31mb\nc\tde\nf");
        assert_eq!(line("a\r\nb\tc\rd"), "a b c d");
    }

    #[test]
    fn cutting_counts_characters_and_says_so() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("ääääääääääää", 10), "äää… (cut)");
    }

    proptest! {
        #[test]
        fn a_line_is_one_line(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(char::is_control));
            prop_assert!(cut(&text, 20).chars().count() <= 20);
        }
    }
}
