//! Secrets: given once, by value or by file, and read again when the file changes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use secrecy::{ExposeSecret as _, SecretString};

/// A secret that may have several valid values, one a line, so that it can be rotated.
#[derive(Clone)]
pub struct Secret(Arc<Source>);

enum Source {
    Value(SecretString),
    File { path: PathBuf, read: Mutex<Option<(SystemTime, Vec<SecretString>)>> },
}

/// Why a secret cannot be had. Never says what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(String),
}

impl Secret {
    /// A secret written down where it is used.
    ///
    /// # Errors
    /// If it is blank.
    pub fn value(value: &str) -> Result<Self, Error> {
        if value.trim().is_empty() {
            return Err(Error::Empty("the secret".into()));
        }
        Ok(Self(Arc::new(Source::Value(SecretString::from(value.trim().to_owned())))))
    }

    /// A secret in a file, one valid value a line.
    ///
    /// # Errors
    /// If the file cannot be read now, or holds no line.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let secret = Self(Arc::new(Source::File { path: path.to_owned(), read: Mutex::default() }));
        secret.lines()?;
        Ok(secret)
    }

    /// All values that are valid now, the newest first. A file is read again when its time changed.
    ///
    /// # Errors
    /// If the file has become unreadable or empty; the values read before are not used any more then.
    pub fn lines(&self) -> Result<Vec<SecretString>, Error> {
        let (path, read) = match &*self.0 {
            Source::Value(value) => return Ok(vec![value.clone()]),
            Source::File { path, read } => (path, read),
        };
        let unreadable = |source| Error::Unreadable { path: path.clone(), source };
        let changed = std::fs::metadata(path).and_then(|meta| meta.modified()).map_err(unreadable)?;
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, lines)) = &*read
            && *at == changed
        {
            return Ok(lines.clone());
        }
        let text = SecretString::from(std::fs::read_to_string(path).map_err(unreadable)?);
        let lines: Vec<SecretString> = text
            .expose_secret()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| SecretString::from(line.to_owned()))
            .collect();
        if lines.is_empty() {
            return Err(Error::Empty(path.display().to_string()));
        }
        *read = Some((changed, lines.clone()));
        Ok(lines)
    }

    /// The newest value: what we present ourselves with.
    ///
    /// # Errors
    /// As [`Secret::lines`].
    pub fn first(&self) -> Result<SecretString, Error> {
        self.lines()?.into_iter().next().ok_or_else(|| Error::Empty("the secret".into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Source::Value(_) => f.write_str("Secret(by value)"),
            Source::File { path, .. } => write!(f, "Secret({})", path.display()),
        }
    }
}
