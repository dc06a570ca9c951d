//! Where the database is, and why it cannot be opened there.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use tokio::time::timeout;

use super::{
    error::{Error, one_line},
    files,
    volume::{self, AllowedVolumes},
};
use crate::database_url;

/// How long a database may take to accept a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The first bytes of every SQLite file that is not empty.
const SQLITE_HEADER: &[u8] = b"SQLite format 3\0";
const DIRECTORY: &str = "it is a directory";
const NOT_SQLITE: &str = "it is not a SQLite database";

/// What connections are for.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// Everything that a bridge does. Creates the SQLite file.
    ReadWrite,
    /// Reading only, also while a bridge uses the database.
    ReadOnly,
}

/// Where a database is. `Display` omits user and password.
enum Location {
    File(PathBuf),
    /// SQLite without a file.
    Memory,
    Server(Box<PgConnectOptions>, Vec<&'static str>),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Memory => f.write_str("SQLite in memory"),
            Self::Server(options, _) => {
                let database = options.get_database().unwrap_or(options.get_username());
                let (host, port) = (options.get_host(), options.get_port());
                match options.get_socket() {
                    Some(socket) => write!(f, "{}:{port}/{database}", socket.display()),
                    None if host.contains(':') => write!(f, "[{host}]:{port}/{database}"),
                    None => write!(f, "{host}:{port}/{database}"),
                }
            }
        }
    }
}

impl Location {
    fn of(url: &str) -> Result<Self, Error> {
        let unopened = |why| Error::Unopened { place: "the database".to_owned(), why };
        let unusable = |error: sqlx::Error| unopened(one_line(&error));
        if !url.starts_with("sqlite:") {
            let read =
                database_url::postgres(url).map_err(|problem| unopened(format!("its address {problem}")))?;
            let options = PgConnectOptions::from_str(&read.url).map_err(unusable)?;
            return Ok(Self::Server(Box::new(options), read.unsupported));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Ok(Self::Memory);
        }
        let options = SqliteConnectOptions::from_str(url).map_err(unusable)?;
        Ok(Self::File(options.get_filename().to_owned()))
    }
}

/// Describes the database at this address, without user and password. It does not open it.
#[must_use]
pub fn describe(url: &SecretString) -> String {
    let place = match Location::of(url.expose_secret()) {
        Ok(place) => place,
        Err(error) => return error.to_string(),
    };
    match &place {
        Location::File(_) => format!("SQLite in {place}"),
        Location::Memory => place.to_string(),
        Location::Server(_, unused) if unused.is_empty() => format!("PostgreSQL at {place}"),
        Location::Server(_, unused) => format!("PostgreSQL at {place} (without {})", unused.join(", ")),
    }
}

/// Checks whether the database at this address can be opened, and describes it. Creates and changes nothing.
///
/// # Errors
/// [`Error::Unopened`], with the place and the cause, but without the password.
pub async fn probe(url: &SecretString, volumes: AllowedVolumes) -> Result<String, Error> {
    let place = Location::of(url.expose_secret())?;
    let unopened = |why| Err(Error::Unopened { place: place.to_string(), why });
    match &place {
        Location::Memory => Ok(format!("{place}, so all is forgotten when the bridge stops")),
        Location::File(path) => match (obstacle(path, volumes), path.exists()) {
            (Some(why), _) => unopened(why),
            (None, true) => Ok(format!("{place} is there and can be written")),
            // With a mode other than rwc, the bridge must not create the file.
            (None, false) if !creates_file(url.expose_secret()) => {
                unopened("there is no such file, and its mode does not let the bridge create one".to_owned())
            }
            (None, false) => Ok(format!("{place} does not exist yet and can be created")),
        },
        Location::Server(options, _) => match timeout(CONNECT_TIMEOUT, options.connect()).await {
            Err(_) => unopened(no_connection(None)),
            Ok(Err(error)) => unopened(one_line(&error)),
            Ok(Ok(mut connection)) => {
                // A pooler may accept the connection and still reject every transaction.
                match timeout(CONNECT_TIMEOUT, connection.execute("BEGIN")).await {
                    Err(_) => return unopened(no_connection(None)),
                    Ok(Err(error)) => return unopened(one_line(&error)),
                    Ok(Ok(_)) => {}
                }
                // An error on closing does not matter.
                drop(connection.close().await);
                Ok(format!("PostgreSQL at {place} accepts the connection"))
            }
        },
    }
}

