//! PURE: the record as a table, for people with a spreadsheet.

use serde_json::Value;

use crate::{millis::Millis, store::audit::AuditRow, text::escape_json};

/// Where the text of a column comes from.
enum Source {
    /// The row itself.
    Row(fn(&AuditRow) -> String),
    /// The first of these places in the evidence that holds something, as JSON pointers.
    Detail(&'static [&'static str]),
    /// The same, for a time in milliseconds.
    Duration(&'static str),
    /// The row and its evidence.
    Both(fn(&AuditRow, &Value) -> String),
}

use Source::{Both, Detail, Duration, Row};

/// The columns, in their order. New ones are added before `hash`; none is renamed or moved.
const COLUMNS: [(&str, Source); 35] = [
    ("id", Row(|row| row.id.to_string())),
    ("at", Row(|row| time(row.at))),
    ("cluster", Row(|row| row.canary_names()[0].to_owned())),
    ("namespace", Row(|row| row.canary_names()[1].to_owned())),
    ("canary", Row(|row| row.canary_names()[2].to_owned())),
    ("kind", Row(|row| row.kind.clone())),
    ("event", Both(event)),
    ("stage", Detail(&["/stage"])),
    ("gate", Detail(&["/gate"])),
    ("ticket", Detail(&["/ticket/key"])),
    ("ticket_id", Detail(&["/ticket/id"])),
    ("label", Detail(&["/rollout/label"])),
    ("revision", Detail(&["/rollout/revision", "/revision"])),
    ("base", Detail(&["/rollout/base"])),
    ("rollout_began_at", Detail(&["/rollout/began_at"])),
    ("state", Detail(&["/shows", "/state"])),
    ("status", Detail(&["/decision/status/name", "/status/name"])),
    ("decided_by", Detail(&["/decision/by/name"])),
    ("decided_by_id", Detail(&["/decision/by/id"])),
    ("decided_by_app", Detail(&["/decision/by/app"])),
    ("decided_at", Detail(&["/decision/at"])),
    ("changelog_id", Detail(&["/decision/changelog_id", "/changelog_id"])),
    ("used_at", Detail(&["/used_at"])),
    ("how", Detail(&["/how"])),
    // The text of a row that is no JSON stands here, too.
    ("reason", Detail(&["/why", "/reason", "/limit", "/project", ""])),
    ("before", Detail(&["/shown", "/asked", "/before"])),
    ("after", Detail(&["/started", "/now"])),
    ("route", Detail(&["/policy/route"])),
    ("approved_statuses", Detail(&["/policy/approved"])),
    ("rejected_statuses", Detail(&["/policy/rejected"])),
    ("approvers", Both(approvers)),
    ("denied", Detail(&["/policy/deny"])),
    ("valid_for", Duration("/policy/valid_for_ms")),
    // `record`: nobody was asked.
    ("mode", Detail(&["/mode"])),
    ("step", Detail(&["/step"])),
];

/// The line of headings. It begins with a byte order mark: without one, Excel does not take the file for UTF-8.
pub(super) fn heading() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).chain(["hash"]).collect();
    format!("\u{feff}{}\r\n", names.join(","))
}

/// The line of a fact of a row, in the format of RFC 4180.
pub(super) fn line(row: &AuditRow, fact: &Value) -> String {
    let text = |source: &Source| match source {
        Row(read) => read(row),
        Detail(places) => {
            places.iter().filter_map(|place| fact.pointer(place)).find_map(plain).unwrap_or_default()
        }
        Both(read) => read(row, fact),
        Duration(place) => fact.pointer(place).and_then(Value::as_u64).map(duration).unwrap_or_default(),
    };
    let cells = COLUMNS.iter().map(|(_, source)| text(source)).chain([row.hash.clone()]);
    let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// What happened, in words.
fn event(row: &AuditRow, fact: &Value) -> String {
    let word = |place: &str| fact.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let words = match row.kind.as_str() {
        "rollout_began" => "began",
        "gate_asked" => "Flagger asked",
        "ticket_opened" => "opened",
        "ticket_stuck" => "ticket could not be opened",
        "ticket_seen" => match word("/shows") {
            "waiting" => "waiting for a decision",
            "approved" => "approved",
            "rejected" => "rejected",
            "not_allowed" => "approval not counted",
            "unjudged" => "approval not judged yet",
            "missing" => "ticket not found",
            _ => "ticket proves nothing",
        },
        "passed" => "told to go on",
        "verdict_changed" if word("/state") == "approved" => "answer changed to open",
        "verdict_changed" => "answer changed to closed",
        "expired" => "approval expired",
        "rolled_back" => "told to roll back",
        "rollout_ended" => return format!("ended: {}", word("/how").replace('_', " ")),
        "refused" => "no ticket because of a limit",
        "late_move" => "moved after the end",
        "bypassed" => "shipped without approval",
        "unasked" => "shipped without a question",
        "other_revision" => "started another revision than asked about",
        "unapproved" => "started another version than approved",
        "looks_untyped" => "hook without a type",
        other => return other.replace('_', " "),
    };
    words.to_owned()
}

/// Who could approve.
fn approvers(_: &AuditRow, fact: &Value) -> String {
    match fact.pointer("/policy/approvers") {
        Some(Value::Array(list)) if list.is_empty() => "anyone".to_owned(),
        list => list.and_then(plain).unwrap_or_default(),
    }
}

/// A value without JSON's notation; a list with semicolons. `None` if it says nothing.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(list) => Some(list.iter().filter_map(plain).collect::<Vec<_>>().join("; ")),
    }
}

