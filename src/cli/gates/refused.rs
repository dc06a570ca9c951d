//! The refused hooks, below the gates. Flagger does not show the bridge's answers, so this list shows an application
//! team why a gate is missing.

use anstyle::Style;

use super::{
    super::{args::Gates, terminal::OutputStyle},
    api::Refused,
    layout::indented,
    table::{MAX_CHARS, ago},
};
use crate::{millis::Millis, text::one_line};

/// At most this many are shown; the status page and the API have all.
const SHOWN: usize = 5;

/// A heading and a few lines, or nothing. The newest come first, as in the bridge's answer.
pub(super) fn lines(refused: &[Refused], wanted: &Gates, style: &OutputStyle, now: Millis) -> Vec<String> {
    let refused: Vec<&Refused> = refused.iter().filter(|it| is_wanted(it, wanted)).collect();
    if refused.is_empty() {
        return Vec::new();
    }
    let heading = match refused.len() {
        all if all > SHOWN => format!("REFUSED HOOKS, the newest {SHOWN} of {all}; /api/refused has all"),
        _ => "REFUSED HOOKS".to_owned(),
    };
    let mut lines = vec![String::new(), style.paint(Style::new().bold(), &heading)];
    for Refused { source, path, canary, reason, hint, last, count } in refused.into_iter().take(SHOWN) {
        let canary = canary.as_deref().unwrap_or("canary not known");
        let path = if path.is_empty() { "no path" } else { path };
        let last = last.map_or_else(|| "-".to_owned(), |at| ago(now.since(Millis(at.as_millisecond()))));
        let times = if *count == 1 { String::new() } else { format!("{count} times, last ") };
        let who = format!("{source} at {path}, {canary}, {times}{last} ago");
        lines.extend(indented(style, "", &one_line(&who, MAX_CHARS)));
        let what = if hint.is_empty() { reason.clone() } else { format!("{reason}; {hint}") };
        lines.extend(indented(style, "  ", &one_line(&what, MAX_CHARS)));
    }
    lines
}

/// Whether the options select the hook's canary. A hook with an unknown canary is always shown.
fn is_wanted(refused: &Refused, wanted: &Gates) -> bool {
    let Some(canary) = &refused.canary else { return true };
    let (namespace, name) = canary.split_once('/').unwrap_or(("", canary));
    wanted.selects(None, namespace, name)
}
