//! When each canary was last heard of. Kept in memory beside the canary and written back in batches, because every
//! question changes it and a repeated question must not cost a write.

use std::{hash::Hash, sync::PoisonError, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Row as _, any::AnyRow};

use super::{Error, InTime as _, Store, Turn, key, query, query_scalar};
use crate::{
    gate::{GateId, Pace},
    map::Map,
    millis::Millis,
    rollout::CanaryId,
};

/// So many canaries are written back in one turn.
const WRITTEN_AT_ONCE: usize = 500;
/// So many of them in one statement, with three parameters each: far below what any database allows.
const IN_ONE_STATEMENT: usize = 100;

/// What is known of when Flagger spoke of a canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The last message of any kind.
    at: Option<Millis>,
    /// How often Flagger asks at each gate.
    gates: Map<GateId, Asked>,
    written: bool,
    /// Where its row stands among the others, as far as known. Neighbours share a page of the database, and are written
    /// together.
    place: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    pace: Pace,
    at: Millis,
}

/// Whether somebody could hear Flagger all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// Somebody could.
    Nobody,
    /// For so long no replica was at work, perhaps.
    All(Duration),
}

impl Store {
    /// When this canary was last heard of, in a message of any kind.
    #[must_use]
    pub fn last_heard(&self, canary: &CanaryId) -> Option<Millis> {
        self.heard_map().get(canary)?.at
    }

    /// How often Flagger asks at a gate.
    #[must_use]
    pub fn pace(&self, canary: &CanaryId, gate: &GateId) -> Pace {
        let map = self.heard_map();
        map.get(canary).and_then(|heard| heard.gates.get(gate)).map(|asked| asked.pace).unwrap_or_default()
    }

    /// When Flagger last asked at a gate.
    #[must_use]
    pub fn asked_at(&self, canary: &CanaryId, gate: &GateId) -> Option<Millis> {
        self.heard_map().get(canary)?.gates.get(gate).map(|asked| asked.at)
    }

    /// A message came.
    pub fn hear(&self, canary: &CanaryId, now: Millis) {
        self.heard_now(canary, now, |_| {});
    }

    /// A question at a gate came, and was answered.
    pub fn answered(&self, canary: &CanaryId, gate: &GateId, open: bool, now: Millis) {
        self.heard_now(canary, now, |heard| {
            known_or_new(&mut heard.gates, gate, |asked| {
                asked.pace.answered(open, now);
                asked.at = now;
            });
        });
    }

    fn heard_now(&self, canary: &CanaryId, now: Millis, also: impl FnOnce(&mut Heard)) {
        known_or_new(&mut self.heard_map(), canary, |heard| {
            heard.at = heard.at.max(Some(now));
            heard.written = false;
            also(heard);
        });
    }

    /// Writes back what changed since the last time. Whoever else wants to write waits for a few hundred canaries at most.
    ///
    /// # Errors
    /// If the database fails; nothing is lost then, the next call writes it.
    pub async fn write_back(&self) -> Result<usize, Error> {
        let changed = self.not_written();
        for some in changed.chunks(WRITTEN_AT_ONCE) {
            let some = self.without_dead_gates(some);
            let mut turn = self.turn().await?;
            for few in some.chunks(IN_ONE_STATEMENT) {
                turn.write_heard(few).await?;
            }
            turn.end().await?;
            let mut map = self.heard_map();
            for (canary, was) in some {
                if let Some(heard) = map.get_mut(&canary)
                    && *heard == was
                {
                    heard.written = true;
                }
            }
        }
        Ok(changed.len())
    }

