use std::{collections::HashMap, time::Duration};

use super::*;
use crate::view::{RolloutView, TicketView};

const NOW: Millis = Millis(1_790_000_000_000);
const TWO_HOURS_AGO: Rfc3339 = Rfc3339(Millis(1_790_000_000_000 - 2 * 3_600_000));

/// A gate with hostile text in every field.
fn hostile() -> GateView {
    let evil = |what: &str| format!("{what}\"'><script>alert(1)</script>{{{{ 7*7 }}}}");
    GateView {
        cluster: evil("cluster"),
        namespace: evil("namespace"),
        canary: evil("canary"),
        stage: "confirm-promotion".into(),
        gate: Some(evil("gate")),
        state: Verdict::NotAllowed,
        reason: evil("reason"),
        change: Some(evil("cart 6.4.0 → 6.5.0")),
        weight: Some(50),
        ticket: Some(TicketView {
            key: evil("OPS-1"),
            url: "https://jira.example/browse/OPS-1?\"onmouseover=\"alert(1)".into(),
            status: Some(evil("Approved")),
        }),
        asked_at: Some(TWO_HOURS_AGO),
        rollout: Some(RolloutView {
            began_at: TWO_HOURS_AGO,
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
        state: Verdict::Opening,
        reason: "opening: the ticket is being opened".into(),
        change: None,
        weight: None,
        ticket: None,
        asked_at: None,
        rollout: None,
    }
}

/// The page with these gates and this query.
fn shows(
    gates: Option<&[GateView]>,
    overview: Option<Result<Overview, String>>,
    wanted: &PageQuery,
) -> String {
    let limits = config::Limits {
        tickets_per_canary_per_hour: 12,
        open_tickets: 500,
        open_tickets_per_namespace: 100,
    };
    let jira = JiraHealthView { trouble: false, words: "last answered 3 s ago".into(), one_by_one: None };
    let list: Vec<ListedGate> = gates.into_iter().flatten().cloned().map(ListedGate::Unwatched).collect();
    let shown = |listed: &ListedGate| match listed {
        ListedGate::Unwatched(view) => view.clone(),
        ListedGate::Live { .. } => unreachable!("none is in the list"),
    };
    let tickets = gates.into_iter().flatten().filter(|gate| gate.rollout.is_some()).count();
    let gates = gates.map(|_| Gates {
        list: &list,
        shown: Box::new(shown),
        tickets,
        full_namespaces: vec![],
        limits,
        trust_for: Duration::from_secs(600),
    });
    render(&PageInput { gates, overview, refused: vec![], unguarded: vec![], jira }, wanted, NOW).unwrap()
}

fn nothing_else() -> Option<Result<Overview, String>> {
    Some(Ok(Overview { parked: vec![], parked_total: 0, pending: 0, passed: vec![], unasked: vec![] }))
}

fn page(gates: &[GateView]) -> String {
    shows(Some(gates), nothing_else(), &PageQuery::default())
}

/// The rows of the table of gates.
fn rows(html: &str) -> &str {
    let (_, rest) = html.split_once("<tbody role=\"rowgroup\">").unwrap();
    rest.split_once("</tbody>").unwrap().0.trim()
}

#[test]
fn hostile_words_stay_words() {
    let html = page(&[hostile(), plain()]);
    insta::assert_snapshot!(rows(&html), @r#"
    <tr role="row">
    <td role="cell" class="narrow" data-is="State"><div><span class="state not_allowed">not allowed</span></div></td>
    <th role="rowheader" scope="row" data-is="Canary"><div>namespace&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}/canary&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}<br><span class="dim">cluster&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }} · v2&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span><br>cart 6.4.0 → 6.5.0&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}<br>traffic to the new version: 50 %</div></th>
    <td role="cell" data-is="Stage"><div>confirm-promotion<br><span class="dim">gate&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></div></td>
    <td role="cell" class="narrow" data-is="Ticket"><div><a href="https:&#x2f;&#x2f;jira.example&#x2f;browse&#x2f;OPS-1?&quot;onmouseover=&quot;alert(1)">OPS-1&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</a><br><span class="dim">Approved&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</span></div></td>
    <td role="cell" class="narrow" data-is="First asked"><div><time datetime="2026-09-21T12:13:20.000Z">2 h ago<br><span class="dim">2026-09-21 12:13 UTC</span></time></div></td>
    <td role="cell" class="wide" data-is="Reason"><div>reason&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</div></td>
    </tr>

    <tr role="row">
    <td role="cell" class="narrow" data-is="State"><div><span class="state opening">opening</span></div></td>
    <th role="rowheader" scope="row" data-is="Canary"><div>test/podinfo<br><span class="dim">default</span></div></th>
    <td role="cell" data-is="Stage"><div>confirm-rollout</div></td>
    <td role="cell" class="narrow" data-is="Ticket"><div><span class="dim">none yet</span></div></td>
    <td role="cell" class="narrow" data-is="First asked"><div><span class="dim">not known</span></div></td>
    <td role="cell" class="wide" data-is="Reason"><div>opening: the ticket is being opened</div></td>
    </tr>
    "#);
    // The page loads its own script; none is inline.
    assert!(html.matches("<script").count() == 1 && !html.contains("49"));
}

#[test]
fn a_link_goes_to_the_web_or_nowhere() {
    let mut gate = plain();
    gate.ticket = Some(TicketView { key: "OPS-1".into(), url: "javascript:alert(1)".into(), status: None });
    let html = page(&[gate]);
    assert!(html.contains("<div>OPS-1<br>") && !html.contains("javascript"));
}

#[test]
fn an_empty_table_says_so() {
    let html = page(&[]);
    assert!(html.contains("Nothing waits."));
    assert!(
        html.contains("<title>Flagger gates</title>") && html.contains("2026-09-21 14:13:20 UTC"),
        "{html}"
    );
    assert!(html.contains("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>"));
}

