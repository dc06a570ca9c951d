//! PURE: the channels of the configuration.

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::format::Format;
use crate::{
    policy::Match,
    secret::Secret,
    server_url::{is_this_machine, is_unambiguous},
};

/// One of `[[notify]]`.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Identifies it in the outbox.
    pub id: ChannelId,
    /// Its key in the configuration, for messages: `notify[0]`.
    pub key: String,
    /// The gates that it is told about.
    pub gates: Match,
    /// Its address. Read again when it changes.
    pub url: Secret,
    /// What it takes.
    pub format: Format,
}

/// Identifies a channel by what it is for, not by its address: that may be replaced while a message waits, and so may the
/// order in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelId(pub String);

impl ChannelId {
    /// The id of the `nth` channel (from 0) with the same gates and format.
    #[must_use]
    pub fn new(gates: &Match, format: Format, nth: usize) -> Self {
        let mut hash = Sha256::new();
        for part in gates.globs().into_iter().chain([format.as_str()]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update((nth as u64).to_be_bytes());
        Self(hex::encode(&hash.finalize()[..6]))
    }
}

/// The address of a channel.
///
/// # Errors
/// What is wrong with it, without a part of it.
pub fn address(url: &SecretString) -> Result<Url, &'static str> {
    let text = url.expose_secret().trim();
    let url =
        Url::parse(text).map_err(|_| "is no URL; put the address there that the channel's webhook has")?;
    if !is_unambiguous(text) || !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password, nor spaces");
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(host) => Ok(url),
        _ => Err("must begin with https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_encrypted_or_on_this_machine() {
        for (url, what) in [
            ("https://hooks.slack.com/services/T0/B0/x", ""),
            (" https://example.com/a?sig=b%2Fc \n", ""),
            ("http://127.0.0.1:8080/x", ""),
            ("http://localhost/x", ""),
            ("http://hooks.slack.com/x", "must begin with https://"),
            ("ftp://hooks.slack.com/x", "must begin with https://"),
            ("hooks.slack.com/x", "is no URL; put the address there that the channel's webhook has"),
            ("https://a:b@example.com/x", "must not hold a user or password, nor spaces"),
            ("https://a@example.com/x", "must not hold a user or password, nor spaces"),
            ("https://example.com/a b", "must not hold a user or password, nor spaces"),
        ] {
            let found = address(&url.into()).err().unwrap_or_default();
            assert_eq!(found, what, "{url}");
        }
    }
}
