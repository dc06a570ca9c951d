//! Hooks that were turned away, below the gates: Flagger shows our answers to nobody, so who looks for a gate that is not there
//! finds the reason here.

use anstyle::Style;
use serde::Deserialize;

use super::{
    Gates, LONGEST, ago,
    layout::{Line, wrapped},
    timestamp,
};
use crate::{cli::Paper, millis::Millis, ticket::one_line};

/// So many are shown; the page and the API have all.
const SHOWN: usize = 5;

/// What is shown of an entry of `/api/refused`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Refused {
    source: String,
    path: String,
    /// Namespace and name.
    canary: Option<String>,
    reason: String,
    hint: String,
    #[serde(deserialize_with = "timestamp")]
    last: Option<jiff::Timestamp>,
    count: u64,
}

impl Refused {
    /// Whether it is, or may be, about what is wanted. Of whom it is not known, it may be about anybody.
    fn is_wanted(&self, wanted: &Gates) -> bool {
        let Some(canary) = &self.canary else { return true };
        let (namespace, name) = canary.split_once('/').unwrap_or(("", canary));
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        is(&wanted.namespace, namespace) && is(&wanted.canary, name)
    }
}

/// A heading and a few lines, or nothing. The newest come first, as the bridge tells them.
pub(super) fn lines(refused: &[Refused], wanted: &Gates, paper: &Paper, now: Millis) -> Vec<Line> {
    let refused: Vec<&Refused> = refused.iter().filter(|it| it.is_wanted(wanted)).collect();
    if refused.is_empty() {
        return Vec::new();
    }
    let heading = match refused.len() {
        all if all > SHOWN => format!("REFUSED HOOKS, the newest {SHOWN} of {all}; /api/refused has all"),
        _ => "REFUSED HOOKS".to_owned(),
    };
    let mut lines = vec![Line::default(), Line::new(paper, Style::new().bold(), &heading)];
    for Refused { source, path, canary, reason, hint, last, count } in refused.into_iter().take(SHOWN) {
        let canary = canary.as_deref().unwrap_or("canary not known");
        let path = if path.is_empty() { "no path" } else { path };
        let last = last.map_or_else(|| "-".to_owned(), |at| ago(now.since(Millis(at.as_millisecond()))));
        let times = if *count == 1 { String::new() } else { format!("{count} times, last ") };
        add(&mut lines, paper, "", &format!("{source} at {path}, {canary}, {times}{last} ago"));
        let what = if hint.is_empty() { reason.clone() } else { format!("{reason}; {hint}") };
        add(&mut lines, paper, "  ", &what);
    }
    lines
}

/// One line of words from outside, broken where the paper ends.
fn add(lines: &mut Vec<Line>, paper: &Paper, margin: &str, text: &str) {
    let text = one_line(text, LONGEST);
    let Some(columns) = paper.columns else {
        return lines.push(Line::new(paper, Style::new(), &format!("{margin}{text}")));
    };
    for part in wrapped(&text, columns.saturating_sub(margin.len())) {
        lines.push(Line::new(paper, Style::new(), &format!("{margin}{part}")));
    }
}
