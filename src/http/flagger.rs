//! The gate listener: Flagger's questions and reports.

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
    flagger::{BadPayload, Payload, canary_name, check_dns_label, parse},
    gate::{GateName, Stage},
    gatekeeper::{Answer, Question},
    http::{
        admission::{self, Admission, ClaimedCluster, NotAllowed, Unauthenticated},
        body::{BodyError, Sender, peek, read_body},
        credentials::{PresentedToken, presented},
        health::health,
        plain::{NOSNIFF, STORE_NOT_OPEN, method_not_allowed, not_found, text_line, unauthenticated},
        refused_calls::{
            Authentication, METHOD, NAME_RULES, RefusedCall, for_parameter, for_path, nearest_hook, slug,
        },
        shared::{Shared, connection},
    },
    metrics::{AnswerLabel, ListenerLabel, RefusalReason, Source, WebhookOutcome},
    rollout::{CanaryId, Phase, Report},
    view::GateView,
};

/// The largest body Flagger may send.
const MAX_BODY_BYTES: usize = 64 * 1024;

#[derive(Clone)]
struct GateApi {
    shared: Shared,
    config: Arc<config::Flagger>,
}

/// The question that a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuestionPath {
    /// May the rollout continue at this stage?
    Stage(Stage),
    /// The load tester's path, which all confirm hooks share.
    LoadTester,
    /// Must the rollout roll back?
    Rollback,
}

/// Everything on the gate listener.
pub fn gate_router(shared: Shared, config: config::Flagger) -> Router {
    let asks = |question_route: QuestionPath| {
        post(async move |state: State<GateApi>, request: Request| {
            question(state.0, question_route, request).await
        })
    };
    let tells = |report_route: Report| {
        post(async move |state: State<GateApi>, request: Request| {
            report(state.0, report_route, request).await
        })
    };
    let mut router = Router::new()
        .route("/gate/confirm-rollout", asks(QuestionPath::Stage(Stage::ConfirmRollout)))
        .route("/gate/confirm-traffic-increase", asks(QuestionPath::Stage(Stage::ConfirmTrafficIncrease)))
        .route("/gate/confirm-promotion", asks(QuestionPath::Stage(Stage::ConfirmPromotion)))
        .route("/gate/check", asks(QuestionPath::LoadTester))
        .route("/gate/rollback", asks(QuestionPath::Rollback))
        .route("/rollback/check", asks(QuestionPath::Rollback))
        .route("/event", tells(Report::Event))
        .route("/post-rollout", tells(Report::PostRollout));
    for by_hand in ["open", "close", "approve", "halt"] {
        router = router
            .route(&format!("/gate/{by_hand}"), post(refuse_manual_command))
            .route(&format!("/rollback/{by_hand}"), post(refuse_manual_command));
    }
    let health = health(shared.clone());
    let gates = GateApi { shared, config: Arc::new(config) };
    let unknown_path = async |State(gates): State<GateApi>, request: Request| {
        gates.misdirected(request, Misdirected::Path).await
    };
    let wrong_method = async |State(gates): State<GateApi>, request: Request| {
        gates.misdirected(request, Misdirected::Method).await
    };
    router
        .merge(health.with_state(()))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(gates)
}

/// Refuses the load tester's commands that open or close a gate.
async fn refuse_manual_command(State(gates): State<GateApi>, request: Request) -> Response {
    gates.misdirected(request, Misdirected::ByHand).await
}

/// Why a request is not a message of Flagger.
#[derive(Clone, Copy, Debug)]
enum Misdirected {
    Path,
    Method,
    ByHand,
}

