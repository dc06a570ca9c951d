//! Captures what a bridge logs.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Level,
    dispatcher::{DefaultGuard, set_default},
};

/// A captured log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// With a single subscriber, `tracing` caches whether a log line is enabled on the thread that reaches it first; if
/// that thread has no subscriber, as another test's may, the line is off for all. With several it asks each of them.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Log::default().subscriber(Level::TRACE)));

impl Log {
    /// Starts capturing what bridges started on this thread log.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = set_default(&log.dispatch(Level::TRACE));
        (log, guard)
    }

    /// A dispatcher that writes to this log, up to a level.
    pub(crate) fn dispatch(&self, level: Level) -> Dispatch {
        LazyLock::force(&OTHERS);
        self.subscriber(level)
    }

    fn subscriber(&self, level: Level) -> Dispatch {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
        Dispatch::new(subscriber.with_writer(move || log.clone()).finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Returns and clears what was logged since the last call.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tests run concurrently: a line that a test without a subscriber logs first must still be captured by the others.
#[test]
fn a_line_that_another_thread_logs_first_is_captured() {
    let log_line = || tracing::warn!("logged by two threads");
    let (log, _guard) = Log::start();
    std::thread::spawn(log_line).join().unwrap();
    log_line();
    assert_eq!(log.text().matches("logged by two threads").count(), 1, "{}", log.text());
}
