//! `gates`: asks a running bridge for its gates, and prints a table for people or the JSON for programs.

mod api;
mod groups;
mod layout;
mod refused;
mod table;
mod unguarded;
mod watch;

use serde_json::Value;

use self::api::{AdminClient, Unguarded};
pub use self::watch::watch;
use super::{args::Gates, terminal::OutputStyle};
use crate::{millis::Millis, text::escape_json};

/// Asks the bridge, and returns the text to print: a table, or the bridge's JSON. `now` is needed to show how long a
/// gate has been waiting. Text from outside cannot control the terminal.
///
/// # Errors
/// If the bridge cannot be reached, or another program answers; one line.
pub async fn gates(wanted: &Gates, style: &OutputStyle, now: Millis) -> anyhow::Result<String> {
    let client = AdminClient::new(wanted.admin())?;
    if wanted.unguarded {
        let (canaries, body) = client.unguarded().await?;
        let is_wanted = |nth: usize| {
            let Unguarded { cluster, namespace, canary, .. } = &canaries[nth];
            wanted.selects(Some(cluster), namespace, canary)
        };
        return if wanted.json {
            json(&body, is_wanted, wanted)
        } else {
            Ok(unguarded::all(&canaries, wanted, style).join("\n"))
        };
    }
    let (gates, body) = client.gates().await?;
    if wanted.json {
        return json(&body, |nth| table::is_wanted(&gates[nth], wanted, now), wanted);
    }
    if let Some(by) = wanted.group {
        return Ok(groups::lines(&gates, wanted, by, style, now).join("\n"));
    }
    let mut lines = table::lines(&gates, wanted, style, now);
    lines.extend(refused::lines(&client.refused().await, wanted, style, now));
    // An earlier version does not list them.
    let (canaries, _) = client.unguarded().await.unwrap_or_default();
    lines.extend(unguarded::lines(&canaries, wanted, style));
    Ok(lines.join("\n"))
}

