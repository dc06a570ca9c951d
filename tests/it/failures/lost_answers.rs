//! Jira performs requests but its answers are lost or wrong, in random mixes: each gate ends up with one current
//! ticket, and nothing is doubled.
//!
//! `UNKNOWN=5000 cargo test --test it lost_answers` runs more mixes with each kind of Jira; `UNKNOWN_SEED=n` repeats
//! one of them, or starts with it. A seed always gives the same mix, but the bridge's own random delays differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    panic::catch_unwind,
    time::Duration,
};

use fake_jira::{BOB, BRIDGE, Fault, Flavour, History, IssueView, MIA, Operation, Times};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
const SETTINGS: &str = "jira.index_lag = \"1m\"\n\
                        ticket.transitions = { opened = \"In Review\", succeeded = \"Done\", failed = \"Cancelled\", \
                        superseded = \"Cancelled\" }\n";
const PROPERTY: &str = "flagger-jira-bridge";
/// The operations that fail: those that could be doubled, and the reads before them.
const OPERATIONS: [Operation; 12] = [
    Operation::CreateIssue,
    Operation::CreateIssue,
    Operation::CreateIssue,
    Operation::AddComment,
    Operation::EditIssue,
    Operation::LinkIssues,
    Operation::DoTransition,
    Operation::GetTransitions,
    Operation::GetComments,
    Operation::GetCommentProperty,
    Operation::GetIssue,
    Operation::Search,
];

/// A story with one mix of faults.
struct Mix {
    rng: StdRng,
    world: World,
    /// How long Jira's search lags.
    lag: Duration,
    /// The clones that people made, as created.
    clones: Vec<IssueView>,
    /// Whether requests time out, which takes real time.
    slow: bool,
}

