//! `gates`: asks a running bridge what waits, and prints it for people, or as it is for programs.

mod layout;
mod refused;
mod watch;

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;

pub use self::watch::watch;
use self::{
    layout::{Line, Row},
    refused::Refused,
};
use super::{Gates, Paper};
use crate::{millis::Millis, server_url, ticket::one_line};

/// The longest word, reason or address that is shown, in characters: the bridge's own are much shorter.
const LONGEST: usize = 2_000;

/// What is shown of an entry of `/api/gates`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Ticket {
    key: String,
    url: String,
}

/// RFC 3339, or null.
fn timestamp<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// Asks the bridge, and returns what to print: a table, or its answer as it is. `now` is for telling how long a gate has
/// been waiting. What comes from outside is only words in it: it cannot steer a terminal.
///
/// # Errors
/// If it cannot be reached or answers something else; one line.
pub async fn gates(wanted: &Gates, paper: &Paper, now: Millis) -> anyhow::Result<String> {
    let asker = Asker::new(&wanted.admin)?;
    let (gates, body) = asker.gates().await?;
    if wanted.json {
        return json(&gates, &body, wanted);
    }
    let mut lines = table(&gates, wanted, paper, now);
    lines.extend(refused::lines(&asker.refused().await, wanted, paper, now));
    Ok(lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n"))
}

/// Asks one bridge.
struct Asker {
    /// Scheme, host and port: what is shown of it.
    admin: String,
    /// What the paths of the API follow.
    url: String,
    client: reqwest::Client,
}

impl Asker {
    /// What is not understood is not shown: there may be a password in it.
    fn new(admin: &str) -> anyhow::Result<Self> {
        if !server_url::is_clear(admin) {
            bail!("--admin: {}", server_url::UNCLEAR);
        }
        if !admin.contains("://") {
            bail!("--admin has no scheme; put http:// in front");
        }
        let origin = match reqwest::Url::parse(admin) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url.origin().ascii_serialization(),
            Ok(_) => bail!("--admin must begin with http:// or https://"),
            Err(error) => bail!("--admin is no URL: {error}"),
        };
        // The bridge is near: no proxy, and nobody who could send us elsewhere.
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot prepare the request")?;
        Ok(Self { admin: origin, url: admin.trim_end_matches('/').to_owned(), client })
    }

    /// The gates, and the very answer.
    async fn gates(&self) -> anyhow::Result<(Vec<Gate>, String)> {
        let Self { admin, .. } = self;
        let body = self.ask("gates").await?;
        let Ok(objects) = serde_json::from_str::<Vec<serde_json::Map<String, Value>>>(&body) else {
            bail!("{admin} answers, but not as a bridge does; is it the bridge's server.admin_listen?");
        };
        let gates = objects.into_iter().map(|object| serde_json::from_value(Value::Object(object)));
        let gates = gates.collect::<Result<Vec<Gate>, _>>().map_err(|error| {
            let (what, version) = (one_line(&error.to_string(), 200), env!("CARGO_PKG_VERSION"));
            anyhow!(
                "{admin} tells of gates otherwise than flagger-jira-bridge {version} understands ({what}); \
                 ask it with the program of its own version"
            )
        });
        Ok((gates?, body))
    }

    /// What was turned away. None where that cannot be told, as by an earlier version: the gates are told all the same.
    async fn refused(&self) -> Vec<Refused> {
        let Ok(body) = self.ask("refused").await else { return Vec::new() };
        serde_json::from_str(&body).unwrap_or_default()
    }

    async fn ask(&self, what: &str) -> anyhow::Result<String> {
        let Self { admin, url, client } = self;
        let request = client.get(format!("{url}/api/{what}")).build().map_err(reqwest::Error::without_url);
        let request = request.context("--admin is no URL")?;
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
        let status = answer.status();
        let body = answer.text().await.map_err(reqwest::Error::without_url);
        if status == reqwest::StatusCode::SERVICE_UNAVAILABLE {
            let why = one_line(&body.unwrap_or_default(), 200);
            bail!("the bridge at {admin} cannot tell yet: {why}; its log says more");
        }
        if !status.is_success() {
            bail!("{admin} answers {status}; is it the bridge's server.admin_listen?");
        }
        body.with_context(|| format!("cannot read the answer of {admin}"))
    }
}

