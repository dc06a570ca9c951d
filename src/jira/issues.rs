//! Opening tickets, finding them again, and looking at them.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Draft, Jira, Kind, LABEL, Slot,
    answer::Answer,
    cloud, data_center,
    error::{By, Error},
    gate_label,
    request::Request,
    wire::{self, PROPERTY},
    words,
};
use crate::{
    gate::{GateId, Home, Sighting, Ticket},
    millis::Millis,
};

/// What is read of an issue.
pub(super) const FIELDS: [&str; 4] = ["status", "project", "issuetype", "labels"];

/// The longest summary is 255 characters; older versions say "less than 255".
const LONGEST_SUMMARY: usize = 254;

/// A changelog of more pages than this is not read: it is not a ticket of ours any more.
const MOST_PAGES: usize = 100;

/// A ticket that was just opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Jira's number.
    pub id: String,
    /// What people read.
    pub key: String,
}

impl Jira {
    /// Opens a ticket. The sending is to be recorded between [`Jira::slot`] and this, which sends at once or not at
    /// all.
    ///
    /// # Errors
    /// Any; unless [`Error::happened`] says no, the ticket may be there.
    pub async fn create(&self, slot: Slot, draft: &Draft) -> Result<Created, Error> {
        let kind = slot.ready?;
        let request =
            Request::new("create", Method::POST, kind, &["issue"]).body(body(draft, kind)).doubles();
        let answer = self.sender.call_now(slot.throttled, request).await?;
        let created: wire::Created = answer.read()?;
        Ok(Created { id: created.id, key: created.key })
    }

    /// The tickets of this gate that are certainly ours, the oldest first, with where they are now: they may have been
    /// moved already. People clone issues with their labels; ours is what our own account created and whose property
    /// is the gate's id. The search's index lags behind; an empty answer does not mean that there is none.
    ///
    /// # Errors
    /// Any.
    pub async fn find(&self, gate: &GateId) -> Result<Vec<Ticket>, Error> {
        let kind = self.kind().await?;
        let jql = format!("labels = \"{}\"", gate_label(gate));
        let search = match kind {
            Kind::Cloud => cloud::search(&jql),
            Kind::DataCenter => data_center::search(&jql),
        };
        let answer = self.sender.call(search).await?;
        let issues: wire::Issues = answer.read()?;
        let mut found = vec![];
        for issue in issues.issues.ok_or_else(|| answer.unreadable("it has no issues"))? {
            let issue: wire::Issue = parse(&answer, issue)?;
            found.extend(self.inspect(kind, &issue.id, gate).await?);
        }
        found.sort_by_key(|ticket| ticket.id.parse::<u64>().unwrap_or(u64::MAX));
        Ok(found)
    }

    /// Reads a hit past the index, which may show labels sooner than properties. None: it is not proven to be ours, or
    /// not there any more.
    async fn inspect(&self, kind: Kind, id: &str, gate: &GateId) -> Result<Option<Ticket>, Error> {
        let request = Request::new("issue", Method::GET, kind, &["issue", id])
            .query("fields", "creator,project,issuetype")
            .query("properties", PROPERTY);
        let answer = match self.sender.call(request).await {
            Err(Error::Refused { status: 404, by: By::Jira, .. }) => return Ok(None),
            other => other?,
        };
        let issue: wire::Issue = answer.read()?;
        let mut fields = issue.fields.unwrap_or_default();
        let creator = fields.creator.take().and_then(wire::User::account);
        let marked = issue.properties.as_ref().and_then(|properties| properties.get(PROPERTY));
        let ours = self.sender.account().await?;
        if !creator.is_some_and(|creator| creator.is(&ours))
            || !marked.is_some_and(|mark| wire::says(mark, "gate", &gate.0))
        {
            return Ok(None);
        }
        let Home { project, issue_type } =
            fields.home().ok_or_else(|| answer.unreadable("an issue without its project or its type"))?;
        Ok(Some(Ticket { id: issue.id, key: issue.key, project, issue_type }))
    }

