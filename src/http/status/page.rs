//! The status page, rendered anew for each request. A style sheet and a script lie beside it; it works without the script.

use std::sync::LazyLock;

use jiff::Timestamp;
use minijinja::{Environment, value::Serde};
use serde::{Deserialize, Serialize};

use crate::{
    gate::Verdict,
    gatekeeper::{ListedGate, Overview, Timing, clock_time, counts},
    http::refused_calls::RefusedView,
    millis::{Millis, lasted, written},
    view::{GateView, ParkedView, PassedView, Rfc3339, UnaskedView},
};

/// So many gates are on one page.
const ROWS: usize = 200;
/// So many refused calls are on the page; the API has all.
const REFUSED: usize = 50;

/// How the bridge and Jira get on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JiraHealth {
    /// Whether gates stay closed because of it.
    pub trouble: bool,
    /// In one line.
    pub words: String,
    /// Tickets are read one by one, which takes longer.
    pub one_by_one: Option<OneByOne>,
}

/// Requests for several tickets are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OneByOne {
    /// Since when.
    pub since: Rfc3339,
    /// What Jira, or something on the way, says.
    pub why: String,
}

/// What the reader wants to see; words from outside. What is not understood is left out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct PageQuery {
    /// Only gates that stand so.
    state: String,
    /// Only gates in whose canary, stage, ticket, revision or reason this occurs.
    q: String,
    /// Which page, from 1 on.
    page: String,
    /// `off`: the page stays as it is.
    refresh: String,
}

/// What the bridge knows at one moment.
pub(super) struct PageInput<'a> {
    /// None while the store is not open.
    pub(super) gates: Option<Gates<'a>>,
    /// The rest; none while the store is not open. A line if the database did not answer.
    pub(super) overview: Option<Result<Overview, String>>,
    /// Calls that were turned away, the newest first.
    pub(super) refused: Vec<RefusedView>,
    pub(super) jira: JiraHealth,
}

/// The gates, and what holds for all of them.
pub(super) struct Gates<'a> {
    /// Those that wait longest first.
    pub(super) list: &'a [ListedGate],
    /// What is shown of one.
    pub(super) shown: Box<dyn Fn(&ListedGate) -> GateView + Send + Sync + 'a>,
    /// How many tickets live, as `limits.open_tickets` counts them: a gate has its place from when its ticket is to be
    /// opened.
    pub(super) tickets: usize,
    /// The namespaces that get no further ticket, each with how many of its tickets live.
    pub(super) full_namespaces: Vec<(String, usize)>,
    pub(super) timing: Timing,
}

/// What the page shows.
#[derive(Serialize)]
struct Page<'a> {
    jira: &'a JiraHealth,
    /// Why tickets are read one by one, if they are.
    one_by_one: Option<String>,
    at: String,
    version: &'static str,
    wanted: &'a PageQuery,
    refreshes: bool,
    /// None while the store is not open.
    table: Option<Table>,
    /// What the database did not tell, and why.
    trouble: Option<&'a str>,
    parked: Vec<Aged<'a, ParkedView>>,
    parked_in_all: u64,
    pending: u64,
    passed: Vec<Aged<'a, PassedView>>,
    refused: Vec<Aged<'a, RefusedView>>,
    refused_in_all: usize,
    unasked: Vec<Aged<'a, UnaskedView>>,
    limits: Option<LimitsView<'a>>,
}

/// The gates of one page.
#[derive(Serialize)]
struct Table {
    rows: Vec<GateRow>,
    /// How many gates there are, and how many of them are asked for.
    in_all: usize,
    found: usize,
    /// How many of all do not let Flagger pass.
    closed: u64,
    /// How many stand in each state that any stands in.
    counts: Vec<Count>,
    /// From 1 on.
    page: usize,
    pages: usize,
}

#[derive(Serialize)]
struct Count {
    state: &'static str,
    words: String,
    many: u64,
    /// What it means, and what to do about it.
    meaning: &'static str,
}

