//! PURE: the ConfigMaps that Flagger tracks for a target. It copies them for the primary at a promotion, and a change of
//! their content begins a rollout, as a change of the pod template does (`pkg/canary/config_tracker.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    config_refs::{RefKind, refs},
    digest::Digest,
    running::tracks_configs,
};

/// On a ConfigMap that Flagger leaves alone, with a value that begins with `disable` (`configIsDisabled`).
const TRACKING: &str = "flagger.app/config-tracking";
/// More names than this are counted, not named.
const MOST_NAMED: usize = 5;

/// The content of ConfigMaps: a digest of each, by name. One that does not exist has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Configs(BTreeMap<String, Digest>);

impl Configs {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of those that differ, or that only one side has.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

impl FromIterator<(String, Digest)> for Configs {
    fn from_iter<T: IntoIterator<Item = (String, Digest)>>(digests: T) -> Self {
        Self(digests.into_iter().collect())
    }
}

/// The names of the ConfigMaps that a target's pod template refers to, at all places that Flagger follows. `None`:
/// Flagger follows none (`-enable-config-tracking=false`). What cannot be a name is left out: nothing has it, and it must
/// not become part of an address.
#[must_use]
pub fn config_maps(canary: &Value, target: &Value) -> Option<BTreeSet<String>> {
    if !tracks_configs(canary) {
        return None;
    }
    let found = refs(&target["spec"]["template"]).into_iter().filter_map(|(kind, name)| match kind {
        RefKind::ConfigMap => Some(name).filter(|name| is_name(name)),
        RefKind::Secret => None,
    });
    Some(found.collect())
}

/// The digest of a ConfigMap's content. `None` if Flagger does not track it.
///
/// Flagger itself compares and copies `data` alone. The pods of the new version see `binaryData` as well, so that
/// counts, too.
#[must_use]
pub fn config_digest(map: &Value) -> Option<Digest> {
    let tracking = map["metadata"]["annotations"][TRACKING].as_str().unwrap_or_default();
    if tracking.starts_with("disable") {
        return None;
    }
    let content = |field: &str| map[field].as_object().filter(|entries| !entries.is_empty());
    Some(Digest::of_normal(&json!({ "data": content("data"), "binaryData": content("binaryData") })))
}

/// `the content of ConfigMap cart`, `the content of ConfigMaps cart, flags and 3 more`.
#[must_use]
pub fn content_of(names: &[String]) -> String {
    let named = names.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (names, names.len().saturating_sub(MOST_NAMED)) {
        ([], _) => "the content of ConfigMaps".to_owned(),
        ([_], _) => format!("the content of ConfigMap {named}"),
        (_, 0) => format!("the content of ConfigMaps {named}"),
        (_, more) => format!("the content of ConfigMaps {named} and {more} more"),
    }
}

/// Whether an object can have this name (RFC 1123 subdomain).
fn is_name(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    name.len() <= 253
        && bytes.iter().all(|byte| alphanumeric(*byte) || b"-.".contains(byte))
        && [bytes.first(), bytes.last()].into_iter().all(|end| end.is_some_and(|byte| alphanumeric(*byte)))
}
