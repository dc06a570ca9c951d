//! Jira created a ticket, its answer was lost, and the search shows it late: one ticket counts, each other one of the
//! bridge gets a comment and is closed, and issues that other people created are not touched.

use std::time::Duration;

use fake_jira::{BOB, BRIDGE, Fault, IssueView, MIA, Operation, Times, Workflow};
use serde_json::json;

use crate::world::{World, question};

const MINUTE: Duration = Duration::from_secs(60);
const CLOSES: &str = "jira.index_lag = \"1m\"\nticket.transitions.superseded = \"Cancelled\"";

impl World {
    /// Loses the next answers to creates, and lets Jira's search lag.
    fn loses_answers(&self, answers: u32, lag: Duration) {
        self.jira.set_index_lag(lag);
        self.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Next(answers));
    }

    /// Advances the clock while the worker runs.
    async fn runs_worker_for_minutes(&self, minutes: u32) {
        for _ in 0..minutes * 4 {
            self.run_worker().await;
            self.advance(MINUTE / 4);
        }
        self.run_worker().await;
    }

    /// The key of the only gate's ticket.
    async fn current_ticket(&self) -> String {
        let gates = self.gates().await;
        assert_eq!(gates.as_array().map(Vec::len), Some(1), "{gates}");
        gates[0]["ticket"]["key"].as_str().unwrap().to_owned()
    }

    /// Checks that the gate opens when this ticket is approved, not before.
    async fn is_opened_by(&self, key: &str) {
        assert_eq!(self.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        self.decides(key, "Approved").await;
        let answer = self.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// The comments of an issue.
    fn comments(&self, key: &str) -> Vec<String> {
        self.jira.issue(key).unwrap().comments.iter().map(|comment| comment.text()).collect()
    }

    /// Checks that the ticket was closed with one comment that names the ticket that counts.
    fn is_duplicate(&self, ticket: &IssueView, of: &str) {
        let said = self.comments(&ticket.key);
        assert_eq!(said.len(), 1, "{}: {said:?}", ticket.key);
        assert!(said[0].contains(&format!("duplicate of {of} and controls nothing")), "{said:?}");
        assert!(ticket.labels.iter().any(|label| label == "flagger-ended"), "{:?}", ticket.labels);
        assert_eq!(ticket.status, "Cancelled");
    }
}

/// The search lags for longer than `jira.index_lag`: a second ticket is opened, and the first is found afterwards.
#[tokio::test]
async fn a_ticket_that_shows_up_late_is_closed() {
    for world in World::both(CLOSES).await {
        world.loses_answers(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.runs_worker_for_minutes(10).await;
        let [first, second] = world.tickets().try_into().unwrap();
        assert_eq!(world.current_ticket().await, second.key);
        world.is_duplicate(&first, &second.key);
        assert!(second.comments.is_empty() && second.status == "To Do");
        world.is_opened_by(&second.key).await;
        world.finish().await;
    }
}

/// The search shows two tickets at once: the first counts.
#[tokio::test]
async fn the_first_of_two_found_tickets_counts() {
    for world in World::both(CLOSES).await {
        world.loses_answers(2, MINUTE + MINUTE / 2);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.advance(MINUTE + MINUTE / 4);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 2, "{}", world.gates().await);
        world.advance(MINUTE * 2);
        world.restarts().await;
        world.run_worker().await;
        let [first, second] = world.tickets().try_into().unwrap();
        assert_eq!(world.current_ticket().await, first.key);
        world.is_duplicate(&second, &first.key);
        world.runs_worker_for_minutes(10).await;
        assert_eq!(world.comments(&second.key).len(), 1);
        world.finish().await;
    }
}

/// A decision on a duplicate opens nothing and is answered once.
#[tokio::test]
async fn a_decision_on_a_duplicate_opens_nothing() {
    for world in World::both(CLOSES).await {
        world.loses_answers(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let [first] = world.tickets().try_into().unwrap();
        // A user approves it before the search shows it.
        world.jira.move_issue(&first.key, "Approved", MIA).unwrap();
        world.runs_worker_for_minutes(10).await;
        let live = world.current_ticket().await;
        assert_ne!(live, first.key);
        world.is_duplicate(&world.jira.issue(&first.key).unwrap(), &live);
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        for status in ["Approved", "Rejected", "Approved"] {
            world.jira.move_issue(&first.key, status, MIA).unwrap();
            assert_eq!(world.nudges(&first.key).await.status, 200);
            world.runs_worker_for_minutes(1).await;
        }
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        let said = world.comments(&first.key);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].contains(&format!("{live}. Decide there")), "{said:?}");
        world.finish().await;
    }
}

