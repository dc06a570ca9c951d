//! A worker that is suspended in the middle of its work, or is stopping: it does not repeat what another one did
//! meanwhile.

use std::{
    sync::{Arc, LazyLock, Mutex, mpsc},
    time::Duration,
};

use fake_jira::{Fault, MIA, Operation, Times};
use flagger_jira_bridge::{
    store::{LEASE, LeaseOutcome},
    worker::{StepOutcome, Worker},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, Metadata, instrument::WithSubscriber as _, span};

use super::{MINUTE, Replica, Two, about, has_replicas};
use crate::world::program::PATIENCE;

/// Blocks the thread at the first `step` event with this name, until it is resumed.
struct Pause {
    at: &'static str,
    reached: Mutex<Option<mpsc::Sender<()>>>,
    resumed: Mutex<mpsc::Receiver<()>>,
}

impl tracing::Subscriber for Pause {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "step"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Is(&'static str, bool);
        impl tracing::field::Visit for Is {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.1 |= field.name() == "message" && format!("{value:?}") == self.0;
            }
        }
        let mut is = Is(self.at, false);
        event.record(&mut is);
        if !is.1 {
            return;
        }
        let Some(reached) = self.reached.lock().unwrap().take() else { return };
        // The runtime's other threads continue meanwhile, as other machines would.
        tokio::task::block_in_place(|| {
            reached.send(()).unwrap();
            self.resumed.lock().unwrap().recv().unwrap();
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// With a single subscriber, tracing caches whether an event is enabled on the thread that reaches it first; a test
/// without a subscriber would disable it for all. With several, tracing asks each of them.
static MORE_THAN_ONE: LazyLock<[Dispatch; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| {
        let resumed = Mutex::new(mpsc::channel().1);
        Dispatch::new(Pause { at: "", reached: Mutex::default(), resumed })
    })
});

/// A worker's step that is suspended in the middle.
struct Paused {
    go_on: mpsc::Sender<()>,
    step: tokio::task::JoinHandle<StepOutcome>,
}

impl Paused {
    /// The worker performs a command, and is suspended at the event `at`.
    async fn at(replica: &Replica, at: &'static str) -> Self {
        Self::within(replica, at, |worker| async move { worker.work_once().await.unwrap() }).await
    }

    /// The worker performs this step, and is suspended at the event `at`.
    async fn within<F>(replica: &Replica, at: &'static str, step: impl FnOnce(Arc<Worker>) -> F) -> Self
    where
        F: Future<Output = StepOutcome> + Send + 'static,
    {
        LazyLock::force(&MORE_THAN_ONE);
        let (reached, has_reached) = mpsc::channel();
        let (go_on, resumed) = mpsc::channel();
        let pause = Pause { at, reached: Mutex::new(Some(reached)), resumed: Mutex::new(resumed) };
        let step = step(Arc::clone(&replica.worker));
        let step = tokio::spawn(step.with_subscriber(Dispatch::new(pause)));
        let reached = tokio::task::spawn_blocking(move || has_reached.recv_timeout(PATIENCE)).await.unwrap();
        if reached.is_err() {
            panic!("the event {at} never came: {:?}", step.await);
        }
        Self { go_on, step }
    }

    async fn goes_on(self) -> StepOutcome {
        self.go_on.send(()).unwrap();
        self.step.await.unwrap()
    }
}

impl Two {
    /// The first replica takes over from the second, which is suspended.
    async fn first_takes_over(&self) {
        self.clock.advance(LEASE + Duration::from_secs(1));
        assert_eq!(self.first.renew_lease().await, LeaseOutcome::TookOver);
    }

    /// The first replica opens the ticket, after searching for as long as the second could have opened it.
    async fn first_opens_ticket(&self) {
        for _ in 0..12 {
            self.clock.advance(MINUTE / 4);
            self.first.renew_lease().await;
            self.first.run_worker().await;
        }
    }
}

/// The worker stored that it is about to open a ticket, and then was suspended. Meanwhile another one searched for long
/// enough, and opened a ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_worker_that_is_suspended_before_a_create() {
    for returns in [false, true] {
        let two = Two::start("").await;
        two.second.asks("cart", "new").await;
        let paused = Paused::at(&two.second, "committed").await;
        assert_eq!(two.jira.issues().len(), 0);
        two.first_takes_over().await;
        two.first_opens_ticket().await;
        assert_eq!(two.jira.issues().len(), 1);
        if returns {
            // The other replica has lost the lease, and this one has it again before it sends the request.
            two.clock.advance(LEASE);
            assert_eq!(two.second.renew_lease().await, LeaseOutcome::TookOver);
        }
        assert_eq!(paused.goes_on().await, StepOutcome::Done);
        assert_eq!(two.jira.issues().len(), 1, "the request is not sent any more");
        for replica in [&two.first, &two.second] {
            let _ = replica.renew_lease().await;
            replica.run_worker().await;
        }
        assert_eq!(two.jira.issues().len(), 1);
        let (_, words) = two.first.asks("cart", "new").await;
        assert!(words.contains("waiting for a decision"), "{words}");
        // The request may have been sent twice: the bridge searches for a second ticket for a while.
        let sql = "SELECT COUNT(*) FROM outbox WHERE command NOT LIKE '%recount%'";
        assert_eq!(two.number(sql).await, 0);
    }
}

/// The same, but the other has just sent its request: the result of the first attempt does not settle the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_old_attempt_does_not_settle_a_newer_one() {
    let two = Two::start("").await;
    two.second.asks("cart", "new").await;
    let paused = Paused::at(&two.second, "committed").await;
    two.first_takes_over().await;
    two.clock.advance(3 * MINUTE);
    let _ = two.first.renew_lease().await;
    let sending = Paused::at(&two.first, "sending").await;
    let sent = two.number("SELECT sent_at FROM outbox").await;
    assert_eq!(paused.goes_on().await, StepOutcome::Done);
    assert_eq!(two.number("SELECT sent_at FROM outbox").await, sent, "the time of the last request is kept");
    assert_eq!(two.number("SELECT attempts FROM outbox").await, 2);
    assert_eq!(sending.goes_on().await, StepOutcome::Done);
    assert_eq!(two.jira.issues().len(), 1);
}

