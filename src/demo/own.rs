//! A configuration with which people let a bridge of their own work with the demo's Jira.

use std::{net::TcpListener, path::Path};

use super::world::World;

/// Ports that are seldom taken, beside the usual ones: for Flagger, for Jira's webhook, for people.
const PORTS: [u16; 3] = [18_080, 18_081, 19_090];

/// What to say of it: the file, and how to use it.
pub(super) fn introduction(world: &World) -> String {
    let [gate, webhook, admin] = listen();
    let file = config(world, [&gate, &webhook, &admin]);
    format!(
        "\
Or let a bridge of your own work with this Jira. Put this into config.toml:

{file}
and then, while the demo runs:

  flagger-jira-bridge check -c config.toml      (or: cargo run -- check -c config.toml)
  flagger-jira-bridge serve -c config.toml
  curl -i http://{gate}/gate/confirm-promotion -H 'Content-Type: application/json' \\
    -d '{{\"name\":\"hello\",\"namespace\":\"test\",\"phase\":\"Progressing\",\"checksum\":\"abc\"}}'
"
    )
}

/// The configuration, with everything that differs from the defaults. Its database goes when the demo goes, as the
/// tickets do.
fn config(world: &World, [gate, webhook, admin]: [&str; 3]) -> String {
    let database = toml::Value::from(database(world.home()));
    let (url, user, token) = (world.jira.base_url(), &world.user, &world.token);
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
user = "{user}"
token = "{token}"
poll_every = "2s"

[ticket]
project = "OPS"
"#
    )
}

fn database(home: &Path) -> String {
    format!("sqlite://{}", home.join("yours.db").display())
}

/// Addresses on loopback that are free now; the usual ones if possible, so that they are the same next time.
fn listen() -> [String; 3] {
    // All are held until all are found: no two are the same.
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

    /// As it is printed it loads, and `check` finds nothing that fails.
    #[tokio::test]
    async fn what_is_printed_works() {
        let mut world = World::start().await.unwrap();
        let text = introduction(&world);
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
        for address in addresses {
            assert!(!world.gate.ends_with(&format!(":{}", address.port())));
        }
        world.stop().await.unwrap();
    }
}
