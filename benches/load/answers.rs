//! Answers per second, delays, and the cost of an answer: nginx, hyper and the bridge, one at a time.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;

use crate::{
    Options,
    bare::Bare,
    client::{Questions, RunResult},
    nginx::Nginx,
    proc::{Used, resident},
    report::{Report, print_line},
    world::{Budget, World},
};

/// One of the compared servers.
struct Side {
    name: &'static str,
    processes: Vec<u32>,
    questions: Questions,
}

struct Round {
    asked: RunResult,
    used: Used,
}

impl Side {
    fn measure(&self, run: impl FnOnce(&Questions) -> anyhow::Result<RunResult>) -> anyhow::Result<Round> {
        let before = Used::of_processes(&self.processes)?;
        let asked = run(&self.questions)?;
        Ok(Round { asked, used: Used::of_processes(&self.processes)?.since(before) })
    }
}

impl Round {
    /// CPU for one answer, in microseconds.
    fn cpu(&self) -> f64 {
        self.used.cpu.as_secs_f64() * 1e6 / self.asked.answers as f64
    }
}

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let world = ready(options, &options.program).await?;
    let beside = match &options.beside {
        Some(program) => Some(ready(options, program).await?),
        None => None,
    };
    let (nginx, bare) = (Nginx::start()?, Bare::start(Duration::ZERO)?);
    let texts = world.questions(0, options.gates).texts;
    let side = |name, address: SocketAddr, processes: Vec<u32>| Side {
        name,
        processes,
        questions: Questions { address, texts: Arc::clone(&texts), expects: "HTTP/1.1 403 " },
    };
    let mut sides = Vec::new();
    match &nginx {
        Some(nginx) => sides.push(side("nginx", nginx.address, nginx.processes.clone())),
        None => print_line("nginx is not installed, so hyper takes its place below: install nginx-light"),
    }
    sides.push(side("hyper", bare.address, vec![bare.id()]));
    sides.extend(beside.iter().map(|it| side("beside", it.bridge.gate, vec![it.bridge.id()])));
    sides.push(side("bridge", world.bridge.gate, vec![world.bridge.id()]));
    let rate = flat_out(options, report, &sides)? / 2.0;
    // Shows how much of the delay is due to the CPU time alone.
    let costly = Bare::start(extra_cpu(options, &sides, rate)?)?;
    sides.push(side("hyper, as costly", costly.address, vec![costly.id()]));
    steadily(options, report, &sides, rate)?;
    let (now, most) = resident(world.bridge.id())?;
    let mut table = report.table("Memory with the gates of above", &["gates", "resident MiB", "at most MiB"]);
    table.row(&[options.gates.to_string(), mib(now), mib(most)]);
    Ok(())
}

/// A bridge with the default rate limit, all of its tickets open, and all of its canaries in memory.
async fn ready(options: &Options, program: &Path) -> anyhow::Result<World> {
    let mut world = World::with_gates(options, program, options.gates).await?;
    world.restart(Budget::Usual).await?;
    let questions = world.questions(0, options.gates);
    tokio::task::spawn_blocking(move || questions.ask_each_once(8)).await??;
    Ok(world)
}

/// Runs several rounds. Each begins with another side, so that no side always runs after the same one.
fn alternate(
    options: &Options,
    sides: &[Side],
    run: impl Fn(&Questions, Duration) -> anyhow::Result<RunResult>,
) -> anyhow::Result<Vec<Vec<Round>>> {
    let time = Duration::from_secs(options.seconds);
    let mut rounds: Vec<Vec<Round>> = sides.iter().map(|_| Vec::new()).collect();
    for first in 0..options.rounds {
        for offset in 0..sides.len() {
            let side = (first + offset) % sides.len();
            rounds[side].push(sides[side].measure(|questions| run(questions, time))?);
        }
    }
    Ok(rounds)
}

