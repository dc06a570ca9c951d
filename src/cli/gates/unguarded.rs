//! The Unguarded Canaries, below the gates.

use anstyle::Style;

use super::{
    super::{args::Gates, terminal::OutputStyle},
    api::Unguarded,
    layout::indented,
    table::MAX_CHARS,
};
use crate::text::one_line;

/// At most this many are shown below the gates; `--unguarded` and the API have all.
const SHOWN: usize = 10;

/// A heading and a few lines, or nothing.
pub(super) fn lines(unguarded: &[Unguarded], wanted: &Gates, style: &OutputStyle) -> Vec<String> {
    let shown: Vec<&Unguarded> = selected(unguarded, wanted).collect();
    if shown.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), style.paint(Style::new().bold(), "UNGUARDED CANARIES")];
    for canary in shown.iter().take(SHOWN) {
        lines.extend(indented(style, "", &line(canary)));
    }
    let more = shown.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more; gates --unguarded shows all"));
    }
    lines
}

/// All of them.
pub(super) fn all(unguarded: &[Unguarded], wanted: &Gates, style: &OutputStyle) -> Vec<String> {
    let mut lines = Vec::new();
    for canary in selected(unguarded, wanted) {
        lines.extend(indented(style, "", &line(canary)));
    }
    if lines.is_empty() { vec!["The bridge sees no unguarded Canary.".to_owned()] } else { lines }
}

fn selected<'a>(unguarded: &'a [Unguarded], wanted: &Gates) -> impl Iterator<Item = &'a Unguarded> {
    unguarded.iter().filter(|canary| wanted.selects(Some(&canary.cluster), &canary.namespace, &canary.canary))
}

fn line(Unguarded { cluster, namespace, canary, why }: &Unguarded) -> String {
    one_line(&format!("{cluster}/{namespace}/{canary}: {why}"), MAX_CHARS)
}
