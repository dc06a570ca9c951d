//! PURE: a message for a workflow of Microsoft Teams that waits for a webhook request: an Adaptive Card.

use serde_json::{Value, json};

use crate::ticket::NotificationText;

/// The message as a card, with a button that leads to its ticket.
pub(super) fn body(text: &NotificationText, ticket: Option<(&str, &str)>) -> Value {
    let headline: Vec<Value> = text.headline.iter().map(|words| run(words.as_str(), true)).collect();
    let mut blocks = vec![lines(headline)];
    for (what, value) in &text.facts {
        blocks.push(lines(vec![run(&format!("{what}: "), true), run(value, false)]));
    }
    let actions: Vec<Value> = ticket
        .into_iter()
        .map(|(key, url)| json!({ "type": "Action.OpenUrl", "title": key, "url": url }))
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
                "actions": actions,
            },
        }],
    })
}

/// A paragraph. Other than a text block, it takes no Markdown.
fn lines(runs: Vec<Value>) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(text: &str, bold: bool) -> Value {
    let weight = if bold { "bolder" } else { "default" };
    json!({ "type": "TextRun", "text": text, "weight": weight })
}
