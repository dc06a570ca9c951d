//! How long a rollout takes after an approval.

use std::{fs, time::Duration};

use super::*;

fn timing(spec: &Value) -> Option<Timing> {
    let mut canary = canary();
    canary["spec"] = spec.clone();
    change_of(&canary, &Value::Null, None).timing
}

/// In minutes: until Flagger asks again, and until all users get the new version after an approval of the start, of more traffic
/// at 10 % and of the promotion.
#[test]
fn each_strategy_takes_its_time() {
    let minutes = |spec: Value| {
        let timing = timing(&spec).unwrap();
        let minutes = |duration: Duration| duration.as_secs_f64() / 60.0;
        let more = timing.after_increase(10).map(minutes);
        (
            minutes(timing.next_look()),
            minutes(timing.after_start()),
            more,
            minutes(timing.after_promotion()),
            timing.next_step(10),
        )
    };
    let analysis = |analysis: Value| json!({ "analysis": analysis });
    for (spec, expected) in [
        (
            analysis(json!({ "interval": "1m", "stepWeight": 10, "maxWeight": 50 })),
            (1.0, 8.0, Some(6.0), 2.0, Some(20)),
        ),
        (analysis(json!({ "interval": "30s", "stepWeight": 40 })), (0.5, 3.0, Some(2.5), 1.0, Some(40))),
        (
            analysis(json!({ "interval": "2m", "stepWeights": [1, 10, 80] })),
            (2.0, 12.0, Some(6.0), 4.0, Some(80)),
        ),
        (
            analysis(json!({ "stepWeight": 20, "maxWeight": 60, "mirror": true })),
            (1.0, 7.0, Some(5.0), 2.0, Some(20)),
        ),
        (
            analysis(json!({ "stepWeight": 20, "maxWeight": 60, "stepWeightPromotion": 30 })),
            (1.0, 7.0, Some(6.0), 3.0, Some(20)),
        ),
        (analysis(json!({ "iterations": 3, "match": [{}] })), (1.0, 6.0, None, 3.0, None)),
        (analysis(json!({ "iterations": 3, "stepWeight": 10 })), (1.0, 5.0, None, 2.0, None)),
        (json!({ "provider": "kubernetes", "analysis": { "stepWeight": 10 } }), (1.0, 13.0, None, 3.0, None)),
        (json!({ "skipAnalysis": true, "analysis": { "interval": "5m" } }), (5.0, 10.0, None, 10.0, None)),
        (json!({}), (1.0, 2.0, None, 2.0, None)),
    ] {
        assert_eq!(minutes(spec.clone()), expected, "{spec}");
    }
    assert_eq!(timing(&json!({ "analysis": {} })), None, "steps that lead nowhere");
    assert_eq!(timing(&Value::Null), None);
    let steps = |count: usize| timing(&json!({ "analysis": { "stepWeights": vec![1; count] } }));
    assert_eq!((steps(100).is_some(), steps(101)), (true, None), "what is stored with each gate is bounded");
    let endless = timing(
        &json!({ "analysis": { "interval": "9999999999999h", "iterations": 18446744073709551615_u64 } }),
    );
    assert_eq!(endless.unwrap().after_start(), Duration::from_secs(u64::MAX));
}

/// Recordings of Flagger: from the question that an approval answers until all users get the new version. Before that question it
/// may take Flagger as long as between two questions.
#[test]
fn recorded_promotions_take_as_long() {
    for (recording, done, between_questions) in [
        ("01-canary-all-hooks", "Routing all traffic to primary", 60.0),
        ("27a-canary-mirror", "Routing all traffic to primary", 60.0),
        ("27b-step-weight-promotion", "primary weight 100", 60.0),
        ("09-ab-testing", "Routing all traffic to primary", 120.0),
        ("10a-blue-green-istio", "Routing all traffic to canary", 120.0),
    ] {
        let text = fs::read_to_string(format!("fixtures/flagger/traces/{recording}.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let timing = timing(&json!({ "analysis": lines[0]["analysis"] })).unwrap();
        let at = |is: &dyn Fn(&Value) -> bool| {
            lines.iter().find(|line| is(line)).unwrap()["t"].as_f64().unwrap().floor()
        };
        let asked = at(&|line| line["ask"] == "/gate/confirm-promotion" && line["answer"] == 200);
        let is_done = |line: &Value| {
            line["body"]["metadata"]["eventMessage"].as_str().is_some_and(|message| message.contains(done))
        };
        let took = between_questions + at(&is_done) - asked;
        assert_eq!(timing.after_promotion().as_secs_f64(), took, "{recording}");
        assert_eq!(timing.next_promotion_question().as_secs_f64(), between_questions, "{recording}");
    }
}
