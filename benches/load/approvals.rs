//! The time from an approval in Jira to the open gate.

use std::time::Duration;

use fake_jira::{MIA, Operation};
use tokio::time::sleep;

use crate::{
    Options,
    client::{ask, now},
    report::Report,
    world::{Budget, World, canary, question},
};

/// The number of approvals, one after the other.
const SINGLE: usize = 200;
/// The number of simultaneous approvals.
const BURST: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let mut world = World::with_gates(options, &options.program, options.gates.max(SINGLE + BURST)).await?;
    world.restart(Budget::Usual).await?;
    let questions = world.questions(0, options.gates);
    tokio::task::spawn_blocking(move || questions.ask_each_once(8)).await??;
    world.with_webhook();
    let keys = keys(&world);
    // By then the bridge has read all tickets once.
    sleep(Duration::from_secs((options.gates as u64).div_ceil(500)) + Duration::from_secs(5)).await;
    single(&world, &keys, report).await?;
    burst(&world, &keys, report).await
}

/// The tickets' keys, indexed by the canaries' numbers.
fn keys(world: &World) -> Vec<String> {
    let mut keys = Vec::new();
    for issue in world.jira.issues() {
        let number = issue
            .summary
            .split(" app-")
            .nth(1)
            .and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        if let Some(number) = number {
            keys.resize(keys.len().max(number + 1), String::new());
            keys[number] = issue.key;
        }
    }
    keys
}

fn is_open(world: &World, number: usize) -> anyhow::Result<bool> {
    let mut answer = Vec::new();
    ask(world.bridge.gate, &question(number), &mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

async fn single(world: &World, keys: &[String], report: &mut Report) -> anyhow::Result<()> {
    let mut delays = Vec::new();
    for (number, key) in keys.iter().enumerate().take(SINGLE) {
        let begin = now();
        world.jira.move_issue(key, "Approved", MIA).map_err(anyhow::Error::msg)?;
        while !is_open(world, number)? {
            anyhow::ensure!(now() - begin < PATIENCE, "{:?} does not open", canary(number));
            sleep(Duration::from_millis(1)).await;
        }
        delays.push(now() - begin);
        // Two per second, in addition to the polls.
        sleep(Duration::from_millis(500)).await;
    }
    delays.sort_unstable();
    let millis = |part: f64| {
        let at = ((delays.len() as f64 * part).ceil() as usize).saturating_sub(1);
        format!("{:.1}", delays[at].as_secs_f64() * 1e3)
    };
    let mut table = report.table(
        "From one approval to the open gate, by webhook, in ms (with Jira's own read, and up to 1 ms until it is asked)",
        &["gates", "approvals", "p50", "p90", "p99", "longest"],
    );
    table.row(&[
        keys.len().to_string(),
        delays.len().to_string(),
        millis(0.5),
        millis(0.9),
        millis(0.99),
        millis(1.0),
    ]);
    Ok(())
}

async fn burst(world: &World, keys: &[String], report: &mut Report) -> anyhow::Result<()> {
    sleep(Duration::from_secs(3)).await;
    world.jira.clear_requests();
    let begin = now();
    let numbers = SINGLE..SINGLE + BURST;
    for key in &keys[numbers.clone()] {
        world.jira.move_issue(key, "Approved", MIA).map_err(anyhow::Error::msg)?;
    }
    let moved = now() - begin;
    // Asking each gate would measure a thousand first uses, which are stored one after the other.
    let (mut first, mut half) = (None, None);
    loop {
        let open = world.metric("gates{state=\"approved\"}")? - SINGLE as f64;
        let so_far = now() - begin;
        if open > 0.0 {
            first.get_or_insert(so_far);
        }
        if open >= BURST as f64 / 2.0 {
            half.get_or_insert(so_far);
        }
        if open >= BURST as f64 {
            break;
        }
        anyhow::ensure!(so_far < PATIENCE, "{} do not open", BURST as f64 - open);
        sleep(Duration::from_millis(50)).await;
    }
    let all = now() - begin;
    let reads = world.jira.requests().iter().filter(|it| it.operation == Operation::BulkFetch).count();
    for number in numbers {
        anyhow::ensure!(is_open(world, number)?, "{:?} is not open", canary(number));
    }
    let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
    let mut table = report.table(
        "Many approvals at once, five requests a second to Jira",
        &["approvals", "all moved s", "first open s", "half open s", "all open s", "Jira reads"],
    );
    table.row(&[
        BURST.to_string(),
        seconds(moved),
        seconds(first.unwrap_or_default()),
        seconds(half.unwrap_or_default()),
        seconds(all),
        reads.to_string(),
    ]);
    Ok(())
}
