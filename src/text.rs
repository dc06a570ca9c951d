//! PURE: external text, made harmless: without characters that control a terminal, break a line, or change how others
//! read.
//!
//! All external text passes [`single_line`] or [`sanitize`] before it is stored, sent to Jira, logged or shown.

use std::fmt;

/// Ends a text that was cut.
pub const TRUNCATED: &str = "… (cut)";

/// How many characters [`Quoted`] shows.
const QUOTED_CHARS: usize = 60;

/// The text with its lines and tabs. Every kind of line end becomes `\n`, other control characters become spaces, and
/// invisible characters are removed.
#[must_use]
pub fn sanitize(text: &str) -> String {
    if text.bytes().all(|byte| is_printable(byte) || matches!(byte, b'\n' | b'\t')) {
        return text.to_owned();
    }
    replace_unprintable(text, '\n', '\t')
}

/// The text on a single line. Line ends and other control characters become spaces, and invisible characters are
/// removed.
#[must_use]
pub fn single_line(text: &str) -> String {
    if text.bytes().all(is_printable) {
        return text.to_owned();
    }
    replace_unprintable(text, ' ', ' ')
}

/// The text on a single trimmed line of at most `max_chars` characters, followed by `…` if it was longer.
#[must_use]
pub fn one_line(text: &str, max_chars: usize) -> String {
    let line = single_line(text);
    let line = line.trim();
    beginning(line, max_chars).map_or_else(|| line.to_owned(), |kept| format!("{kept}…"))
}

/// The first `max_chars` characters, if the text is longer. A joiner at their end has nothing left to join and is
/// dropped.
#[must_use]
pub fn beginning(text: &str, max_chars: usize) -> Option<&str> {
    let (end, _) = text.char_indices().nth(max_chars)?;
    Some(text[..end].trim_end_matches(['\u{200c}', '\u{200d}']))
}

/// At most `max_chars` characters of the text, including [`TRUNCATED`] if it was longer.
#[must_use]
pub fn truncate(text: &str, max_chars: usize) -> String {
    if beginning(text, max_chars).is_none() {
        return text.to_owned();
    }
    let kept = beginning(text, max_chars.saturating_sub(TRUNCATED.chars().count())).unwrap_or_default();
    format!("{}{TRUNCATED}", kept.trim_end())
}

/// The same JSON, with every character escaped that a terminal would act on or not display.
#[must_use]
pub fn escape_json(json: &str) -> String {
    // ASCII below DEL needs no check: JSON escapes its control characters, or has them as whitespace between values.
    let needs_escape = |c: char| c > '~' && class(c) != CharClass::Visible;
    if !json.contains(needs_escape) {
        return json.to_owned();
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if needs_escape(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// External text, quoted, escaped and cut after 60 characters, so that an error stays one short line.
#[derive(Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match beginning(self.0, QUOTED_CHARS) {
            None => write!(f, "{:?}", self.0),
            Some(kept) => write!(f, "{kept:?}…"),
        }
    }
}

/// How a reader or a terminal treats a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CharClass {
    Visible,
    /// The end of a line to at least some readers.
    LineEnd,
    Control,
    /// Not displayed, but it changes how others are read: direction marks, soft hyphens, zero-width spaces, tags.
    Invisible,
}

