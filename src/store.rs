//! The database. Writers take turns; whoever reads follows the turns.
//!
//! One SQL text serves SQLite and PostgreSQL. A canary is one row, also held in memory, so that a repeated question
//! costs no database call; memory is fed by a turn's own end and, for what other replicas or cancelled requests
//! committed, by [`Store::follow`].

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AnyConnection, AnyPool, Row as _, any::AnyRow};
use tokio::time::timeout;

use crate::{
    gate::GateId,
    map::Map,
    millis::Millis,
    rollout::{Canary, CanaryId},
};

pub mod audit;
mod connection;
mod error;
mod files;
mod heard;
mod memory;
mod nudges;
mod outbox;
mod place;
mod site;
mod tickets;
mod turn;
mod volume;

use connection::{ANSWERS_WITHIN, Connected, InTime, Mode, OnlyRead, connect, migrate, query, query_scalar};
pub use error::Error;
use error::{one_line, only_reads};
pub use heard::Away;
use heard::Heard;
pub use memory::OpenGates;
pub use nudges::Nudge;
pub use outbox::{Backlog, Parked, Row, Settled};
pub use place::{describe, probe};
pub use tickets::Opened;
pub use turn::{Lead, Turn};
pub use volume::Volumes;

/// The format of a canary's serialised state that this version writes; it reads all up to it.
///
/// 2: what binds an approval, such as the statuses of its ticket and whom questions ruled out. A version that does not know
/// it would write the row back without.
const FORMAT: i64 = 2;

/// How long a worker's lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// The database and what is remembered of it. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: AnyPool,
    /// How a transaction begins.
    begin: &'static str,
    sqlite: bool,
    only_read: OnlyRead,
    memory: RwLock<memory::Memory>,
    heard: std::sync::Mutex<Map<CanaryId, Heard>>,
    others: std::sync::Mutex<Others>,
    /// When this replica last followed the others, in milliseconds.
    followed_at: AtomicI64,
}

/// Who works, as the lease said when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leader {
    /// This replica.
    This {
        /// When it last renewed its lease.
        renewed: Millis,
    },
    /// Another one.
    Other {
        /// When it last renewed its lease, by its own clock.
        renewed: Millis,
    },
}

/// What the database said last of the times at which replicas did something.
#[derive(Default)]
struct Others {
    leader: Option<Leader>,
    /// The newest message that any of them heard.
    heard: Millis,
}

/// A replica that has not followed the others for this long does so before it answers: it is promised that a change made
/// by one shows on all within two seconds.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(2);

