//! A namespace with a Canary, the bridge that guards it, and the Jira in which people decide.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use fake_jira::{FakeJira, Flavour, IssueView, MIA};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _};
use tokio::time::{Instant, sleep};

use super::{
    PATIENCE,
    api::Api,
    home,
    relay::{Call, Relay},
    target, until,
};
use crate::{
    contract::jira_openapi,
    world::program::{Home, Serving, jira_and_config, plain_client},
};

/// The token that the hooks bring.
const TOKEN: &str = "a-token-of-the-tests";

/// How long Flagger does nothing once it has done what it does at a look.
const QUIET: Duration = Duration::from_millis(800);
/// After this long a look has had no effect.
const NO_EFFECT: Duration = Duration::from_secs(4);

/// How many calls there were, and the status of the Canary.
type Progress = (usize, Value);

/// How far Flagger is with a Canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) phase: String,
    pub(super) weight: i64,
    pub(super) iterations: i64,
    pub(super) failed_checks: i64,
}

impl Position {
    /// As the status of a Canary shows it.
    pub(super) fn of(status: &Value) -> Self {
        let number = |key: &str| status[key].as_i64().unwrap_or_default();
        Self {
            phase: status["phase"].as_str().unwrap_or_default().to_owned(),
            weight: number("canaryWeight"),
            iterations: number("iterations"),
            failed_checks: number("failedChecks"),
        }
    }
}

pub(super) struct Scene {
    pub(super) api: Api,
    pub(super) namespace: String,
    pub(super) jira: FakeJira,
    pub(super) relay: Relay,
    bridge: Mutex<Serving>,
    looks: AtomicU32,
    home: Home,
}

impl Scene {
    /// A Canary in a namespace of this name, initialised with version 1.2.0. Its own namespace, interval and metrics
    /// server are replaced, and the hosts of its hooks, to which their token is added.
    pub(super) async fn start(namespace: &str, canary: Value) -> Self {
        Self::start_with(namespace, canary, "").await
    }

    /// The same, with further sections of the bridge's configuration.
    pub(super) async fn start_with(namespace: &str, canary: Value, sections: &str) -> Self {
        let api = Api::connect().await;
        let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
        let kubeconfig = bridge_kubeconfig(&api, home.0.path().join("kubeconfig")).await;
        let settings = format!(
            "[flagger]\nnamespaces = [\"{namespace}\"]\ntoken = \"{TOKEN}\"\n\
             [kubernetes]\nmode = \"bind\"\nkubeconfig_file = \"{}\"\n",
            kubeconfig.display()
        );
        fs::write(&config, fs::read_to_string(&config).unwrap() + &settings + sections).unwrap();
        let bridge = Serving::start(&config);
        let relay = Relay::start(&bridge.addresses[0]).await;
        let scene = Self {
            api,
            namespace: namespace.to_owned(),
            jira,
            relay,
            bridge: Mutex::new(bridge),
            looks: AtomicU32::new(0),
            home,
        };
        scene.api.makes_namespace(namespace).await;
        scene.pushes(&target::image("1.2.0")).await;
        scene.initialises(canary).await;
        scene
    }

    /// Creates the Canary, and waits until Flagger has initialised it. Each look is waited for until its outcome: one that
    /// is under way when the test goes on would be taken for the next, and its questions with it.
    async fn initialises(&self, canary: Value) {
        let before = self.said_not_ready();
        self.api.applies(&self.adapted(canary)).await;
        // It looks at a new one by itself.
        self.has_initialised_since(before).await;
        while self.position().await.phase != "Initialized" {
            let before = self.said_not_ready();
            self.looks().await;
            self.has_initialised_since(before).await;
        }
        // After it has saved the phase, it looks whether something was pushed: the test's first push is for the next look.
        self.rests(self.progress().await).await;
    }

    /// Waits until Flagger has initialised the Canary, or says once more that it waits for the primary.
    async fn has_initialised_since(&self, said: usize) {
        until("Flagger looks at a Canary that is not initialised", async || {
            self.said_not_ready() > said || self.position().await.phase == "Initialized"
        })
        .await;
    }

    /// How often Flagger has logged that it waits for the primary, which is the last it does at a look.
    fn said_not_ready(&self) -> usize {
        let words = format!("podinfo-primary.{} not ready", self.namespace);
        self.flagger_lines().iter().filter(|line| line.contains(&words)).count()
    }

    /// What each Flagger has logged about this Canary.
    fn flagger_lines(&self) -> Vec<String> {
        let ours = format!("podinfo.{}\"", self.namespace);
        let log =
            |replica| fs::read_to_string(home().join(format!("flagger-{replica}.log"))).unwrap_or_default();
        let ours = |log: String| -> Vec<String> {
            log.lines().filter(|line| line.contains(&ours)).map(str::to_owned).collect()
        };
        [1, 2].map(log).into_iter().flat_map(ours).collect()
    }

