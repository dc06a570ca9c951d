//! The fake API server: what tests and the demo can read from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::{kind::Kind, recorded::Recorded, state::State, store::Key};

/// A Kubernetes API server in memory. Clones share their state.
#[derive(Clone)]
pub struct FakeKubernetes(Arc<Mutex<State>>);

impl Default for FakeKubernetes {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeKubernetes {
    /// A server without objects, whose only account may do what the bridge needs: get, list and watch Canaries,
    /// Deployments and DaemonSets; create and patch Events of `events.k8s.io`; create SelfSubjectAccessReviews.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State::new())))
    }

    /// A kubeconfig in YAML that names this server and holds the account's token. To be called after
    /// [`FakeKubernetes::start`].
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let state = self.lock();
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: fake\n\
             clusters: [{{ name: fake, cluster: {{ server: \"{}\" }} }}]\n\
             users: [{{ name: bridge, user: {{ token: \"{}\" }} }}]\n\
             contexts: [{{ name: fake, context: {{ cluster: fake, user: bridge }} }}]\n",
            state.url, state.token
        )
    }

    /// An object by its kind (such as `Deployment`), namespace and name, as it is stored.
    #[must_use]
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = Key::new(Kind::named(kind)?, namespace, name);
        self.lock().store.get(&key).map(|object| Value::clone(object))
    }

    /// All Events, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let events = self.lock().store.list(Kind::Event, None);
        let mut events: Vec<Value> = events.iter().map(|event| Value::clone(event)).collect();
        // Those that callers create are numbered by their uid.
        events.sort_by(|a, b| a["metadata"]["uid"].as_str().cmp(&b["metadata"]["uid"].as_str()));
        events
    }

    /// Every request since the last [`FakeKubernetes::clear_requests`], in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().requests.iter().map(|(_, recorded)| recorded.clone()).collect()
    }

    /// Discards the recorded requests.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }

    /// The mistakes of the callers: requests that this server does not serve, or that every API server would reject,
    /// whatever its objects and the caller's rights; and objects given to it that it cannot store.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lock().complaints.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
