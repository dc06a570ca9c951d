//! Runs random histories of a modelled Flagger through the bridge's pure core, and counts wrong answers.
//!
//! `HISTORIES=100000 cargo test --test it histories -- --nocapture` runs more of them and prints the tables;
//! `HISTORY_SEED=n` replays one and prints it line by line, with `HISTORY_MODE=bind` one with a modelled Kubernetes.

use std::{fmt::Write as _, time::Duration};

use flagger_jira_bridge::{millis::Millis, workload::TargetKind};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

mod bound;
mod bridge;
mod cluster;
mod connection;
mod flagger;
mod scenarios;
mod tally;
mod undecidable;
mod watching;
mod workloads;

use cluster::{CanaryObject, Cluster, Mode};
use connection::Connection;
use flagger::{Flagger, Strategy, Workload};
use scenarios::{Accepted, SCENARIOS, Scenario, WITH_KUBERNETES};
use tally::Tally;

/// The length of a history, in ticks of Flagger.
const TICKS: u32 = 90;

/// Simulates what happens around Flagger: pushes, workloads, outages.
struct Surroundings {
    flagger: Flagger,
    connection: Connection,
    /// Whether the Canary is occasionally deleted and created again.
    recreated: bool,
    /// The revision to push again before the next tick.
    flip: Option<u32>,
    /// Remaining ticks in which a workload is unready, Flagger is suspended, or the Canary is deleted.
    unready: u32,
    suspended: u32,
    deleted: u32,
}

