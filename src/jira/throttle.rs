//! Every request to Jira takes its turn here.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
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

/// Requests in the order they asked, each as soon as the bucket lets it.
struct Queue {
    bucket: Bucket,
    first: tokio::sync::Mutex<()>,
}

/// One budget for all requests, and one pause for all. A fifth of the budget is kept for what is urgent: whoever
/// approves a ticket does not wait until thousands of others were read or opened.
pub(super) struct Throttle {
    all: Queue,
    /// What is not urgent queues here first.
    ordinary: Queue,
    paused_until: Mutex<Option<Instant>>,
}

/// Whether a request has to keep behind others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It leaves a fifth of the budget to others.
    Ordinary,
    /// It may use what is kept for such.
    Urgent,
}

impl Throttle {
    /// `burst` at once, and `per_second` from then on.
    pub(super) fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let queue = |quota| Queue {
            bucket: RateLimiter::direct_with_clock(quota, TokioClock),
            first: tokio::sync::Mutex::default(),
        };
        let all = Quota::per_second(per_second).allow_burst(burst);
        let ordinary_burst = NonZeroU32::new(burst.get() - burst.get() / 5).unwrap_or(burst);
        // None is for an interval of zero.
        let ordinary = Quota::with_period(all.replenish_interval() * 5 / 4)
            .map_or(all, |quota| quota.allow_burst(ordinary_burst));
        Self { all: queue(all), ordinary: queue(ordinary), paused_until: Mutex::default() }
    }

    /// Waits for a turn; returns how long that took. One that gives up waiting takes nobody's place.
    ///
    /// # Errors
    /// What is left of a pause: that may be long, and is not waited for here.
    pub(super) async fn turn(&self, urgency: Urgency) -> Result<Duration, Duration> {
        let asked = Instant::now();
        match urgency {
            Urgency::Urgent => {}
            Urgency::Ordinary => self.pass(&self.ordinary).await?,
        }
        self.pass(&self.all).await?;
        Ok(asked.elapsed())
    }

    async fn pass(&self, queue: &Queue) -> Result<(), Duration> {
        let _first_come = queue.first.lock().await;
        loop {
            if let Some(left) = self.paused() {
                return Err(left);
            }
            match queue.bucket.check() {
                Err(full) => sleep(full.wait_time_from(TokioClock.now())).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Jira said `Retry-After`: nobody sends before then. The pause that ends later wins. Returns by how much that
    /// makes the silence longer.
    pub(super) fn pause(&self, retry_after: Duration) -> Duration {
        let end = Instant::now() + retry_after;
        let mut until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        let longer =
            end.saturating_duration_since(until.map_or_else(Instant::now, |it| it.max(Instant::now())));
        *until = Some(until.map_or(end, |until| until.max(end)));
        longer
    }

    /// How much of the pause is left, if there is one.
    pub(super) fn paused(&self) -> Option<Duration> {
        let until = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
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
        // Of 5 a second and 10 at once, what is not urgent gets 4 and 8.
        for (urgency, burst, rate) in [(Urgent, 10, 5), (Ordinary, 8, 4)] {
            let (throttle, start) = (throttle(5, 10), Instant::now());
            for _ in 0..burst {
                assert_eq!(throttle.turn(urgency).await, Ok(Duration::ZERO));
            }
            assert_eq!(start.elapsed(), Duration::ZERO);
            for _ in 0..2 * rate {
                throttle.turn(urgency).await.unwrap();
            }
            let took = start.elapsed();
            assert!(
                (Duration::from_secs(2)..Duration::from_millis(2020)).contains(&took),
                "{urgency:?}: {took:?}"
            );
        }
    }

    /// However many others wait, one a second that is urgent goes at once.
    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_waits_for_nobody_else() {
        let throttle = Arc::new(throttle(5, 10));
        let others = tokio::spawn({
            let throttle = Arc::clone(&throttle);
            async move {
                for _ in 0..100 {
                    throttle.turn(Ordinary).await.unwrap();
                }
            }
        });
        for _ in 0..20 {
            sleep(Duration::from_millis(1001)).await;
            let waited = throttle.turn(Urgent).await.unwrap();
            assert!(waited < Duration::from_millis(1), "{waited:?}");
        }
        assert!(!others.is_finished());
    }

    /// Both together get no more than the budget.
    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_is_within_the_budget() {
        let (throttle, start) = (Arc::new(throttle(5, 10)), Instant::now());
        let all: Vec<_> = [Urgent, Ordinary]
            .into_iter()
            .map(|urgency| {
                let throttle = Arc::clone(&throttle);
                tokio::spawn(async move {
                    for _ in 0..30 {
                        throttle.turn(urgency).await.unwrap();
                    }
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        let took = start.elapsed();
        assert!((Duration::from_secs(10)..Duration::from_millis(10_050)).contains(&took), "{took:?}");
    }

    /// The least budget there is still lets everybody pass.
    #[tokio::test(start_paused = true)]
    async fn one_a_second_is_enough_for_both() {
        let (throttle, start) = (throttle(1, 1), Instant::now());
        for urgency in [Ordinary, Ordinary, Urgent, Ordinary] {
            throttle.turn(urgency).await.unwrap();
        }
        let took = start.elapsed();
        assert!((Duration::from_secs(3)..Duration::from_millis(3_600)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_keep_their_order() {
        let (throttle, start) = (Arc::new(throttle(1, 1)), Instant::now());
        throttle.turn(Urgent).await.unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let throttle = Arc::clone(&throttle);
                tokio::spawn(async move {
                    throttle.turn(Urgent).await.unwrap();
                    start.elapsed()
                })
            })
            .collect();
        let mut at = vec![];
        for one in waiting {
            at.push(one.await.unwrap());
        }
        assert!(at.is_sorted(), "{at:?}");
        assert!(at[2] - at[0] >= Duration::from_millis(1995), "{at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_turns_away_those_who_wait_already_and_those_who_come() {
        let throttle = Arc::new(throttle(1, 1));
        throttle.turn(Urgent).await.unwrap();
        let waiting = tokio::spawn({
            let throttle = Arc::clone(&throttle);
            async move { throttle.turn(Urgent).await }
        });
        sleep(Duration::from_millis(500)).await;
        assert_eq!(throttle.pause(Duration::from_secs(30)), Duration::from_secs(30));
        assert_eq!(throttle.pause(Duration::from_secs(3)), Duration::ZERO);
        assert_eq!(throttle.pause(Duration::from_secs(40)), Duration::from_secs(10));
        assert!(waiting.await.unwrap().unwrap_err() > Duration::from_secs(39));
        sleep(Duration::from_secs(39)).await;
        assert!(throttle.turn(Urgent).await.is_err());
        sleep(Duration::from_secs(1)).await;
        assert_eq!(throttle.turn(Urgent).await, Ok(Duration::ZERO));
        assert_eq!(
            (throttle.paused(), throttle.pause(Duration::from_secs(1))),
            (None, Duration::from_secs(1))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_waiting_costs_no_turn() {
        let (throttle, start) = (throttle(1, 1), Instant::now());
        throttle.turn(Urgent).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(10), throttle.turn(Urgent)).await.is_err());
        throttle.turn(Urgent).await.unwrap();
        assert!(start.elapsed() <= Duration::from_millis(1010), "{:?}", start.elapsed());
    }
}
