//! Flagger's questions and reports.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde::Serialize;

use crate::{
    config,
    flagger::{BadPayload, Payload, label, parse},
    gate::{GateName, Stage},
    gatekeeper::{Answer, Question},
    http::{
        NOSNIFF, NOT_OPEN, Shared,
        door::{self, Admission, Named, NotAllowed, Unproven},
        finish, health, line,
        proof::{Shows, shown},
        unproven, whole,
    },
    metrics::{Outcome, Source, Told},
    rollout::{CanaryId, Phase, Report},
    view::GateView,
};

/// The largest body Flagger may send.
const BODY: usize = 64 * 1024;

#[derive(Clone)]
struct Gates {
    shared: Shared,
    config: Arc<config::Flagger>,
}

/// What a path asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// May it go on?
    At(Stage),
    /// The load tester's path, which all confirm hooks share.
    LoadTester,
    /// Must it go back?
    Rollback,
}

/// Everything on the gate listener.
pub fn gate_router(shared: Shared, config: config::Flagger) -> Router {
    let asks = |asks: Asks| {
        post(async move |state: State<Gates>, request: Request| question(state.0, asks, request).await)
    };
    let tells = |tells: Report| {
        post(async move |state: State<Gates>, request: Request| report(state.0, tells, request).await)
    };
    let mut router = Router::new()
        .route("/gate/confirm-rollout", asks(Asks::At(Stage::ConfirmRollout)))
        .route("/gate/confirm-traffic-increase", asks(Asks::At(Stage::ConfirmTrafficIncrease)))
        .route("/gate/confirm-promotion", asks(Asks::At(Stage::ConfirmPromotion)))
        .route("/gate/check", asks(Asks::LoadTester))
        .route("/gate/rollback", asks(Asks::Rollback))
        .route("/rollback/check", asks(Asks::Rollback))
        .route("/event", tells(Report::Event))
        .route("/post-rollout", tells(Report::PostRollout));
    for by_hand in ["open", "close", "approve", "halt"] {
        router = router
            .route(&format!("/gate/{by_hand}"), post(not_by_hand))
            .route(&format!("/rollback/{by_hand}"), post(not_by_hand));
    }
    let health = health(shared.clone());
    finish(router.with_state(Gates { shared, config: Arc::new(config) }).merge(health))
}

/// What the load tester would have obeyed.
async fn not_by_hand() -> Response {
    line(StatusCode::FORBIDDEN, "gates are opened in Jira, by moving the ticket; not here")
}

async fn question(gates: Gates, asks: Asks, request: Request) -> Response {
    let json = wants_json(request.headers());
    let heard = match hear(&gates.config, request).await {
        Ok(heard) => heard,
        Err(Unheard::NotAllowed(why)) => {
            gates.count(Outcome::Refused);
            return line(StatusCode::FORBIDDEN, &format!("closed: {why}"));
        }
        Err(Unheard::Bad(status, why)) => return gates.bad(status, &why),
        Err(Unheard::Unproven(path, why)) => return gates.unproven(&path, &why),
    };
    let stage = asks.stage(heard.payload.message.phase);
    let now = gates.shared.clock.now();
    let Some(gatekeeper) = gates.shared.gatekeeper() else {
        gates.count(Outcome::Failed);
        gates.shared.metrics.verdict(stage, Told::Closed);
        return line(StatusCode::FORBIDDEN, &format!("closed: {NOT_OPEN}"));
    };
    let Heard { canary, approver, payload } = heard;
    let answer = match stage {
        None => gatekeeper.ask_rollback(&canary, &payload.message, now).await,
        Some(stage) => {
            let gate = GateName { stage, approver };
            let Payload { message, metadata, .. } = payload;
            gatekeeper.ask(&Question { canary, gate, message, metadata }, now).await
        }
    };
    gates.count(Outcome::Accepted);
    gates.shared.metrics.verdict(stage, if answer.open { Told::Open } else { Told::Closed });
    told(&answer, json)
}

impl Asks {
    /// The stage a question is about; `None` for the rollback.
    fn stage(self, phase: Phase) -> Option<Stage> {
        match self {
            Self::At(stage) => Some(stage),
            Self::Rollback => None,
            Self::LoadTester => Some(match phase {
                // Only confirm-rollout is asked in these.
                Phase::Initialized | Phase::Waiting | Phase::Succeeded | Phase::Failed => {
                    Stage::ConfirmRollout
                }
                Phase::Progressing
                | Phase::WaitingPromotion
                | Phase::Promoting
                | Phase::Finalising
                | Phase::Initializing
                | Phase::Other => Stage::Gate,
            }),
        }
    }
}

async fn report(gates: Gates, report: Report, request: Request) -> Response {
    let heard = match hear(&gates.config, request).await {
        Ok(heard) => heard,
        Err(Unheard::NotAllowed(why)) => {
            gates.count(Outcome::Ignored);
            return line(StatusCode::OK, &format!("dropped: {why}"));
        }
        Err(Unheard::Bad(status, why)) => return gates.bad(status, &why),
        Err(Unheard::Unproven(path, why)) => return gates.unproven(&path, &why),
    };
    let now = gates.shared.clock.now();
    let stored = match gates.shared.gatekeeper() {
        None => Err(NOT_OPEN.to_owned()),
        Some(gatekeeper) => gatekeeper
            .report(&heard.canary, report, &heard.payload.message, heard.payload.note.as_deref(), now)
            .await
            .map_err(|error| error.to_string()),
    };
    match stored {
        Ok(()) => {
            gates.count(Outcome::Accepted);
            line(StatusCode::OK, "stored")
        }
        Err(why) => {
            gates.count(Outcome::Failed);
            line(StatusCode::SERVICE_UNAVAILABLE, &format!("not stored: {why}"))
        }
    }
}