impl Surroundings {
    fn new(scenario: &Scenario, seed: u64, log: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let seconds = match rng.random_range(0..20) {
            0..12 => 60,
            12..14 => 30,
            14..17 => 300,
            17..19 => 900,
            _ => 3600,
        };
        let count = rng.random_range(1..5);
        let strategy = match rng.random_range(0..10) {
            0..5 => Strategy::Canary { steps: count },
            5..7 => Strategy::AbTesting { iterations: count },
            7..9 => Strategy::BlueGreen { iterations: count },
            _ if scenario.hooks.rollout.is_empty() => Strategy::Canary { steps: count },
            _ => Strategy::Skipped,
        };
        let daemons = scenario.sight.mode != Mode::Off && rng.random_bool(0.2);
        let kind = if daemons { TargetKind::DaemonSet } else { TargetKind::Deployment };
        let cluster = Cluster::new(scenario.sight, kind);
        let mut connection =
            Connection::new(rng, Duration::from_secs(seconds), scenario.faults, cluster, log);
        connection.note(|| format!("seed {seed}: {}, {strategy:?}, every {seconds} s", scenario.name));
        Self {
            flagger: Flagger::new(scenario.hooks, strategy),
            connection,
            recreated: scenario.recreated,
            flip: None,
            unready: 0,
            suspended: 0,
            deleted: 0,
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.connection.rng.random_bool(probability)
    }

    /// The team pushes a new revision, or one that was pushed before.
    fn pushes(&mut self) {
        let was = self.connection.cluster.target;
        let newest = self.connection.cluster.newest;
        let taken_back = if self.flagger.idle() { 0.1 } else { 0.05 };
        let revision = match self.connection.rng.random_range(0..10) {
            0..7 => newest + 1,
            7..9 => self.flagger.status.promoted.max(1),
            _ => self.connection.rng.random_range(1..=newest),
        };
        self.connection.push(revision);
        if self.chance(taken_back) {
            // The push is reverted, at once or after a tick.
            if self.chance(0.2) {
                self.connection.push(was);
            } else {
                self.flip = Some(was);
            }
        }
    }

    fn workloads(&mut self) {
        if self.unready > 0 {
            self.unready -= 1;
            if self.unready == 0 {
                self.flagger.primary = Workload::Ready;
                self.flagger.canary = Workload::Ready;
                self.connection.note(|| "all workloads: ready".into());
            }
        } else if self.chance(0.02) {
            self.unready = self.connection.rng.random_range(1..20);
            let how = if self.chance(0.2) { Workload::Stuck } else { Workload::Unready };
            let primary = self.chance(0.4);
            let which = if primary { &mut self.flagger.primary } else { &mut self.flagger.canary };
            *which = how;
            self.connection.note(|| format!("{}: {how:?}", if primary { "primary" } else { "canary" }));
        }
        let fails = if self.flagger.metrics_fail { !self.chance(0.4) } else { self.chance(0.03) };
        if fails != self.flagger.metrics_fail {
            self.flagger.metrics_fail = fails;
            self.connection.note(|| format!("metrics {}", if fails { "fail" } else { "pass" }));
        }
    }

    /// What happens between two ticks of Flagger.
    fn between_ticks(&mut self) {
        if let Some(revision) = self.flip.take() {
            self.connection.push(revision);
        } else {
            let often = if self.flagger.idle() { 0.4 } else { 0.02 };
            if self.chance(often) {
                self.pushes();
            }
        }
        self.workloads();
        if self.suspended == 0 && self.chance(0.008) {
            self.suspended = self.connection.rng.random_range(1..30);
            let ticks = self.suspended;
            self.connection.note(|| format!("suspended for {ticks} ticks"));
        }
        if self.recreated && self.deleted == 0 && self.chance(0.004) {
            self.deleted = self.connection.rng.random_range(1..8);
            self.flagger.recreated();
            self.connection.save(None);
            let ticks = self.deleted;
            self.connection.note(|| format!("Canary deleted, and created anew after {ticks} ticks"));
        }
        let away = self.connection.cluster.sight.away;
        if away > 0.0 && self.chance(away) {
            let away = self.connection.interval.mul_f64(10.0 * self.connection.rng.random::<f64>());
            self.connection.cluster_goes_away(away);
        }
        if self.chance(0.01) {
            // A restart without faults: the bridge is back before Flagger asks.
            self.connection.goes_down(Duration::ZERO);
        }
        if self.connection.faults.down > 0.0 && self.chance(self.connection.faults.down) {
            let away = self.connection.interval.mul_f64(0.5 + 8.0 * self.connection.rng.random::<f64>());
            self.connection.goes_down(away);
        }
    }

    fn tick(&mut self) {
        if self.suspended > 0 || self.deleted > 0 {
            self.suspended = self.suspended.saturating_sub(1);
            self.deleted = self.deleted.saturating_sub(1);
            return;
        }
        let before = self.flagger.status.clone();
        self.flagger.tick(&mut self.connection);
        let unsaved = self.connection.faults.unsaved;
        if unsaved > 0.0 && self.chance(unsaved) {
            self.connection.note(|| "the status could not be saved".into());
            self.flagger.status = before;
            self.connection.start_is_undone();
        }
        let flagger::Status { uid, phase, applied, .. } = self.flagger.status;
        self.connection.save(Some(CanaryObject { uid, phase, applied }));
    }

    fn run(mut self) -> Connection {
        let mut at = Millis(0);
        for _ in 0..TICKS {
            at = at + self.connection.interval;
            if self.chance(0.01) {
                let restart = Duration::from_secs(self.connection.rng.random_range(60..120));
                self.connection.note(|| format!("Flagger restarts: {} s", restart.as_secs()));
                at = at + restart;
            }
            // At a random time between the ticks.
            let half = self.connection.interval.mul_f64(self.connection.rng.random::<f64>());
            self.connection.until(at - half);
            self.between_ticks();
            self.connection.until(at);
            self.tick();
        }
        self.connection.start_is_undone();
        self.connection.tally.attempts = self.flagger.status.attempt;
        self.connection
    }
}

/// The scenario of a seed.
fn of_seed(scenarios: &[Scenario], seed: u64) -> &Scenario {
    &scenarios[(seed % scenarios.len() as u64) as usize]
}

/// The log of a seed's history.
fn history_log(scenarios: &[Scenario], seed: u64) -> String {
    Surroundings::new(of_seed(scenarios, seed), seed, true).run().log.unwrap_or_default().join("\n")
}

/// Runs the histories. Returns each scenario's tally and the seeds with wrong answers.
fn run(scenarios: &[Scenario], histories: u64) -> Vec<(Tally, Vec<u64>)> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let mut all: Vec<(Tally, Vec<u64>)> = scenarios.iter().map(|_| Default::default()).collect();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    let mut own: Vec<(Tally, Vec<u64>)> =
                        scenarios.iter().map(|_| Default::default()).collect();
                    for seed in (first..histories).step_by(threads as usize) {
                        let scenario = of_seed(scenarios, seed);
                        let tally = Surroundings::new(scenario, seed, false).run().tally;
                        let (sum, seeds) = &mut own[(seed % scenarios.len() as u64) as usize];
                        sum.add(&tally);
                        if scenario.wrong(&tally) > 0 {
                            seeds.push(seed);
                        }
                    }
                    own
                })
            })
            .collect();
        for worker in workers {
            for (sum, own) in all.iter_mut().zip(worker.join().unwrap()) {
                sum.0.add(&own.0);
                sum.1.extend(own.1);
            }
        }
    });
    for (_, seeds) in &mut all {
        seeds.sort_unstable();
    }
    all
}

fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok().map(|value| value.parse().unwrap())
}