/// The bridge's answer, with only the selected objects.
fn json(body: &str, is_wanted: impl Fn(usize) -> bool, wanted: &Gates) -> anyhow::Result<String> {
    if !wanted.is_narrow() {
        return Ok(escape_json(body));
    }
    let objects: Vec<Value> = serde_json::from_str(body)?;
    let kept = objects.into_iter().enumerate().filter(|(nth, _)| is_wanted(*nth));
    Ok(escape_json(&serde_json::to_string(&kept.map(|(_, object)| object).collect::<Vec<_>>())?))
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};

    use super::{
        super::terminal::LinkStyle,
        api::{Gate, Rollout, Ticket},
        *,
    };

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
        gates(wanted, &OutputStyle::default(), NOW).await.unwrap()
    }

    #[tokio::test]
    async fn a_table_for_people() {
        let wanted = bridge(StatusCode::OK, THREE).await;
        insta::assert_snapshot!(shown(&wanted).await, @r#"
        STATE    STAGE                   CANARY            TICKET  ASKED      REASON
        waiting  confirm-promotion (qa)  default/shop/web  OPS-12  12m5s ago  OPS-12 is in "To Do"
          revision 5f
          https://jira.example.com/browse/OPS-12
        opening  confirm-rollout         eu/pay/api        -       3d4h ago   Jira [2J is down
          replaces revision 4e
        stuck    any                     eu/pay/ui         -       -          its row cannot be read
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

    /// Refused hooks are listed below the gates in the table, but not in the JSON.
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
        let narrow = OutputStyle { columns: Some(30), ..OutputStyle::default() };
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

    async fn bridge_with_unguarded(body: String) -> Gates {
        let gates = Router::new().route("/api/gates", get(async || "[]"));
        serves(gates.route("/api/unguarded", get(move || async move { body }))).await
    }

    const UNGUARDED: &str = r#"[
        {"cluster": "default", "namespace": "shop", "canary": "web", "why": "no hook calls this bridge"},
        {"cluster": "eu", "namespace": "pay", "canary": "api", "why": "skipAnalysis is set\u001b[2J"}
    ]"#;

    /// The Unguarded Canaries are listed below the gates in the table, or alone.
    #[tokio::test]
    async fn canaries_that_ask_nobody() {
        let wanted = bridge_with_unguarded(UNGUARDED.to_owned()).await;
        insta::assert_snapshot!(shown(&wanted).await, @r"
        No gate is waiting.

        UNGUARDED CANARIES
        default/shop/web: no hook calls this bridge
        eu/pay/api: skipAnalysis is set [2J
        ");
        let pay = Gates { namespace: Some("pay".into()), ..wanted.clone() };
        assert!(!shown(&pay).await.contains("default/shop/web"));
        let alone = Gates { unguarded: true, ..wanted };
        insta::assert_snapshot!(shown(&alone).await, @r"
        default/shop/web: no hook calls this bridge
        eu/pay/api: skipAnalysis is set [2J
        ");
        let json = Gates { json: true, ..alone.clone() };
        let all: Value = serde_json::from_str(&shown(&json).await).unwrap();
        assert_eq!(all.as_array().unwrap().len(), 2);
        let one: Value =
            serde_json::from_str(&shown(&Gates { canary: Some("web".into()), ..json }).await).unwrap();
        assert_eq!(one, Value::Array(vec![all[0].clone()]));
        assert_eq!(
            shown(&Gates { canary: Some("till".into()), ..alone }).await,
            "The bridge sees no unguarded Canary."
        );
        let row: Vec<Value> = serde_json::from_str(UNGUARDED).unwrap();
        let many = serde_json::to_string(&vec![row[0].clone(); 22]).unwrap();
        let many = shown(&bridge_with_unguarded(many).await).await;
        assert!(many.ends_with("\nand 12 more; gates --unguarded shows all"), "{many}");
        assert_eq!(many.matches("default/shop/web").count(), 10);
    }

    /// The version, what changes and how far it is are on one line.
    #[tokio::test]
    async fn the_weight_of_the_new_version() {
        let mut gates: Vec<Value> = serde_json::from_str(THREE).unwrap();
        gates[0]["change"] = "cart 6.4.0 → 6.5.0".into();
        gates[0]["weight"] = 50.into();
        gates[1]["weight"] = 0.into();
        gates[1]["rollout"]["label"] = "2.15.0".into();
        gates[2]["rollout"] = gates[1]["rollout"].clone();
        gates[2]["rollout"]["label"] = Value::Null;
        gates[2]["rollout"]["revision"] = "5f".into();
        let body = serde_json::to_string(&gates).unwrap();
        insta::assert_snapshot!(shown(&bridge_that_refused(body.leak(), "[]".into()).await).await, @r#"
        STATE    STAGE                   CANARY            TICKET  ASKED      REASON
        waiting  confirm-promotion (qa)  default/shop/web  OPS-12  12m5s ago  OPS-12 is in "To Do"
          cart 6.4.0 → 6.5.0; traffic to the new version: 50 %
          https://jira.example.com/browse/OPS-12
        opening  confirm-rollout         eu/pay/api        -       3d4h ago   Jira [2J is down
          version 2.15.0; traffic to the new version: 0 %
        stuck    any                     eu/pay/ui         -       -          its row cannot be read
          revision 4e → 5f
        "#);
    }

    #[tokio::test]
    async fn only_what_is_wanted() {
        let all = bridge(StatusCode::OK, THREE).await;
        let pay = Gates { namespace: Some("pay".into()), ..all };
        insta::assert_snapshot!(shown(&pay).await, @r"
        STATE    STAGE            CANARY      TICKET  ASKED     REASON
        opening  confirm-rollout  eu/pay/api  -       3d4h ago  Jira [2J is down
          replaces revision 4e
        stuck    any              eu/pay/ui   -       -         its row cannot be read
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
        let evil = "\u{1b}]8;;http://evil\u{7}\u{1b}[2J\u{9b}1A\r\n\u{202e}x\u{200b}\u{ad}\u{2060}\u{7f}";
        let gate = Gate {
            cluster: evil.into(),
            namespace: evil.into(),
            canary: evil.into(),
            stage: evil.into(),
            gate: Some(evil.into()),
            state: evil.into(),
            reason: evil.into(),
            change: Some(evil.into()),
            weight: Some(50),
            step: None,
            allowed_weight: None,
            ticket: Some(Ticket { key: evil.into(), url: format!("https://jira.example.com/{evil}") }),
            asked_at: None,
            rollout: Some(Rollout {
                base: Some(evil.into()),
                revision: Some(evil.into()),
                label: Some(evil.into()),
            }),
        };
        for columns in [None, Some(20), Some(100), Some(250)] {
            for links in [LinkStyle::Shown, LinkStyle::Behind] {
                for colour in [false, true] {
                    let style = OutputStyle { columns, links, colour, ..OutputStyle::default() };
                    let wanted = Gates::of("http://x");
                    for line in table::lines(std::slice::from_ref(&gate), &wanted, &style, NOW) {
                        let text = line.replace("\u{1b}[1m", "").replace("\u{1b}[2m", "");
                        let text = text.replace("\u{1b}[0m", "");
                        let unseen = ['\u{202e}', '\u{200b}', '\u{ad}', '\u{2060}'];
                        let bad = |c: char| c.is_control() || unseen.contains(&c);
                        assert!(!text.contains(bad), "{line:?}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn errors_are_one_line_that_says_what_to_do() {
        let error = async |wanted: &Gates| {
            let text = format!("{:#}", gates(wanted, &OutputStyle::default(), NOW).await.unwrap_err());
            assert!(!text.contains(char::is_control), "{text:?}");
            text.replace(wanted.admin().trim_end_matches('/'), "ADMIN")
        };
        // Bound, so that no other test gets the port, but not listening.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = Gates::of(&format!("http://{}", socket.local_addr().unwrap()));
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
        cannot reach the bridge at ADMIN. If its server.admin_listen differs, pass --admin http://HOST:PORT or set BRIDGE_ADMIN.
        ADMIN answers 404 Not Found; is it the bridge's server.admin_listen?
        the bridge at ADMIN is not ready: the store is not open yet; its log says more
        ADMIN answers, but not as a bridge does; is it the bridge's server.admin_listen?
        ADMIN answers, but not as a bridge does; is it the bridge's server.admin_listen?
        ADMIN answers in a format that flagger-jira-bridge VERSION cannot read (invalid type: integer `7`, expected a string); use the version that the bridge runs
        ADMIN answers in a format that flagger-jira-bridge VERSION cannot read (failed to parse four digit integer as year: invalid digit, expected 0-9 but got \x1B); use the version that the bridge runs
        --admin has no scheme; put http:// in front
        --admin is not a URL: invalid IPv6 address
        "#);
    }
}
