//! The status page, rendered for each request. It loads a style sheet and a script, and works without the script.

use std::{sync::LazyLock, time::Duration};

use jiff::Timestamp;
use minijinja::{Environment, value::Serde};
use serde::{Deserialize, Serialize};

use crate::{
    config,
    gate::Verdict,
    gatekeeper::{ListedGate, Overview, counts},
    http::refused_calls::RefusedView,
    millis::{Millis, clock_time, config_notation, rough_duration},
    view::{GateView, ParkedView, PassedView, Rfc3339, UnaskedView, UnguardedView},
};

/// How many gates one page shows.
const ROWS_PER_PAGE: usize = 200;
/// How many refused calls the page shows; the API returns all.
const MAX_REFUSED: usize = 50;
/// How many Canaries that ask nobody the page shows; the API returns all.
const MAX_UNGUARDED: usize = 20;

/// The health of the connection to Jira.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JiraHealthView {
    /// Whether gates stay closed because of a problem with Jira.
    pub trouble: bool,
    /// The state in one line.
    pub words: String,
    /// Set while tickets are read one by one, which takes longer.
    pub one_by_one: Option<OneByOne>,
}

/// Since when and why tickets are read one by one: requests for several tickets are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OneByOne {
    /// Since when.
    pub since: Rfc3339,
    /// The error of Jira, or of a proxy in between.
    pub why: String,
}

/// The query of the page, untrusted. A value that is not valid is ignored.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct PageQuery {
    /// Only gates in this state.
    state: String,
    /// Only gates with this text in their canary, stage, ticket, revision or reason.
    q: String,
    /// The page number, from 1.
    page: String,
    /// `off`: the page does not refresh itself.
    refresh: String,
}

/// The state that the page shows.
pub(super) struct PageInput<'a> {
    /// `None` while the store is not open.
    pub(super) gates: Option<Gates<'a>>,
    /// What is read from the database. `None` while the store is not open; an error line if the database did not
    /// answer.
    pub(super) overview: Option<Result<Overview, String>>,
    /// The refused calls, newest first.
    pub(super) refused: Vec<RefusedView>,
    /// The Canaries that ask nobody.
    pub(super) unguarded: Vec<UnguardedView>,
    pub(super) jira: JiraHealthView,
}

/// The gates, and the limits for all of them.
pub(super) struct Gates<'a> {
    /// The longest waiting first.
    pub(super) list: &'a [ListedGate],
    /// Returns what the page shows of a gate.
    pub(super) shown: Box<dyn Fn(&ListedGate) -> GateView + Send + Sync + 'a>,
    /// How many tickets are open, as `limits.open_tickets` counts them: from the moment when a ticket is to be opened.
    pub(super) tickets: usize,
    /// The namespaces that get no further ticket, each with the number of its open tickets.
    pub(super) full_namespaces: Vec<(String, usize)>,
    pub(super) limits: config::Limits,
    pub(super) trust_for: Duration,
}

/// The input of the template.
#[derive(Serialize)]
struct Page<'a> {
    jira: &'a JiraHealthView,
    /// Why tickets are read one by one, if they are.
    one_by_one: Option<String>,
    at: String,
    version: &'static str,
    wanted: &'a PageQuery,
    refreshes: bool,
    /// `None` while the store is not open.
    table: Option<Table>,
    /// Why the database could not be read.
    trouble: Option<&'a str>,
    parked: Vec<Aged<'a, ParkedView>>,
    parked_in_all: u64,
    pending: u64,
    passed: Vec<Aged<'a, PassedView>>,
    refused: Vec<Aged<'a, RefusedView>>,
    refused_in_all: usize,
    unguarded: &'a [UnguardedView],
    /// How many more there are.
    unguarded_more: usize,
    unasked: Vec<Aged<'a, UnaskedView>>,
    limits: Option<LimitsView<'a>>,
}

/// The gates of one page.
#[derive(Serialize)]
struct Table {
    rows: Vec<GateRow>,
    /// How many gates there are, and how many of them match the query.
    in_all: usize,
    found: usize,
    /// How many of all gates are closed.
    closed: u64,
    /// The number of gates in each state that occurs.
    counts: Vec<Count>,
    /// From 1.
    page: usize,
    pages: usize,
}

