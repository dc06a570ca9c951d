//! `/go/NAMESPACE/CANARY` leads to the ticket, on the admin listener and on that of the page.

use fake_jira::{Flavour, Operation, Times};

use crate::world::{World, question};

/// The status, the address that it leads to, and the page's sentences.
#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn goes(world: &World, path: &str) -> (u16, String, String) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut answers = Vec::new();
    for listener in [2, 3] {
        let url = format!("http://{}{path}", world.address(listener));
        let answer = client.get(url).send().await.unwrap();
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        answers.push((status, location.unwrap_or_default(), answer.text().await.unwrap()));
    }
    let (page, admin) = (answers.pop().unwrap(), answers.pop().unwrap());
    assert_eq!(page, admin, "both listeners answer the same");
    let (status, location, html) = page;
    let main = html.split("<main>").nth(1).and_then(|rest| rest.split("</main>").next());
    (status, location, main.unwrap_or_default().trim().to_owned())
}

async fn asks(world: &World, path: &str, canary: &str) -> u16 {
    let mut body = question("Progressing", "5594979469");
    body["name"] = canary.into();
    world.posts(path, &body).await.status
}

#[tokio::test]
async fn a_canary_s_address_leads_to_its_ticket() {
    let settings = "[[flagger.clusters]]\nname = \"prod-eu\"";
    let world = World::start_with(Flavour::Cloud, settings).await;
    let (status, _, html) = goes(&world, "/go/shop/cart").await;
    assert_eq!(status, 404);
    insta::assert_snapshot!(html, @r#"
    <h1>No ticket for shop&#x2f;cart</h1>
    <p>No rollout of shop&#x2f;cart waits for a decision. A ticket is opened when Flagger first asks. If a rollout should be waiting, check the names, and look for refused hooks on the page of all gates.</p>

    <p><a href="..&#x2f;..&#x2f;">All gates</a></p>
    "#);

    asks(&world, "/gate/confirm-promotion", "cart").await;
    let (status, _, html) = goes(&world, "/go/shop/cart").await;
    assert_eq!(status, 404);
    insta::assert_snapshot!(html, @r#"
    <h1>The ticket for shop&#x2f;cart is being opened</h1>
    <p>Flagger asked just now. This page leads to the ticket as soon as Jira has opened it.</p>

    <p><a href="..&#x2f;..&#x2f;?q=shop&#x2f;cart">All gates of shop&#x2f;cart</a></p>
    "#);

    world.run_worker().await;
    let first = world.newest();
    let ticket = format!("{}/browse/{first}", world.jira.base_url());
    assert_eq!(goes(&world, "/go/shop/cart").await, (302, ticket.clone(), String::new()));
    assert_eq!(goes(&world, "/go/shop/cart?cluster=default").await.1, ticket);
    assert_eq!(goes(&world, "/go/shop/cart?cluster=prod-eu").await.0, 404);
    assert_eq!(goes(&world, "/go/shop/till").await.0, 404);
    assert_eq!(goes(&world, "/go/pay/cart").await.0, 404);

    // Two people decide about the promotion.
    asks(&world, "/gate/confirm-promotion?gate=qa", "cart").await;
    world.run_worker().await;
    let second = world.newest();
    let (status, _, html) = goes(&world, "/go/shop/cart").await;
    assert_eq!(status, 300);
    let html = html.replace(&world.jira.base_url().replace('/', "&#x2f;"), "JIRA");
    insta::assert_snapshot!(html, @r#"
    <h1>Several tickets for shop&#x2f;cart</h1>
    <p>2 gates match:</p>
    <ul>
    <li>confirm-promotion in cluster default, <span class="state waiting">waiting</span>: <a href="JIRA&#x2f;browse&#x2f;OPS-1">OPS-1</a><br><span class="dim">waiting for a decision</span></li>
    <li>confirm-promotion (qa) in cluster default, <span class="state waiting">waiting</span>: <a href="JIRA&#x2f;browse&#x2f;OPS-2">OPS-2</a><br><span class="dim">waiting for a decision</span></li>

    </ul>

    <p><a href="..&#x2f;..&#x2f;?q=shop&#x2f;cart">All gates of shop&#x2f;cart</a></p>
    "#);
    // What is approved does not wait.
    world.decides(&first, "Approved").await;
    assert_eq!(goes(&world, "/go/shop/cart").await.1, format!("{}/browse/{second}", world.jira.base_url()));
    world.decides(&second, "Approved").await;
    assert_eq!(goes(&world, "/go/shop/cart").await.0, 300, "both are approved");
}

#[tokio::test]
async fn several_clusters_may_have_the_canary() {
    let settings = "[[flagger.clusters]]\nname = \"prod-eu\"";
    let world = World::start_with(Flavour::Cloud, settings).await;
    asks(&world, "/gate/confirm-promotion", "cart").await;
    world.run_worker().await;
    let first = world.newest();
    asks(&world, "/gate/confirm-promotion?cluster=prod-eu", "cart").await;
    world.run_worker().await;
    let second = world.newest();
    world.decides(&first, "Approved").await;
    let (status, _, html) = goes(&world, "/go/shop/cart").await;
    assert!(status == 300 && html.contains(&first) && html.contains(&second), "{status} {html}");
    for (cluster, key) in [("default", first), ("prod-eu", second)] {
        let path = format!("/go/shop/cart?cluster={cluster}");
        assert_eq!(goes(&world, &path).await.1, format!("{}/browse/{key}", world.jira.base_url()));
    }
}

#[tokio::test]
async fn the_page_says_why_there_is_no_ticket() {
    let world = World::start(Flavour::Cloud).await;
    let body = r#"{"errorMessages":[],"errors":{"customfield_1":"Team is required."}}"#.into();
    world.jira.fault(
        Operation::CreateIssue,
        fake_jira::Fault::Status { code: 400, retry_after: None, body },
        Times::Always,
    );
    asks(&world, "/gate/confirm-promotion", "cart").await;
    world.run_worker().await;
    let (status, _, html) = goes(&world, "/go/shop/cart").await;
    assert!(status == 404 && html.contains("Team is required."), "{status} {html}");
    assert!(html.contains("No ticket for shop&#x2f;cart yet"), "{html}");
    // Whatever the address holds is text.
    let (status, _, html) = goes(&world, "/go/%3Cscript%3E/%22%3E").await;
    assert!(status == 404 && html.contains("&lt;script&gt;&#x2f;&quot;&gt;"), "{status} {html}");
    assert_eq!(world.sends(world.page_listener("GET", "/api/gates")).await.status, 404);
    let page = world.sends(world.page_listener("GET", "/")).await;
    assert!(page.status == 200 && page.body.contains("shop&#x2f;cart"), "{}", page.body);
}
