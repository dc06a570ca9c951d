//! Environment variables, and the keys that they set.

/// The prefix of each variable.
pub(super) const PREFIX: &str = "BRIDGE__";

/// The tables at the top, as variables name them.
const SECTIONS: [&str; 8] = ["SERVER", "STORE", "FLAGGER", "JIRA", "ROLLOUT", "LIMITS", "TICKET", "APPROVAL"];

/// The key that a variable sets. Variables are written in capitals; a name in `ticket.fields` with lower-case letters
/// (`BRIDGE__TICKET__FIELDS__fixVersions`) is kept unchanged, because Jira's field ids are case-sensitive.
pub(super) fn key_of(variable: &str) -> String {
    let below = variable.strip_prefix(PREFIX).unwrap_or(variable);
    let parts = below.split("__").enumerate().map(|(depth, part)| {
        if depth > 1 && part.chars().any(|c| c.is_ascii_lowercase()) {
            part.to_owned()
        } else {
            part.to_ascii_lowercase()
        }
    });
    parts.collect::<Vec<_>>().join(".")
}

/// The environment variable for a key.
pub(super) fn variable_for(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The variable that was probably meant by one with a single underscore after BRIDGE, and perhaps between its parts.
/// Other variables with `BRIDGE_` set no key: the program's own `BRIDGE_CONFIG`, or those that Kubernetes sets for a
/// service called `bridge-jira`.
pub(super) fn similar(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("BRIDGE_").filter(|rest| !rest.starts_with('_'))?;
    let section = SECTIONS.iter().find(|section| {
        rest.strip_prefix(**section).is_some_and(|below| below.len() > 1 && below.starts_with('_'))
    })?;
    let below = rest.strip_prefix(section)?.trim_start_matches('_');
    let kubernetes = below.starts_with("SERVICE_") || below == "PORT" || below.starts_with("PORT_");
    (!kubernetes).then(|| format!("{PREFIX}{section}__{below}"))
}

/// The variable that was probably meant by one with a single underscore after its section.
pub(super) fn with_double_underscore(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    SECTIONS.iter().find_map(|section| {
        let below = rest.strip_prefix(section)?.strip_prefix('_')?;
        (!below.is_empty() && !below.starts_with('_')).then(|| format!("{PREFIX}{section}__{below}"))
    })
}
