//! `[ticket]`, `[approval]` and `[[routes]]`: the base settings, and the complete settings of each route.

use std::{collections::BTreeMap, time::Duration};

use globset::{Glob, GlobMatcher};
use minijinja::value::Serde;
use serde_json::Value;

use super::{limits::LimitsPart, read::Section, steps::report_steps, template, wanted::Wanted};
use crate::{
    gate::Stage,
    policy::{
        Approval, ApprovalMode, ApprovalSource, Match, OnBypass, PersonEntry, PlannedFields, Policy, Route,
        Schedule, Target, TicketSettings, TimeLimits, Traffic, Transitions, is_template,
    },
};

/// The given keys of `[ticket]`: all of them in `[ticket]` itself, any of them in a route.
#[derive(Clone, Default)]
struct TicketPart {
    project: Option<String>,
    issue_type: Option<String>,
    summary: Option<String>,
    description: Option<String>,
    labels: Option<Vec<String>>,
    assignee: Option<String>,
    fields: BTreeMap<String, minijinja::Value>,
    approved: Option<Vec<String>>,
    rejected: Option<Vec<String>>,
    transitions: Transitions,
    on_bypass: Option<OnBypass>,
    traffic: Option<Traffic>,
    /// Empty: each gate gets a new ticket.
    use_metadata: Option<String>,
    /// Empty: each ticket is an issue without a request type.
    request_type: Option<String>,
}

/// The given keys of `[approval]`.
#[derive(Clone, Default)]
struct ApprovalPart {
    valid_for: Option<Duration>,
    approvers: Option<Vec<String>>,
    deny: Option<Vec<String>>,
    planned: Option<PlannedFields>,
    mode: Option<ApprovalMode>,
    steps: Option<Vec<String>>,
    limits: LimitsPart,
    source: Option<ApprovalSource>,
}

/// Reads the three sections from the whole tree.
pub(super) fn policy(root: &Section<'_>) -> Option<Policy> {
    let ticket = root.section("ticket").map(|s| {
        let part = ticket_part(&s);
        if s.value("project").is_none() {
            s.problem("project", "is missing; give the key of the project in which tickets are opened");
        }
        report_overlap(&s, &part);
        part
    });
    let approval = root.section("approval").map(|s| approval_part(&s));
    let (ticket, approval) = (ticket.unwrap_or_default(), approval.unwrap_or_default());
    report_misfits(root, &ticket, &approval);
    let mut routes = Vec::new();
    for s in root.sections("routes") {
        let gates = s.section("match").and_then(|s| gates(&s));
        let part = s.optional("ticket", |s, name| {
            let s = s.section(name)?;
            let own = ticket_part(&s);
            let statuses = own.approved.is_some() || own.rejected.is_some();
            let whole = own.or(&ticket);
            if statuses {
                report_overlap(&s, &whole);
            }
            Some(whole)
        });
        let own = s.optional("approval", |s, name| s.section(name).map(|s| approval_part(&s)));
        s.report_unknown_keys();
        let is_own = part.is_some() || own.is_some();
        let part = part.unwrap_or_else(|| ticket.clone());
        let approval = own.unwrap_or_default().or(&approval);
        if is_own {
            report_misfits(&s, &part, &approval);
        }
        let route = route(s.at(), part, approval);
        routes.extend(gates.zip(route));
    }
    Some(Policy { base: route("ticket", ticket, approval)?, routes, schedule: Schedule::default() })
}

fn route(key: &str, ticket: TicketPart, approval: ApprovalPart) -> Option<Route> {
    Some(Route::new(
        key.to_owned(),
        TicketSettings {
            project: ticket.project?,
            issue_type: ticket.issue_type?,
            summary: ticket.summary?,
            description: ticket.description?,
            labels: ticket.labels?,
            assignee: ticket.assignee,
            fields: ticket.fields,
            approved: ticket.approved?,
            rejected: ticket.rejected?,
            transitions: ticket.transitions,
            on_bypass: ticket.on_bypass?,
            traffic: ticket.traffic?,
            use_metadata: ticket.use_metadata.filter(|name| !name.is_empty()),
            request_type: ticket.request_type.filter(|id| !id.is_empty()),
        },
        Approval {
            valid_for: approval.valid_for?,
            approvers: approval.approvers?,
            source: approval.source?,
            deny: approval.deny?,
            planned: approval.planned,
            mode: approval.mode?,
            // One step alone is an approval as without steps.
            steps: approval.steps.filter(|steps| steps.len() > 1).unwrap_or_default(),
            limits: match approval.mode? {
                ApprovalMode::Required => approval.limits.whole(),
                // Nobody is to decide.
                ApprovalMode::Record => TimeLimits::default(),
            },
        },
    ))
}

