//! An OAuth client.

use std::time::Duration;

/// An OAuth client, and the access tokens that it was given.
pub(super) struct OAuthClient {
    pub(super) id: String,
    pub(super) secret: String,
    /// How long tokens are said to be valid.
    pub(super) lifetime: Duration,
    pub(super) scopes: Vec<String>,
    /// How many tokens were given.
    pub(super) given: u32,
    /// Those that are valid.
    pub(super) valid: Vec<String>,
}
