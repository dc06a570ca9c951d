use axum::{body::Body, http::Uri};
use globset::{Glob, GlobSet};
use proptest::prelude::*;

use super::{call::parameters, *};
use crate::{
    http::{app::answer, shared::not_open_yet},
    secret::Secret,
};

const QUESTION: &str = r#"{"name":"podinfo","namespace":"test","phase":"Waiting","checksum":"5594979469"}"#;
const CLOSED: &str = "closed: the store is not open yet\n";
const QUESTIONS: [&str; 6] = [
    "/gate/confirm-rollout",
    "/gate/confirm-traffic-increase",
    "/gate/confirm-promotion",
    "/gate/check",
    "/gate/rollback",
    "/rollback/check",
];
const REPORTS: [&str; 2] = ["/event", "/post-rollout"];

fn config(token: Option<&str>) -> config::Flagger {
    config::Flagger {
        cluster: "default".into(),
        namespaces: GlobSet::builder().add(Glob::new("test").unwrap()).build().unwrap(),
        namespace_globs: vec![],
        token: token.map(|token| Secret::value(token).unwrap()),
        tokens: vec![],
        clusters: vec![],
    }
}

fn post_json(path: &str) -> axum::http::request::Builder {
    Request::post(path).header("content-type", "application/json")
}

async fn asked(token: Option<&str>, request: Request) -> (u16, String) {
    let (status, _, words) = answer(gate_router(not_open_yet(), config(token)), request).await;
    assert!(words.ends_with('\n') && words.trim_end().lines().count() == 1, "{words:?}");
    (status, words)
}

async fn body(path: &str, body: impl Into<Body>) -> (u16, String) {
    asked(None, post_json(path).body(body.into()).unwrap()).await
}

#[tokio::test]
async fn until_the_store_is_open_gates_are_closed_and_reports_are_refused() {
    for path in QUESTIONS {
        assert_eq!(body(path, QUESTION).await, (403, CLOSED.into()), "{path}");
        assert_eq!(body(&format!("{path}?gate=qa&cluster=default"), QUESTION).await.0, 403, "{path}");
    }
    for path in REPORTS {
        assert_eq!(body(path, QUESTION).await.0, 503, "{path}");
    }
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(asked(None, get("/healthz")).await, (200, "ok\n".into()));
    assert_eq!(asked(Some("t"), get("/readyz")).await, (503, "the store is not open yet\n".into()));
}

