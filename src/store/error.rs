//! Why the database could not do it, in words that say what to do.

use std::time::Duration;

use crate::text;

/// How long the database may take to answer. More than its own limits, so that its own words come first; Flagger waits
/// ten seconds for us.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(4);

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
    #[error("what is stored about {} cannot be read: {}", text::one_line(.canary, 300), text::one_line(.why, 300))]
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
pub(super) fn one_line(error: &sqlx::Error) -> String {
    let words = text::one_line(&error.to_string(), 300);
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
    let said = error.as_database_error()?;
    let code = said.code()?;
    match code.as_ref() {
        "28P01" => return Some("is the password in store.url right, and percent-encoded?"),
        // So says a pooler, not PostgreSQL, and of everything: only its words tell more.
        "08P01" if said.message().contains("startup parameter") => {
            return Some("put extra_float_digits into ignore_startup_parameters of pgbouncer");
        }
        "08P01" if said.message().contains("pooling mode") => {
            return Some("set pool_mode = transaction or session in pgbouncer, or go straight to PostgreSQL");
        }
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
pub(super) fn only_reads(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| {
        code == "25006" || code.len() < 5 && code.parse().is_ok_and(|code: i32| code & 0xff == 8)
    })
}
