//! The database. Writers take turns; whoever reads follows the turns.
//!
//! One SQL text serves SQLite and PostgreSQL. A canary is one row, also held in memory, so that a repeated question
//! costs no database call; memory is fed by a turn's own end and, for what other replicas or cancelled requests
//! committed, by [`Store::follow`].

use std::{
    collections::HashMap,
    str::FromStr as _,
    sync::{
        Arc, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AnyPool, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _,
    any::{AnyConnectOptions, AnyPoolOptions, AnyRow},
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::{
    gate::GateId,
    millis::Millis,
    rollout::{Canary, CanaryId},
    ticket,
};

pub mod audit;
mod heard;
mod memory;
mod outbox;
mod place;
mod tickets;
mod turn;

pub use heard::{Away, Heard};
pub use outbox::{Backlog, Parked, Row, Settled};
pub use place::probe;
pub use tickets::Opened;
pub use turn::{Lead, Turn};

/// The format of a canary's serialised state that this version writes; it reads all up to it.
const FORMAT: i64 = 1;

/// How long a worker's lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// Why the database could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed, or cannot be reached.
    #[error("the database failed: {}", one_line(.0))]
    Database(#[from] sqlx::Error),
    /// Others have held the database for longer than whoever asks can wait.
    #[error("the database is busy: nothing could be stored in time; ask again")]
    Busy,
    /// The database cannot be opened.
    #[error("cannot open {place}: {why}")]
    Unopened {
        /// The file, or `host:port/database`.
        place: String,
        /// The likely cause.
        why: String,
    },
    /// What is stored about a canary cannot be read.
    #[error("what is stored about {} cannot be read: {}", ticket::one_line(.canary, 300), ticket::one_line(.why, 300))]
    Corrupt {
        /// The row's id.
        canary: String,
        /// What is wrong with it.
        why: String,
    },
    /// A row of the audit record holds something that was never written there.
    #[error("row {0} of the audit record cannot be read; verify the record")]
    UnreadableRecord(i64),
    /// The row that says where the audit record begins and ends is gone.
    #[error("the audit record was tampered with: the row of audit_chain is gone; restore it from a backup")]
    NoChain,
    /// There is no audit record yet.
    #[error("there is no audit record here: no bridge of this version has been at work on this database")]
    NoRecord,
    /// A newer version has been here.
    #[error(
        "the database was made by a newer version (its schema is {0}); start that version, or restore a backup"
    )]
    Newer(i64),
}

/// Database drivers write messages of several lines.
fn one_line(error: &sqlx::Error) -> String {
    ticket::one_line(&error.to_string(), 300)
}

/// The database and what is remembered of it. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: AnyPool,
    sqlite: bool,
    memory: RwLock<memory::Memory>,
    heard: std::sync::Mutex<HashMap<CanaryId, Heard>>,
    /// When this replica last followed the others, in milliseconds.
    followed_at: AtomicI64,
}

/// A replica that has not followed the others for this long does so before it answers: it is promised that a change made
/// by one shows on all within two seconds.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(2);

impl Store {
    /// Connects, brings the schema up to date, and reads everything into memory.
    ///
    /// # Errors
    /// [`Error::Newer`] if the schema is newer than this version's; [`Error::Unopened`] or [`Error::Database`] if the
    /// database cannot be reached or used. Trying again later may help with these, but not with the first.
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        let url = url.expose_secret();
        let unopened = |error| place::unopened(url, &error);
        let (pool, sqlite) = connect(url, Mode::Works).await.map_err(unopened)?;
        migrate(&pool)
            .await
            .map_err(|error| if let Error::Database(error) = error { unopened(error) } else { error })?;
        let store = Self(Arc::new(Inner {
            pool,
            sqlite,
            memory: RwLock::default(),
            heard: std::sync::Mutex::default(),
            followed_at: AtomicI64::new(0),
        }));
        store.load_heard(Away::All).await?;
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

    /// How many gates live.
    #[must_use]
    pub fn live_gates(&self) -> usize {
        self.memory().live_gates()
    }

    /// The live gate whose ticket has this issue id.
    #[must_use]
    pub fn gate_of(&self, ticket: &str) -> Option<(CanaryId, GateId)> {
        self.memory().gate_of(ticket)
    }

    /// Reads what was committed since the last time, by whomever. Returns how many canaries changed.
    ///
    /// # Errors
    /// If the database fails. A row that cannot be read is logged and left out: it closes its own canary only.
    pub async fn follow(&self) -> Result<usize, Error> {
        let after = self.memory().followed();
        Ok(self.learn(committed(&self.0.pool, after).await?))
    }

    /// Follows, unless this was done a moment before `now`: a process that stood still knows nothing of what came since.
    ///
    /// # Errors
    /// As [`Store::follow`].
    pub async fn follow_by(&self, now: Millis) -> Result<(), Error> {
        let followed = Millis(self.0.followed_at.load(Ordering::SeqCst));
        // Either way round: a clock may be set back.
        if now.since(followed).max(followed.since(now)) >= FOLLOWED_WITHIN {
            self.follow().await?;
            self.followed(now);
        }
        Ok(())
    }

