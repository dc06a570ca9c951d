//! Opening tickets, finding them again, and looking at them.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Draft, Jira, Kind, LABEL, Slot,
    answer::Answer,
    cloud, data_center,
    error::Error,
    gate_label,
    request::{Operation, Request},
    span::{Place, Span},
    wire::{self, PROPERTY},
};
use crate::{
    gate::{Browse, GateId, Home, Invalidation, Move, Sighting, Ticket},
    millis::Millis,
    text,
};

/// What is read of an issue.
pub(super) const FIELDS: [&str; 4] = ["status", "project", "issuetype", "labels"];

/// The permission to see a project's issues.
const BROWSE: &str = "BROWSE_PROJECTS";

/// The longest summary is 255 characters; older versions say "less than 255".
const LONGEST_SUMMARY: usize = 254;

/// So many entries of a changelog are asked for at once: Jira gives no more.
const LONGEST_PAGE: usize = 100;

/// A ticket that was just opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Jira's number.
    pub id: String,
    /// What people read.
    pub key: String,
}

/// What an answer shows of a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What it shows. All moves are among the newest entries of the changelog; there may be older ones.
    pub sighting: Sighting,
    /// How many of the newest entries of its changelog were read.
    pub newest: usize,
    /// Whether those are all.
    pub is_whole: bool,
    /// How many there are in all, if that is known.
    pub total: Option<usize>,
    /// Where that was not told: the place of each that was read, the newest first.
    pub places: Vec<Place>,
    /// From when to when they are, if they are in order.
    pub span: Option<Span>,
    /// How long it is in the answer, where that is for many.
    pub length: usize,
}

/// Whose ticket an issue says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marks {
    /// That of these gates.
    Of(Vec<GateId>),
    /// Asked for by its id alone, Jira showed no such issue, and knew us afterwards.
    Missing,
}

/// Where in a changelog to go on, towards its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// At its end.
    End,
    /// Before an entry.
    Entry {
        /// Its number; the oldest one is 0.
        entry: usize,
        /// How many there are in all.
        of: usize,
    },
}

/// Part of a changelog.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The changes of the status in it.
    pub moves: Vec<Move>,
    /// What in it undoes those before.
    pub invalidations: Vec<Invalidation>,
    /// From when to when its entries are, if they are in order.
    pub span: Option<Span>,
    /// The number of its oldest entry.
    pub start: usize,
    /// The number of the entry after its newest one.
    pub end: usize,
}

impl Reading {
    /// Adds the part of the changelog right before what was read.
    pub fn add(&mut self, page: Page) {
        let Sighting::Issue { moves, invalidations, .. } = &mut self.sighting else { return };
        // Where the length was not known, the page is the end of the changelog, and has the newest entries again.
        let newer = if self.newest == 0 || self.total.is_none() { None } else { Some(self.span) };
        self.span = match newer {
            None => page.span,
            Some(newer) => page.span.zip(newer).and_then(|(older, newer)| older.and(newer)),
        };
        add(moves, page.moves);
        add(invalidations, page.invalidations);
        let end = self.total.unwrap_or(page.end);
        self.total = Some(end);
        self.newest = end - page.start;
        self.is_whole = page.start == 0;
    }

    /// Whether nothing is missing of the changelog since then, by Jira's clock.
    #[must_use]
    pub fn goes_back_to(&self, since: Millis) -> bool {
        self.is_whole || self.span.is_some_and(|span| span.is_from_before(since))
    }

    /// What follows what was read towards the beginning.
    #[must_use]
    pub fn before(&self) -> Before {
        let before = |total: usize| Before::Entry { entry: total.saturating_sub(self.newest), of: total };
        self.total.map_or(Before::End, before)
    }
}

/// Adds what is not there yet.
pub fn add<T: PartialEq>(to: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !to.contains(&one) {
            to.push(one);
        }
    }
}

impl Jira {
    /// Opens a ticket. The sending is to be recorded between [`Jira::slot`] and this, which sends at once or not at
    /// all.
    ///
    /// # Errors
    /// Any; unless [`Error::happened`] says no, the ticket may be there.
    pub async fn create(&self, slot: Slot, draft: &Draft) -> Result<Created, Error> {
        let kind = slot.ready?;
        let request = Request::post(Operation::CREATE, kind, &["issue"]).body(body(draft, kind)).doubles();
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
        if !creator.is_some_and(|creator| creator.is(&ours))
            || !marked.is_some_and(|mark| wire::says(mark, "gate", &gate.0))
        {
            return Ok(None);
        }
        let Home { project, issue_type } =
            fields.home().ok_or_else(|| answer.unreadable("an issue without its project or its type"))?;
        Ok(Some(Ticket { id: issue.id, key: issue.key, project, issue_type }))
    }

