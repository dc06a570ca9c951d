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
    AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _,
    any::{AnyConnectOptions, AnyPoolOptions, AnyRow},
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use tokio::time::{Instant, timeout};

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
pub use place::{describe, probe};
pub use tickets::Opened;
pub use turn::{Lead, Turn};

/// The format of a canary's serialised state that this version writes; it reads all up to it.
const FORMAT: i64 = 1;

/// How long a worker's lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// How long the database may take to answer. More than its own limits, so that its own words come first; Flagger waits
/// ten seconds for us.
const ANSWERS_WITHIN: Duration = Duration::from_secs(4);
/// How long a connection may take to show that it is still there, before and after somebody has it.
const SHOWS_WITHIN: Duration = Duration::from_secs(1);

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
    /// The database did not answer: it hangs, or nobody tells that it is gone.
    #[error("the database did not answer within {} s; is it running, and to be reached from here?", ANSWERS_WITHIN.as_secs())]
    Silent,
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

/// Database drivers write messages of several lines, and leave it to the reader what to do.
fn one_line(error: &sqlx::Error) -> String {
    let words = ticket::one_line(&error.to_string(), 300);
    match what_to_do(error) {
        None => words,
        Some(hint) => format!("{words}; {hint}"),
    }
}

/// What helps where the error alone does not say it. SQLite's codes are numbers of which the lower eight bits name the
/// kind; those of PostgreSQL have five characters.
fn what_to_do(error: &sqlx::Error) -> Option<&'static str> {
    const FREE_SPACE: &str = "free space where the database is";
    const WRITABLE: &str = "let the bridge write the file, those beside it (-wal, -shm) and its directory";
    const HELD: &str = "somebody else holds it for too long";
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Some("it cannot be reached, is too busy, or its disk is full");
    }
    let code = error.as_database_error()?.code()?;
    match code.as_ref() {
        "53100" => return Some(FREE_SPACE),
        "25006" => return Some("this server only reads; does the address lead to a standby?"),
        "55P03" | "57014" => return Some(HELD),
        _ if code.len() == 5 => return None,
        _ => {}
    }
    match code.parse::<i32>().ok()? & 0xff {
        5 | 6 => Some(HELD),
        8 => Some(WRITABLE),
        10 => Some("is its disk full or broken?"),
        13 => Some(FREE_SPACE),
        _ => None,
    }
}

/// Whether it was refused because one may only read there.
fn only_reads(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| {
        code == "25006" || code.len() < 5 && code.parse().is_ok_and(|code: i32| code & 0xff == 8)
    })
}

/// When it was last found that a connection could only read. It stays so although the file or the server can be written
/// again, so all from before then are replaced.
#[derive(Clone, Default)]
struct OnlyRead(Arc<std::sync::Mutex<Option<Instant>>>);

impl OnlyRead {
    fn found(&self) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age is from before then.
    fn concerns(&self, age: Duration) -> bool {
        let found = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.is_some_and(|at| at.elapsed() <= age)
    }
}

/// The database and what is remembered of it. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: AnyPool,
    sqlite: bool,
    only_read: OnlyRead,
    memory: RwLock<memory::Memory>,
    heard: std::sync::Mutex<HashMap<CanaryId, Heard>>,
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

/// A call of the database that does not wait for ever. A server that vanished behind a broken network says nothing at
/// all, and its own limits do not help.
trait InTime<T> {
    /// The outcome, or [`Error::Silent`]. Whether a write was done is not known then, and [`Store::follow`] finds out.
    async fn in_time(self) -> Result<T, Error>;
}

impl<T, F: Future<Output = Result<T, sqlx::Error>> + Send> InTime<T> for F {
    async fn in_time(self) -> Result<T, Error> {
        timeout(ANSWERS_WITHIN, self).await.map_err(|_| Error::Silent)?.map_err(Error::Database)
    }
}

