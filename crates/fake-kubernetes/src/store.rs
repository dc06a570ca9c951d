//! The objects, and the history of their changes: what etcd keeps for the real server.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::Value;

use super::kind::Kind;

/// How many changes are kept. A watch from before them is told that its version is too old.
const HISTORY: usize = 10_000;
/// `metadata.creationTimestamp` of objects that come without one.
const CREATED: &str = "2026-09-21T13:33:20Z";

/// Which object: kind, namespace, name. Lists are in this order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of an object; `None` if its kind is not served here, or its namespace or name is missing.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let kind = Kind::named(object["kind"].as_str()?)?;
        let text = |field: &str| object["metadata"][field].as_str().filter(|text| !text.is_empty());
        (object["apiVersion"] == kind.api_version())
            .then(|| Some(Self::new(kind, text("namespace")?, text("name")?)))
            .flatten()
    }
}

/// What happened to an object.
#[derive(Clone, Copy)]
pub(super) enum What {
    Added,
    Modified,
    Deleted,
}

/// One change, which has a version of its own.
pub(super) struct Change {
    version: u64,
    kind: Kind,
    namespace: String,
    pub(super) what: What,
    /// The object afterwards; a deleted one as it was last, with the version of its deletion.
    pub(super) object: Arc<Value>,
}

/// What a watch gets that has seen every change up to some version.
pub(super) enum Since<'a> {
    /// These changes, which bring it up to this version.
    Changes(Vec<&'a Change>, u64),
    /// The changes after its version are no longer all kept. The oldest version to watch from.
    TooOld(u64),
}

#[derive(Default)]
pub(super) struct Store {
    /// The version of the last change: `metadata.resourceVersion` of lists.
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    /// The version of the last change that is not kept any more.
    compacted: u64,
    /// The last version that watches may know of, while they lag behind.
    held_at: Option<u64>,
    last_id: u64,
}

impl Store {
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The objects of a kind, in one namespace or in all.
    pub(super) fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let wanted =
            |key: &Key| key.kind == kind && namespace.is_none_or(|namespace| namespace == key.namespace);
        self.objects.iter().filter(|(key, _)| wanted(key)).map(|(_, object)| object.clone()).collect()
    }

    /// Creates or replaces an object. What the server sets is set: `uid` and `creationTimestamp` unless they are given,
    /// `generation` where the kind has one, and `resourceVersion`. As on the real server, an update that changes
    /// nothing is no change. Another `uid` means that the object before was deleted.
    ///
    /// Returns the object as it is stored.
    pub(super) fn put(&mut self, key: &Key, mut object: Value) -> Arc<Value> {
        let given = object["metadata"]["uid"].as_str();
        if given.is_some_and(|uid| self.objects.get(key).is_some_and(|old| old["metadata"]["uid"] != uid)) {
            self.remove(key);
        }
        let old = self.objects.get(key).cloned();
        let generation = key.kind.has_generation().then(|| generation(&object, old.as_deref()));
        let meta = &mut object["metadata"];
        if let Some(generation) = generation {
            meta["generation"] = generation.into();
        }
        for field in ["uid", "creationTimestamp"] {
            if meta[field].is_null() {
                meta[field] = match &old {
                    Some(old) => old["metadata"][field].clone(),
                    None if field == "uid" => {
                        format!("00000000-0000-4000-8000-{:012x}", self.new_id()).into()
                    }
                    None => CREATED.into(),
                };
            }
        }
        meta["resourceVersion"] = match &old {
            Some(old) => old["metadata"]["resourceVersion"].clone(),
            None => Value::Null,
        };
        if let Some(old) = old.as_ref().filter(|old| ***old == object) {
            return old.clone();
        }
        let what = if old.is_some() { What::Modified } else { What::Added };
        let object = self.record(key, what, object);
        self.objects.insert(key.clone(), object.clone());
        object
    }

    /// Deletes an object. Returns whether it existed.
    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let Some(object) = self.objects.remove(key) else { return false };
        self.record(key, What::Deleted, Value::clone(&object));
        true
    }

    fn record(&mut self, key: &Key, what: What, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        self.history.push_back(Change {
            version: self.version,
            kind: key.kind,
            namespace: key.namespace.clone(),
            what,
            object: object.clone(),
        });
        if self.history.len() > HISTORY
            && let Some(dropped) = self.history.pop_front()
        {
            self.compacted = dropped.version;
        }
        object
    }

    /// What a watch of this kind, in one namespace or in all, has not seen that has seen every change up to `position`.
    pub(super) fn since(&self, position: u64, kind: Kind, namespace: Option<&str>) -> Since<'_> {
        if position < self.compacted && self.held_at.is_none() {
            return Since::TooOld(self.compacted);
        }
        let known = self.held_at.unwrap_or(self.version);
        let first = self.history.partition_point(|change| change.version <= position);
        let changes =
            self.history.range(first..).take_while(|change| change.version <= known).filter(|change| {
                change.kind == kind && namespace.is_none_or(|namespace| namespace == change.namespace)
            });
        Since::Changes(changes.collect(), position.max(known))
    }

    /// Forgets the history, so that every version known until now is too old to watch from.
    pub(super) fn compact(&mut self) {
        self.version += 1;
        self.compacted = self.version;
        self.history.clear();
    }

    /// Lets watches lag behind: they get no change from now on, until [`Store::release`].
    pub(super) fn hold(&mut self) {
        self.held_at.get_or_insert(self.version);
    }

    pub(super) fn release(&mut self) {
        self.held_at = None;
    }

    /// A number that was not used before.
    pub(super) const fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// Counts the changes of `spec`. One that is given counts if it is further.
fn generation(object: &Value, old: Option<&Value>) -> u64 {
    let of = |object: &Value| object["metadata"]["generation"].as_u64().unwrap_or(0);
    let counted = old.map_or(1, |old| of(old) + u64::from(old["spec"] != object["spec"]));
    of(object).max(counted)
}
