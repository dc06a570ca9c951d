//! PURE: reads JSON whose form nothing guarantees. What has another type than expected is absent.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::text::one_line;

/// The longest name that is kept, in characters. The longest name in Kubernetes, a label's with its prefix, has 317.
const LONGEST_NAME: usize = 320;

/// A name from the cluster, as it is stored and shown.
pub(super) fn name(text: &str) -> String {
    match one_line(text, LONGEST_NAME) {
        empty if empty.is_empty() => "(no name)".into(),
        name => name,
    }
}

/// The elements of a list; none if it is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The members of an object; none if it is no object.
pub(super) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The names of the members of either object. `None` if one of them is neither an object nor absent.
pub(super) fn member_names<'a>(one: &'a Value, other: &'a Value) -> Option<BTreeSet<&'a str>> {
    let mut names = BTreeSet::new();
    for value in [one, other] {
        if !value.is_null() {
            names.extend(value.as_object()?.keys().map(String::as_str));
        }
    }
    Some(names)
}

/// Whether a value is the default, which is not stored.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
