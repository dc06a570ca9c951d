//! Reading and writing issues: search, changelogs, comments, workflows, transitions.

use super::*;

#[tokio::test]
async fn a_found_issue_counts_by_its_creator_and_property() {
    let site = Site::new(|line| {
        let found = |id: &str, creator: &str, gate: &str| {
            ours(
                200,
                &json!({"id": id, "key": format!("OPS-{id}"), "fields": {
                    "creator": {"accountId": creator}, "project": {"key": "OPS"}, "issuetype": {"id": "10004"},
                },
                "properties": {"flagger-jira-bridge": {"gate": gate}}}),
            )
        };
        match line {
            "POST /rest/api/3/search/jql" => ours(
                200,
                &json!({"issues": [{"id": "1"}, {"id": "2"}, {"id": "3"}, {"id": 4}], "isLast": true}),
            ),
            "GET /rest/api/3/myself" => ours(200, &myself()),
            line if line.contains("issue/1?") => found("1", "5b10", "4f1c"),
            line if line.contains("issue/2?") => found("2", "mia", "4f1c"),
            line if line.contains("issue/3?") => found("3", "5b10", "other"),
            _ => ours(404, &no_such_issue()),
        }
    })
    .await;
    let found = site.jira(Some(Kind::Cloud)).find(&GateId("4f1c".into()), &[]).await.unwrap();
    let (id, key, project, issue_type) = ("1".into(), "OPS-1".into(), "OPS".into(), "10004".into());
    assert_eq!(found, [Ticket { id, key, project, issue_type, taken_at: None }]);
    assert_eq!(site.seen.lock().unwrap()[0].body["jql"], "labels = \"fjb-4f1c\"");
}

/// Without labels or properties, the answer would look like an issue that belongs to no gate.
#[tokio::test]
async fn an_issue_names_its_gate() {
    for (labels, properties, expected) in [
        (json!(["fjb-4f1c"]), json!({"flagger-jira-bridge": {"gate": "4f1c"}}), Some(Some("4f1c"))),
        (json!(["fjb-4f1c"]), json!({"flagger-jira-bridge": {"gate": "other"}}), Some(None)),
        (json!([]), json!({}), Some(None)),
        (json!(null), json!({"flagger-jira-bridge": {"gate": "4f1c"}}), None),
        (json!(["fjb-4f1c"]), json!(null), None),
    ] {
        let issue =
            json!({"id": "7", "key": "OPS-7", "fields": {"labels": labels}, "properties": properties});
        let site = Site::new(move |_| with(vec![("x-ausername", "b".into())], 200, &issue)).await;
        let marks = site.jira(Some(Kind::DataCenter)).marks("7").await;
        let expected =
            expected.map(|gate| Marks::Of(gate.map(|gate| GateId(gate.into())).into_iter().collect()));
        assert_eq!(marks.ok(), expected);
        assert!(site.jira(Some(Kind::DataCenter)).marks("8").await.is_err(), "another issue");
    }
    let site = Site::new(|line| match line {
        "GET /rest/api/3/myself" => bare(200, &myself()),
        _ => bare(404, &no_such_issue()),
    })
    .await;
    assert_eq!(site.jira(Some(Kind::Cloud)).marks("7").await.unwrap(), Marks::Missing);
    assert!(site.lines().last().unwrap().ends_with("/myself"), "a /myself was sent afterward");
}

/// The missing entry may be a move out of the approved status and back, by a user who may not approve.
#[tokio::test]
async fn a_changelog_that_breaks_off_proves_nothing() {
    let entry = json!({"id": 1, "created": "2026-09-27T10:03:11.123+0200",
        "items": [{"field": "status", "fieldId": "status", "from": "1", "to": "1", "toString": "To Do"}]});
    for (total, values, expected) in [
        (json!(60), json!([]), None),
        (json!(60), json!(null), None),
        (json!(null), json!([entry]), None),
        // Pages may be shorter than requested.
        (json!(2), json!([entry]), Some((1, 2))),
        (json!(0), json!([]), Some((0, 0))),
    ] {
        let page = json!({"total": total, "values": values});
        let site = Site::new(move |_| ours(200, &page)).await;
        let page = site.jira(Some(Kind::Cloud)).read_before("10042", PageBefore::End).await;
        assert_eq!(page.as_ref().ok().map(|page| (page.start, page.end)), expected, "{page:?}");
    }
    // A changelog that continues after its end, or is longer than its total, lacks entries between the known ones.
    let before = |entry, total| PageBefore::Entry { entry, total };
    for (total, is_last, before, expected) in [
        (json!(2), json!(true), PageBefore::End, Some((1, 2))),
        (json!(2), json!(false), PageBefore::End, None),
        (json!(null), json!(true), before(1, 1), Some((0, 1))),
        (json!(null), json!(false), before(1, 1), None),
        (json!(2), json!(false), before(1, 2), Some((0, 1))),
        (json!(2), json!(null), before(1, 2), Some((0, 1))),
        (json!(3), json!(false), before(1, 2), None),
        (json!(99), json!(null), before(1, 41), None),
    ] {
        let page = json!({"total": total, "isLast": is_last, "values": [entry]});
        let site = Site::new(move |_| ours(200, &page)).await;
        let page = site.jira(Some(Kind::Cloud)).read_before("10042", before).await;
        assert_eq!(page.as_ref().ok().map(|page| (page.start, page.end)), expected, "{page:?}");
    }
}

