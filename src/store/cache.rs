//! The canaries in memory, so that questions need no database.

use std::{
    collections::{BTreeMap, hash_map::Entry},
    sync::Arc,
};

use crate::{
    gate::GateId,
    map::Map,
    rollout::{Canary, CanaryId, Rollout},
};

/// How many tickets of live gates count towards the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTickets {
    /// In all clusters and namespaces.
    pub total: usize,
    /// In one namespace of one cluster.
    pub in_namespace: usize,
}

/// The canaries as last committed, each with the number of the transaction that wrote it.
pub(super) struct Cache {
    canaries: Map<CanaryId, (i64, Arc<Canary>)>,
    /// The gates of watched tickets, by Jira's issue id.
    tickets: Map<String, (CanaryId, GateId)>,
    caught_up: i64,
    /// How many tickets of live gates count towards the limits.
    open_tickets: usize,
    /// `open_tickets` by cluster, then by namespace, without zeros.
    by_namespace: Map<String, Map<String, usize>>,
    /// Canaries whose row cannot be read, and why.
    unreadable: BTreeMap<CanaryId, String>,
}

impl Default for Cache {
    fn default() -> Self {
        // Below every sequence number: no row has been read.
        let caught_up = i64::MIN;
        let (canaries, tickets, by_namespace, unreadable) = Default::default();
        Self { canaries, tickets, caught_up, open_tickets: 0, by_namespace, unreadable }
    }
}

impl Cache {
    pub(super) fn canary(&self, id: &CanaryId) -> Option<Arc<Canary>> {
        self.canaries.get(id).map(|(_, canary)| Arc::clone(canary))
    }

    pub(super) fn live(&self) -> Vec<Arc<Canary>> {
        self.canaries
            .values()
            .map(|(_, canary)| canary)
            .filter(|canary| canary.rollout.is_some())
            .cloned()
            .collect()
    }

    pub(super) fn gate_by_ticket(&self, ticket: &str) -> Option<(CanaryId, GateId)> {
        self.tickets.get(ticket).cloned()
    }

    pub(super) fn open_tickets(&self, canary: &CanaryId) -> OpenTickets {
        let of_cluster = self.by_namespace.get(&canary.cluster);
        let of_namespace = of_cluster.and_then(|namespaces| namespaces.get(&canary.namespace));
        OpenTickets { total: self.open_tickets, in_namespace: of_namespace.copied().unwrap_or_default() }
    }

    pub(super) const fn all_open_tickets(&self) -> usize {
        self.open_tickets
    }

    pub(super) fn namespaces_with_at_least(&self, least: usize) -> Vec<(String, usize)> {
        let all = self.by_namespace.iter().flat_map(|(cluster, namespaces)| {
            namespaces.iter().map(move |(namespace, gates)| (format!("{cluster}/{namespace}"), *gates))
        });
        let mut found: Vec<_> = all.filter(|(_, gates)| *gates >= least).collect();
        found.sort_unstable();
        found
    }

    /// Changes the number of this canary's gates from `was` to `is` in the totals.
    fn adjust_counts(&mut self, id: &CanaryId, was: usize, is: usize) {
        if was == is {
            return;
        }
        self.open_tickets = self.open_tickets + is - was;
        let namespaces = self.by_namespace.entry(id.cluster.clone()).or_default();
        let gates = namespaces.entry(id.namespace.clone()).or_default();
        *gates = *gates + is - was;
        if *gates == 0 {
            namespaces.remove(&id.namespace);
        }
    }

    /// The number of the transaction up to which everything has been read.
    pub(super) const fn caught_up(&self) -> i64 {
        self.caught_up
    }

    pub(super) fn catch_up(&mut self, seq: i64) {
        self.caught_up = self.caught_up.max(seq);
    }

    pub(super) fn unreadable(&self) -> Vec<(CanaryId, String)> {
        self.unreadable.iter().map(|(id, why)| (id.clone(), why.clone())).collect()
    }

    pub(super) fn unreadable_reason(&self, id: &CanaryId) -> Option<String> {
        self.unreadable.get(id).cloned()
    }

    /// Drops a canary whose row cannot be read, so that questions read the row. Returns whether the reason is new.
    pub(super) fn mark_unreadable(&mut self, id: CanaryId, why: String) -> bool {
        let known = self.unreadable.get(&id) == Some(&why);
        self.remove(&id);
        self.unreadable.insert(id, why);
        !known
    }

    /// Removes a canary.
    pub(super) fn remove(&mut self, id: &CanaryId) {
        self.unreadable.remove(id);
        if let Some((_, canary)) = self.canaries.remove(id) {
            self.adjust_counts(id, count_open_tickets(&canary), 0);
            for (ticket, _) in watched_tickets(&canary) {
                self.tickets.remove(&ticket);
            }
        }
    }

    /// Caches a canary as committed by transaction `seq`, unless a newer version is cached.
    pub(super) fn insert(&mut self, mut canary: Canary, seq: i64) {
        canary.shrink();
        self.unreadable.remove(&canary.id);
        let canary = Arc::new(canary);
        let before = match self.canaries.entry(canary.id.clone()) {
            Entry::Occupied(mut known) => {
                if known.get().0 > seq {
                    return;
                }
                Some(known.insert((seq, Arc::clone(&canary))).1)
            }
            Entry::Vacant(unknown) => {
                unknown.insert((seq, Arc::clone(&canary)));
                None
            }
        };
        self.adjust_counts(
            &canary.id,
            before.as_ref().map_or(0, |canary| count_open_tickets(canary)),
            count_open_tickets(&canary),
        );
        for ticket in before.iter().flat_map(|canary| watched_tickets(canary)) {
            self.tickets.remove(&ticket.0);
        }
        for (ticket, gate) in watched_tickets(&canary) {
            self.tickets.insert(ticket, (canary.id.clone(), gate));
        }
    }
}

/// How many tickets of a canary count towards the limits.
fn count_open_tickets(canary: &Canary) -> usize {
    let gates = canary.rollout.iter().flat_map(|rollout| &rollout.gates);
    gates.filter(|gate| gate.is_open_ticket()).count()
}

fn watched_tickets(canary: &Canary) -> Vec<(String, GateId)> {
    let gates = canary.rollout.iter().flat_map(Rollout::watched);
    gates.filter_map(|gate| gate.ticket().map(|ticket| (ticket.id.clone(), gate.id.clone()))).collect()
}
