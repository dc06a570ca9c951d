//! A proxy or gateway answers instead of Jira for a minute, or says how long to wait: that decides nothing, and nothing
//! is done twice.

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

/// Answers of proxies, gateways and Atlassian's edge, which Jira itself does not give.
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
    /// Opens a ticket for another canary, so that the bridge knows this Jira.
    pub(crate) async fn knows_jira(&self) {
        let mut question = question("Progressing", "first");
        question["name"] = "first".into();
        self.posts("/gate/confirm-promotion", &question).await;
        self.run_worker().await;
        assert_eq!(self.tickets().len(), 1);
        // The cached workflow expires.
        self.advance_all_clocks(2 * HOUR).await;
        self.ticks().await;
    }

    /// Advances the clock, and runs the worker every few seconds.
    async fn runs_worker_for(&self, time: Duration) {
        for _ in 0..time.as_secs() / 5 {
            self.run_worker().await;
            self.advance_all_clocks(5 * SECOND).await;
            self.ticks().await;
        }
        self.run_worker().await;
    }
}

/// With any such answer to any request, the ticket is opened soon afterwards, once, and no answer to Flagger claims
/// that the project or issue type does not exist.
#[tokio::test]
async fn a_ticket_is_opened_soon_after_a_gateway_error() {
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
                world.runs_worker_for(5 * SECOND).await;
            }
            assert_eq!(world.tickets().len(), 1, "{fault:?}");
            world.jira.clear_faults();
            world.runs_worker_for(3 * MINUTE).await;
            assert_eq!(world.tickets().len(), 2, "{fault:?} to {on:?}");
            world.finish().await;
        }
    }
}

/// Jira created the ticket, but the gateway answers with an error: no second ticket.
#[tokio::test]
async fn a_create_behind_a_gateway_error_is_not_repeated() {
    for code in [403, 404, 405, 410] {
        for world in World::both("jira.index_lag = \"30s\"").await {
            world.jira.fault(Operation::CreateIssue, Fault::ActedBut(code), Times::Once);
            world.jira.set_index_lag(20 * SECOND);
            world.asks("confirm-promotion", "Progressing", "new").await;
            world.runs_worker_for(2 * MINUTE).await;
            assert_eq!(world.tickets().len(), 1, "{code}");
            world.finish().await;
        }
    }
}

/// The comment about a rollout's end waits until Jira answers, and is written once.
#[tokio::test]
async fn an_ending_is_commented_after_a_gateway_error() {
    for fault in foreign() {
        for world in World::both("ticket.transitions.superseded = \"Cancelled\"").await {
            world.asks("confirm-promotion", "Progressing", "old").await;
            world.run_worker().await;
            let old = world.newest();
            world.asks("confirm-promotion", "Progressing", "new").await;
            // The new rollout's ticket is opened first, because the link needs it.
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
            world.runs_worker_for(MINUTE).await;
            world.jira.clear_faults();
            world.runs_worker_for(6 * MINUTE).await;
            let ticket = world.jira.issue(&old).unwrap();
            assert_eq!(ticket.status, "Cancelled", "{fault:?}");
            assert!(ticket.labels.iter().any(|label| label == "flagger-ended"), "{fault:?}");
            assert_eq!(ticket.comments.len(), 1, "{fault:?}");
            assert_eq!(ticket.links.len(), 1, "{fault:?}");
            world.finish().await;
        }
    }
}

/// A ticket that cannot be read for a minute keeps its decision, and is not treated as deleted.
#[tokio::test]
async fn a_gateway_error_is_no_deletion() {
    for fault in foreign() {
        for world in World::both("").await {
            world.asks("confirm-promotion", "Progressing", "new").await;
            world.run_worker().await;
            world.decides(&world.newest(), "Approved").await;
            assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
            for on in [Operation::GetIssue, Operation::BulkFetch, Operation::Search, Operation::Changelog] {
                world.jira.fault(on, fault.clone(), Times::Always);
            }
            for _ in 0..6 {
                world.runs_worker_for(10 * SECOND).await;
                assert_eq!(
                    world.asks("confirm-promotion", "Progressing", "new").await.status,
                    200,
                    "{fault:?}"
                );
            }
            world.jira.clear_faults();
            world.runs_worker_for(5 * MINUTE).await;
            assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200, "{fault:?}");
            assert_eq!(world.tickets().len(), 1, "{fault:?}");
            world.finish().await;
        }
    }
}

/// Jira limits the writes to one issue: only the commands of that issue wait.
#[tokio::test]
async fn a_write_limit_of_one_issue_delays_no_other() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "old").await;
        world.run_worker().await;
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
        world.run_worker().await;
        assert_eq!(world.jira.issue(&old).unwrap().comments.len(), 0);
        assert_eq!(world.tickets().len(), 2, "the new ticket was opened at once");
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        let refused = world.clock.now();
        world.runs_worker_for(MINUTE).await;
        let comments = world.jira.issue(&old).unwrap().comments;
        assert_eq!(comments.len(), 1);
        // The comment was written after the pause.
        let at = Millis(comments[0].created);
        assert!(at.since(begun) >= 30 * SECOND && at >= refused, "{comments:?}");
        world.finish().await;
    }
}
