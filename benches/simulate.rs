//! Simulates days of rollouts in minutes: the real gatekeeper, worker and client with a fake Jira, on a manual clock.
//!
//! Each canary rolls out from time to time; at its gate Flagger asks every minute, and a person decides after a while.
//! The simulation counts how many requests per hour Jira receives, compared with one GET per ticket every `poll_every`,
//! which a bridge without bulk reads would send; and it measures how long after the approval the gate opens: with
//! Jira's webhook, without it, and with a third of its deliveries lost.
//!
//! ```sh
//! cargo bench --bench simulate
//! cargo bench --bench simulate -- --canaries 10,1000,10000 --days 3
//! ```

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use fake_jira::{FakeJira, Flavour, MIA, Setup};
use flagger_jira_bridge::{
    clock::Clock,
    config::{self, Config},
    gate::{GateName, Stage},
    gatekeeper::{AnswerLinks, Gatekeeper, Question},
    jira::{self, Jira},
    kubernetes::Clusters,
    metrics::Metrics,
    millis::Millis,
    rollout::{CanaryId, Message, Phase, Report, Revision},
    store::Store,
    worker::{StepOutcome, Worker},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

/// 2026-09-21T14:13:20Z
const START: Millis = Millis(1_790_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Half of all decisions take less than this.
const DECIDED_WITHIN: f64 = 10.0 * 60.0;
/// A fifth of all decisions take at least this factor longer, another fifth at least this factor shorter.
const SPREAD: f64 = 3.0;

/// Simulates days of rollouts
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Options {
    /// How many canaries, one simulation after the other
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000])]
    canaries: Vec<u32>,
    /// How many days
    #[arg(long, default_value_t = 2)]
    days: i64,
    /// Which of Jira's deliveries arrive, one simulation after the other
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Webhook::ALL)]
    webhook: Vec<Webhook>,
    /// How often each canary rolls out in a day
    #[arg(long, default_value_t = 1.0)]
    rollouts: f64,
    /// Makes the same choices again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// Which of Jira's deliveries arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Webhook {
    /// All arrive
    Works,
    /// There is no webhook
    None,
    /// A third of them is lost
    LosesAThird,
}

impl Webhook {
    const ALL: [Self; 3] = [Self::Works, Self::None, Self::LosesAThird];

    const fn words(self) -> &'static str {
        match self {
            Self::Works => "yes",
            Self::None => "no",
            Self::LosesAThird => "a third lost",
        }
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it is a report")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    println!(
        "{} days, {} rollouts a day and canary, Flagger asks every minute, half of the decisions take less than 10 minutes\n",
        options.days, options.rollouts
    );
    println!(
        "| canaries | webhook | rollouts | tickets waiting | most at once | Jira requests/h | of them reads/h | one GET a ticket/h | approval to open p50 s | p99 s |\n|{}",
        "---|".repeat(10)
    );
    for canaries in &options.canaries {
        for webhook in &options.webhook {
            let row = World::new(&options, *canaries, *webhook).await?.run().await?;
            println!("| {canaries} | {} | {row} |", webhook.words());
        }
    }
    Ok(())
}

/// An event of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventKind {
    /// A revision is pushed; Flagger asks at once.
    Push,
    /// Flagger asks.
    Question,
    /// A person approves.
    Approval,
    /// Jira's delivery arrives.
    Delivery,
}

struct World {
    gatekeeper: Arc<Gatekeeper>,
    worker: Worker,
    jira: FakeJira,
    clock: Clock,
    webhook: Webhook,
    rng: StdRng,
    until: Millis,
    between: f64,
    events: BinaryHeap<Reverse<(Millis, EventKind, u32)>>,
    /// The current revision of each canary.
    revisions: Vec<u64>,
    /// When canaries were approved whose gates are not open yet.
    approved_at: HashMap<u32, Millis>,
    counted: Arc<RequestCounts>,
    tally: Tally,
    _home: TempDir,
}

/// Requests to Jira.
#[derive(Default)]
struct RequestCounts {
    all: AtomicU64,
    reads: AtomicU64,
}

#[derive(Default)]
struct Tally {
    rollouts: u64,
    /// The sum of the waiting tickets of every second.
    waiting: u64,
    most: usize,
    delays: Vec<Duration>,
}

