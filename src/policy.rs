//! PURE: which statuses mean what, who may approve, and which settings hold for which gate.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use minijinja::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

mod judge;
mod limits;
mod matching;
mod mode;
mod schedule;
mod statuses;
mod steps;
mod template;
mod traffic;

pub use self::{
    judge::{
        Author, DENY_LIST_GREW, EntryMatch, Person, PersonEntry, empty_denial, judge, quote_entry,
        too_many_denials,
    },
    limits::{OnTimeout, TimeLimits},
    matching::{GateAddress, Match},
    mode::ApprovalMode,
    schedule::{
        Calendar, CalendarEvent, Calendars, Closed, ClosedBecause, Except, Exception, Freeze, FreezeTime,
        GateSchedule, OpenHours, Period, Planned, SEARCHED, Schedule, WhenRead, Window,
    },
    statuses::{Meaning, Status, Statuses, Unresolved, resolve},
    steps::StepProblem,
    template::is_template,
    traffic::Traffic,
};

/// The settings of all gates: `[ticket]` and `[approval]`, and what `[[routes]]` overrides for some.
#[derive(Clone, Debug)]
pub struct Policy {
    /// For gates that no route matches.
    pub base: Route,
    /// In the order of the file; the first match wins. Each is complete: the base with its overrides.
    pub routes: Vec<(Match, Route)>,
    /// When gates may open.
    pub schedule: Schedule,
}

/// The settings of one gate.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its key in the configuration, for messages: `ticket` or `routes[2]` (counted from 0).
    pub key: String,
    /// The settings of its ticket.
    pub ticket: TicketSettings,
    /// Who may approve it, and for how long.
    pub approval: Approval,
    /// The fingerprint of the settings that its approvals are judged by.
    pub fingerprint: Fingerprint,
}

/// `[ticket]`
#[derive(Clone, Debug)]
pub struct TicketSettings {
    /// The project's key.
    pub project: String,
    /// The issue type's name or id.
    pub issue_type: String,
    /// A template of one line.
    pub summary: String,
    /// A template.
    pub description: String,
    /// Labels besides the bridge's own.
    pub labels: Vec<String>,
    /// Who a new ticket is assigned to: an account id, e-mail or user name. None: Jira's default.
    pub assignee: Option<String>,
    /// Further fields by id; every string in them is a template.
    pub fields: BTreeMap<String, Value>,
    /// Names or ids of statuses that mean yes.
    pub approved: Vec<String>,
    /// Names or ids of statuses that mean no.
    pub rejected: Vec<String>,
    /// Where the bridge moves tickets.
    pub transitions: Transitions,
    /// What to do if a version is promoted that no gate let pass.
    pub on_bypass: OnBypass,
    /// What a ticket of confirm-traffic-increase is for.
    pub traffic: Traffic,
    /// The name in a question's metadata whose value is the key of the ticket to use. None: each gate gets a new ticket.
    pub use_metadata: Option<String>,
    /// The id of the request type with which tickets are opened in Jira Service Management. None: they are issues without one.
    pub request_type: Option<String>,
}

/// `ticket.on_bypass`: what to do if a version is promoted that no gate let pass, where the bridge reads the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBypass {
    /// Record it.
    #[default]
    Record,
    /// Record it, and open a ticket that says so.
    Open,
}

impl OnBypass {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Record, Self::Open];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Open => "open",
        }
    }
}

/// When the bridge moves a ticket: the keys of `ticket.transitions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The ticket was opened.
    Opened,
    /// The rollout succeeded.
    Succeeded,
    /// The rollout failed.
    Failed,
    /// Another rollout took its place.
    Superseded,
    /// Flagger has not asked for a long time.
    Abandoned,
    /// The rollout succeeded without this approval.
    Bypassed,
    /// Nobody decided in time. No key: the bridge moves the ticket to a rejected status.
    TimedOut,
}

