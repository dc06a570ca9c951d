//! The contents of columns: keys, and values as JSON.

use serde::{Serialize, de::DeserializeOwned};

use super::error::{Error, one_line};
use crate::rollout::{Canary, CanaryId};

/// The format of a canary's serialised state that this version writes. It reads this and all older formats.
///
/// Format 2 adds restrictions of an approval, such as the statuses of its ticket and the people whom questions denied.
/// An older version would write the row back without them.
pub(super) const FORMAT: i64 = 2;

/// A canary's row id. None of the three names contains a slash.
pub(super) fn key(id: &CanaryId) -> String {
    id.to_string()
}

/// The canary with this row id.
pub(super) fn canary_id(key: &str) -> Option<CanaryId> {
    let mut parts = key.splitn(3, '/').map(str::to_owned);
    Some(CanaryId { cluster: parts.next()?, namespace: parts.next()?, name: parts.next()? })
}

/// The canary that a row belongs to, by its row id.
///
/// # Errors
/// [`Error::Corrupt`].
pub(super) fn owner(key: &str) -> Result<CanaryId, Error> {
    canary_id(key).ok_or_else(|| corrupt(key, "its id does not have three parts"))
}

/// Serializes a value for a row of this canary.
///
/// # Errors
/// [`Error::Corrupt`].
pub(super) fn to_json(value: &impl Serialize, canary: &CanaryId) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| corrupt(&key(canary), &error.to_string()))
}

/// Deserializes a value from a row of the canary with this row id.
///
/// # Errors
/// [`Error::Corrupt`].
pub(super) fn from_json<T: DeserializeOwned>(json: &str, canary: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| corrupt(canary, &error.to_string()))
}

/// Deserializes the canary of this row.
///
/// # Errors
/// [`Error::Corrupt`].
pub(super) fn canary(id: &str, format: i64, state: &str) -> Result<Canary, Error> {
    if format > FORMAT {
        return Err(corrupt(id, &format!("it is in format {format}, this version reads up to {FORMAT}")));
    }
    let canary: Canary = from_json(state, id)?;
    // Otherwise one row could open another canary's gates.
    if key(&canary.id) != id {
        return Err(corrupt(id, &format!("it is about {}", canary.id)));
    }
    Ok(canary)
}

/// The error for a row whose columns cannot be read.
pub(super) fn unreadable(what: impl Into<String>, error: &sqlx::Error) -> Error {
    Error::Corrupt { canary: what.into(), why: one_line(error) }
}

fn corrupt(canary: &str, why: &str) -> Error {
    Error::Corrupt { canary: canary.to_owned(), why: why.to_owned() }
}
