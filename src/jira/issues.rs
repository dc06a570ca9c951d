//! Opens tickets, and finds them again.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    client::{CreatePermit, Jira},
    cloud, data_center,
    error::Error,
    marks::{self, LABEL, PROPERTY},
    request::{Operation, Request},
    settings::Kind,
    wire,
};
use crate::{
    gate::{GateId, Home, Ticket},
    text,
    ticket::{Block, Doc, Span},
};

/// Jira allows 255 characters in a summary; older versions say "less than 255".
const LONGEST_SUMMARY: usize = 254;

/// A ticket to be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its gate, which a label and a property name.
    pub gate: GateId,
    /// The project's key.
    pub project: String,
    /// The id of the issue type.
    pub issue_type: String,
    /// One line; truncated if it is too long for Jira.
    pub summary: String,
    /// The text that people read.
    pub description: Doc,
    /// Labels in addition to the bridge's own two.
    pub labels: Vec<String>,
    /// The account id, or on Data Center the user name, of the assignee. It replaces a configured field.
    pub assignee: Option<String>,
    /// The service desk and the request type, if it is to be a request: then it has no assignee, and gets its mark by a
    /// request of its own.
    pub request: Option<RequestType>,
    /// Further fields, in Jira's JSON. They cannot replace project, type, summary or description; their labels are
    /// added.
    pub fields: Map<String, Value>,
}

/// With what a request of Jira Service Management is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestType {
    /// The id of the service desk.
    pub desk: String,
    /// The id of the request type.
    pub id: String,
}

/// A ticket that was just opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Jira's numeric id.
    pub id: String,
    /// Its key, such as `OPS-7`.
    pub key: String,
}

impl Jira {
    /// Opens a ticket: sends at once or not at all. The caller has to store the time of sending between
    /// [`Jira::create_permit`] and this call.
    ///
    /// # Errors
    /// Any; the ticket may exist unless [`Error::side_effect`] is `SideEffect::None`.
    pub async fn create(&self, slot: CreatePermit, draft: &Draft) -> Result<Created, Error> {
        let kind = slot.kind?;
        let request = match &draft.request {
            None => Request::post(Operation::CREATE, kind, &["issue"]).body(body(draft, kind)),
            Some(request_type) => Request::desk(Operation::CREATE_REQUEST, Method::POST, &["request"])
                .body(request_body(draft, request_type, kind)),
        };
        let request = request.non_idempotent();
        let answer = self.sender.call_now(slot.waited, request).await?;
        let created: wire::Created = match draft.request {
            None => answer.read()?,
            Some(_) => answer.read::<wire::CreatedRequest>()?.into(),
        };
        Ok(Created { id: created.id, key: created.key })
    }

    /// The bridge's tickets for this gate, the oldest first, each with its current project and issue type, which may
    /// have changed. People clone issues with their labels, so a ticket counts only if the bridge's account created it
    /// and its property holds the gate's id. The search index lags behind; an empty result does not prove that there is
    /// no ticket. `labels` are those that a request gets which is found before it was marked.
    ///
    /// # Errors
    /// Any.
    pub async fn find(&self, gate: &GateId, labels: &[String]) -> Result<Vec<Ticket>, Error> {
        let kind = self.kind().await?;
        let mut found = vec![];
        for id in self.search(kind, &format!("labels = \"{}\"", gate.label())).await? {
            found.extend(self.verify_hit(kind, &id, gate).await?);
        }
        if self.opens_requests {
            // A request gets its mark after it was opened.
            for id in self.search(kind, &format!("description ~ \"{}\"", gate.0)).await? {
                if !found.iter().any(|known: &Ticket| known.id == id) {
                    found.extend(self.verify_request(kind, &id, (gate, labels)).await?);
                }
            }
        }
        found.sort_by_key(|ticket| ticket.id.parse::<u64>().unwrap_or(u64::MAX));
        Ok(found)
    }

