//! The gates in groups: one line for each cluster, namespace or state.

use std::{collections::BTreeMap, time::Duration};

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use super::{
    super::{
        args::{Gates, GroupBy},
        terminal::OutputStyle,
    },
    api::Gate,
    table::{MAX_CHARS, age, ago, is_wanted, no_gates_line},
};
use crate::{millis::Millis, text::one_line};

/// Some gates that have something in common.
#[derive(Default)]
struct Group {
    gates: usize,
    waiting: usize,
    /// How long ago Flagger first asked about the one that it has been asking about longest.
    oldest: Option<Duration>,
}

/// A line of headings and one for each group; first those in which most gates wait, then by name.
pub(super) fn lines(
    gates: &[Gate],
    wanted: &Gates,
    by: GroupBy,
    style: &OutputStyle,
    now: Millis,
) -> Vec<String> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for gate in gates.iter().filter(|gate| is_wanted(gate, wanted, now)) {
        let name = match by {
            GroupBy::Cluster => gate.cluster.clone(),
            GroupBy::Namespace => format!("{}/{}", gate.cluster, gate.namespace),
            GroupBy::State => gate.state.clone(),
        };
        let group = groups.entry(one_line(&name, MAX_CHARS)).or_default();
        group.gates += 1;
        group.waiting += usize::from(gate.state == "waiting");
        group.oldest = group.oldest.max(age(gate, now));
    }
    if groups.is_empty() {
        return vec![no_gates_line(gates.len(), wanted)];
    }
    let mut groups: Vec<(String, Group)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.waiting));
    let heading = match by {
        GroupBy::Cluster => "CLUSTER",
        GroupBy::Namespace => "NAMESPACE",
        GroupBy::State => "STATE",
    };
    let widest = groups.iter().map(|(name, _)| name.width()).max().unwrap_or(0).max(heading.len());
    let padded = |name: &str| format!("{name}{}", " ".repeat(widest.saturating_sub(name.width())));
    let head = format!("{}  {:>6}  {:>7}  SINCE", padded(heading), "GATES", "WAITING");
    let line = |(name, group): &(String, Group)| {
        let since = group.oldest.map_or_else(|| "-".to_owned(), ago);
        format!("{}  {:>6}  {:>7}  {since}", padded(name), group.gates, group.waiting)
    };
    std::iter::once(style.paint(Style::new().bold(), &head)).chain(groups.iter().map(line)).collect()
}
