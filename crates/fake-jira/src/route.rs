//! Maps a request to its operation, and an operation to its handler.

use super::{
    answer::{Answer, HandlerResult},
    call::{Call, decode},
    changelog, comments, directory, edit, issues, links, meta,
    model::Flavour,
    oauth,
    operation::Operation,
    search, service_desk,
    state::State,
    transitions,
};

/// The operation and the parameters in its path. `path` has no context path.
pub(super) fn operation(flavour: Flavour, method: &str, path: &str) -> (Operation, Vec<String>) {
    let version = match flavour {
        Flavour::Cloud => "3",
        Flavour::DataCenter => "2",
    };
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, segments.as_slice()) {
        ("GET", ["_edge", "tenant_info"]) => return (Operation::TenantInfo, Vec::new()),
        ("POST", ["oauth", "token"]) => return (Operation::AccessToken, Vec::new()),
        _ => {}
    }
    if let ["rest", "servicedeskapi", rest @ ..] = segments.as_slice() {
        let (operation, path_params) =
            desk_operation(method, rest).unwrap_or((Operation::Unknown, Vec::new()));
        return (operation, path_params.into_iter().map(decode).collect());
    }
    let ["rest", "api", requested, rest @ ..] = segments.as_slice() else {
        return (Operation::Unknown, Vec::new());
    };
    // Cloud and Data Center both serve these two under version 2, for callers that do not know the kind of Jira yet.
    let in_both_versions = *requested == "2" && matches!(rest, ["serverInfo" | "myself"]);
    if *requested != version && !in_both_versions {
        return (Operation::Unknown, Vec::new());
    }
    let found = cloud_operation(flavour, method, rest)
        .or_else(|| issue_operation(method, rest))
        .or_else(|| other_operation(flavour, method, rest));
    let (operation, path_params) = found.unwrap_or((Operation::Unknown, Vec::new()));
    (operation, path_params.into_iter().map(decode).collect())
}

type Match<'a> = Option<(Operation, Vec<&'a str>)>;

fn cloud_operation<'a>(flavour: Flavour, method: &str, rest: &[&'a str]) -> Match<'a> {
    if flavour == Flavour::DataCenter {
        return None;
    }
    let operation = match (method, rest) {
        ("POST", ["issue", "bulkfetch"]) => Operation::BulkFetch,
        ("GET" | "POST", ["search", "jql"]) => Operation::Search,
        ("GET", ["issue", id, "changelog"]) => return Some((Operation::Changelog, vec![id])),
        ("GET", ["project", "search"]) => Operation::Projects,
        ("GET", ["user", "groups"]) => Operation::UserGroups,
        _ => return None,
    };
    Some((operation, Vec::new()))
}

/// Jira Service Management has the same paths on Cloud and Data Center.
fn desk_operation<'a>(method: &str, rest: &[&'a str]) -> Match<'a> {
    Some(match (method, rest) {
        ("GET", ["request", id, "approval"]) => (Operation::Approvals, vec![id]),
        ("GET", ["servicedesk"]) => (Operation::ServiceDesks, vec![]),
        ("POST", ["request"]) => (Operation::CreateRequest, vec![]),
        ("GET", ["servicedesk", desk, "requesttype", id]) => (Operation::RequestType, vec![desk, id]),
        _ => return None,
    })
}

fn issue_operation<'a>(method: &str, rest: &[&'a str]) -> Match<'a> {
    use Operation as O;
    Some(match (method, rest) {
        ("GET", ["issue", "createmeta", project, "issuetypes"]) => (O::CreateMetaTypes, vec![project]),
        ("GET", ["issue", "createmeta", project, "issuetypes", id]) => {
            (O::CreateMetaFields, vec![project, id])
        }
        ("POST", ["issue"]) => (O::CreateIssue, vec![]),
        ("GET", ["issue", id]) => (O::GetIssue, vec![id]),
        ("PUT", ["issue", id]) => (O::EditIssue, vec![id]),
        ("GET", ["issue", id, "transitions"]) => (O::GetTransitions, vec![id]),
        ("POST", ["issue", id, "transitions"]) => (O::DoTransition, vec![id]),
        ("GET", ["issue", id, "comment"]) => (O::GetComments, vec![id]),
        ("POST", ["issue", id, "comment"]) => (O::AddComment, vec![id]),
        ("GET", ["comment", id, "properties", key]) => (O::GetCommentProperty, vec![id, key]),
        ("POST", ["issueLink"]) => (O::LinkIssues, vec![]),
        ("GET", ["issueLinkType"]) => (O::LinkTypes, vec![]),
        _ => return None,
    })
}

