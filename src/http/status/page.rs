//! The status page, rendered for each request. It loads a style sheet and a script, and works without the script.

mod states;
mod when;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use minijinja::{Environment, value::Serde};
use serde::{Deserialize, Serialize};

use self::{
    states::{meaning, state_word, urgency},
    when::{When, in_text, next, when},
};
use super::{
    jira_health::{JiraHealthView, OneByOne},
    query::{Wanted, group_by},
};
use crate::{
    config,
    gate::Verdict,
    gatekeeper::{Group, ListedGate, Selection, counts, groups},
    http::refused_calls::RefusedView,
    millis::{Millis, clock_time, config_notation, duration_in_words, rough_duration},
    view::{FailedView, GateView, HistoryView, Overview, RecordingView, Rfc3339, UnaskedView, UnguardedView},
};

/// How many gates one page shows.
const ROWS_PER_PAGE: usize = 200;
/// The ages that the form offers.
const AGES: [Duration; 5] = [
    Duration::from_secs(3_600),
    Duration::from_secs(4 * 3_600),
    Duration::from_secs(24 * 3_600),
    Duration::from_secs(3 * 24 * 3_600),
    Duration::from_secs(7 * 24 * 3_600),
];
/// How many refused calls the page shows; the API returns all.
const MAX_REFUSED: usize = 50;
/// How many Unguarded Canaries the page shows; the API returns all.
const MAX_UNGUARDED: usize = 20;

/// Which of the bridge's addresses the page may link to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PageLinks {
    /// Those of the admin listener: API and metrics.
    All,
    /// Only those of the page.
    PageOnly,
}

/// The query of the page, untrusted. A value that is not valid is ignored.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct PageQuery {
    /// Only gates in this state.
    state: String,
    /// Only gates with this text in their canary, stage, ticket or revision and, on the admin listener, in their reason.
    q: String,
    /// Only gates of this cluster.
    cluster: String,
    /// Only gates of this namespace.
    namespace: String,
    /// Only gates that Flagger has been asking about for so long: a duration as in the configuration.
    older_than: String,
    /// `cluster`, `namespace` or `state`: one row for each of these, instead of one for each gate.
    group: String,
    /// The page number, from 1.
    page: String,
    /// `off`: the page does not refresh itself.
    refresh: String,
}

impl PageQuery {
    /// The gates that it selects, in any state.
    fn scope(&self) -> Selection {
        let (cluster, namespace) = (self.cluster.trim().to_owned(), self.namespace.trim().to_owned());
        let older_than = self.older_than.trim().to_owned();
        Wanted { cluster, namespace, older_than, ..Wanted::default() }.lenient()
    }

    /// Whether it leaves out gates, whatever their state.
    fn is_narrow(&self) -> bool {
        [&self.q, &self.cluster, &self.namespace, &self.older_than].iter().any(|text| !text.trim().is_empty())
    }
}

/// The state that the page shows.
pub(super) struct PageInput<'a> {
    /// `None` while the store is not open.
    pub(super) gates: Option<Gates<'a>>,
    /// What is read from the database. `None` while the store is not open; an error line if the database did not
    /// answer.
    pub(super) overview: Option<Result<Arc<Overview>, String>>,
    /// The refused calls, newest first.
    pub(super) refused: Vec<RefusedView>,
    /// The Unguarded Canaries.
    pub(super) unguarded: Vec<UnguardedView>,
    pub(super) jira: JiraHealthView,
    pub(super) links: PageLinks,
}

/// The gates, and the limits for all of them.
pub(super) struct Gates<'a> {
    /// The longest waiting first; the page moves what is urgent before them.
    pub(super) list: &'a [ListedGate],
    /// Returns what the page shows of a gate.
    pub(super) shown: Box<dyn Fn(&ListedGate) -> GateView + Send + Sync + 'a>,
    /// How many tickets are open, as `limits.open_tickets` counts them: from the moment when a ticket is to be opened.
    pub(super) tickets: usize,
    /// The namespaces that get no further ticket, each with the number of its open tickets.
    pub(super) full_namespaces: Vec<(String, usize)>,
    pub(super) limits: config::Limits,
    pub(super) trust_for: Duration,
    /// Without a question for so long, a gate is marked as one at which nobody asks.
    pub(super) idle_after: Duration,
    /// The settings by which gates ask nobody.
    pub(super) recording: Vec<RecordingView>,
}

/// The input of the template.
#[derive(Serialize)]
struct Page<'a> {
    links: PageLinks,
    jira: JiraFact,
    now: When,
    version: &'static str,
    wanted: &'a PageQuery,
    refreshes: bool,
    /// `None` while the store is not open.
    table: Option<Table>,
    /// Why the database could not be read.
    trouble: Option<&'a str>,
    failed: Vec<FailedRow<'a>>,
    parked_in_all: u64,
    /// How many of the rows are not parked.
    failing: usize,
    pending: u64,
    history: Vec<Timed<'a, HistoryView>>,
    refused: Vec<Timed<'a, RefusedView>>,
    refused_in_all: usize,
    unguarded: &'a [UnguardedView],
    /// How many more there are.
    unguarded_more: usize,
    unasked: Vec<Timed<'a, UnaskedView>>,
    limits: Option<LimitsView<'a>>,
    recording: &'a [RecordingView],
}

