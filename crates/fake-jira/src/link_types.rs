//! What links are called.

use super::state::State;

/// Name, inward and outward words of every link type.
const TYPES: &[(&str, &str, &str, &str)] = &[
    ("10000", "Blocks", "is blocked by", "blocks"),
    ("10001", "Cloners", "is cloned by", "clones"),
    ("10002", "Duplicate", "is duplicated by", "duplicates"),
    ("10003", "Relates", "relates to", "relates to"),
];

/// Id, name, inward and outward words.
pub(super) type LinkType = (String, String, &'static str, &'static str);

/// The types that this Jira has: "Relates" may be renamed, or deleted.
pub(super) fn all(state: &State) -> Vec<LinkType> {
    let called = |name: &str| match (name, &state.relates) {
        ("Relates", called) => called.clone(),
        (name, _) => Some(name.to_owned()),
    };
    TYPES
        .iter()
        .filter_map(|(id, name, inward, outward)| Some(((*id).to_owned(), called(name)?, *inward, *outward)))
        .collect()
}

/// What a link of this type says, read from the issue on its inward side or from the other.
pub(super) fn words(name: &str, from_inward: bool) -> &'static str {
    let found = TYPES.iter().find(|kind| kind.1 == name);
    found.map_or("relates to", |kind| if from_inward { kind.3 } else { kind.2 })
}
