//! One cluster: its watches, and what they show of a canary.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{join, select_all};
use globset::GlobSet;
use kube::{Api, Client, core::DynamicObject};
use serde_json::Value;
use tokio::{
    select,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    connect::connect,
    error,
    kind::Kind,
    objects::{Failure, Name, NotListed},
    reduce::reduce,
    watch::Watch,
};
use crate::{
    clock::Clock,
    lock::lock,
    millis::{Millis, clock_time},
    rollout::{Analysis, CanaryStatus, Reading, StepReading, next_share},
    workload::{self, Shown},
};

/// How long to wait before a kubeconfig that could not be used is read again.
const CONNECT_RETRY: Duration = Duration::from_secs(10);
/// For more canaries than this the changes are worked out again.
const MOST_KNOWN: usize = 10_000;
/// How long a question waits for the API server.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Why nothing is known after [`READ_TIMEOUT`].
const LATE: &str = "the API server did not answer within a second";

/// It is not known whether there is such a Canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCanary;

/// A cluster that the bridge reads.
pub(super) struct Cluster {
    name: String,
    kubeconfig: Option<PathBuf>,
    watches: Vec<Watch>,
    /// What was worked out for each canary that Flagger asked about.
    known: Mutex<HashMap<Name, Known>>,
    /// Once there are credentials.
    client: Mutex<Option<Client>>,
}

/// A Canary, its target and what runs now.
struct Triple {
    canary: Arc<Value>,
    /// Of the target.
    kind: Kind,
    target: Arc<Value>,
    primary: Option<Arc<Value>>,
}

impl Triple {
    /// Whether these are the same objects, unchanged.
    fn are(&self, others: &Self) -> bool {
        let same_primary = match (&self.primary, &others.primary) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        Arc::ptr_eq(&self.canary, &others.canary) && Arc::ptr_eq(&self.target, &others.target) && same_primary
    }
}

struct Known {
    objects: Triple,
    as_of: Option<Millis>,
    shown: Arc<Shown>,
}

impl Cluster {
    /// A cluster with one watch for each kind, or for each kind in each of these namespaces.
    pub(super) fn new(name: String, kubeconfig: Option<PathBuf>, namespaces: Option<&[String]>) -> Self {
        let places: Vec<Option<String>> = match namespaces {
            None => vec![None],
            Some(names) => names.iter().cloned().map(Some).collect(),
        };
        let watches =
            places.iter().flat_map(|namespace| Kind::ALL.map(|kind| Watch::new(kind, namespace.clone())));
        Self {
            name,
            kubeconfig,
            watches: watches.collect(),
            known: Mutex::default(),
            client: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn kubeconfig(&self) -> Option<&PathBuf> {
        self.kubeconfig.as_ref()
    }

    /// Sends requests, once there are credentials.
    pub(super) fn client(&self) -> Option<Client> {
        lock(&self.client).clone()
    }

    /// The namespaces that it watches: `None` for all.
    pub(super) fn namespaces(&self) -> Vec<Option<&str>> {
        let canaries = self.watches.iter().filter(|watch| watch.kind == Kind::Canary);
        canaries.map(|watch| watch.namespace.as_deref()).collect()
    }

    /// Reads it until `stop`. If its credentials cannot be used, or not any more, they are read again.
    pub(super) async fn run(&self, clock: &Clock, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match connect(self.kubeconfig.as_deref()).await {
                Ok(client) => {
                    *lock(&self.client) = Some(client.clone());
                    let watches =
                        self.watches.iter().map(|watch| watch.run(&self.name, client.clone(), clock, stop));
                    select_all(watches.map(Box::pin)).await;
                }
                Err(why) => self.watches.iter().for_each(|watch| watch.fail(&self.name, why.clone(), clock)),
            }
            select! {
                () = stop.cancelled() => {}
                () = sleep(CONNECT_RETRY) => {}
            }
        }
    }

    /// Waits until each watch has listed its objects, or has failed to.
    pub(super) async fn answered(&self) {
        for watch in &self.watches {
            watch.objects.answered().await;
        }
    }

    /// What a rollout of this canary would change, as far as the watches have shown it. It is worked out again only if
    /// one of the objects has changed, for Flagger asks often.
    pub(super) fn change(
        &self,
        namespace: &str,
        name: &str,
        annotations: &GlobSet,
        now: Millis,
    ) -> Arc<Shown> {
        let objects = match self.objects(namespace, name, now) {
            Ok(objects) => objects,
            Err(why) => return Arc::new(Shown::Unreadable { why }),
        };
        let kinds = [Kind::Canary, objects.kind];
        let as_of = self.failure(&kinds, namespace, now).map(|failure| failure.since);
        let key = (namespace.to_owned(), name.to_owned());
        let mut known = lock(&self.known);
        if let Some(known) =
            known.get(&key).filter(|known| known.objects.are(&objects) && known.as_of == as_of)
        {
            return Arc::clone(&known.shown);
        }
        let Triple { canary, target, primary, kind: _ } = &objects;
        let change = workload::change(canary, target, primary.as_deref(), &|name| annotations.is_match(name));
        let shown = Arc::new(Shown::Change { change, as_of });
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key, Known { objects, as_of, shown: Arc::clone(&shown) });
        shown
    }