/// A proxy returns fewer entries per page than Jira does, and such a page rightly says that it is not the last.
#[tokio::test]
async fn pages_that_are_shorter_than_asked_for_are_read_from_the_end() {
    let entry = |id: usize| {
        json!({"id": id, "created": "2026-09-27T10:03:11.123+0200",
            "items": [{"field": "status", "fieldId": "status", "from": "1", "to": "2", "toString": "Done"}]})
    };
    let site = Site::new(move |line| {
        let number = |name: &str| {
            let (_, after) = line.split_once(name)?;
            after.split('&').next()?.parse::<usize>().ok()
        };
        let (start, most) = (number("startAt=").unwrap(), number("maxResults=").unwrap().min(50));
        let values: Vec<_> = (start..60).take(most).map(entry).collect();
        let is_last = start + values.len() == 60;
        ours(200, &json!({"startAt": start, "total": 60, "isLast": is_last, "values": values}))
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    let page = jira.read_before("10042", PageBefore::End).await.unwrap();
    assert_eq!((page.start, page.end, page.moves.len()), (10, 60, 50));
    let page = jira.read_before("10042", PageBefore::Entry { entry: 10, total: 60 }).await.unwrap();
    assert_eq!((page.start, page.end, page.moves.len()), (0, 10, 10));
}

/// A proxy removes the query from the URL, so that Jira returns the oldest entries instead of the requested ones.
#[tokio::test]
async fn another_part_of_a_changelog_proves_nothing() {
    let entry = |id: usize| {
        json!({"id": id, "created": "2026-09-27T10:03:11.123+0200",
            "items": [{"field": "status", "fieldId": "status", "from": "1", "to": "2", "toString": "Done"}]})
    };
    for (start, entries, expected) in [
        (json!(50), 100, Some((50, 150))),
        (json!(null), 100, Some((50, 150))),
        (json!(0), 100, None),
        (json!(null), 101, None),
    ] {
        let values: Vec<_> = (0..entries).map(entry).collect();
        let page = json!({"startAt": start, "total": 190, "values": values});
        let site = Site::new(move |_| ours(200, &page)).await;
        let page = site
            .jira(Some(Kind::Cloud))
            .read_before("10042", PageBefore::Entry { entry: 150, total: 190 })
            .await;
        assert_eq!(page.as_ref().ok().map(|page| (page.start, page.end)), expected, "{page:?}");
    }
}

#[tokio::test]
async fn a_long_changelog_is_read_from_its_end() {
    let entry = |id: usize| {
        json!({"id": id, "author": {"accountId": "mia"}, "created": "2026-09-27T10:03:11.123+0200",
            "items": [{"field": "status", "fieldId": "status", "from": "1", "to": "2"}]})
    };
    let site = Site::new(move |line| {
        let mut long = issue();
        long["changelog"] = json!({"total": 260, "histories": [entry(259)]});
        let mut broken = issue();
        (broken["id"], broken["fields"]["status"]) = (json!("7"), json!(null));
        let number = |name: &str| {
            let (_, after) = line.split_once(name)?;
            after.split('&').next()?.parse::<usize>().ok()
        };
        match (number("startAt="), number("maxResults=")) {
            // Pages of 50 at most, and one of them is too long.
            (Some(start), Some(most)) if start < 200 && most > 10 => {
                (200, vec![("content-type", "text/html".into())], "too long".into())
            }
            (Some(start), Some(most)) => {
                let entries: Vec<_> = (start..260).take(most.min(50)).map(entry).collect();
                ours(200, &json!({"total": 260, "values": entries}))
            }
            _ => ours(200, &json!({"issues": [broken, long], "issueErrors": []})),
        }
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    let seen = jira.read_many(&["10042".into(), "7".into(), "x".into()]).await.unwrap();
    assert_eq!(seen.len(), 1, "the broken one is left out");
    let reading = &seen["10042"];
    assert_eq!((reading.entries_read, reading.is_whole, reading.total), (1, false, Some(260)));
    let body = site.seen.lock().unwrap()[0].body.clone();
    assert_eq!(
        body,
        json!({"issueIdsOrKeys": ["10042", "7"], "fields": ["status", "project", "issuetype", "labels"],
            "properties": ["flagger-jira-bridge"], "expand": ["changelog"]})
    );
    let page = jira.read_before("10042", PageBefore::Entry { entry: 259, total: 260 }).await.unwrap();
    assert_eq!((page.start, page.end, page.moves.len()), (249, 259, 10));
    let ids: Vec<&str> = page.moves.iter().map(|entry| entry.changelog_id.as_str()).collect();
    assert_eq!((ids[0], ids[9]), ("249", "258"));
}

#[tokio::test]
async fn a_comment_is_written_once() {
    let written = Arc::new(Mutex::new(vec![]));
    let store = Arc::clone(&written);
    let site = Site::new(move |line| match line {
        "GET /rest/api/2/myself" => {
            with(vec![("x-ausername", "b".into())], 200, &json!({"name": "b", "key": "K1"}))
        }
        "POST /rest/api/2/issue/7/comment" => {
            store.lock().unwrap().push(json!({"id": "2", "author": {"name": "b", "key": "K1"}}));
            with(vec![("x-ausername", "b".into())], 201, &json!({"id": "2"}))
        }
        line if line.starts_with("GET /rest/api/2/comment/2/properties/flagger-jira-bridge") => {
            let value = json!({"key": "flagger-jira-bridge", "value": {"tag": "end"}});
            with(vec![("x-ausername", "b".into())], 200, &value)
        }
        _ => {
            let mut comments = vec![json!({"id": "1", "author": {"name": "mia"}})];
            comments.extend(store.lock().unwrap().clone());
            let total = comments.len();
            with(vec![("x-ausername", "b".into())], 200, &json!({"comments": comments, "total": total}))
        }
    })
    .await;
    let jira = site.jira(Some(Kind::DataCenter));
    let text = Doc(vec![crate::ticket::Block::Paragraph(vec![crate::ticket::Span::Text("{done}".into())])]);
    let error = fenced(|| false, jira.comment("7", "end", &text)).await.unwrap_err();
    assert!(matches!(error, Error::NotSent { .. }), "{error}");
    assert_eq!(written.lock().unwrap().len(), 0, "the permit had expired when the bridge wanted to write");
    jira.comment("7", "end", &text).await.unwrap();
    jira.comment("7", "end", &text).await.unwrap();
    assert_eq!(written.lock().unwrap().len(), 1);
    let posted =
        site.seen.lock().unwrap().iter().find(|seen| seen.line.starts_with("POST")).unwrap().body.clone();
    assert_eq!(posted["body"], "\\{done\\}");
    assert_eq!(posted["properties"], json!([{"key": "flagger-jira-bridge", "value": {"tag": "end"}}]));
}

#[tokio::test]
async fn a_workflow_is_found_by_type_or_the_error_names_the_others() {
    let site = Site::new(|line| match line {
        "GET /rest/api/3/project/OPS/statuses" => ours(200, &json!([
            {"id": "10004", "name": "Change", "statuses": [{"id": "1", "name": "To Do"}, {"id": 2, "name": "Approved"}]},
            {"id": "10005", "name": "Bug", "statuses": []},
        ])),
        _ => ours(404, &json!({"errorMessages": ["No project could be found"]})),
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    for wanted in ["Change", "change", "10004"] {
        let workflow = jira.workflow("OPS", wanted).await.unwrap();
        assert_eq!((workflow.issue_type_id.as_str(), workflow.statuses.len()), ("10004", 2));
        assert_eq!(workflow.other_types, ["Bug"]);
    }
    let words = [jira.workflow("OPS", "Chnage").await, jira.workflow("ops", "Change").await]
        .map(|result| result.unwrap_err().to_string());
    insta::assert_snapshot!(words.join("\n"), @r#"
    Jira shows no issue type "Chnage" in project OPS; choose from: Bug (10005), Change (10004)
    Jira shows no project "ops" to this account: is the key spelled with the right case, and may the account browse the project?
    "#);
}

#[tokio::test]
async fn a_transition_is_sent_once() {
    let site = Site::new(|line| match line {
        line if line.starts_with("POST") => (204, vec![("x-aaccountid", "5b10".into())], String::new()),
        line if line.contains("transitions") => ours(
            200,
            &json!({"transitions": [{"id": "31", "name": "Go", "to": {"id": "6", "name": "Done"}}]}),
        ),
        _ => ours(200, &issue()),
    })
    .await;
    let jira = site.jira(Some(Kind::Cloud));
    let moved = jira.transition("7", "Done", &Map::new()).await.unwrap();
    assert_eq!(moved, TransitionOutcome::Moved { skipped_fields: vec![] });
    assert_eq!(jira.transition("7", "to do", &Map::new()).await.unwrap(), TransitionOutcome::AlreadyThere);
    let nowhere = jira.transition("7", "Gone", &Map::new()).await.unwrap();
    assert_eq!(nowhere, TransitionOutcome::NoPath { reachable: vec!["Done".into()] });
    let posted: Vec<_> =
        site.seen.lock().unwrap().iter().filter(|seen| seen.line.starts_with("POST")).cloned().collect();
    assert_eq!(posted.len(), 1);
    assert_eq!(posted[0].body, json!({"transition": {"id": "31"}}));
}