#[test]
fn states_are_counted_and_chosen() {
    let gates = [hostile(), plain(), plain()];
    let html = page(&gates);
    assert!(
        html.contains("all 3</a>") && html.contains("opening 2</a>") && html.contains("not allowed 1</a>"),
        "{html}"
    );
    let wanted = PageQuery { state: "opening".into(), ..PageQuery::default() };
    let html = shows(Some(&gates), nothing_else(), &wanted);
    assert!(html.contains("2 gates") && !rows(&html).contains("not allowed</span>"), "{html}");
    let wanted = PageQuery { q: " PODINFO ".into(), ..PageQuery::default() };
    assert!(shows(Some(&gates), nothing_else(), &wanted).contains("2 gates"));
    let wanted = PageQuery { q: "\"><b>".into(), refresh: "off".into(), ..PageQuery::default() };
    let html = shows(Some(&gates), nothing_else(), &wanted);
    assert!(html.contains("No gate matches.") && html.contains("value=\"&quot;&gt;&lt;b&gt;\""), "{html}");
    assert!(!html.contains("http-equiv=\"refresh\""), "{html}");
    assert!(html.contains("?state=opening&amp;q=%22%3E%3Cb%3E&amp;refresh=off"), "{html}");
}

#[test]
fn many_gates_are_many_pages() {
    let gates: Vec<GateView> =
        (0..10_000).map(|nth| GateView { canary: format!("canary-{nth:05}"), ..plain() }).collect();
    let shown = |page: &str| {
        shows(Some(&gates), nothing_else(), &PageQuery { page: page.into(), ..PageQuery::default() })
    };
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
            since: TWO_HOURS_AGO,
            why: "<Jira> says no".into(),
        }],
        parked_total: 30,
        pending: 2,
        unasked: vec![],
        passed: vec![PassedView {
            canary: "default/shop/till".into(),
            gate: "confirm-promotion (qa)".into(),
            ticket: ticket("OPS-2"),
            by: "Mia <Change>".into(),
            at: Rfc3339(Millis(NOW.0 - 60_000)),
        }],
    };
    let html = shows(Some(&[]), Some(Ok(overview)), &PageQuery::default());
    for words in [
        "2 queued",
        "<a href=\"#parked\">30 commands were</a>",
        "the 1 oldest of 30",
        "move the ticket",
        "OPS-1</a>",
        "&lt;Jira&gt; says no",
        "Opened last",
        "1 min ago<br>",
        "Mia &lt;Change&gt;",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    let html =
        shows(Some(&[plain()]), Some(Err("the database failed: disk full".into())), &PageQuery::default());
    assert!(html.contains("<strong>Trouble:</strong> the database failed: disk full. What is"), "{html}");
    assert!(html.contains("class=\"trouble\"") && html.contains("podinfo"), "{html}");
}

#[test]
fn a_reached_limit_is_shown() {
    // Its ticket is not open yet, but already counts.
    let gate = GateView { rollout: hostile().rollout, ..plain() };
    let full = "<strong>Trouble:</strong> 500 of at most 500 tickets open, so";
    assert!(page(&vec![gate.clone(); 500]).contains(full));
    let mut gates = vec![gate; 499];
    gates.push(GateView { state: Verdict::Stuck, ..plain() });
    let html = page(&gates);
    assert!(html.contains("499 of at most 500 tickets open;") && !html.contains("Trouble"), "{html}");
}

/// Each state that occurs is explained once.
#[test]
fn states_are_explained() {
    let html = page(&[plain(), plain()]);
    let (_, legend) = html.split_once("<dl class=\"meaning\">").unwrap();
    assert_eq!(legend.matches("<dt>").count(), 1);
    assert!(legend.contains("opening</span></dt><dd>Flagger asked just now"), "{legend}");
    assert!(html.contains("<title>(2) Flagger gates</title>"));
}

#[test]
fn every_state_has_a_color() {
    let css = include_str!("../page.css");
    for state in Verdict::ALL {
        let class = format!(".{}", state.as_str());
        assert!(css.split([',', ' ']).any(|selector| selector.lines().any(|line| line == class)), "{class}");
    }
}

/// The colours of the style sheet's light and dark scheme.
fn colours(css: &str) -> [HashMap<&str, [f64; 3]>; 2] {
    let mut blocks = css.split(":root {").skip(1).map(|block| block.split('}').next().unwrap());
    [(); 2].map(|()| {
        let words = blocks.next().unwrap().split(';').filter_map(|it| it.trim().split_once(": #"));
        words
            .map(|(name, hex)| {
                let each = if hex.len() == 3 { 1 } else { 2 };
                let part = |at: usize| {
                    let digits = &hex[at * each..(at + 1) * each];
                    let value = u8::from_str_radix(digits, 16).unwrap();
                    f64::from(if each == 1 { value * 17 } else { value }) / 255.0
                };
                (name.trim_start_matches("--"), [part(0), part(1), part(2)])
            })
            .collect()
    })
}

/// The contrast ratio of WCAG 2.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
    let light = |[red, green, blue]: [f64; 3]| {
        0.0722f64.mul_add(linear(blue), 0.2126f64.mul_add(linear(red), 0.7152 * linear(green)))
    };
    let (one, other) = (light(one) + 0.05, light(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn every_colour_can_be_read() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    for scheme in colours(include_str!("../page.css")) {
        for words in ["text", "dim", "link", "ok", "no", "warn", "wait"] {
            for on in ["back", "card"] {
                let contrast = contrast(scheme[words], scheme[on]);
                assert!(contrast >= 4.5, "{words} on {on}: {contrast:.2}");
            }
        }
    }
}
