//! The link types.

use super::state::State;

/// The id, name, inward description and outward description of every link type.
const TYPES: &[(&str, &str, &str, &str)] = &[
    ("10000", "Blocks", "is blocked by", "blocks"),
    ("10001", "Cloners", "is cloned by", "clones"),
    ("10002", "Duplicate", "is duplicated by", "duplicates"),
    ("10003", "Relates", "relates to", "relates to"),
];

pub(super) struct LinkType {
    pub(super) id: &'static str,
    pub(super) name: String,
    pub(super) inward: &'static str,
    pub(super) outward: &'static str,
}

/// The link types of this Jira. "Relates" may be renamed or deleted.
pub(super) fn all_types(state: &State) -> Vec<LinkType> {
    let current_name = |name: &str| match (name, &state.relates_name) {
        ("Relates", current) => current.clone(),
        (name, _) => Some(name.to_owned()),
    };
    TYPES
        .iter()
        .filter_map(|(id, name, inward, outward)| {
            Some(LinkType { id, name: current_name(name)?, inward, outward })
        })
        .collect()
}

/// The description of a link, read from the issue on its inward side or from the one on its outward side.
pub(super) fn description(name: &str, from_inward: bool) -> &'static str {
    let found = TYPES.iter().find(|(_, type_name, ..)| *type_name == name);
    found.map_or("relates to", |(_, _, inward, outward)| if from_inward { outward } else { inward })
}
