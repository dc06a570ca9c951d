//! The access token of an OAuth client: when it is fetched, used, renewed and thrown away. It is kept in memory only.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{error::Error, retry};
use crate::lock::lock;

/// A token is renewed at most this long before its end.
const LONGEST_MARGIN: Duration = Duration::from_mins(5);
/// After Jira refused a token, a new one is fetched at most this often.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// The longest pause between attempts to fetch a token has this step of [`retry::delay`], about half a minute.
const LONGEST_STEP: u32 = 5;

/// With which credentials a request is sent.
pub(super) enum Access {
    /// With none.
    Anonymous,
    /// With the configured token.
    Token(SecretString),
    /// With an access token.
    Fetched(AccessToken),
}

/// An access token.
#[derive(Clone)]
pub(super) struct AccessToken {
    pub(super) value: SecretString,
    /// Which of the fetched tokens it is.
    serial: u64,
    renew_at: Instant,
    ends: Instant,
}

/// What the token endpoint gave.
pub(super) struct Fetched {
    pub(super) value: SecretString,
    /// How long the token is valid from when it was requested.
    pub(super) lifetime: Duration,
    /// What it may be used for, if the endpoint said so.
    pub(super) scopes: Option<Vec<String>>,
}

/// The current access token, and how the last attempt to fetch one ended.
pub(super) struct AccessTokens {
    /// The proxy to the token endpoint, described without its password.
    pub(super) proxy: Option<String>,
    /// Held while a token is fetched, or the site's cloud id is read, so that it is done once.
    pub(super) fetching: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<AccessToken>,
    /// How many tokens were fetched.
    serial: u64,
    scopes: Option<Vec<String>>,
    failure: Option<Failure>,
    /// When a token was last thrown away because Jira refused it.
    refused: Option<Instant>,
}

/// The last attempts to fetch a token failed.
struct Failure {
    error: Error,
    /// The secret with which they were made: another one is worth an attempt at once.
    secret: SecretString,
    attempts: u32,
    next: Instant,
}

