//! Two keys are wrong. When one of them is right, everything shows what is wrong with the other, and nothing of the first.

use std::time::Duration;

use fake_jira::{Field, Shape};

use crate::world::{World, network::Mounted};

const CREDENTIALS: &str = "does not accept the credentials";

/// What Flagger, the page and the API show.
async fn shown(world: &World) -> Vec<(&'static str, String)> {
    let answer = world.promotes().await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    let page = world.sends(world.admin("GET", "/")).await.body.replace("&quot;", "\"").replace("&#x2f;", "/");
    let gates = world.gates().await;
    vec![
        ("answer", answer.body),
        ("page", page),
        ("gates", gates[0]["reason"].as_str().unwrap().to_owned()),
        ("health", world.sends(world.admin("GET", "/api/jira")).await.body),
    ]
}

async fn all_say(world: &World, words: &str, not: &str) {
    for (place, said) in shown(world).await {
        assert!(place == "health" || said.contains(words), "{place} without {words}: {said}");
        assert!(!said.contains(not), "{place} with {not}: {said}");
    }
}

/// A bridge whose token is refused and whose project is misspelled, while a gate waits.
async fn with_two_mistakes(mounted: &Mounted) -> Vec<World> {
    let mut worlds = World::both("").await;
    for world in &mut worlds {
        let kept = world.settings.lines().filter(|line| !line.starts_with("jira.token"));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        let file = format!("jira.token_file = {:?}\n", mounted.path("token"));
        world.settings = kept.replace("ticket.project = \"OPS\"", "ticket.project = \"OPSX\"") + &file;
        world.jira.set_token("the-right-token");
        world.restarts().await;
        world.promotes().await;
        world.run_worker().await;
        all_say(world, CREDENTIALS, "OPSX").await;
    }
    worlds
}

async fn the_project_is_corrected(mut world: World) {
    all_say(&world, "OPSX", CREDENTIALS).await;
    world.settings = world.settings.replace("OPSX", "OPS");
    world.restarts().await;
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 1);
    world.finish().await;
}

/// No time passes after the file has changed: nothing waits for the next attempt with the credentials.
#[tokio::test]
async fn a_new_token_in_the_file_shows_the_next_mistake_at_once() {
    let mut mounted = Mounted::new(&[("token", b"wrong")]);
    for world in with_two_mistakes(&mounted).await {
        mounted.holds(&[("token", b"the-right-token")]);
        world.run_worker().await;
        the_project_is_corrected(world).await;
        mounted.holds(&[("token", b"wrong")]);
    }
}

#[tokio::test]
async fn a_restart_with_the_right_token_shows_the_next_mistake_at_once() {
    let mut mounted = Mounted::new(&[("token", b"wrong")]);
    for world in with_two_mistakes(&mounted).await {
        mounted.holds(&[("token", b"the-right-token")]);
        world.restarts().await;
        world.ticks().await;
        world.run_worker().await;
        the_project_is_corrected(world).await;
        mounted.holds(&[("token", b"wrong")]);
    }
}

/// A token that is wrong, too, is tried once, and not again and again.
#[tokio::test]
async fn another_wrong_token_is_tried_once() {
    let mut mounted = Mounted::new(&[("token", b"wrong")]);
    for world in with_two_mistakes(&mounted).await {
        mounted.holds(&[("token", b"wrong-again")]);
        world.jira.clear_requests();
        for _ in 0..3 {
            world.run_worker().await;
        }
        assert_eq!(world.jira.requests().len(), 1, "{:?}", world.jira.requests());
        mounted.holds(&[("token", b"the-right-token")]);
        world.run_worker().await;
        the_project_is_corrected(world).await;
        mounted.holds(&[("token", b"wrong")]);
    }
}

/// The tickets that wait are read with the new token at once, too: due ones are looked for every second.
#[tokio::test]
async fn a_new_token_reads_the_tickets_at_once() {
    let mut mounted = Mounted::new(&[("token", b"jira-token")]);
    for mut world in World::both("").await {
        let kept = world.settings.lines().filter(|line| !line.starts_with("jira.token"));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        world.settings = kept + &format!("jira.token_file = {:?}\n", mounted.path("token"));
        world.restarts().await;
        let ticket = world.promotion_waits().await;
        world.jira.set_token("the-next-token");
        world.decides(&ticket, "Approved").await;
        all_say(&world, CREDENTIALS, "OPSX").await;
        mounted.holds(&[("token", b"the-next-token")]);
        // Far from jira.poll_every.
        world.advance(Duration::from_secs(2));
        world.run_worker().await;
        world.promotion_is_open().await;
        world.finish().await;
        mounted.holds(&[("token", b"jira-token")]);
    }
}

/// Jira refuses a value of `ticket.fields`: the reason says what to put there, as `check` does. Cloud's own words would
/// lead to the very value that it refused.
#[tokio::test]
async fn a_refused_value_comes_with_what_to_put_there() {
    let settings = "ticket.fields.priority = \"{{ metadata.priority or 'High' }}\"\nticket.fields.components = [\"web\"]";
    for mut world in World::both(settings).await {
        for (id, names) in [("priority", ["High", "Low"]), ("components", ["API", "Web"])] {
            let names = names.map(str::to_owned).to_vec();
            let shape = if id == "priority" { Shape::Select(names) } else { Shape::MultiSelect(names) };
            world.jira.add_create_field("OPS", "Change", Field::optional(id, id, shape));
        }
        world.promotes().await;
        world.run_worker().await;
        let reason = world.gates().await[0]["reason"].as_str().unwrap().to_owned();
        for advice in [
            "ticket.fields.components: ",
            "put [{ name = \"Web\" }] there",
            "put { name = \"{{ metadata.priority",
        ] {
            assert!(reason.contains(advice), "{advice}: {reason}");
        }
        world.settings = world.settings.replace("[\"web\"]", "[{ name = \"Web\" }]");
        let (before, rest) = world.settings.split_once("ticket.fields.priority = ").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        world.settings = format!("{before}ticket.fields.priority = {{ name = \"Hgih\" }}\n{after}");
        world.restarts().await;
        world.run_worker().await;
        let reason = world.gates().await[0]["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("choose from: High, Low; did you mean \"High\"?"), "{reason}");
        world.settings = world.settings.replace("Hgih", "High");
        world.restarts().await;
        world.run_worker().await;
        assert_eq!(world.tickets()[0].fields["priority"]["name"], "High");
        world.finish().await;
    }
}
