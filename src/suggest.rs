//! PURE: suggests an existing name for an unknown one.

/// Names of at least this similarity, from 0 to 1, are suggested.
const MIN_SIMILARITY: f64 = 0.8;

/// The end of a sentence that suggests the most similar name; empty if no name is similar.
#[must_use]
pub(crate) fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    most_similar(wrong, names).map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// The name that is most similar to this one, if any is similar.
pub(crate) fn most_similar<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.trim().to_lowercase();
    let similarity = |name: &str| {
        // Two swapped letters lower the similarity of a short name too much.
        let slip =
            if wrong.len() > 2 && strsim::osa_distance(&wrong, name) == 1 { MIN_SIMILARITY } else { 0.0 };
        strsim::jaro_winkler(&wrong, name).max(slip)
    };
    let scored = names.into_iter().map(|name| (similarity(&name.to_lowercase()), name));
    let best =
        scored.filter(|(like, _)| *like >= MIN_SIMILARITY).max_by(|one, other| one.0.total_cmp(&other.0));
    best.map(|(_, name)| name)
}