impl World {
    async fn new(options: &Options, canaries: u32, webhook: Webhook) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let clock = Clock::manual(START);
        let setup = Setup::new(Flavour::Cloud, clock.clone());
        let (user, token) = (setup.user.clone(), setup.token.clone());
        let jira = FakeJira::new(setup);
        let url = jira.start().await?;
        let path = home.path().join("config.toml");
        let database = home.path().join("bridge.db");
        fs::write(
            &path,
            format!(
                "store.url = \"sqlite://{}\"\njira.url = \"{url}\"\njira.user = \"{user}\"\njira.token = \"{token}\"\n\
                 jira.requests_per_second = 1000000\njira.burst = 1000000\nlimits.open_tickets = 1000000\nlimits.open_tickets_per_namespace = 1000000\nticket.project = \"OPS\"\n",
                database.display()
            ),
        )?;
        let config = config::load(&path, []).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let counted = Arc::<RequestCounts>::default();
        let (gatekeeper, worker) = bridge(config, &clock, Arc::clone(&counted)).await?;
        let mut chance = StdRng::seed_from_u64(options.seed);
        let between = DAY as f64 / options.rollouts;
        let happens = (0..canaries)
            .map(|canary| {
                let first = START + Duration::from_millis((chance.random::<f64>() * between) as u64);
                Reverse((first, EventKind::Push, canary))
            })
            .collect();
        Ok(Self {
            gatekeeper,
            worker,
            jira,
            clock,
            webhook,
            rng: chance,
            until: Millis(START.0 + options.days * DAY),
            between,
            events: happens,
            revisions: vec![0; canaries as usize],
            approved_at: HashMap::new(),
            counted,
            tally: Tally::default(),
            _home: home,
        })
    }

    /// Runs the simulation second by second, and returns its row of the table.
    async fn run(mut self) -> anyhow::Result<String> {
        let mut tick: u64 = 0;
        while self.clock.now() < self.until {
            let now = self.clock.now();
            let mut news = false;
            while let Some(Reverse((at, what, canary))) = self.events.peek().copied()
                && at <= now
            {
                self.events.pop();
                news |= self.process(what, canary, now).await?;
            }
            if tick.is_multiple_of(5) {
                let _ = self.worker.keep_lease(false).await?;
            }
            if news || tick.is_multiple_of(10) {
                while !matches!(self.worker.work_once().await?, StepOutcome::Idle | StepOutcome::Standby) {}
            }
            while matches!(self.worker.read_nudged().await?, StepOutcome::Read { .. }) {}
            while matches!(self.worker.answer_late_moves().await?, StepOutcome::Done) {}
            while matches!(self.worker.poll().await?, StepOutcome::Read { .. }) {}
            self.record_opened();
            if tick.is_multiple_of(60) {
                self.jira.clear_requests();
            }
            let live = self.gatekeeper.store().all_open_tickets();
            self.tally.waiting += live as u64;
            self.tally.most = self.tally.most.max(live);
            self.clock.advance(SECOND);
            tick += 1;
        }
        Ok(self.row(tick))
    }

    /// Processes an event. Returns whether the worker may have new commands.
    async fn process(&mut self, what: EventKind, number: u32, now: Millis) -> anyhow::Result<bool> {
        let revision = &mut self.revisions[number as usize];
        match what {
            EventKind::Push => {
                *revision += 1;
                self.tally.rollouts += 1;
                self.events.push(Reverse((now, EventKind::Question, number)));
                // The logarithm is uniformly distributed, so some decisions are quick and some late.
                let spread = self.rng.random_range(-1.0..1.0_f64) * SPREAD.ln() * 1.7;
                let decides = now + Duration::from_secs_f64(DECIDED_WITHIN * spread.exp());
                self.events.push(Reverse((decides, EventKind::Approval, number)));
                let next = self.between * self.rng.random_range(0.5..1.5);
                let next = (now + Duration::from_millis(next as u64)).max(decides + 5 * 60 * SECOND);
                self.events.push(Reverse((next, EventKind::Push, number)));
                Ok(false)
            }
            EventKind::Question => {
                let answer = self.gatekeeper.ask(&question(number, *revision), now).await;
                if answer.open {
                    let message = message(*revision, Phase::Succeeded);
                    self.gatekeeper.report(&canary(number), Report::PostRollout, &message, None, now).await?;
                } else {
                    self.events.push(Reverse((Millis(now.0 + MINUTE), EventKind::Question, number)));
                }
                Ok(true)
            }
            EventKind::Approval => {
                let Some(key) = self.ticket(number).map(|(_, key)| key) else { return Ok(false) };
                self.jira.move_issue(&key, "Approved", MIA).map_err(anyhow::Error::msg)?;
                self.approved_at.insert(number, now);
                let arrives = match self.webhook {
                    Webhook::Works => true,
                    Webhook::None => false,
                    Webhook::LosesAThird => self.rng.random_range(0..3) > 0,
                };
                if arrives {
                    let later = Duration::from_millis(self.rng.random_range(300..2_000));
                    self.events.push(Reverse((now + later, EventKind::Delivery, number)));
                }
                Ok(false)
            }
            EventKind::Delivery => {
                if let Some((id, _)) = self.ticket(number) {
                    self.gatekeeper.nudge(&id, now).await.map(drop)?;
                }
                Ok(false)
            }
        }
    }

    /// The id and key of the ticket that the canary waits for.
    fn ticket(&self, number: u32) -> Option<(String, String)> {
        let canary = self.gatekeeper.store().canary(&canary(number))?;
        let ticket = canary.gate(&gate())?.ticket()?;
        Some((ticket.id.clone(), ticket.key.clone()))
    }

    fn record_opened(&mut self) {
        let now = self.clock.now();
        let store = self.gatekeeper.store();
        let tally = &mut self.tally;
        self.approved_at.retain(|number, at| {
            let open = store.canary(&canary(*number)).is_none_or(|canary| {
                canary.gate(&gate()).is_none_or(|gate| {
                    matches!(
                        &gate.state,
                        flagger_jira_bridge::gate::GateState::Watched {
                            ticket_state: flagger_jira_bridge::gate::TicketState::Approved { .. },
                            ..
                        }
                    )
                })
            });
            if open {
                tally.delays.push(now.since(*at));
            }
            !open
        });
    }

    fn row(mut self, seconds: u64) -> String {
        let hours = seconds as f64 / 3600.0;
        self.tally.delays.sort_unstable();
        let delay = |part: f64| {
            let at = ((self.tally.delays.len() as f64 * part).ceil() as usize).saturating_sub(1);
            self.tally.delays.get(at).copied().unwrap_or_default().as_secs()
        };
        let waiting = self.tally.waiting as f64 / seconds as f64;
        format!(
            "{} | {waiting:.1} | {} | {:.0} | {:.0} | {:.0} | {} | {}",
            self.tally.rollouts,
            self.tally.most,
            self.counted.all.load(Ordering::Relaxed) as f64 / hours,
            self.counted.reads.load(Ordering::Relaxed) as f64 / hours,
            waiting * 3600.0 / 20.0,
            delay(0.5),
            delay(0.99),
        )
    }
}

