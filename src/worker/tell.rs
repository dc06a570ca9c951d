//! What a ticket is told: comments, the label of the dead, transitions, links. Each step asks Jira first whether it was
//! done already, so that it may be done again after a crash.

use serde_json::{Map, Value};

use super::{
    Outcome, Worker,
    workflow::{WORKFLOW, resolve},
};
use crate::{
    gate::Sighting,
    jira::{self, Transitioned},
    policy::{Meaning, Milestone, Target},
    rollout::{Command, Note},
    store::{self, Opened, Row, Settled},
    ticket,
};

/// What telling a ticket came to.
pub(super) enum Told {
    /// It was told, or there is nothing to tell any more.
    Done,
    /// It was told that it opens nothing any more, at this time by Jira's clock.
    Buried(crate::millis::Millis),
    /// It could not be moved; instead this is said.
    Instead(Note),
}

/// What came of taking a command.
enum Claimed {
    /// It is ours, as it is to be performed.
    Row(Row),
    /// It was performed meanwhile.
    Gone,
    /// Another replica works.
    Follows,
}

impl Worker {
    /// Performs one command about a ticket that is there.
    pub(super) async fn tell(&self, row: Row) -> Result<Outcome, store::Error> {
        let row = match self.claim(row).await? {
            Claimed::Row(row) => row,
            Claimed::Gone => return Ok(Outcome::Did),
            Claimed::Follows => return Ok(Outcome::Follows),
        };
        if let Command::Recount { gate, name, since } = &row.command {
            return self.recount(&row, gate, name, *since).await;
        }
        let opened = match self.gatekeeper.store().ticket(row.command.gate()).await {
            Ok(Some(opened)) => opened,
            // It was never opened: nobody waits to be told.
            Ok(None) => return self.told(&row, &Settled::Done, None).await,
            Err(error @ store::Error::Corrupt { .. }) => {
                let parked = Settled::Parked { why: error.to_string(), sent: None };
                return self.told(&row, &parked, None).await;
            }
            Err(error) => return Err(error),
        };
        let (lease, term) = (self.lease.clone(), self.lease.term());
        let told = match jira::only_while(move || lease.holds(term), self.perform(&row, &opened)).await {
            Err(error @ store::Error::Corrupt { .. }) => {
                let parked = Settled::Parked { why: error.to_string(), sent: None };
                return self.told(&row, &parked, None).await;
            }
            told => told?,
        };
        match told {
            Ok(Told::Done) => self.told(&row, &Settled::Done, None).await,
            Ok(told) => self.told(&row, &Settled::Done, Some(told)).await,
            Err(error) if gone(&error) => self.told(&row, &Settled::Done, None).await,
            Err(error) => self.told(&row, &self.after(&error, &row, None), None).await,
        }
    }

    /// Does in Jira what is to be done about this ticket.
    async fn perform(&self, row: &Row, opened: &Opened) -> Result<Result<Told, jira::Error>, store::Error> {
        Ok(match &row.command {
            Command::Comment { note, .. } => self.comment(row, opened, note).await,
            Command::Label { .. } => self.label(opened).await,
            Command::Move { milestone, .. } => self.move_ticket(opened, *milestone).await,
            Command::Link { successor, .. } => match self.gatekeeper.store().ticket(successor).await? {
                None => Ok(Told::Done),
                Some(successor) => self.link(opened, &successor).await,
            },
            // The caller keeps those for itself.
            Command::Open { .. } | Command::Recount { .. } => Ok(Told::Done),
        })
    }

    /// Takes the command, with one attempt more, if this replica still works.
    async fn claim(&self, row: Row) -> Result<Claimed, store::Error> {
        let Some(mut turn) = self.working_turn().await? else { return Ok(Claimed::Follows) };
        let Some(row) = turn.claim(row.id, None).await? else { return Ok(Claimed::Gone) };
        let row = turn.gather(&row).await?;
        turn.end().await?;
        Ok(Claimed::Row(row))
    }

    async fn comment(&self, row: &Row, opened: &Opened, note: &Note) -> Result<Told, jira::Error> {
        let route = self.gatekeeper.route(&opened.canary, &opened.name);
        let ends = match note {
            Note::Ended { .. } | Note::LabelledEnded | Note::Duplicate { .. } => {
                // What moves it after this moment, by Jira's clock, moves a dead ticket.
                match self.jira.look_closely(&opened.ticket.id).await? {
                    Sighting::Missing => return Ok(Told::Done),
                    Sighting::Issue { answered, .. } => Some(answered),
                }
            }
            Note::Progress { .. }
            | Note::RejectedAtStart { .. }
            | Note::RejectedWithoutRollback { .. }
            | Note::RejectedByNobody { .. }
            | Note::NotAllowed { .. }
            | Note::Expired { .. }
            | Note::Late { .. }
            | Note::NotMoved { .. } => None,
        };
        // Progress is told more than once; its row makes it one comment.
        let tag = match note {
            Note::Progress { .. } => format!("{}-{}", note.tag(), row.id),
            Note::Ended { .. }
            | Note::LabelledEnded
            | Note::RejectedAtStart { .. }
            | Note::RejectedWithoutRollback { .. }
            | Note::RejectedByNobody { .. }
            | Note::NotAllowed { .. }
            | Note::Expired { .. }
            | Note::Duplicate { .. }
            | Note::Late { .. }
            | Note::NotMoved { .. } => note.tag(),
        };
        self.jira.comment(&opened.ticket.id, &tag, &ticket::comment(note, route)).await?;
        Ok(ends.map_or(Told::Done, Told::Buried))
    }

