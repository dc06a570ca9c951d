//! What OAuth 2.0's token endpoint and a site of Cloud answer.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The answer of `/_edge/tenant_info`.
#[derive(Deserialize)]
pub(in crate::jira) struct TenantInfo {
    #[serde(rename = "cloudId")]
    cloud_id: Option<String>,
}

impl TenantInfo {
    /// The cloud id, if it can be a part of an address.
    pub(in crate::jira) fn cloud_id(&self) -> Option<&str> {
        let id = self.cloud_id.as_deref()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (!id.is_empty() && id.len() <= 64 && id.chars().all(plain)).then_some(id)
    }
}

/// An access token (RFC 6749, 5.1).
#[derive(Deserialize)]
pub(in crate::jira) struct AccessToken {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    scope: Value,
}

impl AccessToken {
    /// Reads an answer; None if it holds no token.
    pub(in crate::jira) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    pub(in crate::jira) const fn value(&self) -> &SecretString {
        &self.access_token
    }

    pub(in crate::jira) fn into_value(self) -> SecretString {
        self.access_token
    }

    /// How long it is valid, if that is said; at most a day.
    pub(in crate::jira) fn lifetime(&self) -> Option<Duration> {
        let seconds = match &self.expires_in {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        seconds.map(|seconds| Duration::from_secs(seconds).min(Duration::from_hours(24)))
    }

    /// Its scopes, if they are said.
    pub(in crate::jira) fn scopes(&self) -> Option<Vec<String>> {
        let scopes = self.scope.as_str()?.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        (!scopes.is_empty()).then_some(scopes)
    }
}

fn secret<'de, D: Deserializer<'de>>(value: D) -> Result<SecretString, D::Error> {
    String::deserialize(value).map(SecretString::from)
}

/// A refusal of the token endpoint (RFC 6749, 5.2).
#[derive(Deserialize)]
pub(in crate::jira) struct OAuthError {
    error: String,
    #[serde(default)]
    error_description: Value,
}

impl OAuthError {
    /// Reads an answer; None if it has another form.
    pub(in crate::jira) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The code, and what it means if that is said.
    pub(in crate::jira) fn words(&self) -> String {
        match self.error_description.as_str() {
            Some(said) if !said.trim().is_empty() => {
                format!("{} ({})", self.error, said.trim().trim_end_matches('.'))
            }
            Some(_) | None => self.error.clone(),
        }
    }
}