impl Milestone {
    /// The key of its setting.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Abandoned => "abandoned",
            Self::Bypassed => "bypassed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// `[ticket.transitions]`: where the bridge moves a ticket, and when; none means that it only comments.
#[derive(Clone, Debug, Default)]
pub struct Transitions {
    /// Right after opening.
    pub opened: Option<Target>,
    /// The rollout succeeded.
    pub succeeded: Option<Target>,
    /// The rollout failed.
    pub failed: Option<Target>,
    /// Another rollout took its place.
    pub superseded: Option<Target>,
    /// Flagger has not asked for a long time.
    pub abandoned: Option<Target>,
    /// The rollout succeeded without this approval.
    pub bypassed: Option<Target>,
}

impl Transitions {
    /// Where to move a ticket at this milestone, if anywhere.
    #[must_use]
    pub const fn target(&self, milestone: Milestone) -> Option<&Target> {
        match milestone {
            Milestone::Opened => self.opened.as_ref(),
            Milestone::Succeeded => self.succeeded.as_ref(),
            Milestone::Failed => self.failed.as_ref(),
            Milestone::Superseded => self.superseded.as_ref(),
            Milestone::Abandoned => self.abandoned.as_ref(),
            Milestone::Bypassed => self.bypassed.as_ref(),
            Milestone::TimedOut => None,
        }
    }
}

/// A status to move to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name or id.
    pub to: String,
    /// Fields that the transition's screen asks for.
    pub fields: BTreeMap<String, Value>,
}

/// `[approval]`
#[derive(Clone, Debug)]
pub struct Approval {
    /// The longest time from an approval to its first use.
    pub valid_for: Duration,
    /// Account ids, e-mails, user names, `group:NAME`, `role:NAME`; empty: any person whom Jira lets move the ticket.
    pub approvers: Vec<String>,
    /// Who may never approve; templates.
    pub deny: Vec<String>,
    /// The fields of the ticket between whose times the gate may open. None: the ticket does not say when.
    pub planned: Option<PlannedFields>,
    /// Whether anybody is asked.
    pub mode: ApprovalMode,
    /// Names or ids of the statuses that an approval leads through, in this order and each by another person; empty if it
    /// has only one step.
    pub steps: Vec<String>,
    /// How long a decision may take.
    pub limits: TimeLimits,
    /// What the decision is.
    pub source: ApprovalSource,
}

/// `approval.source`: what the decision about a ticket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApprovalSource {
    /// A person's move of the ticket.
    #[default]
    Status,
    /// The approval of Jira Service Management that moved it.
    Jsm,
}

impl ApprovalSource {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Status, Self::Jsm];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Jsm => "jsm",
        }
    }
}

/// `approval.planned`: fields of a ticket, by id, that hold a date with a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFields {
    /// When the change may begin.
    pub start: String,
    /// When it must be over.
    pub end: String,
}