/// The other replica has written the comment meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_worker_that_is_suspended_before_a_comment() {
    let two = Two::start("").await;
    two.second.asks("cart", "new").await;
    two.second.run_worker().await;
    let (status, words) = two.second.posts("/post-rollout", &about("cart", "Failed", "new")).await;
    assert_eq!(status, 200, "{words}");
    // It has loaded the command, and not checked yet whether the comment exists.
    let paused = Paused::at(&two.second, "committed").await;
    two.first_takes_over().await;
    two.first_opens_ticket().await;
    assert_eq!(two.jira.issues()[0].comments.len(), 1);
    let _ = paused.goes_on().await;
    let _ = two.second.renew_lease().await;
    two.second.run_worker().await;
    assert_eq!(two.jira.issues()[0].comments.len(), 1);
    assert_eq!(two.number("SELECT COUNT(*) FROM outbox").await, 0);
}

/// A round has read an approval and is about to commit it; then the approval is withdrawn, and a nudge reads that. The
/// later reading counts, although the approval is not stored yet when it is made. On SQLite no nudge is read meanwhile,
/// because the round uses the only connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_round_that_is_suspended_before_its_commit() {
    if !has_replicas() {
        return;
    }
    let two = Two::start("").await;
    two.second.asks("cart", "new").await;
    two.second.run_worker().await;
    two.clock.advance(MINUTE);
    two.second.asks("cart", "new").await;
    let issue = two.jira.issues()[0].clone();
    two.jira.move_issue(&issue.key, "Approved", MIA).unwrap();
    two.sql(&format!("INSERT INTO nudge (ticket, at) VALUES ('{}', 1)", issue.id)).await;
    // Otherwise the round would first commit a check of its lease.
    let _ = two.second.renew_lease().await;
    let polls = |worker: Arc<Worker>| async move { worker.poll().await.unwrap() };
    let round = Paused::within(&two.second, "committing", polls).await;
    two.jira.move_issue(&issue.key, "To Do", MIA).unwrap();
    let worker = Arc::clone(&two.second.worker);
    let nudged = tokio::spawn(async move { worker.read_nudged().await.unwrap() });
    let began = Instant::now();
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while two.number(waits).await == 0 {
        assert!(began.elapsed() < PATIENCE, "its transaction does not start");
    }
    assert_eq!(round.goes_on().await, StepOutcome::Read { tickets: 1, changed: 1 });
    assert_eq!(nudged.await.unwrap(), StepOutcome::Read { tickets: 1, changed: 1 });
    let (status, words) = two.second.asks("cart", "new").await;
    assert_eq!(status, 403, "{words}");
}

/// Another replica took over while a ticket was read: the reading is discarded, and no further request is sent to Jira.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_poll_that_is_suspended() {
    let two = Two::start("").await;
    two.second.asks("cart", "new").await;
    two.second.run_worker().await;
    two.clock.advance(MINUTE);
    two.second.asks("cart", "new").await;
    let key = two.jira.issues()[0].key.clone();
    two.jira.move_issue(&key, "Approved", MIA).unwrap();
    let _ = two.second.renew_lease().await;
    two.jira.fault(Operation::Search, Fault::Slow(Duration::from_secs(3)), Times::Once);
    two.jira.clear_requests();
    let worker = Arc::clone(&two.second.worker);
    let look = tokio::spawn(async move { worker.poll().await.unwrap() });
    let began = Instant::now();
    while two.jira.requests().is_empty() {
        assert!(began.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    two.first_takes_over().await;
    assert_eq!(look.await.unwrap(), StepOutcome::Standby);
    assert_eq!(two.second.worker.poll().await.unwrap(), StepOutcome::Standby);
    let reads = two.jira.requests().into_iter().filter(|it| it.operation != Operation::ProjectStatuses);
    assert_eq!(reads.count(), 1);
    two.first.asks("cart", "new").await;
    two.first.run_worker().await;
    assert_eq!(two.first.asks("cart", "new").await.0, 200);
}

/// A worker that is stopping during a request renews its lease until the request is done, and then releases it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_worker_keeps_its_lease_until_it_is_done() {
    let two = Two::start("").await;
    let slow = Fault::Slow(Duration::from_secs(4));
    two.jira.fault(Operation::CreateIssue, slow, Times::Once);
    two.second.asks("cart", "new").await;
    let (worker, stop) = (Arc::clone(&two.second.worker), CancellationToken::new());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop, MINUTE).await }
    });
    let began = Instant::now();
    while two.jira.issues().is_empty() {
        assert!(began.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    stop.cancel();
    two.clock.advance(LEASE * 9 / 10);
    let renewed = (two.clock.now() + LEASE).0;
    while two.number("SELECT until FROM lease").await != renewed && !running.is_finished() {}
    two.clock.advance(LEASE * 9 / 10);
    assert!(!running.is_finished());
    assert_eq!(two.first.renew_lease().await, LeaseOutcome::Standby);
    running.await.unwrap();
    assert_eq!(two.first.renew_lease().await, LeaseOutcome::TookOver, "it is released at once");
    assert_eq!((two.jira.issues().len(), two.number("SELECT COUNT(*) FROM outbox").await), (1, 0));
}
