//! `audit`: prints or verifies the audit record. It reads the database, so no bridge needs to run.

mod table;

use std::io::{self, Write};

use anyhow::{Context as _, anyhow};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use super::args::{Audit, AuditFormat};
use crate::{
    millis::Millis,
    store::{
        self,
        audit::{AuditLog, AuditRow, Verified},
    },
    text::{escape_json, single_line},
};

/// Writes the audit record in the database at `url` to `out`, or what is wrong with it. Returns whether all is well.
/// `--since` counts back from `now`. `notes` says if no row concerns the wanted ticket. It is not an error if the reader
/// of `out` stops early.
///
/// # Errors
/// If the database cannot be read, or holds no record; one line.
pub async fn audit(
    url: &SecretString,
    wanted: &Audit,
    now: Millis,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<bool> {
    let record = AuditLog::open(url).await.map_err(read_error)?;
    let (well, written) = if wanted.verify {
        let verified = record.verify().await.map_err(read_error)?;
        (verified.problems.is_empty(), report(&verified, out).map_err(Into::into))
    } else {
        (true, export(&record, wanted, now, out, notes).await)
    };
    match written.map_err(|error| error.downcast::<io::Error>()) {
        Err(Ok(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        Err(Err(error)) => Err(error),
        Err(Ok(_)) | Ok(()) => Ok(well),
    }
}

/// Drops the sources of the error, because its own text includes theirs.
fn read_error(error: store::Error) -> anyhow::Error {
    anyhow!("store.url: {error}")
}

async fn export(
    record: &AuditLog,
    wanted: &Audit,
    now: Millis,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<()> {
    let mut pages = record.since(wanted.since.map(|since| now - since)).await.map_err(read_error)?;
    if wanted.format == AuditFormat::Csv {
        out.write_all(table::heading().as_bytes())?;
    }
    let mut found = false;
    loop {
        let rows = pages.next_page().await.map_err(read_error)?;
        if rows.is_empty() {
            if let Some(ticket) = wanted.ticket.as_ref().filter(|_| !found) {
                writeln!(notes, "no rows concern ticket {}", single_line(ticket))?;
            }
            return Ok(out.flush()?);
        }
        let rows = rows.iter().filter(|row| is_of_canary(row, wanted));
        // No bridge wrote a detail that is not JSON; it is shown all the same.
        let rows = rows.map(|row| {
            let detail = serde_json::from_str(&row.detail).unwrap_or_else(|_| row.detail.clone().into());
            (row, detail)
        });
        let text: String = match wanted.format {
            AuditFormat::Jsonl => rows
                .filter(|(_, detail)| facts(detail).iter().any(|fact| is_about_ticket(fact, wanted)))
                .map(|(row, detail)| jsonl(row, detail))
                .collect(),
            AuditFormat::Csv => rows
                .flat_map(|(row, detail)| facts(&detail).into_iter().map(move |fact| (row, fact)))
                .filter(|(_, fact)| is_about_ticket(fact, wanted))
                .map(|(row, fact)| table::line(row, &fact))
                .collect(),
        };
        found |= !text.is_empty();
        out.write_all(text.as_bytes())?;
    }
}

/// Whether the options select the canary of a row.
fn is_of_canary(row: &AuditRow, wanted: &Audit) -> bool {
    let names = row.canary_names();
    let selected = [&wanted.cluster, &wanted.namespace, &wanted.canary];
    selected.iter().zip(names).all(|(wanted, name)| wanted.as_deref().is_none_or(|wanted| wanted == name))
}

/// What a row says: the end of a rollout says something about each of its gates, every other row is one fact.
fn facts(detail: &Value) -> Vec<Value> {
    let Some(gates) = detail.get("gates").and_then(Value::as_array).filter(|gates| !gates.is_empty()) else {
        return vec![detail.clone()];
    };
    let with_gate = |gate: &Value| {
        let mut fact = detail.clone();
        if let (Some(fact), Some(gate)) = (fact.as_object_mut(), gate.as_object()) {
            fact.remove("gates");
            fact.extend(gate.clone());
        }
        fact
    };
    gates.iter().map(with_gate).collect()
}

/// Whether the options select the ticket of a fact.
fn is_about_ticket(fact: &Value, wanted: &Audit) -> bool {
    wanted.ticket.as_deref().is_none_or(|key| {
        let named = fact.pointer("/ticket/key").and_then(Value::as_str);
        named.is_some_and(|named| named.eq_ignore_ascii_case(key))
    })
}

fn report(Verified { rows, newest, problems }: &Verified, out: &mut impl Write) -> io::Result<()> {
    for problem in problems {
        writeln!(out, "FAIL: {problem}")?;
    }
    let rows = if *rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
    match newest {
        Some((id, hash)) if problems.is_empty() && *id > 0 => {
            writeln!(
                out,
                "ok: {rows} verified, none changed, removed, inserted or moved; the newest is row {id}, hash {hash}"
            )?;
        }
        Some(_) | None if problems.is_empty() => writeln!(out, "ok: {rows}")?,
        Some(_) | None => {}
    }
    out.flush()
}

fn jsonl(row: &AuditRow, detail: Value) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        id: i64,
        at: &'a str,
        cluster: &'a str,
        namespace: &'a str,
        canary: &'a str,
        kind: &'a str,
        detail: Value,
        hash: &'a str,
    }
    let [cluster, namespace, canary] = row.canary_names();
    let (at, kind, hash) = (&table::time(row.at), row.kind.as_str(), row.hash.as_str());
    let line = Line { id: row.id, at, cluster, namespace, canary, kind, detail, hash };
    // Strings and numbers can always be written as JSON.
    serde_json::to_string(&line).map_or_else(|_| String::new(), |line| escape_json(&line) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(canary: &str, detail: &str) -> AuditRow {
        let text = str::to_owned;
        AuditRow {
            id: 7,
            at: Millis(1_790_000_000_000),
            canary: text(canary),
            kind: text("passed"),
            detail: text(detail),
            prior: text("p"),
            hash: text("h"),
        }
    }

    fn jsonl(row: &AuditRow) -> String {
        let detail = serde_json::from_str(&row.detail).unwrap_or_else(|_| row.detail.clone().into());
        super::jsonl(row, detail)
    }

    #[test]
    fn a_row_as_json() {
        assert_eq!(
            jsonl(&row("default/shop/cart", r#"{"how":"a\nb"}"#)),
            "{\"id\":7,\"at\":\"2026-09-21T14:13:20.000Z\",\"cluster\":\"default\",\"namespace\":\"shop\",\
             \"canary\":\"cart\",\"kind\":\"passed\",\"detail\":{\"how\":\"a\\nb\"},\"hash\":\"h\"}\n"
        );
        let tampered = jsonl(&row("cart", "no { JSON\n"));
        assert!(tampered.contains(r#""canary":"cart""#) && tampered.contains(r#""detail":"no { JSON\n""#));
        assert_eq!(tampered.lines().count(), 1);
        // An earlier version stored characters that this one would not.
        let odd = row("default/shop/cart", "{\"by\":\"M\u{200b}ia\u{9b}2J\"}");
        assert!(jsonl(&odd).contains(r#"{"by":"M\u200bia\u009b2J"}"#), "{}", jsonl(&odd));
    }
}
