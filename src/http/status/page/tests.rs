use super::*;
use crate::view::{RolloutView, TicketView};

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

/// The page with these gates, and what the reader wants to see.
fn shows(gates: Option<&[GateView]>, overview: Option<Result<Overview, String>>, wanted: &Wanted) -> String {
    let timing = gates.map(|_| Timing {
        trust_for: std::time::Duration::from_secs(600),
        idle_after: std::time::Duration::from_secs(600),
        abandon_after: std::time::Duration::from_secs(600),
        tickets_per_canary_per_hour: 12,
        open_tickets: 500,
    });
    let jira = JiraHealth { trouble: false, words: "last answered 3 s ago".into() };
    render(&Known { gates, overview, timing, jira }, wanted, NOW).unwrap()
}

fn nothing_else() -> Option<Result<Overview, String>> {
    Some(Ok(Overview { parked: vec![], parked_in_all: 0, pending: 0, passed: vec![] }))
}

fn page(gates: &[GateView]) -> String {
    shows(Some(gates), nothing_else(), &Wanted::default())
}

/// The rows of the table of gates.
fn rows(html: &str) -> &str {
    let (_, rest) = html.split_once("<tbody>").unwrap();
    rest.split_once("</tbody>").unwrap().0.trim()
}

#[test]
fn hostile_words_stay_words() {
    let html = page(&[hostile(), plain()]);
    insta::assert_snapshot!(rows(&html), @r#"
    <tr>
    <td class="narrow"><span class="state not_allowed">not allowed</span></td>
    <td>namespace&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}/canary&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}<br><span class="dim">cluster&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }} · v2&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></td>
    <td>confirm-promotion<br><span class="dim">gate&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></td>
    <td class="narrow"><a href="https:&#x2f;&#x2f;jira.example&#x2f;browse&#x2f;OPS-1?&quot;onmouseover=&quot;alert(1)">OPS-1&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</a><br><span class="dim">Approved&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></td>
    <td class="narrow"><time datetime="2026-09-21T12:13:20Z" title="2026-09-21T12:13:20Z">2 h</time></td>
    <td class="wide">reason&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</td>
    </tr>

    <tr>
    <td class="narrow"><span class="state opening">opening</span></td>
    <td>test/podinfo<br><span class="dim">default</span></td>
    <td>confirm-rollout</td>
    <td class="narrow"><span class="dim">none yet</span></td>
    <td class="narrow"></td>
    <td class="wide">the ticket is being opened</td>
    </tr>
    "#);
    assert!(!html.contains("<script") && !html.contains("49"));
}

#[test]
fn a_link_goes_to_the_web_or_nowhere() {
    let mut gate = plain();
    gate.ticket = Some(TicketView { key: "OPS-1".into(), url: "javascript:alert(1)".into(), status: None });
    let html = page(&[gate]);
    assert!(html.contains("<td class=\"narrow\">OPS-1</td>") && !html.contains("javascript"));
}

#[test]
fn an_empty_table_says_so() {
    let html = page(&[]);
    assert!(html.contains("Nothing waits."));
    assert!(
        html.contains("<title>Flagger gates</title>") && html.contains("2026-09-21 14:13:20 UTC"),
        "{html}"
    );
    assert!(html.contains("<meta http-equiv=\"refresh\" content=\"10\">"));
}

#[test]
fn states_are_counted_and_chosen() {
    let gates = [hostile(), plain(), plain()];
    let html = page(&gates);
    assert!(
        html.contains("all 3</a>") && html.contains("opening 2</a>") && html.contains("not allowed 1</a>"),
        "{html}"
    );
    let wanted = Wanted { state: "opening".into(), ..Wanted::default() };
    let html = shows(Some(&gates), nothing_else(), &wanted);
    assert!(html.contains("2 gates") && !html.contains("not allowed</span>"), "{html}");
    let wanted = Wanted { q: " PODINFO ".into(), ..Wanted::default() };
    assert!(shows(Some(&gates), nothing_else(), &wanted).contains("2 gates"));
    let wanted = Wanted { q: "\"><b>".into(), refresh: "off".into(), ..Wanted::default() };
    let html = shows(Some(&gates), nothing_else(), &wanted);
    assert!(html.contains("No gate matches.") && html.contains("value=\"&quot;&gt;&lt;b&gt;\""), "{html}");
    assert!(!html.contains("http-equiv=\"refresh\""), "{html}");
    assert!(html.contains("?state=opening&amp;q=%22%3E%3Cb%3E&amp;refresh=off"), "{html}");
}

#[test]
fn many_gates_are_many_pages() {
    let gates: Vec<GateView> =
        (0..10_000).map(|nth| GateView { canary: format!("canary-{nth:05}"), ..plain() }).collect();
    let shown =
        |page: &str| shows(Some(&gates), nothing_else(), &Wanted { page: page.into(), ..Wanted::default() });
    let first = shown("");
    assert!(
        first.contains("canary-00000") && first.contains("canary-00199") && !first.contains("canary-00200")
    );
    assert!(first.contains("page 1 of 50") && first.contains("&amp;page=2") && !first.contains("previous"));
    let last = shown("50");
    assert!(last.contains("canary-09999") && last.contains("&amp;page=49") && !last.contains("rel=\"next\""));
    assert_eq!(shown("51"), last);
    assert_eq!(shown("-7"), first);
}

#[test]
fn what_is_parked_and_what_opened_last() {
    let ticket = |key: &str| {
        Some(TicketView { key: key.into(), url: format!("https://jira.example/browse/{key}"), status: None })
    };
    let overview = Overview {
        parked: vec![ParkedView {
            canary: "default/shop/cart".into(),
            what: "move the ticket".into(),
            ticket: ticket("OPS-1"),
            since: "2026-09-21T12:13:20.000Z".into(),
            why: "<Jira> says no".into(),
        }],
        parked_in_all: 30,
        pending: 2,
        passed: vec![PassedView {
            canary: "default/shop/till".into(),
            gate: "confirm-promotion (qa)".into(),
            ticket: ticket("OPS-2"),
            by: "Mia <Change>".into(),
            at: "2026-09-21T14:12:20.000Z".into(),
        }],
    };
    let html = shows(Some(&[]), Some(Ok(overview)), &Wanted::default());
    for words in [
        "2, and 30 parked",
        "the 1 oldest of 30",
        "move the ticket",
        "OPS-1</a>",
        "&lt;Jira&gt; says no",
        "Opened last",
        "1 min</time>",
        "Mia &lt;Change&gt;",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    let html =
        shows(Some(&[plain()]), Some(Err("the database failed: disk full".into())), &Wanted::default());
    assert!(html.contains("<strong>Database:</strong> the database failed: disk full"), "{html}");
    assert!(html.contains("facts trouble") && html.contains("podinfo"), "{html}");
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