/// The bridge without its listeners.
async fn bridge(
    config: Config,
    clock: &Clock,
    counted: Arc<RequestCounts>,
) -> anyhow::Result<(Arc<Gatekeeper>, Worker)> {
    let observer: jira::Observer = Arc::new(move |seen| {
        counted.all.fetch_add(1, Ordering::Relaxed);
        if seen.operation == "look" {
            counted.reads.fetch_add(1, Ordering::Relaxed);
        }
    });
    let jira = Jira::new(
        jira::Settings { kind: Some(jira::Kind::Cloud), ..config.jira.client.clone() },
        observer,
        clock.clone(),
    )
    .context("no client")?;
    let links = AnswerLinks { browse: Arc::new(str::to_owned), status_page: None };
    let metrics = Arc::new(Metrics::new());
    let store = Store::open(&config.store.url).await?;
    let clusters = Arc::new(Clusters::new(&config.kubernetes, &config.flagger));
    let gatekeeper = Gatekeeper::new(store, Arc::new(config), links, Arc::clone(&metrics), clusters);
    let gatekeeper = Arc::new(gatekeeper);
    let worker = Worker::new(Arc::clone(&gatekeeper), Arc::new(jira), clock.clone(), metrics);
    let _ = worker.keep_lease(true).await?;
    Ok((gatekeeper, worker))
}

fn canary(number: u32) -> CanaryId {
    CanaryId {
        cluster: "default".into(),
        namespace: format!("team-{}", number % 97),
        name: format!("app-{number}"),
    }
}

const fn gate() -> GateName {
    GateName { stage: Stage::ConfirmPromotion, approver: None, step: None }
}

fn message(revision: u64, phase: Phase) -> Message {
    Message { phase, checksum: Some(Revision(format!("{}", 5_000_000_000 + revision))), label: None }
}

fn question(number: u32, revision: u64) -> Question {
    Question {
        canary: canary(number),
        gate: gate(),
        message: message(revision, Phase::Progressing),
        metadata: BTreeMap::new(),
    }
}
