//! A configuration for users who connect their own bridge to the embedded Jira.

use std::net::TcpListener;

use super::world::World;

/// Ports that are seldom in use: for Flagger, for Jira's webhook, for people.
const PORTS: [u16; 3] = [18_080, 18_081, 19_090];

/// The settings that differ from the defaults.
pub(super) struct SampleConfig {
    /// The URL of the embedded Jira.
    pub(super) url: String,
    /// `None` with a personal access token.
    pub(super) user: Option<String>,
    pub(super) token: String,
    /// `None` if that Jira does not post to the user's bridge.
    pub(super) webhook_secret: Option<String>,
    /// `store.url`.
    pub(super) database: String,
    /// The listeners for Flagger, for Jira's webhook, and for people.
    pub(super) addresses: [String; 3],
}

impl SampleConfig {
    /// For a second bridge, next to that of the demo. Its database is removed when the demo ends, as are the tickets.
    pub(super) fn beside(world: &World) -> Self {
        Self {
            url: world.jira.base_url(),
            user: Some(world.user.clone()),
            token: world.token.clone(),
            webhook_secret: None,
            database: format!("sqlite://{}", world.home().join("yours.db").display()),
            addresses: free(),
        }
    }

    /// The text to print: the file, and how to use it.
    pub(super) fn introduction(&self) -> String {
        let (file, [gate, _, admin]) = (self.config(), &self.addresses);
        format!(
            "\
Put this into config.toml:

{file}
and then, in a second terminal, while this runs:

  flagger-jira-bridge check -c config.toml      (or: cargo run -- check -c config.toml)
  flagger-jira-bridge serve -c config.toml
  curl -i http://{gate}/gate/confirm-promotion -H 'Content-Type: application/json' \\
    -d '{{\"name\":\"hello\",\"namespace\":\"test\",\"phase\":\"Progressing\",\"checksum\":\"abc\"}}'

The last asks as Flagger does, from a third. The answer is 403 until you approve the ticket in Jira, and then 200.
Your bridge's status page is at http://{admin}; in a terminal, this shows the same:

  flagger-jira-bridge gates --admin http://{admin}
"
        )
    }

    fn config(&self) -> String {
        let Self { url, token, addresses: [gate, webhook, admin], .. } = self;
        let database = toml::Value::from(self.database.as_str());
        let optional = |key: &str, value: &Option<String>| {
            value.as_ref().map_or_else(String::new, |value| format!("{key} = \"{value}\"\n"))
        };
        let user = optional("user", &self.user);
        let secret = optional("webhook_secret", &self.webhook_secret);
        format!(
            r#"[server]
gate_listen = "{gate}"
webhook_listen = "{webhook}"
admin_listen = "{admin}"

[store]
url = {database}

[flagger]
cluster = "mine"

[jira]
url = "{url}"
{user}token = "{token}"
{secret}poll_every = "2s"

[ticket]
project = "OPS"
"#
        )
    }
}

/// Fixed addresses on loopback.
pub(super) fn usual() -> [String; 3] {
    PORTS.map(|port| format!("127.0.0.1:{port}"))
}

/// Free addresses on loopback; the fixed ones if possible, so that they are the same next time.
fn free() -> [String; 3] {
    // Each listener stays open until all are found, so no two addresses are the same.
    let held = PORTS.map(|port| {
        let free = TcpListener::bind(("127.0.0.1", port)).or_else(|_| TcpListener::bind("127.0.0.1:0"));
        let address = free.as_ref().ok().and_then(|free| free.local_addr().ok());
        (address.map_or_else(|| format!("127.0.0.1:{port}"), |at| at.to_string()), free)
    });
    held.map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::check, clock::Clock, config::load};

    /// The printed configuration loads, and `check` finds no failure.
    #[tokio::test]
    async fn what_is_printed_works() {
        let mut world = World::start().await.unwrap();
        let text = SampleConfig::beside(&world).introduction();
        let from = text.find("[server]").unwrap();
        let to = text.find("\nand then").unwrap();
        let path = world.home().join("yours.toml");
        std::fs::write(&path, &text[from..to]).unwrap();
        let config = load(&path, []).unwrap();
        let report = check(&config, Clock::System).await;
        assert!(!report.failed(), "{report}");
        let addresses = [config.server.gate_listen, config.server.webhook_listen, config.server.admin_listen];
        let curl = format!("http://{}/gate/confirm-promotion", addresses[0]);
        assert!(text.contains(&curl), "{text}");
        let gates = format!("flagger-jira-bridge gates --admin http://{}\n", addresses[2]);
        assert!(text.contains(&gates), "{text}");
        for address in addresses {
            assert!(!world.gate.ends_with(&format!(":{}", address.port())));
        }
        world.stop().await.unwrap();
    }
}
