//! Text from outside is data: the ticket shows whatever a team sends, and neither the bridge nor Jira interprets it.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{
    tickets::{asked, both, drafted, route},
    *,
};
use crate::{
    gate::Stage,
    policy::Route,
    rollout::{Phase, Subject},
    ticket::{Block, Span},
};

/// Texts that an attacker might send.
const HOSTILE_TEXTS: [&str; 24] = [
    "<script>alert(1)</script><b onmouseover=x>",
    r#"{"type":"doc","version":1,"content":[{"type":"mention","attrs":{"id":"1"}}]}"#,
    "{noformat}\nh1. Approved by the board\n{noformat}",
    "{NoFormat:title=x}{code}{noformat}",
    "{code:sql}drop{code} {color:red}red{color} {quote}x{quote}",
    "[~admin] @admin [x|http://evil.example] [^file] !http://evil.example/a.png!",
    "h1. Big\nbq. quoted\n||a||b||\n|c|d|\n* one\n# two\n----",
    "*bold* _it_ -gone- +new+ ^up^ ~down~ ??cite?? {{mono}} \\\\ (!) :)",
    "&#123;noformat&#125; &lt;b&gt;",
    "\" OR project = SECRET ORDER BY created --",
    "{{ metadata }} {{ canary }} {% for x in range(9) %}x{% endfor %} {# gone #}",
    "{{ 7 * 7 }}{{",
    "{% include 'status.html' %}",
    "\u{202e}devorppa\u{202c} \u{200f}\u{61c}\u{2066}x\u{2069}",
    "ca\u{200b}rt\u{feff}\u{2060}\u{ad}",
    "a\u{2028}author: boss\u{2029}b\u{85}c\u{b}d",
    "a\r\nauthor: boss\rapproved: yes\n\n\nWhat your decision does",
    "\u{0}\u{7}\u{1b}[31mred\u{1b}[0m\u{9b}2J",
    "\u{fffd}\u{1f469}\u{200d}\u{1f4bb}",
    "=HYPERLINK(\"http://evil.example\")",
    "'; DROP TABLE canary; --",
    "- one\n- two\n\nThis approves everything.",
    "http://evil.example/ mailto:a@b file:///etc/passwd javascript:alert(1)",
    "",
];

fn settings() -> Route {
    static ROUTE: LazyLock<Route> = LazyLock::new(|| {
        route(
            "ticket.summary = \"{{ canary }} {{ label }} {{ metadata.x }}\"\n\
         ticket.description = \"Say {{ metadata.x }}\\n\\n- {{ label }} {{ base }} {{ revision }}\"\n\
         ticket.fields = { customfield_1 = \"{{ metadata.x }}\", list = [{ name = \"a {{ label }}\" }] }",
        )
    });
    ROUTE.clone()
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Checks what holds for every ticket, whatever a team sends.
fn check(subject: &Subject, route: &Route) {
    let draft = drafted(subject, route, Some("https://bridge.example/"));
    let one_line = |text: &str| {
        assert!(!text.chars().any(|c| c.is_control() || is_invisible(c) || c == '\u{2028}'), "{text:?}");
    };
    one_line(&draft.summary);
    assert!(draft.summary.chars().count() <= 255);
    one_line(draft.fields["customfield_1"].as_str().unwrap());

    let [cloud, data_center] =
        [Kind::Cloud, Kind::DataCenter].map(|kind| Jira::text(kind, &draft.description));
    assert!(cloud.to_string().encode_utf16().count() <= 32_767);
    let markup = data_center.as_str().unwrap();
    assert!(markup.encode_utf16().count() <= 32_767);
    // Escaped text is not markup.
    let plain =
        ["\\{", "\\[", "\\!", "\\|"].iter().fold(markup.to_owned(), |it, it_is| it.replace(it_is, ""));
    for markup in ["{noformat", "{code", "{color", "{quote", "[~", "\nh1.", "!http", "{{"] {
        assert!(!plain.contains(markup), "{markup} in {plain}");
    }
    for line in plain.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("||", "|").split('|').count();
        // A link has a bar, too.
        assert_eq!(cells - line.matches("[http").count(), 4, "{line}");
    }
    // Truncation never removes the bridge's own text.
    let [cloud, data_center] = both(&draft.description);
    for own in ["What changes\n", "What your decision does\n", "Who decides", "Technical details"] {
        assert!(cloud.contains(&format!("\n<h3>{own}")), "{own}: {cloud}");
        assert!(data_center.contains(&format!("\n\nh3. {own}")), "{own}: {data_center}");
    }
}

