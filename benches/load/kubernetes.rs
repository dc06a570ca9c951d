//! The cost of reading a cluster: memory and CPU at rest, requests to the API server, and the delay of answers, with
//! each `kubernetes.mode` in the same run.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use crate::{
    Options,
    answers::mib,
    client::{Questions, RunResult},
    cluster::{Cluster, Requests},
    proc::{Used, resident},
    report::Report,
    world::{Budget, World},
};

/// How long nothing happens while the CPU time is measured.
const REST: Duration = Duration::from_secs(20);
/// First questions a second: a tenth of what the bridge can answer.
const FIRST_RATE: f64 = 50.0;
/// Repeated questions a second.
const REPEATED_RATE: f64 = 500.0;
/// How many parts the first questions are asked in, the modes in turn.
const ROUNDS: usize = 5;
const CLIENTS: usize = 8;

/// A bridge in one mode, with an API server of its own.
struct Side {
    mode: &'static str,
    cluster: Cluster,
    world: World,
    started: Requests,
    first: Vec<Duration>,
    repeated: Vec<Duration>,
    asked: Requests,
    asked_again: Requests,
}

impl Side {
    async fn start(options: &Options, mode: &'static str) -> anyhow::Result<Self> {
        let cluster = Cluster::with_canaries(options.canaries).await?;
        let further = cluster.settings(mode);
        let world = World::empty(options, &options.program, further).await?;
        sleep(Duration::from_secs(5)).await;
        let started = cluster.take_requests();
        let (first, repeated) = (Vec::new(), Vec::new());
        let (asked, asked_again) = (Requests::default(), Requests::default());
        Ok(Self { mode, cluster, world, started, first, repeated, asked, asked_again })
    }

    /// CPU time and memory while nothing happens, and the requests meanwhile.
    async fn rests(&self) -> anyhow::Result<(Duration, u64, Requests)> {
        let id = self.world.bridge.id();
        self.cluster.take_requests();
        let before = Used::of_processes(&[id])?;
        sleep(REST).await;
        let used = Used::of_processes(&[id])?.since(before);
        Ok((used.cpu, resident(id)?.0, self.cluster.take_requests()))
    }

    /// Asks at the gates of these canaries for the first time.
    async fn asks_first(&mut self, from: usize, to: usize) -> anyhow::Result<()> {
        self.cluster.take_requests();
        let time = Duration::from_secs_f64((to - from) as f64 / FIRST_RATE);
        let asked = steadily(self.world.questions(from, to), FIRST_RATE, time).await?;
        self.asked = self.asked.and(self.cluster.take_requests());
        self.first.extend(asked.delays);
        Ok(())
    }

    async fn asks_again(&mut self, canaries: usize, time: Duration) -> anyhow::Result<()> {
        self.cluster.take_requests();
        let asked = steadily(self.world.questions(0, canaries), REPEATED_RATE, time).await?;
        self.asked_again = self.asked_again.and(self.cluster.take_requests());
        self.repeated.extend(asked.delays);
        Ok(())
    }
}

impl Requests {
    const fn and(self, other: Self) -> Self {
        Self {
            watches: self.watches + other.watches,
            lists: self.lists + other.lists,
            gets: self.gets + other.gets,
        }
    }
}

async fn steadily(questions: Questions, rate: f64, time: Duration) -> anyhow::Result<RunResult> {
    tokio::task::spawn_blocking(move || questions.ask_steadily(rate, CLIENTS, time)).await?
}

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let mut sides = Vec::new();
    for mode in ["off", "show", "bind"] {
        sides.push(Side::start(options, mode).await?);
    }
    rest(report, "A cluster at rest, before any question", &sides).await?;
    let canaries = options.canaries;
    for round in 0..ROUNDS {
        let (from, to) = (canaries * round / ROUNDS, canaries * (round + 1) / ROUNDS);
        for offset in 0..sides.len() {
            let side = (round + offset) % sides.len();
            sides[side].asks_first(from, to).await?;
        }
    }
    for side in &mut sides {
        // The clients share the questions out, and may leave a few.
        side.cluster.take_requests();
        side.world.open(0, canaries).await?;
        side.world.restart(Budget::Usual).await?;
        let questions = side.world.questions(0, canaries);
        tokio::task::spawn_blocking(move || questions.ask_each_once(CLIENTS)).await??;
    }
    for round in 0..ROUNDS {
        for offset in 0..sides.len() {
            let side = (round + offset) % sides.len();
            sides[side].asks_again(canaries, Duration::from_secs(options.seconds)).await?;
        }
    }
    delays(report, &mut sides)?;
    rest(report, "The same with a gate of each Canary that waits", &sides).await
}

async fn rest(report: &mut Report, name: &'static str, sides: &[Side]) -> anyhow::Result<()> {
    let mut table = report.table(
        name,
        &[
            "mode",
            "resident MiB",
            "CPU ms a minute",
            "watches since the start",
            "lists since the start",
            "requests at rest",
        ],
    );
    for side in sides {
        let (cpu, memory, requests) = side.rests().await?;
        ensure!(requests.gets == 0, "a bridge at rest reads nothing");
        table.row(&[
            side.mode.to_owned(),
            mib(memory),
            format!("{:.0}", cpu.as_secs_f64() * 1e3 * 60.0 / REST.as_secs_f64()),
            side.started.watches.to_string(),
            side.started.lists.to_string(),
            (requests.watches + requests.lists + requests.gets).to_string(),
        ]);
    }
    Ok(())
}

fn delays(report: &mut Report, sides: &mut [Side]) -> anyhow::Result<()> {
    let mut table = report.table(
        "Questions where a cluster is read, from when a question was to be sent",
        &[
            "mode",
            "first: p50 µs",
            "first: p99 µs",
            "first: reads a question",
            "again: p50 µs",
            "again: p99 µs",
            "again: reads a question",
        ],
    );
    for side in sides {
        let micros = |delays: &mut Vec<Duration>, part: f64| {
            delays.sort_unstable();
            let at = ((delays.len() as f64 * part) as usize).min(delays.len().saturating_sub(1));
            delays.get(at).map_or(0, Duration::as_micros).to_string()
        };
        let each = |gets: usize, of: usize| format!("{:.2}", gets as f64 / of.max(1) as f64);
        table.row(&[
            side.mode.to_owned(),
            micros(&mut side.first, 0.5),
            micros(&mut side.first, 0.99),
            each(side.asked.gets, side.first.len()),
            micros(&mut side.repeated, 0.5),
            micros(&mut side.repeated, 0.99),
            each(side.asked_again.gets, side.repeated.len()),
        ]);
    }
    Ok(())
}
