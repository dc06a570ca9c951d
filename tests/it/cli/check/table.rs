//! The mistakes that `check` must find.

use super::*;

/// The address at which the program expects Jira.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The right one.
    Plain,
    /// The right one; Jira accepts passwords as well.
    Password,
    /// The root, while Jira is under `/jira`.
    Context,
    /// A TLS server with a certificate of an unknown authority.
    Tls,
    /// A port without a listener.
    Nowhere,
}

/// A mistake.
pub(super) struct Case {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) flavour: Flavour,
    pub(super) reach: Reach,
    /// Lines of the configuration; see [`with_mistake`].
    pub(super) config: &'static str,
    pub(super) jira: fn(&FakeJira),
    /// The bridge's account has an OAuth client.
    pub(super) oauth: bool,
}

fn case(section: &'static str, name: &'static str, config: &'static str) -> Case {
    Case { section, name, flavour: Flavour::Cloud, reach: Reach::Plain, config, jira: |_| {}, oauth: false }
}

impl Case {
    fn at(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    fn data_center(self) -> Self {
        Self { flavour: Flavour::DataCenter, ..self }
    }

    fn with(self, jira: fn(&FakeJira)) -> Self {
        Self { jira, ..self }
    }
}

impl Case {
    fn with_client(self, jira: fn(&FakeJira)) -> Self {
        Self { jira, oauth: true, ..self }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = reaching();
    all.extend(credentials());
    all.extend(projects());
    all.extend(fields());
    all.extend(statuses());
    all.extend(moves());
    all.extend(people());
    all.extend(schedule());
    all.extend(channels());
    all.extend(elsewhere());
    all
}

/// An answer of a proxy, without the account header.
fn says(code: u16, media: &'static str, body: &str) -> Fault {
    Fault::Says { code, media, headers: vec![], body: body.to_owned() }
}

/// An answer of Jira itself, with the account header.
fn refuses(code: u16, body: &str) -> Fault {
    let headers = ["X-AAccountId", "X-AUSERNAME"].map(|name| (name, "flagger-bridge".to_owned()));
    Fault::Says { code, media: "application/json", headers: headers.into(), body: body.to_owned() }
}

fn reaching() -> Vec<Case> {
    let case = |name, config| case("Reaching Jira", name, config);
    vec![
        case("Nothing listens there", "").at(Reach::Nowhere),
        case("The name of the host is not known", "jira.url = \"http://jira.invalid\""),
        case("https:// for a server without TLS", "jira.url = \"https://HOST\""),
        case("A certificate of an unknown authority", "").at(Reach::Tls),
        case("The file with the authority holds no certificate", "jira.ca_file = \"a-letter\""),
        case("The file with the authority does not exist", "jira.ca_file = \"./ca.pem\""),
        case("A log-in page answers instead of Jira", "")
            .with(|jira| jira.fault(Operation::ServerInfo, Fault::Html, Times::Always)),
        case("Single sign-on redirects to its log-in page", "")
            .with(|jira| jira.fault(Operation::ServerInfo, Fault::Redirect, Times::Always)),
        case("The address of a page was pasted", "jira.url = \"URL/browse/OPS-1\"").data_center(),
        case(
            "The address of a page of Cloud was pasted",
            "jira.url = \"https://example.atlassian.net/jira/software/c/projects/OPS/boards/1\"",
        ),
        case("The address of the API was pasted", "jira.url = \"URL/jira/rest/api/2\"").data_center(),
        case("The context path is missing", "").data_center().at(Reach::Context),
        case("The wrong kind, for Cloud", "jira.kind = \"data-center\""),
        case(
            "The wrong kind, for Data Center",
            "jira.kind = \"cloud\"\njira.user = \"flagger-bridge\"\njira.token = \"the-swordfish-password\"",
        )
        .data_center()
        .at(Reach::Password),
        case("Jira asks to wait (429)", "").with(|jira| {
            let fault = Fault::TooMany { retry_after: Some("7".into()) };
            jira.fault(Operation::ProjectStatuses, fault, Times::Always);
        }),
        case("Jira asks to wait while it looks for an example", "").with(|jira| {
            let fault = Fault::TooMany { retry_after: Some("7".into()) };
            jira.fault(Operation::Search, fault, Times::Always);
        }),
        case("A proxy answers instead of Jira", "").with(|jira| {
            jira.fault(Operation::ProjectStatuses, says(404, "text/html", "<html>"), Times::Always);
        }),
        case("A proxy lets only a part of the API pass", "").with(|jira| {
            jira.fault(Operation::Myself, says(404, "text/html", "<html>"), Times::Always);
        }),
        case("Tickets cannot be read a hundred at a time", "").with(|jira| {
            let body = r#"{"errorMessages":["Invalid request payload"],"errors":{}}"#;
            jira.fault(Operation::BulkFetch, refuses(400, body), Times::Always);
        }),
        case("Tickets cannot be read a hundred at a time, and a firewall says so", "").with(|jira| {
            jira.add_issue("OPS", "Change", "To Do", "mia").unwrap();
            jira.fault(Operation::BulkFetch, says(403, "text/html", "<html>"), Times::Always);
        }),
        case("A history cannot be read by itself", "").with(|jira| {
            jira.add_issue("OPS", "Change", "To Do", "mia").unwrap();
            let body = r#"{"errorMessages":["Invalid request payload"],"errors":{}}"#;
            jira.fault(Operation::Changelog, refuses(400, body), Times::Always);
        }),
        case("The search is refused, on Data Center", "").data_center().with(|jira| {
            let body = r#"{"errorMessages":["Invalid request payload"],"errors":{}}"#;
            jira.fault(Operation::Search, refuses(400, body), Times::Always);
        }),
        case("Jira is being restarted (503)", "").with(|jira| {
            let fault = Fault::Status { code: 503, retry_after: None, body: "<html>".into() };
            jira.fault(Operation::ServerInfo, fault, Times::Always);
        }),
        case("The clock of this machine is off", "").with(|jira| jira.set_date_skew(-7_250_000)),
    ]
}

/// A service account with an OAuth client.
fn oauth(name: &'static str, reach: Reach, change: fn(&FakeJira)) -> Case {
    let config = if matches!(reach, Reach::Plain) {
        "-jira.user\n-jira.token\njira.oauth = { client_id = \"k3Ff0aT5x9\", client_secret = \"the-swordfish-of-the-client\", \
         token_url = \"URL/oauth/token\", api_url = \"URL\" }"
    } else {
        "-jira.user\n-jira.token\njira.oauth = { client_id = \"k3Ff0aT5x9\", client_secret = \"the-swordfish-of-the-client\", \
         token_url = \"http://127.0.0.1:1/oauth/token\", api_url = \"URL\" }"
    };
    case("The credentials", name, config).with_client(change)
}

fn credentials() -> Vec<Case> {
    let case = |name, config| case("The credentials", name, config);
    vec![
        case("The token is wrong or expired, or has scopes at the address of the site", "")
            .with(|jira| jira.set_token("another")),
        case("The token is wrong or expired, on Data Center", "")
            .data_center()
            .with(|jira| jira.set_token("another")),
        case("The e-mail is another account's", "jira.user = \"somebody@example.com\""),
        case("The user is missing, on Cloud", "-jira.user"),
        case("The user is missing, and the kind says Cloud", "-jira.user\njira.kind = \"cloud\""),
        case(
            "A user name with a personal access token, while passwords are off",
            "jira.user = \"flagger-bridge\"",
        )
        .data_center(),
        case(
            "A user name with a personal access token, while passwords are on",
            "jira.user = \"flagger-bridge\"",
        )
        .data_center()
        .at(Reach::Password),
        case("The account is locked by a CAPTCHA", "")
            .with(|jira| jira.fault(Operation::Myself, Fault::Captcha, Times::Always)),
        case("A token with scopes lacks one", "").with(|jira| {
            let body = r#"{"code":401,"message":"Unauthorized; scope does not match"}"#.into();
            jira.fault(
                Operation::MyPermissions,
                Fault::Status { code: 401, retry_after: None, body },
                Times::Always,
            );
        }),
        case("The bridge's address is not allowed (IP allowlist)", "").with(|jira| {
            let body = r#"{"errorMessages":["The IP address has been rejected because it is not on the allowlist. For more information, contact your admin."],"errors":{}}"#;
            jira.fault(Operation::Myself, says(403, "application/json", body), Times::Always);
        }),
        case("The site is suspended", "").with(|jira| {
            let body = r#"{"message":"Your site has been suspended."}"#;
            jira.fault(Operation::Myself, says(403, "application/json", body), Times::Always);
        }),
        case("Jira's licence has expired", "").data_center().with(|jira| {
            let body = r#"{"message":"Your license has expired."}"#;
            jira.fault(Operation::Myself, says(403, "application/json", body), Times::Always);
        }),
        case("A firewall blocks the requests", "").with(|jira| {
            jira.fault(Operation::Myself, says(403, "text/html", "<html>"), Times::Always);
        }),
        oauth("The secret of the OAuth client is wrong", Reach::Plain, |jira| {
            jira.set_oauth_client("k3Ff0aT5x9", "another");
        }),
        oauth("The OAuth credential lacks a scope", Reach::Plain, |jira| {
            jira.set_oauth_scopes(&["read:jira-work", "read:jira-user"]);
        }),
        oauth("The OAuth credential may not use this Jira", Reach::Plain, |jira| jira.set_oauth_scopes(&[])),
        oauth("The token endpoint cannot be reached", Reach::Nowhere, |_| {}),
        oauth("A log-in page answers instead of the token endpoint", Reach::Plain, |jira| {
            jira.fault(Operation::AccessToken, Fault::Html, Times::Always);
        }),
        oauth("The token endpoint asks to wait (429)", Reach::Plain, |jira| {
            let fault = Fault::TooMany { retry_after: Some("7".into()) };
            jira.fault(Operation::AccessToken, fault, Times::Always);
        }),
        oauth("The site has no cloud id, so it is no Cloud", Reach::Plain, |jira| {
            jira.fault(Operation::TenantInfo, says(404, "text/html", "<html>"), Times::Always);
        }),
        case("An OAuth client beside a token", "jira.oauth = { client_id = \"k3Ff0aT5x9\", client_secret = \"s\" }"),
        case("The file with the token does not exist", "-jira.token\njira.token_file = \"./jira-token\""),
    ]
}

fn projects() -> Vec<Case> {
    let case = |name, config| case("Project, permissions and issue type", name, config);
    vec![
        case("The project is misspelled", "ticket.project = \"OPPS\""),
        case("The project is in lower case", "ticket.project = \"ops\""),
        case("The project is misspelled, on Data Center", "ticket.project = \"OPSS\"").data_center(),
        case("The account may not see the project (Browse Projects)", "")
            .with(|jira| jira.revoke("OPS", &["BROWSE_PROJECTS"])),
        case("The account may not create issues (Create Issues)", "")
            .with(|jira| jira.revoke("OPS", &["CREATE_ISSUES"])),
        case("The account may not edit issues (Edit Issues)", "")
            .with(|jira| jira.revoke("OPS", &["EDIT_ISSUES"])),
        case("The account may not comment (Add Comments)", "")
            .with(|jira| jira.revoke("OPS", &["ADD_COMMENTS"])),
        case("The account may not link issues (Link Issues)", "")
            .with(|jira| jira.revoke("OPS", &["LINK_ISSUES"])),
        case(
            "The account may not move tickets (Transition Issues), but must",
            "ticket.transitions.succeeded = \"Done\"",
        )
        .with(|jira| jira.revoke("OPS", &["TRANSITION_ISSUES"])),
        case("The account may not move tickets, but does not need to", "")
            .with(|jira| jira.revoke("OPS", &["TRANSITION_ISSUES"])),
        case("The account may not create issues, in a team-managed project", "").with(|jira| {
            jira.set_team_managed("OPS", true);
            jira.revoke("OPS", &["CREATE_ISSUES"]);
        }),
        case("The history of tickets cannot be read", "").with(|jira| {
            jira.add_issue("OPS", "Change", "To Do", "mia").unwrap();
            let body = r#"{"code":401,"message":"Unauthorized; scope does not match"}"#.into();
            jira.fault(
                Operation::GetIssue,
                Fault::Status { code: 401, retry_after: None, body },
                Times::Always,
            );
        }),
        case("The project is archived", "").with(|jira| jira.set_archived("OPS", true)),
        case("The issue type is misspelled", "ticket.issue_type = \"Chnage\""),
        case("The issue type is in the language of the account", "ticket.issue_type = \"Änderung\"")
            .with(|jira| jira.set_translated(true)),
        case("The search shows what the account may not see", "").with(|jira| {
            jira.add_issue("OPS", "Change", "To Do", "mia").unwrap();
            let body = r#"{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}"#;
            jira.fault(Operation::GetIssue, refuses(404, body), Times::Always);
        }),
        case("No issue of the type can be created", "")
            .with(|jira| jira.set_creatable("OPS", "Change", false)),
        case("The issue type is for sub-tasks", "").with(|jira| jira.set_subtask("OPS", "Change", true)),
        case(
            "The project of a route is misspelled",
            "[[routes]]\nmatch = { namespace = \"payments\" }\nticket = { project = \"PAYS\" }",
        ),
    ]
}

fn fields() -> Vec<Case> {
    let case = |name, config| case("Fields and templates", name, config);
    let risk = |jira: &FakeJira| {
        let levels = ["Low", "Medium", "High"].map(str::to_owned).to_vec();
        jira.add_create_field(
            "OPS",
            "Change",
            Field::required("customfield_10010", "Change risk", Shape::Select(levels)),
        );
    };
    vec![
        case("A required field is not configured", "").with(risk),
        case(
            "A value that the field does not offer",
            "ticket.fields.customfield_10010 = { value = \"Lwo\" }",
        )
        .with(risk),
        case("A string where a choice is needed", "ticket.fields.customfield_10010 = \"Low\"").with(risk),
        case("A string where a priority is needed", "ticket.fields.priority = \"High\"").with(|jira| {
            let levels = ["Highest", "High", "Medium", "Low", "Lowest"].map(str::to_owned).to_vec();
            let field = Field::optional("priority", "Priority", Shape::Select(levels));
            jira.add_create_field("OPS", "Change", field);
        }),
        case("A string where a list of components is needed", "ticket.fields.components = \"web\"").with(
            |jira| {
                let names = ["API", "Web"].map(str::to_owned).to_vec();
                let field = Field::optional("components", "Components", Shape::MultiSelect(names));
                jira.add_create_field("OPS", "Change", field);
            },
        ),
        case("An object where a string is needed", "ticket.fields.customfield_10014 = { value = \"web\" }")
            .with(|jira| {
                let field = Field::optional("customfield_10014", "Service", Shape::Text);
                jira.add_create_field("OPS", "Change", field);
            }),
        case("A field is not on the screen", "ticket.fields.customfield_10020 = \"podinfo\""),
        case("A field by its name instead of its id", "ticket.fields.Service = \"podinfo\"").with(|jira| {
            jira.add_create_field(
                "OPS",
                "Change",
                Field::optional("customfield_10011", "Service", Shape::Text),
            );
        }),
        case("A string where a number is needed", "ticket.fields.customfield_10012 = \"3\"").with(|jira| {
            jira.add_create_field(
                "OPS",
                "Change",
                Field::optional("customfield_10012", "Pods", Shape::Number),
            );
        }),
        case("A user name where Cloud needs an account id", "ticket.fields.assignee = { name = \"mia\" }")
            .with(|jira| {
                jira.add_create_field("OPS", "Change", Field::optional("assignee", "Assignee", Shape::User));
            }),
        case("A string where Data Center needs a user", "ticket.fields.assignee = \"mia\"")
            .data_center()
            .with(|jira| {
                jira.add_create_field("OPS", "Change", Field::optional("assignee", "Assignee", Shape::User));
            }),
        case(
            "A string in a paragraph field of Cloud",
            "ticket.fields.customfield_10013 = \"see the pipeline\"",
        )
        .with(|jira| {
            let field = Field::optional("customfield_10013", "Test plan", Shape::Paragraph);
            jira.add_create_field("OPS", "Change", field);
        }),
        case("An assignee whom Jira does not know", "ticket.assignee = \"mai\"").with(|jira| {
            jira.add_create_field("OPS", "Change", Field::optional("assignee", "Assignee", Shape::User));
        }),
        case("The screen has no Assignee", "ticket.assignee = \"5b10ac8d82e05b22cc7d4e01\""),
        case(
            "A first status for tickets that exist already",
            "ticket.use = \"metadata.change\"\nticket.transitions.opened = \"In Review\"",
        ),
        case("A request type in a project that is no service desk", "ticket.request_type = \"25\""),
        case("A request type that does not exist", "ticket.request_type = \"25\"")
            .with(|jira| jira.add_service_desk("OPS")),
        case("A request type of another issue type", "ticket.request_type = \"10102\"").with(|jira| {
            jira.add_service_desk("OPS");
            jira.add_request_type("OPS", "Get help", "Task");
        }),
        case("A request type that is no number", "ticket.request_type = \"Release\""),
        case("The project of approvals is no service desk", "approval.source = \"jsm\""),
        case("Approvals that the account may not read", "approval.source = \"jsm\"").with(|jira| {
            jira.add_service_desk("OPS");
            jira.add_issue("OPS", "Change", "To Do", MIA).unwrap();
            let body = r#"{"errorMessage":"You are not an agent.","i18nErrorMessage":{"i18nKey":"sd.no"}}"#
                .to_owned();
            jira.fault(
                Operation::Approvals,
                Fault::Status { code: 403, retry_after: None, body },
                Times::Always,
            );
        }),
        case("The screen has no Labels", "").with(|jira| jira.remove_create_field("OPS", "Change", "labels")),
        case("A template is broken", "ticket.summary = \"Approve {{ canary\""),
        case("A template uses an unknown name", "ticket.summary = \"Approve {{ canry }}\""),
        case("A template cannot be rendered", "ticket.description = \"{{ 1 // (metadata.n|int) }}\""),
        case("A summary can be empty", "ticket.summary = \"{{ label }}\""),
    ]
}

fn without(names: &[&str]) -> Workflow {
    let whole = Workflow::change();
    let statuses: Vec<Status> =
        whole.statuses.into_iter().filter(|status| !names.contains(&status.name.as_str())).collect();
    let transitions =
        whole.transitions.into_iter().filter(|way| statuses.iter().any(|status| status.id == way.to));
    Workflow { transitions: transitions.collect(), statuses }
}

/// To Do, In Progress and Done, as in a new project.
fn fresh() -> Workflow {
    Workflow {
        statuses: vec![
            Status::new("10001", "To Do", Category::New),
            Status::new("10002", "In Progress", Category::Indeterminate),
            Status::new("10009", "Done", Category::Done),
        ],
        transitions: vec![
            Transition::global("11", "To Do", "10001"),
            Transition::global("21", "In Progress", "10002"),
            Transition::global("31", "Done", "10009"),
        ],
    }
}

fn everywhere(jira: &FakeJira, workflow: &Workflow) {
    for kind in ["Change", "Task"] {
        jira.set_workflow("OPS", kind, workflow.clone());
    }
}

fn statuses() -> Vec<Case> {
    let case = |name, config| case("Statuses", name, config);
    vec![
        case("A status is misspelled", "ticket.statuses.approved = [\"Aproved\"]"),
        case("A new team-managed project", "").with(|jira| {
            jira.set_team_managed("OPS", true);
            everywhere(jira, &fresh());
        }),
        case("A new company-managed project of Cloud", "").with(|jira| everywhere(jira, &fresh())),
        case("A new project of Data Center", "").data_center().with(|jira| everywhere(jira, &fresh())),
        case("The status is one of another issue type", "")
            .with(|jira| jira.set_workflow("OPS", "Change", without(&["Approved"]))),
        case("Two statuses have the same name", "").with(|jira| {
            let mut workflow = Workflow::change();
            workflow.statuses.push(Status::new("10107", "Approved", Category::Done));
            jira.set_workflow("OPS", "Change", workflow);
        }),
        case("A status is both, by name", "ticket.statuses.rejected = [\"approved\"]"),
        case("A status is both, by name and id", "ticket.statuses.rejected = [\"Rejected\", \"10007\"]"),
        case("Tickets are moved on after the approval", "").with(|jira| {
            let mut workflow = Workflow::change();
            workflow.statuses[2].category = Category::Indeterminate;
            workflow.statuses.insert(3, Status::new("10011", "Implementing", Category::Indeterminate));
            workflow.transitions.push(Transition {
                from: vec!["10007".into()],
                ..Transition::global("71", "Start", "10011")
            });
            jira.set_workflow("OPS", "Change", workflow);
        }),
        case("Tickets begin in an approved status", "ticket.statuses.approved = [\"Approved\", \"To Do\"]"),
        case("No status is left for waiting", "").with(|jira| {
            jira.set_workflow("OPS", "Change", without(&["To Do", "In Review", "Done", "Cancelled"]));
        }),
        case("A step is misspelled", "approval.steps = [\"In Revew\", \"Approved\"]"),
        case("The last step is not an approved status", "approval.steps = [\"Approved\", \"In Review\"]"),
        case("A step is there twice", "approval.steps = [\"Approved\", \"approved\"]"),
        case(
            "Steps where Jira Service Management decides",
            "approval.steps = [\"In Review\", \"Approved\"]\napproval.source = \"jsm\"",
        ),
        case("No transition leads to the next step", "approval.steps = [\"In Review\", \"Approved\"]").with(
            |jira| {
                let mut workflow = Workflow::change();
                workflow.transitions[2].from = vec!["10001".into()];
                jira.set_workflow("OPS", "Change", workflow);
                jira.add_issue("OPS", "Change", "In Review", "mia").unwrap();
            },
        ),
        case(
            "The bridge would make a step by itself",
            "approval.steps = [\"In Review\", \"Approved\"]\nticket.transitions.opened = \"In Review\"",
        ),
        case("The names are in the language of the account", "ticket.statuses.approved = [\"Genehmigt\"]")
            .with(|jira| jira.set_translated(true)),
    ]
}

fn moves() -> Vec<Case> {
    let case = |name, config| case("Moving tickets", name, config);
    vec![
        case("The status is misspelled", "ticket.transitions.succeeded = \"Dome\""),
        case("No transition leads there", "ticket.transitions.succeeded = \"Done\"").with(|jira| {
            let mut workflow = Workflow::change();
            workflow.transitions.retain(|way| way.to != "10009");
            jira.set_workflow("OPS", "Change", workflow);
            jira.add_issue("OPS", "Change", "Approved", "mia").unwrap();
        }),
        case(
            "A transition leads there, but not from everywhere",
            "ticket.transitions.abandoned = \"Cancelled\"",
        )
        .with(|jira| {
            let mut workflow = Workflow::change();
            workflow.transitions[5].from = vec!["10001".into()];
            jira.set_workflow("OPS", "Change", workflow);
            jira.add_issue("OPS", "Change", "To Do", "mia").unwrap();
            jira.add_issue("OPS", "Change", "Approved", "mia").unwrap();
        }),
        case("The transition asks for a field", "ticket.transitions.succeeded = \"Done\"").with(|jira| {
            let mut workflow = Workflow::change();
            let resolutions = vec!["Done".to_owned(), "Won't do".to_owned()];
            workflow.transitions[4].fields =
                vec![Field::required("resolution", "Resolution", Shape::Select(resolutions))];
            jira.set_workflow("OPS", "Change", workflow);
            jira.add_issue("OPS", "Change", "Approved", "mia").unwrap();
        }),
        case(
            "The transition does not take the value",
            "ticket.transitions.succeeded = { to = \"Done\", fields = { resolution = \"Done\" } }",
        )
        .with(|jira| {
            let mut workflow = Workflow::change();
            let resolutions = vec!["Done".to_owned(), "Won't do".to_owned()];
            workflow.transitions[4].fields =
                vec![Field::required("resolution", "Resolution", Shape::Select(resolutions))];
            jira.set_workflow("OPS", "Change", workflow);
            jira.add_issue("OPS", "Change", "Approved", "mia").unwrap();
        }),
        case(
            "A ticket that nobody decides in time cannot be rejected",
            "approval.decide_within = \"3d\"\napproval.on_timeout = \"reject\"",
        )
        .with(|jira| {
            let mut workflow = Workflow::change();
            workflow.transitions.retain(|way| way.to != "10008");
            jira.set_workflow("OPS", "Change", workflow);
            jira.add_issue("OPS", "Change", "To Do", "mia").unwrap();
        }),
        case("The bridge would approve by itself", "ticket.transitions.opened = \"Approved\""),
    ]
}

fn people() -> Vec<Case> {
    let case = |name, config| case("Approvers", name, config);
    let cab = |jira: &FakeJira| jira.add_group("cab", &["mia"]);
    vec![
        case("No account has this name", "approval.approvers = [\"mai\"]").data_center(),
        case("An e-mail that Cloud does not show", "approval.approvers = [\"mia@example.com\"]"),
        case("A group entered as a person", "approval.approvers = [\"cab\"]").with(cab),
        case("A role entered as a person", "approval.approvers = [\"Developers\"]").data_center(),
        case("A group that does not exist", "approval.approvers = [\"group:cabb\"]").with(|jira| {
            jira.add_group("cabbage", &["mia"]);
        }),
        case("Groups cannot be read (Browse users and groups)", "approval.approvers = [\"group:cab\"]").with(
            |jira| {
                jira.add_group("cab", &["mia"]);
                jira.hide_people(true);
            },
        ),
        case("Accounts cannot be read, on Data Center", "approval.approvers = [\"mia\"]")
            .data_center()
            .with(|jira| jira.hide_people(true)),
        case("A role that the project does not have", "approval.approvers = [\"role:Developer\"]"),
        case("Roles cannot be read (Administer Projects)", "approval.approvers = [\"role:Developers\"]")
            .with(|jira| jira.revoke("OPS", &["ADMINISTER_PROJECTS"])),
        case("No approvers are listed", "-approval.approvers"),
        case("No approvers are listed, on Data Center", "-approval.approvers").data_center(),
        case(
            "A reminder that mentions nobody",
            "approval.approvers = [\"group:cab\"]\napproval.remind_after = [\"4h\"]",
        )
        .with(cab),
        case("A time limit that rejects, without a time", "approval.on_timeout = \"reject\""),
        case(
            "A reminder after the time limit",
            "approval.on_timeout = \"reject\"\napproval.decide_within = \"1d\"\napproval.remind_after = [\"2d\"]",
        ),
        case("A time that is none", "approval.remind_after = [\"soon\"]"),
        case(
            "More steps than approvers",
            "approval.approvers = [\"mia\"]\napproval.steps = [\"In Review\", \"Approved\"]",
        )
        .data_center(),
        case("The bridge's own account", "approval.approvers = [\"flagger-bridge\"]").data_center(),
        case(
            "An approver is also denied",
            "approval.approvers = [\"mia\"]\napproval.deny = [\"mia\", \"{{ metadata.author }}\"]",
        )
        .data_center(),
    ]
}

/// The fields that say when a ticket's change is planned.
const PLANNED: &str = "approval.planned = { start = \"customfield_10301\", end = \"customfield_10302\" }";

fn schedule() -> Vec<Case> {
    let case = |name, config| case("Windows and freezes", name, config);
    vec![
        case(
            "A window for an unknown cluster",
            "[[windows]]\nmatch = { cluster = \"prod-eu\" }\nopen = [\"Mon-Thu 09:00-16:00\"]\ntime_zone = \"UTC\"",
        ),
        case(
            "A freeze for a name that no namespace can have",
            "[[freezes]]\nmatch = { namespace = \"Payments\" }\nfrom = \"2000-01-01T00:00:00Z\"\nuntil = \
             \"2999-01-01T00:00:00Z\"",
        ),
        case(
            "Hours that cannot be read",
            "[[windows]]\nmatch = {}\nopen = [\"Mon-Thu 9-16\", \"09:00-16:00\"]\ntime_zone = \"UTC\"",
        ),
        case(
            "A time zone that there is not",
            "[[windows]]\nmatch = {}\nopen = [\"Mon-Thu 09:00-16:00\"]\ntime_zone = \"Europe/Hamburg\"",
        ),
        case("A window without a time zone", "[[windows]]\nmatch = {}\nopen = [\"Mon-Thu 09:00-16:00\"]"),
        case(
            "A freeze that ends before it begins",
            "[[freezes]]\nmatch = {}\nfrom = \"2999-01-04T06:00:00+01:00\"\nuntil = \"2998-12-18T00:00:00+01:00\"",
        ),
        case(
            "A time without an offset",
            "[[freezes]]\nmatch = {}\nfrom = \"2998-12-18\"\nuntil = \"2999-01-04T06:00:00\"",
        ),
        case(
            "An exception by issue type",
            "[[freezes]]\nmatch = {}\nfrom = \"2998-12-18T00:00:00Z\"\nuntil = \"2999-01-04T06:00:00Z\"\nexcept = { types = [\"Emergency\"] }",
        ),
        case("A freeze without dates", "[[freezes]]\nmatch = {}\nreason = \"Christmas\""),
        case(
            "Dates and a calendar",
            "[[freezes]]\nmatch = {}\nfrom = \"2998-12-18T00:00:00Z\"\nuntil = \"2999-01-04T06:00:00Z\"\ncalendar_file = \
             \"./freezes.ics\"",
        ),
        case(
            "A freeze that is over",
            "[[freezes]]\nmatch = {}\nfrom = \"2020-12-18T00:00:00Z\"\nuntil = \"2021-01-04T06:00:00Z\"",
        ),
        case("The calendar does not exist", "[[freezes]]\nmatch = {}\ncalendar_file = \"./freezes.ics\""),
        case("The planned end is no time", PLANNED).with(|jira| {
            let times = Field::optional("customfield_10301", "Planned start", Shape::DateTime);
            jira.add_create_field("OPS", "Change", times);
            let words = Field::optional("customfield_10302", "Planned end", Shape::Text);
            jira.add_create_field("OPS", "Change", words);
        }),
        case("The fields of the planned time are not on the screen", PLANNED),
        case("The file is no calendar", "[[freezes]]\nmatch = {}\ncalendar_file = \"./a-letter\""),
    ]
}

fn channels() -> Vec<Case> {
    let case = |name, config| case("Channels", name, config);
    vec![
        case(
            "The address of a channel is not encrypted",
            "[[notify]]\nurl = \"http://hooks.slack.com/services/T0/B0/XXXX\"\nformat = \"slack\"",
        ),
        case(
            "The address of a channel is that of a page",
            "[[notify]]\nurl = \"https://example.slack.com/archives/C0\"\nformat = \"slack\"",
        ),
        case(
            "The format is not the channel's",
            "[[notify]]\nurl = \"https://prod-1.westeurope.logic.azure.com/workflows/x\"\nformat = \"slack\"",
        ),
        case(
            "A connector of Teams, which is retired",
            "[[notify]]\nurl = \"https://example.webhook.office.com/webhookb2/x\"\nformat = \"teams\"",
        ),
        case("The format is unknown", "[[notify]]\nurl = \"https://example.com/x\"\nformat = \"discord\""),
        case(
            "The file with a channel's address does not exist",
            "[[notify]]\nurl_file = \"./slack\"\nformat = \"slack\"",
        ),
    ]
}

fn elsewhere() -> Vec<Case> {
    let case = |name, config| case("Routes, secrets, store and ports", name, config);
    vec![
        case(
            "An earlier route matches everything",
            "[[routes]]\nmatch = { namespace = \"*\" }\n[[routes]]\nmatch = { namespace = \"payments-*\", stage = \
             \"confirm-promotion\" }\nticket = { project = \"PAY\" }",
        ),
        case("A route for an unknown cluster", "[[routes]]\nmatch = { cluster = \"prod-eu\" }"),
        case(
            "A route for a namespace that may not ask",
            "flagger.namespaces = [\"shop-*\"]\n[[routes]]\nmatch = { namespace = \"payments\" }",
        ),
        case(
            "The rate limit is too low",
            "jira.requests_per_second = 1\njira.trust_for = \"1m\"\nlimits.open_tickets = 5000",
        ),
        case("The limit for a namespace is the whole limit", "limits.open_tickets = 100"),
        case("A ticket for each step of traffic, of a cluster that is not read", "ticket.traffic = \"step\""),
        case(
            "A ticket for each step of traffic, at another stage",
            "[[routes]]\nmatch = { stage = \"confirm-promotion\" }\nticket = { traffic = \"step\" }",
        ),
        case(
            "A route lets gates open without a question",
            "[[routes]]\nmatch = { namespace = \"payments-*\" }\napproval = { mode = \"record\" }",
        ),
        case(
            "Every gate opens without a question, and no status closes it",
            "approval.mode = \"record\"\nticket.statuses.rejected = []",
        ),
        case("No webhook", "-jira.webhook_secret"),
        case("A secret that can be guessed", "jira.webhook_secret = \"swordfish\""),
        case("Flagger's token cannot be in a URL", "flagger.token = \"0a1b/2c3d#4e5f%6789@\""),
        case("Flagger needs no token", "-flagger.token"),
        case("The address of the status page is missing", "-server.public_url"),
        case("The folder of the database does not exist", "store.url = \"sqlite:///data/none/bridge.db\""),
        case("The file is not a database", "store.url = \"sqlite://a-letter\""),
        case("A port is in use", "server.gate_listen = \"127.0.0.1:TAKEN\""),
        case("A port is not this machine's", "server.gate_listen = \"192.0.2.1:8080\""),
        case(
            "Two listeners on one port",
            "server.webhook_listen = \"127.0.0.1:TAKEN\"\nserver.gate_listen = \"127.0.0.1:TAKEN\"",
        ),
    ]
}
