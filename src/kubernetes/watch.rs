//! Watches the objects of one kind, for ever.

use std::time::Duration;

use futures_util::StreamExt as _;
use kube::{
    Api, Client,
    core::DynamicObject,
    runtime::watcher::{self, Event, watcher},
};
use serde_json::Value;
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    error,
    kind::Kind,
    objects::{Name, Objects},
    reduce::reduce,
};
use crate::clock::Clock;

/// How long to wait after a failure; twice as long after each further one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// How long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Which objects are watched.
pub(super) struct Watch {
    pub(super) kind: Kind,
    /// `None`: of all namespaces.
    pub(super) namespace: Option<String>,
    pub(super) objects: Objects,
}

impl Watch {
    pub(super) fn new(kind: Kind, namespace: Option<String>) -> Self {
        Self { kind, namespace, objects: Objects::default() }
    }

    /// Whether it shows the objects of this kind and namespace.
    pub(super) fn shows(&self, kind: Kind, namespace: &str) -> bool {
        self.kind == kind && self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    /// Watches until `stop`, or until the API server rejects the credentials. Whatever else fails is tried again.
    pub(super) async fn run(&self, cluster: &str, client: Client, clock: &Clock, stop: &CancellationToken) {
        let resource = self.kind.api_resource();
        let api: Api<DynamicObject> = match &self.namespace {
            None => Api::all_with(client, &resource),
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        };
        let mut events = watcher(api, watcher::Config::default()).boxed();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let event = select! {
                biased;
                () = stop.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                // Each attempt to list begins with this.
                Some(Ok(Event::Init)) => {
                    self.objects.begin_list();
                    continue;
                }
                Some(Ok(event)) => {
                    self.apply(event);
                    pause = SHORTEST_PAUSE;
                    continue;
                }
                // The history that a watch may go back to is short; the watcher lists again.
                Some(Err(watcher::Error::WatchError(status))) if status.code == 410 => {}
                Some(Err(error)) => {
                    self.fail(cluster, error::of_watch(&error), clock);
                    if error::is_unauthorized(&error) {
                        return;
                    }
                }
                None => return,
            }
            select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => pause = LONGEST_PAUSE.min(pause * 2),
            }
        }
    }

    fn apply(&self, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.objects.begin_list(),
            Event::InitApply(object) => {
                if let Some((name, object)) = self.keep(object) {
                    self.objects.list(name, object);
                }
            }
            Event::InitDone => self.objects.end_list(),
            Event::Apply(object) => {
                if let Some((name, object)) = self.keep(object) {
                    self.objects.put(name, object);
                }
            }
            Event::Delete(object) => {
                if let Some(name) = name(&object) {
                    self.objects.remove(&name);
                }
            }
        }
    }

    /// What is kept of an object.
    fn keep(&self, object: DynamicObject) -> Option<(Name, Value)> {
        let name = name(&object)?;
        let mut object = serde_json::to_value(object).ok()?;
        reduce(self.kind, &mut object);
        Some((name, object))
    }

    /// Notes that the objects cannot be read, and logs each cause once.
    pub(super) fn fail(&self, cluster: &str, why: String, clock: &Clock) {
        if self.objects.fail(why.clone(), clock.now()) {
            let resource = self.kind.resource();
            tracing::warn!(cluster, "{resource} cannot be read: {why}; this is tried again");
        }
    }
}

fn name(object: &DynamicObject) -> Option<Name> {
    Some((object.metadata.namespace.clone()?, object.metadata.name.clone()?))
}
