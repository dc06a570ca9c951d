use super::*;

fn refused(status: u16) -> Error {
    refused_by(status, Origin::Jira)
}

fn refused_by(status: u16, by: Origin) -> Error {
    let (host, messages) = ("jira:443".to_owned(), "no".to_owned());
    Error::Refused { host, operation: Operation::CREATE, status, messages, fields: vec![], by }
}

#[test]
fn each_status_says_whether_to_retry_and_whether_it_took_effect() {
    let host = || "jira:443".to_owned();
    let wait = Some(Duration::from_secs(9));
    let broken =
        |status, retry_after| Error::Broken { host: host(), status, messages: String::new(), retry_after };
    let no_answer =
        |cause, side_effect| Error::NoAnswer { host: host(), why: "cut".into(), cause, side_effect };
    let table = [
        (refused(400), Retry::Never, SideEffect::None),
        (refused(403), Retry::Never, SideEffect::None),
        (refused(404), Retry::Never, SideEffect::None),
        (refused(408), Retry::Backoff, SideEffect::Unknown),
        (refused(409), Retry::Now, SideEffect::None),
        (refused(413), Retry::Never, SideEffect::None),
        (refused(422), Retry::Never, SideEffect::None),
        (refused(425), Retry::Backoff, SideEffect::None),
        (refused_by(401, Origin::Intermediary), Retry::Backoff, SideEffect::None),
        (refused_by(403, Origin::Intermediary), Retry::Backoff, SideEffect::Unknown),
        (refused_by(404, Origin::Intermediary), Retry::Backoff, SideEffect::Unknown),
        (refused_by(405, Origin::Intermediary), Retry::Backoff, SideEffect::Unknown),
        (refused_by(409, Origin::Intermediary), Retry::Backoff, SideEffect::Unknown),
        (refused_by(410, Origin::Intermediary), Retry::Backoff, SideEffect::Unknown),
        (Error::Throttled { host: host(), retry_after: None }, Retry::Backoff, SideEffect::None),
        (
            Error::Throttled { host: host(), retry_after: wait },
            Retry::NotBefore(Duration::from_secs(9)),
            SideEffect::None,
        ),
        (broken(500, None), Retry::Backoff, SideEffect::Unknown),
        (broken(503, wait), Retry::NotBefore(Duration::from_secs(9)), SideEffect::Unknown),
        (no_answer(Cause::Refused, SideEffect::None), Retry::Backoff, SideEffect::None),
        (Error::NotSent { host: host() }, Retry::Backoff, SideEffect::None),
        (no_answer(Cause::Ended, SideEffect::Unknown), Retry::Backoff, SideEffect::Unknown),
        (
            Error::Unreadable { host: host(), what: "HTML".into(), reason: UnreadableReason::NotJson },
            Retry::Backoff,
            SideEffect::Unknown,
        ),
        (Error::Redirected { host: host(), status: 302, target: None }, Retry::Backoff, SideEffect::Unknown),
        (Error::Token, Retry::Backoff, SideEffect::None),
        (
            Error::NotFound { lookup: Lookup::Project, what: "x".into(), candidates: vec![] },
            Retry::Never,
            SideEffect::None,
        ),
        (
            no_answer(Cause::Ended, SideEffect::Unknown).into_prerequisite(SideEffect::None),
            Retry::Backoff,
            SideEffect::None,
        ),
    ];
    for (error, retry, side_effect) in table {
        assert_eq!((error.retry(), error.side_effect()), (retry, side_effect), "{error}");
    }
}

#[test]
fn errors_are_one_plain_line() {
    insta::assert_snapshot!(refused(400), @"Jira at jira:443 answered 400 to creating a ticket: no");
    insta::assert_snapshot!(refused_by(404, Origin::Intermediary), @"jira:443 answered 404 to creating a ticket: no; Jira does not answer like this, so a proxy or firewall may be in the way");
    let throttled =
        Error::Throttled { host: "jira:443".into(), retry_after: Some(Duration::from_millis(1500)) };
    insta::assert_snapshot!(throttled, @"Jira at jira:443 asks to wait 2 s");
    let missing = Error::NotFound {
        lookup: Lookup::IssueType,
        what: "issue type \"Chnage\" in project OPS".into(),
        candidates: vec![
            Suggestion { name: "Bug".into(), id: Some("10001".into()) },
            Suggestion { name: "Change".into(), id: None },
        ],
    };
    insta::assert_snapshot!(missing, @r#"Jira shows no issue type "Chnage" in project OPS; choose from: Bug (10001), Change"#);
}
