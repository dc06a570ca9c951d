use axum::{body::Body, extract::Request};

use super::*;
use crate::{
    http::{answer, not_open_yet},
    view::{RolloutView, TicketView},
};

const NOW: Millis = Millis(1_790_000_000_000);

/// A gate all of whose words are hostile.
fn hostile() -> GateView {
    let evil = |what: &str| format!("{what}\"'><script>alert(1)</script>{{{{ 7*7 }}}}");
    GateView {
        cluster: evil("cluster"),
        namespace: evil("namespace"),
        canary: evil("canary"),
        stage: "confirm-promotion".into(),
        gate: Some(evil("gate")),
        state: Stands::NotAllowed,
        reason: evil("reason"),
        ticket: Some(TicketView {
            key: evil("OPS-1"),
            url: "https://jira.example/browse/OPS-1?\"onmouseover=\"alert(1)".into(),
            status: Some(evil("Approved")),
        }),
        asked_at: Some("2026-09-21T12:13:20Z".into()),
        rollout: Some(RolloutView {
            began_at: "2026-09-21T12:13:20Z".into(),
            base: None,
            revision: None,
            label: Some(evil("v2")),
            course: "running".into(),
        }),
    }
}

fn plain() -> GateView {
    GateView {
        cluster: "default".into(),
        namespace: "test".into(),
        canary: "podinfo".into(),
        stage: "confirm-rollout".into(),
        gate: None,
        state: Stands::Opening,
        reason: "the ticket is being opened".into(),
        ticket: None,
        asked_at: None,
        rollout: None,
    }
}

async fn get_page(path: &str) -> (u16, axum::http::HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    answer(admin_router(not_open_yet(), Arc::new(|| "connected <as> bridge".into())), request).await
}

/// What of a page is between `<main>` and `</main>`.
fn main_part(html: &str) -> &str {
    let (_, rest) = html.split_once("<main>").unwrap();
    rest.split_once("</main>").unwrap().0.trim()
}

#[test]
fn hostile_words_stay_words() {
    let html = render(Some(&[hostile(), plain()]), &[], "ok", NOW).unwrap();
    insta::assert_snapshot!(main_part(&html), @r#"
    <div class="scroll">
    <table>
    <thead><tr><th scope="col">State</th><th scope="col">Canary</th><th scope="col">Stage</th><th scope="col">Ticket</th><th scope="col">Since</th><th scope="col">Reason</th></tr></thead>
    <tbody>

    <tr>
    <td class="narrow"><span class="state not_allowed">not allowed</span></td>
    <td>namespace&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}/canary&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}<br><span class="dim">cluster&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }} · v2&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></td>
    <td>confirm-promotion<br><span class="dim">gate&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></td>
    <td class="narrow"><a href="https:&#x2f;&#x2f;jira.example&#x2f;browse&#x2f;OPS-1?&quot;onmouseover=&quot;alert(1)">OPS-1&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</a><br><span class="dim">Approved&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></td>
    <td class="narrow"><time datetime="2026-09-21T12:13:20Z" title="2026-09-21T12:13:20Z">2 h</time></td>
    <td>reason&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</td>
    </tr>

    <tr>
    <td class="narrow"><span class="state opening">opening</span></td>
    <td>test/podinfo<br><span class="dim">default</span></td>
    <td>confirm-rollout</td>
    <td class="narrow"><span class="dim">none yet</span></td>
    <td class="narrow"></td>
    <td>the ticket is being opened</td>
    </tr>

    </tbody>
    </table>
    </div>
    "#);
    assert!(!html.contains("<script") && !html.contains("49"));
}

#[test]
fn a_link_goes_to_the_web_or_nowhere() {
    let mut gate = plain();
    gate.ticket = Some(TicketView { key: "OPS-1".into(), url: "javascript:alert(1)".into(), status: None });
    let html = render(Some(&[gate]), &[], "ok", NOW).unwrap();
    assert!(html.contains("OPS-1") && !html.contains("href"));
}

#[test]
fn an_empty_table_says_so() {
    let html = render(Some(&[]), &[], "ok", NOW).unwrap();
    assert!(main_part(&html).contains("Nothing waits."));
    assert!(
        html.contains("<title>Flagger gates</title>") && html.contains("2026-09-21 14:13:20 UTC"),
        "{html}"
    );
    assert!(html.contains("<meta http-equiv=\"refresh\" content=\"10\">"));
}

#[tokio::test]
async fn until_the_store_is_open_the_page_says_so() {
    let (status, headers, html) = get_page("/").await;
    assert_eq!(status, 200);
    assert!(main_part(&html).contains("every gate is closed"));
    assert!(html.contains("Jira: connected &lt;as&gt; bridge"), "{html}");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none';"));
    assert_eq!(get_page("/api/gates").await.0, 503);
    assert_eq!(get_page("/readyz").await.0, 503);
    assert_eq!(get_page("/healthz").await.0, 200);
    assert_eq!(get_page("/gate/confirm-rollout").await.0, 404);
}

#[tokio::test]
async fn metrics_are_served_in_their_format() {
    let (status, headers, text) = get_page("/metrics").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], CONTENT_TYPE);
    assert!(text.contains("flagger_jira_bridge_build_info{version=\""), "{text}");
}

#[test]
fn an_age_is_in_its_largest_unit() {
    let at = |seconds: i64| {
        let since = Timestamp::from_millisecond(NOW.0 - seconds * 1_000).unwrap().to_string();
        age(Some(&since), NOW).unwrap()
    };
    for (seconds, expected) in [
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ] {
        assert_eq!(at(seconds), expected);
    }
    assert_eq!(age(Some("soon"), NOW), None);
    assert_eq!(age(None, NOW), None);
}

#[test]
fn what_is_parked_is_shown_below() {
    let at = NOW - Duration::from_secs(90);
    let parked = Parked { canary: "c/shop/<cart>".into(), at, why: "Jira answered <400>".into() };
    let html = render(Some(&[]), &[parked], "ok", NOW).unwrap();
    let (_, below) = html.split_once("<h2>").unwrap();
    let text = below.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text.trim());
    let text: Vec<_> = text.filter(|text| !text.is_empty()).take(8).collect();
    insta::assert_snapshot!(text.join(" | "), @"");
}
