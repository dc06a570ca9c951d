//! Maps that are asked for each question.

use std::collections::HashMap;

/// A map whose keys are hashed more quickly than the standard library does. Whoever chooses the keys holds a token.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::quality::RandomState>;
