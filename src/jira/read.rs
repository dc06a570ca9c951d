//! Reading tickets: many in one request, one with its whole changelog, and the gates that an issue names.

use std::collections::HashMap;

use super::{
    answer::Answer,
    client::Jira,
    cloud, data_center,
    error::Error,
    marks::PROPERTY,
    reading::{ChangelogPage, PageBefore, Reading},
    request::{MAX_PER_REQUEST, Operation, Request},
    settings::Kind,
    wire,
};
use crate::{
    gate::{Browse, GateId, IssueSnapshot},
    millis::Millis,
    text,
};

/// How many changelog entries are requested at once: Jira returns no more.
const LONGEST_PAGE: usize = 100;

/// The gates that an issue names as its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marks {
    /// It names these gates.
    Of(Vec<GateId>),
    /// Jira answered 404 to a request for this issue, and a later `/myself` proved the bridge's account.
    Missing,
}

impl Jira {
    /// Reads up to [`MAX_PER_REQUEST`] tickets in one request; further ids are ignored. An id that is missing from the
    /// result proves nothing: Jira did not return the issue, or it could not be parsed.
    ///
    /// # Errors
    /// Any.
    pub async fn read_many(&self, ids: &[String]) -> Result<HashMap<String, Reading>, Error> {
        // Only numbers, because on Data Center they become part of a query.
        let numeric = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let asked: Vec<&str> = ids.iter().map(String::as_str).filter(numeric).take(MAX_PER_REQUEST).collect();
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let kind = self.kind().await?;
        let request = match kind {
            Kind::Cloud => cloud::read_many(&asked, &self.fields),
            Kind::DataCenter => data_center::read_many(&asked, &self.fields),
        };
        let answer = self.sender.call(request).await?;
        let issues: wire::Issues = answer.read()?;
        let mut seen = HashMap::new();
        for issue in issues.issues.ok_or_else(|| answer.unreadable("it has no issues"))? {
            let length = issue.to_string().len();
            let reading = answer.part(issue).and_then(|issue: wire::Issue| {
                let id = issue.id.clone();
                Ok((
                    id,
                    Reading {
                        json_length: length,
                        ..self.reading((kind, wire::ReadScope::Together), &answer, issue)?
                    },
                ))
            });
            // One bad issue must not hide the others; when it is read alone, the error says what is wrong with it.
            if let Ok((id, reading)) = reading
                && asked.contains(&id.as_str())
            {
                seen.insert(id, reading);
            }
        }
        Ok(seen)
    }

    /// Whether [`Jira::read_many`] reads from a search index, which may lag behind. Also true while the kind of Jira is
    /// unknown, so that a ticket that a webhook named just before a restart is read directly, too.
    pub fn reads_an_index(&self) -> bool {
        self.sender.kind.get() != Some(&Kind::Cloud)
    }

    /// Reads one ticket with its whole changelog, as [`Jira::read_since`] does.
    ///
    /// # Errors
    /// Any.
    pub async fn read_whole(&self, id: &str) -> Result<IssueSnapshot, Error> {
        self.read_since(id, Millis(i64::MIN)).await
    }

    /// Reads one ticket with all changelog entries since `since`, by Jira's clock. Missing only if Jira's API itself
    /// answered 404 and a `/myself` that was sent afterward succeeded.
    ///
    /// # Errors
    /// Any.
    pub async fn read_since(&self, id: &str, since: Millis) -> Result<IssueSnapshot, Error> {
        match self.read_alone(id).await? {
            Some(mut reading) => {
                while !reading.covers_since(since) {
                    reading.add(self.read_before(id, reading.next_page()).await?);
                }
                Ok(reading.snapshot)
            }
            None => {
                self.verify_credentials().await?;
                Ok(IssueSnapshot::Missing { browse: Browse::Unproven })
            }
        }
    }