/// A duration as the configuration writes it, in the largest unit that it is a whole number of; days as hours, as in
/// `72h`.
fn duration(ms: u64) -> String {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = units.into_iter().find(|(_, length)| ms.is_multiple_of(*length)).unwrap_or(("ms", 1));
    format!("{}{}", ms / unit.1, unit.0)
}

/// A cell of the table, in which no spreadsheet finds a formula: neither at its beginning, nor behind a separator. Which
/// characters separate depends on the spreadsheet's language and settings, and some do not respect quotes. Control
/// characters are written as JSON writes them.
fn cell(text: &str) -> String {
    let text = escape_controls(&escape_json(text));
    let mut safe = String::with_capacity(text.len() + 2);
    let mut begins = true;
    for c in text.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            safe.push('\'');
        }
        // Spaces and quotes before a formula do not end its beginning.
        begins = matches!(c, ',' | ';') || (begins && matches!(c, ' ' | '"' | '\''));
        safe.push(c);
    }
    if safe.contains([',', ';', '"']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

fn escape_controls(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The cells that are not empty, each with its heading.
    fn shown(kind: &str, fact: Value) -> String {
        let row = AuditRow {
            id: 7,
            at: Millis(1_790_000_000_000),
            canary: "default/shop/cart".into(),
            kind: kind.into(),
            detail: String::new(),
            prior: "p".into(),
            hash: "h".into(),
        };
        let (heading, line) = (heading(), line(&row, &fact));
        let names = heading.trim_start_matches('\u{feff}').trim_end().split(',');
        let cells = names.zip(line.trim_end_matches("\r\n").split(','));
        let filled: Vec<String> =
            cells.filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name}={text}")).collect();
        filled[5..].join(" ")
    }

    #[test]
    fn each_fact_has_its_column() {
        let decision = json!({
            "at": "2026-09-21T14:13:20.000Z", "by": { "app": false, "id": "5b10", "name": "=Mia" },
            "changelog_id": "10102", "from": "10001", "status": { "id": "10007", "name": "Approved" },
        });
        let policy = json!({
            "approved": ["Approved", "Go"], "approvers": ["group:cab"], "deny": [], "rejected": ["Rejected"],
            "route": "routes[0]", "valid_for_ms": 259_200_000,
        });
        let rows = [
            (
                "passed",
                json!({"stage": "confirm-promotion", "gate": null, "ticket": {"id": "1", "key": "OPS-1"}, "decision": decision, "policy": policy}),
            ),
            ("ticket_stuck", json!({"stage": "gate", "gate": "qa", "why": "no project"})),
            ("verdict_changed", json!({"stage": "gate", "state": "stale", "reason": "no answer"})),
            ("unapproved", json!({"shown": "cart 1 → 2", "started": "cart 1 → 3", "ticket": null})),
            ("bypassed", json!({"before": "cart 1", "now": "cart 2", "how": "promoted"})),
            (
                "rollout_ended",
                json!({"how": "succeeded", "used_at": "2026-09-21T14:13:20.000Z", "shows": "approved", "rollout": {"base": "b", "revision": "r", "label": "v2", "began_at": "then"}}),
            ),
            ("rolled_back", json!({"policy": {"approvers": []}})),
            ("odd", json!("no { JSON")),
        ];
        let shown: Vec<String> = rows.into_iter().map(|(kind, fact)| shown(kind, fact)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        kind=passed event=told to go on stage=confirm-promotion ticket=OPS-1 ticket_id=1 status=Approved decided_by='=Mia decided_by_id=5b10 decided_by_app=false decided_at=2026-09-21T14:13:20.000Z changelog_id=10102 route=routes[0] approved_statuses="Approved; Go" rejected_statuses=Rejected approvers=group:cab valid_for=72h hash=h
        kind=ticket_stuck event=ticket could not be opened stage=gate gate=qa reason=no project hash=h
        kind=verdict_changed event=answer changed to closed stage=gate state=stale reason=no answer hash=h
        kind=unapproved event=started another version than approved before=cart 1 → 2 after=cart 1 → 3 hash=h
        kind=bypassed event=shipped without approval how=promoted before=cart 1 after=cart 2 hash=h
        kind=rollout_ended event=ended: succeeded label=v2 revision=r base=b rollout_began_at=then state=approved used_at=2026-09-21T14:13:20.000Z how=succeeded hash=h
        kind=rolled_back event=told to roll back approvers=anyone hash=h
        kind=odd event=odd reason=no { JSON hash=h
        "#);
    }

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("a\nb", "a\\nb"),
            ("a\r\nb\u{0}\u{1b}[0m", "a\\r\\nb\\u0000\\u001b[0m"),
            ("a; b", "\"a; b\""),
            ("x;=1+1", "\"x;'=1+1\""),
            ("x, +1", "\"x, '+1\""),
            ("x;\"=1", "\"x;\"\"'=1\""),
            ("x; -1;@y", "\"x; '-1;'@y\""),
            ("x-1; y", "\"x-1; y\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "\\tx"),
            (" =1", " '=1"),
            ("=a,b", "\"'=a,b\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn durations_are_written_as_in_the_configuration() {
        let shown = [1_500, 90_000, 120_000, 259_200_000, 7].map(duration);
        assert_eq!(shown, ["1500ms", "90s", "2m", "72h", "7ms"]);
    }
}
