//! Jira's webhook: a nudge to read a ticket from Jira. Only the issue's number is taken from it, nothing else.

use std::net::IpAddr;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post},
};
use serde_json::Value;

use crate::{
    gatekeeper::NudgeOutcome,
    http::{
        body::{BodyError, Sender, read_body},
        credentials::{PresentedToken, is_one_of, is_signed, presented},
        plain::{STORE_NOT_OPEN, method_not_allowed, not_found, text_line, unauthenticated},
        refused_calls::{Authentication, METHOD, RefusedCall, SIGNATURE},
        shared::{Shared, connection},
    },
    metrics::{ListenerLabel, RefusalReason, Source, WebhookOutcome},
    secret::Secret,
};

const PATH: &str = "/jira/webhook";
/// The largest body Jira may send.
const MAX_BODY_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
struct Webhook {
    shared: Shared,
    secret: Option<Secret>,
}

/// Everything on the webhook listener, which may face the internet. Without a secret the webhook is off, because every
/// caller could sign with an empty key.
pub fn webhook_router(shared: Shared, secret: Option<Secret>) -> Router {
    // For the probes of load balancers. The body is empty, because the port may face the internet.
    let probe = async || StatusCode::OK;
    let router =
        Router::new().route(PATH, post(webhook)).route("/", get(probe)).route("/healthz", get(probe));
    let unknown_path = async |State(webhook): State<Webhook>, request: Request| {
        webhook.misdirected(&request, Misdirected::Path)
    };
    let wrong_method = async |State(webhook): State<Webhook>, request: Request| {
        webhook.misdirected(&request, Misdirected::Method)
    };
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Webhook { shared, secret })
}

/// Why a request is not a webhook.
#[derive(Clone, Copy, Debug)]
enum Misdirected {
    Path,
    Method,
}

async fn webhook(State(webhook): State<Webhook>, request: Request) -> Response {
    let source = connection(request.extensions()).map(|connection| connection.source());
    let (outcome, response) = match webhook.accept(request).await {
        Ok(accepted) => accepted,
        Err(rejected) => {
            let RejectedDelivery { authentication, reason, message, hint, response } = *rejected;
            let (path, hint) = (PATH.to_owned(), hint.to_owned());
            webhook.refuse(authentication, source, path, reason, message.to_owned(), hint);
            (
                if reason == RefusalReason::Token {
                    WebhookOutcome::Refused
                } else {
                    WebhookOutcome::Invalid
                },
                response,
            )
        }
    };
    webhook.shared.metrics.webhook(Source::Jira, outcome);
    response
}

/// Why a caller is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unauthenticated {
    /// No secret is configured.
    Off,
    WrongSignature,
    WrongToken,
    /// Neither a signature nor a token was sent.
    NoProof,
}

impl Unauthenticated {
    const fn message(self) -> &'static str {
        match self {
            Self::Off => "the webhook is off: jira.webhook_secret is not set",
            Self::WrongSignature => "the signature is wrong",
            Self::WrongToken => "the token is not valid",
            Self::NoProof => "the request has neither X-Hub-Signature nor a Bearer token",
        }
    }

    /// What to change.
    const fn hint(self) -> &'static str {
        match self {
            Self::Off => "set jira.webhook_secret_file, or remove the webhook from Jira",
            Self::WrongSignature | Self::WrongToken | Self::NoProof => SIGNATURE,
        }
    }
}

/// A webhook that is rejected.
struct RejectedDelivery {
    authentication: Authentication,
    reason: RefusalReason,
    message: &'static str,
    /// What to change.
    hint: &'static str,
    response: Response,
}

impl RejectedDelivery {
    fn unauthenticated(why: Unauthenticated) -> Box<Self> {
        let message = why.message();
        Box::new(Self {
            authentication: Authentication::Unauthenticated,
            reason: RefusalReason::Token,
            message,
            hint: why.hint(),
            response: unauthenticated(message),
        })
    }

    fn body_error(authentication: Authentication, unread: BodyError) -> Box<Self> {
        let (reason, hint) = match unread {
            BodyError::TooLarge => (
                RefusalReason::TooLarge,
                "have Jira exclude the body, or have the rule send issueId alone: the bridge reads no more",
            ),
            BodyError::Incomplete => (RefusalReason::Body, "check whether a proxy in front cuts bodies off"),
            BodyError::MemoryLimit => {
                (RefusalReason::Crowded, "Jira sends it again; see who else sends large bodies to this port")
            }
        };
        let message = unread.message();
        let response = text_line(unread.status(), message);
        Box::new(Self { authentication, reason, message, hint, response })
    }

    fn not_json() -> Box<Self> {
        let message = "the body is not JSON";
        let hint = "have Jira, or the rule, send JSON: {\"issueId\": \"{{issue.id}}\"} is enough";
        let response = text_line(StatusCode::BAD_REQUEST, message);
        Box::new(Self {
            authentication: Authentication::Authenticated,
            reason: RefusalReason::Body,
            message,
            hint,
            response,
        })
    }
}