impl Gates {
    fn wants(&self, gate: &Gate) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        is(&self.namespace, &gate.namespace) && is(&self.canary, &gate.canary)
    }

    fn wants_all(&self) -> bool {
        self.namespace.is_none() && self.canary.is_none()
    }
}

/// What the bridge answered, without the gates that are not wanted.
fn json(gates: &[Gate], body: &str, wanted: &Gates) -> anyhow::Result<String> {
    if wanted.wants_all() {
        return Ok(harmless(body));
    }
    let objects: Vec<Value> = serde_json::from_str(body)?;
    let kept = objects.into_iter().zip(gates).filter(|(_, gate)| wanted.wants(gate));
    Ok(harmless(&serde_json::to_string(&kept.map(|(object, _)| object).collect::<Vec<_>>())?))
}

/// The same JSON. Control characters that JSON allows in its strings could steer a terminal: they are escaped.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match u32::from(c) {
            code @ 0x7f..=0x9f => text.push_str(&format!("\\u{code:04x}")),
            _ => text.push(c),
        }
    }
    text
}

/// For people: a line of headings and one for each gate, or one line if there is none.
fn table(gates: &[Gate], wanted: &Gates, paper: &Paper, now: Millis) -> Vec<Line> {
    let rows: Vec<Row> = gates.iter().filter(|gate| wanted.wants(gate)).map(|gate| row(gate, now)).collect();
    if rows.is_empty() {
        return vec![Line::new(paper, anstyle::Style::new(), &none(gates.len(), wanted))];
    }
    layout::lines(&rows, paper)
}

fn none(others: usize, wanted: &Gates) -> String {
    let mut line = "No gate is waiting".to_owned();
    if let Some(canary) = &wanted.canary {
        line += &format!(" for canary {}", one_line(canary, LONGEST));
    }
    if let Some(namespace) = &wanted.namespace {
        line += &format!(" in namespace {}", one_line(namespace, LONGEST));
    }
    match others {
        0 => line + ".",
        1 => line + "; 1 is elsewhere.",
        _ => format!("{line}; {others} are elsewhere."),
    }
}

