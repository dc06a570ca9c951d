//! Invariants that must hold at any time, whatever failed before.

use std::collections::BTreeSet;

use fake_jira::{AUTOMATION, BRIDGE, IssueView};
use flagger_jira_bridge::cli::{self, Audit};
use secrecy::SecretString;
use serde_json::Value;

use crate::world::{Answer, World};

/// The property by which the bridge recognizes its tickets and comments.
const PROPERTY: &str = "flagger-jira-bridge";

/// Asserts that no element occurs twice.
fn assert_distinct<T: Ord + std::fmt::Debug>(all: impl IntoIterator<Item = T>, what: &str) {
    let mut seen = BTreeSet::new();
    for one in all {
        assert!(!seen.contains(&one), "{what} twice: {one:?}");
        seen.insert(one);
    }
}

/// Asserts that no comment, label or link is on the ticket twice.
fn assert_no_duplicates(ticket: &IssueView) {
    let ours = ticket.comments.iter().filter(|comment| comment.author == BRIDGE);
    let tags = ours.map(|comment| comment.properties[PROPERTY]["tag"].as_str().unwrap());
    assert_distinct(tags, &format!("{}: a comment", ticket.key));
    assert_distinct(&ticket.labels, &format!("{}: a label", ticket.key));
    let links = ticket.links.iter().map(|link| (&link.kind, &link.inward, &link.outward));
    assert_distinct(links, &format!("{}: a link", ticket.key));
}

/// Whether the bridge made this issue, which existed before, the ticket of a gate, and said so on it.
pub(crate) fn was_taken(ticket: &IssueView) -> bool {
    let tagged = |comment: &fake_jira::Comment| {
        comment.author == BRIDGE
            && comment.properties[PROPERTY]["tag"].as_str().is_some_and(|tag| tag.starts_with("taken-"))
    };
    ticket.comments.iter().any(tagged)
}

/// Whether the ticket has this status and a person moved it there.
fn moved_by_a_person(ticket: &IssueView, status: &str) -> bool {
    let mut entries = ticket.changelog.iter().rev();
    let last = entries.find(|entry| entry.items.iter().any(|change| change.field == "status"));
    ticket.status == status
        && last
            .and_then(|last| last.author.as_deref())
            .is_some_and(|who| ![BRIDGE, AUTOMATION].contains(&who))
}

impl World {
    /// Asserts that each gate has one ticket, no comment, label or link is duplicated, and the audit record is
    /// complete. A test that sets `jira.index_lag` checks itself for duplicate tickets.
    pub(crate) async fn assert_invariants(&self) {
        let ours =
            || self.jira.issues().into_iter().filter(|issue| issue.creator == BRIDGE || was_taken(issue));
        let live = ours().filter(|ticket| !ticket.labels.iter().any(|label| label == "flagger-ended"));
        let gates = live.filter_map(|ticket| Some(ticket.properties.get(PROPERTY)?["gate"].to_string()));
        if !self.settings.contains("jira.index_lag") {
            assert_distinct(gates, "a gate's ticket");
        }
        ours().for_each(|ticket| assert_no_duplicates(&ticket));
        let wanted = Audit { verify: true, ..Audit::default() };
        let mut output = Vec::new();
        let url = SecretString::from(self.database_url());
        let now = self.clock.now();
        let sound = cli::audit(&url, &wanted, now, &mut output, &mut std::io::sink()).await.unwrap();
        assert!(sound, "{}", String::from_utf8_lossy(&output));
    }

    /// Asserts that an open gate has its own ticket, and that a person approved it.
    pub(crate) fn assert_proven(&self, request: &reqwest::Request, answer: &Answer) {
        let path = request.url().path();
        let Some(stage) = path.strip_prefix("/gate/").filter(|_| answer.status == 200) else { return };
        if answer.body.contains("nobody is asked") {
            assert!(self.settings.contains("mode = \"record\""), "{}", answer.body);
            return;
        }
        let asked: Value = serde_json::from_slice(request.body().unwrap().as_bytes().unwrap()).unwrap();
        let named = |ticket: &IssueView| {
            let mut words = answer.body.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            words.any(|word| word == ticket.key)
        };
        let tickets: Vec<IssueView> = self.jira.issues().into_iter().filter(named).collect();
        let [ticket] = &tickets[..] else { panic!("opened by {} tickets: {}", tickets.len(), answer.body) };
        let wanted = if stage == "rollback" { "Rejected" } else { "Approved" };
        // A time limit of the configuration rejects like a person.
        let timed_out = stage == "rollback"
            && self.settings.contains("approval.on_timeout = \"reject\"")
            && answer.body.contains("not approved within ")
            && ticket.status != "Approved";
        assert!(timed_out || moved_by_a_person(ticket, wanted), "{}: {ticket:?}", answer.body);
        if was_taken(ticket) {
            return;
        }
        assert_eq!(ticket.creator, BRIDGE, "{}", answer.body);
        let named = |what: &str, key: &str| format!("flagger-{what}-{}", asked[key].as_str().unwrap());
        let action = match stage {
            "confirm-rollout" => "Start ",
            // One that is for a single step says how much.
            "confirm-traffic-increase" => "Send ",
            "confirm-promotion" => "Promote ",
            _ => "",
        };
        let is_own = ticket.labels.contains(&named("canary", "name"))
            && ticket.labels.contains(&named("namespace", "namespace"))
            && ticket.summary.starts_with(action);
        // As version 0.1.0 wrote them.
        let canary = format!("{}/{}", asked["namespace"].as_str().unwrap(), asked["name"].as_str().unwrap());
        let stage = Some(stage).filter(|stage| stage.starts_with("confirm-")).unwrap_or_default();
        let is_old = ticket.summary.contains(&canary) && ticket.summary.contains(stage);
        assert!(is_own || is_old, "{path} of {canary} was opened by {ticket:?}");
    }
}