impl Store {
    /// [`Store::open_on`] any volume.
    ///
    /// # Errors
    /// As [`Store::open_on`].
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        Self::open_on(url, Volumes::Any).await
    }

    /// Connects, brings the schema up to date, and reads everything into memory. A file of SQLite is the user's own
    /// from then on.
    ///
    /// A process that works on a SQLite file opens it once: what POSIX locks on a file a process has, it loses with the
    /// first handle that it closes.
    ///
    /// # Errors
    /// [`Error::Newer`] if the schema is newer than this version's; [`Error::Unopened`] or [`Error::Database`] if the
    /// database cannot be reached or used. Trying again later may help with these, but not with the first.
    pub async fn open_on(url: &SecretString, volumes: Volumes) -> Result<Self, Error> {
        let url = url.expose_secret();
        let failed = async |error| {
            if let Error::Database(error) = error {
                place::unopened(url, Mode::Works, &error).await
            } else {
                error
            }
        };
        place::look(url, Mode::Works, volumes)?;
        place::keep_private(url)?;
        let only_read = OnlyRead::default();
        let Connected { pool, begin, sqlite } = match connect(url, Mode::Works, &only_read).await {
            Ok(connected) => connected,
            Err(error) => return Err(place::unopened(url, Mode::Works, &error).await),
        };
        if let Err(error) = migrate(&pool, begin, sqlite).await {
            return Err(failed(error).await);
        }
        let store = Self(Arc::new(Inner {
            pool,
            begin,
            sqlite,
            only_read,
            memory: RwLock::default(),
            heard: std::sync::Mutex::default(),
            others: std::sync::Mutex::default(),
            followed_at: AtomicI64::new(0),
        }));
        // A database that can only be read is as good as none.
        match store.turn().await {
            Ok(turn) => drop(turn),
            Err(error) => return Err(failed(error).await),
        }
        store.load_heard(Away::All(Duration::ZERO)).await?;
        store.follow().await?;
        Ok(store)
    }

    /// Whether it is SQLite, which one process has for itself.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.0.sqlite
    }

    /// What is known of a canary: as of this replica's last turn, and at most a second behind the others'.
    #[must_use]
    pub fn canary(&self, id: &CanaryId) -> Option<Arc<Canary>> {
        self.memory().canary(id)
    }

    /// All canaries in which a rollout lives.
    #[must_use]
    pub fn live(&self) -> Vec<Arc<Canary>> {
        self.memory().live()
    }

    /// How many live gates count to the limits: in all, and of the canary's namespace.
    #[must_use]
    pub fn open_gates(&self, canary: &CanaryId) -> OpenGates {
        self.memory().open_gates(canary)
    }

    /// How many live gates count to the limits, in all.
    #[must_use]
    pub fn all_open_gates(&self) -> usize {
        self.memory().all_open_gates()
    }

    /// The namespaces of which at least so many gates count to the limits, each with its cluster and how many those are.
    #[must_use]
    pub fn namespaces_with(&self, least: usize) -> Vec<(String, usize)> {
        self.memory().namespaces_with(least)
    }

    /// The live gate whose ticket has this issue id.
    #[must_use]
    pub fn gate_of(&self, ticket: &str) -> Option<(CanaryId, GateId)> {
        self.memory().gate_of(ticket)
    }

    /// What is stored about these canaries cannot be read, and why: their gates are closed.
    #[must_use]
    pub fn unreadable(&self) -> Vec<(CanaryId, String)> {
        self.memory().unreadable()
    }

    /// Why the row of this canary cannot be read, if it cannot.
    #[must_use]
    pub fn unreadable_why(&self, id: &CanaryId) -> Option<String> {
        self.memory().unreadable_why(id)
    }

    /// Reads what was committed since the last time, by whomever, and what could not be read until now. Returns how
    /// many canaries changed.
    ///
    /// # Errors
    /// If the database fails. A row that cannot be read is logged and left out: it closes its own canary only.
    pub async fn follow(&self) -> Result<usize, Error> {
        let mut reading = self.begin().await?;
        let changed = self.learn(&mut reading).await?;
        for (id, _) in self.unreadable() {
            let sql = sqlx::AssertSqlSafe(format!("{CANARIES} WHERE id = $1"));
            let row = query(sql).bind(key(&id)).try_map(stored).fetch_optional(&mut *reading);
            match row.in_time().await? {
                Some(row) => self.take_in(row),
                None => self.memory_mut().forget(&id),
            }
        }
        Ok(changed)
    }

    /// A transaction. Every statement is in one: a pooler between us and PostgreSQL may give each transaction another
    /// session, and its limits hold for it alone. One that only read is dropped.
    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>, Error> {
        self.0.pool.begin_with(self.0.begin).in_time().await
    }

    /// Follows, unless this was done a moment before `now`: a process that stood still knows nothing of what came since.
    ///
    /// # Errors
    /// As [`Store::follow`].
    pub async fn follow_by(&self, now: Millis) -> Result<(), Error> {
        let followed = Millis(self.0.followed_at.load(Ordering::SeqCst));
        if now.apart(followed) >= FOLLOWED_WITHIN {
            // In a box, or each question would carry the room for it.
            Box::pin(self.follow()).await?;
            self.followed(now);
        }
        Ok(())
    }

    /// Everything that was committed before `now` is known.
    pub(crate) fn followed(&self, now: Millis) {
        self.0.followed_at.store(now.0, Ordering::SeqCst);
    }

    /// Takes in what was committed since the last time, one row after the other: all at once they may be many. Returns
    /// how many there were.
    async fn learn(&self, executor: &mut AnyConnection) -> Result<usize, Error> {
        let (mut newest, mut changed) = (self.memory().followed(), 0);
        let sql = sqlx::AssertSqlSafe(format!("{CANARIES} WHERE seq > $1 ORDER BY seq"));
        let mut rows = query(sql).bind(newest).try_map(stored).fetch(executor);
        while let Some(row) = rows.try_next().in_time().await? {
            if let (_, Ok((_, _, seq))) = row
                && seq > newest
            {
                // A turn may have saved several, and only now all of the one before are known.
                self.memory_mut().follow(newest);
                newest = seq;
            }
            self.take_in(row);
            changed += 1;
        }
        self.memory_mut().follow(newest);
        Ok(changed)
    }

    /// Remembers a canary's row, or that it cannot be read.
    fn take_in(&self, (id, row): Committed) {
        let parsed = match row {
            Ok((format, state, seq)) => parse(&id, format, &state).map(|canary| (canary, seq)),
            Err(error) => Err(Error::Corrupt { canary: id.clone(), why: one_line(&error) }),
        };
        match parsed {
            Ok((canary, seq)) => self.memory_mut().remember(canary, seq),
            Err(error) => self.cannot_read(&id, &error),
        }
    }

    /// The row of this canary cannot be read: it is forgotten, so that nothing is open that the row does not prove.
    fn cannot_read(&self, id: &str, error: &Error) {
        let news = match heard::canary_id(id) {
            Some(canary) => self.memory_mut().cannot_read(canary, error.to_string()),
            None => true,
        };
        if news {
            tracing::error!(canary = id, "{error}; its gates stay closed until its row is mended or deleted");
        }
    }

    /// Who works; none before that was looked at.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        self.others().leader
    }

    /// The newest time that any replica put down of what it did, as far as read: not later than now, unless clocks differ.
    #[must_use]
    pub fn newest_time(&self) -> Millis {
        let others = self.others();
        match others.leader {
            Some(Leader::This { renewed } | Leader::Other { renewed }) => renewed.max(others.heard),
            None => others.heard,
        }
    }

    fn others(&self) -> std::sync::MutexGuard<'_, Others> {
        self.0.others.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        // A connection that hangs is not waited for.
        if timeout(ANSWERS_WITHIN, self.0.pool.close()).await.is_err() {
            tracing::warn!("the database does not let go; its connections are cut");
        }
    }

    fn memory(&self) -> std::sync::RwLockReadGuard<'_, memory::Memory> {
        self.0.memory.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn memory_mut(&self) -> std::sync::RwLockWriteGuard<'_, memory::Memory> {
        self.0.memory.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn remember(&self, canaries: Vec<Canary>, seq: i64) {
        let mut memory = self.memory_mut();
        for canary in canaries {
            memory.remember(canary, seq);
        }
    }
}

