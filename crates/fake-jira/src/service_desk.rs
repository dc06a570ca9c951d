//! Jira Service Management: service desks, and the approvals of requests.
//!
//! An approval is asked for when a request comes to a status with an approval step. The answer that decides it moves the
//! request on, as the account that answered.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, HandlerResult},
    approval::{Approval, Decision, Desk, RequestType},
    auth,
    call::Call,
    fake::FakeJira,
    issues,
    model::Change,
    render,
    state::{Issue, State},
    time::{self, EpochMillis},
};

/// An error of Jira Service Management, which has a form of its own.
fn error(status: u16, message: &str) -> Answer {
    let mut answer = Answer::error(status, message);
    let body = json!({
        "errorMessage": message,
        "i18nErrorMessage": { "i18nKey": "sd.request.error", "parameters": [] },
    });
    answer.content = super::answer::Content::Json(body);
    answer
}

/// `GET request/{id}/approval`
pub(super) fn approvals(state: &State, call: &Call, id_or_key: &str) -> HandlerResult {
    let issue = visible_request(state, call, id_or_key)?;
    let values: Vec<Value> =
        issue.approvals.iter().map(|approval| render(state, call, issue, approval)).collect();
    page(state, call, &values)
}

fn visible_request<'s>(state: &'s State, call: &Call, id_or_key: &str) -> Result<&'s Issue, Answer> {
    if call.account.is_none() {
        return Err(auth::unauthorized());
    }
    let found = state.visible_issue(call.account, id_or_key);
    let found = found.filter(|issue| state.project(&issue.project).is_some_and(|it| it.desk.is_some()));
    found.ok_or_else(|| error(404, "The request does not exist, or you do not have permission to see it."))
}

fn render(state: &State, call: &Call, issue: &Issue, approval: &Approval) -> Value {
    let date =
        |at: EpochMillis| json!({ "epochMillis": at, "jira": time::format_json(at), "friendly": "Today" });
    let approver = |(account, decision): &(String, Decision)| {
        // The type of the account is not shown here.
        let mut user = render::user_or_null(state, Some(account));
        if let Some(user) = user.as_object_mut() {
            user.remove("accountType");
        }
        json!({ "approver": user, "approverDecision": decision.as_str() })
    };
    let can_answer = approval.approvers.iter().any(|(account, _)| Some(account.as_str()) == call.account);
    let link =
        format!("{}/rest/servicedeskapi/request/{}/approval/{}", state.base_url, issue.id, approval.id);
    let mut value = json!({
        "id": approval.id.to_string(),
        "name": "Waiting for approval",
        "finalDecision": approval.decision.as_str(),
        "canAnswerApproval": can_answer && approval.decision == Decision::Pending,
        "approvers": approval.approvers.iter().map(approver).collect::<Vec<_>>(),
        "createdDate": date(approval.created),
        "_links": { "self": link },
    });
    if let Some(at) = approval.completed {
        value["completedDate"] = date(at);
    }
    value
}

/// `GET servicedesk`
pub(super) fn desks(state: &State, call: &Call) -> HandlerResult {
    if call.account.is_none() {
        return Err(auth::unauthorized());
    }
    let desk = |project: &super::state::Project| {
        let desk = project.desk.as_ref()?;
        Some(json!({
            "id": desk.id.to_string(), "projectId": project.id, "projectKey": project.key,
            "projectName": project.name,
        }))
    };
    let visible = |project: &&super::state::Project| {
        state.has_permission(call.account, &project.key, "BROWSE_PROJECTS")
    };
    let values: Vec<Value> = state.projects.iter().filter(visible).filter_map(desk).collect();
    page(state, call, &values)
}

/// A page of a list, as Jira Service Management gives it.
fn page(state: &State, call: &Call, all: &[Value]) -> HandlerResult {
    let (start, limit) = (call.number("start", 0)?, call.number("limit", 50)?.min(state.page_size).min(50));
    let values: Vec<Value> = all.iter().skip(start).take(limit).cloned().collect();
    let is_last = start + values.len() >= all.len();
    let mut page = Map::new();
    page.insert("_expands".into(), json!([]));
    page.insert("size".into(), json!(values.len()));
    page.insert("start".into(), json!(start));
    page.insert("limit".into(), json!(limit));
    page.insert("isLastPage".into(), json!(is_last));
    page.insert("values".into(), Value::Array(values));
    Ok(Answer::ok(Value::Object(page)))
}

/// `GET servicedesk/{desk}/requesttype/{id}`
pub(super) fn request_type(state: &State, call: &Call, desk: &str, id: &str) -> HandlerResult {
    let (project, request_type) = find_request_type(state, call, desk, id)?;
    let issue_type = project.types.iter().find(|kind| kind.name == request_type.issue_type);
    Ok(Answer::ok(json!({
        "id": request_type.id.to_string(),
        "name": request_type.name,
        "description": "",
        "issueTypeId": issue_type.map(|kind| kind.id.clone()),
        "serviceDeskId": desk,
        "portalId": desk,
    })))
}

