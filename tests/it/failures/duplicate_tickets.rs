//! Jira did what it was asked, said nothing, and shows it late: one ticket counts, every other of ours is closed and
//! told, and what other people made is left alone.

use std::time::Duration;

use fake_jira::{BOB, BRIDGE, Fault, IssueView, MIA, Operation, Times, Workflow};
use serde_json::json;

use crate::world::{World, question};

const MINUTE: Duration = Duration::from_secs(60);
const CLOSES: &str = "jira.index_lag = \"1m\"\nticket.transitions.superseded = \"Cancelled\"";

impl World {
    /// Jira's search misses new issues for so long, and the next answers to creates are lost.
    fn loses(&self, answers: u32, lag: Duration) {
        self.jira.set_index_lag(lag);
        self.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Next(answers));
    }

    /// Time passes, and the worker works all the while.
    async fn works_for(&self, minutes: u32) {
        for _ in 0..minutes * 4 {
            self.works().await;
            self.later(MINUTE / 4);
        }
        self.works().await;
    }

    /// The key of the ticket that the only gate waits for.
    async fn live(&self) -> String {
        let gates = self.gates().await;
        assert_eq!(gates.as_array().map(Vec::len), Some(1), "{gates}");
        gates[0]["ticket"]["key"].as_str().unwrap().to_owned()
    }

    /// The gate is closed until this ticket is approved.
    async fn is_opened_by(&self, key: &str) {
        assert_eq!(self.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        self.decides(key, "Approved").await;
        let answer = self.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// What was said on an issue.
    fn said(&self, key: &str) -> Vec<String> {
        self.jira.issue(key).unwrap().comments.iter().map(|comment| comment.text()).collect()
    }

    /// The ticket was closed and told once that another one counts.
    fn is_duplicate(&self, ticket: &IssueView, of: &str) {
        let said = self.said(&ticket.key);
        assert_eq!(said.len(), 1, "{}: {said:?}", ticket.key);
        assert!(said[0].contains(&format!("duplicate of {of}, and opens nothing")), "{said:?}");
        assert!(ticket.labels.iter().any(|label| label == "flagger-ended"), "{:?}", ticket.labels);
        assert_eq!(ticket.status, "Cancelled");
    }
}

/// The search lags for longer than `jira.index_lag`: a second ticket is opened, and the first is found afterwards.
#[tokio::test]
async fn a_ticket_that_shows_up_late_is_closed() {
    for world in World::both(CLOSES).await {
        world.loses(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works_for(10).await;
        let [first, second] = world.tickets().try_into().unwrap();
        assert_eq!(world.live().await, second.key);
        world.is_duplicate(&first, &second.key);
        assert!(second.comments.is_empty() && second.status == "To Do");
        world.is_opened_by(&second.key).await;
        world.finish().await;
    }
}

/// Both are there before either is known: the first counts.
#[tokio::test]
async fn of_two_that_show_up_together_the_first_counts() {
    for world in World::both(CLOSES).await {
        world.loses(2, MINUTE + MINUTE / 2);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        world.later(MINUTE + MINUTE / 4);
        world.works().await;
        assert_eq!(world.tickets().len(), 2, "{}", world.gates().await);
        world.later(MINUTE * 2);
        world.restarts().await;
        world.works().await;
        let [first, second] = world.tickets().try_into().unwrap();
        assert_eq!(world.live().await, first.key);
        world.is_duplicate(&second, &first.key);
        world.works_for(10).await;
        assert_eq!(world.said(&second.key).len(), 1);
        world.finish().await;
    }
}

/// A decision on a duplicate opens nothing and is answered once.
#[tokio::test]
async fn a_decision_on_a_duplicate_opens_nothing() {
    for world in World::both(CLOSES).await {
        world.loses(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let [first] = world.tickets().try_into().unwrap();
        // Somebody was quicker than the search.
        world.jira.move_issue(&first.key, "Approved", MIA).unwrap();
        world.works_for(10).await;
        let live = world.live().await;
        assert_ne!(live, first.key);
        world.is_duplicate(&world.jira.issue(&first.key).unwrap(), &live);
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        for status in ["Approved", "Rejected", "Approved"] {
            world.jira.move_issue(&first.key, status, MIA).unwrap();
            assert_eq!(world.nudges(&first.key).await.status, 200);
            world.works_for(1).await;
        }
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        let said = world.said(&first.key);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].contains(&format!("{live}; decide there")), "{said:?}");
        world.finish().await;
    }
}

/// Copied labels, copied properties, or our own account: each alone makes nothing ours.
#[tokio::test]
async fn what_others_made_is_left_alone() {
    for world in World::both(CLOSES).await {
        world.loses(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let [first] = world.tickets().try_into().unwrap();
        let property = ("flagger-jira-bridge", first.properties["flagger-jira-bridge"].clone());
        let labels = world.jira.clone_issue(&first.key, BOB).unwrap();
        let all = world.jira.clone_issue(&first.key, BOB).unwrap();
        world.jira.set_property(&all, property.0, property.1).unwrap();
        let automation = world.jira.clone_issue(&first.key, BRIDGE).unwrap();
        let other = world.jira.clone_issue(&first.key, BRIDGE).unwrap();
        world.jira.set_property(&other, property.0, json!({ "gate": "another" })).unwrap();
        let clones = [labels, all, automation, other].map(|key| world.jira.issue(&key).unwrap());
        world.works_for(12).await;
        for clone in clones {
            assert_eq!(world.jira.issue(&clone.key).unwrap(), clone);
        }
        let live = world.live().await;
        world.is_duplicate(&world.jira.issue(&first.key).unwrap(), &live);
        world.finish().await;
    }
}

/// The rollout was over before Jira showed its ticket: nobody needs it, and it says so.
#[tokio::test]
async fn a_ticket_that_shows_up_after_the_end() {
    for world in World::both(CLOSES).await {
        world.loses(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.works_for(10).await;
        let [ticket] = world.tickets().try_into().unwrap();
        let said = world.said(&ticket.key);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("opens nothing: Jira showed it only after"), "{said:?}");
        assert_eq!(ticket.status, "Cancelled");
        world.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
        world.nudges(&ticket.key).await;
        world.works_for(1).await;
        assert_eq!(world.said(&ticket.key).len(), 2);
        world.finish().await;
    }
}

/// The route leads elsewhere by the time the ticket is found: it is at home where it was opened.
#[tokio::test]
async fn a_ticket_is_at_home_where_it_was_opened() {
    for mut world in World::both(CLOSES).await {
        world.loses(1, MINUTE);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        world.restarts_with("routes = [{ match = {}, ticket = { project = \"PAY\" } }]\n").await;
        world.works_for(3).await;
        let [ticket] = world.tickets().try_into().unwrap();
        assert_eq!((ticket.project.as_str(), world.live().await), ("OPS", ticket.key.clone()));
        world.is_opened_by(&ticket.key).await;
        world.finish().await;
    }
}

/// The route leads elsewhere by then, where the same names are other statuses: those of its own project count.
#[tokio::test]
async fn a_ticket_has_the_statuses_of_its_home() {
    for mut world in World::both(CLOSES).await {
        let mut workflow = Workflow::change();
        workflow.statuses.iter_mut().for_each(|status| status.id = format!("2{}", status.id));
        workflow.transitions.iter_mut().for_each(|transition| transition.to = format!("2{}", transition.to));
        world.jira.set_workflow("PAY", "Change", workflow);
        world.loses(1, MINUTE);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let [ticket] = world.tickets().try_into().unwrap();
        world.restarts_with("routes = [{ match = {}, ticket = { project = \"PAY\" } }]\n").await;
        // What the names mean there is known by the time the ticket is found.
        let mut other = question("Progressing", "new");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.works_for(3).await;
        world.decides(&ticket.key, "Approved").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.finish().await;
    }
}

/// It was moved to another project before it was found: that is not its home, even if the route leads there now.
#[tokio::test]
async fn a_ticket_that_was_moved_before_it_was_found() {
    for world in World::both(CLOSES).await {
        world.loses(1, MINUTE);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let [ticket] = world.tickets().try_into().unwrap();
        let key = world.jira.move_to_project(&ticket.key, "PAY", BOB).unwrap();
        world.works_for(3).await;
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        assert_eq!(world.gates().await[0]["state"], "gone");
        world.finish().await;
    }
}

/// Somebody marks the ticket of one gate as that of another: it stays the ticket of its own gate, and of no other.
#[tokio::test]
async fn a_ticket_is_of_one_gate() {
    for world in World::both(CLOSES).await {
        let mut other = question("Progressing", "new");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.works().await;
        let [till] = world.tickets().try_into().unwrap();
        world.loses(1, MINUTE * 3);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let cart = world.jira.issue(&world.newest()).unwrap();
        let label = cart.labels.iter().find(|label| label.starts_with("fjb-")).unwrap();
        world.jira.edit_labels(&till.key, &[label], &[], BOB).unwrap();
        let property = cart.properties["flagger-jira-bridge"].clone();
        world.jira.set_property(&till.key, "flagger-jira-bridge", property).unwrap();
        world.works_for(12).await;
        let mark = till.properties["flagger-jira-bridge"].clone();
        let till = world.jira.issue(&till.key).unwrap();
        assert!(till.comments.is_empty() && till.status == "To Do", "{:?}", world.said(&till.key));
        world.posts("/gate/confirm-promotion", &other).await;
        world.decides(&till.key, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        // The property tells. On Data Center a search cannot bring it, but the approval is read from the issue itself.
        assert_eq!(world.posts("/gate/confirm-promotion", &other).await.status, 403);
        world.jira.set_property(&till.key, "flagger-jira-bridge", mark).unwrap();
        world.later(MINUTE);
        world.works().await;
        let answer = world.posts("/gate/confirm-promotion", &other).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.finish().await;
    }
}