impl Store {
    /// Connects, brings the schema up to date, and reads everything into memory.
    ///
    /// A process that works on a SQLite file opens it once: what POSIX locks on a file a process has, it loses with the
    /// first handle that it closes.
    ///
    /// # Errors
    /// [`Error::Newer`] if the schema is newer than this version's; [`Error::Unopened`] or [`Error::Database`] if the
    /// database cannot be reached or used. Trying again later may help with these, but not with the first.
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        let url = url.expose_secret();
        let unopened = |error| place::unopened(url, Mode::Works, &error);
        let failed = |error| if let Error::Database(error) = error { unopened(error) } else { error };
        place::look(url, Mode::Works)?;
        let only_read = OnlyRead::default();
        let (pool, sqlite) = connect(url, Mode::Works, &only_read).await.map_err(unopened)?;
        migrate(&pool).await.map_err(failed)?;
        let store = Self(Arc::new(Inner {
            pool,
            sqlite,
            only_read,
            memory: RwLock::default(),
            heard: std::sync::Mutex::default(),
            others: std::sync::Mutex::default(),
            followed_at: AtomicI64::new(0),
        }));
        // A database that can only be read is as good as none.
        drop(store.turn().await.map_err(failed)?);
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
        let after = self.memory().followed();
        let changed = self.learn(committed(&self.0.pool, after).await?);
        for (id, _) in self.unreadable() {
            let sql = sqlx::AssertSqlSafe(format!("{CANARIES} WHERE id = $1"));
            let row = sqlx::query(sql).bind(key(&id)).try_map(stored).fetch_optional(&self.0.pool);
            match row.in_time().await? {
                Some(row) => self.take_in(row),
                None => self.memory_mut().forget(&id),
            }
        }
        Ok(changed)
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

    fn learn(&self, rows: Vec<Committed>) -> usize {
        let changed = rows.len();
        for row in rows {
            self.take_in(row);
        }
        changed
    }

    /// Remembers a canary's row, or that it cannot be read.
    fn take_in(&self, (id, row): Committed) {
        let parsed = match row {
            Ok((format, state, seq)) => {
                self.memory_mut().follow(seq);
                parse(&id, format, &state).map(|canary| (canary, seq))
            }
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

/// The canaries that changed after a turn.
async fn committed(
    executor: impl sqlx::Executor<'_, Database = sqlx::Any>,
    after: i64,
) -> Result<Vec<Committed>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("{CANARIES} WHERE seq > $1 ORDER BY seq"));
    sqlx::query(sql).bind(after).try_map(stored).fetch_all(executor).in_time().await
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
async fn connect(url: &str, mode: Mode, only_read: &OnlyRead) -> Result<(AnyPool, bool), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let sqlite = url.starts_with("sqlite:");
    let setup = match (mode, sqlite) {
        (Mode::Works, true) => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 3000; PRAGMA foreign_keys = ON"
        }
        (Mode::Works, false) => {
            "SET lock_timeout = '3s'; SET statement_timeout = '3500ms'; SET idle_in_transaction_session_timeout = '10s';
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
    let only_read = only_read.clone();
    let pool = AnyPoolOptions::new()
        .max_connections(if sqlite { 1 } else { 8 })
        .acquire_timeout(place::LETS_IN_WITHIN)
        // The pool's own test waits for ever; so does the one it makes of a connection that comes back, which a file
        // answers always.
        .test_before_acquire(false)
        .before_acquire(move |connection, about| {
            let stale = only_read.concerns(about.age);
            Box::pin(async move { if stale { Ok(false) } else { shows_up(connection).await } })
        })
        .after_release(move |connection, _| {
            Box::pin(async move { if sqlite { Ok(true) } else { shows_up(connection).await } })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(setup).await.map(drop) })
        })
        .connect_with(options)
        .await?;
    Ok((pool, sqlite))
}

/// Whether a connection still answers and is at rest. If not it is thrown away, and the pool opens another.
///
/// A COMMIT that failed, on a full disk for instance, may leave a transaction behind in which all later ones would
/// only be savepoints: they would seem to commit, and nothing would ever be stored.
async fn shows_up(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    timeout(SHOWS_WITHIN, connection.ping()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    if connection.is_in_transaction() {
        return Err(sqlx::Error::Protocol("a transaction was left behind".into()));
    }
    Ok(true)
}

/// The address of a SQLite database with this mode instead of any other.
fn with_mode(url: &str, mode: &str) -> String {
    let (file, options) = url.split_once('?').unwrap_or((url, ""));
    let others = options.split('&').filter(|option| !option.is_empty() && !option.starts_with("mode="));
    let options: Vec<String> = others.map(str::to_owned).chain([format!("mode={mode}")]).collect();
    format!("{file}?{}", options.join("&"))
}

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