impl AccessTokens {
    pub(super) fn new(proxy: Option<String>) -> Self {
        Self { proxy, fetching: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The token, if it is valid.
    pub(super) fn current(&self, now: Instant) -> Option<AccessToken> {
        self.state().token.clone().filter(|token| now < token.ends)
    }

    /// The token, if it need not be renewed yet.
    pub(super) fn fresh(&self, now: Instant) -> Option<AccessToken> {
        self.current(now).filter(|token| now < token.renew_at)
    }

    /// What the last token may be used for, if the endpoint said so.
    pub(super) fn scopes(&self) -> Option<Vec<String>> {
        self.state().scopes.clone()
    }

    /// Why no token is fetched now with this secret, if the last attempt failed a short time ago.
    pub(super) fn paused(&self, now: Instant, secret: &SecretString) -> Option<Error> {
        let state = self.state();
        let failure = state.failure.as_ref()?;
        let same = failure.secret.expose_secret() == secret.expose_secret();
        (same && now < failure.next).then(|| failure.error.clone())
    }

    /// Keeps a token that was requested at `sent`. It is renewed some minutes before its end. `unit`, a random number
    /// between 0 and 1, makes replicas renew theirs at different times.
    pub(super) fn store(&self, fetched: Fetched, sent: Instant, unit: f64) -> AccessToken {
        let mut state = self.state();
        let margin = (fetched.lifetime / 5).min(LONGEST_MARGIN).mul_f64(0.5 + unit.clamp(0.0, 1.0) / 2.0);
        state.serial += 1;
        let token = AccessToken {
            value: fetched.value,
            serial: state.serial,
            renew_at: sent + fetched.lifetime.saturating_sub(margin),
            ends: sent + fetched.lifetime,
        };
        state.scopes = fetched.scopes;
        state.failure = None;
        state.token = Some(token.clone());
        token
    }

    /// Records that no token was given for this secret. Returns whether this is the first failure.
    pub(super) fn failed(&self, error: Error, secret: SecretString, wait: Wait, now: Instant) -> bool {
        let mut state = self.state();
        let attempts = state.failure.as_ref().map_or(0, |failure| failure.attempts.saturating_add(1));
        let wait = match wait {
            Wait::Refused => RENEW_EVERY.mul_f64(0.9),
            Wait::Backoff { retry_after, unit } => {
                retry::delay(attempts.min(LONGEST_STEP), retry_after, unit)
            }
        };
        state.failure = Some(Failure { error, secret, attempts, next: now + wait });
        attempts == 0
    }

    /// Throws away a token that Jira refused. Returns whether another attempt makes sense: there is a newer token, or one
    /// may be fetched now.
    pub(super) fn refuse(&self, token: &AccessToken, now: Instant) -> bool {
        let mut state = self.state();
        if state.token.as_ref().is_some_and(|current| current.serial != token.serial) {
            return true;
        }
        if state.refused.is_some_and(|last| now.duration_since(last) < RENEW_EVERY) {
            return false;
        }
        state.refused = Some(now);
        state.token = None;
        true
    }
}

/// How long to wait before the next attempt to fetch a token.
pub(super) enum Wait {
    /// The endpoint refused the client: as long as after Jira refused a token.
    Refused,
    /// Longer each time, and at least as long as the endpoint demands.
    Backoff {
        /// From `Retry-After`.
        retry_after: Option<Duration>,
        /// A random number between 0 and 1.
        unit: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn fetched(value: &str, lifetime: Duration) -> Fetched {
        Fetched { value: value.into(), lifetime, scopes: None }
    }

    fn error() -> Error {
        Error::NoAccessToken { host: "auth".into(), why: "no".into(), cause: None, retry_after: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_its_end_and_never_used_after_it() {
        let now = Instant::now();
        for (lifetime, unit, renewed, used) in [
            (HOUR, 0.0, 3_450, 3_600),
            (HOUR, 1.0, 3_300, 3_600),
            (Duration::from_secs(60), 1.0, 48, 60),
            (Duration::from_secs(60), 0.0, 54, 60),
            (Duration::ZERO, 0.5, 0, 0),
        ] {
            let tokens = AccessTokens::new(None);
            tokens.store(fetched("a", lifetime), now, unit);
            let after = |seconds: u64| now + Duration::from_secs(seconds);
            let seconds = |is: &dyn Fn(u64) -> bool| (0..=4_000).take_while(|at| is(*at)).count();
            assert_eq!(seconds(&|at| tokens.fresh(after(at)).is_some()), renewed, "{lifetime:?} {unit}");
            assert_eq!(seconds(&|at| tokens.current(after(at)).is_some()), used, "{lifetime:?} {unit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_are_apart_until_the_secret_changes() {
        let (tokens, now) = (AccessTokens::new(None), Instant::now());
        let wait = |retry_after| Wait::Backoff { retry_after, unit: 0.0 };
        let pause = |secret: &str| {
            let is = |at: &u64| tokens.paused(now + Duration::from_secs(*at), &secret.into()).is_some();
            (0..4_000).take_while(is).count()
        };
        for (nth, seconds) in [1, 2, 4, 8, 16, 32, 32, 32].into_iter().enumerate() {
            assert_eq!(tokens.failed(error(), "old".into(), wait(None), now), nth == 0);
            assert_eq!((pause("old"), pause("new")), (seconds, 0));
        }
        tokens.failed(error(), "old".into(), wait(Some(HOUR)), now);
        assert_eq!(pause("old"), 3_600);
        tokens.failed(error(), "old".into(), Wait::Refused, now);
        assert_eq!(pause("old"), 14);
        tokens.store(fetched("a", HOUR), now, 0.0);
        assert_eq!(pause("old"), 0);
        assert!(tokens.failed(error(), "old".into(), wait(None), now), "it is the first again");
        assert!(tokens.current(now).is_some(), "it is good until its end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_at_once_and_then_rarely() {
        let (tokens, now) = (AccessTokens::new(None), Instant::now());
        let after = |seconds: u64| now + Duration::from_secs(seconds);
        let first = tokens.store(fetched("a", HOUR), now, 0.0);
        assert!(tokens.refuse(&first, now));
        assert!(tokens.current(now).is_none());
        let second = tokens.store(fetched("b", HOUR), now, 0.0);
        assert!(tokens.refuse(&first, after(1)), "there is a newer one");
        assert!(!tokens.refuse(&second, after(14)));
        assert!(tokens.current(after(14)).is_some());
        assert!(tokens.refuse(&second, after(15)));
    }
}