    /// Looks at up to 100 tickets at once (more are left out), in one request. An id that is absent from the result was not
    /// seen, or cannot be understood, which proves nothing.
    ///
    /// # Errors
    /// Any.
    pub async fn look(&self, ids: &[String]) -> Result<HashMap<String, Reading>, Error> {
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
            let length = issue.to_string().len();
            let reading = parse(&answer, issue).and_then(|issue| {
                let id = issue.id.clone();
                Ok((id, Reading { length, ..self.reading((kind, wire::Read::Together), &answer, issue)? }))
            });
            // One bad issue shall not hide the others; asked for alone, it says what is wrong with it.
            if let Ok((id, reading)) = reading
                && asked.contains(&id.as_str())
            {
                seen.insert(id, reading);
            }
        }
        Ok(seen)
    }

    /// Whether what is read of many tickets at once comes from an index, which may be behind them. As long as nobody knows which
    /// kind of Jira this is, it may be so: what was nudged just before the bridge began anew is read from the issue itself, too.
    pub fn reads_an_index(&self) -> bool {
        self.sender.kind.get() != Some(&Kind::Cloud)
    }

    /// Looks at one ticket with its whole changelog, as [`Jira::look_since`] does.
    ///
    /// # Errors
    /// Any.
    pub async fn look_closely(&self, id: &str) -> Result<Sighting, Error> {
        self.look_since(id, Millis(i64::MIN)).await
    }

    /// Looks at one ticket, with all that its changelog holds of the time since then, by Jira's clock. Missing only if Jira's API itself said
    /// 404, and a `/myself` that was sent after that worked.
    ///
    /// # Errors
    /// Any.
    pub async fn look_since(&self, id: &str, since: Millis) -> Result<Sighting, Error> {
        match self.look_alone(id).await? {
            Some(mut reading) => {
                while !reading.goes_back_to(since) {
                    reading.add(self.look_back(id, reading.before()).await?);
                }
                Ok(reading.sighting)
            }
            None => {
                self.knows_us().await?;
                Ok(Sighting::Missing { browse: Browse::Unproven })
            }
        }
    }

    /// A `/myself` sent now: what Jira said before that it said to us. All who ask while one is under way share the next.
    ///
    /// # Errors
    /// If that is not proven.
    pub async fn knows_us(&self) -> Result<(), Error> {
        self.sender.admit().await?;
        self.sender.prove(Instant::now()).await
    }

    /// Whether our account may browse a project. No: also where Jira does not show it.
    ///
    /// # Errors
    /// Any.
    pub async fn browses(&self, project: &str) -> Result<Browse, Error> {
        match self.permissions(project).await {
            Ok(has) if has.get(BROWSE) == Some(&true) => Ok(Browse::Proven),
            Err(error) if !error.is_missing() => Err(error),
            Ok(_) | Err(_) => Ok(Browse::Unproven),
        }
    }

    /// Looks at one ticket, past every index. None if Jira's API itself said 404; what that means is to be proven. Where the
    /// newest part of its changelog makes an answer too long, it is read without.
    ///
    /// # Errors
    /// Any.
    pub async fn look_alone(&self, id: &str) -> Result<Option<Reading>, Error> {
        let kind = self.kind().await?;
        let plain = Request::get(Operation::ISSUE, kind, &["issue", id])
            .query("fields", FIELDS.join(","))
            .query("properties", PROPERTY);
        let answer = match self.sender.call(plain.query("expand", "changelog")).await {
            Err(Error::Unreadable { .. }) if kind == Kind::Cloud => {
                let bare = Request::get(Operation::ISSUE, kind, &["issue", id])
                    .query("fields", FIELDS.join(","))
                    .query("properties", PROPERTY);
                self.sender.call(bare).await
            }
            answer => answer,
        };
        let answer = match answer {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        // By way of a value: a key may come twice.
        let issue = parse(&answer, answer.read()?)?;
        is_about(&answer, &issue, id)?;
        self.reading((kind, wire::Read::Alone), &answer, issue).map(Some)
    }

    /// The gates whose ticket an issue says that it is, past every index and whatever its history. Missing as in
    /// [`Jira::look_since`].
    ///
    /// # Errors
    /// Any.
    pub async fn marks(&self, id: &str) -> Result<Marks, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::ISSUE, kind, &["issue", id])
            .query("fields", "labels")
            .query("properties", PROPERTY);
        let answer = match self.sender.call(request).await {
            Err(error) if error.is_missing() => {
                self.knows_us().await?;
                return Ok(Marks::Missing);
            }
            other => other?,
        };
        // By way of a value: a key may come twice.
        let issue = parse(&answer, answer.read()?)?;
        is_about(&answer, &issue, id)?;
        issue.marks(kind, wire::Read::Alone).map(Marks::Of).map_err(|what| answer.unreadable(what))
    }

    /// What an issue in an answer shows. An answer without `Date` counts as given now by our clock, the only case in
    /// which the two clocks meet.
    fn reading(
        &self,
        (kind, read): (Kind, wire::Read),
        answer: &Answer,
        mut issue: wire::Issue,
    ) -> Result<Reading, Error> {
        let answered: Millis = answer.date.unwrap_or_else(|| self.sender.clock.now());
        issue.check().map_err(|what| answer.unreadable(what))?;
        let trail = match (issue.trail(kind), kind) {
            (Some(trail), _) if trail.is_whole => trail,
            (trail, Kind::Cloud) => trail.unwrap_or_default(),
            (_, Kind::DataCenter) => return Err(answer.unreadable("an issue without its whole changelog")),
        };
        let wire::Trail { histories, is_whole, total, places, span } = trail;
        let sighting =
            issue.sighting(&histories, answered, kind, read).map_err(|what| answer.unreadable(what))?;
        Ok(Reading { sighting, newest: histories.len(), is_whole, total, places, span, length: 0 })
    }

    /// The part of a changelog before those of its entries that are known: so many older ones at most, or all if there are
    /// fewer. Only Cloud leaves entries out.
    ///
    /// # Errors
    /// Any.
    pub async fn look_back(&self, id: &str, before: Before) -> Result<Page, Error> {
        let (end, whole) = match before {
            Before::Entry { entry, of } => (entry, of),
            Before::End => {
                let answer = self.sender.call(cloud::changelog(id, 0, 1)).await?;
                let page: wire::Changelog = answer.read()?;
                let total = page.total;
                let total =
                    total.ok_or_else(|| answer.unreadable("a changelog that does not say how long it is"))?;
                (total, total)
            }
        };
        let mut most = LONGEST_PAGE;
        loop {
            let start = end.saturating_sub(most);
            let read = self.sender.call(cloud::changelog(id, start, end - start)).await;
            let answer = match read {
                // Perhaps it is too long: those who write whole books into a description make many changes, too.
                Err(Error::Unreadable { .. }) if most > 1 => {
                    most /= 10;
                    continue;
                }
                answer => answer?,
            };
            let page: wire::Changelog = answer.read()?;
            // What is missing would be between the entries that are known, or after them.
            let is_longer = page.total.is_some_and(|total| total > whole);
            let (is_other, is_last) = (page.start_at.is_some_and(|at| at != start), page.is_last);
            let entries = page.entries().ok_or_else(|| answer.unreadable("a changelog without entries"))?;
            // A page that is shorter than was asked for is not the last, and says so.
            let goes_on = end == whole && entries.len() == end - start && is_last == Some(false);
            if is_longer || goes_on {
                return Err(answer.unreadable("a changelog that is longer than was said"));
            }
            if is_other || entries.len() > end - start {
                return Err(answer.unreadable("another part of the changelog than was asked for"));
            }
            if entries.is_empty() && start < end {
                return Err(answer.unreadable("a changelog that breaks off"));
            }
            if entries.len() < end - start {
                // Shorter pages than were asked for: the newer ones first.
                most = entries.len();
                continue;
            }
            let span = wire::span(entries.iter());
            let wire::History { moves, invalidations } = wire::History::read(&entries, Kind::Cloud);
            return Ok(Page { moves, invalidations, span, start, end });
        }
    }
}

fn is_about(answer: &Answer, issue: &wire::Issue, id: &str) -> Result<(), Error> {
    if issue.id == id {
        return Ok(());
    }
    Err(answer.unreadable(&format!("it is about {}, not {id}", text::line(&issue.id))))
}

fn parse(answer: &Answer, issue: Value) -> Result<wire::Issue, Error> {
    serde_json::from_value(issue).map_err(|error| answer.unreadable(&text::line(&error.to_string())))
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
    text::line(text).trim().chars().take_while(fits).collect()
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
        assert!(short.starts_with("two lines  é") && short.chars().count() == 254, "{short}");
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
