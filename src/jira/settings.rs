//! PURE: the client's settings from the configuration.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use crate::{policy::Exception, secret::Secret};

/// Jira's URL, the credentials, and the limits of the client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://example.atlassian.net`, `https://jira.example.com/jira`, or, for a scoped token of Cloud,
    /// `https://api.atlassian.com/ex/jira/<cloud id>`.
    pub url: String,
    /// The kind of Jira; None: the bridge asks Jira once.
    pub kind: Option<Kind>,
    /// How the bridge proves which account it is.
    pub login: Login,
    /// More certificate authorities to trust, in PEM. Read again when it changes.
    pub ca_file: Option<PathBuf>,
    /// The sustained rate of all requests together.
    pub requests_per_second: NonZeroU32,
    /// How many requests may be sent at once.
    pub burst: NonZeroU32,
    /// Further fields to read of tickets, by id.
    pub planned_fields: Vec<String>,
    /// What of tickets may lift a freeze or a window.
    pub exceptions: Vec<Exception>,
    /// Whether some tickets are opened as requests of Jira Service Management.
    pub opens_requests: bool,
    /// The timeout of one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
}

/// How the bridge proves which account it is.
#[derive(Clone, Debug)]
pub enum Login {
    /// With a token.
    Token {
        /// With a user, the token is sent as its password (Cloud); without, as a bearer token (Data Center).
        user: Option<String>,
        /// Read again for each request.
        token: Secret,
    },
    /// As a service account of Cloud, with access tokens that are fetched.
    OAuth(OAuth),
}

impl Login {
    /// The configured secret: the token, or the client's secret.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        match self {
            Self::Token { token, .. } => token,
            Self::OAuth(oauth) => &oauth.client_secret,
        }
    }

    /// The key of that secret.
    #[must_use]
    pub const fn secret_key(&self) -> &'static str {
        match self {
            Self::Token { .. } => "jira.token",
            Self::OAuth(_) => "jira.oauth.client_secret",
        }
    }

    /// The configured user.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Token { user, .. } => user.as_deref(),
            Self::OAuth(_) => None,
        }
    }

    /// The client of OAuth 2.0, if there is one.
    #[must_use]
    pub const fn oauth(&self) -> Option<&OAuth> {
        match self {
            Self::Token { .. } => None,
            Self::OAuth(oauth) => Some(oauth),
        }
    }
}

/// The client of OAuth 2.0, with which access tokens are fetched (client credentials).
#[derive(Clone, Debug)]
pub struct OAuth {
    /// Its id.
    pub client_id: String,
    /// Its secret; read again for each fetch.
    pub client_secret: Secret,
    /// Where access tokens are fetched.
    pub token_url: String,
    /// Atlassian's gateway, without a slash at its end. Only there access tokens count.
    pub api_url: String,
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