impl TicketPart {
    /// Takes each key that is not given from `base`; fields and transitions one by one.
    fn or(self, base: &Self) -> Self {
        let (base, mut fields) = (base.clone(), base.fields.clone());
        fields.extend(self.fields);
        let (own, under) = (self.transitions, base.transitions);
        Self {
            project: self.project.or(base.project),
            issue_type: self.issue_type.or(base.issue_type),
            summary: self.summary.or(base.summary),
            description: self.description.or(base.description),
            labels: self.labels.or(base.labels),
            assignee: self.assignee.or(base.assignee),
            fields,
            approved: self.approved.or(base.approved),
            rejected: self.rejected.or(base.rejected),
            transitions: Transitions {
                opened: own.opened.or(under.opened),
                succeeded: own.succeeded.or(under.succeeded),
                failed: own.failed.or(under.failed),
                superseded: own.superseded.or(under.superseded),
                abandoned: own.abandoned.or(under.abandoned),
                bypassed: own.bypassed.or(under.bypassed),
            },
            on_bypass: self.on_bypass.or(base.on_bypass),
            traffic: self.traffic.or(base.traffic),
            use_metadata: self.use_metadata.or(base.use_metadata),
            request_type: self.request_type.or(base.request_type),
        }
    }
}

impl ApprovalPart {
    fn or(self, base: &Self) -> Self {
        Self {
            valid_for: self.valid_for.or(base.valid_for),
            approvers: self.approvers.or_else(|| base.approvers.clone()),
            deny: self.deny.or_else(|| base.deny.clone()),
            planned: self.planned.or_else(|| base.planned.clone()),
            mode: self.mode.or(base.mode),
            steps: self.steps.or_else(|| base.steps.clone()),
            limits: self.limits.or(&base.limits),
            source: self.source.or(base.source),
        }
    }
}

fn ticket_part(s: &Section<'_>) -> TicketPart {
    let project = s.optional("project", Section::text);
    let issue_type = s.optional("issue_type", Section::text);
    let summary = s.optional("summary", Section::text);
    if let Some(summary) = &summary {
        if summary.contains('\n') {
            s.problem("summary", "must be one line");
        }
        template_at(s, "summary", summary);
    }
    let description = s.optional("description", |s, name| s.string(name).map(str::to_owned));
    if let Some(description) = &description {
        template_at(s, "description", description);
    }
    let label = |label: &str| match label {
        _ if label.contains(char::is_whitespace) => {
            Err(format!("{label:?} has a space in it, which Jira refuses"))
        }
        "flagger-ended" => Err(format!("{label:?} marks tickets of ended rollouts, which open no gate")),
        _ => Ok(()),
    };
    let labels = s.optional("labels", |s, name| s.checked_texts(name, label));
    let assignee = s.optional("assignee", assignee);
    let fields = s.optional("fields", Section::section).map(|s| fields(&s)).unwrap_or_default();
    let (mut approved, mut rejected) = (None, None);
    if let Some(statuses) = s.optional("statuses", Section::section) {
        approved = statuses.optional("approved", Section::texts);
        rejected = statuses.optional("rejected", Section::texts);
        if approved.as_ref().is_some_and(Vec::is_empty) {
            statuses.problem("approved", "is empty, so no gate could ever open");
        }
        statuses.report_unknown_keys();
    }
    let transitions = s.optional("transitions", Section::section).map(|s| transitions(&s));
    let on_bypass = s.optional("on_bypass", |s, name| one_of(s, name, OnBypass::ALL, OnBypass::as_str));
    let traffic = s.optional("traffic", |s, name| one_of(s, name, Traffic::ALL, Traffic::as_str));
    let use_metadata = s.optional("use", use_metadata);
    let request_type = s.optional("request_type", request_type);
    s.report_unknown_keys();
    let transitions = transitions.unwrap_or_default();
    TicketPart {
        project,
        issue_type,
        summary,
        description,
        labels,
        assignee,
        fields,
        approved,
        rejected,
        transitions,
        on_bypass,
        traffic,
        use_metadata,
        request_type,
    }
}