#[tokio::test]
async fn bad_input_is_named_in_one_line() {
    for path in QUESTIONS.into_iter().chain(REPORTS) {
        for (query, sent, expected) in [
            ("", "{", (400, "the body is not JSON (line 1, column 1)\n")),
            ("", r#"{"name":"podinfo"}"#, (400, "namespace is missing\n")),
            (
                "?gate=Q",
                QUESTION,
                (400, "gate \"Q\" is not a Kubernetes name (lower-case letters, digits and '-')\n"),
            ),
            (
                "?gate=",
                QUESTION,
                (400, "gate \"\" is not a Kubernetes name (lower-case letters, digits and '-')\n"),
            ),
            ("?gate=a&gate=a", QUESTION, (400, "?gate= is given twice\n")),
            ("?cluster=default&cluster=default", QUESTION, (400, "?cluster= is given twice\n")),
            ("?Gate=qa", QUESTION, (400, "?Gate= is not a parameter of this hook; did you mean ?gate=?\n")),
        ] {
            let (status, words) = body(&format!("{path}{query}"), sent).await;
            assert_eq!((status, words.as_str()), expected, "{path}{query}");
        }
        assert_eq!(body(&format!("{path}?gate=%0a%ff"), QUESTION).await.0, 400, "{path}");
    }
}

/// If a misspelled parameter were ignored, the hook would ask at the gate without a name, which another approval opens.
#[tokio::test]
async fn a_parameter_that_no_hook_has_is_refused() {
    let not_one = |key: &str, near: &str| format!("?{key}= is not a parameter of this hook{near}\n");
    for path in QUESTIONS.into_iter().chain(REPORTS) {
        for (query, expected) in [
            ("GATE=security", not_one("GATE", "; did you mean ?gate=?")),
            ("gate_=security", not_one("gate_", "; did you mean ?gate=?")),
            ("gat=a", not_one("gat", "; did you mean ?gate=?")),
            ("gates=a", not_one("gates", "; did you mean ?gate=?")),
            ("gaet", not_one("gaet", "; did you mean ?gate=?")),
            ("Gate%5B%5D=a", "the query has a parameter that this hook does not accept\n".to_owned()),
            ("gate=qa&clutser=default", not_one("clutser", "; did you mean ?cluster=?")),
            ("x=a%20b", not_one("x", "")),
            ("name=qa", not_one("name", "")),
            ("=qa", "the query has a parameter that this hook does not accept\n".to_owned()),
            ("a%0a%1b=qa", "the query has a parameter that this hook does not accept\n".to_owned()),
        ] {
            assert_eq!(body(&format!("{path}?{query}"), QUESTION).await, (400, expected), "{path}?{query}");
        }
        assert_ne!(body(&format!("{path}?&"), QUESTION).await.0, 400, "{path}: the query is empty");
    }
}

#[tokio::test]
async fn only_json_is_read() {
    for (kind, expected) in [
        ("application/json", 403),
        ("application/json; charset=utf-8", 403),
        ("Application/JSON", 403),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("", 415),
    ] {
        let request = Request::post("/gate/check").header("content-type", kind);
        assert_eq!(asked(None, request.body(Body::from(QUESTION)).unwrap()).await.0, expected, "{kind}");
    }
    let none = Request::post("/event").body(Body::from(QUESTION)).unwrap();
    assert_eq!(asked(None, none).await, (415, "the content type is not application/json\n".into()));
}

#[tokio::test]
async fn a_body_may_have_64_kib() {
    let of = |size: usize| format!("{QUESTION}{}", " ".repeat(size - QUESTION.len()));
    assert_eq!(body("/gate/check", of(64 * 1024)).await.0, 403);
    let too_large = (413, "the body is too large\n".to_owned());
    assert_eq!(body("/gate/check", of(64 * 1024 + 1)).await, too_large);
    assert_eq!(body("/event", of(64 * 1024 + 1)).await, too_large);
}

#[tokio::test]
async fn other_paths_and_methods_are_named() {
    for (method, path, status, allow) in [
        ("GET", "/gate/confirm-rollout", 405, Some("POST")),
        ("DELETE", "/event", 405, Some("POST")),
        ("POST", "/healthz", 405, Some("GET,HEAD")),
        ("GET", "/gate/open", 405, Some("POST")),
        ("POST", "/gate/confirm-rollout/", 404, None),
        ("POST", "/gate", 404, None),
        ("POST", "/jira/webhook", 404, None),
        ("GET", "/metrics", 404, None),
        ("GET", "/", 404, None),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (found, headers, words) = answer(gate_router(not_open_yet(), config(Some("t"))), request).await;
        assert_eq!(found, status, "{method} {path}");
        assert_eq!(headers.get("allow").map(|allow| allow.to_str().unwrap()), allow, "{method} {path}");
        assert_eq!(words.lines().count(), 1, "{words:?}");
    }
}

#[tokio::test]
async fn no_gate_is_opened_by_hand() {
    for path in
        ["/gate/open", "/gate/close", "/gate/approve", "/gate/halt", "/rollback/open", "/rollback/halt"]
    {
        let request = Request::post(path).body(Body::from("not JSON")).unwrap();
        let (status, words) = asked(Some("t"), request).await;
        assert_eq!((status, words.contains("Jira")), (403, true), "{path}");
    }
}

#[tokio::test]
async fn a_token_may_come_three_ways() {
    let metadata = |token: &str| QUESTION.replace('}', &format!(r#","metadata":{{"token":"{token}"}}}}"#));
    let basic = ("authorization", "Basic YW55OnMzY3JldA==");
    for (header, sent, expected) in [
        (Some(basic), QUESTION.to_owned(), 403),
        (Some(("authorization", "Bearer s3cret")), QUESTION.to_owned(), 403),
        (None, metadata("s3cret"), 403),
        (None, QUESTION.to_owned(), 401),
        (None, metadata("wrong"), 401),
        (None, metadata(""), 401),
        (None, "{".to_owned(), 401),
        (Some(("authorization", "Bearer wrong")), metadata("s3cret"), 401),
        (Some(("authorization", "Bearer wrong")), "{".to_owned(), 401),
        (Some(("authorization", "Basic !")), metadata("s3cret"), 401),
        (Some(("authorization", "Digest x")), metadata("s3cret"), 403),
        (Some(basic), "{".to_owned(), 400),
    ] {
        let request = header
            .into_iter()
            .fold(post_json("/gate/check"), |request, (key, value)| request.header(key, value));
        let (status, words) = asked(Some("s3cret"), request.body(Body::from(sent.clone())).unwrap()).await;
        assert_eq!(status, expected, "{header:?} {sent}");
        assert!(!words.contains("s3cret") && !words.contains("wrong"));
    }
    let report = post_json("/event").body(Body::from(QUESTION)).unwrap();
    assert_eq!(asked(Some("s3cret"), report).await.0, 401);
}

/// A body that must not be read.
struct Unreadable;

impl hyper::body::Body for Unreadable {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        panic!("the body was read")
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_before_the_body_is_read() {
    let unread = Body::new(Unreadable);
    let request = post_json("/gate/check").header("authorization", "Bearer wrong").body(unread).unwrap();
    assert_eq!(asked(Some("s3cret"), request).await.0, 401);
}

#[tokio::test]
async fn a_caller_that_is_not_allowed_gets_a_reason_and_its_reports_are_dropped() {
    let elsewhere = QUESTION.replace("test", "kube-system");
    for path in QUESTIONS {
        let words = "closed: namespace \"kube-system\" is not allowed by flagger.namespaces\n";
        assert_eq!(body(path, elsewhere.clone()).await, (403, words.into()));
        assert!(body(&format!("{path}?cluster=us"), QUESTION).await.1.starts_with("closed: cluster \"us\""));
    }
    for path in REPORTS {
        let (status, words) = body(path, elsewhere.clone()).await;
        assert_eq!((status, words.starts_with("dropped: ")), (200, true), "{words}");
        assert_eq!(body(&format!("{path}?cluster=us"), QUESTION).await.0, 200);
    }
}

#[tokio::test]
async fn calls_are_counted_by_outcome() {
    let shared = not_open_yet();
    for sent in [QUESTION, "{", &QUESTION.replace("test", "other")] {
        for path in ["/gate/check", "/event"] {
            let request = post_json(path).body(Body::from(sent.to_owned())).unwrap();
            let _ = answer(gate_router(shared.clone(), config(None)), request).await;
        }
    }
    let text = shared.metrics.encode().unwrap();
    let of = |outcome: &str| {
        let series =
            format!("flagger_jira_bridge_webhooks_total{{source=\"flagger\",outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
    };
    assert_eq!(["accepted", "ignored", "refused", "invalid", "failed"].map(of), ["0", "1", "1", "2", "2"]);
    assert!(text.contains("gate_verdicts_total{stage=\"confirm-rollout\",verdict=\"closed\"} 1"), "{text}");
}

#[test]
fn the_load_testers_path_goes_by_the_phase() {
    for (phase, stage) in [
        (Phase::Initialized, Stage::ConfirmRollout),
        (Phase::Waiting, Stage::ConfirmRollout),
        (Phase::Succeeded, Stage::ConfirmRollout),
        (Phase::Failed, Stage::ConfirmRollout),
        (Phase::Progressing, Stage::Gate),
        (Phase::WaitingPromotion, Stage::Gate),
        (Phase::Promoting, Stage::Gate),
        (Phase::Finalising, Stage::Gate),
        (Phase::Other, Stage::Gate),
    ] {
        assert_eq!(QuestionPath::LoadTester.stage(phase), Some(stage), "{phase:?}");
    }
    assert_eq!(QuestionPath::Rollback.stage(Phase::Progressing), None);
}

#[tokio::test]
async fn an_answer_is_a_line_or_an_object() {
    let gate = GateView {
        cluster: "default".into(),
        namespace: "test".into(),
        canary: "podinfo".into(),
        stage: "confirm-rollout".into(),
        gate: None,
        state: crate::gate::Verdict::Waiting,
        reason: "waiting: no decision yet".into(),
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
    };
    let answer = Answer { open: false, line: "closed: \u{1b}[31mOPS-1\nis waiting".into(), gate };
    let text = async |response: Response| {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    assert_eq!(answer_response(&answer, false).status(), 403);
    assert_eq!(text(answer_response(&answer, false)).await, "closed:  [31mOPS-1 is waiting\n");
    let object = answer_response(&answer, true);
    assert_eq!(object.headers()["content-type"], "application/json");
    insta::assert_snapshot!(text(object).await, @r#"{"open":false,"cluster":"default","namespace":"test","canary":"podinfo","stage":"confirm-rollout","gate":null,"state":"waiting","reason":"waiting: no decision yet","ticket":null,"asked_at":null,"rollout":null}"#);
    assert_eq!(answer_response(&Answer { open: true, ..answer }, true).status(), 200);
}

#[test]
fn json_is_sent_on_request() {
    let accepts = |value: &'static str| {
        wants_json(&HeaderMap::from_iter([(header::ACCEPT, axum::http::HeaderValue::from_static(value))]))
    };
    assert!(accepts("application/json") && accepts("text/html, Application/JSON;q=0.9"));
    assert!(!accepts("*/*") && !accepts("text/plain") && !wants_json(&HeaderMap::new()));
}

proptest! {
    /// From any query, `parameters` reads at most one valid name for each parameter, or rejects the query.
    #[test]
    fn a_query_names_a_gate_and_a_cluster_or_is_refused(
        query in proptest::collection::vec("(gate|cluster|x|GATE|%67ate)?[=&;]?([a-z%0-9.+-]|%[0-9A-F]{2}|\\PC){0,8}", 0..4),
    ) {
        let Ok(uri) = format!("/gate/check?{}", query.join("&")).parse::<Uri>() else { return Ok(()) };
        match parameters(&uri) {
            Ok(read) => {
                let given = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).count();
                let kept = [&read.gate, &read.cluster].into_iter().flatten().count();
                prop_assert_eq!(given, kept, "no parameter is ignored");
                for name in [&read.gate, &read.cluster].into_iter().flatten() {
                    prop_assert!(name.len() <= 63 && !name.is_empty());
                    prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                }
            }
            Err(Rejection::Query(why, hint)) => {
                prop_assert!(!why.chars().chain(hint.chars()).any(char::is_control), "{why:?} {hint:?}");
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