/// Identifies the settings that approvals are judged by: who may approve, who may not, which statuses decide, the
/// steps, and until when. Any change of those changes it. The settings cannot be derived from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    fn of(ticket: &TicketSettings, approval: &Approval) -> Self {
        let mut hash = Sha256::new();
        for list in [&approval.approvers, &approval.deny, &ticket.approved, &ticket.rejected] {
            hash.update((list.len() as u64).to_be_bytes());
            for entry in list {
                hash.update((entry.len() as u64).to_be_bytes());
                hash.update(entry);
            }
        }
        match approval.source {
            // As before there was a choice.
            ApprovalSource::Status => {}
            ApprovalSource::Jsm => hash.update(ApprovalSource::Jsm.as_str()),
        }
        if !approval.steps.is_empty() {
            hash.update("steps");
            for step in &approval.steps {
                hash.update((step.len() as u64).to_be_bytes());
                hash.update(step);
            }
        }
        if let Some(after) = approval.limits.reject_after() {
            hash.update("reject after");
            hash.update(after.as_millis().to_be_bytes());
        }
        // A key that is not set leaves the fingerprints of stored approvals as they are.
        if let Some(PlannedFields { start, end }) = &approval.planned {
            for field in [start, end] {
                hash.update((field.len() as u64).to_be_bytes());
                hash.update(field);
            }
        }
        match approval.mode {
            ApprovalMode::Required => {}
            ApprovalMode::Record => hash.update("approval.mode = record"),
        }
        match ticket.traffic {
            Traffic::Once => {}
            Traffic::Step => hash.update("ticket.traffic = step"),
        }
        let bytes = hash.finalize();
        Self(bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl Route {
    /// The settings of one gate. `key` is where they stand in the configuration.
    #[must_use]
    pub fn new(key: String, ticket: TicketSettings, approval: Approval) -> Self {
        let fingerprint = Fingerprint::of(&ticket, &approval);
        Self { key, ticket, approval, fingerprint }
    }

    /// The full key of a setting of its ticket: `ticket.summary`, or `routes[0].ticket.summary`.
    #[must_use]
    pub fn key_of(&self, setting: &str) -> String {
        match self.key.as_str() {
            "ticket" => format!("ticket.{setting}"),
            at => format!("{at}.ticket.{setting}"),
        }
    }

    /// Whether a status means that a ticket is rejected.
    #[must_use]
    pub const fn can_be_rejected(&self) -> bool {
        !self.ticket.rejected.is_empty()
    }

    /// The full key of a setting of its approval: `approval.deny`, or `routes[0].approval.deny`.
    #[must_use]
    pub fn approval_key(&self, setting: &str) -> String {
        match self.key.as_str() {
            "ticket" => format!("approval.{setting}"),
            at => format!("{at}.approval.{setting}"),
        }
    }
}

impl Policy {
    /// All settings that a gate can have: the base, then each route's.
    pub fn all(&self) -> impl Iterator<Item = &Route> {
        std::iter::once(&self.base).chain(self.routes.iter().map(|(_, route)| route))
    }

    /// The fields of tickets that say when their gates may open, by id.
    #[must_use]
    pub fn planned_fields(&self) -> BTreeSet<&str> {
        let planned = self.all().filter_map(|route| route.approval.planned.as_ref());
        planned.flat_map(|PlannedFields { start, end }| [start.as_str(), end.as_str()]).collect()
    }

    /// The settings for one gate: of the first route that matches, else the base.
    #[must_use]
    pub fn route(
        &self,
        cluster: &str,
        namespace: &str,
        canary: &str,
        stage: &str,
        gate: Option<&str>,
    ) -> &Route {
        let gate = GateAddress { cluster, namespace, canary, stage, gate: gate.unwrap_or_default() };
        self.routes.iter().find(|(is, _)| is.is_match(gate)).map_or(&self.base, |(_, route)| route)
    }
}

/// Settings by which gates ask nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The key that says so.
    pub key: String,
    /// The gates, in words.
    pub gates: String,
}

impl Policy {
    /// Each place in the settings by which gates ask nobody.
    #[must_use]
    pub fn recording(&self) -> Vec<Recording> {
        let records = |route: &Route| !route.approval.mode.is_required();
        let base = records(&self.base).then(|| {
            let gates =
                if self.routes.is_empty() { "every gate" } else { "every gate that no route matches" };
            Recording { key: self.base.approval_key("mode"), gates: gates.to_owned() }
        });
        let routes = self.routes.iter().filter(|(_, route)| records(route));
        let routes =
            routes.map(|(own, route)| Recording { key: route.approval_key("mode"), gates: own.in_words() });
        base.into_iter().chain(routes).collect()
    }
}

impl Match {
    /// The gates that it matches, in words: `gates of cluster prod-*, namespace payments-*`.
    fn in_words(&self) -> String {
        let parts = [
            ("cluster", &self.cluster),
            ("namespace", &self.namespace),
            ("canary", &self.canary),
            ("stage", &self.stage),
            ("gate", &self.gate),
        ];
        let named = parts.into_iter().map(|(what, glob)| (what, glob.glob().glob()));
        let named = named.filter(|(_, glob)| !matches!(*glob, "*" | "**"));
        let named: Vec<String> = named
            .map(|(what, glob)| match glob {
                "" => format!("no {what} name"),
                glob => format!("{what} {glob}"),
            })
            .collect();
        if named.is_empty() { "every gate".to_owned() } else { format!("gates of {}", named.join(", ")) }
    }
}
