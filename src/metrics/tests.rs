use super::*;

/// The lines that are neither zero nor a bucket, without their prefix.
fn shown(metrics: &Metrics) -> String {
    let text = metrics.encode().unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
    let lines = lines.filter(|line| !line.contains("_bucket{") && !line.ends_with(" 0.0"));
    let lines = lines.filter(|line| !line.starts_with("process_"));
    let mut lines: Vec<_> = lines.map(|line| line.trim_start_matches("flagger_jira_bridge_")).collect();
    lines.sort_unstable();
    lines.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn each_method_changes_its_own_series() {
    let metrics = Metrics::new();
    metrics.verdict(Some(Stage::ConfirmPromotion), AnswerLabel::Open);
    metrics.verdict(None, AnswerLabel::Closed);
    metrics.webhook(Source::Jira, WebhookOutcome::Ignored);
    metrics.jira_request("create", status_class(Some(201)), Duration::from_millis(1500));
    metrics.jira_throttled(Duration::from_millis(250));
    metrics.set_outbox("parked", 2);
    metrics.outbox_oldest(Duration::from_secs(7));
    metrics.set_gates(Verdict::NotAllowed, 3);
    metrics.rollout_ended("superseded");
    metrics.ticket_refused("open_tickets");
    metrics.call_refused(ListenerLabel::Gate, RefusalReason::Path);
    metrics.poll_succeeded(Millis(1_790_000_000_500));
    metrics.approval_to_open(Duration::from_secs(20));
    metrics.decided(DecisionLabel::Rejected, Duration::from_secs(90));
    metrics.oldest_waiting(Duration::from_secs(8));
    metrics.overdue_gates(4);
    metrics.timed_out();
    insta::assert_snapshot!(shown(&metrics), @r#"
    approval_to_open_seconds_count 1
    approval_to_open_seconds_sum 20.0
    build_info{version="VERSION"} 1
    calls_refused_total{listener="gate",reason="path"} 1
    decision_seconds_count{decision="rejected"} 1
    decision_seconds_sum{decision="rejected"} 90.0
    gate_verdicts_total{stage="confirm-promotion",verdict="open"} 1
    gate_verdicts_total{stage="rollback",verdict="closed"} 1
    gates{state="not_allowed"} 3
    jira_request_seconds_count{operation="create",status="2xx"} 1
    jira_request_seconds_sum{operation="create",status="2xx"} 1.5
    jira_throttled_seconds_total 0.25
    oldest_waiting_seconds 8.0
    outbox_oldest_seconds 7.0
    outbox_rows{state="parked"} 2
    overdue_gates 4
    poll_last_success_timestamp_seconds 1790000000.5
    rollouts_ended_total{how="superseded"} 1
    tickets_refused_total{reason="open_tickets"} 1
    timed_out_total 1
    webhooks_total{source="jira",outcome="ignored"} 1
    "#);
}

/// The two missing metrics have labels that other modules define; they appear with their first value.
#[test]
fn the_documented_names_exist_from_the_start() {
    let text = Metrics::new().encode().unwrap();
    let described: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE flagger_jira_bridge_")).collect();
    insta::assert_snapshot!(described.join("\n"), @r"
    gate_verdicts counter
    webhooks counter
    jira_throttled_seconds counter
    outbox_oldest_seconds gauge
    gates gauge
    rollouts_ended counter
    unasked counter
    bypassed counter
    tickets_refused counter
    calls_refused counter
    messages counter
    poll_last_success_timestamp_seconds gauge
    approval_to_open_seconds histogram
    decision_seconds histogram
    oldest_waiting_seconds gauge
    calendars_unusable gauge
    overdue_gates gauge
    timed_out counter
    build_info gauge
    ");
    for verdict in Verdict::ALL {
        let series = format!("flagger_jira_bridge_gates{{state=\"{}\"}} 0", verdict.as_str());
        assert!(text.contains(&series), "{series}");
    }
    assert!(text.contains("flagger_jira_bridge_rollouts_ended_total{how=\"abandoned\"} 0"));
    assert!(!text.contains("_total_total"));
    // The types that both text formats have.
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(["counter", "gauge", "histogram"].iter().any(|it| line.ends_with(it)), "{line}");
    }
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn an_answer_is_counted_by_its_class() {
    let classes = [Some(200), Some(204), Some(302), Some(404), Some(429), Some(503), Some(999), None];
    assert_eq!(classes.map(status_class), ["2xx", "2xx", "3xx", "4xx", "429", "5xx", "error", "error"]);
}
