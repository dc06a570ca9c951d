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

/// One budget for all requests, given out in the order they asked, and one pause for all.
pub(super) struct Throttle {
    bucket: Bucket,
    queue: tokio::sync::Mutex<()>,
    paused_until: Mutex<Option<Instant>>,
}

impl Throttle {
    /// `burst` at once, and `per_second` from then on.
    pub(super) fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self {
            bucket: RateLimiter::direct_with_clock(quota, TokioClock),
            queue: tokio::sync::Mutex::default(),
            paused_until: Mutex::default(),
        }
    }

    /// Waits for a turn; returns how long that took. One that gives up waiting takes nobody's place.
    ///
    /// # Errors
    /// What is left of a pause: that may be long, and is not waited for here.
    pub(super) async fn turn(&self) -> Result<Duration, Duration> {
        let asked = Instant::now();
        let _first_come = self.queue.lock().await;
        loop {
            if let Some(left) = self.paused() {
                return Err(left);
            }
            match self.bucket.check() {
                Err(full) => sleep(full.wait_time_from(TokioClock.now())).await,
                Ok(()) => return Ok(asked.elapsed()),
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

    use super::*;

    fn throttle(per_second: u32, burst: u32) -> Throttle {
        Throttle::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (throttle, start) = (throttle(5, 10), Instant::now());
        for _ in 0..10 {
            assert_eq!(throttle.turn().await, Ok(Duration::ZERO));
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            throttle.turn().await.unwrap();
        }
        let took = start.elapsed();
        assert!((Duration::from_secs(2)..Duration::from_millis(2020)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_keep_their_order() {
        let (throttle, start) = (Arc::new(throttle(1, 1)), Instant::now());
        throttle.turn().await.unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let throttle = Arc::clone(&throttle);
                tokio::spawn(async move {
                    throttle.turn().await.unwrap();
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
        throttle.turn().await.unwrap();
        let waiting = tokio::spawn({
            let throttle = Arc::clone(&throttle);
            async move { throttle.turn().await }
        });
        sleep(Duration::from_millis(500)).await;
        assert_eq!(throttle.pause(Duration::from_secs(30)), Duration::from_secs(30));
        assert_eq!(throttle.pause(Duration::from_secs(3)), Duration::ZERO);
        assert_eq!(throttle.pause(Duration::from_secs(40)), Duration::from_secs(10));
        assert!(waiting.await.unwrap().unwrap_err() > Duration::from_secs(39));
        sleep(Duration::from_secs(39)).await;
        assert!(throttle.turn().await.is_err());
        sleep(Duration::from_secs(1)).await;
        assert_eq!(throttle.turn().await, Ok(Duration::ZERO));
        assert_eq!(
            (throttle.paused(), throttle.pause(Duration::from_secs(1))),
            (None, Duration::from_secs(1))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_waiting_costs_no_turn() {
        let (throttle, start) = (throttle(1, 1), Instant::now());
        throttle.turn().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(10), throttle.turn()).await.is_err());
        throttle.turn().await.unwrap();
        assert!(start.elapsed() <= Duration::from_millis(1010), "{:?}", start.elapsed());
    }
}
