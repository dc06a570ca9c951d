//! Flagger's questions and reports.

use std::{net::IpAddr, sync::Arc};

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
    flagger::{BadPayload, Payload, label, named, parse},
    gate::{GateName, Stage},
    gatekeeper::{Answer, Question},
    http::{
        body::{Sender, Unread, glimpse, whole},
        admission::{self, Admission, Named, NotAllowed, Unproven},
        health::health,
        plain::{NOSNIFF, NOT_OPEN, does_not_take, line, nothing_at, unproven},
        credentials::{Shows, shown},
        refused::{METHOD, Proof, Refusal, SLUGLESS, near, of_parameter, of_path, slug},
        shared::{Shared, connection},
    },
    metrics::{Listener, Outcome, Reason, Source, Told},
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
    let gates = Gates { shared, config: Arc::new(config) };
    let unknown_path =
        async |State(gates): State<Gates>, request: Request| gates.stray(request, Stray::Path).await;
    let wrong_method =
        async |State(gates): State<Gates>, request: Request| gates.stray(request, Stray::Method).await;
    router
        .merge(health.with_state(()))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(gates)
}

/// What the load tester would have obeyed.
async fn not_by_hand(State(gates): State<Gates>, request: Request) -> Response {
    gates.stray(request, Stray::ByHand).await
}

/// A request that is no message at all.
#[derive(Clone, Copy, Debug)]
enum Stray {
    Path,
    Method,
    ByHand,
}

