//! The requests of `check` and of approval policies, against the fake Jira of either kind.

use fake_jira::{BOB, FakeJira, Fault, Field as Shown, Flavour, MIA, Operation, Shape, Times};

use super::*;

const BOTH: [Flavour; 2] = [Flavour::Cloud, Flavour::DataCenter];

/// A fake Jira, and a client that has to ask for its kind.
async fn pair(flavour: Flavour) -> (FakeJira, Jira) {
    let clock = Clock::manual(Millis(1_800_000_000_000));
    let fake = FakeJira::new(fake_jira::Setup::new(flavour, clock.clone()));
    let settings = settings(&fake.start().await.unwrap(), None);
    let user = Some("bridge@example.com").filter(|_| flavour == Flavour::Cloud);
    let settings = Settings { login: token(user, "jira-token"), ..settings };
    (fake, Jira::new(settings, unobserved(), clock).unwrap())
}

fn names(groups: &[Group]) -> Vec<&str> {
    groups.iter().map(|group| group.name.as_str()).collect()
}

#[tokio::test]
async fn the_first_request_finds_out_the_kind() {
    for (flavour, kind) in BOTH.into_iter().zip([Kind::Cloud, Kind::DataCenter]) {
        let (fake, jira) = pair(flavour).await;
        assert_eq!(jira.myself().await.unwrap().name, "Flagger Bridge");
        let server = jira.server().await.unwrap();
        assert_eq!((server.kind, server.title.as_deref()), (kind, Some("Jira")));
        let asked: Vec<_> = fake.requests().iter().map(|request| request.operation).collect();
        assert_eq!(asked, [Operation::ServerInfo, Operation::Myself, Operation::ServerInfo]);
        assert_eq!(fake.complaints(), [""; 0]);
    }
}

#[tokio::test]
async fn a_workflow_is_found_by_the_name_or_id_of_its_type() {
    for flavour in BOTH {
        let (fake, jira) = pair(flavour).await;
        let found = jira.workflow("OPS", "change").await.unwrap();
        assert_eq!(
            (found.issue_type_name.as_str(), found.other_types.as_slice()),
            ("Change", &["Task".into()][..])
        );
        assert!(found.statuses.iter().any(|status| status.id == "10007" && status.name == "Approved"));
        assert_eq!(jira.workflow("OPS", &found.issue_type_id).await.unwrap(), found);
        // The account's language changes nothing.
        fake.set_translated(true);
        assert_eq!(jira.workflow("OPS", "Change").await.unwrap(), found);
        for (project, issue_type, expected) in [
            ("NOPE", "Change", Lookup::Project),
            ("ops", "Change", Lookup::Project),
            ("OPS", "Bug", Lookup::IssueType),
        ] {
            let error = jira.workflow(project, issue_type).await.unwrap_err();
            assert!(matches!(error, Error::NotFound { lookup, .. } if lookup == expected), "{error}");
        }
    }
}

#[tokio::test]
async fn permissions_are_reported_one_by_one() {
    for flavour in BOTH {
        let (fake, jira) = pair(flavour).await;
        fake.revoke("OPS", &["ADD_COMMENTS", "DELETE_ISSUES"]);
        let permissions = jira.permissions("OPS").await.unwrap();
        assert_eq!(permissions.keys().copied().collect::<std::collections::BTreeSet<_>>(), NEEDED.into());
        let lacking: Vec<_> = permissions.iter().filter(|(_, have)| !**have).map(|(name, _)| *name).collect();
        assert_eq!(lacking, ["ADD_COMMENTS"]);
        assert!(jira.permissions("PAY").await.unwrap().values().all(|have| *have));
        let error = jira.permissions("NOPE").await.unwrap_err();
        assert!(matches!(error, Error::Refused { status: 404, .. }), "{error}");
        assert_eq!(fake.complaints(), [""; 0]);
    }
}