    fn adapted(&self, mut canary: Value) -> Value {
        canary["metadata"]["namespace"] = json!(self.namespace);
        canary["spec"]["metricsServer"] = json!(format!("http://{}", self.relay.address));
        canary["spec"]["analysis"]["interval"] = json!("10m");
        for hook in canary["spec"]["analysis"]["webhooks"].as_array_mut().unwrap() {
            let url = hook["url"].as_str().unwrap();
            let path = url.splitn(4, '/').last().unwrap();
            hook["url"] = json!(format!("http://any:{TOKEN}@{}/{path}", self.relay.address));
        }
        canary
    }

    pub(super) fn canary_path(&self) -> String {
        format!("/apis/flagger.app/v1beta1/namespaces/{}/canaries/podinfo", self.namespace)
    }

    /// Somebody deploys this image.
    pub(super) async fn pushes(&self, image: &str) {
        self.api.applies(&target::deployment(&self.namespace, image)).await;
        self.relay.deploys(image);
    }

    /// The image of what serves users.
    pub(super) async fn primary(&self) -> String {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/podinfo-primary", self.namespace);
        let primary = self.api.get(&path).await.unwrap();
        primary["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }

    pub(super) async fn position(&self) -> Position {
        Position::of(&self.status().await)
    }

    /// Lets Flagger look at the Canary once. It does so whenever the interval becomes another, and the shortest interval
    /// is ten seconds.
    pub(super) async fn looks(&self) {
        target::marks_ready(&self.api, &self.namespace).await;
        let interval = if self.looks.fetch_add(1, SeqCst).is_multiple_of(2) { "11m" } else { "10m" };
        let patch = json!({ "spec": { "analysis": { "interval": interval } } });
        self.api.patches(&self.canary_path(), &patch).await;
    }

    /// Lets Flagger look until a condition holds.
    pub(super) async fn looks_until(&self, what: &str, mut condition: impl AsyncFnMut(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self).await {
            assert!(began.elapsed() < PATIENCE, "never: {what}");
            let before = self.progress().await;
            self.looks().await;
            self.settles(before).await;
        }
    }

    async fn progress(&self) -> Progress {
        let canary = self.api.get(&self.canary_path()).await;
        (self.relay.calls().len(), canary.map_or(Value::Null, |it| it["status"].clone()))
    }

    /// The status of the Canary.
    pub(super) async fn status(&self) -> Value {
        self.progress().await.1
    }

    /// Waits until Flagger has done something and is done with it: two looks at a time would ask twice. A look may have
    /// no effect.
    async fn settles(&self, before: Progress) {
        let began = Instant::now();
        while began.elapsed() < NO_EFFECT && self.progress().await == before {
            sleep(Duration::from_millis(50)).await;
        }
        self.rests(before).await;
    }

    /// Waits until Flagger has done nothing for some time.
    async fn rests(&self, before: Progress) {
        let (mut last, mut changed) = (before, Instant::now());
        while changed.elapsed() < QUIET {
            sleep(Duration::from_millis(50)).await;
            let now = self.progress().await;
            if now != last {
                (last, changed) = (now, Instant::now());
            }
        }
    }

    /// The bridge's gates, as `GET /api/gates` shows them.
    pub(super) async fn gates(&self) -> Vec<Value> {
        let address = self.bridge.lock().unwrap().addresses[2].clone();
        let answer = get(&format!("{address}/api/gates")).await;
        serde_json::from_str::<Value>(&answer).unwrap().as_array().unwrap().clone()
    }

    /// The key of the ticket of this stage, if its gate waits.
    pub(super) async fn ticket(&self, stage: &str) -> Option<String> {
        let gates = self.gates().await;
        let gate = gates.iter().find(|gate| gate["stage"] == stage)?;
        gate["ticket"]["key"].as_str().map(str::to_owned)
    }

    pub(super) fn issue(&self, key: &str) -> IssueView {
        self.jira.issue(key).unwrap()
    }

    /// The change manager moves a ticket, and the bridge reads that.
    pub(super) async fn decides(&self, key: &str, status: &str) {
        self.jira.move_issue(key, status, MIA).unwrap();
        until(&format!("the bridge reads that {key} is {status}"), async || {
            self.gates()
                .await
                .iter()
                .any(|gate| gate["ticket"]["key"] == *key && gate["ticket"]["status"] == *status)
        })
        .await;
    }

    /// Lets Flagger look until a gate waits at this stage, decides its ticket, and returns the key.
    pub(super) async fn decides_at(&self, stage: &str, status: &str) -> String {
        self.looks_until(&format!("a ticket of {stage}"), async |scene| scene.ticket(stage).await.is_some())
            .await;
        let key = self.ticket(stage).await.unwrap();
        self.decides(&key, status).await;
        key
    }

    /// What the bridge commented on a ticket.
    pub(super) fn comments(&self, key: &str) -> String {
        self.issue(key).comments.iter().map(fake_jira::Comment::text).collect::<Vec<_>>().join("\n")
    }

    /// Waits until a ticket is told how its rollout ended.
    pub(super) async fn is_told(&self, key: &str, outcome: &str) {
        until(&format!("{key} is told: {outcome}"), async || self.comments(key).contains(outcome)).await;
    }

    /// Lets Flagger look until it has promoted this image.
    pub(super) async fn ships(&self, image: &str) {
        self.looks_until("a success", async |scene| scene.position().await.phase == "Succeeded").await;
        assert_eq!(self.primary().await, image);
    }

    /// Repeats a question, past Flagger.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(super) async fn asks(&self, question: &Call) -> (u16, String) {
        let url = format!("http://any:{TOKEN}@{}{}", self.relay.address, question.path);
        let request = plain_client().post(url).header("content-type", "application/json");
        let answer = request.body(question.body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until the bridge has seen that another version ran, though Flagger did not ask about it.
    pub(super) async fn sees_another_version(&self) {
        sqlx::any::install_default_drivers();
        let mut database = AnyConnection::connect(&self.home.1.url).await.unwrap();
        until("the bridge sees another version", async || {
            let query = "SELECT COUNT(*) FROM canary WHERE state LIKE '%\"other_ran\":true%'";
            sqlx::query_scalar::<_, i64>(query).fetch_one(&mut database).await.unwrap() == 1
        })
        .await;
    }

    /// Somebody deletes the Canary and creates it again.
    pub(super) async fn recreates(&self, canary: Value) {
        self.api.deletes(&self.canary_path()).await;
        self.initialises(canary).await;
    }

    /// Ends the test: no gate was opened by a ticket that did not show what Flagger started, and Jira would have
    /// accepted each request.
    pub(super) async fn finish(self) {
        for call in self.relay.calls().iter().filter(|call| call.opened()) {
            let key = call.answer.split(' ').find(|word| word.starts_with("OPS-")).unwrap_or_default();
            let ticket = fake_jira::text(&self.issue(key.trim_matches([',', ':'])).description);
            // The table of containers, cell by cell: name, runs now, after the rollout.
            let row = ticket.split("After the rollout\npodinfo\n").nth(1).unwrap_or_default();
            assert_eq!(row.lines().nth(1), Some(call.deployed.as_str()), "{call:?}:\n{ticket}");
        }
        self.keeps_tickets();
        assert_eq!(self.jira.complaints(), Vec::<String>::new());
        assert_eq!(jira_openapi::violations(&self.jira.requests()), Vec::<String>::new());
        self.api.deletes(&self.canary_path()).await;
    }
}

impl Scene {
    /// Leaves the tickets in `target/tickets`, for people to read.
    fn keeps_tickets(&self) {
        let mut text = String::new();
        for issue in self.jira.issues() {
            let IssueView { key, status, summary, .. } = &issue;
            let description = fake_jira::text(&issue.description);
            text += &format!("{key} ({status}): {summary}\n\n{description}\n\n");
            for comment in &issue.comments {
                text += &format!("Comment: {}\n\n", comment.text());
            }
        }
        fs::create_dir_all("target/tickets").unwrap();
        fs::write(format!("target/tickets/{}.txt", self.namespace), text).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for call in self.relay.calls() {
            println!("{} {} {} {}", call.path, call.status, call.body, call.answer);
        }
        let bridge = self.bridge.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!("the bridge's log:\n{}", bridge.log());
        let lines = self.flagger_lines();
        println!("Flagger's log:\n{}", lines[lines.len().saturating_sub(120)..].join("\n"));
    }
}

/// Writes a kubeconfig with the rights that the chart gives to the bridge.
async fn bridge_kubeconfig(api: &Api, file: PathBuf) -> PathBuf {
    let token = api.token("flagger", "flagger-jira-bridge").await;
    let admin = fs::read_to_string(home().join("kubeconfig")).unwrap();
    let (before, rest) = admin.split_once("token: ").unwrap();
    let (_, after) = rest.split_once(' ').unwrap();
    fs::write(&file, format!("{before}token: {token} {after}")).unwrap();
    file
}

#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn get(url: &str) -> String {
    plain_client().get(url).send().await.unwrap().text().await.unwrap()
}