    /// The same, as it is now. Needs no watch.
    pub(super) async fn read(
        &self,
        namespace: &str,
        name: &str,
        annotations: &GlobSet,
        reading: Reading,
    ) -> Arc<Shown> {
        let read = timeout(READ_TIMEOUT, async {
            // Its target may have become another.
            let canary = self.get(Kind::Canary, namespace, name).await?;
            let (kind, target) = target(&canary, namespace, name)?;
            let primary = format!("{target}-primary");
            let (target, primary) =
                join(self.get(kind, namespace, target), self.get_opt(kind, namespace, &primary)).await;
            let (target, primary) = (target?, primary?);
            let shows = |name: &str| annotations.is_match(name);
            let mut change = workload::change(&canary, &target, primary.as_ref(), &shows);
            change.configs = self.configs(namespace, &canary, &target, reading).await?;
            Ok(change)
        });
        let late = |_| Err(LATE.to_owned());
        Arc::new(match read.await.unwrap_or_else(late) {
            Ok(change) => Shown::Change { change, as_of: None },
            Err(why) => Shown::Unreadable { why },
        })
    }

    /// What the watch shows of a Canary.
    pub(super) fn canary(
        &self,
        namespace: &str,
        name: &str,
        now: Millis,
    ) -> Result<Option<CanaryStatus>, UnknownCanary> {
        if self.failure(&[Kind::Canary], namespace, now).is_some() {
            return Err(UnknownCanary);
        }
        let found = self.find(Kind::Canary, namespace, name, now).map_err(|_| UnknownCanary)?;
        found.map(|canary| CanaryStatus::of(&canary).ok_or(UnknownCanary)).transpose()
    }

    /// How often the watches of Canaries have shown something.
    pub(super) fn canary_changes(&self) -> u64 {
        let watches = self.watches.iter().filter(|watch| watch.kind == Kind::Canary);
        watches.map(|watch| watch.objects.changes()).sum()
    }

