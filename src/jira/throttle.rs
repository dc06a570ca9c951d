//! The rate limit for all requests to Jira.

use std::{
    num::NonZeroU32,
    sync::{
        Mutex, MutexGuard,
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

use crate::lock::lock;

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

/// Lets requests pass in the order they arrived, each as soon as the bucket allows it.
struct Queue {
    bucket: Bucket,
    first: tokio::sync::Mutex<()>,
}

/// One rate limit and one pause for all requests. A fifth of the burst is reserved for urgent requests, so that an
/// approval takes effect without waiting until thousands of other tickets were read or opened.
pub(super) struct Throttle {
    all: Queue,
    /// Ordinary requests queue here first, in a bucket that is smaller by the reserve.
    ordinary: Queue,
    /// How many requests urgent ones took from the reserve; ordinary requests have to leave as many unused.
    cost_owed: AtomicU32,
    /// The most that may be owed, or many urgent requests would block all ordinary ones.
    max_owed: u32,
    paused: Mutex<Paused>,
}

/// A pause in which no request is sent.
#[derive(Default)]
struct Paused {
    until: Option<Instant>,
    /// How often Jira has asked to wait without saying how long, since its last other answer.
    unspecified_waits: u32,
}

/// The first pause if Jira does not say how long; each further one is twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause if Jira does not say how long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether a request may use the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It may not.
    Ordinary,
    /// It may.
    Urgent,
}

impl Throttle {
    /// Allows `burst` requests at once, and `per_second` from then on.
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
            max_owed: kept.min(per_second.get()),
            paused: Mutex::default(),
        }
    }

    /// Waits for a permit; returns how long that took. A request that gives up waiting uses no permit.
    ///
    /// # Errors
    /// The rest of a pause, which may be long, so this does not wait for it.
    pub(super) async fn acquire(&self, urgency: Urgency) -> Result<Duration, Duration> {
        let asked = Instant::now();
        match urgency {
            Urgency::Urgent => {
                let _first_come = self.all.first.lock().await;
                self.wait_for_bucket(&self.all.bucket).await?;
                // Takes a permit from the ordinary bucket, too; if ordinary requests already wait for it, the permit is
                // owed.
                let ordinary_queue = self.ordinary.first.try_lock();
                if ordinary_queue.is_err() || self.ordinary.bucket.check().is_err() {
                    let more = |owed| (owed < self.max_owed).then_some(owed + 1);
                    let _ = self.cost_owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
                }
            }
            Urgency::Ordinary => {
                let _first_come = self.ordinary.first.lock().await;
                for _ in 0..=self.cost_owed.swap(0, Ordering::Relaxed) {
                    self.wait_for_bucket(&self.ordinary.bucket).await?;
                }
                let _first_come = self.all.first.lock().await;
                self.wait_for_bucket(&self.all.bucket).await?;
            }
        }
        Ok(asked.elapsed())
    }

    async fn wait_for_bucket(&self, bucket: &Bucket) -> Result<(), Duration> {
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

    /// Jira said how long to wait: no request is sent before then. The pause that ends later wins. Returns by how much
    /// the pause becomes longer.
    pub(super) fn pause(&self, wait: Duration) -> Duration {
        self.state().extend(wait)
    }

    /// Jira asked to wait and did not say how long: no request is sent for a short time, which doubles each time.
    /// Answers to requests that were under way together count once. Returns the rest of the pause, and by how much the
    /// pause becomes longer.
    pub(super) fn pause_briefly(&self) -> (Duration, Duration) {
        let mut state = self.state();
        if let Some(left) = state.left() {
            return (left, Duration::ZERO);
        }
        let wait = SHORTEST_PAUSE.saturating_mul(1 << state.unspecified_waits.min(16)).min(LONGEST_PAUSE);
        state.unspecified_waits = state.unspecified_waits.saturating_add(1);
        (wait, state.extend(wait))
    }

    /// Jira answered without asking to wait, so the next pause of unknown length is short again.
    pub(super) fn succeeded(&self) {
        self.state().unspecified_waits = 0;
    }

    /// The rest of the pause, if there is one.
    pub(super) fn paused(&self) -> Option<Duration> {
        self.state().left()
    }

    fn state(&self) -> MutexGuard<'_, Paused> {
        lock(&self.paused)
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
        // Of a burst of 10, ordinary requests get 8.
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

    /// Acquires permits without end, and counts them.
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

    /// However many ordinary requests wait, two urgent ones per second pass at once, and the ordinary ones get the
    /// rest.
    #[tokio::test(start_paused = true)]
    async fn urgent_requests_do_not_wait_for_ordinary_ones() {
        let throttle = Arc::new(throttle(5, 10));
        let others = asks(&throttle, Ordinary);
        for _ in 0..60 {
            sleep(Duration::from_millis(500)).await;
            let waited = throttle.acquire(Urgent).await.unwrap();
            assert!(waited < Duration::from_millis(2), "{waited:?}");
        }
        // A burst of 10 and 5 per second for 30 s, minus the 60 urgent ones and the reserve.
        let others = others.load(Ordering::Relaxed);
        assert!((95..=98).contains(&others), "{others}");
    }

    /// Both together stay within the rate limit, and urgent requests do not block all others.
    #[tokio::test(start_paused = true)]
    async fn urgent_requests_stay_within_the_limit_and_leave_some() {
        let throttle = Arc::new(throttle(5, 10));
        let [urgent, others] = BOTH.map(|urgency| asks(&throttle, urgency));
        sleep(Duration::from_secs(100)).await;
        let (urgent, others) = (urgent.load(Ordering::Relaxed), others.load(Ordering::Relaxed));
        assert!((505..=511).contains(&(urgent + others)), "{urgent} and {others}");
        assert!(others > 100, "{urgent} and {others}");
    }

    /// The smallest rate limit still lets both kinds pass.
    #[tokio::test(start_paused = true)]
    async fn one_per_second_is_enough_for_both() {
        let (throttle, start) = (throttle(1, 1), Instant::now());
        for urgency in [Ordinary, Ordinary, Urgent, Ordinary] {
            throttle.acquire(urgency).await.unwrap();
        }
        let took = start.elapsed();
        assert!((Duration::from_secs(3)..Duration::from_millis(3_600)).contains(&took), "{took:?}");
    }

    const BOTH: [Urgency; 2] = [Urgent, Ordinary];

    #[tokio::test(start_paused = true)]
    async fn waiting_requests_keep_their_order() {
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
    async fn a_pause_fails_waiting_and_new_requests() {
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
    async fn a_pause_of_unknown_length_grows_until_jira_answers() {
        let throttle = throttle(5, 10);
        let mut pauses = vec![];
        for _ in 0..6 {
            let (left, longer) = throttle.pause_briefly();
            assert_eq!(left, longer);
            // Requests that were under way together get the same answer.
            sleep(left / 2).await;
            assert_eq!(throttle.pause_briefly(), (left / 2, Duration::ZERO));
            assert!(throttle.acquire(Urgent).await.is_err());
            sleep(left / 2).await;
            throttle.acquire(Urgent).await.unwrap();
            pauses.push(left.as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        throttle.succeeded();
        assert_eq!(throttle.pause_briefly().0, SHORTEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gives_up_waiting_uses_no_permit() {
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

    /// Whatever the burst, what is owed for urgent requests delays others by one second at most.
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