    async fn label(&self, opened: &Opened) -> Result<Told, jira::Error> {
        self.jira.label(&opened.ticket.id, jira::ENDED).await?;
        Ok(Told::Done)
    }

    async fn move_ticket(&self, opened: &Opened, milestone: Milestone) -> Result<Told, jira::Error> {
        let route = self.gatekeeper.route(&opened.canary, &opened.name);
        let Some(target) = route.ticket.transitions.target(milestone) else { return Ok(Told::Done) };
        let left_alone = match milestone {
            Milestone::Opened => self.was_moved(opened).await?,
            Milestone::Succeeded
            | Milestone::Failed
            | Milestone::Superseded
            | Milestone::Abandoned
            | Milestone::Bypassed => self.is_to_stay(opened, &target.to).await?,
        };
        if left_alone {
            return Ok(Told::Done);
        }
        let why = match self.jira.transition(&opened.ticket.id, &target.to, &fields(target)).await? {
            Transitioned::AlreadyThere => return Ok(Told::Done),
            Transitioned::Moved { left_out } => {
                if !left_out.is_empty() {
                    let (ticket, fields) = (opened.ticket.key.as_str(), left_out.join(", "));
                    tracing::warn!(
                        canary = %opened.canary,
                        ticket,
                        fields,
                        "moved the ticket without fields that the transition does not have; see ticket.transitions"
                    );
                }
                return Ok(Told::Done);
            }
            Transitioned::NoPath { reachable } if reachable.is_empty() => {
                format!(
                    "no transition leads to \"{}\" from where it stands, or the bridge may not move it",
                    target.to
                )
            }
            Transitioned::NoPath { reachable } => {
                format!("no transition leads to \"{}\", only to {}", target.to, reachable.join(", "))
            }
            Transitioned::NeedsFields { missing } => {
                let key = route.key_of(&format!("transitions.{}", milestone.key()));
                format!(
                    "the way to \"{}\" demands {}, which {key} does not set",
                    target.to,
                    missing.join(", ")
                )
            }
        };
        let ticket = opened.ticket.key.as_str();
        tracing::warn!(
            canary = %opened.canary,
            ticket,
            milestone = milestone.key(),
            why,
            "could not move the ticket, and tells it so; see ticket.transitions"
        );
        Ok(Told::Instead(Note::NotMoved { milestone, why }))
    }

    /// Whether anybody has moved the ticket since it was opened, or its rollout is over: then it is too late for the
    /// bridge to move it to where it begins.
    async fn was_moved(&self, opened: &Opened) -> Result<bool, jira::Error> {
        let canary = self.gatekeeper.store().canary(&opened.canary);
        if canary.is_none_or(|canary| canary.gate_by_id(&opened.gate).is_none()) {
            return Ok(true);
        }
        match self.jira.look_closely(&opened.ticket.id).await? {
            Sighting::Issue { moves, .. } => Ok(!moves.is_empty()),
            Sighting::Missing => Ok(true),
        }
    }

    /// Whether a person has put the ticket into a rejected status: then it stays there. And where the bridge moved it to
    /// its last status already, without hearing so, it stays where a person put it since.
    async fn is_to_stay(&self, opened: &Opened, last: &str) -> Result<bool, jira::Error> {
        let Sighting::Issue { status, moves, .. } = self.jira.look_closely(&opened.ticket.id).await? else {
            return Ok(false);
        };
        let own = self.jira.account().await?;
        if moves.iter().any(|entry| entry.by.id == own.id && jira::is_status(&entry.to, last)) {
            return Ok(true);
        }
        let (route, ticket) = (self.gatekeeper.route(&opened.canary, &opened.name), &opened.ticket);
        let workflow = self.workflow(&ticket.project, &ticket.issue_type, WORKFLOW).await?;
        // Where it cannot be told, the ticket is left where somebody put it.
        Ok(resolve(route, &workflow).map_or(true, |it| it.meaning(&status.id) == Meaning::Rejected))
    }

    async fn link(&self, opened: &Opened, successor: &Opened) -> Result<Told, jira::Error> {
        self.jira.link(&opened.ticket.id, &successor.ticket.id).await?;
        Ok(Told::Done)
    }

    /// Notes what became of the command.
    pub(super) async fn told(
        &self,
        row: &Row,
        how: &Settled,
        told: Option<Told>,
    ) -> Result<Outcome, store::Error> {
        let now = self.clock.now();
        let gate = row.command.gate();
        let mut turn = self.gatekeeper.store().turn().await?;
        if !turn.settle(row, how, now).await? {
            // Another replica has taken it over.
            return Ok(Outcome::Did);
        }
        let news = matches!(row.command, Command::Comment { note: Note::Progress { .. }, .. });
        if news && matches!(how, Settled::Done) {
            turn.put_off_progress(gate, now).await?;
        }
        match told {
            None | Some(Told::Done) => {}
            Some(Told::Buried(at)) => turn.bury(gate, at).await?,
            Some(Told::Instead(note)) => {
                turn.enqueue(&row.canary, &Command::Comment { gate: gate.clone(), note }, now).await?;
            }
        }
        turn.end().await?;
        Ok(Outcome::of(how))
    }
}

/// The ticket is not there any more: nobody is left to be told.
fn gone(error: &jira::Error) -> bool {
    matches!(error, jira::Error::Refused { status: 404, by: jira::By::Jira, .. })
}

fn fields(target: &Target) -> Map<String, Value> {
    let fields = target
        .fields
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), serde_json::to_value(value).ok()?)));
    fields.collect()
}