impl Webhook {
    async fn accept(&self, request: Request) -> Result<(WebhookOutcome, Response), Box<RejectedDelivery>> {
        let (parts, body) = request.into_parts();
        let proof = self.proof(&parts.headers).map_err(RejectedDelivery::unauthenticated)?;
        let (known, sender) = match &proof {
            DeliveryProof::Token => (Authentication::Authenticated, Sender::Authenticated),
            DeliveryProof::Signature { .. } => {
                (Authentication::Unauthenticated, Sender::Unauthenticated(&self.shared.bodies))
            }
        };
        if let (DeliveryProof::Token, Some(connection)) = (&proof, connection(&parts.extensions)) {
            connection.mark_authenticated();
        }
        let (body, held) = read_body(body, MAX_BODY_BYTES, sender)
            .await
            .map_err(|unread| RejectedDelivery::body_error(known, unread))?;
        if let DeliveryProof::Signature { signature, secrets } = proof
            && !is_signed(&body, &signature, &secrets)
        {
            return Err(RejectedDelivery::unauthenticated(Unauthenticated::WrongSignature));
        }
        drop(held);
        let ticket = ticket(&body);
        // Frees the memory: the database may take a while.
        drop(body);
        match ticket {
            Err(NotJson) => Err(RejectedDelivery::not_json()),
            Ok(None) => Ok(ignored()),
            Ok(Some(ticket)) => Ok(self.nudge(&ticket).await),
        }
    }

    fn refuse(
        &self,
        authentication: Authentication,
        source: Option<IpAddr>,
        path: String,
        reason: RefusalReason,
        message: String,
        hint: String,
    ) {
        let listener = ListenerLabel::Webhook;
        self.shared.refuse(RefusedCall {
            listener,
            authentication,
            source,
            path,
            canary: None,
            reason,
            message,
            hint,
        });
    }

    /// Answers a request that is not a webhook, counts it and logs it.
    fn misdirected(&self, request: &Request, misdirected: Misdirected) -> Response {
        let path = request.uri().path();
        let (status, reason, words, hint) = match misdirected {
            Misdirected::Path => {
                let hint = "Jira's webhook is at /jira/webhook; there is nothing else at this port";
                (StatusCode::NOT_FOUND, RefusalReason::Path, not_found(path), hint)
            }
            Misdirected::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                RefusalReason::Method,
                method_not_allowed(request.method()),
                METHOD,
            ),
        };
        let response = text_line(status, &words);
        let source = connection(request.extensions()).map(|connection| connection.source());
        self.refuse(Authentication::Unauthenticated, source, path.to_owned(), reason, words, hint.to_owned());
        response
    }

    async fn nudge(&self, ticket: &str) -> (WebhookOutcome, Response) {
        let nudged = match self.shared.gatekeeper() {
            None => Err(STORE_NOT_OPEN.to_owned()),
            Some(gatekeeper) => {
                gatekeeper.nudge(ticket, self.shared.clock.now()).await.map_err(|error| error.to_string())
            }
        };
        match nudged {
            Ok(NudgeOutcome::Stored) => (WebhookOutcome::Accepted, text_line(StatusCode::OK, "accepted")),
            Ok(NudgeOutcome::Unknown) => ignored(),
            // Jira retries after a 503.
            Err(why) => (
                WebhookOutcome::Failed,
                text_line(StatusCode::SERVICE_UNAVAILABLE, &format!("not stored: {why}")),
            ),
        }
    }

    /// What the headers prove, checked with the current secrets.
    fn proof(&self, headers: &HeaderMap) -> Result<DeliveryProof, Unauthenticated> {
        let secret = self.secret.as_ref().ok_or(Unauthenticated::Off)?;
        authenticate(headers, secret.values())
    }
}

/// What the headers prove, or the signature that must still be checked against the body. If there is a signature, only
/// it counts: a valid token does not make up for a wrong signature.
fn authenticate(
    headers: &HeaderMap,
    secrets: Vec<secrecy::SecretString>,
) -> Result<DeliveryProof, Unauthenticated> {
    if let Some(signature) = headers.get("x-hub-signature") {
        let signature = signature.to_str().map_err(|_| Unauthenticated::WrongSignature)?.to_owned();
        return Ok(DeliveryProof::Signature { signature, secrets });
    }
    match presented(headers) {
        PresentedToken::Token(token) if is_one_of(&token, &secrets) => Ok(DeliveryProof::Token),
        PresentedToken::Token(_) | PresentedToken::Malformed => Err(Unauthenticated::WrongToken),
        PresentedToken::None => Err(Unauthenticated::NoProof),
    }
}

/// How a caller proves that it knows the secret.
enum DeliveryProof {
    /// It sent the secret: Automation rules, and Data Center before 10.
    Token,
    /// It sent a signature of the body, which is not checked yet.
    Signature { signature: String, secrets: Vec<secrecy::SecretString> },
}

fn ignored() -> (WebhookOutcome, Response) {
    (WebhookOutcome::Ignored, text_line(StatusCode::OK, "ignored"))
}

#[derive(Debug, PartialEq, Eq)]
struct NotJson;

/// The id of the issue that a webhook is about: `issue.id` in Jira's own format. Automation rules send `issueId`, or
/// the issue at the top level, and the id may be a JSON number.
fn ticket(body: &[u8]) -> Result<Option<String>, NotJson> {
    let json: Value = serde_json::from_slice(body).map_err(|_| NotJson)?;
    let places = [json.get("issue").and_then(|issue| issue.get("id")), json.get("issueId"), json.get("id")];
    let found = places.into_iter().flatten().next();
    let id = match found {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => return Ok(None),
    };
    let is_id = (1..=19).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    Ok(is_id.then_some(id))
}

#[cfg(test)]
mod tests;
