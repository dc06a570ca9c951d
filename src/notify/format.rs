//! PURE: the formats in which channels take a message.

use serde_json::Value;

use super::{json, message::Message, slack, teams};
use crate::ticket;

/// `format`: what a channel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Slack's incoming webhooks, and those of Mattermost and others that take the same.
    Slack,
    /// A workflow of Microsoft Teams that waits for a webhook request.
    Teams,
    /// The bridge's own object.
    Json,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Slack, Self::Teams, Self::Json];

    /// Its name in the configuration and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Json => "json",
        }
    }

    /// The body of a request with a message.
    #[must_use]
    pub fn body(self, message: &Message<'_>) -> Value {
        let text = ticket::notification(message.canary, message.about);
        match self {
            Self::Slack => slack::body(&text, message.ticket()),
            Self::Teams => teams::body(&text, message.ticket()),
            Self::Json => json::body(message, &text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gate::{GateName, Stage},
        millis::Millis,
        rollout::{Bypass, CanaryId, Notification, Turn},
    };

    fn canary() -> CanaryId {
        CanaryId { cluster: "prod-eu".into(), namespace: "shop".into(), name: "cart".into() }
    }

    fn about(turn: Turn) -> Notification {
        Notification {
            turn,
            gate: GateName { stage: Stage::ConfirmPromotion, approver: Some("qa".into()), step: None },
            ticket: Some("OPS-7".into()),
            change: Some("cart 6.4.0 → 6.5.0".into()),
            label: Some("v6.5.0".into()),
            at: Millis(1_800_000_000_000),
        }
    }

    fn written(about: &Notification, format: Format) -> String {
        let link = Some("https://example.atlassian.net/browse/OPS-7").filter(|_| about.ticket.is_some());
        let message = Message { id: "5f-waiting", canary: &canary(), about, link };
        serde_json::to_string_pretty(&format.body(&message)).unwrap()
    }

    #[test]
    fn each_turn_has_its_sentence() {
        let by = "Mia Change".to_owned();
        let turns = [
            Turn::Waiting,
            Turn::Approved { entry: "1".into(), by: by.clone() },
            Turn::Rejected { entry: "1".into(), by },
            Turn::TimedOut { within: 259_200_000 },
            Turn::Stuck { why: "Jira shows no project \"OPS\"".into() },
            Turn::ShippedWithoutApproval,
            Turn::StartedUnapproved,
            Turn::PromotedUnasked {
                bypass: Bypass { before: "cart:6.4.0".into(), now: "cart:6.5.0".into(), recreated: false },
            },
        ];
        let said: Vec<String> = turns
            .into_iter()
            .map(|turn| {
                let text = ticket::notification(&canary(), &about(turn));
                let facts: Vec<String> =
                    text.facts.iter().map(|(what, is)| format!("{what}: {is}")).collect();
                format!("{} [{}]", text.sentence(), facts.join(" | "))
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        cart is waiting for approval at confirm-promotion (qa) [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0]
        Mia Change approved cart at confirm-promotion (qa) [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0]
        Mia Change rejected cart at confirm-promotion (qa) [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0]
        cart is rejected, because nobody decided in time at confirm-promotion (qa) [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0 | A decision was due within: 3 days]
        cart has to wait, because no ticket can be opened for confirm-promotion (qa) [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0 | Why: Jira shows no project "OPS"]
        cart was shipped without the approval at confirm-promotion (qa) [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0]
        Flagger started another version of cart than the one that was approved at confirm-promotion (qa) [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0]
        A version of cart was promoted without any approval [Cluster: prod-eu | Namespace: shop | What changes: cart 6.4.0 → 6.5.0 | Version: v6.5.0 | Why: analysis is skipped, or a hook was taken out | Before: cart:6.4.0 | Now: cart:6.5.0]
        "#);
    }

    #[test]
    fn slack() {
        insta::assert_snapshot!(written(&about(Turn::Waiting), Format::Slack), @r#"
        {
          "text": "`cart` is waiting for approval at `confirm-promotion (qa)`: <https://example.atlassian.net/browse/OPS-7|OPS-7>\n*Cluster:* `prod-eu`\n*Namespace:* `shop`\n*What changes:* `cart 6.4.0 → 6.5.0`\n*Version:* `v6.5.0`",
          "unfurl_links": false
        }
        "#);
    }

    #[test]
    fn teams() {
        insta::assert_snapshot!(written(&about(Turn::Waiting), Format::Teams), @r#"
        {
          "attachments": [
            {
              "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "actions": [
                  {
                    "title": "OPS-7",
                    "type": "Action.OpenUrl",
                    "url": "https://example.atlassian.net/browse/OPS-7"
                  }
                ],
                "body": [
                  {
                    "inlines": [
                      {
                        "text": "cart",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": " is waiting for approval at ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "confirm-promotion (qa)",
                        "type": "TextRun",
                        "weight": "bolder"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "Cluster: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "prod-eu",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "Namespace: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "shop",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "What changes: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "cart 6.4.0 → 6.5.0",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "Version: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "v6.5.0",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  }
                ],
                "type": "AdaptiveCard",
                "version": "1.4"
              },
              "contentType": "application/vnd.microsoft.card.adaptive",
              "contentUrl": null
            }
          ],
          "type": "message"
        }
        "#);
    }

    #[test]
    fn json() {
        let about = about(Turn::Rejected { entry: "10071".into(), by: "Mia Change".into() });
        insta::assert_snapshot!(written(&about, Format::Json), @r#"
        {
          "at": "2027-01-15T08:00:00.000Z",
          "by": "Mia Change",
          "canary": "cart",
          "change": "cart 6.4.0 → 6.5.0",
          "cluster": "prod-eu",
          "event": "rejected",
          "gate": "qa",
          "id": "5f-waiting",
          "label": "v6.5.0",
          "namespace": "shop",
          "reason": null,
          "stage": "confirm-promotion",
          "step": null,
          "text": "Mia Change rejected cart at confirm-promotion (qa)",
          "ticket": {
            "key": "OPS-7",
            "url": "https://example.atlassian.net/browse/OPS-7"
          }
        }
        "#);
        let stuck = Notification {
            turn: Turn::Stuck { why: "no project".into() },
            gate: GateName { stage: Stage::ConfirmRollout, approver: None, step: None },
            ticket: None,
            change: None,
            label: None,
            at: Millis(0),
        };
        insta::assert_snapshot!(written(&stuck, Format::Json), @r#"
        {
          "at": "1970-01-01T00:00:00.000Z",
          "by": null,
          "canary": "cart",
          "change": null,
          "cluster": "prod-eu",
          "event": "stuck",
          "gate": null,
          "id": "5f-waiting",
          "label": null,
          "namespace": "shop",
          "reason": "no project",
          "stage": "confirm-rollout",
          "step": null,
          "text": "cart has to wait, because no ticket can be opened for confirm-rollout",
          "ticket": null
        }
        "#);
    }

    /// Words from outside neither mention, link nor format.
    #[test]
    fn words_from_outside_are_shown_as_they_are() {
        let hostile = "<!channel> @here <@U1> `x` *b* [a](https://evil.example) <https://evil.example|OPS-7> & <at>all</at>";
        let about = Notification {
            change: Some(hostile.into()),
            label: Some(hostile.into()),
            ..about(Turn::Approved { entry: "1".into(), by: hostile.into() })
        };
        insta::assert_snapshot!(written(&about, Format::Slack), @r#"
        {
          "text": "`&lt;!channel&gt; @here &lt;@U1&gt; 'x' *b* [a](https://evil.example) &lt;https://evil.example|OPS-7&gt; &amp; &lt;at&gt;all&lt;/at&gt;` approved `cart` at `confirm-promotion (qa)`: <https://example.atlassian.net/browse/OPS-7|OPS-7>\n*Cluster:* `prod-eu`\n*Namespace:* `shop`\n*What changes:* `&lt;!channel&gt; @here &lt;@U1&gt; 'x' *b* [a](https://evil.example) &lt;https://evil.example|OPS-7&gt; &amp; &lt;at&gt;all&lt;/at&gt;`\n*Version:* `&lt;!channel&gt; @here &lt;@U1&gt; 'x' *b* [a](https://evil.example) &lt;https://evil.example|OPS-7&gt; &amp; &lt;at&gt;all&lt;/at&gt;`",
          "unfurl_links": false
        }
        "#);
        insta::assert_snapshot!(written(&about, Format::Teams), @r#"
        {
          "attachments": [
            {
              "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "actions": [
                  {
                    "title": "OPS-7",
                    "type": "Action.OpenUrl",
                    "url": "https://example.atlassian.net/browse/OPS-7"
                  }
                ],
                "body": [
                  {
                    "inlines": [
                      {
                        "text": "<!channel> @here <@U1> `x` *b* [a](https://evil.example) <https://evil.example|OPS-7> & <at>all</at>",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": " approved ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "cart",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": " at ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "confirm-promotion (qa)",
                        "type": "TextRun",
                        "weight": "bolder"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "Cluster: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "prod-eu",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "Namespace: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "shop",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "What changes: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "<!channel> @here <@U1> `x` *b* [a](https://evil.example) <https://evil.example|OPS-7> & <at>all</at>",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  },
                  {
                    "inlines": [
                      {
                        "text": "Version: ",
                        "type": "TextRun",
                        "weight": "bolder"
                      },
                      {
                        "text": "<!channel> @here <@U1> `x` *b* [a](https://evil.example) <https://evil.example|OPS-7> & <at>all</at>",
                        "type": "TextRun",
                        "weight": "default"
                      }
                    ],
                    "type": "RichTextBlock"
                  }
                ],
                "type": "AdaptiveCard",
                "version": "1.4"
              },
              "contentType": "application/vnd.microsoft.card.adaptive",
              "contentUrl": null
            }
          ],
          "type": "message"
        }
        "#);
    }
}
