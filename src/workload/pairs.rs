//! PURE: which elements of two lists belong together: those with the same `name`.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::json::{items, name};

/// The elements of two lists, each with the one of the same name in the other list.
pub(super) struct Pairs<'a> {
    /// In the order of the new list; after them those that only the old list has.
    pub(super) pairs: Vec<Pair<'a>>,
    /// Whether those in both lists stand in another order.
    pub(super) is_reordered: bool,
}

/// An element that at least one of two lists has.
pub(super) struct Pair<'a> {
    pub(super) name: String,
    pub(super) now: Option<&'a Value>,
    pub(super) then: Option<&'a Value>,
}

/// Pairs the elements of two lists. `None` if one of the values is neither a list nor absent.
pub(super) fn pairs<'a>(now: &'a Value, then: &'a Value) -> Option<Pairs<'a>> {
    let is_list = |value: &Value| value.is_array() || value.is_null();
    if !is_list(now) || !is_list(then) {
        return None;
    }
    // A name that is there several times, which the API server refuses, is paired in the order of its elements.
    let mut unpaired: BTreeMap<&str, VecDeque<(usize, &Value)>> = BTreeMap::new();
    for (index, item) in items(now).iter().enumerate() {
        unpaired.entry(name_of(item)).or_default().push_back((index, item));
    }
    let (mut pairs, mut is_reordered, mut last) = (Vec::new(), false, 0);
    for item in items(then) {
        let old = unpaired.get_mut(name_of(item)).and_then(VecDeque::pop_front);
        if let Some((index, _)) = old {
            is_reordered |= index < last;
            last = index;
        }
        pairs.push(Pair { name: name(name_of(item)), now: old.map(|(_, old)| old), then: Some(item) });
    }
    let mut removed: Vec<_> = unpaired.into_values().flatten().collect();
    removed.sort_by_key(|(index, _)| *index);
    pairs.extend(removed.into_iter().map(|(_, old)| Pair {
        name: name(name_of(old)),
        now: Some(old),
        then: None,
    }));
    Some(Pairs { pairs, is_reordered })
}

fn name_of(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}
