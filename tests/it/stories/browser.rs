//! The status page, and the demo's Jira, in a real browser. `.ci/browser` installs one and runs this.

mod demo_ticket;
mod driver;
mod page_checks;
mod states;

use std::time::Duration;

use fake_jira::{BOB, Flavour, MIA, Person};
use serde_json::{Value, json};

use self::{
    driver::{Browser, ENTER, Scripts, TAB},
    page_checks::{can_be_read, fits, focus, is_in_order},
};
use crate::world::{World, question};

/// The poll interval.
const POLLS: Duration = Duration::from_secs(20);

impl World {
    /// The URL of the status page.
    pub(crate) fn page(&self) -> String {
        format!("http://{}/", self.address(2))
    }

    /// Flagger asks about a canary, and the bridge opens its ticket.
    async fn opens(&self, stage: &str, name: &str, label: &str) -> String {
        let mut body = question("Progressing", "5594979469");
        body["name"] = name.into();
        body["metadata"] = json!({ "revision": label });
        self.posts(&format!("/gate/{stage}"), &body).await;
        self.run_worker().await;
        self.newest()
    }

    /// The bridge polls its tickets.
    async fn polls(&self) {
        self.advance(POLLS);
        self.run_worker().await;
    }
}

/// The text of the table row that contains these words.
async fn row(browser: &Browser, words: &str) -> String {
    let script = "return [...document.querySelectorAll('#gates tbody tr')].map((it) => it.innerText)";
    let rows = browser.runs(script).await;
    let rows = rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned());
    rows.into_iter().find(|row| row.contains(words)).unwrap_or_default()
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn a_ticket_waits_and_a_person_approves() {
    let world = World::start(Flavour::Cloud).await;
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    world.advance(Duration::from_secs(180));
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    assert_eq!(browser.title().await, "(1) Flagger gates");
    let waits = row(&browser, "shop/cart").await;
    for words in ["waiting", "v2", "confirm-promotion", &key, "To Do", "3 min ago", "waiting for a decision"]
    {
        assert!(waits.contains(words), "{words}: {waits}");
    }
    browser.saves_screenshot("waiting").await;
    // The page updates itself without a reload: a reload would clear this mark.
    browser.runs("window.mark = 'the same page'").await;
    let ticket = browser.runs("return document.querySelector('#gates tbody a').href").await;

    let page = browser.opens_window().await;
    browser.goes(ticket.as_str().unwrap()).await;
    assert_eq!(browser.reads("#status").await, "TO DO");
    assert!(browser.reads("h1").await.contains("Promote cart v2"));
    browser.saves_screenshot("jira-ticket").await;
    browser.clicks("#move-31").await;
    browser.waits_for("#status", "APPROVED").await;
    assert!(browser.reads("main").await.contains("Mia Change changed status"));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.closes_window(page).await;

    world.polls().await;
    browser.waits("the page shows it", async || row(&browser, "shop/cart").await.contains("approved")).await;
    assert_eq!(browser.runs("return window.mark").await, "the same page");
    assert_eq!(browser.title().await, "Flagger gates");
    assert!(browser.reads("#history-table").await.is_empty(), "Flagger has not asked since");
    let mut asks = question("Progressing", "5594979469");
    asks["metadata"] = json!({ "revision": "v2" });
    assert_eq!(world.posts("/gate/confirm-promotion", &asks).await.status, 200);
    browser.waits_for("#history-table", "Mia Change").await;
    browser.saves_screenshot("approved").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn it_works_without_scripts() {
    let world = World::start(Flavour::DataCenter).await;
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    world.opens("confirm-promotion", "till", "v7").await;
    let browser = Browser::start(Scripts::Off).await;
    browser.goes("data:text/html,<title>off</title><script>document.title = 'on'</script>").await;
    assert_eq!(browser.title().await, "off", "scripts are blocked");
    browser.goes(&world.page()).await;
    browser.waits_for("#gates tbody", "waiting").await;
    browser.types("#q", "CART").await;
    browser.clicks("#find").await;
    browser.waits("one is found", async || browser.count("#gates tbody tr").await == 1).await;
    browser.clicks("#gates tbody a").await;
    browser.waits_for("h1", "Promote cart v2").await;
    assert!(browser.url().await.ends_with(&format!("/browse/{key}")));
    browser.clicks("#move-31").await;
    browser.waits_for("#status", "APPROVED").await;
    browser.goes(&world.page()).await;
    world.polls().await;
    browser.waits_for("#gates tbody", "approved by Mia Change").await;
    browser.clicks("#refresh").await;
    browser.waits_for("#refresh", "refresh every 10 seconds").await;
    assert_eq!(browser.count("meta[http-equiv=refresh]").await, 0);
    browser.saves_screenshot("without-scripts").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn a_gate_is_found_among_ten_thousand() {
    let world = World::start_with(
        Flavour::Cloud,
        "limits.open_tickets = 20000\nlimits.open_tickets_per_namespace = 20000",
    )
    .await;
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    world.sql("UPDATE turn SET seq = seq + 1").await;
    world
        .sql(
            "WITH RECURSIVE many(n) AS (SELECT 10001 UNION ALL SELECT n + 1 FROM many WHERE n < 19999)
             INSERT INTO canary SELECT replace(id, '/cart', '/cart-' || n),
                 format, replace(state, '\"cart\"', '\"cart-' || n || '\"'), (SELECT seq FROM turn)
             FROM many, (SELECT id, format, state FROM canary WHERE id LIKE '%/cart') AS template",
        )
        .await;
    world.ticks().await;
    // The only approved gate.
    world.decides(&key, "Approved").await;
    assert_eq!(world.gates().await.as_array().unwrap().len(), 10_000);
    let browser = Browser::start(Scripts::Run).await;
    let began = tokio::time::Instant::now();
    assert_eq!(world.sends(world.admin("GET", "/")).await.status, 200);
    println!("the page of 10,000 gates is there after {:?}", began.elapsed());
    browser.goes(&format!("{}?refresh=off", world.page())).await;
    let caption = async || browser.reads("#gates caption").await;
    assert!(caption().await.starts_with("10000 gates, page 1 of 50"), "{}", caption().await);
    assert_eq!(browser.count("#gates tbody tr").await, 200);
    browser.saves_screenshot("ten-thousand").await;

    browser.clicks("a[rel=next]").await;
    browser.waits_for("#gates caption", "page 2 of 50").await;
    let first = browser.reads("#gates tbody tr").await;
    browser.clicks("a[rel=prev]").await;
    browser.waits_for("#gates caption", "page 1 of 50").await;
    assert_ne!(browser.reads("#gates tbody tr").await, first);

    browser.clicks(".states a.approved").await;
    browser.waits_for("#gates caption", "1 gate;").await;
    assert!(browser.reads("#gates tbody tr").await.contains(&key));
    assert_eq!(browser.reads(".states [aria-current]").await, "approved 1");
    browser.clicks(".states a").await;
    browser.waits_for("#gates caption", "10000 gates").await;

    browser.types("#q", "cart-1234").await;
    browser.presses(ENTER).await;
    browser.waits_for("#gates caption", "10 gates;").await;
    assert_eq!(browser.runs("return document.getElementById('q').value").await, "cart-1234");
    browser.saves_screenshot("found").await;
    browser.types("#q", "5").await;
    browser.clicks("#find").await;
    browser.waits_for("#gates caption", "1 gate;").await;
    assert!(browser.url().await.contains("refresh=off"), "still");
    browser.types("#q", "no-such").await;
    browser.clicks("#find").await;
    browser.waits_for("#gates", "No gate matches.").await;
    browser.saves_screenshot("nothing-found").await;
    browser.clicks(".empty a").await;
    browser.waits_for("#gates caption", "10000 gates").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn the_keyboard_is_enough() {
    let world = World::start(Flavour::Cloud).await;
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    let expected = [
        "Skip to the gates",
        "stop refreshing",
        "all 1",
        "waiting 1",
        "Canary, ticket, revision or reason",
        "Cluster",
        "Namespace",
        "Waiting",
        "Show",
        "Find",
        "Table of gates",
        "What the states mean",
        &key,
        "as JSON",
        "refused",
        "Jira",
        "metrics",
    ];
    for (at, name) in expected.into_iter().enumerate() {
        browser.presses(TAB).await;
        assert_eq!(focus(&browser).await, (name.to_owned(), true));
        if at == 0 {
            browser.saves_screenshot("keyboard").await;
        }
    }
    // The page refreshes itself while the reader uses it.
    browser.goes(&world.page()).await;
    browser.presses(TAB).await;
    browser.presses(ENTER).await;
    for name in [
        "all 1",
        "waiting 1",
        "Canary, ticket, revision or reason",
        "Cluster",
        "Namespace",
        "Waiting",
        "Show",
        "Find",
        "Table of gates",
        "What the states mean",
        &key,
    ] {
        browser.presses(TAB).await;
        assert_eq!(focus(&browser).await.0, name);
    }
    browser.runs("document.querySelector('#as-of').className = 'old'").await;
    browser.waits("it is new", async || browser.count("#as-of.old").await == 0).await;
    assert_eq!(focus(&browser).await, (key.clone(), true));

    browser.presses(ENTER).await;
    browser.waits_for("#status", "TO DO").await;
    for name in ["Skip to the content", "All tickets", "Act as Bob Builder", "Tickets", "Review", "Approve"] {
        browser.presses(TAB).await;
        assert_eq!(focus(&browser).await, (name.to_owned(), true));
    }
    browser.presses(ENTER).await;
    browser.waits_for("#status", "APPROVED").await;
    world.polls().await;
    browser.goes_back().await;
    browser.goes_back().await;
    browser.waits_for("#gates tbody", "approved by Mia Change").await;
}

/// A refresh does not overwrite what a reader is typing.
#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn typed_text_survives_a_refresh() {
    let world = World::start(Flavour::Cloud).await;
    world.opens("confirm-promotion", "cart", "v2").await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    let value = "return document.getElementById('q').value";
    let fetched =
        "return performance.getEntriesByType('resource').filter((it) => it.initiatorType === 'fetch').length";
    browser.types("#q", "car").await;
    // A timer like the page's own, which fires after it each time.
    browser
        .runs("window.late = 0; setInterval(() => window.late++, document.body.dataset.refresh * 1000)")
        .await;
    browser.waits("it is time", async || browser.runs("return window.late").await == 1).await;
    assert_eq!(browser.runs(fetched).await, 0);
    assert_eq!(browser.runs(value).await, "car");
    browser.runs("document.getElementById('q').value = ''").await;
    browser.waits("the reader has stopped typing", async || browser.runs(fetched).await == 1).await;
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn assistive_technology_gets_roles_and_names() {
    let world = World::start(Flavour::Cloud).await;
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&format!("{}?refresh=off", world.page())).await;
    let page = [
        ("main", "main", ""),
        ("header", "banner", ""),
        ("footer", "contentinfo", ""),
        ("h1", "heading", "Flagger gates"),
        ("#gates", "region", "Gates"),
        (".states", "navigation", "Gates by state"),
        (".states a[aria-current]", "link", "all 1"),
        ("form", "search", ""),
        ("#q", "searchbox", "Canary, ticket, revision or reason"),
        ("#find", "button", "Find"),
        ("#refresh", "link", "refresh every 10 seconds"),
        ("#gates-table", "region", "Table of gates"),
        ("#gates thead th", "columnheader", "State"),
        ("#gates tbody tr", "row", ""),
        ("#gates tbody tr > td", "cell", "waiting"),
        ("#gates tbody th", "rowheader", "shop/cart default · v2"),
        ("#gates tbody a", "link", &key),
    ];
    for width in [1280, 390] {
        browser.sized(width, 800).await;
        for (css, role, name) in page {
            let (actual, label) = browser.role_and_name(css).await;
            assert_eq!(actual, role, "{css} at {width}");
            // In the card layout each cell includes its heading.
            assert!(name.is_empty() || label.replace('\n', " ").ends_with(name), "{css} at {width}: {label}");
        }
        // A table in the card layout is still a table, and named by its caption.
        let (role, label) = browser.role_and_name("#gates table").await;
        assert!(role == "table" && label.starts_with("1 gate"), "{role} {label} at {width}");
    }
    is_in_order(&browser).await;
    browser.goes(&format!("{}/browse/{key}", world.jira.base_url())).await;
    for (css, role, name) in [
        ("header nav", "navigation", "Jira"),
        ("main", "main", ""),
        ("aside", "complementary", "Details"),
        (".you", "group", "Your account"),
        (".you button", "button", "Act as Bob Builder"),
        (".moves [role=group]", "group", "Move this ticket"),
        ("#move-31", "button", "Approve"),
    ] {
        let (actual, label) = browser.role_and_name(css).await;
        assert!(actual == role && (name.is_empty() || label == name), "{css}: {actual} {label}");
    }
    is_in_order(&browser).await;
    browser.goes(&world.jira.base_url()).await;
    assert_eq!(browser.role_and_name("#move-OPS-1-31").await, ("button".into(), "Approve OPS-1".into()));
    for width in [1280, 390] {
        browser.sized(width, 800).await;
        assert_eq!(browser.role_and_name("#tickets tbody th").await.0, "rowheader", "at {width}");
        assert_eq!(browser.role_and_name("#tickets table").await.0, "table", "at {width}");
    }
    is_in_order(&browser).await;
}

/// Text from Flagger, Jira or a person is shown, and never interpreted.
#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn hostile_words_are_text() {
    const EVIL: &str = "\"'></td></textarea><script>window.evil=1</script><img src=x onerror=window.evil=1>";
    let summary = "ticket.summary = \"{{ metadata.title }}\"\nticket.description = \"{{ metadata.title }}\"";
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let world = World::start_with(flavour, summary).await;
        world.jira.add_user(Person::new("eve", "eve", &format!("Eve {EVIL}")));
        let mut body = question("Progressing", "5594979469");
        body["metadata"] = json!({ "revision": format!("v2 {EVIL}"), "title": format!("ship it {EVIL}") });
        body["checksum"] = "abc\"><script>window.evil=1</script>".into();
        assert_eq!(world.posts("/gate/confirm-promotion", &body).await.status, 403);
        world.run_worker().await;
        let key = world.newest();
        world.jira.comment(&key, &format!("a comment {EVIL}"), "eve").unwrap();
        world.jira.move_issue(&key, "Rejected", "eve").unwrap();
        world.polls().await;
        let browser = Browser::start(Scripts::Run).await;
        for (url, words) in [
            (world.page(), vec!["v2 ", "rejected by Eve "]),
            (format!("{}?q=%3Cscript%3Ewindow.evil%3D1%3C%2Fscript%3E", world.page()), vec!["v2 "]),
            (format!("{}/", world.jira.base_url()), vec!["ship it "]),
            (format!("{}/browse/{key}", world.jira.base_url()), vec!["ship it ", "a comment ", "Eve "]),
        ] {
            browser.goes(&url).await;
            let text = browser.reads("body").await;
            for word in words {
                let all = format!("{word}{EVIL}");
                assert!(text.contains(&all), "{url}: {all}\n{text}");
            }
            assert_eq!(browser.runs("return window.evil ?? 'good'").await, "good", "{url}");
            assert_eq!(browser.count("img").await, 0, "{url}");
            assert_eq!(browser.complaints().await, Vec::<String>::new(), "{url}");
            can_be_read(&browser).await;
        }
        browser.goes(&world.page()).await;
        browser
            .saves_screenshot(&format!("hostile-{}", if world.is_cloud() { "cloud" } else { "data-center" }))
            .await;
        // The content security policy forbids these, and the browser reports them.
        for forbidden in [
            "const it = document.createElement('script'); it.textContent = 'window.evil = 1'; document.body.append(it);",
            "const it = document.createElement('style'); it.textContent = 'p { color: red }'; document.head.append(it);",
            "const it = new Image(); it.src = '/x.png'; document.body.append(it);",
        ] {
            browser.runs(forbidden).await;
            browser
                .waits("the browser complains", async || {
                    let complaints = browser.complaints().await;
                    complaints.iter().any(|it| it.contains("Content Security Policy"))
                })
                .await;
        }
        assert_eq!(browser.runs("return window.evil ?? 'good'").await, "good");
    }
}

