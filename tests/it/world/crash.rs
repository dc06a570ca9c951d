//! Stories told again while the bridge is killed: each time at another step, and then by two replicas.
//!
//! The bridge says `committing` and `committed` around each transaction, `sending` and `answered` around each request
//! that must not be made twice. What a process did up to there is done, and nothing after it.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use fake_jira::Flavour;
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, Event, Metadata, Subscriber, span};

/// At how many steps a story is cut, for each kind of Jira, if nothing else is said: a number, or `all`; or at which one alone,
/// such as `step 66`.
const CUTS: &str = "TEST_CUTS";
const FEW: usize = 2;

thread_local! {
    static PLAN: RefCell<Option<Arc<Plan>>> = const { RefCell::new(None) };
}

/// How a story is told.
pub(crate) struct Plan {
    /// Before which Jira.
    pub(crate) flavour: Flavour,
    /// By how many processes.
    pub(crate) replicas: usize,
    cut_at: Option<usize>,
    steps: AtomicUsize,
}

impl Plan {
    /// That of the story that is told on this thread; none if it is told as it stands.
    pub(crate) fn current() -> Option<Arc<Self>> {
        PLAN.with_borrow(Clone::clone)
    }

    /// Whether a process was killed.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut_at.is_some_and(|at| self.steps.load(SeqCst) >= at)
    }

    /// Where the steps of a process go that `dead` kills.
    pub(crate) fn watches(self: &Arc<Self>, dead: CancellationToken) -> Dispatch {
        LazyLock::force(&ALWAYS);
        Dispatch::new(Steps { plan: Arc::clone(self), dead })
    }

    /// Tells the story. The events it took.
    fn tell(
        flavour: Flavour,
        replicas: usize,
        cut_at: Option<usize>,
        story: fn(),
    ) -> std::thread::Result<usize> {
        let plan = Arc::new(Self { flavour, replicas, cut_at, steps: AtomicUsize::new(0) });
        PLAN.set(Some(Arc::clone(&plan)));
        let told = catch_unwind(AssertUnwindSafe(story));
        PLAN.set(None);
        told.map(|()| plan.steps.load(SeqCst))
    }
}

/// Somebody who always listens. Without one, an event that another test meets first, just as a dispatcher comes or goes, can
/// be switched off for all of them.
static ALWAYS: LazyLock<Dispatch> = LazyLock::new(|| {
    let plan = Plan { flavour: Flavour::Cloud, replicas: 1, cut_at: None, steps: AtomicUsize::new(0) };
    Dispatch::new(Steps { plan: Arc::new(plan), dead: CancellationToken::new() })
});

/// Kills a process at its step.
struct Steps {
    plan: Arc<Plan>,
    dead: CancellationToken,
}

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "step"
    }

    fn event(&self, _: &Event<'_>) {
        if !self.dead.is_cancelled() {
            let step = self.plan.steps.fetch_add(1, SeqCst) + 1;
            if Some(step) != self.plan.cut_at {
                return;
            }
            self.dead.cancel();
        }
        // Not a word: this is no failure. What is on this process' thread from here on is dropped as it stands.
        resume_unwind(Box::new("killed"));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Which of so many steps a story is cut at: all, or a few at even distances.
fn chosen(steps: usize) -> Vec<usize> {
    let few = match std::env::var(CUTS).as_deref() {
        Ok("all") => steps,
        Ok(text) => match text.strip_prefix("step ") {
            Some(step) => return vec![step.parse().expect("TEST_CUTS names a step")],
            None => text.parse().expect("TEST_CUTS is a number, all, or one step"),
        },
        Err(_) => FEW,
    };
    let few = few.min(steps);
    (0..few).map(|nth| 1 + (nth * steps + steps / 2) / few).collect()
}

/// Tells a story once for each step, and kills the process there. Another one goes on with the same database, and the
/// story must come to the same end.
pub(crate) fn cut_at_each_step(name: &str, story: fn()) {
    let mut wrong = Vec::new();
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let steps = Plan::tell(flavour, 1, None, story).unwrap_or_else(|failed| resume_unwind(failed));
        assert!(steps > 0, "nothing is written before {flavour:?}");
        let cuts = chosen(steps);
        println!("{name}, {flavour:?}: {} of {steps} steps", cuts.len());
        for cut in cuts {
            if Plan::tell(flavour, 1, Some(cut), story).is_err() {
                wrong.push(format!("{flavour:?}, step {cut} of {steps}"));
            }
        }
    }
    assert!(wrong.is_empty(), "it came to another end when it was cut: {wrong:#?}");
}

/// Tells a story with two processes on one database, which are asked in turns. PostgreSQL only: SQLite serves one.
pub(crate) fn with_two_replicas(story: fn()) {
    if std::env::var("TEST_DATABASE_URL").is_ok_and(|url| !url.is_empty()) {
        for flavour in [Flavour::Cloud, Flavour::DataCenter] {
            Plan::tell(flavour, 2, None, story).unwrap_or_else(|failed| resume_unwind(failed));
        }
    }
}

/// Tells these tests of a file again: cut at each step, and by two replicas. What is counted there must not depend on
/// how often a process began anew.
macro_rules! crash_tests {
    ($($story:ident),* $(,)?) => {
        mod cut_at_each_step {
            $(#[test] fn $story() { crate::world::crash::cut_at_each_step(stringify!($story), super::$story); })*
        }
        mod with_two_replicas {
            $(#[test] fn $story() { crate::world::crash::with_two_replicas(super::$story); })*
        }
    };
}
pub(crate) use crash_tests;
