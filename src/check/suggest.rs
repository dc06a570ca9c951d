//! PURE: what may have been meant by a name that there is not.

/// From this likeness on, of at most 1, a name may be meant by another.
const LIKE: f64 = 0.8;

/// The end of a sentence that names what may have been meant instead.
pub(super) fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let wrong = wrong.trim().to_lowercase();
    let like = |name: &str| {
        // Two letters in the wrong order count for much in a short name.
        let slip = if wrong.len() > 2 && strsim::osa_distance(&wrong, name) == 1 { LIKE } else { 0.0 };
        strsim::jaro_winkler(&wrong, name).max(slip)
    };
    let scored = names.into_iter().map(|name| (like(&name.to_lowercase()), name));
    let best = scored.filter(|(like, _)| *like >= LIKE).max_by(|one, other| one.0.total_cmp(&other.0));
    best.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"))
}
