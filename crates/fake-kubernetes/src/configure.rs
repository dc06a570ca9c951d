//! What tests and the demo do to the server: its objects, its rights, and its bad days.

use serde_json::Value;

use super::{
    fake::FakeKubernetes,
    kind::Kind,
    merge::merge,
    state::{Ending, State},
    store::Key,
};

impl FakeKubernetes {
    /// Creates an object, or replaces the one with the same kind, namespace and name. The server sets
    /// `metadata.resourceVersion`, `generation`, and `uid` and `creationTimestamp` unless they are given. An object with
    /// another `uid` than the one before deletes that first.
    ///
    /// Returns it as it is stored. `None`, and a complaint, if it is none of the kinds that are served, or has no
    /// namespace or name.
    #[expect(clippy::must_use_candidate, reason = "the object is stored, whoever looks at the answer")]
    pub fn apply(&self, object: Value) -> Option<Value> {
        self.change(|state| {
            let Some(key) = Key::of(&object) else {
                state.complaints.push(format!("an object that cannot be stored: {object}"));
                return None;
            };
            Some(Value::clone(&state.store.put(&key, object)))
        })
    }

    /// Changes an object by a merge patch: objects are merged, `null` removes. Returns it as it is stored; `None` if
    /// there is no such object.
    #[expect(clippy::must_use_candidate, reason = "the object is changed, whoever looks at the answer")]
    pub fn patch(&self, kind: &str, namespace: &str, name: &str, patch: &Value) -> Option<Value> {
        let key = Key::new(Kind::named(kind)?, namespace, name);
        self.change(|state| {
            let mut object = Value::clone(state.store.get(&key)?);
            merge(&mut object, patch);
            Some(Value::clone(&state.store.put(&key, object)))
        })
    }

    /// Deletes an object. Returns whether it existed.
    #[expect(clippy::must_use_candidate, reason = "the object is deleted, whoever looks at the answer")]
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let Some(kind) = Kind::named(kind) else { return false };
        self.change(|state| state.store.remove(&Key::new(kind, namespace, name)))
    }

    /// Sets the account's token.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.lock().token);
    }

    /// Takes a right away, such as `list` on `deployments`: everywhere, or in one namespace. As in RBAC, who lacks it in
    /// one namespace does not have it for the whole cluster. Watches that are open stay open.
    pub fn forbid(&self, verb: &str, resource: &str, namespace: Option<&str>) {
        self.lock().rights.forbid(verb, resource, namespace);
    }

    /// Grants a right: everywhere, or in one namespace.
    pub fn allow(&self, verb: &str, resource: &str, namespace: Option<&str>) {
        self.lock().rights.allow(verb, resource, namespace);
    }

    /// Answers 503 to every request and breaks the connections of the open watches, or serves again.
    pub fn unavailable(&self, unavailable: bool) {
        self.change(|state| {
            state.unavailable = unavailable;
            if unavailable {
                state.end_watches(Ending::Cut);
            }
        });
    }

    /// Answers nothing: open watches stay open and send nothing, not even at their end, and requests wait. Or goes on:
    /// the requests that still wait are answered.
    pub fn hang(&self, hanging: bool) {
        self.change(|state| state.hanging = hanging);
    }

    /// Forgets all changes until now, as etcd does when it is compacted: open watches, new ones from an older version,
    /// and the next pages of lists get 410 Gone.
    pub fn expire_watches(&self) {
        self.change(|state| {
            state.store.compact();
            state.pages.clear();
        });
    }

    /// Lets watches lag behind: they send no change from now on, until [`FakeKubernetes::release`]. Get and list still
    /// show the newest.
    pub fn hold(&self) {
        self.lock().store.hold();
    }

    /// Lets watches send what they held back.
    pub fn release(&self) {
        self.change(|state| state.store.release());
    }

    /// Ends the open watches in order, as a server that restarts does. What they missed is still known.
    pub fn close_watches(&self) {
        self.change(|state| state.end_watches(Ending::Closed));
    }

    /// Changes the state, and lets watches and waiting requests look at it again.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.changed.send_replace(());
        result
    }
}