#[tokio::test]
async fn permissions_of_an_anonymous_caller_do_not_count() {
    let (fake, jira) = pair(Flavour::Cloud).await;
    fake.fault(Operation::MyPermissions, Fault::Anonymous, Times::Once);
    let error = jira.permissions("OPS").await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn all_pages_of_a_create_screen_are_read() {
    for flavour in BOTH {
        let (fake, jira) = pair(flavour).await;
        fake.add_create_field(
            "OPS",
            "Change",
            Shown::required("customfield_10010", "Change risk", Shape::Text),
        );
        fake.set_page_size(3);
        let id = jira.workflow("OPS", "Change").await.unwrap().issue_type_id;
        let fields = jira.create_fields("OPS", &id).await.unwrap();
        let ids: Vec<_> = fields.iter().map(|field| field.id.as_str()).collect();
        let expected =
            ["project", "issuetype", "summary", "reporter", "description", "labels", "customfield_10010"];
        assert_eq!(ids, expected);
        let risk = Field {
            id: "customfield_10010".into(),
            name: "Change risk".into(),
            required: true,
            has_default: false,
            shape: crate::jira::Shape::Text,
            allowed: vec![],
        };
        assert_eq!(fields[6], risk);
        assert!(fields[3].required && fields[3].has_default);
        assert_eq!(fake.requests().iter().filter(|r| r.operation == Operation::CreateMetaFields).count(), 3);
        fake.revoke("OPS", &["CREATE_ISSUES"]);
        assert_eq!(jira.create_fields("OPS", &id).await.unwrap(), []);
        assert_eq!(fake.complaints(), [""; 0]);
    }
}

#[tokio::test]
async fn people_are_found_only_by_unique_names() {
    let (fake, cloud) = pair(Flavour::Cloud).await;
    let found = cloud.people(MIA).await.unwrap();
    assert!(
        matches!(found.named.as_slice(), [mia] if mia.id == MIA && mia.name == "Mia Change"),
        "{found:?}"
    );
    // Jira finds her but does not show her e-mail: the words may be part of the full name that she chose.
    let found = cloud.people("mia@example.com").await.unwrap();
    assert!(
        matches!((&found.named[..], &found.more_may_match[..]), ([], [mia]) if mia.id == MIA),
        "{found:?}"
    );
    for unknown in ["nobody@example.com", "Mia Change"] {
        assert_eq!(cloud.people(unknown).await.unwrap(), People::default(), "{unknown}");
    }
    assert_eq!(fake.complaints(), [""; 0]);
    let (fake, own) = pair(Flavour::DataCenter).await;
    for words in ["mia", "MIA@example.com"] {
        let found = own.people(words).await.unwrap();
        assert!(
            matches!(found.named.as_slice(), [mia] if mia.id == "mia" && mia.key.is_some()),
            "{words}: {found:?}"
        );
    }
    assert_eq!(own.people("mi").await.unwrap(), People::default());
    assert_eq!(fake.complaints(), [""; 0]);
}

#[tokio::test]
async fn an_account_has_its_groups() {
    for (flavour, mia) in BOTH.into_iter().zip([MIA, "mia"]) {
        let (fake, jira) = pair(flavour).await;
        fake.add_group("cab", &[MIA]);
        fake.add_group("devs", &[BOB]);
        let groups = jira.groups(mia).await.unwrap();
        assert_eq!(names(&groups), ["jira-users", "cab"]);
        assert!(groups.iter().all(|group| group.id.is_some() == (flavour == Flavour::Cloud)));
        let (called, all) = jira.groups_matching("CA").await.unwrap();
        assert_eq!((names(&called), all), (vec!["cab"], true));
        let error = jira.groups("nobody").await.unwrap_err();
        assert!(matches!(error, Error::Refused { status: 404, .. }), "{error}");
        assert_eq!(fake.complaints(), [""; 0]);
    }
}

#[tokio::test]
async fn a_role_has_people_and_groups() {
    for (flavour, mia) in BOTH.into_iter().zip([MIA, "mia"]) {
        let (fake, jira) = pair(flavour).await;
        fake.add_group("cab", &[BOB]);
        fake.add_to_role("OPS", "Approvers", &[MIA], &["cab"]);
        let role = jira.role("OPS", " approvers").await.unwrap();
        assert_eq!((role.people.as_slice(), names(&role.groups)), (&[mia.to_owned()][..], vec!["cab"]));
        let error = jira.role("OPS", "Aprovers").await.unwrap_err();
        let Error::NotFound { lookup: Lookup::Role, candidates, .. } = &error else { panic!("{error}") };
        assert!(candidates.iter().any(|one| one.name == "Approvers"), "{error}");
        assert_eq!(fake.complaints(), [""; 0]);
    }
}