/// The error for a database that could not be opened, with the place and the likely cause.
pub(super) async fn open_error(url: &str, mode: Mode, error: &sqlx::Error) -> Error {
    let place = match Location::of(url) {
        Ok(place) => place,
        Err(unusable) => return unusable,
    };
    let known = match (&place, error) {
        // `check_file` checked the volume before.
        (Location::File(path), _) => obstacle_to(mode, path, AllowedVolumes::Any),
        (Location::Server(options, _), sqlx::Error::PoolTimedOut) => {
            Some(no_connection(last_error(options).await))
        }
        (Location::Memory | Location::Server(..), _) => None,
    };
    Error::Unopened { place: place.to_string(), why: known.unwrap_or_else(|| one_line(error)) }
}

/// Checks the file before SQLite opens it. SQLite would open a read-only file for reading and create a log (`-wal`)
/// beside it with the same permissions, which stays read-only when the file becomes writable again.
///
/// # Errors
/// [`Error::Unopened`].
pub(super) fn check_file(url: &str, mode: Mode, volumes: AllowedVolumes) -> Result<(), Error> {
    let place = Location::of(url)?;
    let why = match &place {
        Location::File(path) => obstacle_to(mode, path, volumes),
        Location::Memory | Location::Server(..) => None,
    };
    why.map_or(Ok(()), |why| Err(Error::Unopened { place: place.to_string(), why }))
}

/// Whether a missing SQLite file is created.
fn creates_file(url: &str) -> bool {
    !url.contains("mode=") || url.contains("mode=rwc")
}

/// Creates the SQLite file, or makes an existing one private to its owner.
///
/// # Errors
/// [`Error::Unopened`].
pub(super) fn keep_private(url: &str) -> Result<(), Error> {
    let place = Location::of(url)?;
    let Location::File(path) = &place else { return Ok(()) };
    files::keep_private(path, creates_file(url))
        .map_err(|error| Error::Unopened { place: place.to_string(), why: io_error_text(&error) })
}

fn no_connection(last: Option<String>) -> String {
    let last = last.map(|last| format!(" (last: {last})")).unwrap_or_default();
    format!(
        "it accepted no connection within {} s{last}; is it running, and can it be reached from here?",
        CONNECT_TIMEOUT.as_secs()
    )
}

/// Why a server accepts no connection at the moment. A pool retries until its timeout, and does not report the reason.
async fn last_error(options: &PgConnectOptions) -> Option<String> {
    match timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(Err(error)) => Some(one_line(&error)),
        Ok(Ok(_)) | Err(_) => None,
    }
}

fn obstacle_to(mode: Mode, path: &Path, volumes: AllowedVolumes) -> Option<String> {
    match mode {
        Mode::ReadWrite => obstacle(path, volumes),
        Mode::ReadOnly => match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Some("there is no such file".to_owned()),
            Err(error) => Some(format!("it cannot be read: {}", io_error_text(&error))),
            Ok(_) if path.is_dir() => Some(DIRECTORY.to_owned()),
            Ok(file) => (!is_sqlite(file)).then(|| NOT_SQLITE.to_owned()),
        },
    }
}