    /// Reads one ticket directly, not from an index. None if Jira's API itself answered 404; the caller has to prove
    /// what that means. If the newest part of the changelog makes Cloud's answer too long, the ticket is read without a
    /// changelog.
    ///
    /// # Errors
    /// Any.
    pub async fn read_alone(&self, id: &str) -> Result<Option<Reading>, Error> {
        let kind = self.kind().await?;
        let plain = Request::get(Operation::ISSUE, kind, &["issue", id])
            .query("fields", self.fields.join(","))
            .query("properties", PROPERTY);
        let answer = match self.sender.call(plain.query("expand", "changelog")).await {
            Err(Error::Unreadable { .. }) if kind == Kind::Cloud => {
                let bare = Request::get(Operation::ISSUE, kind, &["issue", id])
                    .query("fields", self.fields.join(","))
                    .query("properties", PROPERTY);
                self.sender.call(bare).await
            }
            answer => answer,
        };
        let answer = match answer {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        // Parsed as a `Value` first, because a key may occur twice.
        let issue = answer.part(answer.read()?)?;
        is_about(&answer, &issue, id)?;
        self.reading((kind, wire::ReadScope::Alone), &answer, issue).map(Some)
    }

    /// The gates that an issue names, read directly and without its history. Missing as in [`Jira::read_since`].
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
                self.verify_credentials().await?;
                return Ok(Marks::Missing);
            }
            other => other?,
        };
        // Parsed as a `Value` first, because a key may occur twice.
        let issue = answer.part(answer.read()?)?;
        is_about(&answer, &issue, id)?;
        issue.marks(kind, wire::ReadScope::Alone).map(Marks::Of).map_err(|what| answer.unreadable(what))
    }

    /// The reading of an issue in an answer. An answer without `Date` counts as given now by the bridge's clock, the
    /// only case that mixes the two clocks.
    fn reading(
        &self,
        (kind, read): (Kind, wire::ReadScope),
        answer: &Answer,
        mut issue: wire::Issue,
    ) -> Result<Reading, Error> {
        let answered: Millis = answer.date.unwrap_or_else(|| self.sender.clock.now());
        issue.check().map_err(|what| answer.unreadable(what))?;
        let part = match (issue.changelog_part(kind), kind) {
            (Some(part), _) if part.is_whole => part,
            (part, Kind::Cloud) => part.unwrap_or_default(),
            (_, Kind::DataCenter) => return Err(answer.unreadable("an issue without its whole changelog")),
        };
        let wire::ChangelogPart { histories, is_whole, total, positions, span } = part;
        let snapshot =
            issue.snapshot(&histories, answered, kind, read).map_err(|what| answer.unreadable(what))?;
        let snapshot = self.with_requested_fields(snapshot);
        Ok(Reading {
            snapshot,
            entries_read: histories.len(),
            is_whole,
            total,
            positions,
            span,
            json_length: 0,
        })
    }

    /// The snapshot without fields that were not requested.
    fn with_requested_fields(&self, mut snapshot: IssueSnapshot) -> IssueSnapshot {
        match &mut snapshot {
            IssueSnapshot::Issue { planned, exceptions, .. } => {
                planned.retain(|id, _| self.fields.contains(id));
                exceptions
                    .retain(|shown| self.exceptions.iter().any(|wanted| wanted.is_same(&shown.exception)));
            }
            IssueSnapshot::Missing { .. } => {}
        }
        snapshot
    }

    /// The part of a changelog directly before the entries that were read: at most 100 entries. Only Cloud leaves
    /// entries out.
    ///
    /// # Errors
    /// Any.
    pub async fn read_before(&self, id: &str, before: PageBefore) -> Result<ChangelogPage, Error> {
        let (end, known_total) = match before {
            PageBefore::Entry { entry, total } => (entry, total),
            PageBefore::End => {
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
                // Perhaps the answer is too long, because its entries hold long descriptions.
                Err(Error::Unreadable { .. }) if most > 1 => {
                    most /= 10;
                    continue;
                }
                answer => answer?,
            };
            let page: wire::Changelog = answer.read()?;
            // Then entries would be missing between the known ones or after them.
            let is_longer = page.total.is_some_and(|total| total > known_total);
            let (is_other, is_last) = (page.start_at.is_some_and(|at| at != start), page.is_last);
            let entries = page.entries().ok_or_else(|| answer.unreadable("a changelog without entries"))?;
            // A page that is shorter than requested is not the last, and says so.
            let goes_on = end == known_total && entries.len() == end - start && is_last == Some(false);
            if is_longer || goes_on {
                return Err(answer.unreadable("a changelog that is longer than its total"));
            }
            if is_other || entries.len() > end - start {
                return Err(answer.unreadable("another part of the changelog than the requested one"));
            }
            if entries.is_empty() && start < end {
                return Err(answer.unreadable("a changelog that breaks off"));
            }
            if entries.len() < end - start {
                // Jira's pages are shorter than requested: read the newest entries first.
                most = entries.len();
                continue;
            }
            let span = wire::span(entries.iter());
            let wire::History { moves, invalidations, .. } = wire::History::read(&entries, Kind::Cloud);
            return Ok(ChangelogPage { moves, invalidations, span, start, end });
        }
    }
}

fn is_about(answer: &Answer, issue: &wire::Issue, id: &str) -> Result<(), Error> {
    if issue.id == id {
        return Ok(());
    }
    Err(answer.unreadable(&format!("it is about {}, not {id}", text::single_line(&issue.id))))
}
