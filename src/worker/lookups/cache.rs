//! What Jira said lately.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, time::Duration};

use crate::millis::Millis;

/// Answers by what was asked, each with when it was asked.
pub(super) struct Cache<K, V>(HashMap<K, (Millis, V)>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// What was said, if that is still believed.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(
        &self,
        key: &Q,
        believed: impl Fn(&V) -> Duration,
        now: Millis,
    ) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (asked, value) = self.0.get(key)?;
        (now.apart(*asked) < believed(value)).then(|| value.clone())
    }

    /// Keeps what was said, and forgets what is not believed any more.
    pub(super) fn keep(&mut self, key: K, value: &V, believed: impl Fn(&V) -> Duration, asked: Millis) {
        self.0.retain(|_, (at, value)| asked.apart(*at) < believed(value));
        self.0.insert(key, (asked, value.clone()));
    }
}
