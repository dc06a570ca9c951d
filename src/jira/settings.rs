//! PURE: the client's settings from the configuration.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use crate::secret::Secret;

/// Jira's URL, the credentials, and the limits of the client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://example.atlassian.net`, `https://jira.example.com/jira`, or, for a scoped token of Cloud,
    /// `https://api.atlassian.com/ex/jira/<cloud id>`.
    pub url: String,
    /// The kind of Jira; None: the bridge asks Jira once.
    pub kind: Option<Kind>,
    /// With a user, the token is sent as its password (Cloud); without, as a bearer token (Data Center).
    pub user: Option<String>,
    /// Read again for each request.
    pub token: Secret,
    /// More certificate authorities to trust, in PEM. Read again when it changes.
    pub ca_file: Option<PathBuf>,
    /// The sustained rate of all requests together.
    pub requests_per_second: NonZeroU32,
    /// How many requests may be sent at once.
    pub burst: NonZeroU32,
    /// Further fields to read of tickets, by id.
    pub planned_fields: Vec<String>,
    /// The timeout of one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
}

/// The two kinds of Jira. They differ in paths, texts and names of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hosted by Atlassian: REST v3, ADF, account ids.
    Cloud,
    /// Hosted by the customer: REST v2, wiki markup, user names.
    DataCenter,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Cloud, Self::DataCenter];

    /// Its name in the configuration and on the command line.
    #[must_use]
    pub const fn config_name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::DataCenter => "data-center",
        }
    }

    /// Its name for people.
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

/// The setting that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnusableSettings {
    /// Jira's URL or a proxy's: the key or variable, and what is wrong with it.
    #[error("{0}")]
    Address(String),
    /// The file of authorities.
    #[error("jira.ca_file: {0}")]
    Authorities(String),
    /// Jira uses TLS, and neither the system nor a file names a certificate authority.
    #[error(
        "jira.ca_file: no certificate authority is known here: install the system's (Debian: ca-certificates), or put \
         the PEM file of the one that signed Jira's certificate into jira.ca_file"
    )]
    NoAuthority,
}
