//! The embedded Jira and the bridge, with their files and addresses.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use fake_jira::{FakeJira, Flavour, Setup};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    cluster::Cluster,
    people::{self, APPROVERS},
};
use crate::{
    cli::{self, Gates, OutputStyle},
    clock::Clock,
    config,
    serve::{Bridge, Listeners},
    view::GateView,
};

/// How long the bridge may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval at which a condition is checked while waiting for it.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Everything except Flagger. Dropping it removes its directory.
pub(super) struct World {
    /// The embedded Jira.
    pub jira: FakeJira,
    /// What Flagger rolls out.
    pub cluster: Cluster,
    /// Base URL for Flagger.
    pub gate: String,
    /// Base URL for people.
    pub admin: String,
    config: PathBuf,
    bridge: Option<Running>,
    _home: TempDir,
}

/// What listens on the ports of the demo, in order.
const LISTENERS: [&str; 4] = ["Jira", "the status page", "Flagger", "Jira's webhook"];

struct Running {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// Starts Jira and the bridge, and waits until the bridge is ready. Jira has this port, and the bridge the three
    /// after it; without a port, or with port 0, all of them have free ones.
    pub(super) async fn start(port: Option<u16>) -> anyhow::Result<Self> {
        let [jira_listener, admin, gate, webhook] = listen_in_a_row(port.unwrap_or(0)).await?;
        let home = tempfile::Builder::new()
            .prefix("flagger-jira-bridge-demo-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()?;
        let setup = Setup::new(Flavour::Cloud, Clock::System);
        let (user, token) = (setup.user.clone(), random());
        let jira = FakeJira::new(Setup { token: token.clone(), ..setup });
        people::settle(&jira);
        let url = jira.start_on(jira_listener)?;
        let listeners = Listeners { gate, webhook, admin, page: None };
        let at = Addresses::of(&listeners)?;
        let secret = random();
        jira.webhook(&format!("http://{}/jira/webhook", at.webhook), Some(&secret), None);
        let config = home.path().join("config.toml");
        let database = format!("sqlite://{}", home.path().join("bridge.db").display());
        let (cluster, kubeconfig) =
            Cluster::start(home.path()).await.context("no port for the API server")?;
        let jira_section = JiraSection { url: &url, user: &user, token: &token, secret: &secret };
        fs::write(&config, at.config(&database, &kubeconfig, &jira_section))?;
        let (gate, admin) = (format!("http://{}", at.gate), format!("http://{}", at.admin));
        let mut world = Self { jira, cluster, gate, admin, config, bridge: None, _home: home };
        world.run(Some(listeners)).await?;
        Ok(world)
    }

    /// Restarts the bridge with the same addresses and database.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.run(None).await
    }

    async fn run(&mut self, listeners: Option<Listeners>) -> anyhow::Result<()> {
        // Ignores the environment: settings for a real bridge must not make the demo use a real Jira.
        let config = config::load(&self.config, []).map_err(|problems| anyhow!("{problems}"))?;
        let listeners = match listeners {
            Some(listeners) => listeners,
            None => Listeners::bind(&config.server).await?,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(Bridge::new(config, Clock::System)?.run(listeners, stop.clone()));
        self.bridge = Some(Running { stop, task });
        let until = Instant::now() + READY_TIMEOUT;
        while let Err(error) = self.gates().await {
            if Instant::now() > until {
                bail!("the bridge is not ready: {error}");
            }
            sleep(RETRY_INTERVAL).await;
        }
        Ok(())
    }

    /// Stops the bridge, if it runs.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(Running { stop, task }) = self.bridge.take() else { return Ok(()) };
        stop.cancel();
        task.await?
    }

    /// Waits until the bridge stops by itself, and returns why.
    pub(super) async fn wait_for_exit(&mut self) -> anyhow::Error {
        let Some(running) = &mut self.bridge else { return std::future::pending().await };
        let ended = (&mut running.task).await;
        self.bridge = None;
        match ended {
            Ok(Ok(())) => anyhow!("the bridge ended unexpectedly"),
            Ok(Err(error)) => error,
            Err(panic) => panic.into(),
        }
    }

    /// The output of `gates --json`.
    pub(super) async fn gates(&self) -> anyhow::Result<Vec<GateView>> {
        let wanted = Gates { json: true, ..Gates::of(&self.admin) };
        let text = cli::gates(&wanted, &OutputStyle::default(), Clock::System.now()).await?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Listeners on this port of loopback and those after it, or on free ports for port 0.
async fn listen_in_a_row(port: u16) -> anyhow::Result<[TcpListener; 4]> {
    let listener = async |nth: u16, what: &str| {
        let port = match port {
            0 => 0,
            first => first.checked_add(nth).context("--port must leave room for three ports after it")?,
        };
        listen(port, what).await
    };
    let [jira, admin, gate, webhook] = LISTENERS;
    Ok([
        listener(0, jira).await?,
        listener(1, admin).await?,
        listener(2, gate).await?,
        listener(3, webhook).await?,
    ])
}

/// A listener on a port of loopback, which is for this.
pub(super) async fn listen(port: u16, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{port} for {what}; take another --port"))
}

/// How the bridge reaches Jira.
struct JiraSection<'a> {
    url: &'a str,
    user: &'a str,
    token: &'a str,
    secret: &'a str,
}

/// `127.0.0.1:PORT` of each listener.
struct Addresses {
    gate: String,
    webhook: String,
    admin: String,
}

impl Addresses {
    fn of(listeners: &Listeners) -> std::io::Result<Self> {
        let address = |listener: &TcpListener| listener.local_addr().map(|address| address.to_string());
        Ok(Self {
            gate: address(&listeners.gate)?,
            webhook: address(&listeners.webhook)?,
            admin: address(&listeners.admin)?,
        })
    }

    /// A small configuration file, with short intervals for people who watch.
    fn config(&self, database: &str, kubeconfig: &Path, jira: &JiraSection<'_>) -> String {
        let Self { gate, webhook, admin } = self;
        let JiraSection { url, user, token, secret } = jira;
        let database = toml::Value::from(database);
        let kubeconfig = toml::Value::from(kubeconfig.display().to_string());
        format!(
            r#"
[server]
gate_listen = "{gate}"
webhook_listen = "{webhook}"
admin_listen = "{admin}"
public_url = "http://{admin}"
shutdown_grace = "1s"

[store]
url = {database}
# The database lasts as long as the demo, so it may be on a network volume.
allow_network_volume = true

[flagger]
cluster = "prod-eu"
namespaces = ["shop"]

[kubernetes]
mode = "bind"
kubeconfig_file = {kubeconfig}

[jira]
url = "{url}"
user = "{user}"
token = "{token}"
webhook_secret = "{secret}"
requests_per_second = 50
burst = 50
poll_every = "2s"
trust_for = "1m"
index_lag = "5s"

[limits]
tickets_per_canary_per_hour = 1000

[ticket]
project = "OPS"

[ticket.transitions]
succeeded = "Done"
superseded = "Cancelled"

[approval]
approvers = ["group:{APPROVERS}"]
deny = ["{{{{ metadata.author }}}}"]
"#
        )
    }
}

fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}
