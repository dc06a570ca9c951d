//! What one watch has shown.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

use crate::{
    lock::lock,
    millis::Millis,
    rollout::{Analysis, SeenAnalysis},
};

/// A watch that failed is tried again within half a minute, and does not tell when that succeeds: after this long
/// without another error it counts as working.
const FAILING_FOR: Duration = Duration::from_mins(1);

/// The namespace and name of an object.
pub(super) type Name = (String, String);

/// The objects that one watch has shown.
#[derive(Default)]
pub(super) struct Objects {
    inner: Mutex<Inner>,
    /// Whether there was an answer: a complete list, or an error.
    answered: watch::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    /// `None`: there was no complete list yet.
    objects: Option<HashMap<Name, Object>>,
    /// Those of a list that is not complete yet.
    listing: HashMap<Name, Object>,
    /// Why the watch failed lately.
    failure: Option<Failure>,
    /// How often the objects have changed.
    changes: u64,
}

/// An object, and what has to be remembered of it.
struct Object {
    value: Arc<Value>,
    /// Of a Canary.
    analysis: Option<SeenAnalysis>,
}

impl Object {
    /// The object as it is now.
    fn new(value: Value, before: Option<&Self>) -> Self {
        let analysis = SeenAnalysis::of(&value, before.and_then(|before| before.analysis.as_ref()));
        Self { value: Arc::new(value), analysis }
    }
}

/// Why a watch fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// When it began to.
    pub(super) since: Millis,
    /// Why, on one line.
    pub(super) why: String,
    /// When it failed last.
    last: Millis,
}

impl Objects {
    /// A list begins.
    pub(super) fn begin_list(&self) {
        lock(&self.inner).listing.clear();
    }

    /// An object of the list.
    pub(super) fn list(&self, name: Name, object: Value) {
        let mut inner = lock(&self.inner);
        let before = inner.objects.as_ref().and_then(|objects| objects.get(&name));
        let object = Object::new(object, before);
        inner.listing.insert(name, object);
    }

    /// The list is complete: what is not in it does not exist.
    pub(super) fn end_list(&self) {
        let mut inner = lock(&self.inner);
        inner.objects = Some(std::mem::take(&mut inner.listing));
        inner.failure = None;
        inner.changes += 1;
        self.answered.send_replace(true);
    }

    /// An object was created or changed.
    pub(super) fn put(&self, name: Name, object: Value) {
        let mut inner = lock(&self.inner);
        inner.failure = None;
        inner.changes += 1;
        let objects = inner.objects.get_or_insert_default();
        let object = Object::new(object, objects.get(&name));
        objects.insert(name, object);
    }

    /// An object was deleted.
    pub(super) fn remove(&self, name: &Name) {
        let mut inner = lock(&self.inner);
        inner.failure = None;
        inner.changes += 1;
        inner.objects.get_or_insert_default().remove(name);
    }

    /// The API server refused, or could not be reached. Returns whether it did not fail for this reason before.
    pub(super) fn fail(&self, why: String, now: Millis) -> bool {
        let mut inner = lock(&self.inner);
        let known = inner.failure.take().filter(|known| known.is_current(now));
        let is_new = known.as_ref().is_none_or(|known| known.why != why);
        let since = known.map_or(now, |known| known.since);
        inner.failure = Some(Failure { since, why, last: now });
        self.answered.send_replace(true);
        is_new
    }

    /// Waits until the API server has listed the objects, or has failed to.
    pub(super) async fn answered(&self) {
        // It fails only if the sender is gone, which is in `self`.
        drop(self.answered.subscribe().wait_for(|answered| *answered).await);
    }

    /// The object of this name. The error says why it is not known whether it exists.
    pub(super) fn get(&self, name: &Name, now: Millis) -> Result<Option<Arc<Value>>, NotListed> {
        let inner = lock(&self.inner);
        match &inner.objects {
            Some(objects) => Ok(objects.get(name).map(|object| Arc::clone(&object.value))),
            None => {
                let failure = inner.failure.clone().filter(|failure| failure.is_current(now));
                Err(NotListed { failure })
            }
        }
    }

    /// How often the objects have changed.
    pub(super) fn changes(&self) -> u64 {
        lock(&self.inner).changes
    }

    /// How far the analysis of the Canary of this name is.
    pub(super) fn analysis(&self, name: &Name) -> Option<Analysis> {
        let inner = lock(&self.inner);
        Some(inner.objects.as_ref()?.get(name)?.analysis.as_ref()?.analysis)
    }

    /// All objects; none if they were not listed yet.
    pub(super) fn all(&self) -> Vec<Arc<Value>> {
        let inner = lock(&self.inner);
        inner.objects.iter().flat_map(HashMap::values).map(|object| Arc::clone(&object.value)).collect()
    }

    /// Why the watch fails now, if it does.
    pub(super) fn failure(&self, now: Millis) -> Option<Failure> {
        lock(&self.inner).failure.clone().filter(|failure| failure.is_current(now))
    }
}

impl Failure {
    fn is_current(&self, now: Millis) -> bool {
        now.abs_diff(self.last) <= FAILING_FOR
    }
}

/// The API server has not sent a complete list yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotListed {
    /// Why not. `None`: it has not answered yet.
    pub(super) failure: Option<Failure>,
}
