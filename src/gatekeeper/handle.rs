//! The state of the gatekeeper, and the settings of each gate.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    answer::{Answer, AnswerLinks, Doubts},
    last_overview::LastOverview,
    last_readings::LastReadings,
    promotions::Promotions,
    recent_nudges::RecentNudges,
    refused_gates::RefusedGates,
    retries::Retries,
    unread_tickets::UnreadTickets,
    unsaved_readings::UnsavedReadings,
};
use crate::{
    calendars::CalendarFiles,
    config::{Config, KubernetesMode, Limits, Rollout},
    gate::{Gate, GateName, Hours, TargetProof, Validity},
    kubernetes::Clusters,
    metrics::Metrics,
    millis::Millis,
    policy::{ApprovalMode, Route},
    rollout::{Budget, Canary, CanaryId, Headroom, Observed, Rules},
    store::Store,
};

/// Applies messages and readings, and answers questions.
pub struct Gatekeeper {
    pub(super) store: Store,
    pub(super) config: Arc<Config>,
    pub(super) links: AnswerLinks,
    pub(super) metrics: Arc<Metrics>,
    /// The clusters whose Canaries the bridge reads.
    pub(super) clusters: Arc<Clusters>,
    /// The calendars of freezes.
    pub(super) calendars: CalendarFiles,
    pub(super) work: watch::Sender<()>,
    /// Gates whose questions were refused a ticket recently, for the page.
    pub(super) refused_gates: RefusedGates,
    pub(super) recent_nudges: RecentNudges,
    pub(super) unread_tickets: UnreadTickets,
    pub(super) unsaved_readings: UnsavedReadings,
    /// The clusters in which a Canary could not be read, and when that was.
    pub(super) canaries_unread: Mutex<HashMap<String, Millis>>,
    pub(super) promotions: tokio::sync::Mutex<Promotions>,
    pub(super) last_readings: LastReadings,
    pub(super) retries: Retries,
    /// What the page showed last beside the gates.
    pub(super) overview: Arc<tokio::sync::Mutex<Option<LastOverview>>>,
}

