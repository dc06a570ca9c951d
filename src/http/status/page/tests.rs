mod colours;
mod fleet;

use std::time::Duration;

use super::*;
use crate::{
    http::status::Trouble,
    view::{RolloutView, StepView, TicketView, Tone},
};

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
        opens_at: None,
        mode: None,
        step: None,
        allowed_weight: None,
        ticket: Some(TicketView {
            key: evil("OPS-1"),
            url: "https://jira.example/browse/OPS-1?\"onmouseover=\"alert(1)".into(),
            status: Some(evil("Approved")),
        }),
        asked_at: Some(TWO_HOURS_AGO),
        last_asked_at: Some(Rfc3339(Millis(NOW.0 - 5_000))),
        rollout: Some(RolloutView {
            began_at: TWO_HOURS_AGO,
            base: None,
            revision: None,
            label: Some(evil("v2")),
            course: "running".into(),
        }),
        steps: vec![StepView {
            status: evil("Reviewed"),
            by: Some(evil("Mia")),
            at: Some(TWO_HOURS_AGO),
            why: Some(evil("why")),
        }],
        next_step: Some(evil("Approved")),
        decide_by: Some(TWO_HOURS_AGO),
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
        reason: "no ticket yet; the bridge is opening it".into(),
        change: None,
        weight: None,
        opens_at: None,
        mode: None,
        step: None,
        allowed_weight: None,
        ticket: None,
        asked_at: None,
        last_asked_at: None,
        rollout: None,
        steps: vec![],
        next_step: None,
        decide_by: None,
    }
}

/// The page with these gates and this query.
fn shows(
    gates: Option<&[GateView]>,
    overview: Option<Result<Overview, String>>,
    wanted: &PageQuery,
) -> String {
    let jira = JiraHealthView::new(Trouble::None, "last answered 3 s ago".into());
    shows_with(gates, overview, jira, wanted)
}

/// The same, with this state of Jira.
fn shows_with(
    gates: Option<&[GateView]>,
    overview: Option<Result<Overview, String>>,
    jira: JiraHealthView,
    wanted: &PageQuery,
) -> String {
    shows_at(PageLinks::All, gates, overview, jira, wanted)
}

/// The same on the admin listener, or on that of the page.
fn shows_at(
    links: PageLinks,
    gates: Option<&[GateView]>,
    overview: Option<Result<Overview, String>>,
    jira: JiraHealthView,
    wanted: &PageQuery,
) -> String {
    let overview = overview.map(|overview| overview.map(Arc::new));
    let limits = config::Limits {
        tickets_per_canary_per_hour: 12,
        open_tickets: 500,
        open_tickets_per_namespace: 100,
    };
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
        idle_after: Duration::from_secs(600),
        recording: vec![],
    });
    render(&PageInput { gates, overview, refused: vec![], unguarded: vec![], jira, links }, wanted, NOW)
        .unwrap()
}

fn nothing_else() -> Option<Result<Overview, String>> {
    Some(Ok(Overview::default()))
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
    <td role="cell" class="time" data-is="First asked"><div><time datetime="2026-09-21T12:13:20.000Z">2 h ago<br><span class="dim">2026-09-21 12:13:20 UTC</span></time></div></td>
    <td role="cell" class="time" data-is="Last asked"><div><time datetime="2026-09-21T14:13:15.000Z">5 s ago<br><span class="dim">2026-09-21 14:13:15 UTC</span></time></div></td>
    <td role="cell" class="wide" data-is="Reason"><div>reason&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7*7 }}</div></td>
    </tr>

    <tr role="row">
    <td role="cell" class="narrow" data-is="State"><div><span class="state opening">opening</span></div></td>
    <th role="rowheader" scope="row" data-is="Canary"><div>test/podinfo<br><span class="dim">default</span></div></th>
    <td role="cell" data-is="Stage"><div>confirm-rollout</div></td>
    <td role="cell" class="narrow" data-is="Ticket"><div><span class="dim">none yet</span></div></td>
    <td role="cell" class="time" data-is="First asked"><div><span class="dim">not known</span></div></td>
    <td role="cell" class="time" data-is="Last asked"><div><span class="dim">not known</span></div></td>
    <td role="cell" class="wide" data-is="Reason"><div>no ticket yet; the bridge is opening it</div></td>
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

