//! The map type for look-ups on every question.

use std::collections::HashMap;

/// A map with a faster hash than the standard library's. Only callers with a valid token choose its keys.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::quality::RandomState>;