impl Gatekeeper {
    /// A gatekeeper over this store.
    #[must_use]
    pub fn new(
        store: Store,
        config: Arc<Config>,
        links: AnswerLinks,
        metrics: Arc<Metrics>,
        clusters: Arc<Clusters>,
    ) -> Self {
        let calendars = CalendarFiles::new(&config.policy.schedule);
        Self {
            store,
            config,
            links,
            metrics,
            clusters,
            calendars,
            work: watch::Sender::new(()),
            refused_gates: RefusedGates::default(),
            recent_nudges: RecentNudges::default(),
            unread_tickets: UnreadTickets::default(),
            unsaved_readings: UnsavedReadings::default(),
            canaries_unread: Mutex::default(),
            promotions: tokio::sync::Mutex::default(),
            last_readings: LastReadings::default(),
            retries: Retries::default(),
            overview: Arc::default(),
        }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The links in answers.
    #[must_use]
    pub const fn links(&self) -> &AnswerLinks {
        &self.links
    }

    /// The clusters whose Canaries the bridge reads.
    #[must_use]
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tickets that could not be read recently.
    #[must_use]
    pub const fn unread_tickets(&self) -> &UnreadTickets {
        &self.unread_tickets
    }

    /// The attempts of failed commands.
    #[must_use]
    pub const fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Changes when there may be work to do in Jira.
    pub fn work(&self) -> watch::Receiver<()> {
        self.work.subscribe()
    }

    /// The settings of one gate.
    #[must_use]
    pub fn route(&self, canary: &CanaryId, gate: &GateName) -> &Route {
        let CanaryId { cluster, namespace, name } = canary;
        self.config.policy.route(cluster, namespace, name, gate.stage.as_str(), gate.approver.as_deref())
    }

    /// How long an approval of this gate is valid, by which settings it must have been judged, and whether the gate may
    /// open at `now`. `known` is the gate, if it was asked about before.
    pub fn validity(
        &self,
        canary: &CanaryId,
        gate: &GateName,
        known: Option<&Gate>,
        now: Millis,
    ) -> Validity {
        let hours = self.hours(canary, gate, known, now);
        Validity { hours, ..self.validity_at_any_hour(canary, gate) }
    }

    /// The same, as if its windows and freezes let the gate open.
    fn validity_at_any_hour(&self, canary: &CanaryId, gate: &GateName) -> Validity {
        let Route { approval, fingerprint, .. } = self.route(canary, gate);
        let (valid_for, judged_by) = (approval.valid_for, *fingerprint);
        Validity {
            trust_for: self.config.jira.trust_for,
            valid_for,
            judged_by,
            reject_after: approval.limits.reject_after(),
            target: TargetProof::NotNeeded,
            hours: Hours::Open,
            mode: approval.mode,
        }
    }

    pub(super) fn rules(
        &self,
        canary: &CanaryId,
        gate: &GateName,
        known: Option<&Gate>,
        now: Millis,
    ) -> Rules {
        self.rules_with(canary, self.validity(canary, gate, known, now))
    }

    pub(super) fn rules_at_any_hour(&self, canary: &CanaryId, gate: &GateName) -> Rules {
        self.rules_with(canary, self.validity_at_any_hour(canary, gate))
    }

    pub(super) fn rules_of_no_gate(&self, canary: &CanaryId) -> Rules {
        let (trust_for, judged_by) = (self.config.jira.trust_for, self.config.policy.base.fingerprint);
        let (target, hours, mode) = (TargetProof::NotNeeded, Hours::Open, ApprovalMode::Required);
        let (valid_for, reject_after) = (Duration::MAX, None);
        let validity = Validity { trust_for, valid_for, judged_by, reject_after, target, hours, mode };
        self.rules_with(canary, validity)
    }

    fn rules_with(&self, canary: &CanaryId, validity: Validity) -> Rules {
        let Rollout { idle_after, abandon_after } = self.config.rollout;
        let Limits { tickets_per_canary_per_hour, open_tickets, open_tickets_per_namespace } =
            self.config.limits;
        let open = self.store.open_tickets(canary);
        let headroom = if open.in_namespace >= open_tickets_per_namespace {
            Headroom::NamespaceFull
        } else if open.total >= open_tickets {
            Headroom::None
        } else {
            Headroom::Available
        };
        let budget = Budget { per_hour: tickets_per_canary_per_hour, headroom };
        // Where the bridge does not watch, it cannot bind.
        let binds =
            self.config.kubernetes.mode == KubernetesMode::Bind && self.clusters.includes(&canary.cluster);
        Rules { validity, idle_after, abandon_after, budget, binds }
    }

    /// The current answer at a gate, whatever the API server shows.
    pub(super) fn answer(&self, canary: &Canary, gate: &GateName, validity: Validity, now: Millis) -> Answer {
        self.answer_with(canary, gate, validity, &Observed::Unread, now)
    }

    /// The answer to a question, with what the API server shows.
    pub(super) fn answer_with(
        &self,
        canary: &Canary,
        gate: &GateName,
        validity: Validity,
        observed: &Observed,
        now: Millis,
    ) -> Answer {
        let unread = canary.gate(gate).and_then(|gate| self.unread_tickets.unread_since(&gate.id));
        let closed = self.closed(&canary.id, gate, canary.gate(gate), now);
        let limits = &self.route(&canary.id, gate).approval.limits;
        let lifted = self.lifted(&canary.id, gate, canary.gate(gate), now);
        let doubts = Doubts {
            ticket: unread.as_ref(),
            target: observed,
            closed: closed.as_ref(),
            lifted: lifted.as_ref(),
            limits,
        };
        let mut answer = self.links.answer(canary, gate, validity, doubts, now);
        answer.gate.weight = canary.gate(gate).and_then(|gate| self.weight(&canary.id, gate, now));
        answer
    }
}
