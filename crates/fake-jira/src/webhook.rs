//! The webhooks that Jira sends when an issue changes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    delivery::{Delivery, PendingDelivery},
    fake::FakeJira,
    model::{Flavour, History},
    render,
    state::State,
};

/// The value of `X-Hub-Signature`: HMAC-SHA256 of the raw body.
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

impl State {
    /// Queues an event for every webhook.
    pub(super) fn queue_event(
        &mut self,
        event: &str,
        id: u64,
        account: Option<&str>,
        entry: Option<&History>,
    ) {
        if self.webhooks.is_empty() {
            return;
        }
        let Some(body) = self.payload(event, id, account, entry) else { return };
        let body = body.to_string();
        for webhook in &self.webhooks {
            let identifier = format!("{:032x}", rand::random::<u128>());
            let mut headers = vec![
                ("Content-Type", "application/json; charset=utf-8".to_owned()),
                ("User-Agent", "Atlassian Webhook HTTP Client".to_owned()),
                ("X-Atlassian-Webhook-Identifier", identifier.clone()),
                ("X-Atlassian-Webhook-Flow", "Primary".to_owned()),
            ];
            if let Some(secret) = &webhook.secret {
                headers.push(("X-Hub-Signature", signature(secret, body.as_bytes())));
            }
            if let Some(bearer) = &webhook.bearer {
                headers.push(("Authorization", format!("Bearer {bearer}")));
            }
            self.pending_deliveries.push(PendingDelivery {
                client: webhook.client.clone(),
                url: webhook.url.clone(),
                headers,
                event: event.to_owned(),
                identifier,
                retry: 0,
                body: body.clone(),
            });
        }
    }

    fn payload(&self, event: &str, id: u64, account: Option<&str>, entry: Option<&History>) -> Option<Value> {
        let issue = self.issues.get(&id)?;
        let kind = match event {
            "jira:issue_created" => "issue_created",
            "jira:issue_deleted" => "issue_deleted",
            "jira:issue_updated" => "issue_generic",
            _ => "issue_commented",
        };
        let mut payload = json!({
            "timestamp": self.time.now(),
            "webhookEvent": event,
            "issue_event_type_name": kind,
            "issue": render::webhook_issue(self, issue),
        });
        if let Some(person) = account.and_then(|w| self.person(w)) {
            payload["user"] = render::user(self, person);
        }
        if let Some(entry) = entry {
            let items: Vec<Value> = entry.items.iter().map(|c| render::change(self.flavour, c)).collect();
            // Jira's own example has a number, other payloads have a string.
            let id = match self.flavour {
                Flavour::Cloud => json!(entry.id.to_string()),
                Flavour::DataCenter => json!(entry.id),
            };
            payload["changelog"] = json!({ "id": id, "items": items });
        }
        if event == "comment_created"
            && let Some(comment) = issue.comments.last()
        {
            payload["comment"] = render::plain_comment(self, issue, comment);
        }
        Some(payload)
    }
}

impl FakeJira {
    /// Sends the queued deliveries, each in its own task, because Jira does not guarantee their order.
    pub(super) fn deliver(&self) {
        let pending_deliveries = std::mem::take(&mut self.lock().pending_deliveries);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for delivery in pending_deliveries {
            runtime.spawn(self.clone().post(delivery));
        }
    }

    /// Retries the deliveries that got 408, 409, 425, 429, 5xx or no answer, as Jira does minutes later. Returns how
    /// many.
    pub fn redeliver(&self) -> usize {
        let mut state = self.lock();
        let is_retryable =
            |d: &Delivery| d.status.is_none_or(|s| matches!(s, 408 | 409 | 425 | 429) || s >= 500);
        let failed: Vec<Delivery> = state.deliveries.iter().filter(|d| is_retryable(d)).cloned().collect();
        state.deliveries.retain(|d| !is_retryable(d));
        for delivery in &failed {
            let Some(webhook) = state.webhooks.iter().find(|h| h.url == delivery.url) else { continue };
            let mut headers = vec![
                ("Content-Type", "application/json; charset=utf-8".to_owned()),
                ("User-Agent", "Atlassian Webhook HTTP Client".to_owned()),
                ("X-Atlassian-Webhook-Identifier", delivery.identifier.clone()),
                ("X-Atlassian-Webhook-Retry", (delivery.retry + 1).to_string()),
            ];
            headers.extend(
                webhook.secret.iter().map(|s| ("X-Hub-Signature", signature(s, delivery.body.as_bytes()))),
            );
            headers.extend(webhook.bearer.iter().map(|b| ("Authorization", format!("Bearer {b}"))));
            let post = PendingDelivery {
                client: webhook.client.clone(),
                url: delivery.url.clone(),
                headers,
                event: delivery.event.clone(),
                identifier: delivery.identifier.clone(),
                retry: delivery.retry + 1,
                body: delivery.body.clone(),
            };
            state.pending_deliveries.push(post);
        }
        drop(state);
        self.deliver();
        failed.len()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is Jira calling the bridge, not the bridge calling Jira"
    )]
    async fn post(self, post: PendingDelivery) {
        let mut request = post.client.post(&post.url).body(post.body.clone());
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        let status = request.send().await.ok().map(|answer| answer.status().as_u16());
        self.lock().deliveries.push(Delivery {
            url: post.url,
            event: post.event,
            identifier: post.identifier,
            retry: post.retry,
            status,
            body: post.body,
        });
    }
}
