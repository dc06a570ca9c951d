//! `approval.steps` together with `ticket.statuses`.

use super::read::Section;

/// Reports steps that do not fit the statuses. `key` is where they stand below `s`. One step alone is an approval as without
/// the key, and is checked all the same.
pub(super) fn report_steps(
    s: &Section<'_>,
    key: &str,
    steps: &[String],
    approved: &[String],
    rejected: &[String],
) {
    let is_among = |name: &str, list: &[String]| list.iter().any(|other| is_same(other, name));
    let Some((last, others)) = steps.split_last() else {
        s.problem(key, "is empty, so no gate could ever open; leave it out for an approval in one step");
        return;
    };
    if !is_among(last, approved) {
        s.problem(key, format!("{last:?} is the last step, so it must be one of ticket.statuses.approved"));
    }
    for (nth, step) in others.iter().enumerate() {
        if is_among(step, &steps[nth + 1..]) {
            s.problem(key, format!("{step:?} is there twice; each step needs a status of its own"));
        } else if is_among(step, approved) || is_among(step, rejected) {
            s.problem(
                key,
                format!("{step:?} is also approved or rejected, which only the last step can be; take it out of there"),
            );
        }
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
