//! A world: a Jira, a database, the bridges on it, the canaries that ask them, and the killer.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use fake_jira::{FakeJira, Flavour, Setup};
use flagger_jira_bridge::clock::Clock;
use rand::{SeedableRng as _, rngs::StdRng};
use sqlx::{AnyConnection, Connection as _};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Run, database::Database, death::Killer, judge, process::Replica, relay::Relay, story::Story, tally::Part,
};

/// How long it may take until the outbox is empty. Commands that failed often wait long.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The parts of a world that are never killed.
pub(crate) struct World {
    pub(crate) run: Arc<Run>,
    pub(crate) number: u32,
    pub(crate) jira: FakeJira,
    pub(crate) gate: Relay,
    pub(crate) webhook: Relay,
    database: Database,
    home: TempDir,
    quiet: AtomicBool,
}

impl World {
    /// Plays a world, from the first start to the last check.
    pub(crate) async fn play(run: Arc<Run>, number: u32) -> anyhow::Result<()> {
        let (world, mut replicas) = Self::start(run, number).await?;
        let mut stories = JoinSet::new();
        for canary in 0..world.run.options.canaries {
            stories.spawn(Story::new(Arc::clone(&world), canary)?.play());
        }
        Killer::new(&world).run(&mut replicas).await?;
        // From now on no process is killed: every story finishes, and the outbox empties.
        world.quiet.store(true, Ordering::SeqCst);
        let mut stories_ended = Vec::new();
        while let Some(story) = stories.join_next().await {
            stories_ended.push(story??);
        }
        world.settle().await?;
        judge::judge(&world, &stories_ended);
        for replica in &mut replicas {
            if let Some(how) = replica.kill()? {
                world.violation(&format!("a bridge ended by itself: {how}"));
            }
        }
        match world.run.program.verify(&world.config(0)) {
            Ok(said) => world.count_record(&said),
            Err(error) => world.violation(&format!("audit --verify: {error}")),
        }
        world.keep_files();
        Ok(())
    }

    async fn start(run: Arc<Run>, number: u32) -> anyhow::Result<(Arc<Self>, Vec<Replica>)> {
        let home = tempfile::Builder::new().prefix("kills-").tempdir()?;
        let setup = Setup::new(crate::flavour(run.options.kind), Clock::System);
        let (flavour, user, token) = (setup.flavour, setup.user.clone(), setup.token.clone());
        let jira = FakeJira::new(setup);
        let url = jira.start().await.context("no port for the fake Jira")?;
        let database = Database::on(run.options.postgres.as_deref(), home.path()).await?;
        let config = |number: u32| home.path().join(format!("bridge-{number}.toml"));
        let secret = format!("{:032x}", rand::random::<u128>());
        let mut replicas = Vec::new();
        for replica in 0..run.options.replicas {
            let user = if flavour == Flavour::Cloud { format!("user = {user:?}\n") } else { String::new() };
            fs::write(config(replica), settings(&database.url, &url, &user, &token, &secret))?;
            replicas.push(Replica::new(run.program.clone(), config(replica)));
        }
        let states = || replicas.iter().map(|replica| Arc::clone(&replica.state)).collect();
        let gate = Relay::start(states(), |seen| seen.gate).await?;
        let webhook = Relay::start(states(), |seen| seen.webhook).await?;
        // Every second world has no webhook, so that tickets are only polled.
        if number.is_multiple_of(2) {
            jira.webhook(&format!("http://{}/jira/webhook", webhook.address), Some(&secret), None);
        }
        let quiet = AtomicBool::new(false);
        let world = Self { run, number, jira, gate, webhook, database, home, quiet };
        Ok((Arc::new(world), replicas))
    }

    fn config(&self, replica: u32) -> PathBuf {
        self.home.path().join(format!("bridge-{replica}.toml"))
    }

    /// Whether no process is killed any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::SeqCst)
    }

    /// Choices that are the same for the same seed.
    pub(crate) fn rng(&self, whose: u32) -> StdRng {
        let own = (u64::from(self.number) << 32) | u64::from(whose);
        StdRng::seed_from_u64(self.run.seed.wrapping_add(own.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    pub(crate) fn violation(&self, what: &str) {
        self.run.tally.violation(format!("world {} ({}): {what}", self.number, self.home.path().display()));
    }

    /// Waits until the outbox is empty.
    async fn settle(&self) -> anyhow::Result<()> {
        let until = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let left = self.outbox_rows().await?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                self.violation(&format!("left in the outbox: {}", left.join("; ")));
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn outbox_rows(&self) -> anyhow::Result<Vec<String>> {
        sqlx::any::install_default_drivers();
        let mode = if self.database.url.starts_with("sqlite:") { "?mode=ro" } else { "" };
        let mut connection = AnyConnection::connect(&format!("{}{mode}", self.database.url)).await?;
        let rows =
            sqlx::query_scalar("SELECT kind || ' for ' || canary || ' after ' || attempts || ' attempts: ' || COALESCE(why, '') FROM outbox")
                .fetch_all(&mut connection)
                .await?;
        connection.close().await?;
        Ok(rows)
    }

    fn count_record(&self, said: &str) {
        let rows = said.split_once("ok: ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        self.run.tally.add(Part::Record, "verified", rows.unwrap_or_default());
    }

    /// After a violation, keeps the files of this world for the developer.
    fn keep_files(&self) {
        if self.run.tally.violations() > 0 {
            let kept =
                std::env::temp_dir().join(format!("kills-{}-world-{}", std::process::id(), self.number));
            let copied = fs::create_dir_all(&kept).and_then(|()| {
                fs::read_dir(self.home.path())?.try_for_each(|entry| {
                    let path = entry?.path();
                    fs::copy(&path, kept.join(path.file_name().unwrap_or_default())).map(drop)
                })
            });
            match copied {
                Ok(()) => {
                    crate::say(&format!("the files of world {} are in {}", self.number, kept.display()))
                }
                Err(error) => crate::say(&format!("the files of world {} are lost: {error}", self.number)),
            }
        }
    }
}

/// As fast as possible, so that many rollouts fit between many kills. The search's real lag stays below `index_lag`.
fn settings(database: &str, url: &str, user: &str, token: &str, secret: &str) -> String {
    format!(
        r#"
[server]
gate_listen = "127.0.0.1:0"
webhook_listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"

[store]
url = "{database}"

[flagger]
namespaces = ["shop"]

[jira]
url = "{url}"
{user}token = "{token}"
webhook_secret = "{secret}"
requests_per_second = 1000
burst = 1000
timeout = "1s"
poll_every = "1s"
trust_for = "10m"
index_lag = "3s"

[limits]
tickets_per_canary_per_hour = 100000
open_tickets = 100000
open_tickets_per_namespace = 100000

[ticket]
project = "OPS"
summary = "Approve {{{{ stage }}}} of {{{{ namespace }}}}/{{{{ canary }}}} on {{{{ cluster }}}}"

[ticket.transitions]
succeeded = "Done"
failed = "Cancelled"
superseded = "Cancelled"
"#
    )
}