/// `POST request`: its form has the summary, the description and the fields of the create screen but labels.
pub(super) fn create(state: &mut State, call: &Call) -> HandlerResult {
    let body = call.object()?;
    let known =
        ["serviceDeskId", "requestTypeId", "requestFieldValues", "isAdfRequest", "requestParticipants"];
    if let Some(key) = body.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(error(400, &format!("Unrecognized field {key:?}.")));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (project, request_type) =
        find_request_type(state, call, text("serviceDeskId"), text("requestTypeId"))?;
    let (project, issue_type) = (project.key.clone(), request_type.issue_type.clone());
    let fields = body.get("requestFieldValues").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(field) =
        ["labels", "project", "issuetype", "assignee"].iter().find(|field| fields.contains_key(**field))
    {
        return Err(error(400, &format!("Your request could not be created. {field}: not on the form.")));
    }
    let is_adf = body.get("isAdfRequest").and_then(Value::as_bool).unwrap_or_default();
    if fields.get("description").is_some_and(|text| text.is_object() != is_adf) {
        return Err(error(400, "Your request could not be created. description: wrong format."));
    }
    let mut fields = fields;
    fields.insert("project".into(), json!({ "key": project }));
    fields.insert("issuetype".into(), json!({ "name": issue_type }));
    let (id, key) = issues::open(state, call, &fields, Vec::new())?;
    Ok(Answer::created(json!({
        "issueId": id.to_string(), "issueKey": key, "requestTypeId": text("requestTypeId"),
        "serviceDeskId": text("serviceDeskId"),
    })))
}

fn find_request_type<'s>(
    state: &'s State,
    call: &Call,
    desk: &str,
    id: &str,
) -> Result<(&'s super::state::Project, &'s RequestType), Answer> {
    if call.account.is_none() {
        return Err(auth::unauthorized());
    }
    let found = state.projects.iter().find_map(|project| {
        let own = project.desk.as_ref().filter(|own| own.id.to_string() == desk)?;
        Some((project, own.request_types.iter().find(|kind| kind.id.to_string() == id)?))
    });
    found.ok_or_else(|| error(404, "The request type or the service desk does not exist."))
}

impl FakeJira {
    /// Adds a request type to the service desk of a project, and returns its id.
    pub fn add_request_type(&self, project: &str, name: &str, issue_type: &str) -> String {
        let mut state = self.lock();
        let id = state.new_id();
        let project = state.projects.iter_mut().find(|it| it.key == project);
        if let Some(desk) = project.and_then(|project| project.desk.as_mut()) {
            let (name, issue_type) = (name.to_owned(), issue_type.to_owned());
            desk.request_types.push(RequestType { id, name, issue_type });
        }
        id.to_string()
    }

    /// Makes a project that of a service desk.
    pub fn add_service_desk(&self, project: &str) {
        let mut state = self.lock();
        let id = state.new_id();
        if let Some(project) = state.projects.iter_mut().find(|it| it.key == project) {
            project.desk = Some(Desk { id, request_types: Vec::new() });
        }
    }

    /// The request asks these accounts for approval, as if it had come to a status with an approval step; `needed` of them
    /// have to approve.
    ///
    /// # Errors
    /// If the issue or an account does not exist.
    pub fn asks_for_approval(
        &self,
        id_or_key: &str,
        approvers: &[&str],
        needed: usize,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            let ids: Result<Vec<_>, String> = approvers
                .iter()
                .map(|who| {
                    let person = state.person(who).ok_or_else(|| format!("no account {who}"))?;
                    Ok((person.account_id.clone(), Decision::Pending))
                })
                .collect();
            let (approvers, created) = (ids?, state.time.now());
            let (id, decision) = (state.new_id(), Decision::Pending);
            let approval = Approval { id, created, completed: None, approvers, needed, decision };
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.approvals.push(approval);
            }
            Ok(())
        })
    }

    /// An approver answers the newest approval of the request. The answer that decides it moves the request to this status.
    ///
    /// # Errors
    /// If the issue, the account or the status does not exist, or nothing is pending.
    pub fn answers_approval(
        &self,
        id_or_key: &str,
        who: &str,
        approves: bool,
        to: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, account| {
            let now = state.time.now();
            let answer = if approves { Decision::Approved } else { Decision::Declined };
            let decided = {
                let stored = state.issues.get_mut(&issue.id).ok_or("no issue")?;
                let approval = stored.approvals.last_mut().ok_or("no approval")?;
                if approval.decision != Decision::Pending {
                    return Err("the approval was answered already".into());
                }
                let own = approval.approvers.iter_mut().find(|(id, _)| Some(id.as_str()) == account);
                own.ok_or("not an approver")?.1 = answer;
                let approved = approval.approvers.iter().filter(|(_, it)| *it == Decision::Approved).count();
                if answer == Decision::Declined || approved >= approval.needed {
                    approval.decision = answer;
                    approval.completed = Some(now);
                }
                approval.decision != Decision::Pending
            };
            if decided {
                let status = state.workflow_of(issue).and_then(|workflow| workflow.status(to)).cloned();
                let changes: Vec<Change> =
                    state.set_status(issue.id, &status.ok_or("no such status")?).into_iter().collect();
                state.record_changes(issue.id, account, changes);
            }
            Ok(())
        })
    }
}