/// The address of a canary leads to its ticket in Jira; if there are several or none, a page says so. Also where the page
/// is published.
#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn a_canary_s_address_leads_to_its_ticket() {
    let world = World::start(Flavour::Cloud).await;
    let browser = Browser::start(Scripts::Run).await;
    let published = format!("http://{}", world.address(3));
    let address = format!("{published}/go/shop/cart");
    for (width, name) in [(1280, "go-none"), (390, "go-none-narrow")] {
        browser.sized(width, 600).await;
        browser.goes(&address).await;
        assert!(browser.reads("main").await.starts_with("No ticket for shop/cart"));
        browser.saves_screenshot(name).await;
        fits(&browser).await;
        is_in_order(&browser).await;
    }
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    browser.goes(&address).await;
    assert!(browser.url().await.ends_with(&format!("/browse/{key}")));
    let other = world.opens("confirm-promotion?gate=qa", "cart", "v2").await;
    browser.goes(&address).await;
    let text = browser.reads("main").await;
    assert!(text.contains(&key) && text.contains(&other) && text.contains("Several tickets"), "{text}");
    browser.saves_screenshot("go-several-narrow").await;
    fits(&browser).await;
    browser.clicks("main p a").await;
    browser.waits_for("#gates caption", "2 gates").await;
    assert!(browser.url().await.starts_with(&published));
    assert!(!browser.reads("footer").await.contains("JSON"), "the API is not published");
    let complaints = browser.complaints().await;
    // Chromium complains about the status of the page without a ticket.
    assert!(complaints.iter().all(|it| it.contains("/go/shop/cart") && it.contains("404")), "{complaints:?}");
}