    /// Of whom something was heard since it was written, in the order of their rows.
    fn not_written(&self) -> Vec<CanaryId> {
        let map = self.heard_map();
        let mut changed: Vec<_> = map.iter().filter(|(_, heard)| !heard.written).collect();
        changed.sort_unstable_by_key(|(_, heard)| heard.place);
        changed.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// What was heard of these, without the gates that live no more.
    fn without_dead_gates(&self, some: &[CanaryId]) -> Vec<(CanaryId, Heard)> {
        let mut map = self.heard_map();
        let known = some.iter().filter_map(|id| {
            let (canary, heard) = (self.canary(id), map.get_mut(id)?);
            heard.gates.retain(|gate, _| canary.as_ref().is_some_and(|it| it.gate_by_id(gate).is_some()));
            Some((id.clone(), heard.clone()))
        });
        known.collect()
    }

    /// Reads what any replica wrote back; what is known already and later stays.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn load_heard(&self, away: Away) -> Result<(), Error> {
        let missed = match away {
            Away::Nobody => None,
            Away::All(missed) => Some(missed),
        };
        let (mut newest, mut place) = (Millis(0), 0);
        let mut reading = self.begin().await?;
        let rows: Vec<(String, i64, String)> = query("SELECT canary, at, paces FROM heard")
            .try_map(|row: AnyRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            .fetch_all(&mut *reading)
            .in_time()
            .await?;
        for (id, at, paces) in rows {
            newest = newest.max(Millis(at));
            place += 1;
            self.heard_once(&id, Millis(at), &paces, missed, place);
        }
        self.others().heard = newest;
        Ok(())
    }

    /// Takes in a row of what was heard.
    fn heard_once(&self, id: &str, at: Millis, paces: &str, missed: Option<Duration>, place: usize) {
        let Some(canary) = canary_id(id) else { return };
        let mut map = self.heard_map();
        let heard = map.entry(canary).or_insert_with(|| Heard { written: true, ..Heard::default() });
        heard.place = place;
        heard.at = heard.at.max(Some(at));
        // A pace that cannot be read is only a pace that is not known.
        for (gate, asked) in serde_json::from_str::<Vec<(GateId, Asked)>>(paces).unwrap_or_default() {
            let mut asked = asked;
            asked.pace.resumed(at);
            let known = heard.gates.entry(gate).or_insert(asked);
            if known.at < asked.at || missed.is_some() && known.at == asked.at {
                // Whoever asked shortly before everybody was away is taken to ask still.
                let at = (asked.at + missed.unwrap_or_default()).min(at);
                *known = Asked { at: asked.at.max(at), ..asked };
            }
        }
    }

    fn heard_map(&self) -> std::sync::MutexGuard<'_, Map<CanaryId, Heard>> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes what a map has for a key, which is copied only if it is new.
fn known_or_new<K: Clone + Eq + Hash, V: Default>(map: &mut Map<K, V>, key: &K, change: impl FnOnce(&mut V)) {
    match map.get_mut(key) {
        Some(known) => change(known),
        None => change(map.entry(key.clone()).or_default()),
    }
}

impl Turn {
    /// When the canary was last heard of by any replica, as far as written back.
    pub(crate) async fn last_heard(&mut self, canary: &CanaryId) -> Result<Option<Millis>, Error> {
        let at: Option<i64> = query_scalar("SELECT at FROM heard WHERE canary = $1")
            .bind(key(canary))
            .fetch_optional(self.sql())
            .in_time()
            .await?;
        Ok(at.map(Millis))
    }

    /// The canary is heard of now.
    pub(crate) async fn hear(&mut self, canary: &CanaryId, now: Millis) -> Result<(), Error> {
        query(
            "INSERT INTO heard (canary, at, paces) VALUES ($1, $2, '[]')
             ON CONFLICT (canary) DO UPDATE SET at = CASE WHEN heard.at > excluded.at THEN heard.at ELSE excluded.at END",
        )
        .bind(key(canary))
        .bind(now.0)
        .execute(self.sql())
        .in_time()
        .await?;
        Ok(())
    }

    /// Each canary is there once: a statement may change a row but once.
    async fn write_heard(&mut self, some: &[(CanaryId, Heard)]) -> Result<(), Error> {
        let rows: Vec<_> = some
            .iter()
            .filter_map(|(canary, heard)| {
                let Millis(at) = heard.at?;
                let gates: Vec<(&GateId, &Asked)> = heard.gates.iter().collect();
                Some((key(canary), at, serde_json::to_string(&gates).unwrap_or_else(|_| "[]".into())))
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let places = (0..rows.len()).map(|row| 3 * row + 1);
        let places: Vec<String> = places.map(|n| format!("(${n}, ${}, ${})", n + 1, n + 2)).collect();
        let sql = format!(
            "INSERT INTO heard (canary, at, paces) VALUES {}
             ON CONFLICT (canary) DO UPDATE SET
                 at = CASE WHEN heard.at > excluded.at THEN heard.at ELSE excluded.at END,
                 paces = excluded.paces",
            places.join(", ")
        );
        // Nothing but numbers of parameters was put in.
        let mut query = query(AssertSqlSafe(sql));
        for (canary, at, paces) in rows {
            query = query.bind(canary).bind(at).bind(paces);
        }
        query.execute(self.sql()).in_time().await?;
        Ok(())
    }

    /// No replica served for `away`: that silence does not count. What was heard since is heard now and no later:
    /// else the silence after it would not count either.
    pub(super) async fn forgive_silence(&mut self, away: Duration, now: Millis) -> Result<(), Error> {
        let away = crate::millis::whole(away);
        query("UPDATE heard SET at = CASE WHEN at + $1 > $2 THEN $3 ELSE at + $4 END WHERE at < $5")
            .bind(away)
            .bind(now.0)
            .bind(now.0)
            .bind(away)
            .bind(now.0)
            .execute(self.sql())
            .in_time()
            .await?;
        Ok(())
    }
}

pub(super) fn canary_id(key: &str) -> Option<CanaryId> {
    let mut parts = key.splitn(3, '/').map(str::to_owned);
    Some(CanaryId { cluster: parts.next()?, namespace: parts.next()?, name: parts.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    /// More than one turn and than one statement, the last of which is not full; what is later stays.
    #[tokio::test]
    async fn many_canaries_are_written_back() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let url = database.url.clone().into();
        let (store, other) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
        let canary = |n: i64| CanaryId {
            cluster: "default".into(),
            namespace: "shop".into(),
            name: format!("canary-{n}"),
        };
        let many = 1_234;
        for n in 0..many {
            store.hear(&canary(n), Millis(1_000 + n));
        }
        assert_eq!(store.write_back().await.unwrap(), 1_234);
        assert_eq!(store.write_back().await.unwrap(), 0);
        for n in 0..many {
            other.hear(&canary(n), Millis(1_500));
        }
        assert_eq!(other.write_back().await.unwrap(), 1_234);
        store.close().await;
        other.close().await;
        let read = Store::open(&url).await.unwrap();
        read.load_heard(Away::Nobody).await.unwrap();
        for n in 0..many {
            assert_eq!(read.last_heard(&canary(n)), Some(Millis((1_000 + n).max(1_500))), "canary {n}");
        }
        read.close().await;
    }
}
