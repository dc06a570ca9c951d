//! PURE: addresses in a text become links.

use super::doc::Span;

/// A longer address stays text, in characters.
const LONGEST: usize = 1_000;

/// A text on one line, with its http and https addresses as links. Each shows where it leads.
pub(super) fn linked(text: &str) -> Vec<Span> {
    let (mut spans, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = next_address(rest) {
        let (before, from) = rest.split_at(at);
        let word = from.split(char::is_whitespace).next().unwrap_or_default();
        let address = without_punctuation(word);
        plain.push_str(before);
        let is_whole_word = !before.chars().next_back().is_some_and(char::is_alphanumeric);
        if is_whole_word && is_web_address(address) {
            if !plain.is_empty() {
                spans.push(Span::Text(std::mem::take(&mut plain)));
            }
            spans.push(Span::Link { text: address.to_owned(), url: address.to_owned() });
            rest = &from[address.len()..];
        } else {
            // At least the scheme.
            let skipped = address.len().max(4);
            plain.push_str(&from[..skipped]);
            rest = &from[skipped..];
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || spans.is_empty() {
        spans.push(Span::Text(plain));
    }
    spans
}

/// An address without the punctuation after it. A closing bracket belongs to it if an opening one does.
fn without_punctuation(word: &str) -> &str {
    let mut address = word;
    while let Some(last) = address.chars().next_back() {
        let is_outside = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '"' | '>' | '*' => true,
            ')' => !address.contains('('),
            ']' => !address.contains('['),
            _ => false,
        };
        if !is_outside {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    address
}

fn next_address(text: &str) -> Option<usize> {
    ["http://", "https://"].iter().filter_map(|scheme| text.find(scheme)).min()
}

/// Whether this is an http or https address that a link may lead to: it has nothing in it that could make it look like another
/// one, such as a user name before the host (`https://jira.example.com@evil.example`) or letters that resemble others.
pub(super) fn is_web_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_host = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && host.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{}|".contains(&byte);
    is_host && is_port && text.bytes().all(is_plain) && text.len() <= LONGEST
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let shown = |span: &Span| match span {
            Span::Text(text) => text.clone(),
            Span::Link { text, url } if text == url => format!("<{url}>"),
            Span::Link { .. } | Span::Strong(_) | Span::Mention { .. } | Span::Break => panic!("{span:?}"),
        };
        linked(text).iter().map(shown).collect()
    }

    #[test]
    fn addresses_become_links_that_show_where_they_lead() {
        for (text, expected) in [
            ("", ""),
            ("https://git.example.com/a/b/pull/7", "<https://git.example.com/a/b/pull/7>"),
            (
                "see http://x.example:8080/?a=b#c, then (https://y.example).",
                "see <http://x.example:8080/?a=b#c>, then (<https://y.example>).",
            ),
            ("https://a.example https://b.example", "<https://a.example> <https://b.example>"),
            ("a=https://a.example", "a=<https://a.example>"),
            (
                "https://a.example/?b=[c] [https://a.example/x]",
                "<https://a.example/?b=[c]> [<https://a.example/x>]",
            ),
            // No link: a user name, another scheme, no host, part of a word, letters that resemble others.
            ("https://jira.example.com@evil.example/", "https://jira.example.com@evil.example/"),
            ("https://user:password@evil.example/", "https://user:password@evil.example/"),
            ("https://x.example\\@evil.example", "https://x.example\\@evil.example"),
            (
                "javascript:alert(1) ftp://x.example mailto:a@b.example",
                "javascript:alert(1) ftp://x.example mailto:a@b.example",
            ),
            ("https:// http://- xhttps://x.example", "https:// http://- xhttps://x.example"),
            ("https://ехample.com https://x.example/é", "https://ехample.com https://x.example/é"),
            ("https://x.example/<script>", "https://x.example/<script>"),
            ("http://http://x.example", "http://http://x.example"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_lost(text in "(https?://|[a-z@:./ ]|\\PC){0,40}") {
            let whole: String = linked(&text).iter().map(|span| match span {
                Span::Text(text) | Span::Link { text, .. } => text.as_str(),
                Span::Strong(_) | Span::Mention { .. } | Span::Break => "",
            }).collect();
            prop_assert_eq!(whole, text);
        }
    }
}
