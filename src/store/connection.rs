//! Connections to the database: how they are opened, tested and discarded.

use std::{
    str::FromStr as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _, SqlSafeStr as _,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use tokio::time::{Instant, timeout};

use super::{
    error::Error,
    location::{self, Mode},
};
use crate::{database_url, lock::lock};

/// How long a connection may take to answer a ping, before and after each use.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// When a connection was last found to be read-only. It stays read-only even when the file or the server becomes
/// writable again, so all connections from before then are replaced.
#[derive(Clone, Default)]
pub(super) struct ReadOnlySince(Arc<Mutex<Option<Instant>>>);

impl ReadOnlySince {
    pub(super) fn mark(&self) {
        *lock(&self.0) = Some(Instant::now());
    }

    /// Whether a connection of this age was opened before then.
    fn is_opened_before(&self, age: Duration) -> bool {
        let found = *lock(&self.0);
        found.is_some_and(|at| at.elapsed() <= age)
    }
}

/// Connections to a database.
pub(super) struct Connections {
    pub(super) pool: AnyPool,
    /// The statements that begin a transaction and set its limits. With a pooler such as pgbouncer, session settings
    /// would be lost, or would affect other clients.
    pub(super) begin_sql: &'static str,
    pub(super) sqlite: bool,
}

const BEGIN_BRIDGE: &str = "BEGIN; SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = '3500ms'; \
                       SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL client_min_messages = warning";
/// No limit on idling: the reader of the output may be slow. All statements read the same snapshot.
const BEGIN_READ_ONLY: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'";

/// Opens a connection pool.
pub(super) async fn connect(
    url: &str,
    mode: Mode,
    read_only: &ReadOnlySince,
) -> Result<Connections, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let sqlite = url.starts_with("sqlite:");
    let (setup, begin) = match (mode, sqlite) {
        (Mode::ReadWrite, true) => (
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 3000; \
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY",
            "BEGIN",
        ),
        (Mode::ReadOnly, true) => {
            ("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY", "BEGIN")
        }
        (Mode::ReadWrite, false) => ("", BEGIN_BRIDGE),
        (Mode::ReadOnly, false) => ("", BEGIN_READ_ONLY),
    };
    let url = match (sqlite, mode) {
        (false, _) => {
            database_url::postgres(url).map_err(|problem| sqlx::Error::Configuration(problem.into()))?.url
        }
        // Without mode=rwc SQLite does not create the file.
        (true, Mode::ReadWrite) if url.contains("mode=") => url.to_owned(),
        (true, Mode::ReadWrite) => with_mode(url, "rwc"),
        (true, Mode::ReadOnly) => with_mode(url, "ro"),
    };
    let options = AnyConnectOptions::from_str(&url)?.disable_statement_logging();
    let read_only = read_only.clone();
    let pool = AnyPoolOptions::new()
        // A reader reads one thing after the other. With a second connection it would open that too, for the first
        // one is still on its way back.
        .max_connections(if sqlite || matches!(mode, Mode::ReadOnly) { 1 } else { 8 })
        .acquire_timeout(location::CONNECT_TIMEOUT)
        // The pool's own tests have no timeout, neither before use nor after release. A SQLite file always answers, so
        // it is not pinged after release.
        .test_before_acquire(false)
        .before_acquire(move |connection, about| {
            let stale = read_only.is_opened_before(about.age);
            Box::pin(async move { if stale { Ok(false) } else { is_usable(connection).await } })
        })
        .after_release(move |connection, _| {
            Box::pin(async move { if sqlite { Ok(true) } else { is_usable(connection).await } })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if setup.is_empty() { Ok(()) } else { connection.execute(setup).await.map(drop) }
            })
        })
        .connect_with(options)
        .await?;
    Ok(Connections { pool, begin_sql: begin, sqlite })
}

/// Whether a connection still answers and is not in a transaction. Otherwise the pool discards it and opens another.
///
/// A COMMIT that failed, for example on a full disk, may leave its transaction open. All later transactions would be
/// savepoints in it: they would seem to commit, but nothing would be stored.
async fn is_usable(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    timeout(PING_TIMEOUT, connection.ping()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    if connection.is_in_transaction() {
        return Err(sqlx::Error::Protocol("a transaction was left behind".into()));
    }
    Ok(true)
}

/// The address of a SQLite database with its mode replaced.
fn with_mode(url: &str, mode: &str) -> String {
    let (file, options) = url.split_once('?').unwrap_or((url, ""));
    let others = options.split('&').filter(|option| !option.is_empty() && !option.starts_with("mode="));
    let options: Vec<String> = others.map(str::to_owned).chain([format!("mode={mode}")]).collect();
    format!("{file}?{}", options.join("&"))
}

/// Brings the schema up to date.
pub(super) async fn migrate(pool: &AnyPool, begin: &'static str, sqlite: bool) -> Result<(), Error> {
    let migration = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    // There is no 5, and no 6.
    let migrations = vec![
        migration(1, "init", include_str!("0001_init.sql")),
        migration(2, "audit", include_str!("0002_audit.sql")),
        migration(3, "outbox", include_str!("0003_outbox.sql")),
        migration(4, "site", include_str!("0004_site.sql")),
        migration(7, "dead", include_str!("0007_dead.sql")),
    ];
    // SQLite has no lock for migrations: a process that loses the race for one retries, and may lose the next one, too.
    let mut races = if sqlite { migrations.len() } else { 0 };
    let mut migrations = Migrator::with_migrations(migrations);
    loop {
        let done = if sqlite {
            migrations.run(pool).await
        } else {
            migrate_in_one_transaction(pool, begin, migrations.set_locking(false)).await
        };
        match done {
            Ok(()) => return Ok(()),
            Err(MigrateError::VersionMissing(version)) => return Err(Error::Newer(version)),
            Err(_) if races > 0 => races -= 1,
            // `Error::Database` adds a hint of its own.
            Err(MigrateError::Execute(error)) => return Err(Error::Database(error)),
            Err(error) => return Err(Error::Database(sqlx::Error::Migrate(Box::new(error)))),
        }
    }
}

/// Runs all migrations in one transaction, under a lock of that transaction. The crate's own lock belongs to the
/// session, and so do the statements that it prepares: with a pooler, the next client would inherit both.
async fn migrate_in_one_transaction(
    pool: &AnyPool,
    begin: &'static str,
    migrations: &Migrator,
) -> Result<(), MigrateError> {
    let mut transaction = pool.begin_with(begin).await?;
    transaction.execute("SELECT pg_advisory_xact_lock(7063214089); DEALLOCATE ALL").await?;
    // `run` does the same, but with a transaction the compiler cannot prove its future `Send`.
    migrations.run_direct(None, &mut *transaction, false).await?;
    transaction.execute("DEALLOCATE ALL").await?;
    transaction.commit().await?;
    Ok(())
}
