//! The cost of growing numbers of gates.

use std::time::Duration;

use fake_jira::Operation;
use tokio::time::sleep;

use crate::{
    Options,
    answers::mib,
    client::now,
    proc::{Used, resident},
    report::Report,
    world::{Budget, World},
};

/// The default of `jira.poll_every`.
const CYCLE: Duration = Duration::from_secs(20);
/// How many cycles are measured.
const CYCLES: u32 = 2;
/// How many requests the mean cost of a page is taken from.
const PAGES: u32 = 5;

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let mut table = report.table(
        "With ever more gates",
        &[
            "gates",
            "first questions/s",
            "opened in s",
            "resident MiB",
            "killed to ready ms",
            "page ms of CPU",
            "/metrics ms of CPU",
            "/api/gates ms of CPU",
            "page by namespace ms",
            "one namespace ms",
            "page KiB",
            "/api/gates KiB",
            "Jira reads a cycle",
            "of 100 at least",
            "CPU ms a cycle",
            "written KiB a cycle",
        ],
    );
    for gates in &options.sizes {
        let begin = now();
        let mut world = World::with_gates(options, &options.program, *gates).await?;
        let opened = now() - begin;
        let ready = world.restart(Budget::Usual).await?;
        let id = [world.bridge.id()];
        // Asks at all gates, so that the bridge polls all of them in the short cycle.
        let questions = world.questions(0, *gates);
        tokio::task::spawn_blocking(move || questions.ask_each_once(8)).await??;
        let page = cost(&world, "/")?;
        let metrics = cost(&world, "/metrics")?;
        let api = cost(&world, "/api/gates")?;
        let grouped = cost(&world, "/?group=namespace")?;
        let narrow = cost(&world, "/?namespace=none&older_than=1h")?;
        let kib = |path: &str| anyhow::Ok(world.admin(path)?.len().div_ceil(1024).to_string());
        let (page_size, api_size) = (kib("/")?, kib("/api/gates")?);
        // At first the bridge reads all tickets, as fast as its rate limit allows.
        let first = Duration::from_secs((*gates as u64).div_ceil(500));
        sleep(first + CYCLE).await;
        world.jira.clear_requests();
        let before = Used::of_processes(&id)?;
        sleep(CYCLE * CYCLES).await;
        let used = Used::of_processes(&id)?.since(before);
        let reads = world.jira.requests().iter().filter(|it| it.operation == Operation::BulkFetch).count();
        let (resident, _) = resident(world.bridge.id())?;
        let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        table.row(&[
            gates.to_string(),
            format!("{:.0}", world.first_rate),
            format!("{:.1}", opened.as_secs_f64()),
            mib(resident),
            format!("{:.0}", ready.as_secs_f64() * 1e3),
            millis(page),
            millis(metrics),
            millis(api),
            millis(grouped),
            millis(narrow),
            page_size,
            api_size,
            format!("{:.1}", reads as f64 / f64::from(CYCLES)),
            gates.div_ceil(100).to_string(),
            millis(used.cpu / CYCLES),
            (used.written / 1024 / u64::from(CYCLES)).to_string(),
        ]);
    }
    Ok(())
}

/// The CPU time of one answer of the admin listener.
fn cost(world: &World, path: &str) -> anyhow::Result<Duration> {
    let id = [world.bridge.id()];
    let before = Used::of_processes(&id)?;
    for _ in 0..PAGES {
        world.admin(path)?;
    }
    Ok(Used::of_processes(&id)?.since(before).cpu / PAGES)
}