#[derive(Serialize)]
struct Count {
    state: &'static str,
    words: String,
    many: u64,
    /// What the state means, and what to do about it.
    meaning: &'static str,
}

/// A gate in the table.
#[derive(Serialize)]
struct GateRow {
    #[serde(flatten)]
    gate: GateView,
    /// The state in words.
    words: String,
    /// The time since Flagger first asked.
    age: Option<String>,
}

/// An entry, and its age.
#[derive(Serialize)]
struct Aged<'a, T> {
    #[serde(flatten)]
    what: &'a T,
    age: String,
}

#[derive(Serialize)]
struct LimitsView<'a> {
    tickets: usize,
    /// No further ticket may be opened.
    full: bool,
    open_tickets: usize,
    per_namespace: usize,
    /// The namespaces that get no further ticket.
    full_namespaces: Vec<&'a str>,
    per_hour: usize,
    trust_for: String,
}

/// The page, as HTML.
pub(super) fn render(
    known: &PageInput<'_>,
    wanted: &PageQuery,
    now: Millis,
) -> Result<String, minijinja::Error> {
    let (overview, trouble) = match &known.overview {
        Some(Ok(overview)) => (Some(overview), None),
        Some(Err(why)) => (None, Some(why.as_str())),
        None => (None, None),
    };
    let page = Page {
        jira: &known.jira,
        one_by_one: known.jira.one_by_one.as_ref().map(|it| one_by_one(it, now)),
        at: Timestamp::from_millisecond(now.0)
            .map(|at| at.strftime("%F %T UTC").to_string())
            .unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION"),
        wanted,
        refreshes: wanted.refresh != "off",
        table: known.gates.as_ref().map(|gates| table(gates, wanted, now)),
        trouble,
        parked: overview
            .iter()
            .flat_map(|it| &it.parked)
            .map(|what| Aged { what, age: age(what.since, now) })
            .collect(),
        parked_in_all: overview.map_or(0, |it| it.parked_total),
        pending: overview.map_or(0, |it| it.pending),
        passed: overview
            .iter()
            .flat_map(|it| &it.passed)
            .map(|what| Aged { what, age: age(what.at, now) })
            .collect(),
        refused: known
            .refused
            .iter()
            .take(MAX_REFUSED)
            .map(|what| Aged { what, age: age(what.last, now) })
            .collect(),
        refused_in_all: known.refused.len(),
        unguarded: &known.unguarded[..known.unguarded.len().min(MAX_UNGUARDED)],
        unguarded_more: known.unguarded.len().saturating_sub(MAX_UNGUARDED),
        unasked: overview
            .iter()
            .flat_map(|it| &it.unasked)
            .map(|what| Aged { what, age: age(what.at, now) })
            .collect(),
        limits: known.gates.as_ref().map(|Gates { tickets, full_namespaces, limits, trust_for, .. }| {
            LimitsView {
                tickets: *tickets,
                full: *tickets >= limits.open_tickets,
                open_tickets: limits.open_tickets,
                per_namespace: limits.open_tickets_per_namespace,
                full_namespaces: full_namespaces.iter().map(|(namespace, _)| namespace.as_str()).collect(),
                per_hour: limits.tickets_per_canary_per_hour,
                trust_for: config_notation(*trust_for),
            }
        }),
    };
    TEMPLATES
        .as_ref()
        .map_err(|error| minijinja::Error::new(error.kind(), error.to_string()))?
        .get_template(NAME)?
        .render(Serde(page))
}

/// The extension `.html` turns escaping on.
const NAME: &str = "page.html";

/// Parsed once.
static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.add_template(NAME, include_str!("page.html"))?;
    Ok(pages)
});

