//! The killer: when it kills a process, and which faults it injects meanwhile.

use std::{sync::Arc, time::Duration};

use fake_jira::{Fault, Flavour, Operation, Times};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::time::{Instant, sleep};

use crate::{process::Replica, tally::Part, world::World};

/// How long Jira delays an answer, so that the bridge can be killed while it waits.
const ANSWER_DELAY: Duration = Duration::from_millis(500);
/// How soon after a request a kill still counts as near it.
const NEAR: Duration = Duration::from_millis(10);
/// The maximum lag of Jira's search, in milliseconds. The bridge's `index_lag` is three seconds.
const MAX_INDEX_LAG_MS: u64 = 1_500;
/// The requests during which to kill. Each is chosen as often as it is listed.
const REQUESTS: [Operation; 16] = [
    Operation::CreateIssue,
    Operation::CreateIssue,
    Operation::CreateIssue,
    Operation::CreateIssue,
    Operation::CreateIssue,
    Operation::AddComment,
    Operation::AddComment,
    Operation::AddComment,
    Operation::DoTransition,
    Operation::DoTransition,
    Operation::EditIssue,
    Operation::LinkIssues,
    Operation::Search,
    Operation::GetIssue,
    Operation::GetComments,
    Operation::BulkFetch,
];

/// The moment at which to kill.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// This long after a bridge started.
    Starting(Duration),
    /// This long after a bridge became ready.
    Ready(Duration),
    /// This long after a connection of Flagger.
    Question(Duration),
    /// Jira has carried out the request, but not answered yet.
    Acted(Operation),
    /// The connection was closed, and Jira has done nothing.
    Dropped(Operation),
    /// This long after Jira answered.
    Answered(Operation, Duration),
    /// After this time, whatever happens.
    After(Duration),
}

/// The killer of one world.
pub(crate) struct Killer<'a> {
    world: &'a World,
    choices: StdRng,
    /// The last request to Jira, and when it was seen.
    asked: Option<(Operation, Instant)>,
    /// How long a bridge may need to start working: on PostgreSQL the lease of the killed one must expire first.
    patience: Duration,
}

impl<'a> Killer<'a> {
    pub(crate) fn new(world: &'a Arc<World>) -> Self {
        let seconds = if world.run.options.postgres.is_some() { 14 } else { 3 };
        Self { world, choices: world.rng(u32::MAX), asked: None, patience: Duration::from_secs(seconds) }
    }

    /// Kills and restarts replicas until enough were killed. At the end all are running, and Jira has no faults.
    pub(crate) async fn run(mut self, replicas: &mut [Replica]) -> anyhow::Result<()> {
        for replica in &mut *replicas {
            self.start(replica)?;
        }
        let mut youngest = 0;
        while self.world.run.tally.violations() == 0 && self.world.run.one_more() {
            let moment = self.choose();
            self.inject_faults(moment);
            let hit = self.wait(moment, &replicas[youngest]).await;
            let victim = match moment {
                Moment::Starting(_) | Moment::Ready(_) => youngest,
                Moment::Question(_)
                | Moment::Acted(_)
                | Moment::Dropped(_)
                | Moment::Answered(..)
                | Moment::After(_) => self.choices.random_range(0..replicas.len()),
            };
            let what = self.describe_moment(moment, hit, &replicas[victim]);
            self.kill(&mut replicas[victim], &what)?;
            for other in replicas.iter_mut().filter(|replica| replica.runs()) {
                if self.choices.random_bool(0.2) && self.world.run.one_more() {
                    self.kill(other, &what)?;
                }
            }
            self.world.jira.clear_faults();
            sleep(self.downtime()).await;
            for replica in replicas.iter_mut().filter(|replica| !replica.runs()) {
                self.start(replica)?;
            }
            youngest = victim;
        }
        self.world.jira.clear_faults();
        self.take_requests();
        Ok(())
    }

    fn start(&self, replica: &mut Replica) -> anyhow::Result<()> {
        self.world.run.tally.count(Part::Started, "in all");
        replica.start()
    }

    fn kill(&self, replica: &mut Replica, what: &str) -> anyhow::Result<()> {
        if let Some(line) = replica.state.seen().panicked {
            self.world.violation(&format!("a bridge panicked: {line}"));
        }
        if let Some(how) = replica.kill()? {
            self.world.violation(&format!("a bridge ended by itself: {how}"));
        }
        self.world.run.tally.count(Part::Killed, what);
        Ok(())
    }

    /// How long the killed replicas stay down.
    fn downtime(&mut self) -> Duration {
        let most = if self.choices.random_bool(0.7) { 20 } else { 1_500 };
        self.up_to(most)
    }

    fn up_to(&mut self, millis: u64) -> Duration {
        Duration::from_millis(self.choices.random_range(0..=millis))
    }

