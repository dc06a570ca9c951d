//! The gate listener: Flagger's questions and reports.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde::Serialize;

use crate::{
    config,
    flagger::{Payload, canary_name},
    gate::{GateName, Stage, Verdict},
    gatekeeper::{Answer, Question},
    http::{
        body::{BodyError, peek},
        health::health,
        plain::{NOSNIFF, STORE_NOT_OPEN, method_not_allowed, not_found, text_line, unauthenticated},
        refused_calls::{Authentication, METHOD, RefusedCall, for_path, nearest_hook},
        shared::{Shared, connection},
    },
    metrics::{AnswerLabel, ListenerLabel, RefusalReason, Source, WebhookOutcome},
    rollout::{Phase, Report},
    view::GateView,
};

mod call;

use call::{AcceptedCall, MAX_BODY_BYTES, RejectedCall, Rejection, accept, from_header, media_type};

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
    let question_at = |path: QuestionPath| {
        post(async move |state: State<GateApi>, request: Request| question(state.0, path, request).await)
    };
    let report_at = |kind: Report| {
        post(async move |state: State<GateApi>, request: Request| report(state.0, kind, request).await)
    };
    let mut router = Router::new()
        .route("/gate/confirm-rollout", question_at(QuestionPath::Stage(Stage::ConfirmRollout)))
        .route(
            "/gate/confirm-traffic-increase",
            question_at(QuestionPath::Stage(Stage::ConfirmTrafficIncrease)),
        )
        .route("/gate/confirm-promotion", question_at(QuestionPath::Stage(Stage::ConfirmPromotion)))
        .route("/gate/check", question_at(QuestionPath::LoadTester))
        .route("/gate/rollback", question_at(QuestionPath::Rollback))
        .route("/rollback/check", question_at(QuestionPath::Rollback))
        .route("/event", report_at(Report::Event))
        .route("/post-rollout", report_at(Report::PostRollout));
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

async fn question(gates: GateApi, path: QuestionPath, request: Request) -> Response {
    let json = wants_json(request.headers());
    let accepted = match accept(&gates.config, &gates.shared.bodies, request).await {
        Ok(accepted) => accepted,
        Err(rejected) => return gates.reject(*rejected, CallKind::Question),
    };
    let stage = path.stage(accepted.payload.message.phase);
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
            let gate = GateName { stage, approver, step: None };
            let Payload { message, metadata, .. } = payload;
            gatekeeper.ask(&Question { canary, gate, message, metadata }, now).await
        }
    };
    gates.count_call(WebhookOutcome::Accepted);
    gates.shared.metrics.verdict(stage, label(&answer));
    answer_response(&answer, json)
}

/// How an answer is counted: apart, if nobody was asked.
const fn label(answer: &Answer) -> AnswerLabel {
    match (answer.open, answer.gate.state) {
        (true, Verdict::Recorded) => AnswerLabel::Recorded,
        (true, _) => AnswerLabel::Open,
        (false, _) => AnswerLabel::Closed,
    }
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
    let accepted = match accept(&gates.config, &gates.shared.bodies, request).await {
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
        let RejectedCall { rejection, authentication, source, path, canary } = rejected;
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
    async fn misdirected(&self, request: Request, misdirected: Misdirected) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let (status, reason, words, hint) = match misdirected {
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
                let words = "gates are opened in Jira, by moving the ticket, not here".to_owned();
                let hint = "remove that call: no hook or script can open a gate of the bridge".to_owned();
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

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|one| media_type(one).eq_ignore_ascii_case("application/json"))
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
