//! Where the bridge reads Canaries, it lists those that ask nobody.

use fake_jira::Flavour;
use serde_json::json;

use crate::world::{
    World,
    cluster::{Cluster, webhooks},
    program::until,
};

#[tokio::test]
async fn canaries_that_ask_nobody_are_listed() {
    let cluster = Cluster::start().await;
    let analysis = |webhooks| json!({ "stepWeight": 10, "webhooks": webhooks });
    cluster.has_canary("shop", "web", &json!({ "analysis": analysis(json!([])) }));
    let reports: Vec<_> = webhooks().into_iter().filter(|hook| hook["type"] == "event").collect();
    cluster.has_canary("shop", "till", &json!({ "analysis": analysis(json!(reports)) }));
    let promotion = webhooks().into_iter().filter(|hook| hook["type"] != "confirm-rollout");
    let skips = json!({ "skipAnalysis": true, "analysis": analysis(promotion.collect()) });
    cluster.has_canary("pay", "api", &skips);
    cluster.has_canary("kube-system", "dns", &json!({ "analysis": analysis(json!([])) }));
    let settings = format!("{}\nflagger.namespaces = [\"shop*\", \"pay\"]", cluster.settings("show"));
    let world = World::start_with(Flavour::Cloud, &settings).await;
    let unguarded = world.sends(world.admin("GET", "/api/unguarded")).await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&unguarded.json()).unwrap(), @r#"
    [
      {
        "canary": "api",
        "cluster": "default",
        "namespace": "pay",
        "why": "skipAnalysis is set, so Flagger skips its hooks"
      },
      {
        "canary": "till",
        "cluster": "default",
        "namespace": "shop",
        "why": "no hook asks for an approval"
      },
      {
        "canary": "web",
        "cluster": "default",
        "namespace": "shop",
        "why": "no hook calls this bridge"
      }
    ]
    "#);
    let page = world.sends(world.admin("GET", "/")).await.body;
    let section = page.split("<section aria-labelledby=\"unguarded\">").nth(1).unwrap();
    let rows = section.split("<tbody role=\"rowgroup\">").nth(1).unwrap().split("</tbody>").next().unwrap();
    insta::assert_snapshot!(rows.trim(), @r#"
    <tr role="row">
    <th role="rowheader" scope="row" data-is="Canary"><div>pay/api<br><span class="dim">default</span></div></th>
    <td role="cell" class="wide" data-is="Why">skipAnalysis is set, so Flagger skips its hooks</td>
    </tr>

    <tr role="row">
    <th role="rowheader" scope="row" data-is="Canary"><div>shop/till<br><span class="dim">default</span></div></th>
    <td role="cell" class="wide" data-is="Why">no hook asks for an approval</td>
    </tr>

    <tr role="row">
    <th role="rowheader" scope="row" data-is="Canary"><div>shop/web<br><span class="dim">default</span></div></th>
    <td role="cell" class="wide" data-is="Why">no hook calls this bridge</td>
    </tr>
    "#);
    assert!(page.contains("<dt>Ask nobody</dt><dd><a href=\"#unguarded\">3 Canaries</a></dd>"), "{page}");
    for nth in 0..30 {
        cluster.has_canary("shop", &format!("more-{nth}"), &json!({ "analysis": analysis(json!([])) }));
    }
    until("all are listed", async || {
        let page = world.sends(world.admin("GET", "/")).await.body;
        page.contains("the first 20, and 13 more: <a href=\"api/unguarded\">all as JSON</a>")
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn a_bridge_that_reads_no_cluster_lists_nothing() {
    let world = World::start(Flavour::Cloud).await;
    let unguarded = world.sends(world.admin("GET", "/api/unguarded")).await;
    assert_eq!((unguarded.status, unguarded.body.as_str()), (200, "[]"));
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(!page.contains("Unguarded Canaries"), "{page}");
    world.finish().await;
}
