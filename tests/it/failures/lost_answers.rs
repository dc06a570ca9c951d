//! Jira does what it is asked and says something else, in any mix: each gate ends up with one live ticket, and nothing
//! is doubled.
//!
//! `UNKNOWN=5000 cargo test --test it lost_answers` runs more mixes of each kind of Jira; `UNKNOWN_SEED=n` runs one of them
//! again, or begins with it. A seed is the same mix each time, but what the bridge spreads by chance is spread anew.

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
/// What goes wrong: what doubles, and what is asked before it.
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

/// One story under one mix.
struct Mix {
    rng: StdRng,
    world: World,
    /// For how long Jira's search misses new issues.
    lag: Duration,
    /// What other people made, as it was.
    clones: Vec<IssueView>,
    /// Whether it is about time-outs, which take real time.
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

    /// Things begin to go wrong.
    fn breaks(&mut self) {
        for _ in 0..self.rng.random_range(0..6) {
            let operation = OPERATIONS[self.rng.random_range(0..OPERATIONS.len())];
            let fault = self.fault();
            self.world.jira.fault(operation, fault, Times::Next(self.rng.random_range(1..4)));
        }
    }

    /// Some time passes, in which processes die and people clone tickets.
    async fn muddles_on(&mut self, steps: u32) {
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
            self.world.later(Duration::from_secs(step));
            self.world.works().await;
        }
    }

    /// Jira is well again, for as long as a ticket could show up.
    async fn heals(&mut self) {
        self.world.jira.clear_faults();
        for _ in 0..12 {
            // Jira may have asked for a second of silence, which is kept by the runtime's own clock.
            self.world.passes(MINUTE).await;
            // Parked commands are taken up again.
            self.world.ticks().await;
            self.world.works().await;
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

    /// What the bridge made, the oldest first.
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

    /// One rollout: asked about, approved by somebody, and so on. Returns the key of its ticket.
    async fn rollout(&mut self, revision: &str) -> String {
        self.breaks();
        assert_eq!(self.asks(revision).await, 403);
        let steps = self.rng.random_range(1..12);
        self.muddles_on(steps).await;
        assert_eq!(self.asks(revision).await, 403, "nobody approved it");
        self.heals().await;
        assert_eq!(self.asks(revision).await, 403, "nobody approved it");
        let gates = self.world.gates().await;
        let key = gates[0]["ticket"]["key"].as_str().unwrap_or_else(|| panic!("no ticket: {gates}"));
        let key = key.to_owned();
        self.is_as_it_should_be(&[&key]);
        // Whatever is decided elsewhere opens nothing.
        let others: Vec<String> = self.world.jira.issues().into_iter().map(|issue| issue.key).collect();
        if let Some(other) = others.iter().find(|other| **other != key && self.rng.random_bool(0.5)) {
            self.world.jira.move_issue(other, "Approved", MIA).unwrap();
            if let Some(clone) = self.clones.iter_mut().find(|clone| clone.key == *other) {
                *clone = self.world.jira.issue(other).unwrap();
            }
            self.world.nudges(other).await;
            self.muddles_on(2).await;
            assert_eq!(self.asks(revision).await, 403, "{other} is not its ticket, {key} is");
        }
        self.world.jira.clear_faults();
        self.world.jira.move_issue(&key, "Approved", MIA).unwrap();
        self.world.nudges(&key).await;
        // Jira may have asked for silence.
        self.world.passes(MINUTE).await;
        self.world.works().await;
        assert_eq!(self.asks(revision).await, 200, "{}", self.world.gates().await);
        key
    }

    /// A line for each issue, to be read when something went wrong.
    fn told(&self, issues: &[IssueView]) -> String {
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

    /// No gate has two tickets that live, no clone was touched, nothing was said or done twice.
    fn is_as_it_should_be(&self, live: &[&str]) {
        for clone in &self.clones {
            let now = self.world.jira.issue(&clone.key).unwrap();
            assert_eq!((&now.labels, &now.comments), (&clone.labels, &clone.comments), "{}", clone.key);
            assert_eq!((&now.status, &now.changelog), (&clone.status, &clone.changelog), "{}", clone.key);
        }
        let ours = self.ours();
        let ended = |issue: &IssueView| issue.labels.iter().any(|label| label == "flagger-ended");
        let living: Vec<&str> =
            ours.iter().filter(|issue| !ended(issue)).map(|issue| issue.key.as_str()).collect();
        assert_eq!(living, live, "the live tickets of\n{}", self.told(&ours));
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

/// Each comment, label, move and link of the bridge was made once.
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
    mix.muddles_on(6).await;
    mix.heals().await;
    mix.is_as_it_should_be(&[]);
    mix.world.finish().await;
}

/// What Jira says after a command cannot be read: that is no yes, and the command is performed again.
#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_yes() {
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
                mix.world.works().await;
                mix.world.later(MINUTE / 2);
            }
        }
        let [first, second] = mix.ours().try_into().unwrap();
        mix.is_as_it_should_be(&[&second.key]);
        assert_eq!((first.status.as_str(), second.status.as_str()), ("Cancelled", "In Review"));
        assert_eq!((first.comments.len(), first.links.len()), (1, 1));
        mix.world.finish().await;
    }
}

fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok().map(|value| value.parse().unwrap())
}

/// Each mix has a runtime of its own, so that nothing of it is left when it is over.
fn mixes(flavour: Flavour) {
    let (first, mixes) = match (number("UNKNOWN_SEED"), number("UNKNOWN")) {
        (None, mixes) => (0, mixes.unwrap_or(6)),
        (Some(first), mixes) => (first, mixes.unwrap_or(1)),
    };
    let seeds = first..first + mixes;
    let mut wrong = Vec::new();
    for seed in seeds.clone() {
        let tells = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(story(flavour, seed));
        };
        if catch_unwind(tells).is_err() {
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
