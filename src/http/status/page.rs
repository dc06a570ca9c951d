//! The status page: one file without scripts, rendered anew for each request.

use jiff::Timestamp;
use minijinja::{Environment, value::Serde};
use serde::{Deserialize, Serialize};

use crate::{
    gatekeeper::{Overview, Timing},
    millis::Millis,
    view::{GateView, ParkedView, PassedView, State as Stands},
};

/// So many gates are on one page.
const ROWS: usize = 200;

/// How the bridge and Jira get on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JiraHealth {
    /// Whether gates stay closed because of it.
    pub trouble: bool,
    /// In one line.
    pub words: String,
}

/// What the reader wants to see; words from outside. What is not understood is left out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
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
pub(super) struct Known<'a> {
    /// All live gates; none while the store is not open.
    pub(super) gates: Option<&'a [GateView]>,
    /// The rest; none while the store is not open. A line if the database did not answer.
    pub(super) overview: Option<Result<Overview, String>>,
    pub(super) timing: Option<Timing>,
    pub(super) jira: JiraHealth,
}

/// What the page shows.
#[derive(Serialize)]
struct Page<'a> {
    jira: &'a JiraHealth,
    at: String,
    version: &'static str,
    wanted: &'a Wanted,
    refreshes: bool,
    /// None while the store is not open.
    table: Option<Table<'a>>,
    /// What the database did not tell, and why.
    trouble: Option<&'a str>,
    parked: Vec<Aged<'a, ParkedView>>,
    parked_in_all: u64,
    pending: u64,
    passed: Vec<Aged<'a, PassedView>>,
    limits: Option<Limits>,
}

/// The gates of one page.
#[derive(Serialize)]
struct Table<'a> {
    rows: Vec<Row<'a>>,
    /// How many gates there are, and how many of them are asked for.
    in_all: usize,
    found: usize,
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
    many: usize,
}

/// A gate in the table.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    gate: &'a GateView,
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
    age: Option<String>,
}

#[derive(Serialize)]
struct Limits {
    tickets: usize,
    open_tickets: usize,
    per_hour: usize,
    trust_for: String,
}

/// The page, as HTML.
pub(super) fn render(known: &Known<'_>, wanted: &Wanted, now: Millis) -> Result<String, minijinja::Error> {
    let (overview, trouble) = match &known.overview {
        Some(Ok(overview)) => (Some(overview), None),
        Some(Err(why)) => (None, Some(why.as_str())),
        None => (None, None),
    };
    let aged = |since: &str| age(Some(since), now);
    let page = Page {
        jira: &known.jira,
        at: Timestamp::from_millisecond(now.0)
            .map(|at| at.strftime("%F %T UTC").to_string())
            .unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION"),
        wanted,
        refreshes: wanted.refresh != "off",
        table: known.gates.map(|gates| table(gates, wanted, now)),
        trouble,
        parked: overview
            .iter()
            .flat_map(|it| &it.parked)
            .map(|what| Aged { what, age: aged(&what.since) })
            .collect(),
        parked_in_all: overview.map_or(0, |it| it.parked_in_all),
        pending: overview.map_or(0, |it| it.pending),
        passed: overview
            .iter()
            .flat_map(|it| &it.passed)
            .map(|what| Aged { what, age: aged(&what.at) })
            .collect(),
        limits: known.timing.map(|timing| Limits {
            tickets: known
                .gates
                .iter()
                .flat_map(|gates| gates.iter())
                .filter(|gate| gate.ticket.is_some())
                .count(),
            open_tickets: timing.open_tickets,
            per_hour: timing.tickets_per_canary_per_hour,
            trust_for: crate::millis::written(timing.trust_for),
        }),
    };
    let mut pages = Environment::new();
    // The name's ending turns escaping on.
    pages.add_template("page.html", include_str!("page.html"))?;
    pages.get_template("page.html")?.render(Serde(page))
}

fn table<'a>(gates: &'a [GateView], wanted: &Wanted, now: Millis) -> Table<'a> {
    let counts = Stands::ALL.into_iter().map(|state| Count {
        state: state.as_str(),
        words: words(state),
        many: gates.iter().filter(|gate| gate.state == state).count(),
    });
    let mut found: Vec<&GateView> = gates.iter().filter(|gate| is_wanted(gate, wanted)).collect();
    // Whoever looks wants to know what waits; what is open comes last.
    found.sort_by_key(|gate| gate.state == Stands::Approved);
    let pages = found.len().div_ceil(ROWS).max(1);
    let page = wanted.page.parse().unwrap_or(1).clamp(1, pages);
    let row =
        |gate: &&'a GateView| Row { gate, words: words(gate.state), age: age(gate.asked_at.as_deref(), now) };
    Table {
        rows: found.iter().skip((page - 1) * ROWS).take(ROWS).map(row).collect(),
        in_all: gates.len(),
        found: found.len(),
        counts: counts.filter(|count| count.many > 0 || count.state == wanted.state).collect(),
        page,
        pages,
    }
}

fn is_wanted(gate: &GateView, wanted: &Wanted) -> bool {
    let sought = wanted.q.trim().to_lowercase();
    let rollout = gate.rollout.as_ref();
    let words = [
        Some(format!("{}/{}/{}", gate.cluster, gate.namespace, gate.canary)),
        Some(gate.stage.clone()),
        gate.gate.clone(),
        gate.ticket.as_ref().map(|ticket| ticket.key.clone()),
        rollout.and_then(|rollout| rollout.label.clone()),
        rollout.and_then(|rollout| rollout.revision.clone()),
        Some(gate.reason.clone()),
    ];
    (wanted.state.is_empty() || gate.state.as_str() == wanted.state)
        && (sought.is_empty() || words.iter().flatten().any(|word| word.to_lowercase().contains(&sought)))
}

fn words(state: Stands) -> String {
    state.as_str().replace('_', " ")
}

/// The time since then in its largest whole unit, such as `3 h`.
fn age(since: Option<&str>, now: Millis) -> Option<String> {
    let since: Timestamp = since?.parse().ok()?;
    let seconds = now.since(Millis(since.as_millisecond())).as_secs();
    Some(match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    })
}

#[cfg(test)]
mod tests;