/// Reasons are long to make: only callers of the admin listener search them.
#[test]
fn anybody_may_search_names() {
    let gates = [plain(), hostile()];
    for (links, q, finds) in [
        (PageLinks::All, "opening it", true),
        (PageLinks::PageOnly, "opening it", false),
        (PageLinks::PageOnly, "test/pod", true),
        (PageLinks::PageOnly, "ops-1", true),
        (PageLinks::PageOnly, "confirm-rollout", true),
    ] {
        let wanted = PageQuery { q: q.into(), ..PageQuery::default() };
        let jira = JiraHealthView::new(Trouble::None, "last answered 3 s ago".into());
        let html = shows_at(links, Some(&gates), nothing_else(), jira, &wanted);
        assert_eq!(!html.contains("No gate matches."), finds, "{links:?} {q}");
        assert_eq!(html.contains("revision or reason</label>"), links == PageLinks::All);
    }
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

fn ticket(key: &str, status: Option<&str>) -> TicketView {
    let url = format!("https://jira.example/browse/{key}");
    TicketView { key: key.into(), url, status: status.map(str::to_owned) }
}

#[test]
fn what_failed_says_when_it_was_tried_and_when_it_is_tried_again() {
    let parked = FailedView {
        canary: "default/shop/cart".into(),
        what: "move the ticket".into(),
        ticket: Some(ticket("OPS-1", None)),
        parked: true,
        since: TWO_HOURS_AGO,
        tried_at: Some(Rfc3339(Millis(NOW.0 - 90_000))),
        next_try_at: None,
        why: "<Jira> says no".into(),
    };
    let failing = FailedView {
        what: "write a comment".into(),
        parked: false,
        next_try_at: Some(Rfc3339(Millis(NOW.0 + 30_000))),
        why: "Jira does not answer; nothing is sent before 2026-09-21T14:13:50Z".into(),
        ..parked.clone()
    };
    let overview = Overview {
        failed: vec![parked, failing],
        parked_total: 30,
        pending: 2,
        unasked: vec![],
        history: vec![],
    };
    let html = shows(Some(&[]), Some(Ok(overview)), &PageQuery::default());
    for words in [
        "<strong>Trouble:</strong> <a href=\"#failed\">30 commands were</a> refused",
        "<strong>Trouble:</strong> <a href=\"#failed\">1 command failed</a> and will be tried again; 2 more",
        "The first 2; 30 are parked.",
        "move the ticket<br><span class=\"dim\">parked</span>",
        "OPS-1</a>",
        "&lt;Jira&gt; says no",
        "1 min ago<br><span class=\"dim\">2026-09-21 14:11:50 UTC</span>",
        "within an hour",
        "write a comment<br><span class=\"dim\">retried</span>",
        "in 30 s<br><span class=\"dim\">2026-09-21 14:13:50 UTC</span>",
        "nothing is sent before 2026-09-21 14:13:50 UTC",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    let html =
        shows(Some(&[plain()]), Some(Err("the database failed: disk full".into())), &PageQuery::default());
    assert!(html.contains("<strong>Trouble:</strong> the database failed: disk full. What"), "{html}");
    assert!(html.contains("class=\"trouble\"") && html.contains("podinfo"), "{html}");
}

/// The first failure of a request to Jira is red, and says when it was tried and when it is tried again.
#[test]
fn a_first_failure_is_red() {
    let words = "no request has worked since 2026-09-21T14:13:18Z (2 s ago): Jira does not answer";
    let jira = JiraHealthView {
        tried_at: Some(Rfc3339(Millis(NOW.0 - 2_000))),
        next_try_at: Some(Rfc3339(Millis(NOW.0 + 20_000))),
        ..JiraHealthView::new(Trouble::Requests, words.into())
    };
    let html = shows_with(Some(&[]), nothing_else(), jira, &PageQuery::default());
    let (_, fact) = html.split_once("<dl class=\"facts\">\n").unwrap();
    insta::assert_snapshot!(fact.lines().next().unwrap(), @r#"<div class="trouble"><dt>Jira</dt><dd><strong>Trouble:</strong> no request has worked since 2026-09-21 14:13:18 UTC (2 s ago): Jira does not answer. Last tried <time datetime="2026-09-21T14:13:18.000Z">2026-09-21 14:13:18 UTC</time> (2 s ago), next try <time datetime="2026-09-21T14:13:40.000Z">2026-09-21 14:13:40 UTC</time> (in 20 s)</dd></div>"#);
}

#[test]
fn what_happened_last() {
    let row = HistoryView {
        canary: "default/shop/till".into(),
        version: Some("2.15.0 <b>".into()),
        tone: Tone::Good,
        outcome: "told Flagger to go on".into(),
        gate: Some("confirm-promotion (qa)".into()),
        tickets: vec![ticket("OPS-2", None)],
        by: Some("Mia <Change>".into()),
        at: Rfc3339(Millis(NOW.0 - 60_000)),
    };
    let ended = HistoryView {
        version: None,
        tone: Tone::Bad,
        outcome: "rollout failed".into(),
        gate: None,
        tickets: vec![ticket("OPS-2", Some("approved")), ticket("OPS-3", Some("rejected"))],
        by: None,
        ..row.clone()
    };
    let overview = Overview { history: vec![ended, row], ..Overview::default() };
    let html = shows(Some(&[]), Some(Ok(overview)), &PageQuery::default());
    let (_, table) = html.split_once("id=\"history-table\"").unwrap();
    insta::assert_snapshot!(rows(table), @r#"
    <tr role="row">
    <td role="cell" class="time" data-is="When"><div><time datetime="2026-09-21T14:12:20.000Z">1 min ago<br><span class="dim">2026-09-21 14:12:20 UTC</span></time></div></td>
    <th role="rowheader" scope="row" data-is="Canary"><div>default&#x2f;shop&#x2f;till</div></th>
    <td role="cell" data-is="Version"><div><span class="dim">not known</span></div></td>
    <td role="cell" data-is="What happened"><div><span class="state bad">rollout failed</span></div></td>
    <td role="cell" class="narrow" data-is="Ticket"><div><a href="https:&#x2f;&#x2f;jira.example&#x2f;browse&#x2f;OPS-2">OPS-2</a> <span class="dim">approved</span><br><a href="https:&#x2f;&#x2f;jira.example&#x2f;browse&#x2f;OPS-3">OPS-3</a> <span class="dim">rejected</span></div></td>
    <td role="cell" data-is="By"><div><span class="dim">–</span></div></td>
    </tr>

    <tr role="row">
    <td role="cell" class="time" data-is="When"><div><time datetime="2026-09-21T14:12:20.000Z">1 min ago<br><span class="dim">2026-09-21 14:12:20 UTC</span></time></div></td>
    <th role="rowheader" scope="row" data-is="Canary"><div>default&#x2f;shop&#x2f;till</div></th>
    <td role="cell" data-is="Version"><div>2.15.0 &lt;b&gt;</div></td>
    <td role="cell" data-is="What happened"><div><span class="state good">told Flagger to go on</span><br><span class="dim">confirm-promotion (qa)</span></div></td>
    <td role="cell" class="narrow" data-is="Ticket"><div><a href="https:&#x2f;&#x2f;jira.example&#x2f;browse&#x2f;OPS-2">OPS-2</a></div></td>
    <td role="cell" data-is="By"><div>Mia &lt;Change&gt;</div></td>
    </tr>
    "#);
}

/// What is stuck, expired or not allowed comes first, then what waits longest, and what is open last.
#[test]
fn urgent_gates_come_first() {
    let states = [
        (Verdict::Approved, "a"),
        (Verdict::Waiting, "b"),
        (Verdict::NotAllowed, "c"),
        (Verdict::Rejected, "d"),
        (Verdict::Expired, "e"),
        (Verdict::Stuck, "f"),
        (Verdict::Waiting, "g"),
    ];
    let gates = states.map(|(state, name)| GateView { state, canary: format!("canary-{name}"), ..plain() });
    let html = page(&gates);
    let order: Vec<&str> = rows(&html).split("test/canary-").skip(1).map(|rest| &rest[..1]).collect();
    assert_eq!(order, ["f", "e", "c", "b", "d", "g", "a"]);
}

/// A question that nobody repeats belongs to no live rollout. An open gate needs no further question.
#[test]
fn a_gate_at_which_nobody_asks_is_marked() {
    let silent = "<strong class=\"silent\">Flagger no longer asks</strong>";
    let waits =
        |last, state| GateView { state, asked_at: Some(TWO_HOURS_AGO), last_asked_at: Some(last), ..plain() };
    assert!(page(&[waits(TWO_HOURS_AGO, Verdict::Waiting)]).contains(silent));
    assert!(!page(&[waits(TWO_HOURS_AGO, Verdict::Approved)]).contains(silent));
    assert!(!page(&[waits(Rfc3339(NOW), Verdict::Waiting)]).contains(silent));
}

#[test]
fn a_reached_limit_is_shown() {
    // Its ticket is not open yet, but already counts.
    let gate = GateView { rollout: hostile().rollout, ..plain() };
    let full = "<strong>Trouble:</strong> 500 of 500, so";
    assert!(page(&vec![gate.clone(); 500]).contains(full));
    let mut gates = vec![gate; 499];
    gates.push(GateView { state: Verdict::Stuck, ..plain() });
    let html = page(&gates);
    assert!(html.contains("499 of 500 (at most") && !html.contains("Trouble"), "{html}");
}

/// Each state that occurs is explained once.
#[test]
fn states_are_explained() {
    let html = page(&[plain(), plain()]);
    let (_, legend) = html.split_once("<dl class=\"meaning\">").unwrap();
    assert_eq!(legend.matches("<dt id=").count(), 1);
    assert!(legend.contains("opening</span></dt><dd>Flagger asked just now"), "{legend}");
    assert!(html.contains("<title>(2) Flagger gates</title>"));
}