/// Several canaries in ordinary states.
async fn ordinary_day() -> World {
    let world =
        World::start_with(Flavour::Cloud, "approval.approvers = [\"mia\"]".replace("mia", MIA).as_str())
            .await;
    for (stage, name, label, after) in [
        ("confirm-rollout", "checkout", "2.14.0", 0),
        ("confirm-promotion", "search", "1.9.3", 5_400),
        ("confirm-promotion", "payments", "7.0.1", 1_500),
        ("confirm-traffic-increase", "cart", "3.2.0", 240),
        ("confirm-promotion", "mail", "0.8.0", 100),
    ] {
        world.advance(Duration::from_secs(after));
        world.opens(stage, name, label).await;
    }
    for (nth, status, who) in [(1, "Approved", MIA), (3, "Rejected", MIA), (5, "Approved", BOB)] {
        world.jira.move_issue(&format!("OPS-{nth}"), status, who).unwrap();
    }
    // A ticket that Flagger has not asked about for long is read less often.
    world.advance(Duration::from_secs(210));
    world.run_worker().await;
    let mut asks = question("Progressing", "5594979469");
    asks["name"] = "checkout".into();
    asks["metadata"] = json!({ "revision": "2.14.0" });
    let answer = world.posts("/gate/confirm-rollout", &asks).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Nobody asks about the search any more.
    for (stage, name, label) in [
        ("confirm-promotion", "payments", "7.0.1"),
        ("confirm-traffic-increase", "cart", "3.2.0"),
        ("confirm-promotion", "mail", "0.8.0"),
    ] {
        asks["name"] = name.into();
        asks["metadata"]["revision"] = label.into();
        world.posts(&format!("/gate/{stage}"), &asks).await;
    }
    world.advance(Duration::from_secs(35));
    world.run_worker().await;
    world
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn light_and_dark_wide_and_narrow() {
    let world = ordinary_day().await;
    let browser = Browser::start(Scripts::Run).await;
    let jira = world.jira.base_url();
    let pages = [
        ("page", format!("{}?refresh=off", world.page()), 1000),
        ("jira-list", format!("{jira}/"), 480),
        ("jira-issue", format!("{jira}/browse/OPS-3"), 900),
    ];
    let mut shades: Vec<Value> = Vec::new();
    for (name, url, height) in &pages {
        for scheme in ["light", "dark"] {
            browser.prefers(scheme).await;
            for (size, width, height) in [("wide", 1280, *height), ("narrow", 390, 1800)] {
                browser.sized(width, height).await;
                browser.goes(url).await;
                fits(&browser).await;
                can_be_read(&browser).await;
                is_in_order(&browser).await;
                browser.saves_screenshot(&format!("{name}-{scheme}-{size}")).await;
            }
            shades.push(browser.runs("return getComputedStyle(document.body).backgroundColor").await);
        }
    }
    for both in shades.chunks(2) {
        assert_ne!(both[0], both[1], "dark is not light");
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
