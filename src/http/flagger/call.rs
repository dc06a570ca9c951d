//! Reads a message of Flagger and decides whether its caller may send it.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Query, Request},
    http::{HeaderMap, Uri, header},
};

use crate::{
    config,
    flagger::{BadPayload, Payload, canary_name, check_dns_label, parse},
    http::{
        admission::{self, Admission, ClaimedCluster, NotAllowed, Unauthenticated},
        body::{Bodies, BodyError, Sender, peek, read_body},
        credentials::{PresentedToken, presented},
        refused_calls::{Authentication, NAME_RULES, for_parameter, slug},
        shared::connection,
    },
    metrics::RefusalReason,
    rollout::CanaryId,
};

/// The largest body Flagger may send.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A message from an authorized caller.
pub(super) struct AcceptedCall {
    pub(super) canary: CanaryId,
    pub(super) approver: Option<String>,
    pub(super) payload: Payload,
}

/// A message that is rejected.
#[derive(Debug)]
pub(super) struct RejectedCall {
    pub(super) rejection: Rejection,
    pub(super) authentication: Authentication,
    pub(super) source: Option<IpAddr>,
    pub(super) path: String,
    /// `namespace/name`, if known.
    pub(super) canary: Option<String>,
}

/// Why a message is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
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
    pub(super) const fn reason(&self) -> RefusalReason {
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
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Unauthenticated(why) => why.hint().to_owned(),
            Self::NotAllowed(why) => why.hint(),
            Self::Query(_, hint) => hint.clone(),
            Self::ContentType => "have the hook send application/json, as Flagger does".to_owned(),
            Self::BodyError(BodyError::TooLarge) => "have the hook send less metadata".to_owned(),
            Self::BodyError(BodyError::MemoryLimit) => {
                "have the hook send less metadata, or the token in its url: then unauthenticated callers do not hold it up".to_owned()
            }
            Self::BodyError(BodyError::Incomplete) => "check the network between the two".to_owned(),
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
pub(super) fn from_header<'a>(
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
pub(super) async fn accept(
    config: &config::Flagger,
    bodies: &Arc<Bodies>,
    request: Request,
) -> Result<AcceptedCall, Box<RejectedCall>> {
    let (parts, body) = request.into_parts();
    let rejected = |rejection, authentication, canary| {
        let source = connection(&parts.extensions).map(|connection| connection.source());
        Box::new(RejectedCall {
            rejection,
            authentication,
            source,
            path: parts.uri.path().to_owned(),
            canary,
        })
    };
    let known = |proven: &Option<_>| {
        if proven.is_some() { Authentication::Authenticated } else { Authentication::Unauthenticated }
    };
    let early = match from_header(config, &parts.headers) {
        Err(why) => Err((Rejection::Unauthenticated(why), Authentication::Unauthenticated)),
        Ok(proven) => match parameters(&parts.uri) {
            Err(rejection) => Err((rejection, known(&proven))),
            Ok(_) if !is_json(&parts.headers) => Err((Rejection::ContentType, known(&proven))),
            Ok(parameters) => Ok((proven, parameters)),
        },
    };
    let (proven, parameters) = match early {
        Ok(early) => early,
        Err((rejection, authentication)) => {
            // Boxed to keep the common future small.
            let body = Box::pin(peek(body, MAX_BODY_BYTES, bodies)).await;
            return Err(rejected(rejection, authentication, body.and_then(|body| canary_name(&body))));
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
pub(super) struct Parameters {
    pub(super) gate: Option<String>,
    pub(super) cluster: Option<String>,
}

/// Reads the query. Rejects any other parameter: if it is a misspelled `gate`, ignoring it would ask at the gate
/// without a name, which another approval opens.
pub(super) fn parameters(uri: &Uri) -> Result<Parameters, Rejection> {
    if uri.query().is_none() {
        return Ok(Parameters::default());
    }
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
        Rejection::Query("the query cannot be read".to_owned(), "correct the hook's url".to_owned())
    })?;
    let mut read = Parameters::default();
    for (key, value) in pairs.0 {
        let (what, parameter) = match key.as_str() {
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
        if parameter.replace(value).is_some() {
            let hint = format!("remove one ?{what}= from the hook's url");
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

/// `text/html; charset=utf-8` without its parameters.
pub(super) fn media_type(value: &str) -> &str {
    value.split_once(';').map_or(value, |(kind, _)| kind).trim()
}
