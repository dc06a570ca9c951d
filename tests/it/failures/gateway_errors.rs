//! Something between the bridge and Jira answers for a minute, or says how long to wait: nothing is decided by it, and
//! nothing is done twice.

use std::time::Duration;

use fake_jira::{Fault, Operation, Times};
use flagger_jira_bridge::millis::Millis;

use crate::world::{World, question};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const HTML: &str = "text/html";
const JSON: &str = "application/json";

fn says(code: u16, media: &'static str, body: &str) -> Fault {
    Fault::Says { code, media, headers: vec![], body: body.to_owned() }
}

/// What proxies, gateways and Atlassian's own edge say, and Jira does not.
fn foreign() -> Vec<Fault> {
    let page = "<html><head><title>Not Found</title></head><body>nginx</body></html>";
    let mut all: Vec<Fault> = [403, 404, 405, 410].iter().map(|code| says(*code, HTML, page)).collect();
    all.push(says(404, "text/plain", "default backend - 404"));
    all.push(says(404, "text/plain", ""));
    all.push(says(404, JSON, "{\"message\":\"no Route matched with those values\"}"));
    all.push(says(404, JSON, "{\"code\":404,\"message\":\"Not Found\"}"));
    all.push(says(404, JSON, "{\"errors\":[{\"message\":\"no such route\"}]}"));
    all.push(says(404, JSON, "{\"errors\":{\"route\":{\"code\":17}}}"));
    all.push(says(404, "application/problem+json", "{\"title\":\"Not Found\",\"status\":404}"));
    all.push(says(200, HTML, page));
    all.push(says(200, JSON, "{\"status\":\"maintenance\"}"));
    all.push(says(200, JSON, "[]"));
    all
}

impl World {
    /// Another canary has a ticket already, so that it is known which Jira this is.
    pub(crate) async fn knows_jira(&self) {
        let mut question = question("Progressing", "first");
        question["name"] = "first".into();
        self.posts("/gate/confirm-promotion", &question).await;
        self.works().await;
        assert_eq!(self.tickets().len(), 1);
        // What is believed of its workflow is read again.
        self.passes(2 * HOUR).await;
        self.ticks().await;
    }

    /// This much time passes, and the worker works every few seconds.
    async fn works_through(&self, time: Duration) {
        for _ in 0..time.as_secs() / 5 {
            self.works().await;
            self.passes(5 * SECOND).await;
            self.ticks().await;
        }
        self.works().await;
    }
}

/// Whatever it answers, to whichever request: the ticket is opened soon after, once, and nobody is told that there is no
/// project, or no issue type.
#[tokio::test]
async fn a_ticket_is_opened_soon_after_it() {
    let requests = [Operation::Any, Operation::ProjectStatuses, Operation::CreateIssue, Operation::Myself];
    for (nth, fault) in foreign().into_iter().enumerate() {
        for world in World::both("jira.index_lag = \"30s\"").await {
            world.knows_jira().await;
            let on = requests[nth % requests.len()];
            for on in [on, Operation::ProjectStatuses] {
                world.jira.fault(on, fault.clone(), Times::Always);
            }
            for _ in 0..12 {
                let line = world.asks("confirm-promotion", "Progressing", "new").await.body;
                assert!(!line.contains("Jira shows no"), "{fault:?} {line}");
                world.works_through(5 * SECOND).await;
            }
            assert_eq!(world.tickets().len(), 1, "{fault:?}");
            world.jira.clear_faults();
            world.works_through(3 * MINUTE).await;
            assert_eq!(world.tickets().len(), 2, "{fault:?} to {on:?}");
            world.finish().await;
        }
    }
}

