//! The load harness: how fast the real program answers, at what cost, and with how many gates.
//!
//! It starts a fake Jira and the bridge, asks at thousands of gates as Flagger would, and then measures in one run:
//! answers per second, one connection per question as Flagger does, compared with nginx and hyper that always answer
//! 403; the delay at a steady rate, counted from when a question was due; CPU, memory and disk writes from `/proc`; the
//! cost of a page and a poll cycle for growing numbers of gates; how soon an approval opens its gate; and what it costs
//! to read a cluster.
//!
//! ```sh
//! cargo bench --bench load                     # everything, about ten minutes
//! cargo bench --bench load -- --only answers   # answers | sizes | approvals | kubernetes
//! cargo bench --bench load -- --postgres postgres://user@host/postgres
//! cargo bench --bench load -- --beside another/flagger-jira-bridge
//! cargo bench --bench load -- --sizes 100,1000,10000,100000 --only sizes
//! ```
//!
//! It prints tables, and writes the same as JSON to `target/load.json`. Linux only.

mod answers;
mod approvals;
mod bare;
mod client;
mod cluster;
#[expect(dead_code, clippy::expect_used, reason = "shared with the tests, which name the server otherwise")]
#[path = "../../tests/it/world/database.rs"]
mod database;
mod kubernetes;
mod nginx;
mod proc;
mod report;
mod sizes;
mod world;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use self::report::Report;

/// Measures the real program beside nginx and hyper
#[derive(Clone, Debug, Parser)]
#[command(name = "load")]
pub(crate) struct Options {
    /// How many gates are live while answers are counted
    #[arg(long, default_value_t = 10_000)]
    gates: usize,
    /// How long each measurement of answers takes, in seconds
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often nginx, hyper and the bridge are measured
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many connections at most at a time
    #[arg(long, default_value_t = 48)]
    clients: usize,
    /// For how many gates costs are measured, one number after the other
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    sizes: Vec<usize>,
    /// How many Canaries the API server has
    #[arg(long, default_value_t = 1_000)]
    canaries: usize,
    /// The program to measure
    #[arg(long, default_value = world::PROGRAM, hide_default_value = true)]
    program: PathBuf,
    /// Another build to measure for comparison
    #[arg(long)]
    beside: Option<PathBuf>,
    /// A PostgreSQL server to use instead of SQLite
    #[arg(long)]
    postgres: Option<String>,
    /// Only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// The file for the figures as JSON
    #[arg(long, default_value = "target/load.json")]
    json: PathBuf,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
    /// Runs the server that decides nothing, and burns so many nanoseconds before each answer
    #[arg(long, hide = true)]
    bare: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Answers a second, delays and CPU, beside nginx
    Answers,
    /// The cost of more gates
    Sizes,
    /// From an approval to the open gate
    Approvals,
    /// The cost of reading a cluster
    Kubernetes,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    if let Some(nanos) = options.bare {
        return bare::serve(Duration::from_nanos(nanos)).await;
    }
    let mut report = Report::default();
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    if wanted(Part::Answers) {
        answers::measure(&options, &mut report).await?;
    }
    if wanted(Part::Sizes) {
        sizes::measure(&options, &mut report).await?;
    }
    if wanted(Part::Approvals) {
        approvals::measure(&options, &mut report).await?;
    }
    if wanted(Part::Kubernetes) {
        kubernetes::measure(&options, &mut report).await?;
    }
    report.write(&options.json)
}
