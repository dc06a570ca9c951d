//! `serve`: starts the parts of the bridge, and stops them.

mod settings;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use tokio::{
    net::TcpListener,
    select,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{self, Config},
    gatekeeper::{AnswerLinks, Gatekeeper},
    http::{
        self, Shared,
        refused_calls::RefusedCalls,
        serve::{Observer, ServeLimits, Tls, raise_open_file_limit, serve_observed, unobserved},
        status::{JiraHealthView, ReadJiraHealth, Trouble},
    },
    jira::{self, Jira},
    kubernetes::Clusters,
    metrics::{ListenerLabel, Metrics, status_class},
    millis::{clock_time, rough_duration},
    pem,
    store::{self, AllowedVolumes, LEASE, LastLeader, LeaseOutcome, Store},
    view::Rfc3339,
    worker::Worker,
};

/// How long to wait before the next attempt to open the database.
const STORE_RETRY: Duration = Duration::from_secs(2);
/// How often the log repeats that the database cannot be opened.
const STORE_LOG_EVERY: Duration = Duration::from_secs(60);

/// The listening sockets.
#[derive(Debug)]
pub struct Listeners {
    /// For Flagger.
    pub gate: TcpListener,
    /// For Jira's webhooks.
    pub webhook: TcpListener,
    /// For the status page, the API, metrics and probes.
    pub admin: TcpListener,
    /// For the status page alone, if `server.page_listen` is set.
    pub page: Option<TcpListener>,
}

impl Listeners {
    /// Binds all of them.
    ///
    /// # Errors
    /// If one cannot be bound; the error names the key and the address.
    pub async fn bind(server: &config::Server) -> anyhow::Result<Self> {
        let bind = async |key: &'static str, address| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("server.{key}: cannot listen on {address}"))
        };
        Ok(Self {
            gate: bind("gate_listen", server.gate_listen).await?,
            webhook: bind("webhook_listen", server.webhook_listen).await?,
            admin: bind("admin_listen", server.admin_listen).await?,
            page: match server.page_listen {
                Some(address) => Some(bind("page_listen", address).await?),
                None => None,
            },
        })
    }
}

/// The parts that exist before the store is open.
pub struct Bridge {
    config: Arc<Config>,
    clock: Clock,
    jira: Arc<Jira>,
    clusters: Arc<Clusters>,
    shared: Shared,
}

impl Bridge {
    /// Creates the parts. Sends nothing, and opens nothing yet.
    ///
    /// # Errors
    /// If the address of Jira or a certificate cannot be used.
    pub fn new(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let observer = request_counter(Arc::clone(&metrics));
        let jira = Arc::new(Jira::new(config.jira.client.clone(), observer, clock.clone())?);
        let shared = Shared {
            gatekeeper: Arc::default(),
            clock: clock.clone(),
            metrics,
            refused: Arc::new(RefusedCalls::masking(config.callers_secrets())),
            bodies: Arc::default(),
        };
        let clusters = Arc::new(Clusters::new(&config.kubernetes, &config.flagger));
        Ok(Self { config: Arc::new(config), clock, jira, clusters, shared })
    }

    /// Serves and works until `stop`, then finishes the requests in progress.
    ///
    /// # Errors
    /// If a task fails, or a newer version made the database.
    pub async fn run(self, listeners: Listeners, stop: CancellationToken) -> anyhow::Result<()> {
        let bridge = Arc::new(self);
        settings::log_settings(&bridge.config);
        let mut tasks = JoinSet::new();
        bridge.listen(listeners, &stop, &mut tasks)?;
        drop(tokio::spawn(log_account(Arc::clone(&bridge.jira), stop.clone())));
        let (working, until) = (Arc::clone(&bridge), stop.clone());
        tasks.spawn(async move { working.work(until).await });
        let mut died = None;
        while let Some(ended) = tasks.join_next().await {
            let how = ended.unwrap_or_else(|panic| Err(anyhow!("a task died: {panic}")));
            died = died.or(match how {
                Err(error) => Some(error),
                Ok(()) if !stop.is_cancelled() => Some(anyhow!("a task ended unexpectedly")),
                Ok(()) => None,
            });
            if died.is_some() {
                stop.cancel();
            }
        }
        if let Some(gatekeeper) = bridge.shared.gatekeeper.get() {
            // Only now there is no task left that could receive a message.
            if let Err(error) = gatekeeper.store().write_back().await {
                tracing::warn!("{error}; the times of Flagger's messages of the last minute are not stored");
            }
            gatekeeper.store().close().await;
        }
        tracing::info!("stopped");
        died.map_or(Ok(()), Err)
    }

