//! From a request to its answer, in the real server's order: who asks, may they, and what is it.

use serde_json::Value;
use tokio::time::Instant;

use super::{
    answer::{Answer, details, qualified},
    call::{Attributes, Call},
    event,
    kind::Kind,
    list::list,
    review,
    rights::{REVIEW_GROUP, REVIEWS},
    state::State,
    store::Key,
    watch::Watch,
};

/// The account whose token is checked.
const USER: &str = "system:serviceaccount:flagger:bridge";
/// The account of a request without a token.
const ANONYMOUS: &str = "system:anonymous";

/// What a request gets.
pub(super) enum Reply {
    Answer(Answer),
    Watch(Watch),
}

pub(super) fn reply(state: &mut State, call: &Call) -> Reply {
    if state.unavailable {
        return Reply::Answer(Answer::unavailable());
    }
    let served = authorized(state, call).and_then(|request| answer(state, call, request));
    let mut reply = served.unwrap_or_else(Reply::Answer);
    if let Reply::Answer(Answer { complaint, .. }) = &mut reply
        && let Some(complaint) = complaint.take()
    {
        state.complaints.push(format!("{} {}: {complaint}", call.method, call.path));
    }
    reply
}

/// A request that is served.
enum Request<'a> {
    List(Kind, Option<&'a str>),
    Watch(Kind, Option<&'a str>),
    Get(Key),
    /// Of an Event in this namespace.
    Create(&'a str),
    /// Of an Event by namespace and name.
    Patch(&'a str, &'a str),
    Review,
}

fn answer(state: &mut State, call: &Call, request: Request<'_>) -> Result<Reply, Answer> {
    let answer = match request {
        Request::List(kind, namespace) => list(state, call, kind, namespace),
        Request::Watch(kind, namespace) => {
            return Watch::open(state, call, kind, namespace, Instant::now()).map(Reply::Watch);
        }
        Request::Get(key) => match state.store.get(&key) {
            Some(object) => Ok(Answer::new(200, Value::clone(object))),
            None => Err(Answer::not_found(key.kind, &key.name)),
        },
        Request::Create(namespace) => event::create(state, call, namespace),
        Request::Patch(namespace, name) => event::patch(state, call, namespace, name),
        Request::Review => review::create(&state.rights, call),
    };
    answer.map(Reply::Answer)
}

/// # Errors
/// The answer to a caller who must not do it, and to what is not served.
fn authorized<'a>(state: &State, call: &'a Call) -> Result<Request<'a>, Answer> {
    let user = match call.header("authorization").map(|header| header.strip_prefix("Bearer ")) {
        Some(Some(token)) if token == state.token => USER,
        Some(_) => return Err(Answer::unauthorized()),
        None => ANONYMOUS,
    };
    let Some(asked) = Attributes::of(call) else {
        let message = format!("forbidden: User {user:?} cannot get path {:?}", call.path);
        return Err(Answer::failure(403, "Forbidden", &message, None).with_complaint("not served"));
    };
    let request = request(&asked);
    if user == ANONYMOUS || !state.rights.allows(asked.verb, asked.group, &asked.resource, asked.namespace) {
        let answer = forbidden(user, &asked);
        return Err(if request.is_some() { answer } else { answer.with_complaint("not served") });
    }
    request.ok_or_else(|| {
        let message = "the server does not allow this method on the requested resource";
        let details = details(asked.group, &asked.resource, None);
        Answer::failure(405, "MethodNotAllowed", message, Some(details)).with_complaint("not served")
    })
}

/// `None` if it is not served.
fn request<'a>(asked: &Attributes<'a>) -> Option<Request<'a>> {
    let &Attributes { verb, group, version, ref resource, namespace, name } = asked;
    if (verb, group, version, resource.as_str()) == ("create", REVIEW_GROUP, "v1", REVIEWS) {
        return Some(Request::Review);
    }
    let kind = Kind::served_at(group, resource).filter(|kind| kind.version() == version)?;
    match (verb, namespace, name) {
        ("list", _, None) => Some(Request::List(kind, namespace)),
        ("watch", _, None) => Some(Request::Watch(kind, namespace)),
        ("get", Some(namespace), Some(name)) => Some(Request::Get(Key::new(kind, namespace, name))),
        ("create", Some(namespace), None) if kind == Kind::Event => Some(Request::Create(namespace)),
        ("patch", Some(namespace), Some(name)) if kind == Kind::Event => {
            Some(Request::Patch(namespace, name))
        }
        _ => None,
    }
}

fn forbidden(user: &str, asked: &Attributes<'_>) -> Answer {
    let &Attributes { verb, group, ref resource, namespace, name, .. } = asked;
    let object = name.map(|name| format!(" {name:?}")).unwrap_or_default();
    let scope = namespace.map_or_else(
        || "at the cluster scope".to_owned(),
        |namespace| format!("in the namespace {namespace:?}"),
    );
    let message = format!(
        "{}{object} is forbidden: User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}",
        qualified(group, resource)
    );
    Answer::failure(403, "Forbidden", &message, Some(details(group, resource, name)))
}