/// The tallies as a table, with the seeds of a few wrong histories.
fn table(scenarios: &[Scenario], tallies: &[(Tally, Vec<u64>)]) -> String {
    let mut table = format!("{:<46}", "");
    for head in Tally::HEADS {
        write!(table, " {head:>9}").unwrap();
    }
    for (scenario, (tally, seeds)) in scenarios.iter().zip(tallies) {
        write!(table, "\n{:<46}", scenario.name).unwrap();
        for count in tally.counts() {
            write!(table, " {count:>9}").unwrap();
        }
        if !seeds.is_empty() {
            write!(table, "  {:?}", &seeds[..seeds.len().min(6)]).unwrap();
        }
    }
    table
}

/// The highest number that does not contradict a rate in 30,000 histories.
fn accepted(rate: f64, histories: u64) -> f64 {
    let expected = rate * histories as f64 / 30_000.0;
    expected + 3.0 * expected.sqrt() + 1.0
}

/// What is wrong with the tallies, in words.
fn complaints(scenarios: &[Scenario], tallies: &[(Tally, Vec<u64>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (scenario, (tally, seeds)) in scenarios.iter().zip(tallies) {
        match scenario.accepted {
            Accepted::Nothing => {
                wrong.extend(seeds.first().map(|seed| history_log(scenarios, *seed)));
            }
            Accepted::NoWrongBinding { alike, missed } => {
                let is_rare = |count: u64, rate: f64| count as f64 <= accepted(rate, tally.histories);
                let is_right = tally.wrong_opens + tally.shows_another == 0;
                if !is_right || !is_rare(tally.alike, alike) || !is_rare(tally.missed, missed) {
                    wrong.extend(seeds.first().map(|seed| history_log(scenarios, *seed)));
                }
            }
            Accepted::Rates { alike, wrong_opens, asked_again, wrong_rollbacks } => {
                for (what, count, rate) in [
                    ("opens of indistinguishable attempts", tally.alike, alike),
                    ("wrong opens", tally.wrong_opens, wrong_opens),
                    ("asked again", tally.asked_again, asked_again),
                    ("wrong rollbacks", tally.wrong_rollbacks, wrong_rollbacks),
                ] {
                    if count as f64 > accepted(rate, tally.histories) {
                        wrong.push(format!("{}: {count} {what}, seeds {seeds:?}", scenario.name));
                    }
                }
            }
        }
    }
    wrong
}

/// Runs so many histories, unless another number is wanted.
fn check(scenarios: &[Scenario], usual: u64) {
    let tallies = run(scenarios, number("HISTORIES").unwrap_or(usual));
    let table = table(scenarios, &tallies);
    println!("{table}");
    let wrong = complaints(scenarios, &tallies);
    assert!(wrong.is_empty(), "{table}\n\n{}", wrong.join("\n\n"));
}

#[test]
fn no_approval_opens_the_gate_of_another_attempt() {
    match (number("HISTORY_SEED"), std::env::var("HISTORY_MODE").as_deref()) {
        (Some(seed), Ok("bind")) => println!("{}", history_log(&WITH_KUBERNETES, seed)),
        (Some(seed), _) => println!("{}", history_log(&SCENARIOS, seed)),
        (None, _) => check(&SCENARIOS, 2_000),
    }
}

/// Kubernetes tells the truth late, or not at all.
#[test]
fn a_bound_approval_opens_only_what_its_ticket_shows() {
    check(&WITH_KUBERNETES, 256 * WITH_KUBERNETES.len() as u64);
}

/// The same histories are not all right if approvals are not bound, or if what a watch shows counts as true: so the test
/// above can fail.
#[test]
fn histories_that_bind_nothing_open_wrongly() {
    for mode in [Mode::Off, Mode::Show, Mode::TrustsWatches] {
        let scenarios = WITH_KUBERNETES
            .map(|scenario| Scenario { sight: cluster::Sight { mode, ..scenario.sight }, ..scenario });
        let tallies = run(&scenarios, 200 * scenarios.len() as u64);
        let table = table(&scenarios, &tallies);
        println!("{mode:?}\n{table}");
        let shows_another: u64 = tallies.iter().map(|(tally, _)| tally.shows_another).sum();
        assert!(shows_another > 10, "{mode:?}: {table}");
    }
}

#[test]
fn a_seed_gives_the_same_history_twice() {
    for seed in 0..SCENARIOS.len() as u64 {
        assert_eq!(history_log(&SCENARIOS, seed), history_log(&SCENARIOS, seed));
        assert_eq!(history_log(&WITH_KUBERNETES, seed), history_log(&WITH_KUBERNETES, seed));
    }
}
