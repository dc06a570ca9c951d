//! Every request to Jira takes its turn here.

use std::{
    num::NonZeroU32,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::{Instant, sleep};

/// Tokio's clock for the limiter, so that a test that pauses one pauses both.
#[derive(Clone, Debug, Default)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        Instant::now().into_std()
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<std::time::Instant>>;

/// Requests in the order they asked, each as soon as there is room in the bucket.
struct Queue {
    bucket: Bucket,
    first: tokio::sync::Mutex<()>,
}

/// One budget for all requests, and one pause for all. A fifth of what may go at once is kept for what is urgent:
/// whoever approves a ticket does not wait until thousands of others were read or opened.
pub(super) struct Throttle {
    all: Queue,
    /// What is not urgent queues here first, in a bucket that is smaller by what is kept.
    ordinary: Queue,
    /// What was taken of what is kept, and is to be left there by what is not urgent.
    cost_owed: AtomicU32,
    /// No more than this is, or much that is urgent would let nothing else pass.
    most_owed: u32,
    paused: Mutex<Paused>,
}

/// That nobody sends anything.
#[derive(Default)]
struct Paused {
    until: Option<Instant>,
    /// How often Jira has asked to wait without saying how long, and has done nothing else since.
    hints: u32,
}

/// The first pause where Jira does not say how long it is to be; each further one is twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
/// But no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether a request has to keep behind others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It leaves to others what is kept for them.
    Ordinary,
    /// It may use that.
    Urgent,
}