    fn choose(&mut self) -> Moment {
        let operation = self.choices.random_range(0..REQUESTS.len());
        let operation = match (REQUESTS[operation], crate::flavour(self.world.run.options.kind)) {
            // Only Cloud has bulk fetch.
            (Operation::BulkFetch, Flavour::DataCenter) => Operation::Search,
            (operation, Flavour::Cloud | Flavour::DataCenter) => operation,
        };
        match self.choices.random_range(0..100) {
            0..10 => Moment::Starting(self.up_to(120)),
            10..20 => Moment::Ready(self.up_to(50)),
            20..40 => Moment::Question(self.up_to(10)),
            40..60 => Moment::Acted(operation),
            60..66 => Moment::Dropped(operation),
            66..84 => Moment::Answered(operation, self.up_to(15)),
            _ => {
                let most = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
                Moment::After(self.up_to(most))
            }
        }
    }

    /// Injects faults into Jira until the next kill.
    fn inject_faults(&mut self, moment: Moment) {
        let jira = &self.world.jira;
        jira.set_index_lag(Duration::from_millis(self.choices.random_range(0..=MAX_INDEX_LAG_MS)));
        let own = match moment {
            Moment::Acted(operation) => Some((operation, Fault::Slow(ANSWER_DELAY))),
            Moment::Dropped(operation) => Some((operation, Fault::Dropped)),
            Moment::Starting(_)
            | Moment::Ready(_)
            | Moment::Question(_)
            | Moment::Answered(..)
            | Moment::After(_) => None,
        };
        if let Some((operation, fault)) = own {
            jira.fault(operation, fault, Times::Once);
        } else if self.choices.random_bool(0.5) {
            let faults = [
                Fault::LostAnswer,
                Fault::Dropped,
                Fault::Cut,
                Fault::ActedBut(503),
                Fault::ActedBut(504),
                Fault::TooMany { retry_after: Some("1".into()) },
            ];
            let operation = REQUESTS[self.choices.random_range(0..REQUESTS.len())];
            if let Some(fault) = faults.choose(&mut self.choices) {
                jira.fault(operation, fault.clone(), Times::Once);
            }
        }
        if self.choices.random_bool(0.2) {
            // Jira would redeliver minutes later.
            self.world.jira.redeliver();
        }
    }

    /// Waits for the moment, up to a timeout. Returns whether it came.
    async fn wait(&mut self, moment: Moment, youngest: &Replica) -> bool {
        let (began, questions) = (Instant::now(), self.world.gate.arrived());
        while began.elapsed() < self.patience {
            let asked = self.take_requests();
            let then = match moment {
                Moment::Starting(time) | Moment::After(time) => {
                    sleep(time).await;
                    return true;
                }
                Moment::Ready(time) => youngest.state.seen().ready.then_some(time),
                Moment::Question(time) => (self.world.gate.arrived() > questions).then_some(time),
                Moment::Acted(operation) | Moment::Dropped(operation) => {
                    asked.contains(&operation).then_some(Duration::ZERO)
                }
                Moment::Answered(operation, time) => asked.contains(&operation).then_some(time),
            };
            if let Some(time) = then {
                sleep(time).await;
                return true;
            }
            sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// The requests to Jira since the last call.
    fn take_requests(&mut self) -> Vec<Operation> {
        let requests = self.world.jira.requests();
        if requests.is_empty() {
            return Vec::new();
        }
        self.world.jira.clear_requests();
        for request in &requests {
            let what = match request.status {
                None => "no answer".to_owned(),
                Some(status @ (429 | 500..)) => format!("status {status}"),
                Some(_) => continue,
            };
            self.world.run.tally.count(Part::Faults, what);
        }
        let operations: Vec<Operation> = requests.iter().map(|request| request.operation).collect();
        self.asked = operations.last().map(|last| (*last, Instant::now()));
        operations
    }

    /// What the bridge is doing, as far as that can be observed from outside.
    fn describe_moment(&self, moment: Moment, hit: bool, victim: &Replica) -> String {
        if !victim.state.seen().ready {
            return "while it started".to_owned();
        }
        match moment {
            Moment::Acted(operation) if hit => return format!("{operation:?}: Jira acted, no answer yet"),
            Moment::Dropped(operation) if hit => return format!("{operation:?}: broke off, nothing done"),
            Moment::Answered(operation, _) if hit => return format!("{operation:?}: just answered"),
            Moment::Starting(_)
            | Moment::Ready(_)
            | Moment::Question(_)
            | Moment::Acted(_)
            | Moment::Dropped(_)
            | Moment::Answered(..)
            | Moment::After(_) => {}
        }
        if self.world.gate.is_busy() {
            "while Flagger waited for an answer".to_owned()
        } else if self.world.webhook.is_busy() {
            "while Jira's webhook waited".to_owned()
        } else if self.asked.is_some_and(|(_, at)| at.elapsed() < NEAR) {
            "near another request to Jira".to_owned()
        } else if matches!(moment, Moment::Ready(_)) && hit {
            "just ready".to_owned()
        } else {
            "idle".to_owned()
        }
    }
}