/// The id of a request type; empty if the value is.
fn request_type(s: &Section<'_>, name: &str) -> Option<String> {
    let id = s.string(name)?.trim();
    let is_id = id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id {
        s.problem(name, format!("must be the number of a request type, such as \"25\", not {id:?}"));
    }
    is_id.then(|| id.to_owned())
}

/// The name after `metadata.`; empty if the value is.
fn use_metadata(s: &Section<'_>, name: &str) -> Option<String> {
    let value = s.string(name)?.trim();
    let named = value.strip_prefix("metadata.").filter(|named| !named.is_empty());
    match named {
        _ if value.is_empty() => Some(String::new()),
        Some(named) if !named.contains(char::is_whitespace) && named != "token" => Some(named.to_owned()),
        Some(_) | None => {
            s.problem(
                name,
                format!("must be \"metadata.\" and the name under which hooks send the key of a ticket, not {value:?}"),
            );
            None
        }
    }
}

/// One account: an issue cannot be assigned to a group or a role.
fn assignee(s: &Section<'_>, name: &str) -> Option<String> {
    let entry = s.text(name)?;
    match PersonEntry::read(&entry) {
        PersonEntry::Account(_) if !is_template(&entry) => Some(entry),
        PersonEntry::Account(_) | PersonEntry::Nothing | PersonEntry::Group(_) | PersonEntry::Role(_) => {
            s.problem(name, format!("must be an account id, an e-mail or a user name, not {entry:?}"));
            None
        }
    }
}

fn template_at(s: &Section<'_>, name: &str, source: &str) {
    if let Err(what) = template::check(source) {
        s.problem(name, what);
    }
}

/// Reports keys of `[approval]` that do not fit those of `[ticket]`. `s` holds both sections.
fn report_misfits(s: &Section<'_>, ticket: &TicketPart, approval: &ApprovalPart) {
    if let (Some(steps), Some(approved)) = (&approval.steps, &ticket.approved) {
        let rejected = ticket.rejected.as_deref().unwrap_or_default();
        report_steps(s, "approval.steps", steps, approved, rejected);
        if steps.len() > 1 && approval.source == Some(ApprovalSource::Jsm) {
            s.problem(
                "approval.steps",
                "cannot stand beside approval.source = \"jsm\": let the approval in Jira Service Management ask for several \
                 people",
            );
        }
    }
    approval.limits.report(s, "approval");
}

/// Reports each status that is both approved and rejected.
fn report_overlap(s: &Section<'_>, part: &TicketPart) {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    for no in part.rejected.iter().flatten() {
        if part.approved.iter().flatten().any(|yes| same(yes, no)) {
            s.problem(
                "statuses",
                format!("{no:?} is both approved and rejected; remove it from one of the two"),
            );
        }
    }
}

/// Fields of an issue, by id; every string in them is a template.
fn fields(s: &Section<'_>) -> BTreeMap<String, minijinja::Value> {
    let own = ["project", "issuetype", "summary", "description", "labels"];
    let read = |(name, value): (&String, &Value)| {
        if own.contains(&name.as_str()) {
            s.problem(name, "is set by the bridge; it has its own key in [ticket]");
        }
        for_each_string(name, value, &mut |key, text| template_at(s, key, text));
        (name.clone(), minijinja::Value::from(Serde(value)))
    };
    s.entries().map(read).collect()
}