/// Joiners count as visible: some scripts and emoji need them.
fn class(c: char) -> CharClass {
    match c {
        // The most frequent case first.
        ' '..='~' => CharClass::Visible,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => CharClass::LineEnd,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => CharClass::Invisible,
        c if c.is_control() => CharClass::Control,
        _ => CharClass::Visible,
    }
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn replace_unprintable(text: &str, line_end: char, tab: char) -> String {
    let (mut out, mut before) = (String::with_capacity(text.len()), ' ');
    for c in text.chars() {
        match class(c) {
            CharClass::Visible => out.push(c),
            // The second half of `\r\n`: the first half ended the line.
            CharClass::LineEnd if (before, c) == ('\r', '\n') => {}
            CharClass::LineEnd => out.push(line_end),
            CharClass::Control => out.push(if c == '\t' { tab } else { ' ' }),
            CharClass::Invisible => {}
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A name, a text, and what is left of the text in `single_line` and in `sanitize`. The test puts each text between
    /// two letters.
    const AWKWARD: &[(&str, &str, &str, &str)] = &[
        ("NUL", "\0", " ", " "),
        ("BEL", "\u{7}", " ", " "),
        ("backspace", "\u{8}", " ", " "),
        ("tab", "\t", " ", "\t"),
        ("line feed", "\n", " ", "\n"),
        ("vertical tab", "\u{b}", " ", "\n"),
        ("form feed", "\u{c}", " ", "\n"),
        ("carriage return", "\r", " ", "\n"),
        ("both", "\r\n", " ", "\n"),
        ("the wrong way round", "\n\r", "  ", "\n\n"),
        ("escape", "\u{1b}[2J", " [2J", " [2J"),
        ("DEL", "\u{7f}", " ", " "),
        ("C1: first", "\u{80}", " ", " "),
        ("C1: next line", "\u{85}", " ", "\n"),
        ("C1: CSI", "\u{9b}2J", " 2J", " 2J"),
        ("C1: last", "\u{9f}", " ", " "),
        ("no-break space", "\u{a0}", "\u{a0}", "\u{a0}"),
        ("soft hyphen", "\u{ad}", "", ""),
        ("combining acute", "e\u{301}", "e\u{301}", "e\u{301}"),
        ("Arabic letter mark", "\u{61c}", "", ""),
        ("Mongolian vowel separator", "\u{180e}", "", ""),
        ("zero width space", "\u{200b}", "", ""),
        ("zero width non-joiner, as in Persian", "می\u{200c}خواهم", "می\u{200c}خواهم", "می\u{200c}خواهم"),
        ("zero width joiner, as in Sinhala", "ක්\u{200d}ෂ", "ක්\u{200d}ෂ", "ක්\u{200d}ෂ"),
        ("left-to-right mark", "\u{200e}", "", ""),
        ("right-to-left mark", "\u{200f}", "", ""),
        ("line separator", "\u{2028}", " ", "\n"),
        ("paragraph separator", "\u{2029}", " ", "\n"),
        ("embeddings and overrides", "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}", "", ""),
        ("word joiner", "\u{2060}", "", ""),
        ("invisible operators", "\u{2061}\u{2062}\u{2063}\u{2064}", "", ""),
        ("isolates", "\u{2066}\u{2067}\u{2068}\u{2069}", "", ""),
        ("deprecated format characters", "\u{206a}\u{206f}", "", ""),
        ("byte order mark", "\u{feff}", "", ""),
        ("replacement character", "\u{fffd}", "\u{fffd}", "\u{fffd}"),
        ("a woman at a computer", "👩\u{200d}💻", "👩\u{200d}💻", "👩\u{200d}💻"),
        ("a heart in colour", "❤\u{fe0f}", "❤\u{fe0f}", "❤\u{fe0f}"),
        ("tags", "\u{e0001}\u{e0041}\u{e007f}", "", ""),
    ];

    #[test]
    fn awkward_characters() {
        for (name, text, on_one, among_several) in AWKWARD {
            let within = |text: &str| format!("a{text}b");
            assert_eq!(single_line(&within(text)), within(on_one), "{name}");
            assert_eq!(sanitize(&within(text)), within(among_several), "{name}");
            assert_eq!(one_line(&format!(" {}\n", within(text)), 99), within(on_one), "{name}");
            // Escaping keeps the value, and leaves no such character.
            let json = serde_json::to_string(&within(text)).unwrap();
            let escaped = escape_json(&json);
            assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), within(text), "{name}");
            assert!(!escaped.contains(|c| class(c) != CharClass::Visible), "{name}: {escaped}");
            let shown = Quoted(text).to_string();
            assert!(!shown.contains(|c| class(c) != CharClass::Visible), "{name}: {shown}");
        }
        assert_eq!(
            escape_json("[\"a\u{9b}2J\u{7f}\u{e0041}\",\n 1]"),
            "[\"a\\u009b2J\\u007f\\udb40\\udc41\",\n 1]"
        );
    }

    /// `serde_json` rejects half a surrogate pair.
    #[test]
    fn no_half_of_a_surrogate_pair_comes_out_of_json() {
        for json in [r#""\ud83d""#, r#""\udc69""#, r#""\ud83dx""#, r#""\udc69\ud83d""#] {
            assert!(serde_json::from_str::<String>(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<String>(r#""\ud83d\udc69""#).unwrap(), "👩");
    }

    #[test]
    fn what_is_cut_stays_text() {
        assert_eq!(beginning("äöü", 3), None);
        assert_eq!(beginning("äöü", 2), Some("äö"));
        assert_eq!(beginning("", 0), None);
        // An accent is lost with the cut, and an emoji becomes the one it began with.
        assert_eq!(beginning("e\u{301}x", 1), Some("e"));
        assert_eq!(beginning("👩\u{200d}💻", 2), Some("👩"));
        assert_eq!(one_line("äöü", 3), "äöü");
        assert_eq!(one_line("äöü", 2), "äö…");
        assert_eq!(one_line("  äöü", 2), "äö…");
        assert_eq!(truncate("äöü", 3), "äöü");
        assert_eq!(truncate("ääääääääääää", 10), "äää… (cut)");
        assert_eq!(truncate("ää äääääääää", 10), "ää… (cut)");
        assert_eq!(Quoted("\u{200b}a\n").to_string(), r#""\u{200b}a\n""#);
        assert_eq!(Quoted(&"é".repeat(61)).to_string(), format!("\"{}\"…", "é".repeat(60)));
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_left(text in any::<String>(), longest in 0..40_usize) {
            let is_odd = |c: char| class(c) != CharClass::Visible;
            prop_assert!(!single_line(&text).contains(is_odd));
            prop_assert!(!sanitize(&text).replace(['\n', '\t'], "").contains(is_odd));
            prop_assert_eq!(single_line(&single_line(&text)), single_line(&text));
            prop_assert_eq!(sanitize(&sanitize(&text)), sanitize(&text));
            prop_assert_eq!(single_line(&text), sanitize(&text).replace(['\n', '\t'], " "));
            prop_assert!(one_line(&text, longest).chars().count() <= longest + 1);
            prop_assert!(truncate(&text, longest + 20).chars().count() <= longest + 20);
        }
    }
}
