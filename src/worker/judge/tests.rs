//! Whether a person's move counts, with a fake Jira of either kind.

use std::{sync::Arc, time::Duration};

use fake_jira::{AUTOMATION, BOB, BRIDGE, FakeJira, Fault, Flavour, MIA, Operation, Setup, Times};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock,
    config,
    database::Database,
    millis::Millis,
    serve::Bridge,
    worker::lookups::{Lookups, MEMBERSHIP_TTL, PERSON_TTL},
};

const BOTH: [Flavour; 2] = [Flavour::Cloud, Flavour::DataCenter];

/// A worker that never runs, and a Jira in which Mia is in the group `cab`.
struct Site {
    jira: FakeJira,
    clock: Clock,
    flavour: Flavour,
    context: Arc<Context>,
    lookups: Lookups,
    base: Route,
    _home: (TempDir, Database),
}

impl Site {
    async fn start(flavour: Flavour) -> Self {
        let clock = Clock::manual(Millis(1_800_000_000_000));
        let jira = FakeJira::new(Setup::new(flavour, clock.clone()));
        jira.add_group("cab", &[MIA]);
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let user = match flavour {
            Flavour::Cloud => "jira.user = \"bridge@example.com\"\n",
            Flavour::DataCenter => "",
        };
        let settings = format!(
            "jira.url = \"{}\"\njira.token = \"jira-token\"\n{user}jira.requests_per_second = 1000\njira.burst = 1000\n\
             store.url = \"{}\"\nticket.project = \"OPS\"\n",
            jira.start().await.unwrap(),
            database.url,
        );
        let file = directory.path().join("config.toml");
        std::fs::write(&file, settings).unwrap();
        let config = config::load(&file, std::iter::empty()).unwrap();
        let base = config.policy.base.clone();
        let bridge = Bridge::new(config, clock.clone()).unwrap();
        let worker = bridge.open(&CancellationToken::new()).await.unwrap().unwrap();
        let (context, lookups) = (Arc::clone(&worker.context), Lookups::new(worker.context));
        Self { jira, clock, flavour, context, lookups, base, _home: (directory, database) }
    }

    /// A person as the changelog names them: Mia, Bob, the bridge, or an app.
    fn person(&self, account_id: &str) -> Person {
        let (user_name, name, app) = match account_id {
            MIA => ("mia", "Mia Change", false),
            BOB => ("bob", "Bob Builder", false),
            BRIDGE => ("flagger-bridge", "Flagger Bridge", false),
            _ => ("automation", "Automation", true),
        };
        let id = match self.flavour {
            Flavour::Cloud => account_id,
            Flavour::DataCenter => user_name,
        };
        Person { id: id.into(), name: name.into(), app }
    }

    async fn judge(&self, account_id: &str, approvers: &[&str], deny: &[&str]) -> Author {
        let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        let mut route = self.base.clone();
        route.approval.approvers = list(approvers);
        self.judge_by(&route, &list(deny), &self.person(account_id)).await
    }

    /// Each call is a round of its own.
    async fn judge_by(&self, route: &Route, deny: &[String], person: &Person) -> Author {
        judge(&self.context, &mut self.lookups.round(), route, deny, "OPS", person).await
    }

    /// The result of `judge` as text, with the reason.
    async fn says(&self, account_id: &str, approvers: &[&str], deny: &[&str]) -> String {
        match self.judge(account_id, approvers, deny).await {
            Author::Accepted => "accepted".into(),
            Author::NotAccepted { why } => format!("not accepted: {why}"),
            Author::NoDecision => "not judged".to_owned(),
            Author::Unknown { why } => format!("unknown: {why}"),
        }
    }

    /// The requests that Jira received since the last call.
    fn asked(&self) -> Vec<Operation> {
        let asked = self.jira.requests().iter().map(|request| request.operation).collect();
        self.jira.clear_requests();
        assert_eq!(self.jira.complaints(), [""; 0]);
        asked
    }

    /// Makes the bridge look up the kind of Jira and its own account.
    async fn warm(&self) {
        assert_eq!(self.judge(MIA, &[], &[]).await, Author::Accepted);
        self.asked();
    }
}