/// Calls `each` with the key of every string in a value, and the string.
fn for_each_string(key: &str, value: &Value, each: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => each(key, text),
        Value::Array(list) => {
            for (nth, value) in list.iter().enumerate() {
                for_each_string(&format!("{key}[{nth}]"), value, each);
            }
        }
        Value::Object(table) => {
            for (name, value) in table {
                for_each_string(&format!("{key}.{name}"), value, each);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn transitions(s: &Section<'_>) -> Transitions {
    let read = |name| s.optional(name, target);
    let transitions = Transitions {
        opened: read("opened"),
        succeeded: read("succeeded"),
        failed: read("failed"),
        superseded: read("superseded"),
        abandoned: read("abandoned"),
        bypassed: read("bypassed"),
    };
    s.report_unknown_keys();
    transitions
}

/// A status, or a table with a status and the fields that the transition's screen requires.
fn target(s: &Section<'_>, name: &str) -> Option<Target> {
    let value = s.value(name)?;
    if value.is_string() {
        return s.text(name).map(|to| Target { to, fields: BTreeMap::new() });
    }
    if !value.is_object() {
        return s.wrong_type(name, Wanted::Status, value);
    }
    let s = s.section(name)?;
    let to = s.text("to");
    let fields = s.optional("fields", Section::section).map(|s| {
        let copy = |(name, value): (&String, &Value)| (name.clone(), minijinja::Value::from(Serde(value)));
        s.entries().map(copy).collect()
    });
    s.report_unknown_keys();
    Some(Target { to: to?, fields: fields.unwrap_or_default() })
}

fn approval_part(s: &Section<'_>) -> ApprovalPart {
    let valid_for = s.optional("valid_for", Section::duration);
    let approver = |entry: &str| match is_template(entry) {
        true => Err("cannot be a template; only entries of deny can".to_owned()),
        false => has_name(entry),
    };
    let approvers = s.optional("approvers", |s, name| s.checked_texts(name, approver));
    let denied = |entry: &str| has_name(entry).and_then(|()| template::check_denial(entry));
    let deny = s.optional("deny", |s, name| s.checked_texts(name, denied));
    let planned = s.optional("planned", planned);
    let mode = s.optional("mode", |s, name| one_of(s, name, ApprovalMode::ALL, ApprovalMode::as_str));
    let steps = s.optional("steps", Section::texts);
    let limits = LimitsPart::read(s);
    let source = s.optional("source", |s, name| one_of(s, name, ApprovalSource::ALL, ApprovalSource::as_str));
    s.report_unknown_keys();
    ApprovalPart { valid_for, approvers, deny, source, planned, mode, steps, limits }
}

/// The two fields of a ticket that say when its gate may open.
fn planned(s: &Section<'_>, name: &str) -> Option<PlannedFields> {
    let s = s.section(name)?;
    let field = |name: &str| {
        let id = s.text(name)?;
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_id {
            s.problem(name, format!("{id:?} is no id of a field; write for example \"customfield_10301\""));
        }
        is_id.then_some(id)
    };
    let (start, end) = (field("start"), field("end"));
    if start.is_some() && start == end {
        s.problem("end", "is the same field as start");
    }
    s.report_unknown_keys();
    Some(PlannedFields { start: start?, end: end? })
}

/// One of the known words.
fn one_of<T: Copy, const N: usize>(
    s: &Section<'_>,
    name: &str,
    all: [T; N],
    as_str: impl Fn(T) -> &'static str,
) -> Option<T> {
    let word = s.string(name)?;
    let known = all.into_iter().find(|known| as_str(*known) == word);
    if known.is_none() {
        let known = all.map(|known| format!("{:?}", as_str(known)));
        s.problem(name, format!("must be {}, not {word:?}", known.join(" or ")));
    }
    known
}

/// Checks that `group:` and `role:` have a name after them.
fn has_name(entry: &str) -> Result<(), String> {
    match entry.split_once(':').map(|(what, name)| (what, name.trim())) {
        Some((what @ ("group" | "role"), "")) => Err(format!("\"{what}:\" needs a name after it")),
        _ => Ok(()),
    }
}

/// Every gate.
pub(super) fn every_gate() -> Option<Match> {
    let any = || Glob::new("*").ok().map(|glob| glob.compile_matcher());
    Some(Match { cluster: any()?, namespace: any()?, canary: any()?, stage: any()?, gate: any()? })
}

/// The gates of a `match`.
pub(super) fn gates(s: &Section<'_>) -> Option<Match> {
    let [cluster, namespace, canary, stage, gate] =
        ["cluster", "namespace", "canary", "stage", "gate"].map(|name| glob(s, name));
    if let Some(stage) = &stage
        && !Stage::ALL.iter().any(|is| stage.is_match(is.as_str()))
    {
        let stages = Stage::ALL.map(Stage::as_str).join(", ");
        s.problem("stage", format!("{:?} matches no stage; there are {stages}", stage.glob().glob()));
    }
    s.report_unknown_keys();
    Some(Match { cluster: cluster?, namespace: namespace?, canary: canary?, stage: stage?, gate: gate? })
}

/// A glob; if it is left out, one that matches everything.
fn glob(s: &Section<'_>, name: &str) -> Option<GlobMatcher> {
    let pattern = if s.value(name).is_none() { "*" } else { s.string(name)? };
    match Glob::new(pattern) {
        Ok(glob) => Some(glob.compile_matcher()),
        Err(error) => {
            s.problem(name, format!("{pattern:?} is no glob: {}", error.kind()));
            None
        }
    }
}