    /// Looks at up to 100 tickets at once (more are left out); a changelog that is longer than Cloud shows here costs
    /// further requests. An id that is absent from the result was not seen, which proves nothing.
    ///
    /// # Errors
    /// Any.
    pub async fn look(&self, ids: &[String]) -> Result<HashMap<String, Sighting>, Error> {
        // Only numbers: they become a query on Data Center.
        let numeric = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let asked: Vec<&str> = ids.iter().map(String::as_str).filter(numeric).take(100).collect();
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let kind = self.kind().await?;
        let request = match kind {
            Kind::Cloud => cloud::read_many(&asked),
            Kind::DataCenter => data_center::read_many(&asked),
        };
        let answer = self.sender.call(request).await?;
        let issues: wire::Issues = answer.read()?;
        let mut seen = HashMap::new();
        for issue in issues.issues.ok_or_else(|| answer.unreadable("it has no issues"))? {
            let sighting = async {
                let issue: wire::Issue = parse(&answer, issue)?;
                let id = issue.id.clone();
                Ok((id, self.sighting(kind, &answer, issue).await?))
            };
            match sighting.await {
                Ok((id, sighting)) if asked.contains(&id.as_str()) => {
                    seen.insert(id, sighting);
                }
                // One bad issue shall not hide the others; asked for alone, it says what is wrong with it.
                Ok(_) | Err(Error::Unreadable { .. } | Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }

    /// Looks at one ticket. Missing only if Jira's API itself said 404, with credentials that are proven.
    ///
    /// # Errors
    /// Any.
    pub async fn look_closely(&self, id: &str) -> Result<Sighting, Error> {
        let kind = self.kind().await?;
        let request = Request::new("issue", Method::GET, kind, &["issue", id])
            .query("fields", FIELDS.join(","))
            .query("properties", PROPERTY)
            .query("expand", "changelog");
        let answer = match self.sender.call(request).await {
            Err(Error::Refused { status: 404, by: By::Jira, .. }) => return Ok(Sighting::Missing),
            other => other?,
        };
        // By way of a value: a key may come twice.
        let issue = parse(&answer, answer.read()?)?;
        if issue.id != id {
            return Err(answer.unreadable(&format!("it is about {}, not {id}", words::line(&issue.id))));
        }
        self.sighting(kind, &answer, issue).await
    }

    /// What an issue in an answer shows. An answer without `Date` counts as given now by our clock, the only case in
    /// which the two clocks meet.
    async fn sighting(&self, kind: Kind, answer: &Answer, mut issue: wire::Issue) -> Result<Sighting, Error> {
        let answered: Millis = answer.date.unwrap_or_else(|| self.sender.clock.now());
        issue.check().map_err(|what| answer.unreadable(what))?;
        let histories = match (issue.histories(), kind) {
            (Some(histories), _) => histories,
            (None, Kind::Cloud) => self.whole_changelog(&issue.id).await?,
            (None, Kind::DataCenter) => return Err(answer.unreadable("an issue without its whole changelog")),
        };
        issue.sighting(&histories, answered, kind).map_err(|what| answer.unreadable(what))
    }

    /// A changelog that is too long to come with its issue.
    async fn whole_changelog(&self, id: &str) -> Result<Vec<Value>, Error> {
        let mut all = vec![];
        for _ in 0..MOST_PAGES {
            let answer = self.sender.call(cloud::changelog(id, all.len())).await?;
            let page: wire::Changelog = answer.read()?;
            let (total, is_last) = (page.total, page.is_last);
            let entries = page.entries().ok_or_else(|| answer.unreadable("a changelog without entries"))?;
            let end = entries.is_empty();
            all.extend(entries);
            if total.map_or(end || is_last == Some(true), |total| all.len() >= total) {
                return Ok(all);
            }
            if end {
                return Err(answer.unreadable("a changelog that breaks off"));
            }
        }
        let what = "a changelog of more than 10,000 entries".to_owned();
        Err(Error::Unreadable { host: self.sender.host.clone(), what })
    }
}

fn parse(answer: &Answer, issue: Value) -> Result<wire::Issue, Error> {
    serde_json::from_value(issue).map_err(|error| answer.unreadable(&words::line(&error.to_string())))
}

/// The body of a create: the configured fields, and over them what is ours to say.
fn body(draft: &Draft, kind: Kind) -> Value {
    let mut fields = draft.fields.clone();
    let mut labels = vec![LABEL.to_owned(), gate_label(&draft.gate)];
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
    json!({"fields": fields, "properties": [{"key": PROPERTY, "value": {"gate": draft.gate}}]})
}

/// One line of at most 254 characters, counted as Java does: those beyond the basic plane are two.
fn summary(text: &str) -> String {
    let mut length = 0;
    let fits = |c: &char| {
        length += c.len_utf16();
        length <= LONGEST_SUMMARY
    };
    words::line(text).trim().chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ticket::{Block, Doc, Span};

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
            fields: configured.as_object().unwrap().clone(),
        };
        let mut body = body(&draft, Kind::DataCenter);
        let short = body["fields"]["summary"].take();
        let short = short.as_str().unwrap();
        assert!(short.starts_with("two lines é") && short.chars().count() == 254, "{short}");
        assert_eq!(summary(&"🚀".repeat(300)).chars().count(), 127);
        let expected = json!({
            "fields": {
                "project": {"key": "OPS"}, "issuetype": {"id": "10004"}, "summary": null, "description": "\\{hi\\}",
                "priority": {"name": "High"}, "labels": ["flagger-gate", "fjb-4f1c", "flagger", "team"],
            },
            "properties": [{"key": "flagger-jira-bridge", "value": {"gate": "4f1c"}}],
        });
        assert_eq!(body, expected);
    }
}
