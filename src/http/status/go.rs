//! `/go/NAMESPACE/CANARY`: leads to the ticket that a rollout waits for, or says why there is none.

use std::sync::LazyLock;

use axum::{
    extract::{Path, Query, rejection::PathRejection, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use minijinja::{Environment, value::Serde};
use serde::{Deserialize, Serialize};

use super::headers::{HTML, NO_REFERRER, NO_STORE, POLICY};
use crate::{
    gate::Verdict,
    gatekeeper::Gatekeeper,
    http::plain::{NOSNIFF, text_line},
    millis::Millis,
    text::one_line,
    view::{GateView, TicketView},
};

/// The longest name that the page repeats, in characters: Kubernetes allows no longer one.
const LONGEST_NAME: usize = 253;

/// The query, untrusted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GoQuery {
    /// The canary's cluster; left out: any.
    cluster: Option<String>,
}

/// What the bridge knows about the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Known {
    /// The database is not open, so nothing is known.
    NotOpen,
    /// The path is not that of a canary.
    NoName,
    /// No rollout of it asks.
    Nothing,
    /// Its ticket is being opened.
    Opening,
    /// It has no ticket.
    NoTicket,
    /// Several gates wait.
    Several,
}

impl Known {
    const fn status(self) -> StatusCode {
        match self {
            Self::NotOpen => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoName => StatusCode::BAD_REQUEST,
            Self::Nothing | Self::Opening | Self::NoTicket => StatusCode::NOT_FOUND,
            Self::Several => StatusCode::MULTIPLE_CHOICES,
        }
    }
}

/// The input of the template.
#[derive(Serialize)]
struct GoPage<'a> {
    known: Known,
    cluster: Option<String>,
    namespace: String,
    canary: String,
    gates: &'a [&'a GateView],
}

/// Answers with a redirect to the ticket, or with a short page.
pub(super) fn go(
    gatekeeper: Option<&Gatekeeper>,
    path: Result<Path<(String, String)>, PathRejection>,
    wanted: Result<Query<GoQuery>, QueryRejection>,
    now: Millis,
) -> Response {
    let (Ok(Path((namespace, canary))), Ok(Query(GoQuery { cluster }))) = (path, wanted) else {
        return page(Known::NoName, None, ["", ""], &[]);
    };
    let cluster = cluster.filter(|cluster| !cluster.is_empty());
    let names = [namespace.as_str(), canary.as_str()];
    let Some(gatekeeper) = gatekeeper else { return page(Known::NotOpen, cluster, names, &[]) };
    let gates = gatekeeper.gates_of(cluster.as_deref(), &namespace, &canary, now);
    let chosen = choose(&gates);
    match chosen.as_slice() {
        [] => page(Known::Nothing, cluster, names, &[]),
        [gate] => match gate.ticket.as_ref().and_then(redirect) {
            Some(redirect) => redirect,
            None if gate.state == Verdict::Opening => page(Known::Opening, cluster, names, &chosen),
            None => page(Known::NoTicket, cluster, names, &chosen),
        },
        _ => page(Known::Several, cluster, names, &chosen),
    }
}

/// The gates that the caller may mean: of one canary, those that are not open yet, if there are any.
fn choose(gates: &[GateView]) -> Vec<&GateView> {
    let mut chosen: Vec<&GateView> = gates.iter().collect();
    // An earlier step of traffic is not asked about again.
    let asks = |gate: &&GateView| !gate.state.is_open() && gate.state != Verdict::Passed;
    let is_one_canary = gates.windows(2).all(|two| two[0].cluster == two[1].cluster);
    if is_one_canary && gates.iter().any(|gate| asks(&gate)) {
        chosen.retain(asks);
    }
    chosen
}

/// The redirect to a ticket, if its link leads to a website.
fn redirect(ticket: &TicketView) -> Option<Response> {
    let is_web = ["https://", "http://"].iter().any(|scheme| ticket.url.starts_with(scheme));
    if !is_web {
        return None;
    }
    let to = HeaderValue::try_from(ticket.url.as_str()).ok()?;
    let location = (header::LOCATION, to);
    Some((StatusCode::FOUND, [location, NOSNIFF, NO_STORE, NO_REFERRER]).into_response())
}

fn page(known: Known, cluster: Option<String>, names: [&str; 2], gates: &[&GateView]) -> Response {
    let [namespace, canary] = names.map(|name| one_line(name, LONGEST_NAME));
    let cluster = cluster.map(|cluster| one_line(&cluster, LONGEST_NAME));
    match render(&GoPage { known, cluster, namespace, canary, gates }) {
        Ok(html) => (known.status(), [HTML, NOSNIFF, NO_STORE, NO_REFERRER, POLICY], html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page of a canary cannot be rendered, which is a bug; the command gates shows the same");
            text_line(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be rendered, see the bridge's log")
        }
    }
}

fn render(page: &GoPage<'_>) -> Result<String, minijinja::Error> {
    TEMPLATES
        .as_ref()
        .map_err(|error| minijinja::Error::new(error.kind(), error.to_string()))?
        .get_template(NAME)?
        .render(Serde(page))
}

/// The extension `.html` turns escaping on.
const NAME: &str = "go.html";

/// Parsed once.
static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.add_template(NAME, include_str!("go.html"))?;
    Ok(pages)
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_websites_are_followed() {
        for (url, follows) in [
            ("https://jira.example/browse/OPS-1", true),
            ("http://127.0.0.1:8090/browse/OPS-1", true),
            ("javascript:alert(1)", false),
            ("//jira.example/browse/OPS-1", false),
            ("/browse/OPS-1", false),
            ("https://jira.example/\r\nX: y", false),
            ("", false),
        ] {
            let ticket = TicketView { key: "OPS-1".into(), url: url.into(), status: None };
            let redirect = redirect(&ticket);
            assert_eq!(redirect.is_some(), follows, "{url:?}");
            assert!(redirect.is_none_or(|answer| answer.headers()[header::LOCATION] == url));
        }
    }
}