/// A row of a canary: its id and, if that can be read, its format, its state, and the turn it was committed in.
type Committed = (String, Result<(i64, String, i64), sqlx::Error>);

const CANARIES: &str = "SELECT id, format, state, seq FROM canary";

/// A canary's row: its id, and what else it holds, if that can be read. SQLite keeps a value of any type in any column.
fn stored(row: AnyRow) -> Result<Committed, sqlx::Error> {
    let rest = || Ok((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
    // An id that is no text is nobody's.
    Ok((row.try_get(0).unwrap_or_default(), rest()))
}

fn parse(id: &str, format: i64, state: &str) -> Result<Canary, Error> {
    let corrupt = |why: String| Error::Corrupt { canary: id.to_owned(), why };
    if format > FORMAT {
        return Err(corrupt(format!("it is in format {format}, this version reads up to {FORMAT}")));
    }
    let canary: Canary = serde_json::from_str(state).map_err(|error| corrupt(error.to_string()))?;
    // Else one row could open another canary's gates.
    if key(&canary.id) != id {
        return Err(corrupt(format!("it is about {}", canary.id)));
    }
    Ok(canary)
}

/// A canary's row id. None of the three names contains a slash.
fn key(id: &CanaryId) -> String {
    id.to_string()
}

/// A time in a nullable column.
fn millis(value: Option<i64>) -> Option<Millis> {
    value.map(Millis)
}

#[cfg(test)]
mod tests;