async fn question(gates: Gates, asks: Asks, request: Request) -> Response {
    let json = wants_json(request.headers());
    let heard = match hear(&gates, request).await {
        Ok(heard) => heard,
        Err(unheard) => return gates.turn_away(*unheard, Kind::Question),
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
    let heard = match hear(&gates, request).await {
        Ok(heard) => heard,
        Err(unheard) => return gates.turn_away(*unheard, Kind::Report),
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

    /// Answers a message that is not listened to, and tells of it.
    fn turn_away(&self, unheard: Unheard, kind: Kind) -> Response {
        let Unheard { why, proof, source, path, canary } = unheard;
        let (reason, words, hint) = (why.reason(), why.to_string(), why.hint());
        let (outcome, response) = match (&why, kind) {
            (Why::NotAllowed(_), Kind::Question) => {
                (Outcome::Refused, line(StatusCode::FORBIDDEN, &format!("closed: {words}")))
            }
            (Why::NotAllowed(_), Kind::Report) => {
                (Outcome::Ignored, line(StatusCode::OK, &format!("dropped: {words}")))
            }
            (Why::Unproven(_), _) => (Outcome::Refused, unproven(&words)),
            // A gate question is answered closed and with nothing else.
            (Why::Unread(Unread::NoRoom), Kind::Question) => {
                (Outcome::Failed, line(StatusCode::FORBIDDEN, &format!("closed: {words}")))
            }
            (Why::Unread(unread), _) => (Outcome::Invalid, line(unread.status(), &words)),
            (Why::ContentType, _) => (Outcome::Invalid, line(StatusCode::UNSUPPORTED_MEDIA_TYPE, &words)),
            (Why::Query(..) | Why::Body(_) | Why::Cluster(_), _) => {
                (Outcome::Invalid, line(StatusCode::BAD_REQUEST, &words))
            }
        };
        self.count(outcome);
        let listener = Listener::Gate;
        self.shared.refuse(Refusal { listener, proof, source, path, canary, reason, why: words, hint });
        response
    }

    /// Answers a request that is no message, and tells of it.
    async fn stray(&self, request: Request, stray: Stray) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let (status, reason, words, hint) = match stray {
            Stray::Path => {
                let words = nothing_at(path);
                let words = near(path).map_or(words.clone(), |near| format!("{words}; did you mean {near}?"));
                (StatusCode::NOT_FOUND, Reason::Path, words, of_path(path))
            }
            Stray::Method => {
                let words = does_not_take(&parts.method);
                (StatusCode::METHOD_NOT_ALLOWED, Reason::Method, words, METHOD.to_owned())
            }
            Stray::ByHand => {
                let words = "gates are opened in Jira, by moving the ticket; not here".to_owned();
                let hint = "take that call out: no hook and no script opens a gate of the bridge".to_owned();
                (StatusCode::FORBIDDEN, Reason::ByHand, words, hint)
            }
        };
        let proof = match from_header(&self.config, &parts.headers) {
            Ok(Some(_)) => Proof::Given,
            Ok(None) | Err(_) => Proof::None,
        };
        let response = line(status, &words);
        let canary = glimpse(body, BODY, &self.shared.bodies).await.and_then(|body| named(&body));
        self.shared.refuse(Refusal {
            listener: Listener::Gate,
            proof,
            source: connection(&parts.extensions).map(|connection| connection.source()),
            path: path.to_owned(),
            canary,
            reason,
            why: words,
            hint,
        });
        response
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Question,
    Report,
}

/// A message of Flagger, from somebody who may send it.
struct Heard {
    canary: CanaryId,
    approver: Option<String>,
    payload: Payload,
}

/// A message that is not listened to.
#[derive(Debug)]
struct Unheard {
    why: Why,
    proof: Proof,
    source: Option<IpAddr>,
    path: String,
    /// Namespace and name, if known.
    canary: Option<String>,
}

/// Why a message is not listened to.
#[derive(Debug, thiserror::Error)]
enum Why {
    /// 401.
    #[error(transparent)]
    Unproven(Unproven),
    /// 403 for a question; a report is dropped.
    #[error(transparent)]
    NotAllowed(NotAllowed),
    /// 400: the query, and what to write there.
    #[error("{0}")]
    Query(String, String),
    /// 415
    #[error("the content type is not application/json")]
    ContentType,
    /// The body could not be read.
    #[error("{}", .0.words())]
    Unread(Unread),
    /// 400: the body is no message.
    #[error(transparent)]
    Body(BadPayload),
    /// 400: the cluster is called by what cannot be a name.
    #[error(transparent)]
    Cluster(BadPayload),
}

impl Why {
    const fn reason(&self) -> Reason {
        match self {
            Self::Unproven(_) => Reason::Token,
            Self::NotAllowed(NotAllowed::UnknownCluster(_) | NotAllowed::OtherCluster(_))
            | Self::Cluster(_) => Reason::Cluster,
            Self::NotAllowed(NotAllowed::Namespace(_) | NotAllowed::TokenNamespace(..)) => Reason::Namespace,
            Self::Query(..) => Reason::Query,
            Self::ContentType => Reason::ContentType,
            Self::Unread(Unread::TooLarge) => Reason::TooLarge,
            Self::Unread(Unread::NoRoom) => Reason::Crowded,
            Self::Unread(Unread::BrokeOff) | Self::Body(_) => Reason::Body,
        }
    }

    /// What to change.
    fn hint(&self) -> String {
        match self {
            Self::Unproven(why) => why.hint().to_owned(),
            Self::NotAllowed(why) => why.hint(),
            Self::Query(_, hint) => hint.clone(),
            Self::ContentType => "let the hook send application/json, as Flagger does".to_owned(),
            Self::Unread(Unread::TooLarge) => "let the hook send less metadata".to_owned(),
            Self::Unread(Unread::NoRoom) => {
                "let the hook send less metadata, or the token in its url: then it is not held up by strangers".to_owned()
            }
            Self::Unread(Unread::BrokeOff) => "see whether the network between the two is sound".to_owned(),
            Self::Body(BadPayload::Name { what, .. }) => {
                format!("send the {what} of the Canary as Kubernetes has it")
            }
            Self::Body(BadPayload::Missing(key)) => format!("send {key}, as Flagger does"),
            Self::Body(BadPayload::Checksum(_)) => "send Flagger's own checksum, or none".to_owned(),
            Self::Body(BadPayload::Kind { key, .. }) if key.starts_with("metadata") => {
                "quote the values of metadata in the Canary: all of them are strings".to_owned()
            }
            Self::Body(_) => "send the JSON that Flagger sends; all values of metadata are strings".to_owned(),
            Self::Cluster(_) => format!("{SLUGLESS} in metadata.cluster"),
        }
    }
}

/// What a header proves; none if it must be in the body.
fn from_header<'a>(
    config: &'a config::Flagger,
    headers: &HeaderMap,
) -> Result<Option<admission::Holder<'a>>, Unproven> {
    match shown(headers) {
        _ if !admission::needs_token(config) => Ok(Some(admission::Holder::Anybody)),
        Shows::Token(token) => admission::holder(config, Some(&token)).map(Some),
        Shows::Garbled => Err(Unproven::WrongToken),
        Shows::Nothing => Ok(None),
    }
}