impl Gates {
    fn count(&self, outcome: Outcome) {
        self.shared.metrics.webhook(Source::Flagger, outcome);
    }

    fn bad(&self, status: StatusCode, why: &str) -> Response {
        self.count(Outcome::Invalid);
        line(status, why)
    }

    fn unproven(&self, path: &str, why: &Unproven) -> Response {
        self.count(Outcome::Refused);
        tracing::warn!(path, %why, "refused somebody at the gate listener; if that was Flagger, give its hook the token");
        unproven(&why.to_string())
    }
}

/// A message of Flagger, from somebody who may send it.
struct Heard {
    canary: CanaryId,
    approver: Option<String>,
    payload: Payload,
}

/// Why a message is not listened to.
enum Unheard {
    /// It cannot be read: the status and the reason.
    Bad(StatusCode, String),
    /// 401, at this path.
    Unproven(String, Unproven),
    /// 403 for a question; a report is dropped.
    NotAllowed(NotAllowed),
}

impl From<BadPayload> for Unheard {
    fn from(bad: BadPayload) -> Self {
        Self::Bad(StatusCode::BAD_REQUEST, bad.to_string())
    }
}

/// Reads a message and lets it in, or says why not. A wrong token in a header is refused before the body is read; a
/// body is read for a token only if no header brought one.
async fn hear(config: &config::Flagger, request: Request) -> Result<Heard, Unheard> {
    let uri = request.uri().clone();
    let refused = |why| Unheard::Unproven(uri.path().to_owned(), why);
    let proven = match shown(request.headers()) {
        _ if !door::needs_token(config) => Some(door::Holder::Anybody),
        Shows::Token(token) => Some(door::holder(config, Some(&token)).map_err(refused)?),
        Shows::Garbled => return Err(refused(Unproven::WrongToken)),
        Shows::Nothing => None,
    };
    let parameters = parameters(request.uri())?;
    if !is_json(request.headers()) {
        let wanted = "the content type is not application/json".to_owned();
        return Err(Unheard::Bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, wanted));
    }
    let body = whole(request.into_body(), BODY)
        .await
        .map_err(|(status, why)| Unheard::Bad(status, why.to_owned()))?;
    let payload = match (parse(&body), &proven) {
        (Ok(payload), _) => payload,
        (Err(_), None) => return Err(refused(Unproven::NoToken)),
        (Err(bad), Some(_)) => return Err(bad.into()),
    };
    let holder = match proven {
        Some(holder) => holder,
        None => door::holder(config, payload.token.as_ref()).map_err(refused)?,
    };
    let metadata = payload.metadata.get("cluster").map(String::as_str);
    let named = Named { query: parameters.cluster.as_deref(), metadata };
    let cluster = match door::admit(config, &holder, named, &payload.namespace) {
        Admission::Admitted(cluster) => cluster.to_owned(),
        Admission::Unproven(why) => return Err(refused(why)),
        Admission::NotAllowed(why) => return Err(Unheard::NotAllowed(why)),
        Admission::Bad(bad) => return Err(bad.into()),
    };
    let canary = CanaryId { cluster, namespace: payload.namespace.clone(), name: payload.name.clone() };
    Ok(Heard { canary, approver: parameters.gate, payload })
}

/// What the query says.
#[derive(Default)]
struct Parameters {
    gate: Option<String>,
    cluster: Option<String>,
}

/// Reads the query. Parameters of other names are ignored: the path and query of a hook are its owner's.
fn parameters(uri: &Uri) -> Result<Parameters, Unheard> {
    if uri.query().is_none() {
        return Ok(Parameters::default());
    }
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Unheard::Bad(StatusCode::BAD_REQUEST, "the query cannot be read".to_owned()))?;
    let mut read = Parameters::default();
    for (key, value) in pairs.0 {
        let (what, place) = match key.as_str() {
            "gate" => ("gate", &mut read.gate),
            "cluster" => ("cluster", &mut read.cluster),
            _ => continue,
        };
        label(what, &value)?;
        if place.replace(value).is_some() {
            return Err(Unheard::Bad(StatusCode::BAD_REQUEST, format!("?{what}= is given twice")));
        }
    }
    Ok(read)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| media_type(value).eq_ignore_ascii_case("application/json"))
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|one| media_type(one).eq_ignore_ascii_case("application/json"))
}

/// `text/html; charset=utf-8` without its parameters.
fn media_type(value: &str) -> &str {
    value.split_once(';').map_or(value, |(kind, _)| kind).trim()
}

/// An answer as an object: what the API shows of the gate, and whether it is open.
#[derive(Serialize)]
struct AnswerView<'a> {
    open: bool,
    #[serde(flatten)]
    gate: &'a GateView,
}

fn told(answer: &Answer, json: bool) -> Response {
    let status = if answer.open { StatusCode::OK } else { StatusCode::FORBIDDEN };
    if json {
        (status, [NOSNIFF], Json(AnswerView { open: answer.open, gate: &answer.gate })).into_response()
    } else {
        line(status, &answer.line)
    }
}

#[cfg(test)]
mod tests;
