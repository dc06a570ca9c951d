//! What must hold at any time, whatever went wrong before.

use std::collections::BTreeSet;

use fake_jira::{AUTOMATION, BRIDGE, IssueView};
use flagger_jira_bridge::cli::{self, Audit, AuditFormat};
use secrecy::SecretString;
use serde_json::Value;

use crate::world::{Answer, World};

/// The property by which the bridge knows its tickets and comments again.
const PROPERTY: &str = "flagger-jira-bridge";

/// Asserts that all of these differ.
fn once<T: Ord + std::fmt::Debug>(all: impl IntoIterator<Item = T>, what: &str) {
    let mut seen = BTreeSet::new();
    for one in all {
        assert!(!seen.contains(&one), "{what} twice: {one:?}");
        seen.insert(one);
    }
}

fn holds_once(ticket: &IssueView) {
    let ours = ticket.comments.iter().filter(|comment| comment.author == BRIDGE);
    let tags = ours.map(|comment| comment.properties[PROPERTY]["tag"].as_str().unwrap());
    once(tags, &format!("{}: a comment", ticket.key));
    once(&ticket.labels, &format!("{}: a label", ticket.key));
    let links = ticket.links.iter().map(|link| (&link.kind, &link.inward, &link.outward));
    once(links, &format!("{}: a link", ticket.key));
}

/// Whether a person moved it to where it stands, and that is there.
fn stands_by_a_person(ticket: &IssueView, status: &str) -> bool {
    let mut entries = ticket.changelog.iter().rev();
    let last = entries.find(|entry| entry.items.iter().any(|change| change.field == "status"));
    ticket.status == status
        && last
            .and_then(|last| last.author.as_deref())
            .is_some_and(|who| ![BRIDGE, AUTOMATION].contains(&who))
}

impl World {
    /// One ticket for each gate, nothing said twice, and an audit record without a gap. A test with an
    /// index lag of its own lets Jira's search lag for longer, and looks itself at what was opened twice.
    pub(crate) async fn holds_what_it_promises(&self) {
        let ours = || self.jira.issues().into_iter().filter(|issue| issue.creator == BRIDGE);
        let live = ours().filter(|ticket| !ticket.labels.iter().any(|label| label == "flagger-ended"));
        let gates = live.filter_map(|ticket| Some(ticket.properties.get(PROPERTY)?["gate"].to_string()));
        if !self.settings.contains("jira.index_lag") {
            once(gates, "a ticket of one gate");
        }
        ours().for_each(|ticket| holds_once(&ticket));
        let wanted = Audit { since: None, format: AuditFormat::Jsonl, verify: true };
        let mut said = Vec::new();
        let url = SecretString::from(self.database_url());
        let sound = cli::audit(&url, &wanted, self.clock.now(), &mut said).await.unwrap();
        assert!(sound, "{}", String::from_utf8_lossy(&said));
    }

    /// A gate that is open stands on a ticket of that very gate, which a person moved to where it is.
    pub(crate) fn is_proven(&self, request: &reqwest::Request, answer: &Answer) {
        let path = request.url().path();
        let Some(stage) = path.strip_prefix("/gate/").filter(|_| answer.status == 200) else { return };
        let asked: Value = serde_json::from_slice(request.body().unwrap().as_bytes().unwrap()).unwrap();
        let named = |ticket: &IssueView| {
            let mut words = answer.body.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            words.any(|word| word == ticket.key)
        };
        let tickets: Vec<IssueView> = self.jira.issues().into_iter().filter(named).collect();
        let [ticket] = &tickets[..] else { panic!("open by {} tickets: {}", tickets.len(), answer.body) };
        let wanted = if stage == "rollback" { "Rejected" } else { "Approved" };
        assert!(stands_by_a_person(ticket, wanted), "{}: {ticket:?}", answer.body);
        assert_eq!(ticket.creator, BRIDGE, "{}", answer.body);
        let canary = format!("{}/{}", asked["namespace"].as_str().unwrap(), asked["name"].as_str().unwrap());
        let stage = Some(stage).filter(|stage| stage.starts_with("confirm-")).unwrap_or_default();
        assert!(
            ticket.summary.contains(&canary) && ticket.summary.contains(stage),
            "{path} of {canary} is open by {}",
            ticket.summary
        );
    }
}
