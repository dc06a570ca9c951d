//! `gates`: asks a running bridge what waits, and prints it as a table.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::millis::Millis;

/// What is shown of an entry of `/api/gates`.
#[derive(Debug, Deserialize)]
struct Gate {
    cluster: String,
    namespace: String,
    canary: String,
    stage: String,
    gate: Option<String>,
    state: String,
    reason: String,
    ticket: Option<Ticket>,
    /// None where no gate was begun.
    #[serde(deserialize_with = "timestamp")]
    asked_at: Option<jiff::Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Ticket {
    key: String,
}

/// RFC 3339, or null.
fn timestamp<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// Asks the bridge whose admin listener is at `admin`, and returns what to print: a table, or its answer as it is.
/// `now` is for telling how long a gate has been waiting.
///
/// # Errors
/// If it cannot be reached or answers something else; one line.
pub async fn gates(admin: &str, json: bool, now: Millis) -> anyhow::Result<String> {
    let body = ask(admin).await?;
    let gates: Vec<Gate> = serde_json::from_str(&body)
        .with_context(|| format!("{admin} answers, but not as a bridge does; is it the admin listener?"))?;
    if json {
        return Ok(body);
    }
    if gates.is_empty() {
        return Ok("No gate is waiting.".to_owned());
    }
    let rows = gates.iter().map(|gate| row(gate, now));
    let header = ["STATE", "STAGE", "CANARY", "TICKET", "SINCE", "REASON"].map(str::to_owned);
    Ok(table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))
}

async fn ask(admin: &str) -> anyhow::Result<String> {
    let url = format!("{}/api/gates", admin.trim_end_matches('/'));
    // The bridge is near: no proxy, and nobody who could send us elsewhere.
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot prepare the request")?;
    if !admin.contains("://") {
        bail!("--admin {admin:?} has no scheme; put http:// in front");
    }
    let request = client.get(&url).build().map_err(reqwest::Error::without_url);
    let request = request.with_context(|| format!("--admin {admin:?} is no URL"))?;
    let answer = match client.execute(request).await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => {
            bail!("nobody answers at {admin}; is the bridge running? --admin says where to ask")
        }
        Err(error) if error.is_timeout() => bail!("{admin} does not answer"),
        Err(error) => {
            return Err(error.without_url()).with_context(|| format!("cannot ask {admin}"));
        }
    };
    if !answer.status().is_success() {
        bail!("{url} answers {}; is it the admin listener?", answer.status());
    }
    let body = answer.text().await.map_err(reqwest::Error::without_url);
    body.with_context(|| format!("cannot read the answer of {admin}"))
}

fn row(gate: &Gate, now: Millis) -> [String; 6] {
    let stage = match gate.gate.as_deref() {
        None | Some("") => gate.stage.clone(),
        Some(name) => format!("{} ({name})", gate.stage),
    };
    let since = gate.asked_at.map(|at| now.since(Millis(at.as_millisecond())));
    [
        gate.state.clone(),
        stage,
        format!("{}/{}/{}", gate.cluster, gate.namespace, gate.canary),
        gate.ticket.as_ref().map_or_else(|| "-".to_owned(), |ticket| ticket.key.clone()),
        since.map_or_else(|| "-".to_owned(), ago),
        gate.reason.clone(),
    ]
}

/// A span of time in its two largest units.
fn ago(span: Duration) -> String {
    let (s, m, h, d) = (span.as_secs(), span.as_secs() / 60, span.as_secs() / 3600, span.as_secs() / 86_400);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m{}s", s % 60),
        (0, _, _) => format!("{h}h{}m", m % 60),
        _ => format!("{d}d{}h", h % 24),
    }
}

/// Columns under one another, two blanks between them. Control characters, which could move the cursor, become blanks.
fn table(rows: &[[String; 6]]) -> String {
    let plain =
        |cell: &String| cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let rows: Vec<[String; 6]> = rows.iter().map(|row| row.each_ref().map(plain)).collect();
    let width = |nth: usize| rows.iter().map(|row| row[nth].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};

    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    /// A server on loopback that answers `/api/gates` so.
    async fn bridge(status: StatusCode, body: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/api/gates", get(move || async move { (status, body) }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}/")
    }

    const THREE: &str = r#"[
        {"cluster": "default", "namespace": "shop", "canary": "web", "stage": "confirm-promotion", "gate": "qa",
         "state": "waiting", "reason": "OPS-12 is in \"To Do\"", "asked_at": "2027-01-15T07:47:55Z",
         "ticket": {"key": "OPS-12", "url": "https://jira.example.com/browse/OPS-12", "status": "To Do"},
         "rollout": {"began_at": "2027-01-15T07:40:00Z", "base": null, "revision": "5f", "label": null, "course": "running"}},
        {"cluster": "eu", "namespace": "pay", "canary": "api", "stage": "confirm-rollout", "gate": null,
         "state": "opening", "reason": "Jira\u001b[2J is\ndown", "asked_at": "2027-01-12T04:00:00Z", "ticket": null,
         "rollout": {"began_at": "2027-01-12T04:00:00Z", "base": "4e", "revision": null, "label": null, "course": "asked"}},
        {"cluster": "eu", "namespace": "pay", "canary": "ui", "stage": "any", "gate": null,
         "state": "stuck", "reason": "its row cannot be read", "asked_at": null, "ticket": null, "rollout": null}
    ]"#;

    #[tokio::test]
    async fn a_table_for_people() {
        let admin = bridge(StatusCode::OK, THREE).await;
        insta::assert_snapshot!(gates(&admin, false, NOW).await.unwrap(), @r#"
        STATE    STAGE                   CANARY            TICKET  SINCE  REASON
        waiting  confirm-promotion (qa)  default/shop/web  OPS-12  12m5s  OPS-12 is in "To Do"
        opening  confirm-rollout         eu/pay/api        -       3d4h   Jira [2J is down
        stuck    any                     eu/pay/ui         -       -      its row cannot be read
        "#);
        assert_eq!(gates(&admin, true, NOW).await.unwrap(), THREE);
        let idle = bridge(StatusCode::OK, "[]").await;
        assert_eq!(gates(&idle, false, NOW).await.unwrap(), "No gate is waiting.");
        assert_eq!(gates(&idle, true, NOW).await.unwrap(), "[]");
    }

    #[tokio::test]
    async fn errors_are_one_line_that_says_what_to_do() {
        let error = async |admin: &str| format!("{:#}", gates(admin, false, NOW).await.unwrap_err());
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        assert_eq!(
            error(&closed).await,
            format!("nobody answers at {closed}; is the bridge running? --admin says where to ask")
        );
        let other = bridge(StatusCode::NOT_FOUND, "nope").await;
        assert_eq!(
            error(&other).await,
            format!("{other}api/gates answers 404 Not Found; is it the admin listener?")
        );
        let page = bridge(StatusCode::OK, "<html>").await;
        assert!(error(&page).await.contains("not as a bridge does"));
        assert!(error("nonsense").await.starts_with("--admin \"nonsense\""));
    }

    #[test]
    fn spans() {
        for (secs, text) in [(0, "0s"), (59, "59s"), (60, "1m0s"), (3725, "1h2m"), (90_000, "1d1h")] {
            assert_eq!(ago(Duration::from_secs(secs)), text);
        }
    }
}
