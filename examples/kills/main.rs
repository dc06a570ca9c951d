//! Kills the real program with SIGKILL at random moments, again and again, while whole rollouts are played against it,
//! and reports what it saw. Each world has a fake Jira, which loses answers and lags, and simulated Flaggers. It runs in
//! real time.
//!
//! ```sh
//! cargo build && cargo run --example kills -- --kills 1000
//! ```
//!
//! Violations are: a gate that opens without a valid approval of its own ticket, given in this rollout; two tickets for
//! a gate; an approval, or a report that was answered 200, without effect; a comment, label, link or transition made
//! twice; a 5xx answer to a question; a row left in the outbox; a broken audit record. The exit code is then 1.

mod death;
mod judge;
mod process;
mod relay;
mod story;
mod tally;
mod world;

#[path = "../../tests/it/world/database.rs"]
#[expect(dead_code, clippy::expect_used, reason = "shared with the tests, which name the server otherwise")]
mod database;

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use clap::Parser;
use fake_jira::Flavour;
use flagger_jira_bridge::jira::Kind;
use tokio::task::JoinSet;

use self::{
    process::Program,
    tally::{Part, Tally},
    world::World,
};

/// Kills the real program at random moments and looks for violations.
#[derive(Clone, Debug, Parser)]
#[command(name = "kills")]
struct Options {
    /// How many times a process is killed, in all worlds together
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// How many worlds at once, each with its own Jira and its own database
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    worlds: u32,
    /// How many canaries roll out at once in each world
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    canaries: u32,
    /// How many bridges share a database; two need --postgres
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
    replicas: u32,
    /// A PostgreSQL server on which databases may be created; without it each world has a SQLite file
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// The kind of Jira
    #[arg(long, default_value = "cloud")]
    kind: Kind,
    /// Makes the same choices again, although not at exactly the same times
    #[arg(long)]
    seed: Option<u64>,
}

const fn flavour(kind: Kind) -> Flavour {
    match kind {
        Kind::Cloud => Flavour::Cloud,
        Kind::DataCenter => Flavour::DataCenter,
    }
}

/// What all worlds share.
struct Run {
    options: Options,
    seed: u64,
    program: Program,
    left: AtomicU32,
    tally: Tally,
}

impl Run {
    /// Whether one more process may be killed.
    fn one_more(&self) -> bool {
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("kills: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<bool> {
    anyhow::ensure!(options.replicas == 1 || options.postgres.is_some(), "several replicas need --postgres");
    let program = Program::find()?;
    let seed = options.seed.unwrap_or_else(rand::random);
    let run = Arc::new(Run { seed, program, left: options.kills.into(), tally: Tally::default(), options });
    say(&introduction(&run));
    let mut worlds = JoinSet::new();
    for number in 0..run.options.worlds {
        worlds.spawn(World::play(Arc::clone(&run), number));
    }
    while let Some(ended) = worlds.join_next().await {
        ended??;
    }
    let well = run.tally.violations() == 0;
    say(&run.tally.to_string());
    if !well {
        say(&format!("to make the same choices again: --seed {seed}"));
    }
    anyhow::ensure!(
        !well || run.tally.total(Part::Killed) == u64::from(run.options.kills),
        "fewer processes were killed than requested"
    );
    Ok(well)
}

fn introduction(run: &Run) -> String {
    let Options { kills, worlds, canaries, replicas, postgres, kind, .. } = &run.options;
    let (store, jira) = (if postgres.is_some() { "PostgreSQL" } else { "SQLite" }, flavour(*kind));
    let (program, seed) = (run.program.path().display(), run.seed);
    format!(
        "{kills} kills of {program}\non {store}, with a {jira:?} Jira: {worlds} worlds, each with {replicas} \
         replicas and {canaries} canaries; seed {seed}"
    )
}

/// Prints a line to stdout, which may be closed.
fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}
