//! PURE: where Jira is and how to behave there, as the configuration says.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use crate::secret::Secret;

/// Where Jira is, and how to behave there.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://example.atlassian.net`, `https://jira.example.com/jira`, or, for a scoped token of Cloud,
    /// `https://api.atlassian.com/ex/jira/<cloud id>`.
    pub url: String,
    /// Which kind of Jira it is; None: ask it, once.
    pub kind: Option<Kind>,
    /// With a user the token is sent as a password (Cloud), without one as a bearer token (Data Center).
    pub user: Option<String>,
    /// Read again for each request.
    pub token: Secret,
    /// More certificate authorities to trust, in PEM. Read again when it changes.
    pub ca_file: Option<PathBuf>,
    /// The lasting rate of all requests together.
    pub requests_per_second: NonZeroU32,
    /// How many may go at once.
    pub burst: NonZeroU32,
    /// For one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
}

/// The two kinds of Jira. They differ in paths, texts and names of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Atlassian's own: REST v3, ADF, account ids.
    Cloud,
    /// The customer's own: REST v2, wiki markup, user names.
    DataCenter,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cloud, Self::DataCenter];

    /// As the configuration and the command line write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::DataCenter => "data-center",
        }
    }

    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cloud => "Cloud",
            Self::DataCenter => "Data Center",
        }
    }

    /// The version of its REST API, as in its paths.
    pub(super) const fn api(self) -> &'static str {
        match self {
            Self::Cloud => "3",
            Self::DataCenter => "2",
        }
    }
}

/// What of the settings cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnusableSettings {
    /// The address, or that of a proxy: what the key or variable is, and what is wrong with it.
    #[error("{0}")]
    Address(String),
    /// The file of authorities.
    #[error("jira.ca_file: {0}")]
    Authorities(String),
    /// Neither the system nor a file names an authority, and Jira speaks TLS.
    #[error(
        "jira.ca_file: no certificate authority is known here: install the system's (Debian: ca-certificates), or put \
         the PEM file of the one that signed Jira's certificate into jira.ca_file"
    )]
    NoAuthority,
}
