//! Locking what a room keeps.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks it, also after a panic: no change that is made under a lock can stop half way.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