/// The connection to Jira.
#[derive(Serialize)]
struct JiraFact {
    trouble: bool,
    words: String,
    tried: Option<When>,
    next: Option<When>,
    /// Why tickets are read one by one, if they are.
    one_by_one: Option<String>,
}

/// The gates of one page.
#[derive(Serialize)]
struct Table {
    rows: Vec<GateRow>,
    /// The groups of this page instead, if the query asks for them.
    groups: Option<Vec<GroupRow>>,
    /// How many groups there are.
    groups_in_all: usize,
    /// How many gates there are, how many of them the query selects in any state, and how many match it.
    in_all: usize,
    in_scope: usize,
    found: usize,
    /// Whether the query leaves out gates, whatever their state.
    narrow: bool,
    /// The ages to choose from, each with its words.
    ages: Vec<(String, String)>,
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

/// A group in the table.
#[derive(Serialize)]
struct GroupRow {
    /// What selects it; empty is any.
    cluster: String,
    namespace: String,
    state: &'static str,
    /// The state in words.
    words: String,
    gates: u64,
    waiting: u64,
    held_up: u64,
    oldest: Option<When>,
}

/// A gate in the table.
#[derive(Serialize)]
struct GateRow {
    #[serde(flatten)]
    gate: GateView,
    /// The state in words.
    words: String,
    /// When Flagger first asked, and when it last did.
    first: Option<When>,
    last: Option<When>,
    /// Whether it is closed, and nobody has asked for long.
    silent: bool,
}

/// An entry, and when it happened.
#[derive(Serialize)]
struct Timed<'a, T> {
    #[serde(flatten)]
    what: &'a T,
    when: When,
}

/// A command that failed.
#[derive(Serialize)]
struct FailedRow<'a> {
    #[serde(flatten)]
    what: &'a FailedView,
    stored: When,
    tried: Option<When>,
    next: Option<When>,
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
        Some(Ok(overview)) => (Some(&**overview), None),
        Some(Err(why)) => (None, Some(why.as_str())),
        None => (None, None),
    };
    let failed = overview.iter().flat_map(|it| &it.failed).map(|what| failed_row(what, now));
    let failed: Vec<FailedRow<'_>> = failed.collect();
    let page = Page {
        links: known.links,
        jira: jira_fact(&known.jira, now),
        now: when(Rfc3339(now), now),
        version: env!("CARGO_PKG_VERSION"),
        wanted,
        refreshes: wanted.refresh != "off",
        table: known.gates.as_ref().map(|gates| table(gates, wanted, known.links, now)),
        trouble,
        parked_in_all: overview.map_or(0, |it| it.parked_total),
        failing: failed.iter().filter(|row| !row.what.parked).count(),
        failed,
        pending: overview.map_or(0, |it| it.pending),
        history: timed(overview.iter().flat_map(|it| &it.history), |what| what.at, now),
        refused: timed(known.refused.iter().take(MAX_REFUSED), |what| what.last, now),
        refused_in_all: known.refused.len(),
        unguarded: &known.unguarded[..known.unguarded.len().min(MAX_UNGUARDED)],
        unguarded_more: known.unguarded.len().saturating_sub(MAX_UNGUARDED),
        unasked: timed(overview.iter().flat_map(|it| &it.unasked), |what| what.at, now),
        limits: known.gates.as_ref().map(limits),
        recording: known.gates.as_ref().map_or(&[], |gates| &gates.recording),
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
    // One format of times, also within reasons.
    pages.add_filter("times", in_text);
    pages.add_template(NAME, include_str!("page.html"))?;
    Ok(pages)
});

fn timed<'a, T>(
    all: impl Iterator<Item = &'a T>,
    at: impl Fn(&T) -> Rfc3339,
    now: Millis,
) -> Vec<Timed<'a, T>> {
    all.map(|what| Timed { what, when: when(at(what), now) }).collect()
}

fn failed_row(what: &FailedView, now: Millis) -> FailedRow<'_> {
    FailedRow {
        what,
        stored: when(what.since, now),
        tried: what.tried_at.map(|at| when(at, now)),
        next: what.next_try_at.map(|at| next(at, now)),
    }
}

fn jira_fact(jira: &JiraHealthView, now: Millis) -> JiraFact {
    JiraFact {
        trouble: jira.trouble.is_any(),
        words: jira.words.clone(),
        tried: jira.tried_at.map(|at| when(at, now)),
        next: jira.next_try_at.map(|at| next(at, now)),
        one_by_one: jira.one_by_one.as_ref().map(|it| one_by_one(it, now)),
    }
}

fn limits<'a>(gates: &'a Gates<'_>) -> LimitsView<'a> {
    let Gates { tickets, full_namespaces, limits, trust_for, .. } = gates;
    LimitsView {
        tickets: *tickets,
        full: *tickets >= limits.open_tickets,
        open_tickets: limits.open_tickets,
        per_namespace: limits.open_tickets_per_namespace,
        full_namespaces: full_namespaces.iter().map(|(namespace, _)| namespace.as_str()).collect(),
        per_hour: limits.tickets_per_canary_per_hour,
        trust_for: duration_in_words(*trust_for),
    }
}

