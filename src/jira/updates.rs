//! Updates of a ticket: comments, transitions, labels, links.

use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    client::Jira,
    error::Error,
    marks::{self, PROPERTY},
    request::{Operation, Request},
    settings::Kind,
    setup::BROWSE,
    wire,
};
use crate::{gate::Ticket, policy::Status, text, ticket::Doc};

/// The outcome of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransitionOutcome {
    /// The ticket already had the status.
    AlreadyThere,
    /// It was moved.
    Moved {
        /// The configured fields that were not set, because this transition's screen does not have them.
        skipped_fields: Vec<String>,
    },
    /// No transition leads there from the current status.
    NoPath {
        /// The names of the statuses that can be reached; empty also if the account may not move issues.
        reachable: Vec<String>,
    },
    /// The transition requires fields that are not configured.
    NeedsFields {
        /// Their ids.
        missing: Vec<String>,
    },
}

/// The outcome of linking two tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// They are linked.
    Linked,
    /// Links are turned off in Jira, or it has no link type for related issues.
    Impossible {
        /// What is missing.
        why: String,
    },
}

/// What is known about a ticket after a request answered 404.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketPresence {
    /// The ticket exists: the request did not find something else.
    Found,
    /// Jira does not show it, although the account was proven afterward and may browse the project.
    Missing,
    /// Jira does not show it, which proves nothing.
    Unproven {
        /// Why not.
        why: String,
    },
}