/// A gate in the table.
#[derive(Serialize)]
struct GateRow {
    #[serde(flatten)]
    gate: GateView,
    /// The state as people read it.
    words: String,
    /// How long Flagger has been asking.
    age: Option<String>,
}

/// Something that happened, and how long ago that is.
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
        parked_in_all: overview.map_or(0, |it| it.parked_in_all),
        pending: overview.map_or(0, |it| it.pending),
        passed: overview
            .iter()
            .flat_map(|it| &it.passed)
            .map(|what| Aged { what, age: age(what.at, now) })
            .collect(),
        refused: known
            .refused
            .iter()
            .take(REFUSED)
            .map(|what| Aged { what, age: age(what.last, now) })
            .collect(),
        refused_in_all: known.refused.len(),
        unasked: overview
            .iter()
            .flat_map(|it| &it.unasked)
            .map(|what| Aged { what, age: age(what.at, now) })
            .collect(),
        limits: known.gates.as_ref().map(|Gates { tickets, full_namespaces, timing, .. }| LimitsView {
            tickets: *tickets,
            full: *tickets >= timing.open_tickets,
            open_tickets: timing.open_tickets,
            per_namespace: timing.open_tickets_per_namespace,
            full_namespaces: full_namespaces.iter().map(|(namespace, _)| namespace.as_str()).collect(),
            per_hour: timing.tickets_per_canary_per_hour,
            trust_for: written(timing.trust_for),
        }),
    };
    TEMPLATES
        .as_ref()
        .map_err(|error| minijinja::Error::new(error.kind(), error.to_string()))?
        .get_template(NAME)?
        .render(Serde(page))
}

/// Its ending turns escaping on.
const NAME: &str = "page.html";

/// Parsed once.
static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.add_template(NAME, include_str!("page.html"))?;
    Ok(pages)
});

fn table(gates: &Gates<'_>, wanted: &PageQuery, now: Millis) -> Table {
    let sought = wanted.q.trim().to_lowercase();
    let of_state =
        |listed: &&ListedGate| wanted.state.is_empty() || listed.verdict().as_str() == wanted.state;
    let chosen = gates.list.iter().filter(of_state);
    let found: Vec<&ListedGate> = match sought.as_str() {
        "" => chosen.collect(),
        _ => chosen.filter(|listed| matches(&(gates.shown)(listed), &sought)).collect(),
    };
    // Whoever looks wants to know what waits; what is open comes last.
    let (open, closed): (Vec<_>, Vec<_>) =
        found.iter().partition(|listed| listed.verdict() == Verdict::Approved);
    let counts = counts(gates.list);
    let approved = counts.iter().find(|(state, _)| *state == Verdict::Approved).map_or(0, |(_, many)| *many);
    let pages = found.len().div_ceil(ROWS).max(1);
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
        rows: closed.into_iter().chain(open).skip((page - 1) * ROWS).take(ROWS).map(row).collect(),
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

/// Whether this occurs in the gate's canary, stage, ticket, revision or reason.
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
        Verdict::Opening => "Flagger asked just now, and the ticket is on its way. Nothing is to be done.",
        Verdict::Stuck => {
            "No ticket can be opened, or nobody can tell whether the approval counts. The reason says why; \
             flagger-jira-bridge check tells what to mend. It is tried again by itself."
        }
        Verdict::Waiting => "Nobody has decided. Find the change manager, who moves the ticket.",
        Verdict::Approved => "The gate is open. Flagger goes on when it asks next.",
        Verdict::Rejected => "Somebody said no. Mend it and ship again, or have the ticket moved back.",
        Verdict::NotAllowed => {
            "Somebody approved who may not. Have somebody approve who may, unless the reason says that nobody can."
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

/// How long ago that was.
fn age(Rfc3339(since): Rfc3339, now: Millis) -> String {
    lasted(now.since(since))
}

#[cfg(test)]
mod tests;