/// Jira did it, and something on the way says that it is not there: no second ticket.
#[tokio::test]
async fn what_was_done_behind_it_is_not_done_again() {
    for code in [403, 404, 405, 410] {
        for world in World::both("jira.index_lag = \"30s\"").await {
            world.jira.fault(Operation::CreateIssue, Fault::ActedBut(code), Times::Once);
            world.jira.set_index_lag(20 * SECOND);
            world.asks("confirm-promotion", "Progressing", "new").await;
            world.works_through(2 * MINUTE).await;
            assert_eq!(world.tickets().len(), 1, "{code}");
            world.finish().await;
        }
    }
}

/// What a ticket is to be told when its rollout ends waits for Jira, and is told once.
#[tokio::test]
async fn an_ending_is_told_after_it() {
    for fault in foreign() {
        for world in World::both("ticket.transitions.superseded = \"Cancelled\"").await {
            world.asks("confirm-promotion", "Progressing", "old").await;
            world.works().await;
            let old = world.newest();
            world.asks("confirm-promotion", "Progressing", "new").await;
            // The ticket of the new one is opened, or no link could be made.
            for on in [
                Operation::GetIssue,
                Operation::GetComments,
                Operation::AddComment,
                Operation::EditIssue,
                Operation::GetTransitions,
                Operation::DoTransition,
                Operation::LinkIssues,
            ] {
                world.jira.fault(on, fault.clone(), Times::Always);
            }
            world.works_through(MINUTE).await;
            world.jira.clear_faults();
            world.works_through(6 * MINUTE).await;
            let ticket = world.jira.issue(&old).unwrap();
            assert_eq!(ticket.status, "Cancelled", "{fault:?}");
            assert!(ticket.labels.iter().any(|label| label == "flagger-ended"), "{fault:?}");
            assert_eq!(ticket.comments.len(), 1, "{fault:?}");
            assert_eq!(ticket.links.len(), 1, "{fault:?}");
            world.finish().await;
        }
    }
}

/// A ticket that cannot be read for a minute loses nothing, and is not taken for one that is gone.
#[tokio::test]
async fn a_ticket_is_not_gone_for_it() {
    for fault in foreign() {
        for world in World::both("").await {
            world.asks("confirm-promotion", "Progressing", "new").await;
            world.works().await;
            world.decides(&world.newest(), "Approved").await;
            assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
            for on in [Operation::GetIssue, Operation::BulkFetch, Operation::Search, Operation::Changelog] {
                world.jira.fault(on, fault.clone(), Times::Always);
            }
            for _ in 0..6 {
                world.works_through(10 * SECOND).await;
                assert_eq!(
                    world.asks("confirm-promotion", "Progressing", "new").await.status,
                    200,
                    "{fault:?}"
                );
            }
            world.jira.clear_faults();
            world.works_through(5 * MINUTE).await;
            assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200, "{fault:?}");
            assert_eq!(world.tickets().len(), 1, "{fault:?}");
            world.finish().await;
        }
    }
}

/// Too much was written to one issue: only what is to be written to that one waits.
#[tokio::test]
async fn one_issue_that_was_written_to_too_often_holds_up_no_other() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "old").await;
        world.works().await;
        let old = world.newest();
        let limited = Fault::Says {
            code: 429,
            media: "text/plain",
            headers: vec![
                ("Retry-After", "30".to_owned()),
                ("RateLimit-Reason", "jira-per-issue-on-write".to_owned()),
            ],
            body: "Rate limit exceeded".to_owned(),
        };
        world.jira.fault(Operation::AddComment, limited, Times::Once);
        let begun = world.clock.now();
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        assert_eq!(world.jira.issue(&old).unwrap().comments.len(), 0);
        assert_eq!(world.tickets().len(), 2, "the new ticket was opened at once");
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        let refused = world.clock.now();
        world.works_through(MINUTE).await;
        let told = world.jira.issue(&old).unwrap().comments;
        assert_eq!(told.len(), 1);
        // Time passed while it was decided.
        let at = Millis(told[0].created);
        assert!(at.since(begun) >= 30 * SECOND && at >= refused, "{told:?}");
        world.finish().await;
    }
}
