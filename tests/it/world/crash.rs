//! Runs test functions ("stories") again while the bridge is killed, each time at another step, and with two replicas.
//!
//! The bridge emits the events `committing` and `committed` around each transaction, `sending` and `answered` around
//! each request that must not be sent twice. The process is killed at one of them.

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

/// The environment variable that says at which steps a story is cut, for each kind of Jira: a number of steps, `all`,
/// or a single one, for instance `step 66`.
const CUTS: &str = "TEST_CUTS";

thread_local! {
    static PLAN: RefCell<Option<Arc<Plan>>> = const { RefCell::new(None) };
}

/// How a story is run.
pub(crate) struct Plan {
    pub(crate) flavour: Flavour,
    /// The number of processes.
    pub(crate) replicas: usize,
    /// The step at which the process is killed.
    cut_at: Option<usize>,
    steps: AtomicUsize,
}

impl Plan {
    /// The plan of the story that runs on this thread; `None` if it runs as an ordinary test.
    pub(crate) fn current() -> Option<Arc<Self>> {
        PLAN.with_borrow(Clone::clone)
    }

    /// Whether a process was killed.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut_at.is_some_and(|at| self.steps.load(SeqCst) >= at)
    }

    /// A dispatcher that counts a process's steps and cancels `kill` at the planned one.
    pub(crate) fn step_dispatch(self: &Arc<Self>, kill: CancellationToken) -> Dispatch {
        LazyLock::force(&ALWAYS);
        Dispatch::new(Steps { plan: Arc::clone(self), kill })
    }

    /// Runs the story, and returns its number of steps.
    fn run(
        flavour: Flavour,
        replicas: usize,
        cut_at: Option<usize>,
        story: fn(),
    ) -> std::thread::Result<usize> {
        let plan = Arc::new(Self { flavour, replicas, cut_at, steps: AtomicUsize::new(0) });
        PLAN.set(Some(Arc::clone(&plan)));
        let result = catch_unwind(AssertUnwindSafe(story));
        PLAN.set(None);
        result.map(|()| plan.steps.load(SeqCst))
    }
}

/// A dispatcher that always exists. Without it, `tracing` can cache an event as disabled for all tests if a test emits
/// it first while another dispatcher is added or dropped.
static ALWAYS: LazyLock<Dispatch> = LazyLock::new(|| {
    let plan = Plan { flavour: Flavour::Cloud, replicas: 1, cut_at: None, steps: AtomicUsize::new(0) };
    Dispatch::new(Steps { plan: Arc::new(plan), kill: CancellationToken::new() })
});

/// Kills a process at its step.
struct Steps {
    plan: Arc<Plan>,
    kill: CancellationToken,
}

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "step"
    }

    fn event(&self, _: &Event<'_>) {
        if !self.kill.is_cancelled() {
            let step = self.plan.steps.fetch_add(1, SeqCst) + 1;
            if Some(step) != self.plan.cut_at {
                return;
            }
            self.kill.cancel();
        }
        // `resume_unwind` prints no panic message: this is no failure. It drops everything on this process's thread.
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

/// Runs a story again and again, and kills the process each time at another step. Another process continues with the
/// same database, and the story must have the same result.
pub(crate) fn cut_at_each_step(name: &str, story: fn()) {
    let wrong = match std::env::var(CUTS).as_deref() {
        Err(_) => cut_at_few_steps(name, story),
        Ok(cuts) => [Flavour::Cloud, Flavour::DataCenter]
            .into_iter()
            .flat_map(|flavour| cut_at_steps(name, flavour, story, cuts))
            .collect(),
    };
    assert!(wrong.is_empty(), "the story failed when it was cut: {wrong:#?}");
}

/// Cuts a story at an early step, which also shows how many there are; at a late one; and in the middle, with the other
/// kind of Jira. On PostgreSQL, where each run takes several times as long, only at the early one, with that other kind.
fn cut_at_few_steps(name: &str, story: fn()) -> Vec<String> {
    let cuts: &[(Flavour, Option<usize>)] = if is_on_postgres() {
        &[(Flavour::DataCenter, None)]
    } else {
        &[(Flavour::Cloud, None), (Flavour::Cloud, Some(3)), (Flavour::DataCenter, Some(2))]
    };
    let early = 5 + name.len() % 16;
    let (mut wrong, mut steps) = (Vec::new(), 0);
    for (flavour, quarters) in cuts {
        let cut = quarters.map_or(early, |quarters| 1 + steps * quarters / 4);
        match cut_within(*flavour, cut, story) {
            Ok(counted) => steps = counted,
            Err(cut) => wrong.push(format!("{flavour:?}, step {cut}")),
        }
    }
    wrong
}

/// Cuts a story at a step, or in the middle if it ends before that. Returns the number of its steps, or the step at which
/// it failed.
fn cut_within(flavour: Flavour, mut cut: usize, story: fn()) -> Result<usize, usize> {
    loop {
        let steps = Plan::run(flavour, 1, Some(cut), story).map_err(|_| cut)?;
        assert!(steps > 0, "{flavour:?}: the bridge wrote nothing");
        if steps >= cut {
            return Ok(steps);
        }
        cut = 1 + steps / 2;
    }
}

/// Cuts a story at the steps that [`CUTS`] names: all, one, or a few at even distances.
fn cut_at_steps(name: &str, flavour: Flavour, story: fn(), cuts: &str) -> Vec<String> {
    let steps = Plan::run(flavour, 1, None, story).unwrap_or_else(|failed| resume_unwind(failed));
    assert!(steps > 0, "{flavour:?}: the bridge wrote nothing");
    let cuts = match (cuts, cuts.strip_prefix("step ")) {
        ("all", _) => (1..=steps).collect(),
        (_, Some(step)) => vec![step.parse().expect("TEST_CUTS names a step")],
        (number, None) => {
            let few: usize = number.parse().expect("TEST_CUTS is a number, all, or one step");
            let few = few.min(steps);
            (0..few).map(|nth| 1 + (nth * steps + steps / 2) / few).collect::<Vec<_>>()
        }
    };
    println!("{name}, {flavour:?}: {} of {steps} steps", cuts.len());
    let fails = |cut: &usize| Plan::run(flavour, 1, Some(*cut), story).is_err();
    cuts.into_iter().filter(fails).map(|cut| format!("{flavour:?}, step {cut} of {steps}")).collect()
}

fn is_on_postgres() -> bool {
    std::env::var("TEST_DATABASE_URL").is_ok_and(|url| !url.is_empty())
}

/// Runs a story with two processes on one database, which get the requests alternately. PostgreSQL only: SQLite serves
/// one.
pub(crate) fn with_two_replicas(story: fn()) {
    if is_on_postgres() {
        for flavour in [Flavour::Cloud, Flavour::DataCenter] {
            Plan::run(flavour, 2, None, story).unwrap_or_else(|failed| resume_unwind(failed));
        }
    }
}

/// Runs these tests of a file again: cut at each step, and with two replicas. Their counts must not depend on how often
/// a process is restarted.
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