fn other_operation<'a>(flavour: Flavour, method: &str, rest: &[&'a str]) -> Match<'a> {
    use Operation as O;
    Some(match (method, rest) {
        ("POST" | "GET", ["search"]) if flavour == Flavour::DataCenter => (O::Search, vec![]),
        ("GET", ["serverInfo"]) => (O::ServerInfo, vec![]),
        ("GET", ["myself"]) => (O::Myself, vec![]),
        ("GET", ["mypermissions"]) => (O::MyPermissions, vec![]),
        ("GET", ["project"]) if flavour == Flavour::DataCenter => (O::Projects, vec![]),
        ("GET", ["project", key]) => (O::Project, vec![key]),
        ("GET", ["project", key, "statuses"]) => (O::ProjectStatuses, vec![key]),
        ("GET", ["project", key, "role"]) => (O::ProjectRoles, vec![key]),
        ("GET", ["project", key, "role", id]) => (O::ProjectRole, vec![key, id]),
        ("GET", ["user"]) => (O::User, vec![]),
        ("GET", ["user", "search"]) => (O::UserSearch, vec![]),
        ("GET", ["group", "member"]) => (O::GroupMembers, vec![]),
        ("GET", ["groups", "picker"]) => (O::GroupPicker, vec![]),
        _ => return None,
    })
}

/// Calls the handler of the operation.
pub(super) fn run(
    state: &mut State,
    call: &Call,
    operation: Operation,
    path_params: &[String],
) -> HandlerResult {
    use Operation as O;
    let first = path_params.first().map_or("", String::as_str);
    let second = path_params.get(1).map_or("", String::as_str);
    match operation {
        O::Any | O::Unknown => Err(unknown_operation(call)),
        O::ServerInfo => Ok(meta::server_info(state)),
        O::Myself => meta::myself(state, call),
        O::MyPermissions => meta::my_permissions(state, call),
        O::Projects => meta::projects(state, call),
        O::Project => meta::project(state, call, first),
        O::ProjectStatuses => meta::project_statuses(state, call, first),
        O::CreateMetaTypes => meta::create_types(state, call, first),
        O::CreateMetaFields => meta::create_fields(state, call, first, second),
        O::CreateIssue => issues::create(state, call),
        O::GetIssue => issues::get(state, call, first),
        O::EditIssue => edit::edit(state, call, first),
        O::BulkFetch => issues::bulk_fetch(state, call),
        O::Search => search::search(state, call),
        O::Changelog => changelog::page(state, call, first),
        O::GetTransitions => transitions::list(state, call, first),
        O::DoTransition => transitions::perform(state, call, first),
        O::GetComments => comments::list(state, call, first),
        O::AddComment => comments::add(state, call, first),
        O::GetCommentProperty => comments::get_property(state, call, first, second),
        O::LinkIssues => links::link(state, call),
        O::LinkTypes => links::types(state),
        O::User => directory::user(state, call),
        O::UserSearch => directory::search(state, call),
        O::UserGroups => directory::user_groups(state, call),
        O::GroupMembers => directory::members(state, call),
        O::GroupPicker => directory::search_groups(state, call),
        O::ProjectRoles => directory::roles(state, call, first),
        O::ProjectRole => directory::role(state, call, first, second),
        O::TenantInfo => Ok(oauth::tenant_info()),
        O::AccessToken => oauth::access_token(state, call),
        O::Approvals => service_desk::approvals(state, call, first),
        O::ServiceDesks => service_desk::desks(state, call),
        O::CreateRequest => service_desk::create(state, call),
        O::RequestType => service_desk::request_type(state, call, first, second),
    }
}

fn unknown_operation(call: &Call) -> Answer {
    let body = serde_json::json!({
        "type": "about:blank", "title": "Not Found", "status": 404, "instance": call.path,
        "detail": format!("No endpoint {} {}.", call.method, call.path),
    });
    let answer = Answer::text(404, "application/problem+json;charset=UTF-8", body.to_string());
    // A caller that does not know the kind of Jira yet must try both versions.
    if call.path.ends_with("/serverInfo") { answer } else { answer.with_complaint("no such operation") }
}
