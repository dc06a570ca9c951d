//! The connection between Flagger and the bridge with its faults, the people who decide, and the judge of each answer,
//! which knows the true attempt.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use flagger_jira_bridge::{
    gate::{GateName, Stage},
    millis::Millis,
    rollout::{Message, Observed, Phase, Report, Revision},
};
use rand::{RngExt as _, rngs::StdRng};

use super::{
    bound::Raced,
    bridge::{Answer, Bridge, Place, RULES},
    cluster::Cluster,
    flagger::Flagger,
    tally::Tally,
};

/// The probabilities of faults.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// A message never arrives.
    pub(super) lost: f64,
    /// A question arrives and its answer does not.
    pub(super) unanswered: f64,
    /// A message arrives twice.
    pub(super) twice: f64,
    /// Flagger cannot save the status of a tick, and repeats the tick.
    pub(super) unsaved: f64,
    /// At a tick: the bridge goes down for a while.
    pub(super) down: f64,
}

pub(super) struct Connection {
    pub(super) now: Millis,
    pub(super) interval: Duration,
    pub(super) bridge: Bridge,
    pub(super) cluster: Cluster,
    pub(super) rng: StdRng,
    pub(super) faults: Faults,
    pub(super) tally: Tally,
    /// The readable log, if one is wanted.
    pub(super) log: Option<Vec<String>>,
    /// Planned moves of tickets: time, ticket, status.
    plans: Vec<(Millis, usize, Place)>,
    /// The tickets opened for an attempt at a gate, in order.
    pub(super) opened: HashMap<(u64, GateName), Vec<usize>>,
    /// The messages received of each attempt.
    received: BTreeMap<u64, HashSet<(Kind, &'static str, u32)>>,
    /// Ticket and attempt, for each gate that was opened by the ticket of another attempt.
    pub(super) wrongly_opened: HashSet<(usize, u64)>,
    /// What Flagger started in place of what was approved.
    pub(super) raced: Option<Raced>,
    /// When the bridge went down, and when it comes back.
    pub(super) down: Option<(Millis, Millis)>,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Gate(Stage),
    Rollback,
    PostRollout,
    Event,
}

fn message(phase: Phase, revision: u32) -> Message {
    Message { phase, checksum: Some(Revision(format!("c{revision}"))), label: None }
}

impl Connection {
    pub(super) fn new(rng: StdRng, interval: Duration, faults: Faults, cluster: Cluster, log: bool) -> Self {
        Self {
            now: Millis(0),
            interval,
            bridge: Bridge::new(),
            cluster,
            rng,
            faults,
            tally: Tally { histories: 1, ..Tally::default() },
            log: log.then(Vec::new),
            plans: Vec::new(),
            opened: HashMap::new(),
            received: BTreeMap::new(),
            wrongly_opened: HashSet::new(),
            raced: None,
            down: None,
        }
    }