fn accepted(said: &str) -> bool {
    said == "accepted"
}

#[tokio::test]
async fn without_a_list_any_person_counts_and_nothing_else() {
    for flavour in BOTH {
        let site = Site::start(flavour).await;
        assert_eq!(site.judge(MIA, &[], &[]).await, Author::Accepted);
        site.asked();
        for (who, says) in [
            (
                BRIDGE,
                "not accepted: Flagger Bridge is the bridge's own account, which counts only if approval.approvers lists it",
            ),
            (
                AUTOMATION,
                "not accepted: Automation is an app, or not a person according to Jira, which counts only if approval.approvers lists it",
            ),
        ] {
            assert_eq!(site.says(who, &[], &[]).await, says);
        }
        let anonymous = Person { id: String::new(), name: "anonymous".into(), app: true };
        let judged = site.judge_by(&site.base, &[], &anonymous).await;
        assert_eq!(judged, Author::NotAccepted { why: "Jira does not say who it was".into() });
        assert_eq!(site.asked(), []);
    }
}

#[tokio::test]
async fn approvers_are_accounts_groups_and_roles() {
    for flavour in BOTH {
        let site = Site::start(flavour).await;
        site.jira.add_to_role("OPS", "Change Manager", &[MIA], &[]);
        site.jira.add_to_role("OPS", "Board", &[], &["cab"]);
        site.jira.add_to_role("PAY", "Payer", &[MIA], &[]);
        let own = site.person(MIA).id.to_uppercase();
        for entry in [
            own.as_str(),
            "group:cab",
            "group: CAB",
            "role:Change Manager",
            "role:change manager",
            "role:Board",
        ] {
            assert!(accepted(&site.says(MIA, &["nobody", entry], &[]).await), "{entry}");
            let why = "not accepted: Bob Builder is not among the approvers of this gate";
            assert_eq!(site.says(BOB, &[entry], &[]).await, why, "{entry}");
        }
        // A role of another project does not count, and neither does a full name.
        let said = site.says(MIA, &["role:Payer"], &[]).await;
        assert!(said.starts_with("unknown: ") && said.contains("role \"Payer\" in project OPS"), "{said}");
        assert!(said.contains("approval.approvers: "), "{said}");
        assert!(said.contains("Change Manager"), "it lists the roles that exist: {said}");
        assert!(site.says(MIA, &["Mia Change"], &[]).await.starts_with("not accepted"));
        // A machine account counts if it is listed itself, not as a member of a group.
        for (who, name) in [(BRIDGE, "flagger-bridge"), (AUTOMATION, "automation")] {
            site.jira.add_group("robots", &[name]);
            site.clock.advance(MEMBERSHIP_TTL);
            assert!(!accepted(&site.says(who, &["group:robots"], &[]).await));
            assert!(accepted(&site.says(who, &[&site.person(who).id], &[]).await));
        }
        site.asked();
    }
}