async fn question(gates: GateApi, asks: QuestionPath, request: Request) -> Response {
    let json = wants_json(request.headers());
    let accepted = match accept(&gates, request).await {
        Ok(accepted) => accepted,
        Err(rejected) => return gates.reject(*rejected, CallKind::Question),
    };
    let stage = asks.stage(accepted.payload.message.phase);
    let now = gates.shared.clock.now();
    let Some(gatekeeper) = gates.shared.gatekeeper() else {
        gates.count_call(WebhookOutcome::Failed);
        gates.shared.metrics.verdict(stage, AnswerLabel::Closed);
        return text_line(StatusCode::FORBIDDEN, &format!("closed: {STORE_NOT_OPEN}"));
    };
    let AcceptedCall { canary, approver, payload } = accepted;
    let answer = match stage {
        None => gatekeeper.ask_rollback(&canary, &payload.message, now).await,
        Some(stage) => {
            let gate = GateName { stage, approver };
            let Payload { message, metadata, .. } = payload;
            gatekeeper.ask(&Question { canary, gate, message, metadata }, now).await
        }
    };
    gates.count_call(WebhookOutcome::Accepted);
    gates.shared.metrics.verdict(stage, if answer.open { AnswerLabel::Open } else { AnswerLabel::Closed });
    answer_response(&answer, json)
}