    pub(super) fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let seconds = self.now.0 / 1000;
            log.push(format!(
                "{:>3}:{:02}:{:02}  {}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60,
                words()
            ));
        }
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability)
    }

    /// Whether a message gets through now.
    fn arrives(&mut self) -> bool {
        self.now = self.now + Duration::from_millis(10);
        self.may_push();
        self.down.is_none() && !self.chance(self.faults.lost)
    }

    /// Records a message received of an attempt.
    fn records(&mut self, attempt: u64, kind: Kind, phase: Phase, revision: u32) {
        self.received.entry(attempt).or_default().insert((kind, phase.as_str(), revision));
    }

    /// Whether the bridge cannot distinguish attempt `this` from the earlier attempt `that`: each message since was
    /// also received of `that`, or could still follow in it.
    fn alike(&self, that: u64, this: u64, revision: u32) -> bool {
        if that >= this {
            return false;
        }
        let nothing = HashSet::new();
        let known = self.received.get(&that).unwrap_or(&nothing);
        let further = |received: &(Kind, &str, u32)| match received.0 {
            Kind::Gate(Stage::ConfirmRollout) => {
                received.1 == Phase::Waiting.as_str() && received.2 == revision
            }
            Kind::Event => {
                let phases = [Phase::Initialized, Phase::Waiting].map(Phase::as_str);
                phases.contains(&received.1) && received.2 == revision
            }
            Kind::Gate(_) | Kind::Rollback => received.2 == revision,
            Kind::PostRollout => false,
        };
        let mut since = self.received.range(that + 1..=this).flat_map(|(_, received)| received);
        since.all(|received| known.contains(received) || further(received))
    }

    /// Flagger asks at a gate. Whether the answer that reaches it is 200.
    pub(super) fn ask(
        &mut self,
        flagger: &Flagger,
        stage: Stage,
        approver: Option<&str>,
        phase: Phase,
    ) -> bool {
        self.tally.questions += 1;
        let name = GateName { stage, approver: approver.map(str::to_owned), step: None };
        let (attempt, revision) = (flagger.status.attempt, flagger.status.applied);
        if !self.arrives() {
            self.note(|| format!("  {name} {} c{revision} (attempt {attempt}): lost", phase.as_str()));
            return false;
        }
        self.records(attempt, Kind::Gate(stage), phase, revision);
        let message = message(phase, revision);
        let times = if self.chance(self.faults.twice) { 2 } else { 1 };
        let mut open = false;
        for _ in 0..times {
            let observed = self.observe(Some(&name));
            let answer = self.bridge.asked(&name, &message, &observed, self.now, attempt);
            open = answer.open;
            let is_unread = matches!(observed, Observed::Watched { unread: Some(_), .. });
            self.note(|| {
                let code = if open { 200 } else { 403 };
                let shown = answer.ticket.map_or("no ticket".into(), |ticket| format!("OPS-{ticket}"));
                let fresh = if answer.fresh { ", new" } else { "" };
                let unread = if is_unread { ", cluster unread" } else { "" };
                let phase = phase.as_str();
                format!("  {name} {phase} c{revision} (attempt {attempt}): {code} {shown}{fresh}{unread}")
            });
            self.note_unapproved();
            if self.cluster.sight.judges_tickets() {
                self.judge_bound(&name, flagger, &answer, is_unread);
            } else {
                self.judge(&name, attempt, revision, &answer);
            }
        }
        open && !self.chance(self.faults.unanswered)
    }

    /// Flagger asks whether to roll back.
    pub(super) fn ask_to_roll_back(&mut self, flagger: &Flagger) -> bool {
        let (attempt, revision) = (flagger.status.attempt, flagger.status.applied);
        let phase = flagger.status.phase;
        if !self.arrives() {
            self.note(|| format!("  rollback {} c{revision} (attempt {attempt}): lost", phase.as_str()));
            return false;
        }
        self.records(attempt, Kind::Rollback, phase, revision);
        let observed = self.observe(None);
        let back = self.bridge.asked_to_roll_back(&message(phase, revision), observed, self.now);
        self.note_unapproved();
        self.note(|| format!("  rollback {} c{revision} (attempt {attempt}): {back}", phase.as_str()));
        let mut own = self.bridge.tickets.iter().filter(|ticket| ticket.attempt == attempt);
        let rejected = own.any(|ticket| ticket.place == Place::Rejected);
        self.tally.rollbacks += u64::from(back);
        if back && !rejected {
            self.tally.wrong_rollbacks += 1;
            self.note(|| "  !! no ticket of this attempt was rejected".into());
        }
        if !back && rejected {
            self.tally.kept += 1;
            self.note(|| "  !! this attempt was rejected".into());
        }
        back && !self.chance(self.faults.unanswered)
    }

    pub(super) fn event(&mut self, flagger: &Flagger, phase: Phase) {
        if flagger.hooks.event {
            self.report(Report::Event, flagger, phase);
        }
    }

    pub(super) fn post_rollout(&mut self, flagger: &Flagger, phase: Phase) {
        if flagger.hooks.post_rollout {
            self.report(Report::PostRollout, flagger, phase);
        }
    }

    fn report(&mut self, report: Report, flagger: &Flagger, phase: Phase) {
        let revision = flagger.status.applied;
        let arrives = self.arrives();
        if arrives {
            let kind = if report == Report::Event { Kind::Event } else { Kind::PostRollout };
            self.records(flagger.status.attempt, kind, phase, revision);
        }
        let lost = if arrives { "" } else { ": lost" };
        self.note(|| format!("  {report:?} {} c{revision}{lost}", phase.as_str()));
        let times = if arrives { 1 + u8::from(self.chance(self.faults.twice)) } else { 0 };
        for _ in 0..times {
            let observed = self.observe(None);
            self.bridge.reported(report, &message(phase, revision), observed, self.now);
            self.note_unapproved();
        }
    }

    fn judge(&mut self, name: &GateName, attempt: u64, revision: u32, answer: &Answer) {
        self.tally.opens += u64::from(answer.open);
        if let (true, Some(ticket)) = (answer.fresh, answer.ticket) {
            self.tally.tickets += 1;
            self.opened.entry((attempt, name.clone())).or_default().push(ticket);
            self.plan(ticket);
        }
        let own = self.opened.get(&(attempt, name.clone())).cloned().unwrap_or_default();
        let approved = own.iter().any(|ticket| self.bridge.tickets[*ticket].place == Place::Approved);
        let shown = answer.ticket.map(|ticket| self.bridge.tickets[ticket].attempt);
        let long = answer.silent_for > RULES.idle_after.max(3 * self.interval);
        let first =
            answer.open && answer.ticket.is_some_and(|ticket| self.wrongly_opened.insert((ticket, attempt)));
        let alike = shown.is_some_and(|shown| self.alike(shown, attempt, revision));
        let last = own.last().copied();
        let tally = &mut self.tally;
        let wrong = match (answer.open, shown) {
            (true, Some(shown))
                if shown != attempt && first && alike && name.stage == Stage::ConfirmRollout =>
            {
                Some((&mut tally.one_wait, "approved for another attempt of the same wait"))
            }
            (true, Some(shown)) if shown != attempt && first && alike => {
                Some((&mut tally.alike, "approved for another attempt that looks alike"))
            }
            (true, Some(shown)) if shown != attempt && first => {
                Some((&mut tally.wrong_opens, "approved for another attempt"))
            }
            (true, _) => None,
            (false, _) if answer.fresh && own.len() > 1 && long => {
                Some((&mut tally.after_silence, "asked again after a long silence"))
            }
            (false, _) if answer.fresh && approved => {
                Some((&mut tally.asked_again, "approved, and asked again"))
            }
            (false, _) if answer.fresh && own.len() > 1 => {
                Some((&mut tally.second_tickets, "a second ticket"))
            }
            (false, None) => Some((&mut tally.unheard, "no ticket for this question")),
            (false, Some(shown)) => {
                let mine = approved && (answer.ticket != last || shown != attempt);
                let closed = last.is_some_and(|last| self.bridge.tickets[last].place == Place::Approved);
                (mine || closed).then_some((&mut tally.shut, "approved, and closed"))
            }
        };
        if let Some((count, words)) = wrong {
            *count += 1;
            self.note(|| format!("  !! {words}"));
        }
    }

    /// Plans a person's decision on a ticket, early, late or never, and perhaps a change of mind.
    pub(super) fn plan(&mut self, ticket: usize) {
        let interval = self.interval.as_secs_f64();
        let patience = match self.rng.random_range(0..20) {
            0..12 => 3.0,
            12..18 => 12.0,
            _ => return,
        };
        let mut at = self.now;
        let mut later = |rng: &mut StdRng| {
            at = at + Duration::from_secs_f64(interval * (0.2 + patience * rng.random::<f64>()));
            at
        };
        let first = if self.rng.random_bool(0.8) { Place::Approved } else { Place::Rejected };
        self.plans.push((later(&mut self.rng), ticket, first));
        if self.rng.random_bool(0.1) {
            let second = [Place::ToDo, Place::Approved, Place::Rejected][self.rng.random_range(0..3)];
            self.plans.push((later(&mut self.rng), ticket, second));
            let last = if self.rng.random_bool(0.8) { Place::Approved } else { Place::Rejected };
            self.plans.push((later(&mut self.rng), ticket, last));
        }
    }

    /// The bridge goes down, and loses its memory.
    pub(super) fn goes_down(&mut self, away: Duration) {
        if self.down.is_none() {
            self.note(|| format!("the bridge is down for {} s", away.as_secs()));
            self.down = Some((self.now, self.now + away));
        }
    }

    /// Advances the time: people move tickets, and the bridge reads them.
    pub(super) fn until(&mut self, then: Millis) {
        while let Some(at) = (0..self.plans.len()).min_by_key(|at| self.plans[*at].0) {
            if self.plans[at].0 > then {
                break;
            }
            let (when, ticket, place) = self.plans.remove(at);
            self.comes_back(when);
            self.watch_until(when);
            self.now = self.now.max(when);
            let entry = &self.bridge.tickets[ticket];
            let (was, about, name) = (entry.place, entry.attempt, entry.name.clone());
            if was == place {
                continue;
            }
            self.note(|| format!("OPS-{ticket} ({name}, attempt {about}): {place:?}"));
            self.bridge.moved(ticket, place, self.now);
            if self.down.is_none() {
                self.bridge.reads_ticket(ticket, self.now);
            }
        }
        self.comes_back(then);
        self.watch_until(then);
        self.now = self.now.max(then);
        if self.down.is_none() {
            self.bridge.polls(self.now);
        }
    }

    fn comes_back(&mut self, now: Millis) {
        if let Some((died, back)) = self.down
            && back <= now
        {
            self.now = self.now.max(back);
            self.down = None;
            self.note(|| "the bridge is back".into());
            let crashed = self.faults.down > 0.0;
            self.bridge.restarts(died, back.since(died), crashed);
            self.cluster.bridge_restarts(self.now, &mut self.rng);
            self.bridge.polls(self.now);
        }
    }
}
