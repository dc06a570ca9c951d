//! Flagger's strategies, each in a sentence.

use super::*;

fn strategy(spec: &Value) -> String {
    let mut canary = canary();
    canary["spec"] = spec.clone();
    change_of(&canary, &Value::Null, None).strategy.unwrap()
}

#[test]
fn a_sentence_for_each() {
    let metrics = json!([{ "name": "request-success-rate" }, { "name": "request-duration" }]);
    let conditions = json!([{ "headers": { "x-canary": { "exact": "insider" } } }, { "headers": {} }]);
    let analyses = [
        json!({ "interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "metrics": metrics }),
        json!({ "interval": "30s", "stepWeight": 20, "stepWeightPromotion": 50, "metrics": [{ "name": "errors" }] }),
        json!({ "interval": "1m30s", "threshold": 2, "stepWeights": [1, 10, 120] }),
        json!({ "interval": "2m", "threshold": 2, "stepWeights": (1..=30).collect::<Vec<_>>() }),
        json!({ "interval": "1h", "threshold": 2, "stepWeight": 10, "mirror": true }),
        json!({ "threshold": 2, "iterations": 10 }),
        json!({ "threshold": 2, "iterations": 10, "mirror": true }),
        json!({ "threshold": 2, "iterations": 1, "match": [{}] }),
        json!({ "threshold": 2, "iterations": 10, "match": conditions }),
        json!({ "threshold": 2 }),
        // Wrong types count as absent.
        json!({ "interval": 5, "threshold": "5", "stepWeight": -1, "maxWeight": {}, "stepWeights": "1", "metrics": [7] }),
    ];
    let sentences = analyses.iter().map(|analysis| strategy(&json!({ "analysis": analysis })));
    insta::assert_snapshot!(sentences.collect::<Vec<_>>().join("\n"), @"
    Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metrics request-success-rate and request-duration.
    Canary: traffic in steps of 20 % up to 100 %, every 30 seconds, promoted in steps of 50 %; rolled back after 1 failed check; metric errors.
    Canary: traffic raised to 1, 10 and 100 %, every 90 seconds; rolled back after 2 failed checks; no metrics.
    Canary: traffic in 30 steps up to 30 %, every 2 minutes; rolled back after 2 failed checks; no metrics.
    Canary: mirrored traffic, then traffic in steps of 10 % up to 100 %, every hour; rolled back after 2 failed checks; no metrics.
    Blue/green: 10 checks, every minute; rolled back after 2 failed checks; no metrics.
    Blue/green with mirrored traffic: 10 checks, every minute; rolled back after 2 failed checks; no metrics.
    A/B test of requests that match a condition: 1 check; rolled back after 2 failed checks; no metrics.
    A/B test of requests that match one of 2 conditions: 10 checks, every minute; rolled back after 2 failed checks; no metrics.
    Canary: without steps of traffic, every minute; rolled back after 2 failed checks; no metrics.
    Canary: without steps of traffic, every minute; rolled back after 1 failed check; no metrics.
    ");
}

#[test]
fn those_without_an_analysis() {
    let none = "No analysis: Flagger promotes at once.";
    assert_eq!(strategy(&json!({})), none);
    assert_eq!(strategy(&json!({ "analysis": null })), none);
    assert_eq!(strategy(&json!({ "skipAnalysis": true, "analysis": { "iterations": 10 } })), none);
    assert_ne!(strategy(&json!({ "skipAnalysis": false, "analysis": { "iterations": 10 } })), none);
    assert_ne!(strategy(&json!({ "canaryAnalysis": { "iterations": 10 } })), none);
    assert_eq!(change_of(&Value::Null, &Value::Null, None).strategy, None);
}

/// The provider that cannot shift traffic always does blue/green.
#[test]
fn the_provider_kubernetes() {
    let analysis = json!({ "threshold": 2, "stepWeight": 10, "mirror": true, "match": [{}] });
    assert_eq!(
        strategy(&json!({ "provider": "kubernetes", "analysis": analysis })),
        "Blue/green: 10 checks, every minute; rolled back after 2 failed checks; no metrics."
    );
}

#[test]
fn intervals_are_read_as_flagger_reads_them() {
    for (interval, words) in [
        ("1m", "every minute"),
        ("90s", "every 90 seconds"),
        ("1m30s", "every 90 seconds"),
        ("1.5h", "every 90 minutes"),
        ("2h", "every 2 hours"),
        ("15000ms", "every 15 seconds"),
        ("1s", "every 10 seconds"),
        ("", "every minute"),
        ("soon", "every minute"),
        ("10", "every minute"),
        ("1d", "every minute"),
        ("99999999999999999999999h", "every 18446744073709551615 seconds"),
    ] {
        let sentence = strategy(&json!({ "analysis": { "interval": interval, "iterations": 3 } }));
        assert!(sentence.contains(&format!(", {words};")), "{interval}: {sentence}");
    }
}
