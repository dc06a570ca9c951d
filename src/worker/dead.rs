//! Answering the dead: tickets that somebody moved although their rollout is over.

use std::time::Duration;

use super::{Outcome, Worker, after_failure};
use crate::{
    gate::{Gate, Move, Sighting},
    jira::{self, Retry},
    rollout::{Canary, Command, Fact, Note},
    store::{self, Nudge, Opened},
};

/// A dead ticket that was moved, but cannot be read, is given up after this long.
const MOST_PATIENT: Duration = Duration::from_hours(24);
/// Dead tickets that are answered in one look at most.
const MOST_DEAD: usize = 10;

impl Worker {
    /// Tells the tickets that somebody moved although their rollout is over, a few at a time, that they open nothing. This
    /// is a step of its own: whatever is wrong with a dead ticket must not keep a live one waiting.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn answer_the_dead(&self) -> Result<Outcome, store::Error> {
        let now = self.clock.now();
        if let Some(rests) = self.rests(now) {
            return Ok(rests);
        }
        if now < self.memory().dead_failures.1 {
            return Ok(Outcome::Idle);
        }
        let dead = self.dead().await?;
        if dead.is_empty() {
            return Ok(Outcome::Idle);
        }
        let answered = self.tell_the_dead(&dead).await?;
        let mut memory = self.memory();
        let before = memory.dead_failures;
        match answered {
            Ok(()) => {
                memory.dead_failures = (0, now);
                Ok(if dead.len() > MOST_DEAD { Outcome::Did } else { Outcome::Idle })
            }
            Err(error) => {
                memory.dead_failures = after_failure(before, &error, now, Duration::MAX);
                drop(memory);
                if before.0 == 0 {
                    tracing::warn!(
                        "{error}; dead tickets that were moved are told later that they open nothing"
                    );
                }
                Ok(Outcome::Idle)
            }
        }
    }

    /// The nudged tickets whose rollout is over and that were not answered yet.
    pub(super) async fn dead(&self) -> Result<Vec<(Opened, Nudge)>, store::Error> {
        let store = self.gatekeeper.store();
        let mut dead = Vec::new();
        for (nudge, opened) in store.dead_nudges().await? {
            if store.gate_of(&nudge.ticket).is_some() {
                continue;
            }
            match opened {
                Ok(opened) => dead.push((opened, nudge)),
                // Its nudge is done with: a row that cannot be read must not keep live tickets waiting.
                Err(error) => tracing::error!(
                    issue = nudge.ticket,
                    "{error}; a dead ticket was moved, and is not told that it opens nothing"
                ),
            }
        }
        Ok(dead)
    }

    /// Somebody moved a ticket whose rollout is over: it is told, once, that this opens nothing any more.
    async fn tell_the_dead(&self, dead: &[(Opened, Nudge)]) -> Result<Result<(), jira::Error>, store::Error> {
        let store = self.gatekeeper.store();
        let mut failed = Ok(());
        for (dead, nudge) in self.first_of_the_dead(dead) {
            let now = self.clock.now();
            let read = self.was_moved_late(dead).await;
            if read.is_err() {
                self.memory().dead_unread.insert(dead.gate.clone(), now);
            }
            let moved = match read {
                Ok(moved) => moved,
                Err(error) if error.retry() == Retry::Never || now.since(nudge.at) > MOST_PATIENT => {
                    tracing::warn!(
                        canary = %dead.canary,
                        ticket = dead.ticket.key,
                        "{error}; a dead ticket was moved, and is not told that it opens nothing"
                    );
                    false
                }
                Err(error) if error.is_of_one() => {
                    // The others may fare better.
                    failed = Err(error);
                    continue;
                }
                Err(error) => return Ok(Err(error)),
            };
            let mut turn = store.turn().await?;
            turn.followed(nudge).await?;
            if moved && turn.answer_late_move(&dead.gate).await? {
                let canary = match turn.canary(&dead.canary).await {
                    Ok(canary) => canary,
                    // Which ticket is the live one cannot be told, but that this one is dead can.
                    Err(store::Error::Corrupt { .. }) => Canary::new(dead.canary.clone()),
                    Err(error) => return Err(error),
                };
                let live = canary.rollout.as_ref().and_then(|rollout| {
                    rollout.gates.iter().rev().find_map(Gate::ticket).map(|ticket| ticket.key.clone())
                });
                let command = Command::Comment { gate: dead.gate.clone(), note: Note::Late { live } };
                turn.enqueue(&dead.canary, &command, now).await?;
                let fact = Fact::LateMove { gate: dead.name.clone(), ticket: dead.ticket.clone() };
                let applied = self.gatekeeper.note(&mut turn, canary, fact, now).await?;
                turn.end().await?;
                self.gatekeeper.record(&applied, now);
            } else {
                turn.end().await?;
            }
        }
        Ok(failed)
    }

    /// A few of them. Those that could not be read come last, so that they do not keep the others from being answered.
    fn first_of_the_dead<'a>(&self, dead: &'a [(Opened, Nudge)]) -> Vec<&'a (Opened, Nudge)> {
        let unread = &mut self.memory().dead_unread;
        unread.retain(|gate, _| dead.iter().any(|(dead, _)| dead.gate == *gate));
        let mut dead: Vec<_> = dead.iter().collect();
        dead.sort_by_key(|(dead, _)| unread.get(&dead.gate));
        dead.truncate(MOST_DEAD);
        dead
    }

    /// Whether anybody but the bridge itself has moved the ticket since it was told that its rollout is over. Both times
    /// are Jira's.
    async fn was_moved_late(&self, dead: &Opened) -> Result<bool, jira::Error> {
        let own = self.jira.account().await?;
        let Sighting::Issue { marks, moves, .. } = self.jira.look_closely(&dead.ticket.id).await? else {
            return Ok(false);
        };
        if !dead.is_marked_by(&marks) {
            // Somebody else's issue has its number by now.
            return Ok(false);
        }
        let late =
            |entry: &Move| dead.ended_at.is_some_and(|ended| entry.at > ended) && entry.by.id != own.id;
        Ok(moves.iter().any(late))
    }
}