    /// Starts the listeners.
    ///
    /// # Errors
    /// If the certificate cannot be read.
    pub fn listen(
        &self,
        listeners: Listeners,
        stop: &CancellationToken,
        tasks: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let tls = match &self.config.server.tls {
            None => None,
            Some(files) => Some(Arc::new(Tls::load(files.clone())?)),
        };
        if let Some(tls) = &tls {
            pem::log_skipped("server.tls.cert_file", &tls.skipped_certificates());
        }
        pem::log_skipped("jira.ca_file", &self.jira.skipped_certificates());
        let jira = Arc::clone(&self.jira);
        let (clock, opened) = (self.clock.clone(), Arc::clone(&self.shared.gatekeeper));
        let read_jira_health: ReadJiraHealth = Arc::new(move || {
            let leader = opened.get().and_then(|gatekeeper| gatekeeper.store().leader());
            health(&jira.health(), leader, &clock)
        });
        let shared = || self.shared.clone();
        let gate = http::flagger::gate_router(shared(), self.config.flagger.clone());
        let webhook = http::jira::webhook_router(shared(), self.config.jira.webhook_secret.clone());
        let admin = http::status::admin_router(shared(), Arc::clone(&read_jira_health));
        let page = http::status::page_router(shared(), read_jira_health);
        let limits = ServeLimits::promised(self.config.server.shutdown_grace).within(raise_open_file_limit());
        let mut all = vec![
            ("gate", listeners.gate, gate, tls.clone(), self.observer(ListenerLabel::Gate)),
            ("webhook", listeners.webhook, webhook, tls, self.observer(ListenerLabel::Webhook)),
            ("admin", listeners.admin, admin, None, unobserved()),
        ];
        all.extend(listeners.page.map(|listener| ("page", listener, page, None, unobserved())));
        for (name, listener, app, tls, observer) in all {
            let address = listener.local_addr()?;
            tracing::info!(%address, tls = tls.is_some(), "listening for {name}");
            let stop = stop.clone();
            tasks.spawn(async move {
                serve_observed(listener, app, tls, limits, observer, stop).await;
                Ok(())
            });
        }
        Ok(())
    }

    /// Reports connections on which no request arrived.
    fn observer(&self, listener: ListenerLabel) -> Observer {
        let shared = self.shared.clone();
        Arc::new(move |source, broken| shared.report_refused(listener, source, broken))
    }

    /// Opens the store, and answers questions from then on. Retries while the database cannot be reached. Returns
    /// `None` if `stop` is cancelled first.
    ///
    /// # Errors
    /// If a newer version made the database.
    pub async fn open(&self, stop: &CancellationToken) -> Result<Option<Worker>, store::Error> {
        select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            () = self.clusters.start(&self.clock, stop) => {}
        }
        let config::Store { url, allow_network_volume, .. } = &self.config.store;
        let mut last_logged: Option<(String, Instant)> = None;
        let (gatekeeper, worker) = loop {
            // Connecting may take long, and there is no request to finish yet.
            let opened = select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                opened = Store::open_on(url, AllowedVolumes::allowing(*allow_network_volume)) => opened,
            };
            let begun = match opened {
                Ok(store) => self.start(store).await,
                Err(error) => Err(error),
            };
            match begun {
                Ok(begun) => break begun,
                Err(error @ store::Error::Newer(_)) => return Err(error),
                Err(error) => {
                    let error = error.to_string();
                    let known = last_logged
                        .as_ref()
                        .is_some_and(|(before, at)| *before == error && at.elapsed() < STORE_LOG_EVERY);
                    if !known {
                        tracing::error!("store.url: {error}; every gate stays closed until it can be opened");
                        last_logged = Some((error, Instant::now()));
                    }
                }
            }
            select! {
                () = stop.cancelled() => return Ok(None),
                () = sleep(STORE_RETRY) => {}
            }
        };
        // Only this function sets it, and the bridge is opened once.
        drop(self.shared.gatekeeper.set(gatekeeper));
        Ok(Some(worker))
    }

    /// Creates the gatekeeper and the worker for the open store. From here on this process may hold the lease, and
    /// has to release it.
    async fn start(&self, store: Store) -> Result<(Arc<Gatekeeper>, Worker), store::Error> {
        let issues = Arc::clone(&self.jira);
        let links = AnswerLinks {
            browse: Arc::new(move |key| issues.browse_url(key)),
            status_page: self.config.server.public_url.clone(),
        };
        let (metrics, clusters) = (Arc::clone(&self.shared.metrics), Arc::clone(&self.clusters));
        let gatekeeper =
            Gatekeeper::new(store, Arc::clone(&self.config), links, Arc::clone(&metrics), clusters);
        let gatekeeper = Arc::new(gatekeeper);
        let worker =
            Worker::new(Arc::clone(&gatekeeper), Arc::clone(&self.jira), self.clock.clone(), metrics);
        // Before the first question: silence while no replica was running does not count. No other process can use
        // this SQLite file, so the previous holder of the lease is gone.
        let alone = gatekeeper.store().is_sqlite();
        if worker.keep_lease(alone).await? == LeaseOutcome::Standby {
            tracing::info!(
                "another replica talks to Jira; this one answers Flagger, and takes over if necessary"
            );
        }
        Ok((gatekeeper, worker))
    }

    async fn work(&self, stop: CancellationToken) -> anyhow::Result<()> {
        if let Some(worker) = self.open(&stop).await? {
            tracing::info!("ready");
            worker.run(stop, self.config.server.shutdown_grace).await;
        }
        Ok(())
    }
}

