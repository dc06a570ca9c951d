//! `audit`: prints or verifies the audit record. It reads the database, so no bridge needs to run.

use std::io::{self, Write};

use anyhow::{Context as _, anyhow};
use secrecy::SecretString;
use serde::Serialize;

use super::args::{Audit, AuditFormat};
use crate::{
    millis::Millis,
    store::{
        self,
        audit::{AuditLog, AuditRow, Verified},
    },
    text::escape_json,
};

/// The columns of the CSV.
const HEADER: [&str; 8] = ["id", "at", "cluster", "namespace", "canary", "kind", "detail", "hash"];

/// Writes the audit record in the database at `url` to `out`, or what is wrong with it. Returns whether all is well.
/// `--since` counts back from `now`. It is not an error if the reader of `out` stops early.
///
/// # Errors
/// If the database cannot be read, or holds no record; one line.
pub async fn audit(
    url: &SecretString,
    Audit { since, format, verify }: &Audit,
    now: Millis,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let record = AuditLog::open(url).await.map_err(read_error)?;
    let (well, written) = if *verify {
        let verified = record.verify().await.map_err(read_error)?;
        (verified.problems.is_empty(), report(&verified, out).map_err(Into::into))
    } else {
        (true, export(&record, since.map(|since| now - since), *format, out).await)
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
    from: Option<Millis>,
    format: AuditFormat,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut pages = record.since(from).await.map_err(read_error)?;
    if format == AuditFormat::Csv {
        write!(out, "{}\r\n", HEADER.join(","))?;
    }
    loop {
        let rows = pages.next_page().await.map_err(read_error)?;
        if rows.is_empty() {
            return Ok(out.flush()?);
        }
        let text: String = match format {
            AuditFormat::Jsonl => rows.iter().map(jsonl).collect(),
            AuditFormat::Csv => rows.iter().map(csv).collect(),
        };
        out.write_all(text.as_bytes())?;
    }
}

fn report(Verified { rows, newest, problems }: &Verified, out: &mut impl Write) -> io::Result<()> {
    for problem in problems {
        writeln!(out, "{problem}")?;
    }
    match newest {
        Some((id, hash)) if problems.is_empty() && *id > 0 => {
            writeln!(
                out,
                "ok: {rows} rows, each follows the one before; the newest is {id} with hash {hash}"
            )?;
        }
        Some(_) | None if problems.is_empty() => writeln!(out, "ok: {rows} rows")?,
        Some(_) | None => {}
    }
    out.flush()
}

fn jsonl(row: &AuditRow) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        id: i64,
        at: &'a str,
        cluster: &'a str,
        namespace: &'a str,
        canary: &'a str,
        kind: &'a str,
        detail: serde_json::Value,
        hash: &'a str,
    }
    let [cluster, namespace, canary] = row.canary_names();
    // No bridge wrote a detail that is not JSON; it is shown all the same.
    let detail =
        serde_json::from_str(&row.detail).unwrap_or_else(|_| serde_json::Value::String(row.detail.clone()));
    let (at, kind, hash) = (&time(row.at), row.kind.as_str(), row.hash.as_str());
    let line = Line { id: row.id, at, cluster, namespace, canary, kind, detail, hash };
    // Strings and numbers can always be written as JSON.
    serde_json::to_string(&line).map_or_else(|_| String::new(), |line| escape_json(&line) + "\n")
}

/// A row in the format of RFC 4180.
fn csv(row: &AuditRow) -> String {
    let [cluster, namespace, canary] = row.canary_names();
    let (id, at) = (row.id.to_string(), time(row.at));
    let cells =
        [&id, &at, cluster, namespace, canary, &row.kind, &escape_json(&row.detail), &row.hash].map(cell);
    format!("{}\r\n", cells.join(","))
}

fn cell(text: &str) -> String {
    // A spreadsheet would take these for the beginning of a formula.
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// RFC 3339 in UTC, to the millisecond.
fn time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |time| format!("{time:.3}"))
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
        assert!(csv(&odd).contains(r#""{""by"":""M\u200bia\u009b2J""}""#), "{}", csv(&odd));
    }

    #[test]
    fn a_row_as_csv() {
        assert_eq!(
            csv(&row("default/shop/cart", r#"{"a":"b, c"}"#)),
            "7,2026-09-21T14:13:20.000Z,default,shop,cart,passed,\"{\"\"a\"\":\"\"b, c\"\"}\",h\r\n"
        );
    }

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("=a,b", "\"'=a,b\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