fn row(gate: &Gate, now: Millis) -> Row {
    let stage = match gate.gate.as_deref() {
        None | Some("") => gate.stage.clone(),
        Some(name) => format!("{} ({name})", gate.stage),
    };
    let since = gate.asked_at.map(|at| now.since(Millis(at.as_millisecond())));
    let canary = format!("{}/{}/{}", gate.cluster, gate.namespace, gate.canary);
    let nothing = || "-".to_owned();
    let key = gate.ticket.as_ref().map_or_else(nothing, |ticket| ticket.key.clone());
    let cells = [gate.state.clone(), stage, canary, key, since.map_or_else(nothing, ago)];
    Row {
        cells: cells.map(|cell| one_line(&cell, LONGEST)),
        reason: one_line(&gate.reason, LONGEST),
        url: gate.ticket.as_ref().map(|ticket| one_line(&ticket.url, LONGEST)),
    }
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

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};

    use super::*;
    use crate::cli::Links;

    const NOW: Millis = Millis(1_800_000_000_000);

    async fn bridge(status: StatusCode, body: &'static str) -> Gates {
        serves(Router::new().route("/api/gates", get(move || async move { (status, body) }))).await
    }

    async fn bridge_that_refused(gates: &'static str, refused: String) -> Gates {
        let gates = Router::new().route("/api/gates", get(move || async move { gates }));
        serves(gates.route("/api/refused", get(move || async move { refused }))).await
    }

    async fn serves(app: Router) -> Gates {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Gates::of(&format!("http://{address}/"))
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

    async fn shown(wanted: &Gates) -> String {
        gates(wanted, &Paper::default(), NOW).await.unwrap()
    }

    #[tokio::test]
    async fn a_table_for_people() {
        let wanted = bridge(StatusCode::OK, THREE).await;
        insta::assert_snapshot!(shown(&wanted).await, @r#"
        STATE    STAGE                   CANARY            TICKET  SINCE  REASON
        waiting  confirm-promotion (qa)  default/shop/web  OPS-12  12m5s  OPS-12 is in "To Do"
        opening  confirm-rollout         eu/pay/api        -       3d4h   Jira [2J is down
        stuck    any                     eu/pay/ui         -       -      its row cannot be read
        "#);
        assert_eq!(shown(&Gates { json: true, ..wanted }).await, THREE);
        let idle = bridge(StatusCode::OK, "[]").await;
        assert_eq!(shown(&idle).await, "No gate is waiting.");
        assert_eq!(shown(&Gates { json: true, ..idle }).await, "[]");
    }

    const REFUSED: &str = r#"[
        {"listener": "gate", "source": "10.0.0.7", "path": "/gate/confirm-promotion", "canary": "shop/web",
         "kind": "token", "reason": "no token was brought", "hint": "give the hook the token\u001b[2J",
         "first": "2027-01-15T07:40:00Z", "last": "2027-01-15T07:57:55Z", "count": 12},
        {"listener": "gate", "source": "10.0.0.8", "path": "", "canary": null,
         "kind": "protocol", "reason": "the caller does not speak HTTP", "hint": "set server.tls",
         "first": "2027-01-15T07:40:00Z", "last": "2027-01-15T07:40:00Z", "count": 1}
    ]"#;

    /// What was turned away stands below the gates, for people alone.
    #[tokio::test]
    async fn refused_hooks_stand_below() {
        let wanted = bridge_that_refused("[]", REFUSED.to_owned()).await;
        insta::assert_snapshot!(shown(&wanted).await, @r"
        No gate is waiting.

        REFUSED HOOKS
        10.0.0.7 at /gate/confirm-promotion, shop/web, 12 times, last 2m5s ago
          no token was brought; give the hook the token [2J
        10.0.0.8 at no path, canary not known, 20m0s ago
          the caller does not speak HTTP; set server.tls
        ");
        assert_eq!(shown(&Gates { json: true, ..wanted.clone() }).await, "[]");
        let ui = shown(&Gates { canary: Some("ui".into()), ..wanted.clone() }).await;
        assert!(!ui.contains("10.0.0.7") && ui.contains("10.0.0.8"), "{ui}");
        let narrow = Paper { columns: Some(30), ..Paper::default() };
        insta::assert_snapshot!(gates(&wanted, &narrow, NOW).await.unwrap(), @r"
        No gate is waiting.

        REFUSED HOOKS
        10.0.0.7 at
        /gate/confirm-promotion,
        shop/web, 12 times, last 2m5s
        ago
          no token was brought; give
          the hook the token [2J
        10.0.0.8 at no path, canary
        not known, 20m0s ago
          the caller does not speak
          HTTP; set server.tls
        ");
        let row: Vec<Value> = serde_json::from_str(REFUSED).unwrap();
        let many = serde_json::to_string(&vec![row[0].clone(); 7]).unwrap();
        let many = shown(&bridge_that_refused("[]", many).await).await;
        assert!(many.contains("\nREFUSED HOOKS, the newest 5 of 7; /api/refused has all\n"), "{many}");
        assert_eq!(many.matches("10.0.0.7").count(), 5);
        for unknown in ["{}", "[7]", ""] {
            assert_eq!(
                shown(&bridge_that_refused("[]", unknown.to_owned()).await).await,
                "No gate is waiting."
            );
        }
    }

    #[tokio::test]
    async fn only_what_is_wanted() {
        let all = bridge(StatusCode::OK, THREE).await;
        let pay = Gates { namespace: Some("pay".into()), ..all };
        insta::assert_snapshot!(shown(&pay).await, @r"
        STATE    STAGE            CANARY      TICKET  SINCE  REASON
        opening  confirm-rollout  eu/pay/api  -       3d4h   Jira [2J is down
        stuck    any              eu/pay/ui   -       -      its row cannot be read
        ");
        let ui = Gates { canary: Some("ui".into()), json: true, ..pay };
        let (one, all): (Value, Value) =
            (serde_json::from_str(&shown(&ui).await).unwrap(), serde_json::from_str(THREE).unwrap());
        assert_eq!(one, Value::Array(vec![all[2].clone()]), "one array of the same objects");
        let none = Gates { namespace: Some("shop".into()), json: false, ..ui };
        assert_eq!(
            shown(&none).await,
            "No gate is waiting for canary ui in namespace shop; 3 are elsewhere."
        );
    }

    /// Whatever a team or Jira writes, only the bridge's own escapes reach the terminal.
    #[test]
    fn words_from_outside_steer_nothing() {
        let evil = "\u{1b}]8;;http://evil\u{7}\u{1b}[2J\u{9b}1A\r\n\u{202e}x\u{200b}\u{7f}";
        let gate = Gate {
            cluster: evil.into(),
            namespace: evil.into(),
            canary: evil.into(),
            stage: evil.into(),
            gate: Some(evil.into()),
            state: evil.into(),
            reason: evil.into(),
            ticket: Some(Ticket { key: evil.into(), url: format!("https://jira.example.com/{evil}") }),
            asked_at: None,
        };
        for columns in [None, Some(20), Some(100), Some(250)] {
            for links in [Links::None, Links::Shown, Links::Behind] {
                for colour in [false, true] {
                    let paper = Paper { columns, links, colour, ..Paper::default() };
                    let lines = table(std::slice::from_ref(&gate), &Gates::of("http://x"), &paper, NOW);
                    for line in lines {
                        let text = line.text.replace("\u{1b}[1m", "").replace("\u{1b}[2m", "");
                        let text = text.replace("\u{1b}[0m", "");
                        let bad = |c: char| c.is_control() || ['\u{202e}', '\u{200b}'].contains(&c);
                        assert!(!text.contains(bad), "{:?}", line.text);
                    }
                }
            }
        }
        let shown = harmless("[\"a\u{9b}2J\u{7f}\",\n 1]");
        assert_eq!(shown, "[\"a\\u009b2J\\u007f\",\n 1]");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()[0], "a\u{9b}2J\u{7f}");
    }

    #[tokio::test]
    async fn errors_are_one_line_that_says_what_to_do() {
        let error = async |wanted: &Gates| {
            let told = format!("{:#}", gates(wanted, &Paper::default(), NOW).await.unwrap_err());
            assert!(!told.contains(char::is_control), "{told:?}");
            told.replace(wanted.admin.trim_end_matches('/'), "ADMIN")
        };
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            Gates::of(&format!("http://{}", listener.local_addr().unwrap()))
        };
        let other = bridge(StatusCode::NOT_FOUND, "nope").await;
        let early = bridge(StatusCode::SERVICE_UNAVAILABLE, "the store is not open yet\n").await;
        let page = bridge(StatusCode::OK, "<html>\u{1b}[2J").await;
        let numbers = bridge(StatusCode::OK, "[1]").await;
        let old = bridge(StatusCode::OK, r#"[{"canary": "web", "state": 7, "since": "\u001b[2J"}]"#).await;
        let odd = THREE.replacen("2027-01-15T07:47:55Z", "\\u001b[2Jsoon", 1).leak();
        let odd = bridge(StatusCode::OK, odd).await;
        let mut told = String::new();
        for wanted in [closed, other, early, page, numbers, old, odd, Gates::of("x:1"), Gates::of("http://[")]
        {
            told += &error(&wanted).await.replace(env!("CARGO_PKG_VERSION"), "VERSION");
            told += "\n";
        }
        insta::assert_snapshot!(told, @r#"
        nobody answers at ADMIN; is the bridge running? --admin says where to ask
        ADMIN answers 404 Not Found; is it the bridge's server.admin_listen?
        the bridge at ADMIN cannot tell yet: the store is not open yet; its log says more
        ADMIN answers, but not as a bridge does; is it the bridge's server.admin_listen?
        ADMIN answers, but not as a bridge does; is it the bridge's server.admin_listen?
        ADMIN tells of gates otherwise than flagger-jira-bridge VERSION understands (invalid type: integer `7`, expected a string); ask it with the program of its own version
        ADMIN tells of gates otherwise than flagger-jira-bridge VERSION understands (failed to parse four digit integer as year: invalid digit, expected 0-9 but got \x1B); ask it with the program of its own version
        --admin has no scheme; put http:// in front
        --admin is no URL: invalid IPv6 address
        "#);
    }

    #[test]
    fn spans() {
        for (secs, text) in [(0, "0s"), (59, "59s"), (60, "1m0s"), (3725, "1h2m"), (90_000, "1d1h")] {
            assert_eq!(ago(Duration::from_secs(secs)), text);
        }
    }
}