fn table(gates: &Gates<'_>, wanted: &PageQuery, now: Millis) -> Table {
    let search = wanted.q.trim().to_lowercase();
    let of_state =
        |listed: &&ListedGate| wanted.state.is_empty() || listed.verdict().as_str() == wanted.state;
    let chosen = gates.list.iter().filter(of_state);
    let found: Vec<&ListedGate> = match search.as_str() {
        "" => chosen.collect(),
        _ => chosen.filter(|listed| matches(&(gates.shown)(listed), &search)).collect(),
    };
    // Open gates come last, because readers look for what waits.
    let (open, closed): (Vec<_>, Vec<_>) =
        found.iter().partition(|listed| listed.verdict() == Verdict::Approved);
    let counts = counts(gates.list);
    let approved = counts.iter().find(|(state, _)| *state == Verdict::Approved).map_or(0, |(_, many)| *many);
    let pages = found.len().div_ceil(ROWS_PER_PAGE).max(1);
    let page = wanted.page.parse().unwrap_or(1).clamp(1, pages);
    let row = |listed: &ListedGate| {
        let gate = (gates.shown)(listed);
        GateRow { words: state_word(gate.state), age: gate.asked_at.map(|at| age(at, now)), gate }
    };
    let count = |(state, many): (Verdict, u64)| Count {
        state: state.as_str(),
        words: state_word(state),
        many,
        meaning: meaning(state),
    };
    Table {
        rows: closed
            .into_iter()
            .chain(open)
            .skip((page - 1) * ROWS_PER_PAGE)
            .take(ROWS_PER_PAGE)
            .map(row)
            .collect(),
        in_all: gates.list.len(),
        found: found.len(),
        closed: gates.list.len() as u64 - approved,
        counts: counts
            .into_iter()
            .map(count)
            .filter(|count| count.many > 0 || count.state == wanted.state)
            .collect(),
        page,
        pages,
    }
}

/// Whether the gate's canary, stage, ticket, revision or reason contains `sought`.
fn matches(gate: &GateView, sought: &str) -> bool {
    let rollout = gate.rollout.as_ref();
    let canary = format!("{}/{}/{}", gate.cluster, gate.namespace, gate.canary);
    let words = [
        Some(canary.as_str()),
        Some(gate.stage.as_str()),
        gate.gate.as_deref(),
        gate.ticket.as_ref().map(|ticket| ticket.key.as_str()),
        rollout.and_then(|rollout| rollout.label.as_deref()),
        rollout.and_then(|rollout| rollout.revision.as_deref()),
        Some(gate.reason.as_str()),
    ];
    words.into_iter().flatten().any(|word| word.to_lowercase().contains(sought))
}

fn state_word(state: Verdict) -> String {
    state.as_str().replace('_', " ")
}

/// What a state means, and what to do about it.
const fn meaning(state: Verdict) -> &'static str {
    match state {
        Verdict::Opening => "Flagger asked just now, and the ticket is on its way. There is nothing to do.",
        Verdict::Stuck => {
            "No ticket can be opened, or the bridge cannot tell whether the approval counts. The reason says why; \
             flagger-jira-bridge check shows what to fix. The bridge retries by itself."
        }
        Verdict::Waiting => "The ticket is not decided yet. Find the change manager, who moves the ticket.",
        Verdict::Approved => "The gate is open. Flagger goes on when it asks next.",
        Verdict::Rejected => {
            "The ticket was rejected. Fix the cause and ship again, or have the ticket moved back."
        }
        Verdict::NotAllowed => {
            "The user who approved may not approve this. Have an allowed user approve, unless the reason says that there is none."
        }
        Verdict::Expired => {
            "Approved, but Flagger did not use it in time. Move the ticket back and approve it again."
        }
        Verdict::Stale => "Approved, but Jira has not confirmed it lately. See whether Jira can be reached.",
        Verdict::Gone => {
            "The ticket proves nothing any more: it was moved elsewhere or deleted, its history does not show the \
             approval, or it is labelled flagger-ended. Its reason says what to do."
        }
    }
}

/// Why tickets are read one by one, in a sentence.
fn one_by_one(OneByOne { since, why }: &OneByOne, now: Millis) -> String {
    let (at, ago) = (clock_time(since.0), age(*since, now));
    format!("Tickets have been read one by one since {at} ({ago}), so decisions may be noticed later: {why}")
}

/// The time since then, in words.
fn age(Rfc3339(since): Rfc3339, now: Millis) -> String {
    rough_duration(now.since(since))
}

#[cfg(test)]
mod tests;