    /// The ids of the issues that the index shows for a query.
    async fn search(&self, kind: Kind, jql: &str) -> Result<Vec<String>, Error> {
        let search = match kind {
            Kind::Cloud => cloud::search(jql),
            Kind::DataCenter => data_center::search(jql),
        };
        let answer = self.sender.call(search).await?;
        let issues: wire::Issues = answer.read()?;
        let issues = issues.issues.ok_or_else(|| answer.unreadable("it has no issues"))?;
        issues.into_iter().map(|issue| Ok(answer.part::<wire::Issue>(issue)?.id)).collect()
    }

    /// A request that the bridge opened for this gate, but may not have marked: now it is. None: it is not proven to be the
    /// bridge's, or is marked already, also as that of another gate.
    async fn verify_request(
        &self,
        kind: Kind,
        id: &str,
        (gate, labels): (&GateId, &[String]),
    ) -> Result<Option<Ticket>, Error> {
        let request = Request::get(Operation::ISSUE, kind, &["issue", id])
            .query("fields", "creator,project,issuetype,description")
            .query("properties", PROPERTY);
        let answer = match self.sender.call(request).await {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let issue: wire::Issue = answer.read()?;
        let is_marked = issue.properties.as_ref().is_none_or(|all| all.get(PROPERTY).is_some());
        let mut fields = issue.fields.unwrap_or_default();
        let creator = fields.creator.take().and_then(wire::User::account);
        let ours = self.sender.account().await?;
        let is_ours = creator.is_some_and(|creator| creator.is_same(&ours));
        if is_marked || !is_ours || fields.last_line("description") != reference(gate) {
            return Ok(None);
        }
        let Home { project, issue_type } =
            fields.home().ok_or_else(|| answer.unreadable("an issue without its project or its type"))?;
        self.mark(&issue.id, gate, labels).await?;
        Ok(Some(Ticket { id: issue.id, key: issue.key, project, issue_type, taken_at: None }))
    }

    /// Reads a hit directly, because the index may show labels sooner than properties. None: it is not proven to be the
    /// bridge's, or it no longer exists.
    async fn verify_hit(&self, kind: Kind, id: &str, gate: &GateId) -> Result<Option<Ticket>, Error> {
        let request = Request::get(Operation::ISSUE, kind, &["issue", id])
            .query("fields", "creator,project,issuetype")
            .query("properties", PROPERTY);
        let answer = match self.sender.call(request).await {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let issue: wire::Issue = answer.read()?;
        let mut fields = issue.fields.unwrap_or_default();
        let creator = fields.creator.take().and_then(wire::User::account);
        let marked = issue.properties.as_ref().and_then(|properties| properties.get(PROPERTY));
        let ours = self.sender.account().await?;
        if !creator.is_some_and(|creator| creator.is_same(&ours))
            || !marked.is_some_and(|mark| marks::has_mark(mark, "gate", &gate.0))
        {
            return Ok(None);
        }
        let Home { project, issue_type } =
            fields.home().ok_or_else(|| answer.unreadable("an issue without its project or its type"))?;
        Ok(Some(Ticket { id: issue.id, key: issue.key, project, issue_type, taken_at: None }))
    }
}

/// The last line of the description of a request, by which it is found before it has its mark. What others send stands before
/// it. It has no character that Jira's wiki markup escapes.
fn reference(gate: &GateId) -> String {
    format!("Reference {}", gate.0)
}

/// The body of a request: the configured fields, which must be on the form of the request type, summary and description.
fn request_body(draft: &Draft, RequestType { desk, id }: &RequestType, kind: Kind) -> Value {
    let Doc(mut description) = draft.description.clone();
    description.push(Block::Paragraph(vec![Span::Text(reference(&draft.gate))]));
    let mut fields = draft.fields.clone();
    fields.insert("summary".into(), json!(summary(&draft.summary)));
    fields.insert("description".into(), Jira::text(kind, &Doc(description)));
    let mut body = json!({"serviceDeskId": desk, "requestTypeId": id, "requestFieldValues": fields});
    match kind {
        Kind::Cloud => body["isAdfRequest"] = json!(true),
        Kind::DataCenter => {}
    }
    body
}

/// The body of a create: the configured fields, then the bridge's own, which replace them.
fn body(draft: &Draft, kind: Kind) -> Value {
    let mut fields = draft.fields.clone();
    let mut labels = vec![LABEL.to_owned(), draft.gate.label()];
    let configured = match fields.remove("labels") {
        Some(Value::Array(labels)) => labels,
        Some(label @ Value::String(_)) => vec![label],
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => vec![],
    };
    let configured = configured.iter().filter_map(Value::as_str).map(str::to_owned);
    for label in draft.labels.iter().cloned().chain(configured) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    fields.insert("project".into(), json!({"key": draft.project}));
    fields.insert("issuetype".into(), json!({"id": draft.issue_type}));
    fields.insert("summary".into(), json!(summary(&draft.summary)));
    fields.insert("description".into(), Jira::text(kind, &draft.description));
    fields.insert("labels".into(), json!(labels));
    if let Some(assignee) = &draft.assignee {
        let by = match kind {
            Kind::Cloud => "accountId",
            Kind::DataCenter => "name",
        };
        fields.insert("assignee".into(), json!({by: assignee}));
    }
    json!({"fields": fields, "properties": [{"key": PROPERTY, "value": {"gate": draft.gate}}]})
}

/// One line of at most 254 characters, counted as Java does: a character beyond the basic plane counts as two.
fn summary(text: &str) -> String {
    let mut length = 0;
    let fits = |c: &char| {
        length += c.len_utf16();
        length <= LONGEST_SUMMARY
    };
    text::single_line(text).trim().chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ticket::{Block, Span};

    proptest! {
        #[test]
        fn a_summary_is_one_line_that_jira_takes(text in "([\\PC\n\r\t\u{0}\u{2028}\u{202e}]|🚀){0,300}") {
            let short = summary(&text);
            prop_assert!(short.encode_utf16().count() <= LONGEST_SUMMARY, "{short}");
            prop_assert!(!short.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{202e}'), "{short:?}");
        }
    }

    #[test]
    fn the_configured_fields_add_and_never_replace() {
        let configured = json!({
            "project": {"key": "EVIL"}, "summary": "x", "issuetype": {"id": "1"}, "description": "x",
            "priority": {"name": "High"}, "labels": ["flagger-gate", "team"],
        });
        let draft = Draft {
            gate: GateId("4f1c".into()),
            project: "OPS".into(),
            issue_type: "10004".into(),
            summary: format!("two\nlines\u{7} {}", "é".repeat(300)),
            description: Doc(vec![Block::Paragraph(vec![Span::Text("{hi}".into())])]),
            labels: vec!["flagger".into()],
            request: None,
            assignee: Some("mia".into()),
            fields: configured.as_object().unwrap().clone(),
        };
        let mut body = body(&draft, Kind::DataCenter);
        let short = body["fields"]["summary"].take();
        let short = short.as_str().unwrap();
        assert!(short.starts_with("two lines  é") && short.chars().count() == 254, "{short}");
        assert_eq!(summary(&"🚀".repeat(300)).chars().count(), 127);
        let expected = json!({
            "fields": {
                "project": {"key": "OPS"}, "issuetype": {"id": "10004"}, "summary": null, "description": "\\{hi\\}",
                "assignee": {"name": "mia"}, "priority": {"name": "High"}, "labels": ["flagger-gate", "fjb-4f1c", "flagger", "team"],
            },
            "properties": [{"key": "flagger-jira-bridge", "value": {"gate": "4f1c"}}],
        });
        assert_eq!(body, expected);
    }
}
