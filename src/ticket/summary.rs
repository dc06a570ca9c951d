//! PURE: a summary that fits.

use crate::text::single_line;

/// The longest summary, in the characters of Java (UTF-16), of which Jira allows 255.
const LONGEST: usize = 250;
/// How many of them its end keeps if it is too long: the end tells two tickets apart.
const KEPT_END: usize = 90;

/// A rendered summary on one line. A long one loses its middle.
pub(super) fn fitting(rendered: &str) -> String {
    let line = single_line(rendered);
    let line = line.trim();
    if line.encode_utf16().count() <= LONGEST {
        return line.to_owned();
    }
    let beginning = taken(line.chars(), LONGEST - KEPT_END - 1);
    let end: Vec<char> = taken(line.chars().rev(), KEPT_END).chars().rev().collect();
    format!("{beginning}…{}", end.into_iter().collect::<String>())
}

/// As many of these as fit into this length.
fn taken(chars: impl Iterator<Item = char>, longest: usize) -> String {
    let mut length = 0;
    let fits = |c: &char| {
        length += c.len_utf16();
        length <= longest
    };
    chars.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_one_keeps_its_end() {
        assert_eq!(fitting(" two\nlines "), "two lines");
        let long = format!("Promote {} (prod-eu/shop) (security) #17", "x".repeat(300));
        let short = fitting(&long);
        assert!(
            short.starts_with("Promote xxx") && short.ends_with("x (prod-eu/shop) (security) #17"),
            "{short}"
        );
        assert_eq!(short.encode_utf16().count(), 250);
    }

    proptest! {
        #[test]
        fn each_fits(text in "([\\PC\n\u{202e}]|🚀){0,300}") {
            let short = fitting(&text);
            prop_assert!(short.encode_utf16().count() <= LONGEST, "{short}");
            prop_assert!(!short.chars().any(char::is_control), "{short:?}");
        }
    }
}
