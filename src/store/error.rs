//! Errors of the database, with hints on what to do.

use std::time::Duration;

use crate::text;

/// How long the database may take to answer. Longer than the database's own limits, so that its own error comes first;
/// Flagger waits ten seconds for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed, or cannot be reached.
    #[error("the database failed: {}", one_line(.0))]
    Database(#[from] sqlx::Error),
    /// Other processes have held the lock for longer than the caller can wait.
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
    /// The database did not answer: it hangs, or the connection was lost without an error.
    #[error("the database did not answer within {} s; is it running, and can it be reached from here?", ANSWER_TIMEOUT.as_secs())]
    NoAnswer,
    /// The row of a canary cannot be read.
    #[error("what is stored about {} cannot be read: {}", text::one_line(.canary, 300), text::one_line(.why, 300))]
    Corrupt {
        /// The row's id.
        canary: String,
        /// What is wrong with the row.
        why: String,
    },
    /// A row of the audit record cannot be read: it was changed.
    #[error("row {0} of the audit record cannot be read; verify the record")]
    UnreadableRecord(i64),
    /// The row of `audit_chain`, with the ends of the audit record, is missing.
    #[error("the audit record was tampered with: the row of audit_chain is gone; restore it from a backup")]
    NoChain,
    /// There is no audit record yet.
    #[error("there is no audit record here: no bridge of this version has used this database")]
    NoRecord,
    /// A newer version has migrated the schema.
    #[error(
        "the database was made by a newer version (its schema is {0}); start that version, or restore a backup"
    )]
    Newer(i64),
}

/// The error as one line, with a hint. Drivers' messages may have several lines and no hint.
pub(super) fn one_line(error: &sqlx::Error) -> String {
    let words = text::one_line(&error.to_string(), 300);
    match hint(error) {
        None => words,
        Some(hint) => format!("{words}; {hint}"),
    }
}

/// A hint for errors that do not say what to do. SQLite's codes are numbers; their lower eight bits are the kind of
/// error. PostgreSQL's codes have five characters.
fn hint(error: &sqlx::Error) -> Option<&'static str> {
    const FREE_SPACE: &str = "free space where the database is";
    const WRITABLE: &str = "let the bridge write the file, those beside it (-wal, -shm) and its directory";
    const LOCKED: &str = "another process holds a lock on it for too long";
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Some("it cannot be reached, is too busy, or its disk is full");
    }
    let database_error = error.as_database_error()?;
    let code = database_error.code()?;
    match code.as_ref() {
        "28P01" => return Some("is the password in store.url right, and percent-encoded?"),
        // The code of all of a pooler's errors: only the message distinguishes them.
        "08P01" if database_error.message().contains("startup parameter") => {
            return Some("put extra_float_digits into ignore_startup_parameters of pgbouncer");
        }
        "08P01" if database_error.message().contains("pooling mode") => {
            return Some("set pool_mode = transaction or session in pgbouncer, or go straight to PostgreSQL");
        }
        "53100" => return Some(FREE_SPACE),
        "25006" => return Some("this server is read-only; does the address lead to a standby?"),
        "55P03" | "57014" => return Some(LOCKED),
        _ if code.len() == 5 => return None,
        _ => {}
    }
    match code.parse::<i32>().ok()? & 0xff {
        5 | 6 => Some(LOCKED),
        8 => Some(WRITABLE),
        10 => Some("is its disk full or broken?"),
        13 => Some(FREE_SPACE),
        _ => None,
    }
}

/// Whether the database rejected a write because the file or the server is read-only.
pub(super) fn is_read_only(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| {
        code == "25006" || code.len() < 5 && code.parse().is_ok_and(|code: i32| code & 0xff == 8)
    })
}
