//! docs/troubleshooting.md quotes the bridge's answers and table, and names every state; docs/api.md quotes an answer of the API.

use std::time::Duration;

use fake_jira::Flavour;
use flagger_jira_bridge::{
    cli::{self, Gates, OutputStyle},
    gate::Verdict,
};
use serde_json::{Value, json};

use crate::{docs::page::page, world::World};

const PAGE: &str = "docs/troubleshooting.md";

/// The quoted lines and table are the bridge's, except for Jira's address.
#[tokio::test]
async fn answers_are_quoted_right() {
    let world = World::start(Flavour::Cloud).await;
    let body =
        json!({ "name": "podinfo", "namespace": "shop", "phase": "Progressing", "checksum": "5594979469" });
    let ask = async || {
        let answer = world.posts("/gate/confirm-promotion", &body).await;
        answer.body.replace(world.jira.base_url().as_str(), "https://example.atlassian.net")
    };
    let first = ask().await;
    world.run_worker().await;
    world.advance(Duration::from_secs(725));
    let mut later = ask().await;
    let wanted = Gates::of(&format!("http://{}", world.address(2)));
    let table = cli::gates(&wanted, &OutputStyle::default(), world.clock.now()).await.unwrap();
    let api = world.sends(world.admin("GET", "/api/gates")).await.body;
    world.decides(&world.newest(), "Approved").await;
    later += &ask().await;
    let table = table.replace(world.jira.base_url().as_str(), "https://example.atlassian.net");
    let api = api.replace(world.jira.base_url().as_str(), "https://example.atlassian.net");
    let [shown] = page("docs/api.md").blocks("json").try_into().unwrap();
    let [shown, api] = [shown, api].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(shown, api);
    assert_eq!(page(PAGE).blocks("text"), [format!("{table}\n"), first, later]);
    world.finish().await;
}

/// What the page says about the checksum of a call by hand is true.
#[tokio::test]
async fn another_checksum_is_another_rollout() {
    let shell = page(PAGE).blocks("sh");
    let command = shell.iter().find(|block| block.starts_with("curl -s http://127.0.0.1:8080")).unwrap();
    let quoted: Vec<&str> = command.split('\'').skip(1).step_by(2).collect();
    let (header, body) = (quoted[0].split_once(": ").unwrap(), quoted[1]);
    let world = World::start(Flavour::Cloud).await;
    let asks = async |body: &str| {
        let request = world.gate("POST", "/gate/confirm-promotion").header(header.0, header.1);
        world.sends(request.body(body.to_owned())).await
    };
    let answer = asks(body).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "closed: opening: the ticket is being opened\n"));
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 1, "it opened a real ticket");
    let other = body.replace("5594979469", "6b5c9d7f48");
    assert_ne!(body, other);
    asks(&other).await;
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 2, "another revision");
    assert!(asks(&other).await.body.contains(&world.newest()));
    world.finish().await;
}

#[test]
fn every_state_is_explained() {
    let text = page(PAGE).text;
    let states = text.lines().skip_while(|line| !line.starts_with("| state |")).skip(2);
    let states = states.map_while(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(states.collect::<Vec<_>>(), Verdict::ALL.map(Verdict::as_str));
}