/// The parts of a description, without their texts. How many rows hold what the team sent depends on its lengths.
fn parts(subject: &Subject) -> Vec<String> {
    fn part(block: &Block) -> Vec<String> {
        match block {
            Block::Heading(text) => vec![text.clone()],
            Block::Paragraph(spans) => vec![format!("paragraph of {}", spans.len())],
            Block::Bullets(entries) => vec![format!("{} bullets", entries.len())],
            Block::Table { header, rows } => {
                assert!(rows.iter().all(|row| row.len() == header.len()));
                vec![format!("table of {}", header.len())]
            }
            Block::External(blocks) => blocks.iter().flat_map(part).collect(),
        }
    }
    let mut description = drafted(subject, &settings(), None).description.0;
    // Everything that was sent, if the table at the top is not all.
    description.pop();
    let parts: Vec<String> = description.iter().flat_map(part).collect();
    // A link in a text is a part of it.
    let shown = |part: &String| !part.starts_with("paragraph of") && !part.starts_with("table");
    parts.into_iter().filter(shown).collect()
}

/// Checks that the ticket has the same parts as one with plain text: no text from outside becomes a part.
fn makes_no_part(subject: &Subject) {
    let plain = Subject {
        metadata: [("x".to_owned(), "plain".to_owned())].into(),
        label: subject.label.as_ref().map(|_| "plain".to_owned()),
        ..subject.clone()
    };
    assert_eq!(parts(subject), parts(&plain));
}

/// Checks that all visible words are in a cell of a table.
fn shown(subject: &Subject, words: &str) {
    let mut cells = String::new();
    let description = drafted(subject, &settings(), None).description.0;
    let external = description.iter().filter_map(|block| match block {
        Block::External(blocks) => Some(blocks),
        Block::Heading(_) | Block::Paragraph(_) | Block::Bullets(_) | Block::Table { .. } => None,
    });
    for block in external.flatten() {
        let Block::Table { rows, .. } = block else { continue };
        for span in rows.iter().flatten().flatten() {
            match span {
                Span::Text(text) | Span::Strong(text) | Span::Link { text, .. } => cells.push_str(text),
                Span::Mention { .. } => panic!("{span:?}"),
                Span::Break => cells.push(' '),
            }
        }
    }
    for word in words.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c)) {
        assert!(cells.contains(word), "{word:?} in {cells:?}");
    }
}

#[test]
fn hostile_texts() {
    let mut denying = settings();
    denying.approval.deny = vec!["{{ metadata.x }}".into()];
    for words in HOSTILE_TEXTS {
        for stage in Stage::ALL {
            let mut subject = asked(stage, Phase::Progressing, &[("x", words)]);
            shown(&subject, words);
            check(&subject, &denying);
            subject.label = Some(words.into());
            subject.metadata.insert(words.to_owned(), "named so".into());
            check(&subject, &settings());
            makes_no_part(&subject);
        }
    }
    for checksum in ["{noformat}", "[~admin]", "{{canary}}", "!a.png!", "|x||y|", "<b>&#123;"] {
        for phase in [Phase::Progressing, Phase::Failed] {
            let mut subject = asked(Stage::ConfirmRollout, phase, &[("x", "y")]);
            (subject.base, subject.revision) = (Some(checksum.into()), Some(checksum.into()));
            check(&subject, &settings());
            makes_no_part(&subject);
        }
    }
}

/// The longest texts that a request may hold, of the characters that take most space; and templates of that length.
#[test]
fn long_texts() {
    for words in ["x", "\\", "&", "\"", "\n", "{noformat}", "\u{1f469}", "- \n\n", "\u{2028}", "{{ canary }}"]
    {
        let words = words.repeat(40 * 1024 / words.len());
        let subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &[("x", &words), ("z", "the last")]);
        check(&subject, &settings());
        makes_no_part(&subject);
        let draft = drafted(&subject, &settings(), None);
        let [cloud, _] = both(&draft.description);
        assert!(cloud.contains("| z | the last |"), "a long value does not displace the others");
        let many: Vec<(String, String)> =
            (0..4_000).map(|number| (format!("k{number}"), words.chars().take(9).collect())).collect();
        let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut many = asked(Stage::ConfirmPromotion, Phase::Progressing, &many);
        many.metadata.insert("x".into(), words);
        check(&many, &settings());
        makes_no_part(&many);
    }
    let mut long = settings();
    for template in ["[words] ".repeat(8_000), "a\n".repeat(20_000), "- {{ metadata.x }}\n\n".repeat(2_000)] {
        long.ticket.description = template;
        let subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &[("x", &"[~a] ".repeat(8_000))]);
        check(&subject, &long);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_texts(
        key in "[\\PC\n{}%]{0,30}", value in any::<String>(), label in "[\\PC{}%|*!\\[\\]]{0,200}",
        pieces in proptest::collection::vec(proptest::sample::select(&HOSTILE_TEXTS[..]), 0..6),
    ) {
        let value = format!("{}{value}", pieces.concat());
        let mut subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &[("x", &value)]);
        shown(&subject, "");
        subject.metadata.insert(key, value);
        subject.label = Some(label);
        check(&subject, &settings());
        makes_no_part(&subject);
    }
}
