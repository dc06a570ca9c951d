use super::*;

const NOW: Millis = Millis(1_790_000_000_000);

fn refusal(source: u8, path: &str, why: &str) -> RefusedCall {
    RefusedCall {
        listener: ListenerLabel::Gate,
        authentication: Authentication::Unauthenticated,
        source: Some(IpAddr::from([10, 0, 0, source])),
        path: path.to_owned(),
        canary: None,
        reason: RefusalReason::Token,
        message: why.to_owned(),
        hint: "bring it".to_owned(),
    }
}

#[test]
fn a_call_is_a_row_and_repeated_ones_are_counted() {
    let (refused, metrics) = (RefusedCalls::default(), Metrics::new());
    for after in 0..5 {
        refused.refuse(refusal(1, "/event", "no token"), &metrics, Millis(NOW.0 + after));
    }
    refused.refuse(refusal(2, "/event", "no token"), &metrics, Millis(NOW.0 + 9));
    let rows = serde_json::to_string(&refused.recent(Millis(NOW.0 + 10))).unwrap();
    insta::assert_snapshot!(rows.replace("},", "},\n"), @r#"
    [{"listener":"gate","source":"10.0.0.2","path":"/event","canary":null,"kind":"token","reason":"no token","hint":"bring it","first":"2026-09-21T14:13:20.009Z","last":"2026-09-21T14:13:20.009Z","count":1},
    {"listener":"gate","source":"10.0.0.1","path":"/event","canary":null,"kind":"token","reason":"no token","hint":"bring it","first":"2026-09-21T14:13:20.000Z","last":"2026-09-21T14:13:20.004Z","count":5}]
    "#);
    assert_eq!(refused.recent(NOW + DROP_ROW_AFTER + Duration::from_secs(1)).len(), 0);
}

#[test]
fn nothing_of_a_secret_is_shown() {
    let refused = RefusedCalls::masking(vec![Secret::value("hush-hush").unwrap()]);
    refused.refuse(
        refusal(1, "/hush-hush/\u{1b}[2Jevent", "nothing at \"/hush-hush\""),
        &Metrics::new(),
        NOW,
    );
    let row = &refused.recent(NOW)[0];
    assert_eq!((row.path.as_str(), row.reason.as_str()), ("/…/ [2Jevent", "nothing at \"/…\""));
}

/// A flood of calls from many addresses with invented paths: memory is bounded, and earlier rows stay.
#[test]
fn a_flood_fills_no_memory_and_hides_no_row() {
    let (refused, metrics) = (RefusedCalls::default(), Metrics::new());
    refused.refuse(refusal(255, "/event", "no token"), &metrics, NOW);
    for number in 0..100_000_u32 {
        let now = Millis(NOW.0 + i64::from(number) * 10);
        let source = u8::try_from(number % 200).unwrap();
        refused.refuse(refusal(source, &format!("/{number}"), "no token"), &metrics, now);
        if number % 1_000 == 0 {
            refused.refuse(refusal(255, "/event", "no token"), &metrics, now);
        }
    }
    let rows = refused.recent(Millis(NOW.0 + 1_000_000));
    assert_eq!(rows.len(), MAX_ROWS + 1, "and one row that says that there were more");
    let known = rows.iter().find(|row| row.source == "10.0.0.255").unwrap();
    assert_eq!(known.count, 101);
    let all: u64 = rows.iter().map(|row| row.count).sum();
    assert!(all > 50_000, "{all}: calls without a row are counted");
}

#[test]
fn one_address_takes_half_of_the_rows_at_most() {
    let (refused, metrics) = (RefusedCalls::default(), Metrics::new());
    for number in 0..1_000 {
        refused.refuse(refusal(1, &format!("/{number}"), "no token"), &metrics, NOW);
    }
    refused.refuse(refusal(2, "/event", "no token"), &metrics, NOW);
    let rows = refused.recent(NOW);
    assert_eq!(rows.iter().filter(|row| row.source == "10.0.0.1").count(), MAX_ROWS_PER_ADDRESS);
    assert!(rows.iter().any(|row| row.source == "10.0.0.2"));
}

#[test]
fn the_log_is_not_flooded() {
    let mut group = RefusalGroup::default();
    let decisions: Vec<LogDecision> = (0..100).map(|_| group.log_decision(NOW, true)).collect();
    assert_eq!(
        decisions.iter().filter(|decision| **decision == LogDecision::Log).count(),
        MAX_LOG_LINES as usize
    );
    assert_eq!(decisions.iter().filter(|decision| **decision == LogDecision::TooMany).count(), 1);
    assert_eq!(group.log_decision(NOW + LOG_WINDOW, true), LogDecision::Log);
}
