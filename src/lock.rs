//! Locks shared state.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks the mutex, even after a panic: no change under a lock can stop half way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