#[tokio::test]
async fn an_email_names_the_account_that_shows_it() {
    let own = Site::start(Flavour::DataCenter).await;
    assert!(accepted(&own.says(MIA, &["MIA@example.com"], &[]).await));
    assert!(own.says(BOB, &["mia@example.com"], &[]).await.starts_with("not accepted"));
    // Cloud hides addresses: whether the entry names Mia stays unknown, and Bob is refused.
    let cloud = Site::start(Flavour::Cloud).await;
    let judged = [
        cloud.says(MIA, &["mia@example.com"], &[]).await,
        cloud.says(BOB, &["mia@example.com"], &[]).await,
        cloud.says(MIA, &["left@example.com"], &[]).await,
        cloud.says(MIA, &["left@example.com", MIA], &[]).await,
        cloud.says(MIA, &[], &["mia@example.com"]).await,
        cloud.says(BOB, &[], &["mia@example.com"]).await,
    ];
    insta::assert_snapshot!(judged.join("\n"), @r#"
    unknown: the bridge cannot tell whether Mia Change is an approver: approval.approvers: Jira does not show whether "mia@example.com" is the e-mail of Mia Change (5b10ac8d82e05b22cc7d4e01); put account ids or user names there
    not accepted: Bob Builder is not among the approvers of this gate
    unknown: the bridge cannot tell whether Mia Change is an approver: approval.approvers: Jira shows no account for "left@example.com"; put account ids or user names there
    accepted
    unknown: the bridge cannot tell whether Mia Change is ruled out: approval.deny: Jira does not show whether "mia@example.com" is the e-mail of Mia Change (5b10ac8d82e05b22cc7d4e01); put account ids or user names there
    accepted
    "#);
    own.asked();
    cloud.asked();
}

#[tokio::test]
async fn a_user_name_that_equals_the_email_of_another_names_neither() {
    let site = Site::start(Flavour::DataCenter).await;
    let eve = fake_jira::Person {
        email: "eve@example.com".into(),
        ..fake_jira::Person::new("5b10ac8d82e05b22cc7d4e66", "mia@example.com", "Eve")
    };
    site.jira.add_user(eve);
    let eve = Person { id: "mia@example.com".into(), name: "Eve".into(), app: false };
    let mut route = site.base.clone();
    route.approval.approvers = vec!["mia@example.com".into()];
    for person in [&eve, &site.person(MIA)] {
        let judged = site.judge_by(&route, &[], person).await;
        let Author::Unknown { why } = judged else { panic!("{judged:?}") };
        assert!(why.ends_with("approval.approvers: \"mia@example.com\" names several accounts; put account ids or user names there"), "{why}");
    }
    let judged = site.judge_by(&route, &[], &site.person(BOB)).await;
    assert!(matches!(judged, Author::NotAccepted { .. }), "{judged:?}");
}

#[tokio::test]
async fn deny_wins_and_each_entry_must_name_an_account() {
    for flavour in BOTH {
        let site = Site::start(flavour).await;
        let mia = site.person(MIA).id;
        for entry in [mia.as_str(), "group:cab"] {
            let said = site.says(MIA, &[&mia], &["group:nobody", entry]).await;
            assert_eq!(said, format!("not accepted: Mia Change is ruled out by {entry:?} in approval.deny"));
            assert!(accepted(&site.says(BOB, &[], &[entry]).await), "{entry}");
        }
        let empty = site.says(BOB, &[], &["group:cab", ""]).await;
        assert_eq!(
            empty,
            "not accepted: an entry of approval.deny was empty at a question of this rollout, so this gate stays closed for \
             this rollout; correct the metadata that its hook sends, and roll out again"
        );
        // Otherwise a Git author's name as an entry would not rule out the author.
        let name = site.says(MIA, &[], &["Mia Change"]).await;
        assert_eq!(
            name,
            "unknown: the bridge cannot tell whether Mia Change is ruled out: approval.deny: Jira shows no account for \
             \"Mia Change\"; put account ids or user names there"
        );
        site.asked();
    }
}

#[tokio::test]
async fn a_route_names_its_own_keys() {
    let mut site = Site::start(Flavour::Cloud).await;
    site.base.key = "routes[1]".into();
    let said = site.says(MIA, &["x@example.com"], &[]).await;
    assert!(said.contains(": routes[1].approval.approvers: "), "{said}");
    let said = site.says(MIA, &[], &["x@example.com"]).await;
    assert!(said.contains(": routes[1].approval.deny: "), "{said}");
}

#[tokio::test]
async fn a_lookup_that_fails_is_unknown_until_it_works() {
    for flavour in BOTH {
        let site = Site::start(flavour).await;
        site.jira.add_to_role("OPS", "Board", &[], &["cab"]);
        site.jira.add_group("other", &[]);
        site.warm().await;
        let broken = Fault::Status { code: 500, retry_after: None, body: "{}".into() };
        let groups = match flavour {
            Flavour::Cloud => Operation::UserGroups,
            Flavour::DataCenter => Operation::User,
        };
        for (operation, approvers, deny) in [
            (groups, &["group:cab"][..], &[][..]),
            (groups, &[], &["group:other"]),
            (Operation::GroupPicker, &[], &["group:other"]),
            (groups, &["role:Board"], &[]),
            (Operation::ProjectRoles, &["role:Board"], &[]),
            (Operation::ProjectRole, &["role:Board"], &[]),
            (Operation::UserSearch, &["mia@example.com"], &[]),
        ] {
            site.jira.fault(operation, broken.clone(), Times::Always);
            site.clock.advance(PERSON_TTL);
            for who in [MIA, BOB] {
                let said = site.says(who, approvers, deny).await;
                assert!(
                    said.starts_with("unknown: ") && said.contains("answered 500"),
                    "{operation:?} {said}"
                );
            }
            site.jira.clear_faults();
            let said = site.says(MIA, approvers, deny).await;
            let hidden = operation == Operation::UserSearch && flavour == Flavour::Cloud;
            assert!(accepted(&said) != hidden && !said.contains("answered 500"), "{operation:?}: {said}");
            let bob = site.says(BOB, approvers, deny).await;
            assert_eq!(accepted(&bob), approvers.is_empty(), "{operation:?}: {bob}");
        }
        // If the bridge's own account is unknown, the result is unknown, too.
        let site = Site::start(flavour).await;
        site.jira.fault(Operation::Any, broken, Times::Always);
        let said = site.says(MIA, &[], &[]).await;
        assert!(said.starts_with("unknown: the bridge cannot find out its own account: "), "{said}");
        site.jira.clear_faults();
        assert!(accepted(&site.says(MIA, &[], &[]).await));
    }
}

#[tokio::test]
async fn answers_are_cached_for_a_while() {
    for flavour in BOTH {
        let site = Site::start(flavour).await;
        site.jira.add_to_role("OPS", "Board", &[], &["cab"]);
        site.jira.add_group("other", &[]);
        site.warm().await;
        let list = ["bob@example.com", "role:Board"];
        for _ in 0..3 {
            assert!(accepted(&site.says(MIA, &list, &["group:other"]).await));
        }
        assert_eq!(site.asked().len(), 5, "groups, one by name, an e-mail, the roles and one of them");
        // A person who was removed from the group does not count for long.
        site.jira.add_group("cab", &[BOB]);
        site.clock.advance(MEMBERSHIP_TTL - Duration::from_millis(1));
        assert!(accepted(&site.says(MIA, &list, &[]).await));
        assert_eq!(site.asked(), []);
        site.clock.advance(Duration::from_millis(1));
        assert!(!accepted(&site.says(MIA, &list, &[]).await));
        let asked = site.asked();
        // Cloud shows no e-mail, so the bridge looks that one up again, too.
        assert_eq!(asked.len(), if flavour == Flavour::Cloud { 4 } else { 3 }, "{asked:?}");
        site.clock.advance(PERSON_TTL);
        assert!(!accepted(&site.says(MIA, &list, &[]).await));
        assert_eq!(site.asked().len(), 4);
    }
}

#[tokio::test]
async fn nothing_is_looked_up_that_no_list_needs() {
    for flavour in BOTH {
        let site = Site::start(flavour).await;
        site.warm().await;
        let mia = site.person(MIA).id;
        assert!(accepted(&site.says(MIA, &["someone", &mia, "group:cab"], &[]).await));
        assert!(!accepted(&site.says(MIA, &["group:cab"], &[&mia]).await));
        assert!(!accepted(&site.says(BOB, &[&mia], &[]).await));
        assert_eq!(site.asked(), []);
    }
}

#[test]
fn a_name_that_a_person_chose_is_no_email() {
    let account = |id: &str, name: &str| Account { id: id.into(), name: name.into(), key: None };
    let (mia, max) = (account("5b1", "Mia Change"), account("5b2", "MIA@x.example"));
    for (accounts, by_name) in [
        (vec![max.clone()], true),
        (vec![account("mia@x.example", "Mia")], true),
        (vec![mia.clone()], false),
        (vec![max, mia], false),
    ] {
        assert_eq!(found_by_name(&accounts, "mia@x.example"), by_name, "{accounts:?}");
    }
}