/// Reads a message and lets it in, or says why not. A wrong token in a header is refused before the body is read; a
/// body is read for a token only if no header brought one.
async fn hear(gates: &Gates, request: Request) -> Result<Heard, Box<Unheard>> {
    let (parts, body) = request.into_parts();
    let (config, bodies) = (&*gates.config, &gates.shared.bodies);
    let unheard = |why, proof, canary| {
        let source = connection(&parts.extensions).map(|connection| connection.source());
        Box::new(Unheard { why, proof, source, path: parts.uri.path().to_owned(), canary })
    };
    let known = |proven: &Option<_>| if proven.is_some() { Proof::Given } else { Proof::None };
    let early = match from_header(config, &parts.headers) {
        Err(why) => Err((Why::Unproven(why), Proof::None)),
        Ok(proven) => match parameters(&parts.uri) {
            Err(why) => Err((why, known(&proven))),
            Ok(_) if !is_json(&parts.headers) => Err((Why::ContentType, known(&proven))),
            Ok(parameters) => Ok((proven, parameters)),
        },
    };
    let (proven, parameters) = match early {
        Ok(early) => early,
        Err((why, proof)) => {
            // In a box, or each question would carry the room for it.
            let body = Box::pin(glimpse(body, BODY, bodies)).await;
            return Err(unheard(why, proof, body.and_then(|body| named(&body))));
        }
    };
    let proof = known(&proven);
    let sender = match &proven {
        Some(admission::Holder::Anybody) | None => Sender::Stranger(bodies),
        Some(admission::Holder::Member | admission::Holder::Cluster(_) | admission::Holder::Scoped(_)) => {
            if let Some(connection) = connection(&parts.extensions) {
                connection.prove();
            }
            Sender::Proven
        }
    };
    let (body, _held) =
        whole(body, BODY, sender).await.map_err(|unread| unheard(Why::Unread(unread), proof, None))?;
    let payload = match (parse(&body), &proven) {
        (Ok(payload), _) => payload,
        (Err(_), None) => return Err(unheard(Why::Unproven(Unproven::NoToken), proof, named(&body))),
        (Err(bad), Some(_)) => return Err(unheard(Why::Body(bad), proof, named(&body))),
    };
    let canary = || Some(format!("{}/{}", payload.namespace, payload.name));
    let holder = match proven {
        Some(holder) => holder,
        None => admission::holder(config, payload.token.as_ref())
            .map_err(|why| unheard(Why::Unproven(why), Proof::None, canary()))?,
    };
    let metadata = payload.metadata.get("cluster").map(String::as_str);
    let named = Named { query: parameters.cluster.as_deref(), metadata };
    let cluster = match admission::admit(config, &holder, named, &payload.namespace) {
        Admission::Admitted(cluster) => cluster.to_owned(),
        Admission::Unproven(why) => return Err(unheard(Why::Unproven(why), Proof::Given, canary())),
        Admission::NotAllowed(why) => return Err(unheard(Why::NotAllowed(why), Proof::Given, canary())),
        Admission::Bad(bad) => return Err(unheard(Why::Cluster(bad), Proof::Given, canary())),
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

/// Reads the query. One with a parameter of another name is refused: if that was to be `gate`, the hook would be taken for that
/// of the gate without a name, and another approval than the one it waits for would open it.
fn parameters(uri: &Uri) -> Result<Parameters, Why> {
    if uri.query().is_none() {
        return Ok(Parameters::default());
    }
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
        Why::Query("the query cannot be read".to_owned(), "correct the hook's url".to_owned())
    })?;
    let mut read = Parameters::default();
    for (key, value) in pairs.0 {
        let (what, place) = match key.as_str() {
            "gate" => ("gate", &mut read.gate),
            "cluster" => ("cluster", &mut read.cluster),
            other => {
                let (words, hint) = of_parameter(other);
                return Err(Why::Query(words, hint));
            }
        };
        if let Err(bad) = label(what, &value) {
            let hint = slug(&value).map_or_else(
                || SLUGLESS.to_owned(),
                |slug| format!("write ?{what}={slug} into the hook's url"),
            );
            return Err(Why::Query(bad.to_string(), hint));
        }
        if place.replace(value).is_some() {
            let hint = format!("take one ?{what}= out of the hook's url");
            return Err(Why::Query(format!("?{what}= is given twice"), hint));
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