    /// The same, as it is now.
    pub(super) async fn read_canary(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<CanaryStatus>, UnknownCanary> {
        let read = timeout(READ_TIMEOUT, self.get_opt(Kind::Canary, namespace, name)).await;
        let found = read.map_err(|_| UnknownCanary)?.map_err(|_| UnknownCanary)?;
        found.map(|canary| CanaryStatus::of(&canary).ok_or(UnknownCanary)).transpose()
    }

    /// The step of traffic that a canary is about to take, as it is now.
    pub(super) async fn next_share(&self, namespace: &str, name: &str) -> StepReading {
        let read = timeout(READ_TIMEOUT, self.get(Kind::Canary, namespace, name)).await;
        match read.unwrap_or_else(|_| Err(LATE.to_owned())) {
            Ok(canary) => StepReading::Read(next_share(&canary)),
            Err(why) => StepReading::Unread { why },
        }
    }

    /// How far the analysis of a canary is, as the watch shows it.
    pub(super) fn analysis(&self, namespace: &str, name: &str, now: Millis) -> Option<Analysis> {
        let watch = self.watches.iter().find(|watch| watch.shows(Kind::Canary, namespace))?;
        if watch.objects.failure(now).is_some() {
            return None;
        }
        watch.objects.analysis(&(namespace.to_owned(), name.to_owned()))
    }

    /// All Canaries that the watches show.
    pub(super) fn canaries(&self) -> Vec<Arc<Value>> {
        let watches = self.watches.iter().filter(|watch| watch.kind == Kind::Canary);
        watches.flat_map(|watch| watch.objects.all()).collect()
    }

    /// An object as it is now. It must exist.
    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value, String> {
        self.get_opt(kind, namespace, name).await?.ok_or_else(|| self.missing(kind, namespace, name))
    }

    /// An object as it is now.
    async fn get_opt(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, String> {
        let client = self.client().ok_or_else(|| format!("cluster {} cannot be reached yet", self.name))?;
        let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &kind.api_resource());
        let object = api.get_opt(name).await.map_err(|error| error::of_request(&error))?;
        let Some(object) = object else { return Ok(None) };
        let mut object = serde_json::to_value(object).map_err(|error| error.to_string())?;
        reduce(kind, &mut object);
        Ok(Some(object))
    }

    fn missing(&self, kind: Kind, namespace: &str, name: &str) -> String {
        format!("there is no {} {namespace}/{name} in cluster {}", kind.as_str(), self.name)
    }

    fn objects(&self, namespace: &str, name: &str, now: Millis) -> Result<Triple, String> {
        let canary = self.object(Kind::Canary, namespace, name, now)?;
        let (kind, target_name) = target(&canary, namespace, name)?;
        let target = self.object(kind, namespace, target_name, now)?;
        let primary = self.find(kind, namespace, &format!("{target_name}-primary"), now)?;
        Ok(Triple { canary, kind, target, primary })
    }

    /// An object that must exist.
    fn object(&self, kind: Kind, namespace: &str, name: &str, now: Millis) -> Result<Arc<Value>, String> {
        let found = self.find(kind, namespace, name, now)?;
        found.ok_or_else(|| {
            format!("there is no {} {namespace}/{name} in cluster {}", kind.as_str(), self.name)
        })
    }

    fn find(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        now: Millis,
    ) -> Result<Option<Arc<Value>>, String> {
        let watch = self.watches.iter().find(|watch| watch.shows(kind, namespace));
        let Some(watch) = watch else {
            return Err(format!("the bridge does not read namespace {namespace}"));
        };
        watch.objects.get(&(namespace.to_owned(), name.to_owned()), now).map_err(|NotListed { failure }| {
            let resource = kind.resource();
            match failure {
                Some(Failure { since, why, .. }) => {
                    format!("{resource} cannot be read since {}: {why}", clock_time(since))
                }
                None => format!("the API server has not listed {resource} yet"),
            }
        })
    }

    /// Why the watch of one of these kinds fails, if one does.
    fn failure(&self, kinds: &[Kind], namespace: &str, now: Millis) -> Option<Failure> {
        let watches =
            kinds.iter().filter_map(|kind| self.watches.iter().find(|it| it.shows(*kind, namespace)));
        watches.filter_map(|watch| watch.objects.failure(now)).min_by_key(|failure| failure.since)
    }
}

/// The kind and name of a Canary's target.
fn target<'a>(canary: &'a Value, namespace: &str, name: &str) -> Result<(Kind, &'a str), String> {
    let text = |pointer: &str| canary.pointer(pointer).and_then(Value::as_str);
    let (Some(kind), Some(target)) = (text("/spec/targetRef/kind"), text("/spec/targetRef/name")) else {
        return Err(format!("Canary {namespace}/{name} names no target"));
    };
    match Kind::of_target(kind) {
        Some(kind) => Ok((kind, target)),
        None => {
            Err(format!("the target of the Canary is a {kind}, which does not say what runs in its pods"))
        }
    }
}
