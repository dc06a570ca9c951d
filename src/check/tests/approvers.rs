//! The findings about `approvers` and `deny`.

use fake_jira::Person;

use super::*;

/// The lines about `approvers` and `deny`.
fn about_people(output: &str) -> String {
    let people = |line: &&str| line.contains("approvers ") || line.contains("deny ");
    output.lines().filter(people).map(|line| format!("{line}\n")).collect()
}

/// A rate limit so high that no request waits.
const NO_RATE_LIMIT: [(&str, &str); 2] =
    [("BRIDGE__JIRA__REQUESTS_PER_SECOND", "1000"), ("BRIDGE__JIRA__BURST", "1000")];

const PEOPLE: &str = r#"
[approval]
approvers = ["mia", "5b10ac8d82e05b22cc7d4e01", "mia@example.com", "left@example.com", "role:Board", "group:CAB", "group:ca"]
deny = ["Bob Builder", "{{ metadata.author }}", "role:Administrators", "group:nobody"]
[[routes]]
match = { namespace = "same" }
[[routes]]
match = { namespace = "pay" }
ticket = { project = "PAY" }
[[routes]]
match = { namespace = "more" }
approval = { approvers = ["role:Bord", "role:Empty", "bob"], deny = [] }
"#;

#[tokio::test]
async fn approvers_are_looked_up() {
    let mut outputs = vec![];
    for (flavour, text) in [(Flavour::Cloud, CLOUD.to_owned()), (Flavour::DataCenter, data_center(CLOUD))] {
        let fake = fake(flavour);
        fake.add_group("cab", &["mia"]);
        fake.add_to_role("OPS", "Board", &[], &["cab"]);
        fake.add_to_role("OPS", "Empty", &[], &[]);
        let text = text + PEOPLE;
        let (output, failed) = run(&fake, &text, &NO_RATE_LIMIT).await;
        assert!(failed);
        outputs.push(about_people(&output));
        // If nothing can be looked up, the finding of each entry says so.
        fake.fault(
            Operation::User,
            Fault::Status { code: 403, retry_after: None, body: "{}".into() },
            Times::Always,
        );
        let (output, _) = run(&fake, &text, &NO_RATE_LIMIT).await;
        let refused =
            output.lines().filter(|line| line.contains("Browse users and groups") && line.contains("403"));
        assert!(refused.count() >= 3, "{output}");
        fake.set_token("another");
        let (output, _) = run(&fake, &text, &NO_RATE_LIMIT).await;
        let line = "warn  approval                  approvers and deny were not checked: Jira has to let the bridge in first";
        assert!(output.contains(line), "{output}");
    }
    insta::assert_snapshot!(outputs.join("\n"), @r#"
    FAIL  approval.approvers                  Jira knows no account "mia"; put an account id, an e-mail, a user name, group:NAME or role:NAME there
    ok    approval.approvers                  "5b10ac8d82e05b22cc7d4e01" is Mia Change (5b10ac8d82e05b22cc7d4e01)
    FAIL  approval.approvers                  Jira does not show which account has the e-mail "mia@example.com"; put the account id there: Mia Change (5b10ac8d82e05b22cc7d4e01)?
    FAIL  approval.approvers                  Jira shows no account with the e-mail "left@example.com"; put an account id there. To see any e-mail, the bridge's account needs the global permission "Browse users and groups"
    ok    approval.approvers                  the role "Board" is there in OPS
    ok    approval.approvers                  the group "CAB" is there
    FAIL  approval.approvers                  Jira shows no group "ca"; spell it as Jira does; did you mean "cab"?
    FAIL  approval.deny                       Jira knows no account "Bob Builder"; put an account id, an e-mail, a user name, group:NAME or role:NAME there
    ok    approval.deny                       "{{ metadata.author }}" is filled in for each question; where it comes out empty, the gate stays closed
    ok    approval.deny                       the role "Administrators" is there in OPS
    FAIL  approval.deny                       Jira shows no group "nobody"; spell it as Jira does, or the bridge's account needs the global permission "Browse users and groups"
    FAIL  routes[1].approval.approvers        PAY has no role "Board"; choose from: Administrators, Developers
    ok    routes[1].approval.deny             the role "Administrators" is there in PAY
    FAIL  routes[2].approval.approvers        OPS has no role "Bord"; choose from: Administrators, Board, Developers, Empty; did you mean "Board"?
    warn  routes[2].approval.approvers        the role "Empty" has no members in OPS
    FAIL  routes[2].approval.approvers        Jira knows no account "bob"; put an account id, an e-mail, a user name, group:NAME or role:NAME there

    ok    approval.approvers                  "mia" is Mia Change (mia)
    FAIL  approval.approvers                  Jira knows no account "5b10ac8d82e05b22cc7d4e01"; put an account id, an e-mail, a user name, group:NAME or role:NAME there
    ok    approval.approvers                  "mia@example.com" is Mia Change (mia)
    FAIL  approval.approvers                  Jira shows no account with the e-mail "left@example.com"; put an account id there. To see any e-mail, the bridge's account needs the global permission "Browse users and groups"
    ok    approval.approvers                  the role "Board" is there in OPS
    ok    approval.approvers                  the group "CAB" is there
    FAIL  approval.approvers                  Jira shows no group "ca"; spell it as Jira does; did you mean "cab"?
    FAIL  approval.deny                       Jira knows no account "Bob Builder"; put an account id, an e-mail, a user name, group:NAME or role:NAME there
    ok    approval.deny                       "{{ metadata.author }}" is filled in for each question; where it comes out empty, the gate stays closed
    ok    approval.deny                       the role "Administrators" is there in OPS
    FAIL  approval.deny                       Jira shows no group "nobody"; spell it as Jira does, or the bridge's account needs the global permission "Browse users and groups"
    FAIL  routes[1].approval.approvers        PAY has no role "Board"; choose from: Administrators, Developers
    ok    routes[1].approval.deny             the role "Administrators" is there in PAY
    FAIL  routes[2].approval.approvers        OPS has no role "Bord"; choose from: Administrators, Board, Developers, Empty; did you mean "Board"?
    warn  routes[2].approval.approvers        the role "Empty" has no members in OPS
    ok    routes[2].approval.approvers        "bob" is Bob Builder (bob)
    "#);
}

#[tokio::test]
async fn an_email_of_several_accounts_is_ambiguous() {
    let fake = fake(Flavour::DataCenter);
    let eve =
        Person { email: "mia@example.com".into(), ..Person::new("5b10ac8d82e05b22cc7d4e66", "eve", "Eve") };
    fake.add_user(eve);
    let text = data_center(CLOUD) + "[approval]\napprovers = [\"mia@example.com\"]\n";
    let (output, failed) = run(&fake, &text, &NO_RATE_LIMIT).await;
    assert!(failed);
    let line =
        "\"mia@example.com\" names several accounts; put the id of one there: Mia Change (mia) or Eve (eve)";
    assert!(output.contains(line), "{output}");
}