impl QuestionPath {
    /// The stage a question is about; `None` for the rollback.
    fn stage(self, phase: Phase) -> Option<Stage> {
        match self {
            Self::Stage(stage) => Some(stage),
            Self::Rollback => None,
            Self::LoadTester => Some(match phase {
                // In these phases Flagger asks only confirm-rollout.
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

async fn report(gates: GateApi, report: Report, request: Request) -> Response {
    let accepted = match accept(&gates, request).await {
        Ok(accepted) => accepted,
        Err(rejected) => return gates.reject(*rejected, CallKind::Report),
    };
    let now = gates.shared.clock.now();
    let stored = match gates.shared.gatekeeper() {
        None => Err(STORE_NOT_OPEN.to_owned()),
        Some(gatekeeper) => gatekeeper
            .report(
                &accepted.canary,
                report,
                &accepted.payload.message,
                accepted.payload.event_message.as_deref(),
                now,
            )
            .await
            .map_err(|error| error.to_string()),
    };
    match stored {
        Ok(()) => {
            gates.count_call(WebhookOutcome::Accepted);
            text_line(StatusCode::OK, "stored")
        }
        Err(why) => {
            gates.count_call(WebhookOutcome::Failed);
            text_line(StatusCode::SERVICE_UNAVAILABLE, &format!("not stored: {why}"))
        }
    }
}

impl GateApi {
    fn count_call(&self, outcome: WebhookOutcome) {
        self.shared.metrics.webhook(Source::Flagger, outcome);
    }

    /// Answers a rejected message, counts it and logs it.
    fn reject(&self, rejected: RejectedCall, kind: CallKind) -> Response {
        let RejectedCall { why: rejection, authentication, source, path, canary } = rejected;
        let (reason, words, hint) = (rejection.reason(), rejection.to_string(), rejection.hint());
        let (outcome, response) = match (&rejection, kind) {
            (Rejection::NotAllowed(_), CallKind::Question) => {
                (WebhookOutcome::Refused, text_line(StatusCode::FORBIDDEN, &format!("closed: {words}")))
            }
            (Rejection::NotAllowed(_), CallKind::Report) => {
                (WebhookOutcome::Ignored, text_line(StatusCode::OK, &format!("dropped: {words}")))
            }
            (Rejection::Unauthenticated(_), _) => (WebhookOutcome::Refused, unauthenticated(&words)),
            // A gate question is always answered closed, never with a 5xx.
            (Rejection::BodyError(BodyError::MemoryLimit), CallKind::Question) => {
                (WebhookOutcome::Failed, text_line(StatusCode::FORBIDDEN, &format!("closed: {words}")))
            }
            (Rejection::BodyError(unread), _) => {
                (WebhookOutcome::Invalid, text_line(unread.status(), &words))
            }
            (Rejection::ContentType, _) => {
                (WebhookOutcome::Invalid, text_line(StatusCode::UNSUPPORTED_MEDIA_TYPE, &words))
            }
            (Rejection::Query(..) | Rejection::BadPayload(_) | Rejection::Cluster(_), _) => {
                (WebhookOutcome::Invalid, text_line(StatusCode::BAD_REQUEST, &words))
            }
        };
        self.count_call(outcome);
        let listener = ListenerLabel::Gate;
        self.shared.refuse(RefusedCall {
            listener,
            authentication,
            source,
            path,
            canary,
            reason,
            message: words,
            hint,
        });
        response
    }

    /// Answers a request that is not a message, counts it and logs it.
    async fn misdirected(&self, request: Request, stray: Misdirected) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let (status, reason, words, hint) = match stray {
            Misdirected::Path => {
                let words = not_found(path);
                let words =
                    nearest_hook(path).map_or(words.clone(), |near| format!("{words}; did you mean {near}?"));
                (StatusCode::NOT_FOUND, RefusalReason::Path, words, for_path(path))
            }
            Misdirected::Method => {
                let words = method_not_allowed(&parts.method);
                (StatusCode::METHOD_NOT_ALLOWED, RefusalReason::Method, words, METHOD.to_owned())
            }
            Misdirected::ByHand => {
                let words = "gates are opened in Jira, by moving the ticket; not here".to_owned();
                let hint = "take that call out: no hook and no script opens a gate of the bridge".to_owned();
                (StatusCode::FORBIDDEN, RefusalReason::ByHand, words, hint)
            }
        };
        let authentication = match from_header(&self.config, &parts.headers) {
            Ok(Some(_)) => Authentication::Authenticated,
            Ok(None) | Err(_) => Authentication::Unauthenticated,
        };
        let response = text_line(status, &words);
        let canary =
            peek(body, MAX_BODY_BYTES, &self.shared.bodies).await.and_then(|body| canary_name(&body));
        self.shared.refuse(RefusedCall {
            listener: ListenerLabel::Gate,
            authentication,
            source: connection(&parts.extensions).map(|connection| connection.source()),
            path: path.to_owned(),
            canary,
            reason,
            message: words,
            hint,
        });
        response
    }
}

/// The kind of a message.
#[derive(Clone, Copy, Debug)]
enum CallKind {
    Question,
    Report,
}

/// A message from an authorized caller.
struct AcceptedCall {
    canary: CanaryId,
    approver: Option<String>,
    payload: Payload,
}

/// A message that is rejected.
#[derive(Debug)]
struct RejectedCall {
    why: Rejection,
    authentication: Authentication,
    source: Option<IpAddr>,
    path: String,
    /// `namespace/name`, if known.
    canary: Option<String>,
}

/// Why a message is rejected.
#[derive(Debug, thiserror::Error)]
enum Rejection {
    /// 401.
    #[error(transparent)]
    Unauthenticated(Unauthenticated),
    /// 403 for a question; a report is dropped.
    #[error(transparent)]
    NotAllowed(NotAllowed),
    /// 400: what is wrong with the query, and what to write there.
    #[error("{0}")]
    Query(String, String),
    /// 415.
    #[error("the content type is not application/json")]
    ContentType,
    /// The body could not be read.
    #[error("{}", .0.message())]
    BodyError(BodyError),
    /// 400: the body is not a message of Flagger.
    #[error(transparent)]
    BadPayload(BadPayload),
    /// 400: the cluster's name is not a valid name.
    #[error(transparent)]
    Cluster(BadPayload),
}

impl Rejection {
    const fn reason(&self) -> RefusalReason {
        match self {
            Self::Unauthenticated(_) => RefusalReason::Token,
            Self::NotAllowed(NotAllowed::UnknownCluster(_) | NotAllowed::OtherCluster(_))
            | Self::Cluster(_) => RefusalReason::Cluster,
            Self::NotAllowed(NotAllowed::Namespace(_) | NotAllowed::TokenNamespace(..)) => {
                RefusalReason::Namespace
            }
            Self::Query(..) => RefusalReason::Query,
            Self::ContentType => RefusalReason::ContentType,
            Self::BodyError(BodyError::TooLarge) => RefusalReason::TooLarge,
            Self::BodyError(BodyError::MemoryLimit) => RefusalReason::Crowded,
            Self::BodyError(BodyError::Incomplete) | Self::BadPayload(_) => RefusalReason::Body,
        }
    }

    /// What to change.
    fn hint(&self) -> String {
        match self {
            Self::Unauthenticated(why) => why.hint().to_owned(),
            Self::NotAllowed(why) => why.hint(),
            Self::Query(_, hint) => hint.clone(),
            Self::ContentType => "let the hook send application/json, as Flagger does".to_owned(),
            Self::BodyError(BodyError::TooLarge) => "let the hook send less metadata".to_owned(),
            Self::BodyError(BodyError::MemoryLimit) => {
                "let the hook send less metadata, or the token in its url: then unauthenticated callers do not hold it up".to_owned()
            }
            Self::BodyError(BodyError::Incomplete) => "see whether the network between the two is sound".to_owned(),
            Self::BadPayload(BadPayload::Name { what, .. }) => {
                format!("send the {what} of the Canary as Kubernetes has it")
            }
            Self::BadPayload(BadPayload::Missing(key)) => format!("send {key}, as Flagger does"),
            Self::BadPayload(BadPayload::Checksum(_)) => "send Flagger's own checksum, or none".to_owned(),
            Self::BadPayload(BadPayload::Kind { key, .. }) if key.starts_with("metadata") => {
                "quote the values of metadata in the Canary: all of them are strings".to_owned()
            }
            Self::BadPayload(_) => "send the JSON that Flagger sends; all values of metadata are strings".to_owned(),
            Self::Cluster(_) => format!("{NAME_RULES} in metadata.cluster"),
        }
    }
}

/// What the header proves. `None` if there is no token in it: then the token must be in the body.
fn from_header<'a>(
    config: &'a config::Flagger,
    headers: &HeaderMap,
) -> Result<Option<admission::TokenHolder<'a>>, Unauthenticated> {
    match presented(headers) {
        _ if !admission::needs_token(config) => Ok(Some(admission::TokenHolder::NoTokenNeeded)),
        PresentedToken::Token(token) => admission::holder(config, Some(&token)).map(Some),
        PresentedToken::Malformed => Err(Unauthenticated::WrongToken),
        PresentedToken::None => Ok(None),
    }
}

/// Reads and authorizes a message. A wrong token in a header is rejected before the body is read. The body is searched
/// for a token only if the header has none.
async fn accept(gates: &GateApi, request: Request) -> Result<AcceptedCall, Box<RejectedCall>> {
    let (parts, body) = request.into_parts();
    let (config, bodies) = (&*gates.config, &gates.shared.bodies);
    let rejected = |why, authentication, canary| {
        let source = connection(&parts.extensions).map(|connection| connection.source());
        Box::new(RejectedCall { why, authentication, source, path: parts.uri.path().to_owned(), canary })
    };
    let known = |proven: &Option<_>| {
        if proven.is_some() { Authentication::Authenticated } else { Authentication::Unauthenticated }
    };
    let early = match from_header(config, &parts.headers) {
        Err(why) => Err((Rejection::Unauthenticated(why), Authentication::Unauthenticated)),
        Ok(proven) => match parameters(&parts.uri) {
            Err(why) => Err((why, known(&proven))),
            Ok(_) if !is_json(&parts.headers) => Err((Rejection::ContentType, known(&proven))),
            Ok(parameters) => Ok((proven, parameters)),
        },
    };
    let (proven, parameters) = match early {
        Ok(early) => early,
        Err((why, authentication)) => {
            // Boxed to keep the common future small.
            let body = Box::pin(peek(body, MAX_BODY_BYTES, bodies)).await;
            return Err(rejected(why, authentication, body.and_then(|body| canary_name(&body))));
        }
    };
    let authentication = known(&proven);
    let sender = match &proven {
        Some(admission::TokenHolder::NoTokenNeeded) | None => Sender::Unauthenticated(bodies),
        Some(
            admission::TokenHolder::General
            | admission::TokenHolder::Cluster(_)
            | admission::TokenHolder::Scoped(_),
        ) => {
            if let Some(connection) = connection(&parts.extensions) {
                connection.mark_authenticated();
            }
            Sender::Authenticated
        }
    };
    let (body, _held) = read_body(body, MAX_BODY_BYTES, sender)
        .await
        .map_err(|unread| rejected(Rejection::BodyError(unread), authentication, None))?;
    let payload = match (parse(&body), &proven) {
        (Ok(payload), _) => payload,
        (Err(_), None) => {
            return Err(rejected(
                Rejection::Unauthenticated(Unauthenticated::NoToken),
                authentication,
                canary_name(&body),
            ));
        }
        (Err(bad), Some(_)) => {
            return Err(rejected(Rejection::BadPayload(bad), authentication, canary_name(&body)));
        }
    };
    let canary = || Some(format!("{}/{}", payload.namespace, payload.name));
    let holder = match proven {
        Some(holder) => holder,
        None => admission::holder(config, payload.token.as_ref()).map_err(|why| {
            rejected(Rejection::Unauthenticated(why), Authentication::Unauthenticated, canary())
        })?,
    };
    let metadata = payload.metadata.get("cluster").map(String::as_str);
    let named = ClaimedCluster { query: parameters.cluster.as_deref(), metadata };
    let cluster = match admission::admit(config, &holder, named, &payload.namespace) {
        Admission::Admitted(cluster) => cluster.to_owned(),
        Admission::Unauthenticated(why) => {
            return Err(rejected(Rejection::Unauthenticated(why), Authentication::Authenticated, canary()));
        }
        Admission::NotAllowed(why) => {
            return Err(rejected(Rejection::NotAllowed(why), Authentication::Authenticated, canary()));
        }
        Admission::BadPayload(bad) => {
            return Err(rejected(Rejection::Cluster(bad), Authentication::Authenticated, canary()));
        }
    };
    let canary = CanaryId { cluster, namespace: payload.namespace.clone(), name: payload.name.clone() };
    Ok(AcceptedCall { canary, approver: parameters.gate, payload })
}

/// The parameters of the query.
#[derive(Default)]
struct Parameters {
    gate: Option<String>,
    cluster: Option<String>,
}

/// Reads the query. Rejects any other parameter: if it is a misspelled `gate`, ignoring it would ask at the gate
/// without a name, which another approval opens.
fn parameters(uri: &Uri) -> Result<Parameters, Rejection> {
    if uri.query().is_none() {
        return Ok(Parameters::default());
    }
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
        Rejection::Query("the query cannot be read".to_owned(), "correct the hook's url".to_owned())
    })?;
    let mut read = Parameters::default();
    for (key, value) in pairs.0 {
        let (what, place) = match key.as_str() {
            "gate" => ("gate", &mut read.gate),
            "cluster" => ("cluster", &mut read.cluster),
            other => {
                let (words, hint) = for_parameter(other);
                return Err(Rejection::Query(words, hint));
            }
        };
        if let Err(bad) = check_dns_label(what, &value) {
            let hint = slug(&value).map_or_else(
                || NAME_RULES.to_owned(),
                |slug| format!("write ?{what}={slug} into the hook's url"),
            );
            return Err(Rejection::Query(bad.to_string(), hint));
        }
        if place.replace(value).is_some() {
            let hint = format!("take one ?{what}= out of the hook's url");
            return Err(Rejection::Query(format!("?{what}= is given twice"), hint));
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

/// The JSON answer: whether the gate is open, and the gate as the API shows it.
#[derive(Serialize)]
struct AnswerView<'a> {
    open: bool,
    #[serde(flatten)]
    gate: &'a GateView,
}

fn answer_response(answer: &Answer, json: bool) -> Response {
    let status = if answer.open { StatusCode::OK } else { StatusCode::FORBIDDEN };
    if json {
        (status, [NOSNIFF], Json(AnswerView { open: answer.open, gate: &answer.gate })).into_response()
    } else {
        text_line(status, &answer.line)
    }
}

#[cfg(test)]
mod tests;