impl Jira {
    /// Whether a ticket exists. A 404 may also mean that it is not visible: it counts only if a request sent after it
    /// proves the bridge's account, and that account may browse the project.
    ///
    /// # Errors
    /// Any.
    pub async fn ticket_presence(&self, ticket: &Ticket) -> Result<TicketPresence, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::ISSUE, kind, &["issue", &ticket.id]).query("fields", "status");
        match self.sender.call(request).await {
            Ok(_) => return Ok(TicketPresence::Found),
            Err(error) if !error.is_missing() => return Err(error),
            Err(_) => {}
        }
        self.sender.authenticate(Instant::now()).await?;
        let unproven = |why| Ok(TicketPresence::Unproven { why });
        let project = &ticket.project;
        match self.permissions(project).await {
            Ok(permissions) if permissions.get(BROWSE) == Some(&true) => Ok(TicketPresence::Missing),
            Ok(_) => {
                unproven(format!("Jira does not show it, and the bridge's account may not browse {project}"))
            }
            Err(error) if error.is_missing() => {
                unproven(format!("Jira shows neither it nor its project {project}"))
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a comment, once for each `tag`: the bridge's comments carry it as a property.
    ///
    /// # Errors
    /// Any; after one with an unknown side effect, call again.
    pub async fn comment(&self, ticket_id: &str, tag: &str, text: &Doc) -> Result<(), Error> {
        let kind = self.kind().await?;
        if self.has_comment(kind, ticket_id, tag).await? {
            return Ok(());
        }
        let body = json!({
            "body": Self::text(kind, text),
            "properties": [{"key": PROPERTY, "value": {"tag": tag}}],
        });
        let request = Request::post(Operation::COMMENT, kind, &["issue", ticket_id, "comment"]);
        let answer = self.sender.call(request.body(body).non_idempotent()).await?;
        answer.expect_status(StatusCode::CREATED)
    }

    /// Whether a comment by the bridge carries the tag.
    pub(super) async fn has_comment(&self, kind: Kind, ticket_id: &str, tag: &str) -> Result<bool, Error> {
        let ours = self.sender.account().await?;
        let mut start = 0;
        loop {
            let request = Request::get(Operation::COMMENTS, kind, &["issue", ticket_id, "comment"])
                .query("startAt", start.to_string())
                .query("maxResults", "100")
                .query("expand", "properties");
            let answer = self.sender.call(request).await?;
            let page: wire::Comments = answer.read()?;
            let comments = page.comments.ok_or_else(|| answer.unreadable("it has no comments"))?;
            start += comments.len();
            let end = comments.is_empty() || page.total.is_none_or(|total| start >= total);
            for comment in comments {
                let by_us =
                    comment.author.and_then(wire::User::account).is_some_and(|author| author.is_same(&ours));
                let tagged = match comment.properties {
                    _ if !by_us => false,
                    Some(properties) => properties.iter().any(|property| {
                        property.key == PROPERTY && marks::has_mark(&property.value, "tag", tag)
                    }),
                    None => self.comment_has_tag(kind, &comment.id, tag).await?,
                };
                if tagged {
                    return Ok(true);
                }
            }
            if end {
                return Ok(false);
            }
        }
    }

    /// Reads the property of one comment, if the list does not include properties: neither OpenAPI file promises that
    /// it does.
    async fn comment_has_tag(&self, kind: Kind, comment: &str, tag: &str) -> Result<bool, Error> {
        let path = ["comment", comment, "properties", PROPERTY];
        let answer = match self.sender.call(Request::get(Operation::COMMENTS, kind, &path)).await {
            Err(error) if error.is_missing() => return Ok(false),
            other => other?,
        };
        let property: wire::Property = answer.read()?;
        Ok(marks::has_mark(&property.value, "tag", tag))
    }

    /// Moves a ticket to a status, given by id or name, in one step. Sets those of the `fields` that the transition's
    /// screen has.
    ///
    /// # Errors
    /// Any; after one with an unknown side effect, call again.
    pub async fn transition(
        &self,
        ticket_id: &str,
        to: &str,
        fields: &Map<String, Value>,
    ) -> Result<TransitionOutcome, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::ISSUE, kind, &["issue", ticket_id]).query("fields", "status");
        let answer = self.sender.call(request).await?;
        let issue: wire::Issue = answer.read()?;
        let status = issue.fields.and_then(|fields| fields.status);
        let status = status.ok_or_else(|| answer.unreadable("an issue without its status"))?.status();
        if is_status(&status, to) {
            return Ok(TransitionOutcome::AlreadyThere);
        }
        let path = ["issue", ticket_id, "transitions"];
        let request = Request::get(Operation::TRANSITIONS, kind, &path).query("expand", "transitions.fields");
        let answer = self.sender.call(request).await?;
        let found: wire::Transitions = answer.read()?;
        let found = found.transitions.ok_or_else(|| answer.unreadable("it has no transitions"))?;
        match choose(found, to, fields) {
            TransitionChoice::None(how) => Ok(how),
            TransitionChoice::Go { id, fields, skipped_fields } => {
                let mut body = json!({"transition": {"id": id}});
                if !fields.is_empty() {
                    body["fields"] = Value::Object(fields);
                }
                let request = Request::post(Operation::TRANSITION, kind, &path).body(body).non_idempotent();
                self.sender.call(request).await?.expect_status(StatusCode::NO_CONTENT)?;
                Ok(TransitionOutcome::Moved { skipped_fields })
            }
        }
    }

    /// Adds a label, if the ticket does not have it.
    ///
    /// # Errors
    /// Any; after one with an unknown side effect, call again.
    pub async fn label(&self, ticket_id: &str, label: &str) -> Result<(), Error> {
        let kind = self.kind().await?;
        let request = Request::put(Operation::LABEL, kind, &["issue", ticket_id])
            .body(json!({"update": {"labels": [{"add": label}]}}));
        self.sender.call(request).await?.expect_status(StatusCode::NO_CONTENT)
    }

    /// Links two tickets as related. Jira makes no second link of the same kind between them.
    ///
    /// # Errors
    /// Any; after one with an unknown side effect, call again. 404 also means that the account may not link them.
    pub async fn link(&self, from_id: &str, to_id: &str) -> Result<LinkOutcome, Error> {
        let not_found = match self.link_as(RELATES, from_id, to_id).await {
            Err(error) if error.is_missing() => error,
            linked => return linked.map(|()| LinkOutcome::Linked),
        };
        // Perhaps Jira does not have this link type, or has it under another name.
        let impossible = |why: String| Ok(LinkOutcome::Impossible { why });
        let request = Request::get(Operation::LINK_TYPES, self.kind().await?, &["issueLinkType"]);
        let answer = match self.sender.call(request).await {
            Err(error) if error.is_missing() => {
                return impossible("links between issues are turned off in Jira".into());
            }
            answer => answer?,
        };
        let types: wire::LinkTypes = answer.read()?;
        let types = types.types.ok_or_else(|| answer.unreadable("it has no link types"))?;
        match relates_type(&types) {
            Some(name) if name == RELATES => Err(not_found),
            Some(name) => self.link_as(name, from_id, to_id).await.map(|()| LinkOutcome::Linked),
            None => {
                let names: Vec<String> = types.iter().map(|it| text::single_line(&it.name)).collect();
                impossible(format!("Jira has no link type \"{RELATES}\"; it has: {}", names.join(", ")))
            }
        }
    }

    async fn link_as(&self, name: &str, from_id: &str, to_id: &str) -> Result<(), Error> {
        let kind = self.kind().await?;
        let request = Request::post(Operation::LINK, kind, &["issueLink"]).non_idempotent().body(json!({
            "type": {"name": name},
            "inwardIssue": {"id": from_id},
            "outwardIssue": {"id": to_id},
        }));
        self.sender.call(request).await?.expect_status(StatusCode::CREATED)
    }
}

/// The name of Jira's link type for related issues, unless an administrator renamed it.
const RELATES: &str = "Relates";

/// The link type for related issues: by its name, by its words, or because it is the only one with the same words both
/// ways.
fn relates_type(types: &[wire::LinkType]) -> Option<&str> {
    let same = |one: &str, other: &str| one.trim().eq_ignore_ascii_case(other);
    let both_ways = |it: &&wire::LinkType| !it.inward.is_empty() && same(&it.inward, &it.outward);
    let only = || {
        let mut both_ways = types.iter().filter(both_ways);
        both_ways.next().filter(|_| both_ways.next().is_none())
    };
    let found = types.iter().find(|it| same(&it.name, RELATES));
    let found = found.or_else(|| types.iter().find(|it| same(&it.inward, "relates to")));
    found.or_else(only).map(|it| it.name.as_str())
}

