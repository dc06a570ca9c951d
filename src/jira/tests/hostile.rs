//! Text from outside is data: the ticket shows whatever a team sends, and neither the bridge nor Jira interprets it.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{
    tickets::{asked, both, route},
    *,
};
use crate::{
    gate::Stage,
    policy::Route,
    rollout::{Phase, Subject},
    ticket::{self, Block},
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
    let draft = ticket::draft(subject, route, Some("https://bridge.example/")).unwrap();
    let one_line = |text: &str| {
        assert!(!text.chars().any(|c| c.is_control() || is_invisible(c) || c == '\u{2028}'), "{text:?}");
    };
    one_line(&draft.summary);
    assert!(draft.summary.chars().count() <= 255);
    one_line(draft.fields["customfield_1"].as_str().unwrap());

    assert!(matches!(draft.description.0.last(), Some(Block::Verbatim(_))));

    let [cloud, data_center] =
        [Kind::Cloud, Kind::DataCenter].map(|kind| Jira::text(kind, &draft.description));
    assert!(cloud.to_string().encode_utf16().count() <= 32_767);
    let markup = data_center.as_str().unwrap();
    assert!(markup.encode_utf16().count() <= 32_767);
    // One verbatim block, which no text inside can end; before it, escaped text is not markup.
    let (before, inside) = markup.split_once("\n{noformat}\n").unwrap();
    let inside = inside.to_lowercase();
    assert!(inside.ends_with("\n{noformat}") || inside.ends_with("(cut\\)"), "{inside}");
    assert_eq!(inside.matches("{noformat").count(), 1, "{inside}");
    let before =
        ["\\{", "\\[", "\\!", "\\|"].iter().fold(before.to_owned(), |it, it_is| it.replace(it_is, ""));
    for markup in ["{noformat", "{code", "{color", "{quote", "[~", "\n||", "\nh1.", "!http", "{{"] {
        assert!(!before.contains(markup), "{markup} in {before}");
    }
    // Truncation never removes the bridge's own text.
    let [cloud, data_center] = both(&draft.description);
    for own in ["What\n", "What your decision does\n", "Who may approve", "Sent by the application team"] {
        assert!(cloud.contains(&format!("\n<h3>{own}")), "{own}: {cloud}");
        assert!(data_center.contains(&format!("\n\nh3. {own}")), "{own}: {data_center}");
    }
}

/// The parts of a description, without their texts.
fn parts(subject: &Subject) -> Vec<String> {
    let draft = ticket::draft(subject, &settings(), None).unwrap();
    let part = |block: &Block| match block {
        Block::Heading(text) => text.clone(),
        Block::Paragraph(spans) => format!("paragraph of {}", spans.len()),
        Block::Bullets(entries) => format!("{} bullets", entries.len()),
        Block::Table { header, rows } => format!("table of {} × {}", header.len(), rows.len()),
        Block::Verbatim(_) => "box".into(),
    };
    draft.description.0.iter().map(part).collect()
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

/// Checks that all visible words are in the verbatim block.
fn shown(subject: &Subject, words: &str) {
    let draft = ticket::draft(subject, &settings(), None).unwrap();
    let Some(Block::Verbatim(text)) = draft.description.0.last() else { panic!("no box") };
    for word in words.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c)) {
        assert!(text.contains(word), "{word:?} in {text:?}");
    }
    for line in text.lines() {
        assert!(line.starts_with("x: ") || line.starts_with("    ") || line == "x:", "{line:?} in {text:?}");
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
        let draft = ticket::draft(&subject, &settings(), None).unwrap();
        let Some(Block::Verbatim(text)) = draft.description.0.last() else { panic!("no box") };
        assert!(text.contains("\nz: the last"), "a long value does not displace the others");
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
