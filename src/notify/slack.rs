//! PURE: a message for Slack's incoming webhooks.

use serde_json::{Value, json};

use crate::ticket::{NotificationText, Words};

/// The message in Slack's mrkdwn, with a link to its ticket.
pub(super) fn body(text: &NotificationText, ticket: Option<(&str, &str)>) -> Value {
    let sentence: String = text
        .headline
        .iter()
        .map(|words| match words {
            Words::Own(words) => escaped(words),
            Words::External(words) => literal(words),
        })
        .collect();
    let link = ticket.map(|(key, url)| format!("<{}|{}>", escaped(url).replace('|', "%7C"), escaped(key)));
    let first = link.map_or_else(|| sentence.clone(), |link| format!("{sentence}: {link}"));
    let facts = text.facts.iter().map(|(what, value)| format!("\n*{what}:* {}", literal(value)));
    json!({ "text": format!("{first}{}", facts.collect::<String>()), "unfurl_links": false })
}

/// As code, in which Slack and the programs that take the same format make no links and mention nobody.
fn literal(words: &str) -> String {
    match words.trim() {
        "" => String::new(),
        words => format!("`{}`", escaped(&words.replace('`', "'"))),
    }
}

/// The three characters that Slack wants escaped.
fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