impl Throttle {
    /// `burst` at once, and `per_second` from then on.
    pub(super) fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second);
        let queue = |burst| Queue {
            bucket: RateLimiter::direct_with_clock(quota.allow_burst(burst), TokioClock),
            first: tokio::sync::Mutex::default(),
        };
        let kept = (burst.get() / 5).max(u32::from(burst.get() > 1));
        let ordinary = NonZeroU32::new(burst.get() - kept).unwrap_or(burst);
        Self {
            all: queue(burst),
            ordinary: queue(ordinary),
            cost_owed: AtomicU32::new(0),
            most_owed: kept.min(per_second.get()),
            paused: Mutex::default(),
        }
    }

    /// Waits for a turn; returns how long that took. One that gives up waiting takes no turn of the budget.
    ///
    /// # Errors
    /// What is left of a pause: that may be long, and is not waited for here.
    pub(super) async fn acquire(&self, urgency: Urgency) -> Result<Duration, Duration> {
        let asked = Instant::now();
        match urgency {
            Urgency::Urgent => {
                let _first_come = self.all.first.lock().await;
                self.room_in(&self.all.bucket).await?;
                // Of whoever waits there already nothing is taken.
                let nobody_waits = self.ordinary.first.try_lock();
                if nobody_waits.is_err() || self.ordinary.bucket.check().is_err() {
                    let more = |owed| (owed < self.most_owed).then_some(owed + 1);
                    let _ = self.cost_owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
                }
            }
            Urgency::Ordinary => {
                let _first_come = self.ordinary.first.lock().await;
                for _ in 0..=self.cost_owed.swap(0, Ordering::Relaxed) {
                    self.room_in(&self.ordinary.bucket).await?;
                }
                let _first_come = self.all.first.lock().await;
                self.room_in(&self.all.bucket).await?;
            }
        }
        Ok(asked.elapsed())
    }

    async fn room_in(&self, bucket: &Bucket) -> Result<(), Duration> {
        loop {
            if let Some(left) = self.paused() {
                return Err(left);
            }
            match bucket.check() {
                Err(full) => sleep(full.wait_time_from(TokioClock.now())).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Jira said how long to wait: nobody sends before then. The pause that ends later wins. Returns by how much that
    /// makes the silence longer.
    pub(super) fn pause(&self, wait: Duration) -> Duration {
        self.state().extend(wait)
    }

    /// Jira asked to wait and did not say how long: nobody sends for a little, and longer each time that comes again. Many
    /// that were under way together and hear it are one time. Returns what is left of the pause, and by how much it
    /// makes the silence longer.
    pub(super) fn pause_a_little(&self) -> (Duration, Duration) {
        let mut state = self.state();
        if let Some(left) = state.left() {
            return (left, Duration::ZERO);
        }
        let wait = SHORTEST_PAUSE.saturating_mul(1 << state.hints.min(16)).min(LONGEST_PAUSE);
        state.hints = state.hints.saturating_add(1);
        (wait, state.extend(wait))
    }

    /// Jira does what it is asked, so the next pause of unknown length is short again.
    pub(super) fn succeeded(&self) {
        self.state().hints = 0;
    }

    /// How much of the pause is left, if there is one.
    pub(super) fn paused(&self) -> Option<Duration> {
        self.state().left()
    }

    fn state(&self) -> MutexGuard<'_, Paused> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Paused {
    fn extend(&mut self, wait: Duration) -> Duration {
        let (now, until) = (Instant::now(), self.until);
        let end = now + wait;
        self.until = Some(until.map_or(end, |until| until.max(end)));
        end.saturating_duration_since(until.map_or(now, |until| until.max(now)))
    }

    fn left(&self) -> Option<Duration> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        left.filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        Urgency::{Ordinary, Urgent},
        *,
    };

    fn throttle(per_second: u32, burst: u32) -> Throttle {
        Throttle::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        // Of 10 at once, what is not urgent gets 8.
        for (urgency, burst) in [(Urgent, 10), (Ordinary, 8)] {
            let (throttle, start) = (throttle(5, 10), Instant::now());
            for _ in 0..burst {
                assert_eq!(throttle.acquire(urgency).await, Ok(Duration::ZERO));
            }
            assert_eq!(start.elapsed(), Duration::ZERO);
            for _ in 0..10 {
                throttle.acquire(urgency).await.unwrap();
            }
            let took = start.elapsed();
            assert!(
                (Duration::from_secs(2)..Duration::from_millis(2020)).contains(&took),
                "{urgency:?}: {took:?}"
            );
        }
    }

    /// Asks without end, and counts.
    fn asks(throttle: &Arc<Throttle>, urgency: Urgency) -> Arc<AtomicU32> {
        let (throttle, passed) = (Arc::clone(throttle), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&passed);
        tokio::spawn(async move {
            while throttle.acquire(urgency).await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        passed
    }

    /// However many others wait, two a second that are urgent go at once, and all others get what is left.
    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_waits_for_nobody_else() {
        let throttle = Arc::new(throttle(5, 10));
        let others = asks(&throttle, Ordinary);
        for _ in 0..60 {
            sleep(Duration::from_millis(500)).await;
            let waited = throttle.acquire(Urgent).await.unwrap();
            assert!(waited < Duration::from_millis(2), "{waited:?}");
        }
        // Of 10 and 5 a second for 30 s, but 60 that were urgent, and what is kept.
        let others = others.load(Ordering::Relaxed);
        assert!((95..=98).contains(&others), "{others}");
    }

    /// Both together get no more than the budget, and what is urgent does not keep everybody else away.
    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_is_within_the_budget_and_leaves_some() {
        let throttle = Arc::new(throttle(5, 10));
        let [urgent, others] = BOTH.map(|urgency| asks(&throttle, urgency));
        sleep(Duration::from_secs(100)).await;
        let (urgent, others) = (urgent.load(Ordering::Relaxed), others.load(Ordering::Relaxed));
        assert!((505..=511).contains(&(urgent + others)), "{urgent} and {others}");
        assert!(others > 100, "{urgent} and {others}");
    }

    /// The least budget there is still lets everybody pass.
    #[tokio::test(start_paused = true)]
    async fn one_a_second_is_enough_for_both() {
        let (throttle, start) = (throttle(1, 1), Instant::now());
        for urgency in [Ordinary, Ordinary, Urgent, Ordinary] {
            throttle.acquire(urgency).await.unwrap();
        }
        let took = start.elapsed();
        assert!((Duration::from_secs(3)..Duration::from_millis(3_600)).contains(&took), "{took:?}");
    }

    const BOTH: [Urgency; 2] = [Urgent, Ordinary];

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_keep_their_order() {
        for urgency in BOTH {
            let (throttle, start) = (Arc::new(throttle(1, 1)), Instant::now());
            throttle.acquire(urgency).await.unwrap();
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let throttle = Arc::clone(&throttle);
                    tokio::spawn(async move {
                        throttle.acquire(urgency).await.unwrap();
                        start.elapsed()
                    })
                })
                .collect();
            let mut at = vec![];
            for one in waiting {
                at.push(one.await.unwrap());
            }
            assert!(at.is_sorted(), "{urgency:?}: {at:?}");
            assert!(at[2] - at[0] >= Duration::from_millis(1995), "{urgency:?}: {at:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_turns_away_those_who_wait_already_and_those_who_come() {
        for urgency in BOTH {
            let throttle = Arc::new(throttle(1, 1));
            throttle.acquire(urgency).await.unwrap();
            let waiting = tokio::spawn({
                let throttle = Arc::clone(&throttle);
                async move { throttle.acquire(urgency).await }
            });
            sleep(Duration::from_millis(500)).await;
            assert_eq!(throttle.pause(Duration::from_secs(30)), Duration::from_secs(30));
            assert_eq!(throttle.pause(Duration::from_secs(3)), Duration::ZERO);
            assert_eq!(throttle.pause(Duration::from_secs(40)), Duration::from_secs(10));
            assert!(waiting.await.unwrap().unwrap_err() > Duration::from_secs(39));
            sleep(Duration::from_secs(39)).await;
            assert!(throttle.acquire(urgency).await.is_err());
            sleep(Duration::from_secs(1)).await;
            assert_eq!(throttle.acquire(urgency).await, Ok(Duration::ZERO));
            assert_eq!(
                (throttle.paused(), throttle.pause(Duration::from_secs(1))),
                (None, Duration::from_secs(1))
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_unknown_length_grows_until_all_is_well() {
        let throttle = throttle(5, 10);
        let mut pauses = vec![];
        for _ in 0..6 {
            let (left, longer) = throttle.pause_a_little();
            assert_eq!(left, longer);
            // Those that were under way with it hear the same.
            sleep(left / 2).await;
            assert_eq!(throttle.pause_a_little(), (left / 2, Duration::ZERO));
            assert!(throttle.acquire(Urgent).await.is_err());
            sleep(left / 2).await;
            throttle.acquire(Urgent).await.unwrap();
            pauses.push(left.as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        throttle.succeeded();
        assert_eq!(throttle.pause_a_little().0, SHORTEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_waiting_costs_no_turn() {
        for urgency in BOTH {
            let (throttle, start) = (throttle(1, 1), Instant::now());
            throttle.acquire(urgency).await.unwrap();
            assert!(
                tokio::time::timeout(Duration::from_millis(10), throttle.acquire(urgency)).await.is_err()
            );
            throttle.acquire(urgency).await.unwrap();
            assert!(start.elapsed() <= Duration::from_millis(1010), "{urgency:?}: {:?}", start.elapsed());
        }
    }

    /// However much may go at once: what is owed to what was urgent holds up others for a second at most.
    #[tokio::test(start_paused = true)]
    async fn a_large_burst_is_no_large_debt() {
        for (burst, least) in [(2, 1), (100, 10), (1_000, 10)] {
            let throttle = Arc::new(throttle(5, burst));
            for _ in 0..burst {
                throttle.acquire(Urgent).await.unwrap();
            }
            let [_, others] = BOTH.map(|urgency| asks(&throttle, urgency));
            sleep(Duration::from_secs(30)).await;
            let others = others.load(Ordering::Relaxed);
            assert!(others >= least * 2, "{burst}: {others}");
        }
    }
}
