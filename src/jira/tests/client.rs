//! Requests: when they are sent, what their answers prove, and what errors mean.

use super::*;

#[tokio::test]
async fn the_kind_is_requested_once_and_decides_the_paths() {
    let site = Site::new(|line| match line {
        "GET /jira/rest/api/2/serverInfo" => {
            bare(200, &json!({"deploymentType": "Server", "version": "10.3", "baseUrl": "http://x"}))
        }
        _ => with(vec![("x-ausername", "bridge".into())], 200, &issue()),
    })
    .await;
    let jira = site.jira_with(Settings {
        login: token(None, "s3cret-token"),
        ..settings(&format!("{}/jira/", site.url), None)
    });
    for _ in 0..2 {
        let IssueSnapshot::Issue { status, .. } = jira.read_whole("10042").await.unwrap() else {
            panic!("missing")
        };
        assert_eq!(status, Status { id: "1".into(), name: "To Do".into() });
    }
    let read = "GET /jira/rest/api/2/issue/10042?fields=status%2Cproject%2Cissuetype%2Clabels&properties=flagger-jira-bridge&expand=changelog";
    assert_eq!(site.lines(), ["GET /jira/rest/api/2/serverInfo", read, read]);
    assert_eq!(jira.browse_url("OPS-7"), format!("{}/jira/browse/OPS-7", site.url));
    let headers = site.seen.lock().unwrap()[1].headers.clone();
    assert_eq!(headers["authorization"], "Bearer s3cret-token");
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["x-force-accept-language"], "true");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("flagger-jira-bridge/"));
    assert_eq!(*site.observed.lock().unwrap(), ["server_info 200", "issue 200", "issue 200"]);
    assert_eq!(jira.health().last_answer, Some(Millis(1_800_000_000_000)));
}

#[tokio::test]
async fn a_create_is_sent_once_with_label_and_property() {
    let site =
        Site::new(|_| ours(201, &json!({"id": 10042, "key": "OPS-7", "self": "http://elsewhere"}))).await;
    let created = create(&site.jira(Some(Kind::Cloud))).await.unwrap();
    assert_eq!(created, Created { id: "10042".into(), key: "OPS-7".into() });
    let seen = site.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "POST /rest/api/3/issue");
    assert_eq!(seen[0].headers["authorization"], "Basic YnJpZGdlQGV4YW1wbGUuY29tOnMzY3JldC10b2tlbg==");
    assert_eq!(seen[0].body["fields"]["labels"], json!(["flagger-gate", "fjb-4f1c"]));
    assert_eq!(seen[0].body["properties"][0]["value"], json!({"gate": "4f1c"}));
    assert_eq!(seen[0].body["fields"]["description"]["type"], "doc");
}