/// Whether this is the status `wanted`, given by id or name. Ids are compared exactly, names without regard to case.
#[must_use]
pub fn is_status(status: &Status, wanted: &str) -> bool {
    status.id == wanted || status.name.to_lowercase() == text::single_line(wanted.trim()).to_lowercase()
}

pub(super) enum TransitionChoice {
    Go { id: String, fields: Map<String, Value>, skipped_fields: Vec<String> },
    None(TransitionOutcome),
}

/// The transition to take: one that leads to the status and requires only configured fields.
pub(super) fn choose(
    transitions: Vec<wire::Transition>,
    to: &str,
    fields: &Map<String, Value>,
) -> TransitionChoice {
    let (mut reachable, mut blocked) = (vec![], None);
    for transition in transitions {
        if transition.is_available == Some(false) {
            continue;
        }
        let target = transition.to.status();
        if !is_status(&target, to) {
            reachable.push(target.name);
            continue;
        }
        let Some(screen) = transition.fields else {
            return TransitionChoice::Go {
                id: transition.id,
                fields: fields.clone(),
                skipped_fields: vec![],
            };
        };
        let (known, unknown): (Map<_, _>, Map<_, _>) =
            fields.clone().into_iter().partition(|(id, _)| screen.contains_key(id));
        let mut missing: Vec<String> = screen
            .into_iter()
            .filter_map(|(id, meta)| meta.field(Some(id)))
            .filter(|field| field.required && !field.has_default && !known.contains_key(&field.id))
            .map(|field| field.id)
            .collect();
        missing.sort();
        if missing.is_empty() {
            let skipped_fields = unknown.into_iter().map(|(id, _)| id).collect();
            return TransitionChoice::Go { id: transition.id, fields: known, skipped_fields };
        }
        blocked = blocked.or(Some(TransitionOutcome::NeedsFields { missing }));
    }
    reachable.sort();
    reachable.dedup();
    TransitionChoice::None(blocked.unwrap_or(TransitionOutcome::NoPath { reachable }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transitions(json: Value) -> Vec<wire::Transition> {
        serde_json::from_value(json).unwrap()
    }

    fn one_way() -> Vec<wire::Transition> {
        transitions(json!([
            {"id": "11", "name": "Go", "to": {"id": "3", "name": "Review"}},
            {"id": 21, "name": "Close", "to": {"id": "6", "name": "Done"}, "fields": {
                "resolution": {"required": true, "hasDefaultValue": false, "name": "Resolution"},
                "assignee": {"required": true, "hasDefaultValue": true},
            }},
            {"id": "31", "name": "Off", "to": {"id": "7", "name": "Cancelled"}, "isAvailable": false},
        ]))
    }

    #[test]
    fn a_transition_is_chosen_by_where_it_leads() {
        let fields = json!({"resolution": {"name": "Done"}, "priority": 1});
        for to in ["6", "done", " Done "] {
            let TransitionChoice::Go { id, fields, skipped_fields } =
                choose(one_way(), to, fields.as_object().unwrap())
            else {
                panic!("{to}");
            };
            assert_eq!((id.as_str(), skipped_fields), ("21", vec!["priority".to_owned()]));
            assert_eq!(Value::Object(fields), json!({"resolution": {"name": "Done"}}));
        }
    }

    #[test]
    fn a_link_is_chosen_by_what_it_says() {
        let kind = |name: &str, inward: &str, outward: &str| wire::LinkType {
            name: name.into(),
            inward: inward.into(),
            outward: outward.into(),
        };
        let blocks = || kind("Blocks", "is blocked by", "blocks");
        let table = [
            (vec![blocks(), kind("relates", "", "")], Some("relates")),
            (vec![blocks(), kind("Related", "relates to", "relates to")], Some("Related")),
            (vec![blocks(), kind("Bezug", "betrifft", "betrifft")], Some("Bezug")),
            (vec![kind("Bezug", "betrifft", "betrifft"), kind("Paar", "mit", "mit")], None),
            (vec![blocks()], None),
            (vec![], None),
        ];
        for (types, expected) in table {
            assert_eq!(relates_type(&types), expected, "{types:?}");
        }
    }

    #[test]
    fn without_a_transition_the_outcome_says_why() {
        let none = |to| match choose(one_way(), to, &Map::new()) {
            TransitionChoice::None(how) => how,
            TransitionChoice::Go { id, .. } => panic!("{id}"),
        };
        assert_eq!(none("Done"), TransitionOutcome::NeedsFields { missing: vec!["resolution".into()] });
        let reachable = vec!["Done".to_owned(), "Review".to_owned()];
        assert_eq!(none("Cancelled"), TransitionOutcome::NoPath { reachable });
    }
}