fn table(gates: &Gates<'_>, wanted: &PageQuery, links: PageLinks, now: Millis) -> Table {
    let search = wanted.q.trim().to_lowercase();
    let of_state =
        |listed: &&ListedGate| wanted.state.is_empty() || listed.verdict().as_str() == wanted.state;
    let scope = wanted.scope();
    let in_scope: Vec<&ListedGate> = gates.list.iter().filter(|listed| scope.selects(listed, now)).collect();
    let chosen = in_scope.iter().copied().filter(of_state);
    let mut found: Vec<&ListedGate> = match search.as_str() {
        "" => chosen.collect(),
        _ => chosen.filter(|listed| matches(listed, gates, links, &search)).collect(),
    };
    found.sort_by_key(|listed| urgency(listed.verdict()));
    let closed = counts(gates.list.iter())
        .iter()
        .filter(|(state, _)| !state.is_open() && *state != Verdict::Passed)
        .map(|(_, many)| many)
        .sum();
    let counts = counts(in_scope.iter().copied());
    let groups = group_by(&wanted.group).map(|by| groups(&found, by));
    let entries = groups.as_ref().map_or(found.len(), Vec::len);
    let pages = entries.div_ceil(ROWS_PER_PAGE).max(1);
    let page = wanted.page.parse().unwrap_or(1).clamp(1, pages);
    let skipped = (page - 1) * ROWS_PER_PAGE;
    let shown = if groups.is_some() { 0 } else { ROWS_PER_PAGE };
    let row = |listed: &ListedGate| {
        let gate = (gates.shown)(listed);
        let is_silent = |Rfc3339(at): Rfc3339| now.since(at) > gates.idle_after;
        GateRow {
            words: state_word(gate.state),
            first: gate.asked_at.map(|at| when(at, now)),
            last: gate.last_asked_at.map(|at| when(at, now)),
            silent: !gate.state.is_open()
                && gate.state != Verdict::Passed
                && gate.last_asked_at.is_some_and(is_silent),
            gate,
        }
    };
    let count = |(state, many): (Verdict, u64)| Count {
        state: state.as_str(),
        words: state_word(state),
        many,
        meaning: meaning(state),
    };
    Table {
        in_all: gates.list.len(),
        in_scope: in_scope.len(),
        found: found.len(),
        narrow: wanted.is_narrow(),
        ages: ages(&wanted.older_than),
        groups_in_all: groups.as_ref().map_or(0, Vec::len),
        groups: groups.map(|all| {
            let rows = all.into_iter().skip(skipped).take(ROWS_PER_PAGE);
            rows.map(|group| group_row(group, now)).collect()
        }),
        rows: found.into_iter().skip(skipped).take(shown).map(row).collect(),
        closed,
        counts: counts
            .into_iter()
            .map(count)
            .filter(|count| count.many > 0 || count.state == wanted.state)
            .collect(),
        page,
        pages,
    }
}

fn group_row(group: Group, now: Millis) -> GroupRow {
    let Selection { cluster, namespace, canary: _, state, older_than: _ } = group.selection;
    GroupRow {
        cluster: cluster.unwrap_or_default(),
        namespace: namespace.unwrap_or_default(),
        state: state.map_or("", Verdict::as_str),
        words: state.map(state_word).unwrap_or_default(),
        gates: group.gates,
        waiting: group.waiting,
        held_up: group.held_up,
        oldest: group.oldest.map(|at| when(Rfc3339(at), now)),
    }
}

/// The ages that the form offers, and the one that the query has.
fn ages(wanted: &str) -> Vec<(String, String)> {
    let words = |age: Duration| format!("at least {}", rough_duration(age));
    let offered = AGES.map(|age| (config_notation(age), words(age)));
    let own = config::parse_duration(wanted.trim()).ok().filter(|age| !AGES.contains(age));
    let own = own.map(|age| (wanted.trim().to_owned(), words(age)));
    offered.into_iter().chain(own).collect()
}

/// Whether the gate's canary, stage, ticket or revision contains `sought` or, for callers of the admin listener, its
/// reason: reasons have to be made first, and the other listener is anybody's.
fn matches(listed: &ListedGate, gates: &Gates<'_>, links: PageLinks, sought: &str) -> bool {
    let contains = |word: &str| word.to_lowercase().contains(sought);
    listed.names().iter().any(|name| contains(name))
        || match links {
            PageLinks::All => contains(&(gates.shown)(listed).reason),
            PageLinks::PageOnly => false,
        }
}

/// Why tickets are read one by one, in a sentence.
fn one_by_one(OneByOne { since, why }: &OneByOne, now: Millis) -> String {
    let (at, ago) = (clock_time(since.0), rough_duration(now.since(since.0)));
    format!(
        "Tickets have been read one by one since {at} ({ago} ago), so decisions may be noticed later: {why}"
    )
}

#[cfg(test)]
mod tests;