/// Logs once whether Jira accepts the bridge's credentials. Nothing waits for it.
async fn log_account(jira: Arc<Jira>, stop: CancellationToken) {
    if let Some(proxy) = jira.proxy() {
        tracing::info!("requests to Jira go through {proxy}");
    }
    let answer = select! {
        () = stop.cancelled() => return,
        answer = jira.myself() => answer,
    };
    match answer {
        Ok(account) => tracing::info!("Jira accepts the bridge as {:?}", account.name),
        Err(error) => tracing::warn!(
            "{error}; the bridge asks again as soon as there is something to do; run the command check for details"
        ),
    }
}

/// Counts each request to Jira in the metrics.
fn request_counter(metrics: Arc<Metrics>) -> jira::Observer {
    Arc::new(move |seen| {
        let status = match seen.outcome {
            jira::RequestOutcome::Answered(status) => Some(status),
            jira::RequestOutcome::Unreachable | jira::RequestOutcome::NoAnswer => None,
        };
        metrics.jira_request(seen.operation, status_class(status), seen.took);
        metrics.jira_throttled(seen.throttled);
    })
}

/// The health of the connection to Jira. Only the leader knows it; a standby only knows when the leader last renewed
/// its lease.
fn health(health: &jira::JiraHealth, leader: Option<LastLeader>, clock: &Clock) -> JiraHealthView {
    let now = clock.now();
    let ago = |at| format!("{} ago", rough_duration(now.since(at)));
    if let Some(LastLeader::Other { renewed }) = leader {
        let (late, renewed) = (now.since(renewed) > LEASE, ago(renewed));
        let (trouble, words) = if late {
            let words = format!(
                "the replica that talked to Jira last renewed its lease {renewed}; another takes over as soon as the \
                 database lets it"
            );
            (Trouble::Access, words)
        } else {
            let words = format!("another replica talks to Jira; it last renewed its lease {renewed}");
            (Trouble::None, words)
        };
        return JiraHealthView::new(trouble, words);
    }
    match health {
        jira::JiraHealth { refused: Some((since, denied)), .. } => {
            let (says, advice) = (denied.denial.describe(), denied.denial.advice());
            let words = format!("{says} ({}): {}; {advice}", ago(*since), denied.symptom);
            let next_try_at = health.next_probe.map(Rfc3339);
            JiraHealthView { next_try_at, ..JiraHealthView::new(Trouble::Access, words) }
        }
        jira::JiraHealth { paused_until: Some(until), .. } => {
            let words =
                format!("asked to wait; the next request goes out in {} s", until.since(now).as_secs());
            let next_try_at = Some(Rfc3339(*until));
            JiraHealthView { next_try_at, ..JiraHealthView::new(Trouble::Access, words) }
        }
        jira::JiraHealth { failing: Some(jira::Failing { since, tried, why }), .. } => {
            let words =
                format!("no request has worked since {} ({}): {why}", clock_time(*since), ago(*since));
            let tried_at = Some(Rfc3339(*tried));
            JiraHealthView { tried_at, ..JiraHealthView::new(Trouble::Requests, words) }
        }
        jira::JiraHealth { last_answer: Some(at), .. } => {
            JiraHealthView::new(Trouble::None, format!("last answered {}", ago(*at)))
        }
        jira::JiraHealth { .. } => JiraHealthView::new(Trouble::None, "has not answered yet".into()),
    }
}