/// A copied label, a copied property, or the bridge's account as creator: none of them alone makes an issue the
/// bridge's.
#[tokio::test]
async fn foreign_issues_are_not_touched() {
    for world in World::both(CLOSES).await {
        world.loses_answers(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let [first] = world.tickets().try_into().unwrap();
        let property = ("flagger-jira-bridge", first.properties["flagger-jira-bridge"].clone());
        let labels = world.jira.clone_issue(&first.key, BOB).unwrap();
        let all = world.jira.clone_issue(&first.key, BOB).unwrap();
        world.jira.set_property(&all, property.0, property.1).unwrap();
        let automation = world.jira.clone_issue(&first.key, BRIDGE).unwrap();
        let other = world.jira.clone_issue(&first.key, BRIDGE).unwrap();
        world.jira.set_property(&other, property.0, json!({ "gate": "another" })).unwrap();
        let clones = [labels, all, automation, other].map(|key| world.jira.issue(&key).unwrap());
        world.runs_worker_for_minutes(12).await;
        for clone in clones {
            assert_eq!(world.jira.issue(&clone.key).unwrap(), clone);
        }
        let live = world.current_ticket().await;
        world.is_duplicate(&world.jira.issue(&first.key).unwrap(), &live);
        world.finish().await;
    }
}

/// The rollout ended before Jira showed its ticket: a comment says that the ticket opens nothing.
#[tokio::test]
async fn a_ticket_that_shows_up_after_the_end() {
    for world in World::both(CLOSES).await {
        world.loses_answers(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.runs_worker_for_minutes(10).await;
        let [ticket] = world.tickets().try_into().unwrap();
        let said = world.comments(&ticket.key);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("controls nothing: its rollout was over before"), "{said:?}");
        assert_eq!(ticket.status, "Cancelled");
        world.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
        world.nudges(&ticket.key).await;
        world.runs_worker_for_minutes(1).await;
        assert_eq!(world.comments(&ticket.key).len(), 2);
        world.finish().await;
    }
}

/// The route names another project when the ticket is found: the project in which it was opened counts.
#[tokio::test]
async fn the_project_in_which_a_ticket_was_opened_counts() {
    for mut world in World::both(CLOSES).await {
        world.loses_answers(1, MINUTE);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.restarts_with("routes = [{ match = {}, ticket = { project = \"PAY\" } }]\n").await;
        world.runs_worker_for_minutes(3).await;
        let [ticket] = world.tickets().try_into().unwrap();
        assert_eq!((ticket.project.as_str(), world.current_ticket().await), ("OPS", ticket.key.clone()));
        world.is_opened_by(&ticket.key).await;
        world.finish().await;
    }
}

/// The route names another project by then, in which the same names are other statuses: those of its own project count.
#[tokio::test]
async fn the_statuses_of_its_own_project_count() {
    for mut world in World::both(CLOSES).await {
        let mut workflow = Workflow::change();
        workflow.statuses.iter_mut().for_each(|status| status.id = format!("2{}", status.id));
        workflow.transitions.iter_mut().for_each(|transition| transition.to = format!("2{}", transition.to));
        world.jira.set_workflow("PAY", "Change", workflow);
        world.loses_answers(1, MINUTE);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let [ticket] = world.tickets().try_into().unwrap();
        world.restarts_with("routes = [{ match = {}, ticket = { project = \"PAY\" } }]\n").await;
        // The other project's statuses are known by the time the ticket is found.
        let mut other = question("Progressing", "new");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.runs_worker_for_minutes(3).await;
        world.decides(&ticket.key, "Approved").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.finish().await;
    }
}

/// It was moved to another project before it was found: that project does not count, even if the route names it now.
#[tokio::test]
async fn a_ticket_that_was_moved_before_it_was_found() {
    for world in World::both(CLOSES).await {
        world.loses_answers(1, MINUTE);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let [ticket] = world.tickets().try_into().unwrap();
        let key = world.jira.move_to_project(&ticket.key, "PAY", BOB).unwrap();
        world.runs_worker_for_minutes(3).await;
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        assert_eq!(world.gates().await[0]["state"], "gone");
        world.finish().await;
    }
}

/// A user puts another gate's mark on a ticket: it stays the ticket of its own gate only.
#[tokio::test]
async fn a_ticket_belongs_to_one_gate() {
    for world in World::both(CLOSES).await {
        let mut other = question("Progressing", "new");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.run_worker().await;
        let [till] = world.tickets().try_into().unwrap();
        world.loses_answers(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let cart = world.jira.issue(&world.newest()).unwrap();
        let label = cart.labels.iter().find(|label| label.starts_with("fjb-")).unwrap();
        world.jira.edit_labels(&till.key, &[label], &[], BOB).unwrap();
        let property = cart.properties["flagger-jira-bridge"].clone();
        world.jira.set_property(&till.key, "flagger-jira-bridge", property).unwrap();
        world.runs_worker_for_minutes(12).await;
        let mark = till.properties["flagger-jira-bridge"].clone();
        let till = world.jira.issue(&till.key).unwrap();
        assert!(till.comments.is_empty() && till.status == "To Do", "{:?}", world.comments(&till.key));
        world.posts("/gate/confirm-promotion", &other).await;
        world.decides(&till.key, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        // The property decides. On Data Center a search does not return it, but the approval is read from the issue
        // itself.
        assert_eq!(world.posts("/gate/confirm-promotion", &other).await.status, 403);
        world.jira.set_property(&till.key, "flagger-jira-bridge", mark).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        let answer = world.posts("/gate/confirm-promotion", &other).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.finish().await;
    }
}