#[tokio::test]
async fn answers_that_are_not_jiras_are_refused_in_plain_words() {
    let huge = format!("\"{}\"", "x".repeat(5 << 20));
    let site = Site::new(move |line| match line {
        "GET /rest/api/3/issue/1/comment" => ours(200, &json!({})),
        line if line.contains("issue/1?") => {
            (302, vec![("location", "https://sso.example.com/login?next=secret".into())], String::new())
        }
        line if line.contains("issue/2?") => {
            let html = ("content-type", "text/html".to_owned());
            (200, vec![html, ("x-aaccountid", "5b10".into())], "<html>Log in</html>".into())
        }
        line if line.contains("issue/3?") => (
            200,
            vec![("content-type", "application/json".into()), ("x-aaccountid", "5b10".into())],
            huge.clone(),
        ),
        line if line.contains("issue/4?") => ours(200, &json!({"id": "4", "key": "OPS-4", "fields": {}})),
        line if line.contains("issue/5?") => ours(200, &issue()),
        _ => ours(500, &json!({"errorMessages": ["Internal\nerror"]})),
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    let mut errors = vec![];
    for id in ["1", "2", "3", "4", "5", "6"] {
        let error = jira.read_whole(id).await.unwrap_err();
        assert_eq!((error.retry(), error.side_effect()), (Retry::Backoff, SideEffect::Unknown), "{error}");
        errors.push(error.to_string().replace(&site.url["http://".len()..], "HOST"));
    }
    insta::assert_snapshot!(errors.join("\n"), @"
    Jira at HOST redirects to https://sso.example.com: put the address that answers without a redirect into jira.url
    Jira's answer at HOST cannot be read: it is not JSON; is a log-in page in the way? (in answer to reading a ticket)
    Jira's answer at HOST cannot be read: it is longer than 4 MiB
    Jira's answer at HOST cannot be read: an issue without its status (in answer to reading a ticket)
    Jira's answer at HOST cannot be read: it is about 10042, not 5 (in answer to reading a ticket)
    Jira at HOST answered 500: Internal error
    ");
}

#[tokio::test]
async fn after_an_anonymous_answer_only_myself_is_sent() {
    let failed = || vec![("x-seraph-loginreason", "AUTHENTICATED_FAILED".to_owned())];
    let site = Site::new(move |line| match line {
        "GET /rest/api/3/myself" => with(failed(), 401, &json!({})),
        "POST /rest/api/3/issue" => with(failed(), 201, &json!({"id": "1", "key": "OPS-1"})),
        _ => with(failed(), 200, &json!({"issues": []})),
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    let error = jira.read_many(&["10042".into()]).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert_eq!(jira.health().refused.unwrap().0, Millis(1_800_000_000_000));
    for _ in 0..5 {
        let error = create(&jira).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        assert_eq!(error.side_effect(), SideEffect::None);
    }
    assert_eq!(site.lines(), ["POST /rest/api/3/issue/bulkfetch", "GET /rest/api/3/myself"]);
    assert_eq!(jira.health().last_answer, None);

    let error = create(&site.jira(Some(Kind::Cloud))).await.unwrap_err();
    assert_eq!(error.side_effect(), SideEffect::Unknown, "Jira may have opened it anyway: {error}");
}

#[tokio::test]
async fn a_refusal_of_one_request_is_not_a_denial_of_access() {
    let site = Site::new(|line| match line {
        "GET /rest/api/3/myself" => ours(200, &myself()),
        "POST /rest/api/3/issueLink" => bare(401, &json!({"errorMessages": ["No links for you"]})),
        _ => ours(200, &issue()),
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    let error = jira.link("1", "2").await.unwrap_err();
    assert_eq!((error.retry(), error.side_effect()), (Retry::Never, SideEffect::None));
    let words = error.to_string();
    assert!(words.ends_with("answered 401 to linking two tickets: No links for you"), "{words}");
    assert_eq!(jira.health().refused, None);
    assert!(jira.read_whole("10042").await.is_ok());
    assert_eq!(site.lines().len(), 3);
}

#[tokio::test]
async fn missing_counts_only_from_jira_and_with_proven_credentials() {
    let known = Site::new(|line| match line {
        "GET /rest/api/3/myself" => bare(200, &myself()),
        line if line.contains("issue/2?") => (404, vec![("x-aaccountid", "5b10".into())], "not found".into()),
        _ => bare(404, &no_such_issue()),
    })
    .await;
    let jira = known.jira(Some(Kind::Cloud));
    assert_eq!(jira.read_whole("1").await.unwrap(), IssueSnapshot::Missing { browse: Browse::Unproven });
    assert_eq!(jira.read_whole("1").await.unwrap(), IssueSnapshot::Missing { browse: Browse::Unproven });
    let myself_lines = known.lines().iter().filter(|line| line.ends_with("/myself")).count();
    assert_eq!(myself_lines, 4, "a /myself does not prove a later 404");
    let error = jira.read_whole("2").await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 404, by: Origin::Intermediary, .. }), "{error}");

    let stranger = Site::new(|line| match line {
        "GET /rest/api/3/myself" => bare(401, &json!({})),
        _ => bare(404, &no_such_issue()),
    })
    .await;
    let error = stranger.jira(Some(Kind::Cloud)).read_whole("1").await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn retry_after_pauses_all_and_its_absence_pauses_all_a_little() {
    let site = Site::new(|line| {
        let mut reply = ours(429, &json!({}));
        if line.contains("issue/2?") {
            reply.1.push(("retry-after", "30".into()));
        }
        if line.contains("issue/3?") {
            reply.1.push(("retry-after", "0".into()));
        }
        reply
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    for (id, seconds) in [("1", 2), ("3", 4)] {
        let error = jira.read_whole(id).await.unwrap_err();
        assert_eq!(error.retry(), Retry::NotBefore(Duration::from_secs(seconds)), "{error}");
        assert!(jira.health().paused_until.is_some());
        let error = jira.read_whole(id).await.unwrap_err();
        assert!(matches!(error, Error::Throttled { .. }), "{error}");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
        assert_eq!(jira.health().paused_until, None);
    }
    let slot = jira.create_permit().await;
    let error = jira.read_whole("2").await.unwrap_err();
    assert_eq!(
        (error.retry(), error.side_effect()),
        (Retry::NotBefore(Duration::from_secs(30)), SideEffect::None)
    );
    let until = jira.health().paused_until.unwrap();
    assert!(until > Millis(1_800_000_025_000) && until <= Millis(1_800_000_030_000), "{until:?}");
    for slot in [slot, jira.create_permit().await] {
        let error = jira.create(slot, &draft()).await.unwrap_err();
        assert!(matches!(error, Error::Throttled { retry_after: Some(_), .. }), "{error}");
        assert_eq!(error.side_effect(), SideEffect::None);
    }
    let error = jira.read_whole("1").await.unwrap_err();
    assert!(matches!(error, Error::Throttled { retry_after: Some(_), .. }), "{error}");
    assert_eq!(site.lines().len(), 3);
    assert_eq!(*site.observed.lock().unwrap(), ["issue 429"; 3]);
}

/// An answer that does not have the form of Jira's API proves nothing.
#[tokio::test]
async fn an_answer_that_is_not_jiras_decides_nothing() {
    for (status, media, body) in [
        (404, "text/html", "<html>"),
        (404, "application/json", r#"{"message":"no route"}"#),
        (404, "application/json", r#"{"errors":[{"message":"no route"}]}"#),
        (404, "application/json", r#"{"errors":{"route":{"code":1}}}"#),
        (404, "application/json", r#"{"errorMessages":"no route"}"#),
        (405, "text/plain", "no"),
        (410, "text/html", ""),
        (200, "application/json", "[]"),
        (200, "application/json", "{}"),
        (200, "application/json", r#"{"status":"maintenance"}"#),
        (200, "text/html", "<html>"),
    ] {
        // With and without Jira's header that names the account.
        for signed in [false, true] {
            let site = Site::new(move |line| {
                if line.contains("myself") {
                    return ours(200, &myself());
                }
                let mut headers = vec![("content-type", media.to_owned())];
                if signed {
                    headers.push(("x-aaccountid", "5b10".into()));
                }
                (status, headers, body.to_owned())
            })
            .await;
            let jira = site.jira(Some(Kind::Cloud));
            let errors = [
                jira.workflow("OPS", "Change").await.map(drop),
                jira.people("5b10").await.map(drop),
                jira.role("OPS", "Approvers").await.map(drop),
                jira.read_whole("1").await.map(drop),
                jira.find(&GateId("ab".into()), &[]).await.map(drop),
                create(&jira).await.map(drop),
                jira.comment("1", "tag", &Doc(vec![])).await,
                jira.label("1", "x").await,
                jira.link("1", "2").await.map(drop),
                jira.transition("1", "Done", &Map::new()).await.map(drop),
            ];
            for (nth, done) in errors.into_iter().enumerate() {
                // An empty object is Jira's answer for a project without roles.
                if nth == 2 && body == "{}" {
                    continue;
                }
                let error = done.err().unwrap_or_else(|| panic!("{nth}: {status} {body}"));
                assert_eq!(error.retry(), Retry::Backoff, "{nth}: {error}");
                assert!(!matches!(error, Error::NotFound { .. }), "{nth}: {error}");
            }
            assert_eq!(
                create(&jira).await.unwrap_err().side_effect(),
                SideEffect::Unknown,
                "{status} {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_cut_answer_may_have_side_effects_and_a_refused_connection_has_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site { url: format!("http://{address}"), seen: Arc::default(), observed: Arc::default() };
    let jira = site.jira(Some(Kind::Cloud));
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(socket.read(&mut request).await.unwrap() > 0);
        let head =
            "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"id\":";
        socket.write_all(head.as_bytes()).await.unwrap();
    });
    let error = create(&jira).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { cause: Cause::Ended, .. }), "{error}");
    assert_eq!(error.side_effect(), SideEffect::Unknown);
    server.await.unwrap();
    let error = create(&jira).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { cause: Cause::Refused, .. }), "{error}");
    assert_eq!(error.side_effect(), SideEffect::None);
    assert!(!format!("{error} {error:?} {jira:?}").contains("s3cret"), "{error:?}");
    assert_eq!(*site.observed.lock().unwrap(), ["create no_answer", "create unreachable"]);
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let mut words = vec![];
    for (url, pem) in [
        ("jira.example.com", None),
        ("ftp://jira", None),
        ("https://user:pw@jira", None),
        ("https://jira", Some("Cargo.toml")),
        ("https://jira", Some("no/such/file")),
    ] {
        let ca_file = pem.map(Into::into);
        let settings = Settings { ca_file, ..settings(url, None) };
        words.push(Jira::new(settings, unobserved(), Clock::System).unwrap_err().to_string());
    }
    insta::assert_snapshot!(words.join("\n"), @"
    jira.url is not a URL: relative URL without a base
    jira.url must begin with https:// and a host
    jira.url must not hold credentials: use jira.user and jira.token_file
    jira.ca_file: Cargo.toml holds no certificate in PEM
    jira.ca_file: cannot read no/such/file: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn only_non_idempotent_requests_emit_steps() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let steps = Arc::new(Mutex::new(vec![]));
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(Steps(Arc::clone(&steps))));
    // Another test may have emitted these events first, on a thread without a subscriber: tracing would then skip them.
    let before = Site::new(|_| ours(201, &json!({"id": "7", "key": "OPS-7"}))).await;
    create(&before.jira(Some(Kind::Cloud))).await.unwrap();
    tracing::callsite::rebuild_interest_cache();
    steps.lock().unwrap().clear();
    let site = Site::new(|line| match line {
        "PUT /rest/api/3/issue/7" => (204, vec![("x-aaccountid", "5b10".into())], String::new()),
        "POST /rest/api/3/issueLink" => (201, vec![("x-aaccountid", "5b10".into())], String::new()),
        _ => ours(201, &json!({"id": "7", "key": "OPS-7"})),
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    jira.label("7", "flagger-ended").await.unwrap();
    assert_eq!(steps.lock().unwrap().len(), 0);
    create(&jira).await.unwrap();
    jira.link("7", "8").await.unwrap();
    assert_eq!(*steps.lock().unwrap(), ["sending", "answered", "sending", "answered"]);
    let body = site.seen.lock().unwrap()[0].body.clone();
    assert_eq!(body, json!({"update": {"labels": [{"add": "flagger-ended"}]}}));
}

#[tokio::test]
async fn an_unsigned_answer_needs_a_fresh_probe() {
    let site = Site::new(|line| match line {
        "GET /rest/api/3/myself" => bare(503, &json!({})),
        "POST /rest/api/3/issue" => bare(201, &json!({"id": "7", "key": "OPS-7"})),
        _ => bare(404, &no_such_issue()),
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    let error = jira.read_whole("7").await.unwrap_err();
    assert!(matches!(error, Error::Prerequisite { .. }), "{error}");
    let error = create(&jira).await.unwrap_err();
    assert_eq!((error.retry(), error.side_effect()), (Retry::Backoff, SideEffect::Unknown));
    assert_eq!(jira.health().refused, None, "an outage is not a refusal");
}