/// Why SQLite cannot use this file, as far as the file system shows. SQLite must write to the directory, too: its log
/// is beside the file.
fn obstacle(path: &Path, volumes: AllowedVolumes) -> Option<String> {
    let directory = match path.parent() {
        None => return Some(DIRECTORY.to_owned()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    match fs::metadata(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Some("its directory does not exist".to_owned());
        }
        Err(error) => return Some(format!("its directory cannot be looked at: {}", io_error_text(&error))),
        Ok(found) if !found.is_dir() => return Some("its directory is a file".to_owned()),
        Ok(_) => {}
    }
    if let Some(network) = volume::obstacle(directory, volumes) {
        return Some(network);
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Some(DIRECTORY.to_owned()),
        Ok(_) => {
            let file = match OpenOptions::new().read(true).write(true).open(path) {
                Ok(file) => file,
                Err(error) => return Some(format!("it cannot be written: {}", io_error_text(&error))),
            };
            if !is_sqlite(file) {
                return Some(NOT_SQLITE.to_owned());
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Some(format!("it cannot be looked at: {}", io_error_text(&error))),
    }
    for beside in files::side_files(path) {
        match OpenOptions::new().write(true).open(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Some(format!("{} cannot be written: {}", beside.display(), io_error_text(&error)));
            }
            Ok(_) | Err(_) => {}
        }
    }
    // The file has no name, or is deleted at once.
    tempfile::tempfile_in(directory)
        .err()
        .map(|error| format!("no file can be created in its directory: {}", io_error_text(&error)))
}

/// Whether the file is a SQLite database. An empty file is one.
fn is_sqlite(file: File) -> bool {
    let mut first = Vec::new();
    let read = file.take(SQLITE_HEADER.len() as u64).read_to_end(&mut first);
    read.is_err() || first.is_empty() || first == SQLITE_HEADER
}

fn io_error_text(error: &io::Error) -> String {
    if error.kind() == ErrorKind::PermissionDenied {
        format!(
            "user {} may not; let it read and write there (chown), or in Kubernetes set fsGroup in the pod's securityContext",
            rustix::process::geteuid()
        )
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, audit::AuditLog};

    async fn probe_and_open(url: &str) -> [Result<String, String>; 2] {
        let url = SecretString::from(url.to_owned());
        let probed = probe(&url, AllowedVolumes::Any).await.map_err(|error| error.to_string());
        let opened = Store::open(&url).await.map(|_| String::new()).map_err(|error| error.to_string());
        [probed, opened]
    }

    #[tokio::test]
    async fn the_error_for_an_unreadable_record_says_why() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).display().to_string();
        fs::write(at("letter"), "Dear reader, this is no database").unwrap();
        fs::create_dir(at("folder")).unwrap();
        for (name, why) in [
            ("none/bridge.db", "there is no such file"),
            ("bridge.db", "there is no such file"),
            ("letter/bridge.db", "it cannot be read: Not a directory (os error 20)"),
            ("folder", "it is a directory"),
            ("letter", "it is not a SQLite database"),
        ] {
            let said =
                AuditLog::open(&SecretString::from(format!("sqlite://{}", at(name)))).await.err().unwrap();
            assert_eq!(said.to_string(), format!("cannot open {}: {why}", at(name)));
        }
        let url = "postgres://bridge:swordfish@127.0.0.1:1/gates";
        let said = AuditLog::open(&SecretString::from(url)).await.err().unwrap().to_string();
        assert!(said.starts_with("cannot open 127.0.0.1:1/gates: ") && !said.contains("swordfish"), "{said}");
        assert_eq!(home.path().read_dir().unwrap().count(), 2, "nothing was created");
    }

    /// `check` and `serve` report the same error, and checking creates no file.
    #[tokio::test]
    async fn the_error_for_a_database_that_cannot_be_opened_says_why() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).display().to_string();
        fs::write(at("letter"), "Dear reader, this is no database").unwrap();
        fs::create_dir(at("folder")).unwrap();
        for (name, why) in [
            ("none/bridge.db", "its directory does not exist"),
            ("letter/bridge.db", "its directory is a file"),
            ("folder", "it is a directory"),
            ("letter", "it is not a SQLite database"),
        ] {
            let expected = format!("cannot open {}: {why}", at(name));
            for said in probe_and_open(&format!("sqlite://{}", at(name))).await {
                assert_eq!(said.unwrap_err(), expected);
            }
        }
        let url = SecretString::from(format!("sqlite://{}", at("bridge.db")));
        let new = format!("{} does not exist yet and can be created", at("bridge.db"));
        assert_eq!(probe(&url, AllowedVolumes::Any).await.unwrap(), new);
        for mode in ["ro", "rw"] {
            let url = SecretString::from(format!("sqlite://{}?mode={mode}", at("bridge.db")));
            let said = probe(&url, AllowedVolumes::Any).await.unwrap_err().to_string();
            let why = "there is no such file, and its mode does not let the bridge create one";
            assert_eq!(said, format!("cannot open {}: {why}", at("bridge.db")));
        }
        assert_eq!(home.path().read_dir().unwrap().count(), 2, "nothing was created");
        Store::open(&url).await.unwrap().close().await;
        let there = format!("{} is there and can be written", at("bridge.db"));
        assert_eq!(probe(&url, AllowedVolumes::Any).await.unwrap(), there);
    }

    #[tokio::test]
    async fn a_server_is_named_without_its_password() {
        let url = "postgres://bridge:swordfish@127.0.0.1:1/gates";
        let said = probe(&SecretString::from(url), AllowedVolumes::Any).await.unwrap_err().to_string();
        assert!(said.starts_with("cannot open 127.0.0.1:1/gates: "), "{said}");
        let waited = open_error(url, Mode::ReadWrite, &sqlx::Error::PoolTimedOut).await.to_string();
        assert!(
            waited.starts_with(
                "cannot open 127.0.0.1:1/gates: it accepted no connection within 3 s (last: error communicating with \
                 database: Connection refused (os error 111)); is it running"
            ),
            "{waited}"
        );
        for said in probe_and_open(url).await {
            assert!(said.as_ref().unwrap_err().contains("Connection refused"), "{said:?}");
        }
        let unusable =
            probe(&SecretString::from("postgres://bridge:swordfish@host:port/gates"), AllowedVolumes::Any)
                .await;
        let unusable = unusable.unwrap_err().to_string();
        assert!(!format!("{said}{waited}{unusable}").contains("swordfish"), "{unusable}");
    }
}