/// How much more CPU time than hyper the bridge needs for one answer at this rate.
fn extra_cpu(options: &Options, sides: &[Side], rate: f64) -> anyhow::Result<Duration> {
    let cpu = |name| -> anyhow::Result<f64> {
        let side = sides.iter().find(|side| side.name == name).context("no such side")?;
        let time = Duration::from_secs(options.seconds);
        let mut rounds = Vec::new();
        for _ in 0..3 {
            rounds.push(side.measure(|it| it.ask_steadily(rate, options.clients, time))?.cpu());
        }
        rounds.sort_by(f64::total_cmp);
        Ok(rounds[1])
    };
    Ok(Duration::from_secs_f64((cpu("bridge")? - cpu("hyper")?).max(0.0) / 1e6))
}

/// Reports the median round of each side. Returns the first side's answers per second.
fn flat_out(options: &Options, report: &mut Report, sides: &[Side]) -> anyhow::Result<f64> {
    let mut table = report.table(
        "Answers a second, one connection a question",
        &["server", "answers/s", "to nginx", "CPU µs an answer", "to nginx", "written KiB"],
    );
    let rounds = alternate(options, sides, |questions, time| questions.ask_flat_out(options.clients, time))?;
    let rounds: Vec<Round> = rounds.into_iter().map(median).collect();
    for (side, round) in sides.iter().zip(&rounds) {
        let (rate, cpu) = (round.asked.per_second(), round.cpu());
        let ratio = |own: f64, of: fn(&Round) -> f64| rounds.first().map_or(1.0, |first| own / of(first));
        table.row(&[
            side.name.to_owned(),
            format!("{rate:.0}"),
            format!("{:.2}", ratio(rate, |round| round.asked.per_second())),
            format!("{cpu:.1}"),
            format!("{:.2}", ratio(cpu, Round::cpu)),
            (round.used.written / 1024).to_string(),
        ]);
    }
    drop(table);
    Ok(rounds.first().map_or(1000.0, |round| round.asked.per_second()))
}

fn steadily(options: &Options, report: &mut Report, sides: &[Side], rate: f64) -> anyhow::Result<()> {
    let mut table = report.table(
        "Delay at half of the rate that nginx can, from when a question was to be sent",
        &[
            "server",
            "questions/s",
            "p50 µs",
            "p90 µs",
            "p99 µs",
            "p99.9 µs",
            "p99 to nginx",
            "p99 of the rounds µs",
            "CPU µs an answer",
            "to nginx",
            "written KiB",
        ],
    );
    let rounds =
        alternate(options, sides, |questions, time| questions.ask_steadily(rate, options.clients, time))?;
    let (rounds, ranges): (Vec<Round>, Vec<String>) = rounds.into_iter().map(by_delay).unzip();
    for ((side, round), range) in sides.iter().zip(&rounds).zip(ranges) {
        let micros = |part| round.asked.delay(part).as_secs_f64() * 1e6;
        let first = rounds.first().map_or(1.0, |first| first.asked.delay(0.99).as_secs_f64() * 1e6);
        table.row(&[
            side.name.to_owned(),
            format!("{:.0}", round.asked.per_second()),
            format!("{:.0}", micros(0.5)),
            format!("{:.0}", micros(0.9)),
            format!("{:.0}", micros(0.99)),
            format!("{:.0}", micros(0.999)),
            format!("{:.2}", micros(0.99) / first),
            range,
            format!("{:.1}", round.cpu()),
            format!("{:.2}", round.cpu() / rounds.first().map_or(1.0, Round::cpu)),
            (round.used.written / 1024).to_string(),
        ]);
    }
    drop(table);
    Ok(())
}

fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|a, b| a.asked.per_second().total_cmp(&b.asked.per_second()));
    let middle = rounds.len() / 2;
    rounds.swap_remove(middle)
}

/// The round with the median delay, and the range of all rounds' delays.
fn by_delay(mut rounds: Vec<Round>) -> (Round, String) {
    let delay = |round: &Round| round.asked.delay(0.99);
    rounds.sort_by_key(delay);
    let micros = |round: Option<&Round>| round.map_or(0, |round| delay(round).as_micros());
    let range = format!("{} to {}", micros(rounds.first()), micros(rounds.last()));
    let middle = rounds.len() / 2;
    (rounds.swap_remove(middle), range)
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / (1024.0 * 1024.0))
}
