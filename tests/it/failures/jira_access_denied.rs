//! Jira refuses access for another reason than the token: the text of its answer decides the advice on the page, to
//! Flagger and in `check`. Behind Atlassian's gateway, links lead to the site's own address.

use std::time::Duration;

use fake_jira::{Fault, Operation, Times};
use serde_json::json;

use crate::world::World;

const SITE: &str = "https://example.atlassian.net";

/// Texts of a 403, and the expected advice.
const REFUSALS: [(&str, &str, &str); 8] = [
    (
        "application/json",
        r#"{"errorMessages":["The IP address has been rejected because it is not on the allowlist. For more information, contact your admin."],"errors":{}}"#,
        "have the address from which the bridge's requests leave your network",
    ),
    ("text/plain", "Your IP address 203.0.113.7 is not on the allowlist", "203.0.113.7"),
    ("application/json", r#"{"message":"Your site has been suspended."}"#, "reactivate the site"),
    ("application/json", r#"{"message":"Your license has expired."}"#, "renew the licence"),
    (
        "application/json",
        r#"{"message":"Basic Authentication has been disabled on this instance."}"#,
        "leave jira.user out",
    ),
    ("text/plain", "XSRF check failed", "User-Agent"),
    ("text/html", "<html><title>Forbidden</title></html>", "a proxy or firewall may be in the way"),
    ("text/plain", "", "a proxy or firewall may be in the way"),
];

#[tokio::test]
async fn a_refusal_for_another_reason_does_not_blame_the_token() {
    for (media, body, advice) in REFUSALS {
        for world in World::both("").await {
            world.knows_jira().await;
            let fault = Fault::Says { code: 403, media, headers: vec![], body: body.to_owned() };
            world.jira.fault(Operation::Any, fault, Times::Always);
            world.asks("confirm-promotion", "Progressing", "new").await;
            for _ in 0..4 {
                world.run_worker().await;
                world.advance_all_clocks(Duration::from_secs(15)).await;
                world.ticks().await;
            }
            let answer = world.asks("confirm-promotion", "Progressing", "new").await;
            let page = world.sends(world.admin("GET", "/")).await.body;
            let page = page.replace("&#39;", "'").replace("&#x27;", "'");
            for (place, said) in [("answer", &answer.body), ("page", &page)] {
                assert!(said.contains(advice), "{place}: {body}: {said}");
                assert!(!said.contains("renew jira.token"), "{place}: {body}: {said}");
            }
            world.jira.clear_faults();
            world.advance_all_clocks(Duration::from_secs(20)).await;
            world.run_worker().await;
            world.advance_all_clocks(Duration::from_secs(40)).await;
            world.run_worker().await;
            assert_eq!(world.tickets().len(), 2, "{body}");
            world.finish().await;
        }
    }
}

/// Jira refuses a single operation: its own text is the advice, and the operation is not retried soon.
#[tokio::test]
async fn a_refused_operation_says_what_to_do() {
    for world in World::both("").await {
        let body = r#"{"errorMessages":["Your license has expired."],"errors":{}}"#.to_owned();
        let fault = Fault::Says { code: 403, media: "application/json", headers: vec![], body };
        world.jira.fault(Operation::CreateIssue, fault, Times::Always);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let line = world.asks("confirm-promotion", "Progressing", "new").await.body;
        assert!(line.contains("Your license has expired") && line.contains("renew the licence"), "{line}");
        world.jira.clear_faults();
        world.restarts().await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// Links in answers, on the page and in tickets, with a configured and with a detected kind of Jira.
#[tokio::test]
async fn links_lead_to_the_site_behind_the_gateway() {
    for kind in ["cloud", "auto"] {
        let mut world = World::prepare(fake_jira::Flavour::Cloud, &format!("jira.kind = \"{kind}\"")).await;
        let direct = world.jira.base_url();
        let gateway = world.jira.move_behind_gateway(SITE);
        world.settings = world.settings.replace(&direct, &gateway);
        world.start_processes().await;
        world.asks("confirm-promotion", "Progressing", "old").await;
        world.run_worker().await;
        let old = world.newest();
        let link = |key: &str| format!("{SITE}/browse/{key}");
        let answer = world.asks("confirm-promotion", "Progressing", "old").await;
        assert!(answer.body.contains(&link(&old)), "{}", answer.body);
        assert_eq!(world.gates().await[0]["ticket"]["url"], json!(link(&old)));
        let page = world.sends(world.admin("GET", "/")).await.body;
        let page = page.replace("&#x2f;", "/");
        assert!(page.contains(&link(&old)) && !page.contains("/ex/jira/"), "{page}");
        // A restarted process asks again.
        world.restarts().await;
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let comments = world.jira.issue(&old).unwrap().comments;
        let comments: Vec<String> = comments.iter().map(|comment| comment.body.to_string()).collect();
        assert!(comments.iter().all(|comment| !comment.contains("/ex/jira/")), "{comments:?}");
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert!(answer.body.contains(&link(&world.newest())), "{}", answer.body);
        world.finish().await;
    }
}
