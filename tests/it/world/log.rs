//! What a bridge logs.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Level,
    dispatcher::{DefaultGuard, set_default},
};

/// What the bridge logs while this lives.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Of a single subscriber `tracing` asks only the thread that comes to a line of the log first: where that is one that listens to
/// nothing, as another test's may be, the line is off for all. Of several it asks each.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Log::default().subscriber(Level::TRACE)));

impl Log {
    /// Begins to write down all that is logged by bridges that are started on this thread from now on.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = set_default(&log.dispatch(Level::TRACE));
        (log, guard)
    }

    /// Writes down what is logged where this is the dispatcher, up to a level.
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

    /// What was logged since the last time.
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

/// Tests run beside each other, and what one that listens to nothing logs first is still heard by those that listen.
#[test]
fn what_others_log_first_is_heard_here() {
    let says = || tracing::warn!("this is said by two threads");
    let (log, _guard) = Log::start();
    std::thread::spawn(says).join().unwrap();
    says();
    assert_eq!(log.text().matches("said by two threads").count(), 1, "{}", log.text());
}
