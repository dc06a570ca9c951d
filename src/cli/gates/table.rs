//! The gates as a table, in text that cannot control the terminal.

use std::time::Duration;

use super::{
    super::{args::Gates, terminal::OutputStyle},
    api::{Gate, Rollout},
    layout::{self, TableRow},
};
use crate::{millis::Millis, text::one_line};

/// Cells, reasons and addresses are cut to this many characters; the bridge's own are much shorter.
pub(super) const MAX_CHARS: usize = 2_000;

/// A line of headings and one or more lines for each gate, or a single line if no gate is selected.
pub(super) fn lines(gates: &[Gate], wanted: &Gates, style: &OutputStyle, now: Millis) -> Vec<String> {
    let shown = gates.iter().filter(|gate| is_wanted(gate, wanted, now));
    let rows: Vec<TableRow> = shown.map(|gate| row(gate, now)).collect();
    if rows.is_empty() {
        return vec![no_gates_line(gates.len(), wanted)];
    }
    layout::lines(&rows, style)
}

/// Whether the options select a gate.
pub(super) fn is_wanted(gate: &Gate, wanted: &Gates, now: Millis) -> bool {
    wanted.selects(Some(&gate.cluster), &gate.namespace, &gate.canary)
        && wanted.selects_state(&gate.state, age(gate, now))
}

/// How long ago Flagger first asked.
pub(super) fn age(gate: &Gate, now: Millis) -> Option<Duration> {
    gate.asked_at.map(|at| now.since(Millis(at.as_millisecond())))
}

pub(super) fn no_gates_line(others: usize, wanted: &Gates) -> String {
    let mut line = "No gate is waiting".to_owned();
    if let Some(canary) = &wanted.canary {
        line += &format!(" for canary {}", one_line(canary, MAX_CHARS));
    }
    if let Some(namespace) = &wanted.namespace {
        line += &format!(" in namespace {}", one_line(namespace, MAX_CHARS));
    }
    if let Some(cluster) = &wanted.cluster {
        line += &format!(" in cluster {}", one_line(cluster, MAX_CHARS));
    }
    if let Some(state) = &wanted.state {
        line += &format!(" in state {}", one_line(state, MAX_CHARS));
    }
    if let Some(age) = wanted.older_than {
        line += &format!(" since {} ago or longer", ago(age));
    }
    match others {
        0 => line + ".",
        1 => line + "; 1 is elsewhere.",
        _ => format!("{line}; {others} are elsewhere."),
    }
}

fn row(gate: &Gate, now: Millis) -> TableRow {
    let stage = match gate.gate.as_deref() {
        None | Some("") => gate.stage.clone(),
        Some(name) => format!("{} ({name})", gate.stage),
    };
    let stage = gate.step.map_or(stage.clone(), |step| format!("{stage}, step {step}"));
    let since = age(gate, now);
    let canary = format!("{}/{}/{}", gate.cluster, gate.namespace, gate.canary);
    let nothing = || "-".to_owned();
    let key = gate.ticket.as_ref().map_or_else(nothing, |ticket| ticket.key.clone());
    let cells = [
        gate.state.clone(),
        stage,
        canary,
        key,
        since.map_or_else(nothing, |since| format!("{} ago", ago(since))),
    ];
    TableRow {
        cells: cells.map(|cell| one_line(&cell, MAX_CHARS)),
        reason: one_line(&gate.reason, MAX_CHARS),
        url: gate.ticket.as_ref().map(|ticket| one_line(&ticket.url, MAX_CHARS)),
        change: change(gate).map(|change| one_line(&change, MAX_CHARS)),
    }
}

/// The version, what the rollout changes, and how far it is. Revisions only if nothing else names the version.
fn change(gate: &Gate) -> Option<String> {
    let Rollout { base, revision, label } = gate.rollout.clone().unwrap_or_default();
    let label = label.map(|label| format!("version {label}"));
    let named = label.is_some() || gate.change.is_some();
    let revisions = match (base, revision) {
        (Some(base), Some(revision)) => Some(format!("revision {base} → {revision}")),
        (None, Some(revision)) => Some(format!("revision {revision}")),
        (Some(base), None) => Some(format!("replaces revision {base}")),
        (None, None) => None,
    };
    let traffic = gate.weight.map(|weight| format!("traffic to the new version: {weight} %"));
    let allowed = gate.allowed_weight.map(|weight| format!("an approval allows {weight} %"));
    let parts = [label, gate.change.clone(), revisions.filter(|_| !named), traffic, allowed];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// A span of time in its two largest units.
pub(super) fn ago(span: Duration) -> String {
    let (s, m, h, d) = (span.as_secs(), span.as_secs() / 60, span.as_secs() / 3600, span.as_secs() / 86_400);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m{}s", s % 60),
        (0, _, _) => format!("{h}h{}m", m % 60),
        _ => format!("{d}d{}h", h % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (secs, text) in [(0, "0s"), (59, "59s"), (60, "1m0s"), (3725, "1h2m"), (90_000, "1d1h")] {
            assert_eq!(ago(Duration::from_secs(secs)), text);
        }
    }
}