impl Mix {
    async fn new(flavour: Flavour, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let lag = [0, 20, 60, 60, 90, 150, 400][rng.random_range(0..7)];
        let slow = rng.random_bool(0.03);
        let timeout = if slow { "jira.timeout = \"250ms\"\n" } else { "" };
        let world = World::start_with(flavour, &format!("{SETTINGS}{timeout}")).await;
        let lag = Duration::from_secs(lag);
        world.jira.set_index_lag(lag);
        Self { rng, world, lag, clones: Vec::new(), slow }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn fault(&mut self) -> Fault {
        let code = [500, 502, 503, 504][self.rng.random_range(0..4)];
        match self.rng.random_range(0..10) {
            0 | 1 => Fault::LostAnswer,
            2 => Fault::Dropped,
            3 => Fault::Cut,
            4 | 5 => Fault::ActedBut(code),
            6 => Fault::Status { code, retry_after: None, body: "{\"errorMessages\":[\"internal\"]}".into() },
            7 => Fault::TooMany { retry_after: self.chance(0.02).then(|| "1".into()) },
            8 if self.slow => Fault::Slow(Duration::from_millis(350)),
            8 => Fault::BrokenJson,
            _ => Fault::Html,
        }
    }

    /// Starts the faults.
    fn breaks(&mut self) {
        for _ in 0..self.rng.random_range(0..6) {
            let operation = OPERATIONS[self.rng.random_range(0..OPERATIONS.len())];
            let fault = self.fault();
            self.world.jira.fault(operation, fault, Times::Next(self.rng.random_range(1..4)));
        }
    }

    /// Advances the time; processes are killed and people clone tickets meanwhile.
    async fn runs_with_faults(&mut self, steps: u32) {
        for _ in 0..steps {
            if self.chance(0.25) {
                self.breaks();
            }
            if self.chance(0.1) {
                self.world.restarts().await;
            }
            if self.chance(0.08) {
                self.clones_one();
            }
            let step = [1, 3, 10, 20, 61][self.rng.random_range(0..5)];
            self.world.advance(Duration::from_secs(step));
            self.world.run_worker().await;
        }
    }

    /// Ends the faults, and runs until a late ticket would have been found.
    async fn heals(&mut self) {
        self.world.jira.clear_faults();
        for _ in 0..12 {
            // Jira may have asked the bridge to wait for a second, which it does on the runtime's clock.
            self.world.advance_all_clocks(MINUTE).await;
            // Parked commands are retried.
            self.world.ticks().await;
            self.world.run_worker().await;
        }
    }

    fn clones_one(&mut self) {
        let ours = self.ours();
        if ours.is_empty() {
            return;
        }
        let of = ours[self.rng.random_range(0..ours.len())].clone();
        let who = if self.chance(0.3) { BRIDGE } else { BOB };
        let key = self.world.jira.clone_issue(&of.key, who).unwrap();
        let (own, other) = (of.properties[PROPERTY].clone(), json!({ "gate": "another" }));
        let property = match (who == BOB, self.chance(0.5)) {
            (true, true) => Some(own),
            (false, true) => Some(other),
            (_, false) => None,
        };
        if let Some(property) = property {
            self.world.jira.set_property(&key, PROPERTY, property).unwrap();
        }
        self.clones.push(self.world.jira.issue(&key).unwrap());
    }

    /// The issues that the bridge created, oldest first.
    fn ours(&self) -> Vec<IssueView> {
        let mut ours = self.world.jira.issues();
        ours.retain(|issue| {
            issue.creator == BRIDGE && !self.clones.iter().any(|clone| clone.key == issue.key)
        });
        ours.sort_by_key(|issue| issue.id.parse::<u64>().unwrap());
        ours
    }

    async fn asks(&self, revision: &str) -> u16 {
        self.world.asks("confirm-promotion", "Progressing", revision).await.status
    }

    /// Runs one rollout: questions, ticket, approval. Returns the ticket's key.
    async fn rollout(&mut self, revision: &str) -> String {
        self.breaks();
        assert_eq!(self.asks(revision).await, 403);
        let steps = self.rng.random_range(1..12);
        self.runs_with_faults(steps).await;
        assert_eq!(self.asks(revision).await, 403, "not approved yet");
        self.heals().await;
        assert_eq!(self.asks(revision).await, 403, "not approved yet");
        let gates = self.world.gates().await;
        let key = gates[0]["ticket"]["key"].as_str().unwrap_or_else(|| panic!("no ticket: {gates}"));
        let key = key.to_owned();
        self.assert_consistent(&[&key]);
        // Decisions on other issues open nothing.
        let others: Vec<String> = self.world.jira.issues().into_iter().map(|issue| issue.key).collect();
        if let Some(other) = others.iter().find(|other| **other != key && self.rng.random_bool(0.5)) {
            self.world.jira.move_issue(other, "Approved", MIA).unwrap();
            if let Some(clone) = self.clones.iter_mut().find(|clone| clone.key == *other) {
                *clone = self.world.jira.issue(other).unwrap();
            }
            self.world.nudges(other).await;
            self.runs_with_faults(2).await;
            assert_eq!(self.asks(revision).await, 403, "{other} is not its ticket, {key} is");
        }
        self.world.jira.clear_faults();
        self.world.jira.move_issue(&key, "Approved", MIA).unwrap();
        self.world.nudges(&key).await;
        // Jira may have asked the bridge to wait.
        self.world.advance_all_clocks(MINUTE).await;
        self.world.run_worker().await;
        assert_eq!(self.asks(revision).await, 200, "{}", self.world.gates().await);
        key
    }

    /// One line per issue, for failure messages.
    fn summary(&self, issues: &[IssueView]) -> String {
        let line = |issue: &IssueView| {
            let at = |time: i64| (time - issues[0].created) / 1000;
            let mut line = format!("{} s: {} is opened, {}", at(issue.created), issue.key, issue.status);
            for entry in &issue.changelog {
                for item in &entry.items {
                    let (who, to) = (&entry.author, &item.to_string);
                    write!(line, "; {} s: {:?} {} {:?}", at(entry.created), who, item.field, to).unwrap();
                }
            }
            for comment in &issue.comments {
                write!(line, "; {} s: {}", at(comment.created), comment.properties[PROPERTY]).unwrap();
            }
            line
        };
        let lag = self.lag.as_secs();
        format!("index lag {lag} s\n{}", issues.iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    /// Checks that each gate has one current ticket, no clone was touched, and nothing was done twice.
    fn assert_consistent(&self, live: &[&str]) {
        for clone in &self.clones {
            let now = self.world.jira.issue(&clone.key).unwrap();
            assert_eq!((&now.labels, &now.comments), (&clone.labels, &clone.comments), "{}", clone.key);
            assert_eq!((&now.status, &now.changelog), (&clone.status, &clone.changelog), "{}", clone.key);
        }
        let ours = self.ours();
        let ended = |issue: &IssueView| issue.labels.iter().any(|label| label == "flagger-ended");
        let current: Vec<&str> =
            ours.iter().filter(|issue| !ended(issue)).map(|issue| issue.key.as_str()).collect();
        assert_eq!(current, live, "the current tickets of\n{}", self.summary(&ours));
        let mut gates: BTreeMap<String, usize> = BTreeMap::new();
        for issue in &ours {
            *gates.entry(issue.properties[PROPERTY].to_string()).or_default() += 1;
            nothing_twice(issue);
        }
        if self.lag <= MINUTE {
            assert!(gates.values().all(|count| *count == 1), "the search did not lag that long: {gates:?}");
        }
    }
}

/// Checks that each comment, label, move and link of the bridge exists once.
fn nothing_twice(issue: &IssueView) {
    let (mut tags, mut texts) = (BTreeSet::new(), BTreeSet::new());
    for comment in issue.comments.iter().filter(|comment| comment.author == BRIDGE) {
        let tag = comment.properties[PROPERTY]["tag"].to_string();
        assert!(tags.insert(tag) && texts.insert(comment.text()), "{}: {:?}", issue.key, issue.comments);
    }
    let mut done = BTreeSet::new();
    let own = |entry: &&History| entry.author.as_deref() == Some(BRIDGE);
    for item in issue.changelog.iter().filter(own).flat_map(|entry| &entry.items) {
        let what = (item.field.clone(), item.to.clone(), item.to_string.clone());
        assert!(done.insert(what), "{}: {:?}", issue.key, issue.changelog);
    }
    let mut linked = BTreeSet::new();
    for link in issue.links.iter().filter(|link| link.kind == "Relates") {
        let mut ends = [&link.inward, &link.outward];
        ends.sort();
        assert!(linked.insert(ends), "{}: {:?}", issue.key, issue.links);
    }
}

/// Two rollouts: the first is superseded by the second, which ends in one way or another.
async fn story(flavour: Flavour, seed: u64) {
    let mut mix = Mix::new(flavour, seed).await;
    let first = mix.rollout("v2").await;
    let second = mix.rollout("v3").await;
    assert_ne!(first, second);
    let links = mix.world.jira.issue(&first).unwrap().links;
    assert_eq!(links.iter().filter(|link| link.kind == "Relates").count(), 1, "{links:?}");
    mix.breaks();
    let how = if mix.chance(0.5) { "Succeeded" } else { "Failed" };
    mix.world.reports("/post-rollout", how, "v3").await;
    mix.runs_with_faults(6).await;
    mix.heals().await;
    mix.assert_consistent(&[]);
    mix.world.finish().await;
}

/// Jira's answer to a command cannot be read: that is no confirmation, and the command is retried.
#[tokio::test]
async fn an_unreadable_answer_is_no_confirmation() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let world = World::start_with(flavour, SETTINGS).await;
        let rng = StdRng::seed_from_u64(0);
        let mix = Mix { rng, world, lag: Duration::ZERO, clones: Vec::new(), slow: false };
        for revision in ["v2", "v3"] {
            for operation in [
                Operation::CreateIssue,
                Operation::AddComment,
                Operation::EditIssue,
                Operation::LinkIssues,
                Operation::DoTransition,
            ] {
                mix.world.jira.fault(operation, Fault::BrokenJson, Times::Once);
            }
            mix.asks(revision).await;
            for _ in 0..10 {
                mix.world.run_worker().await;
                mix.world.advance(MINUTE / 2);
            }
        }
        let [first, second] = mix.ours().try_into().unwrap();
        mix.assert_consistent(&[&second.key]);
        assert_eq!((first.status.as_str(), second.status.as_str()), ("Cancelled", "In Review"));
        assert_eq!((first.comments.len(), first.links.len()), (1, 1));
        mix.world.finish().await;
    }
}

fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok().map(|value| value.parse().unwrap())
}

/// Runs each mix on its own runtime, so that no task of it remains.
fn mixes(flavour: Flavour) {
    let (first, mixes) = match (number("UNKNOWN_SEED"), number("UNKNOWN")) {
        (None, mixes) => (0, mixes.unwrap_or(6)),
        (Some(first), mixes) => (first, mixes.unwrap_or(1)),
    };
    let seeds = first..first + mixes;
    let mut wrong = Vec::new();
    for seed in seeds.clone() {
        let run_story = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(story(flavour, seed));
        };
        if catch_unwind(run_story).is_err() {
            wrong.push(seed);
        }
    }
    println!("{flavour:?}: {mixes} mixes, {} went wrong", wrong.len());
    assert!(wrong.is_empty(), "{flavour:?}: run again with UNKNOWN_SEED=n, n one of {wrong:?}");
}

#[test]
fn one_ticket_and_nothing_twice_on_cloud() {
    mixes(Flavour::Cloud);
}

#[test]
fn one_ticket_and_nothing_twice_on_data_center() {
    mixes(Flavour::DataCenter);
}
