//! Secrets: given by value or in a file, which is read again when it changes.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::{ExposeSecret as _, SecretString};

use crate::reload::Reloaded;

/// The maximum size of a file with secrets, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// A secret that may have several valid values, one per line, so that it can be rotated.
#[derive(Clone)]
pub struct Secret(Arc<Source>);

enum Source {
    Value(SecretString),
    File { path: PathBuf, lines: Reloaded<Vec<SecretString>, Error> },
}

/// Why a secret cannot be used. It never contains the file's contents.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The secret or the file is empty.
    #[error("{0} is empty")]
    Empty(String),
    /// The file is not text.
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    /// The file is so long that it cannot be the right one.
    #[error("{0} is longer than 64 KiB")]
    TooLong(String),
}

impl Secret {
    /// A secret given by value.
    ///
    /// # Errors
    /// If it is blank.
    pub fn value(value: &str) -> Result<Self, Error> {
        if value.trim().is_empty() {
            return Err(Error::Empty("the secret".into()));
        }
        Ok(Self(Arc::new(Source::Value(SecretString::from(value.trim().to_owned())))))
    }

    /// A secret in a file, one valid value per line.
    ///
    /// # Errors
    /// If the file cannot be read now, or has no value.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let owned = path.to_owned();
        let lines = Reloaded::open(vec![owned.clone()], move |_| read(&owned), |_| {})?;
        Ok(Self(Arc::new(Source::File { path: path.to_owned(), lines })))
    }

    /// All values that are valid now, newest first; never empty. A file is read again when it changes. While it cannot
    /// be read or is empty, perhaps because it is being replaced, the previous values stay valid.
    #[must_use]
    pub fn values(&self) -> Vec<SecretString> {
        match &*self.0 {
            Source::Value(value) => vec![value.clone()],
            Source::File { lines, .. } => lines.current(),
        }
    }

    /// Whether each value can be put into an address unencoded, `http://any:VALUE@host`: only letters, digits and a few
    /// other characters can. In a header, any value works.
    #[must_use]
    pub fn fits_url(&self) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:".contains(c);
        self.values().iter().all(|line| line.expose_secret().chars().all(fits))
    }

    /// The newest value: the one that the bridge sends.
    #[must_use]
    pub fn newest(&self) -> SecretString {
        self.values().into_iter().next().unwrap_or_default()
    }
}

/// The trimmed lines of a file, without empty ones and without a byte order mark.
fn read(path: &Path) -> Result<Vec<SecretString>, Error> {
    let shown = || path.display().to_string();
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(unreadable)?.take(MAX_BYTES + 1);
    let read = file.read_to_end(&mut bytes).map_err(unreadable)?;
    if read as u64 > MAX_BYTES {
        return Err(Error::TooLong(shown()));
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::NotText(shown()))?;
    let text = SecretString::from(text);
    let lines: Vec<SecretString> = text
        .expose_secret()
        .trim_start_matches('\u{FEFF}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| SecretString::from(line.to_owned()))
        .collect();
    if lines.is_empty() { Err(Error::Empty(shown())) } else { Ok(lines) }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Source::Value(_) => f.write_str("Secret(by value)"),
            Source::File { path, .. } => write!(f, "Secret({})", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(secret: &Secret) -> Vec<String> {
        secret.values().iter().map(|line| line.expose_secret().to_owned()).collect()
    }

    #[test]
    fn a_file_is_read_whatever_its_line_ends_and_blanks() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        for (bytes, expected) in [
            ("one", vec!["one"]),
            ("one\n", vec!["one"]),
            ("new\nold\n", vec!["new", "old"]),
            ("new\r\nold\r\n", vec!["new", "old"]),
            ("\n\n  new \t\n\n \n old\n\n", vec!["new", "old"]),
            ("\u{FEFF}new\nold", vec!["new", "old"]),
            ("two words\u{A0}\n", vec!["two words"]),
        ] {
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(lines(&Secret::file(&file).unwrap()), expected, "{bytes:?}");
        }
    }

    #[test]
    fn only_some_characters_fit_into_an_address() {
        for fits in ["0a1b2c3d4e5f6789", "A-Z._~", "a!b$c&d'e(f)g*h+i,j;k=l", "a:b"] {
            assert!(Secret::value(fits).unwrap().fits_url(), "{fits}");
            let url = reqwest::Url::parse(&format!("http://any:{fits}@bridge.example/gate")).unwrap();
            assert_eq!(url.host_str(), Some("bridge.example"), "{fits}");
        }
        let signs = [
            "/", "#", "?", "%", "@", "[", "]", " ", "\"", "<", ">", "\\", "^", "`", "{", "|", "}", "ä",
            "\u{7f}",
        ];
        for sign in signs {
            let secret = Secret::value(&format!("0a1b{sign}4e5f")).unwrap();
            assert!(!secret.fits_url(), "{sign:?}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0a1b2c\n3d/4e5f\n").unwrap();
        assert!(!Secret::file(file.path()).unwrap().fits_url());
    }

    #[test]
    fn an_invalid_file_is_an_error_at_the_start_and_ignored_later() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, "new\nold").unwrap();
        let secret = Secret::file(&file).unwrap();
        assert_eq!(secret.newest().expose_secret(), "new");
        let long = vec![b'x'; 64 * 1024 + 1];
        for (bytes, words) in [
            (&b""[..], "is empty"),
            (b" \r\n\n", "is empty"),
            (b"\xEF\xBB\xBF\n", "is empty"),
            (b"\xFF\xFEs\0e\0", "is not UTF-8 text"),
            (&long[..], "is longer than 64 KiB"),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = Secret::file(&file).unwrap_err().to_string();
            assert_eq!(error, format!("{} {words}", file.display()));
            assert_eq!(lines(&secret), ["new", "old"], "{words}");
        }
        std::fs::write(&file, &long[1..]).unwrap();
        assert_eq!(lines(&secret), [String::from_utf8(long[1..].to_vec()).unwrap()]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(lines(&secret).len(), 1);
        std::fs::create_dir(&file).unwrap();
        assert_eq!(lines(&secret).len(), 1);
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, "newest").unwrap();
        assert_eq!(lines(&secret), ["newest"]);
    }
}
