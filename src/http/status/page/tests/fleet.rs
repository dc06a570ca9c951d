//! The page of a fleet: narrowed and grouped gates, and a bounded size.

use super::*;

/// Five gates of two clusters.
fn fleet() -> Vec<GateView> {
    let gate = |cluster: &str, namespace: &str, canary: &str, state| GateView {
        cluster: cluster.into(),
        namespace: namespace.into(),
        canary: canary.into(),
        state,
        ..plain()
    };
    vec![
        gate("eu", "shop", "cart", Verdict::Waiting),
        gate("eu", "shop", "till", Verdict::Approved),
        gate("eu", "pay", "card", Verdict::Stuck),
        gate("us", "pay", "card", Verdict::Waiting),
        gate("us", "pay", "sepa", Verdict::Waiting),
    ]
}

#[test]
fn gates_are_narrowed_by_place_and_state() {
    let found = |query: PageQuery| {
        let html = shows(Some(&fleet()), nothing_else(), &query);
        if html.contains("No gate matches") { 0 } else { rows(&html).matches("<tr role=\"row\">").count() }
    };
    let query = |cluster: &str, namespace: &str, state: &str| PageQuery {
        cluster: cluster.into(),
        namespace: namespace.into(),
        state: state.into(),
        ..PageQuery::default()
    };
    for (cluster, namespace, state, expected) in [
        ("", "", "", 5),
        ("eu", "", "", 3),
        ("", "pay", "", 3),
        (" us ", "pay", "", 2),
        ("eu", "shop", "waiting", 1),
        ("us", "shop", "", 0),
        ("e", "", "", 0),
    ] {
        assert_eq!(found(query(cluster, namespace, state)), expected, "{cluster} {namespace} {state}");
    }
    // What is not known to be old is not old, and a value that is not valid is ignored.
    let older = |text: &str| found(PageQuery { older_than: text.into(), ..PageQuery::default() });
    assert_eq!((older("1h"), older("soon"), older("")), (0, 5, 5));
    // The numbers of the states are those of what is narrowed, and links keep it.
    let html = shows(Some(&fleet()), nothing_else(), &query("us", "", ""));
    let link = "href=\"?state=waiting&amp;q=&amp;cluster=us\">waiting 2</a>";
    assert!(html.contains(link) && html.contains("all 2</a>") && html.contains("Show all 5</a>"), "{html}");
    assert!(html.contains("<title>(4) Flagger gates</title>"), "{html}");
    let evil =
        PageQuery { cluster: "\"><script>".into(), older_than: "\"><b>".into(), ..PageQuery::default() };
    let html = shows(Some(&fleet()), nothing_else(), &evil);
    assert!(html.matches("<script").count() == 1 && !html.contains("<b>"), "{html}");
}

#[test]
fn gates_are_grouped() {
    let grouped = |group: &str, cluster: &str| -> Vec<String> {
        let query = PageQuery { group: group.into(), cluster: cluster.into(), ..PageQuery::default() };
        let html = shows(Some(&fleet()), nothing_else(), &query);
        let rows = rows(&html).split("</tr>").filter(|row| row.contains("<tr"));
        let text = |part: &str| part.split('<').next().unwrap().trim().to_owned();
        rows.map(|row| {
            let link = row.split("href=\"").nth(1).unwrap();
            let name = text(link.split_once('>').unwrap().1);
            let numbers: Vec<String> = row
                .split("class=\"narrow\"")
                .skip(1)
                .map(|cell| text(cell.split_once('>').unwrap().1))
                .collect();
            format!("{name} {} {}", numbers.join(" "), link.split('"').next().unwrap())
        })
        .collect()
    };
    // First those with most gates that are not open: gates, waiting, closed for another reason.
    assert_eq!(
        grouped("namespace", ""),
        [
            "us/pay 2 2 0 ?state=&amp;q=&amp;cluster=us&amp;namespace=pay",
            "eu/pay 1 0 1 ?state=&amp;q=&amp;cluster=eu&amp;namespace=pay",
            "eu/shop 2 1 0 ?state=&amp;q=&amp;cluster=eu&amp;namespace=shop",
        ]
    );
    assert_eq!(
        grouped("cluster", ""),
        ["eu 3 1 1 ?state=&amp;q=&amp;cluster=eu", "us 2 2 0 ?state=&amp;q=&amp;cluster=us"]
    );
    assert_eq!(grouped("state", "us"), ["waiting 2 2 0 ?state=waiting&amp;q=&amp;cluster=us"]);
}

/// Many gates make no large page, whatever is asked for.
#[test]
fn the_size_of_a_page_is_bounded() {
    let many: Vec<GateView> = (0..10_000)
        .map(|nth| GateView {
            namespace: format!("team-{nth}"),
            canary: format!("canary-{nth}"),
            state: Verdict::Waiting,
            ..plain()
        })
        .collect();
    for group in ["", "namespace", "cluster", "state", "nonsense"] {
        let query = PageQuery { group: group.into(), ..PageQuery::default() };
        let html = shows(Some(&many), nothing_else(), &query);
        assert!(rows(&html).matches("<tr role").count() <= ROWS_PER_PAGE, "{group}");
        assert!(html.len() < 300_000, "{group}: {}", html.len());
    }
    // Each gate is on one page.
    let mut seen = std::collections::BTreeSet::new();
    for page in 1..=50 {
        let query = PageQuery { page: page.to_string(), ..PageQuery::default() };
        let html = shows(Some(&many), nothing_else(), &query);
        seen.extend(
            rows(&html)
                .split("data-is=\"Canary\"><div>")
                .skip(1)
                .map(|row| row.split('<').next().unwrap().to_owned()),
        );
    }
    assert_eq!(seen.len(), 10_000);
}
