//! The store: its connections and its caches.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::AtomicI64,
    },
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::AnyPool;
use tokio::time::timeout;

use super::{
    activity::{Activity, Downtime},
    cache::Cache,
    connection::{Connections, ReadOnlySince, connect, migrate},
    error::{ANSWER_TIMEOUT, Error},
    location::{self, Mode},
    query::{self, Transaction},
    volume::AllowedVolumes,
};
use crate::{lock::lock, millis::Millis};

/// The database and its caches. Cheap to clone.
#[derive(Clone)]
pub struct Store(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) pool: AnyPool,
    /// The statements that begin a transaction.
    begin_sql: &'static str,
    sqlite: bool,
    pub(super) read_only: ReadOnlySince,
    cache: RwLock<Cache>,
    activity: Mutex<Activity>,
    replicas: Mutex<Replicas>,
    /// When this replica last caught up with the others, in milliseconds.
    pub(super) caught_up_at: AtomicI64,
}

/// Which replica held the lease when it was last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLeader {
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

/// What this replica last read about the activity of all replicas.
#[derive(Default)]
pub(super) struct Replicas {
    pub(super) leader: Option<LastLeader>,
    /// The time of the newest message that any replica received.
    pub(super) newest_message: Millis,
}

impl Store {
    /// [`Store::open_on`] any volume.
    ///
    /// # Errors
    /// As [`Store::open_on`].
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        Self::open_on(url, AllowedVolumes::Any).await
    }

    /// Connects, migrates the schema, and reads everything into memory. Makes a SQLite file private to its owner.
    ///
    /// A process must open a SQLite file only once: when it closes any handle of a file, it loses all its POSIX locks
    /// on that file.
    ///
    /// # Errors
    /// [`Error::Newer`] if the schema is newer than this version's; [`Error::Unopened`] or [`Error::Database`] if the
    /// database cannot be reached or used. A retry may help with the latter two, but not with the first.
    pub async fn open_on(url: &SecretString, volumes: AllowedVolumes) -> Result<Self, Error> {
        let url = url.expose_secret();
        let open_error = async |error| {
            if let Error::Database(error) = error {
                location::open_error(url, Mode::ReadWrite, &error).await
            } else {
                error
            }
        };
        location::check_file(url, Mode::ReadWrite, volumes)?;
        location::keep_private(url)?;
        let read_only = ReadOnlySince::default();
        let Connections { pool, begin_sql, sqlite } = match connect(url, Mode::ReadWrite, &read_only).await {
            Ok(connected) => connected,
            Err(error) => return Err(location::open_error(url, Mode::ReadWrite, &error).await),
        };
        if let Err(error) = migrate(&pool, begin_sql, sqlite).await {
            return Err(open_error(error).await);
        }
        let store = Self(Arc::new(Inner {
            pool,
            begin_sql,
            sqlite,
            read_only,
            cache: RwLock::default(),
            activity: Mutex::default(),
            replicas: Mutex::default(),
            caught_up_at: AtomicI64::new(0),
        }));
        // A read-only database is of no use.
        match store.begin_write().await {
            Ok(tx) => drop(tx),
            Err(error) => return Err(open_error(error).await),
        }
        store.load_activity(Downtime::All(Duration::ZERO)).await?;
        store.catch_up().await?;
        Ok(store)
    }

    /// Whether the database is SQLite, which only one process uses.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.0.sqlite
    }

    /// Begins a transaction for reading. The caller drops it without a commit.
    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        query::begin(&self.0.pool, self.0.begin_sql).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        // A connection may hang.
        if timeout(ANSWER_TIMEOUT, self.0.pool.close()).await.is_err() {
            tracing::warn!("closing the connections to the database timed out; they are cut");
        }
    }

    pub(super) fn cache(&self) -> RwLockReadGuard<'_, Cache> {
        self.0.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cache_mut(&self) -> RwLockWriteGuard<'_, Cache> {
        self.0.cache.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn activity(&self) -> MutexGuard<'_, Activity> {
        lock(&self.0.activity)
    }

    pub(super) fn replicas(&self) -> MutexGuard<'_, Replicas> {
        lock(&self.0.replicas)
    }
}