    /// Everything that was committed before `now` is known.
    pub(crate) fn followed(&self, now: Millis) {
        self.0.followed_at.store(now.0, Ordering::SeqCst);
    }

    fn learn(&self, rows: Vec<Committed>) -> usize {
        let changed = rows.len();
        let mut memory = self.0.memory.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (id, format, state, seq) in rows {
            match parse(&id, format, &state) {
                Ok(canary) => memory.remember(canary, seq),
                Err(error) => {
                    tracing::error!(canary = id, "{error}; its gates stay closed");
                    if let Some(canary) = heard::canary_id(&id) {
                        memory.forget(&canary);
                    }
                }
            }
            memory.follow(seq);
        }
        changed
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.0.pool.close().await;
    }

    fn memory(&self) -> std::sync::RwLockReadGuard<'_, memory::Memory> {
        self.0.memory.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn remember(&self, canaries: Vec<Canary>, seq: i64) {
        let mut memory = self.0.memory.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for canary in canaries {
            memory.remember(canary, seq);
        }
    }
}

/// A row of a canary: its id, format, state, and the turn it was committed in.
type Committed = (String, i64, String, i64);

/// The canaries that changed after a turn.
async fn committed(
    executor: impl sqlx::Executor<'_, Database = sqlx::Any>,
    after: i64,
) -> Result<Vec<Committed>, sqlx::Error> {
    sqlx::query("SELECT id, format, state, seq FROM canary WHERE seq > $1 ORDER BY seq")
        .bind(after)
        .try_map(|row: AnyRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)))
        .fetch_all(executor)
        .await
}

/// What a connection is for.
#[derive(Clone, Copy)]
enum Mode {
    /// All a bridge does. Creates the file of SQLite.
    Works,
    /// Reading beside a bridge.
    Reads,
}

/// Connects. Says whether it is SQLite.
async fn connect(url: &str, mode: Mode) -> Result<(AnyPool, bool), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let sqlite = url.starts_with("sqlite:");
    let setup = match (mode, sqlite) {
        (Mode::Works, true) => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON"
        }
        (Mode::Works, false) => {
            "SET lock_timeout = '5s'; SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s';
             SET client_min_messages = warning"
        }
        (Mode::Reads, true) => "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON",
        // No limit on idling: whoever reads the output may take his time.
        (Mode::Reads, false) => "SET default_transaction_read_only = on; SET lock_timeout = '5s'",
    };
    let url = match (sqlite, mode) {
        (false, _) => url.to_owned(),
        // Without mode=rwc SQLite does not create the file.
        (true, Mode::Works) if url.contains("mode=") => url.to_owned(),
        (true, Mode::Works) => with_mode(url, "rwc"),
        (true, Mode::Reads) => with_mode(url, "ro"),
    };
    let options = AnyConnectOptions::from_str(&url)?.disable_statement_logging();
    let pool = AnyPoolOptions::new()
        .max_connections(if sqlite { 1 } else { 8 })
        .acquire_timeout(place::LETS_IN_WITHIN)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(setup).await.map(drop) })
        })
        .connect_with(options)
        .await?;
    Ok((pool, sqlite))
}

/// The address of a SQLite database with this mode instead of any other.
fn with_mode(url: &str, mode: &str) -> String {
    let (file, options) = url.split_once('?').unwrap_or((url, ""));
    let others = options.split('&').filter(|option| !option.is_empty() && !option.starts_with("mode="));
    let options: Vec<String> = others.map(str::to_owned).chain([format!("mode={mode}")]).collect();
    format!("{file}?{}", options.join("&"))
}

fn parse(id: &str, format: i64, state: &str) -> Result<Canary, Error> {
    let corrupt = |why: String| Error::Corrupt { canary: id.to_owned(), why };
    if format > FORMAT {
        return Err(corrupt(format!("it is in format {format}, this version reads up to {FORMAT}")));
    }
    serde_json::from_str(state).map_err(|error| corrupt(error.to_string()))
}

async fn migrate(pool: &AnyPool) -> Result<(), Error> {
    let migration = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let migrations = vec![
        migration(1, "init", include_str!("store/0001_init.sql")),
        migration(2, "audit", include_str!("store/0002_audit.sql")),
    ];
    // SQLite has no lock for migrations: the loser of a race finds that one done when it looks again, and may lose the next.
    let mut races = migrations.len();
    let migrations = Migrator::with_migrations(migrations);
    loop {
        match migrations.run(pool).await {
            Ok(()) => return Ok(()),
            Err(MigrateError::VersionMissing(version)) => return Err(Error::Newer(version)),
            Err(error) if races == 0 => return Err(Error::Database(sqlx::Error::Migrate(Box::new(error)))),
            Err(_) => races -= 1,
        }
    }
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
