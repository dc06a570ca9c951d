//! The store itself: its connections, and what it keeps in memory.

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
    error::{ANSWERS_WITHIN, Error},
    location::{self, Mode},
    query::{self, Transaction},
    volume::AllowedVolumes,
};
use crate::millis::Millis;

/// The database and what is remembered of it. Cheap to clone.
#[derive(Clone)]
pub struct Store(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) pool: AnyPool,
    /// How a transaction begins.
    begin: &'static str,
    sqlite: bool,
    pub(super) read_only: ReadOnlySince,
    cache: RwLock<Cache>,
    activity: Mutex<Activity>,
    replicas: Mutex<Replicas>,
    /// When this replica last followed the others, in milliseconds.
    pub(super) caught_up_at: AtomicI64,
}

/// Who works, as the lease said when it was last looked at.
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

/// What the database said last of the times at which replicas did something.
#[derive(Default)]
pub(super) struct Replicas {
    pub(super) leader: Option<LastLeader>,
    /// The newest message that any of them heard.
    pub(super) heard: Millis,
}

impl Store {
    /// [`Store::open_on`] any volume.
    ///
    /// # Errors
    /// As [`Store::open_on`].
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        Self::open_on(url, AllowedVolumes::Any).await
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
    pub async fn open_on(url: &SecretString, volumes: AllowedVolumes) -> Result<Self, Error> {
        let url = url.expose_secret();
        let failed = async |error| {
            if let Error::Database(error) = error {
                location::unopened(url, Mode::Works, &error).await
            } else {
                error
            }
        };
        location::look(url, Mode::Works, volumes)?;
        location::keep_private(url)?;
        let only_read = ReadOnlySince::default();
        let Connections { pool, begin_write: begin, sqlite } =
            match connect(url, Mode::Works, &only_read).await {
                Ok(connected) => connected,
                Err(error) => return Err(location::unopened(url, Mode::Works, &error).await),
            };
        if let Err(error) = migrate(&pool, begin, sqlite).await {
            return Err(failed(error).await);
        }
        let store = Self(Arc::new(Inner {
            pool,
            begin,
            sqlite,
            read_only: only_read,
            cache: RwLock::default(),
            activity: Mutex::default(),
            replicas: Mutex::default(),
            caught_up_at: AtomicI64::new(0),
        }));
        // A database that can only be read is as good as none.
        match store.begin_write().await {
            Ok(tx) => drop(tx),
            Err(error) => return Err(failed(error).await),
        }
        store.load_heard(Downtime::All(Duration::ZERO)).await?;
        store.catch_up().await?;
        Ok(store)
    }

    /// Whether it is SQLite, which one process has for itself.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.0.sqlite
    }

    /// A transaction. One that only read is dropped.
    pub(super) async fn begin_read(&self) -> Result<Transaction, Error> {
        query::begin(&self.0.pool, self.0.begin).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        // A connection that hangs is not waited for.
        if timeout(ANSWERS_WITHIN, self.0.pool.close()).await.is_err() {
            tracing::warn!("the database does not let go; its connections are cut");
        }
    }

    pub(super) fn cache(&self) -> RwLockReadGuard<'_, Cache> {
        self.0.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cache_mut(&self) -> RwLockWriteGuard<'_, Cache> {
        self.0.cache.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.0.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn replicas(&self) -> MutexGuard<'_, Replicas> {
        self.0.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
