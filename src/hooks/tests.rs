//! What `check` says of the hooks of Canaries.

use serde_json::json;

use super::*;
use crate::config;

const FLAGGER: &str = "[flagger]\nnamespaces = [\"shop\"]\ntoken = \"the-token-of-flagger\"\n\
                       [jira]\nurl = \"https://jira.example.com\"\ntoken = \"the-token-of-the-bridge\"\n\
                       [ticket]\nproject = \"OPS\"\n";

fn hook(kind: &str, url: &str) -> Value {
    json!({ "name": format!("ask-{kind}"), "type": kind, "url": url, "metadata": { "token": "x" } })
}

fn at(path: &str) -> String {
    format!("http://flagger-jira-bridge.flagger{path}")
}

/// The hooks of a complete Canary.
fn complete() -> Vec<Value> {
    let questions = ["confirm-promotion", "rollback"].map(|kind| hook(kind, &at(&format!("/gate/{kind}"))));
    let reports = ["event", "post-rollout"].map(|kind| hook(kind, &at(&format!("/{kind}"))));
    questions.into_iter().chain(reports).collect()
}

fn said(namespace: &str, webhooks: Vec<Value>) -> String {
    let canary = json!({
        "metadata": { "name": "cart", "namespace": namespace },
        "spec": { "analysis": { "webhooks": webhooks } },
    });
    judged(&canary)
}

fn judged(canary: &Value) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, FLAGGER).unwrap();
    let config = config::load(&path, []).unwrap();
    match hooks(canary, "default", &config.flagger) {
        Hooks::Elsewhere => "is not for this bridge".into(),
        Hooks::AskNobody(why) => format!("asks nobody: {}", why.words()),
        Hooks::Ask(problems) => problems.join("\n"),
    }
}

/// The complete hooks, with the first one replaced.
fn with(first: Value) -> String {
    let mut all = complete();
    all[0] = first;
    said("shop", all)
}

#[test]
fn hooks_are_judged() {
    assert_eq!(said("shop", complete()), "");
    let silent = "asks nobody: no hook calls this bridge";
    assert_eq!(said("shop", vec![]), silent);
    assert_eq!(said("team-a", vec![]), "is not for this bridge");
    assert_eq!(said("shop", complete()[1..].to_vec()), "asks nobody: no hook asks for an approval");
    let other = hook("confirm-promotion", "http://flagger-loadtester.test/gate/check");
    assert_eq!(with(other), "", "the load tester's path is the bridge's, too");
    assert_eq!(said("shop", vec![hook("rollout", "http://flagger-loadtester.test/")]), silent);
    insta::assert_snapshot!(said("team-a", complete()), @r"flagger.namespaces does not have team-a, so its questions are refused");
    insta::assert_snapshot!(said("shop", complete()[..1].to_vec()), @r"
    it has no rollback hook, so a rejection rolls nothing back
    it has no post-rollout hook, so the end of a rollout is seen late
    it has no event hook, so tickets do not show what Flagger reports
    ");
    insta::assert_snapshot!(with(json!({ "name": "ask", "url": at("/gate/confirm-promotion"), "metadata": { "token": "x" } })), @r"hook ask has no type, so Flagger calls it at each check, to which a 403 is a failed check; set type: confirm-promotion");
    insta::assert_snapshot!(with(hook("confirm-rollout", &at("/gate/confirm-promotion"))), @r"hook ask-confirm-rollout of type confirm-rollout asks at /gate/confirm-promotion; set type: confirm-promotion");
    insta::assert_snapshot!(with(hook("confirm-promotion", &at("/gate/promotion"))), @r"hook ask-confirm-promotion asks at /gate/promotion, which the bridge does not have");
    insta::assert_snapshot!(with(json!({ "name": "ask", "type": "confirm-promotion", "url": at("/gate/confirm-promotion") })), @r"hook ask sends no token, so it is refused");
    insta::assert_snapshot!(with(hook("confirm-promotion", &at("/gate/confirm-promotion?cluster=prod"))), @r"hook ask-confirm-promotion names cluster prod, and this is default");
    insta::assert_snapshot!(with(hook("confirm-promotion", "http://any:a/b@flagger-jira-bridge.flagger/gate/confirm-promotion")), @r"the url of hook ask-confirm-promotion cannot be read; a token with / # ? % or @ in it has to be sent as metadata.token");
    let in_url = with(json!({
        "name": "ask", "type": "confirm-promotion", "url": "http://any:secret@flagger-jira-bridge.flagger/gate/confirm-promotion",
    }));
    assert_eq!(in_url, "");
}

/// Whatever a Canary holds, it is judged.
#[test]
fn odd_canaries() {
    for odd in [json!(null), json!(7), json!({ "url": 7 }), json!({ "url": "http://[", "type": 3 })] {
        assert_eq!(said("shop", vec![odd]), "asks nobody: no hook calls this bridge");
    }
}

/// Flagger skips the hooks of a Canary that skips the analysis, but for confirm-rollout.
#[test]
fn an_analysis_that_is_skipped() {
    let skips = |webhooks: Vec<Value>| {
        judged(&json!({
            "metadata": { "name": "cart", "namespace": "shop" },
            "spec": { "skipAnalysis": true, "analysis": { "webhooks": webhooks } },
        }))
    };
    insta::assert_snapshot!(skips(complete()), @r"asks nobody: skipAnalysis is set, so Flagger skips its hooks");
    let mut all = complete();
    all.push(hook("confirm-rollout", &at("/gate/confirm-rollout")));
    insta::assert_snapshot!(skips(all.clone()), @r"skipAnalysis is set, so Flagger asks only at confirm-rollout");
    all.remove(0);
    assert_eq!(skips(all), "");
    assert_eq!(skips(vec![]), "asks nobody: no hook calls this bridge");
}

#[test]
fn hooks_of_an_old_canary() {
    let canary = json!({
        "metadata": { "name": "cart", "namespace": "shop" },
        "spec": { "canaryAnalysis": { "webhooks": complete() } },
    });
    assert_eq!(judged(&canary), "");
}
