//! Whether Jira accepts the bridge's credentials.
//!
//! Jira treats a request with a wrong password as anonymous: it answers 200 without data, or 404. So an answer counts
//! only if a header or a fresh `/myself` proves that it was for the bridge's account. While Jira refuses the
//! credentials, the bridge sends only `/myself`, and rarely: each failed attempt brings the account nearer to a
//! CAPTCHA.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{account::Account, denial::Denied, settings::Kind};
use crate::{lock::lock, millis::Millis};

/// How often `/myself` is sent while Jira refuses the credentials.
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// How long to wait after Jira demanded a CAPTCHA: until it is solved, Jira does not check the password.
const PROBE_AFTER_CAPTCHA: Duration = Duration::from_mins(5);
/// How long a `/myself` proves the answers after it.
const FRESH: Duration = Duration::from_secs(30);

/// Which account an answer is for, by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// An account that logged in.
    Ours,
    /// An anonymous caller: the log-in failed, or there was none.
    Anonymous,
    /// Jira did not try the log-in: a person has to solve a CAPTCHA first.
    Captcha,
    /// The headers do not say.
    None,
}

/// Reads which account an answer is for. Cloud names it in `X-AAccountId`, Data Center in `X-AUSERNAME`; both report
/// failed log-ins in `X-Seraph-LoginReason`.
pub(super) fn signature(kind: Option<Kind>, headers: &HeaderMap) -> Signature {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let reason: Vec<_> =
        headers.get_all("x-seraph-loginreason").iter().filter_map(|value| value.to_str().ok()).collect();
    let says = |word: &str| reason.iter().any(|reason| reason.contains(word));
    if headers.contains_key("x-authentication-denied-reason") || says("AUTHENTICATION_DENIED") {
        return Signature::Captcha;
    }
    if says("AUTHENTICATED_FAILED") {
        return Signature::Anonymous;
    }
    let name = match kind {
        Some(Kind::Cloud) => text("x-aaccountid"),
        Some(Kind::DataCenter) => text("x-ausername"),
        None => None,
    };
    match name {
        None | Some("") => Signature::None,
        Some("anonymous") => Signature::Anonymous,
        Some(_) => Signature::Ours,
    }
}

/// What is known about the bridge's credentials.
#[derive(Default)]
pub(super) struct Credentials {
    state: Mutex<State>,
    /// Held while `/myself` is under way, so that many waiting calls send only one.
    pub(super) probing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    account: Option<Account>,
    /// When the last successful `/myself` was sent, and when Jira answered it.
    proven: Option<(Instant, Instant)>,
    probed: Option<Instant>,
    /// The token of the last `/myself` or refused request that was sent.
    tried: Option<SecretString>,
    /// The token of the last `/myself` that was to be sent, and when.
    attempted: Option<(SecretString, Instant)>,
    refusal: Option<Refusal>,
    answered: Option<Millis>,
    /// Whether answers name the bridge's account: then an answer that does not was not for it.
    answers_name_account: bool,
}

/// Jira refuses the bridge's credentials.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) denied: Denied,
    /// Since when, by the bridge's clock.
    pub(super) since: Millis,
    pub(super) next_probe: Instant,
}

/// Whether a request may be sent.
#[derive(Clone, Debug)]
pub(super) enum Admission {
    /// It may.
    Granted,
    /// Only after a successful `/myself`, for this reason.
    ProbeFirst(Denied),
    /// Not now, for this reason.
    Denied(Denied),
}

impl Credentials {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether a request may be sent now.
    pub(super) fn admission(&self, now: Instant) -> Admission {
        match &self.state().refusal {
            None => Admission::Granted,
            Some(refusal) if refusal.next_probe <= now => Admission::ProbeFirst(refusal.denied.clone()),
            Some(refusal) => Admission::Denied(refusal.denied.clone()),
        }
    }

    /// Whether an answer without a signature, to a request sent at `began`, is proven by a `/myself`.
    pub(super) fn proves(&self, began: Instant, now: Instant) -> bool {
        self.proven_since(began)
            || self.state().proven.is_some_and(|(_, answered)| now.duration_since(answered) < FRESH)
    }

    /// Whether a `/myself` that was sent at `began` or later succeeded.
    pub(super) fn proven_since(&self, began: Instant) -> bool {
        self.state().proven.is_some_and(|(sent, _)| sent >= began)
    }

    /// Records that an answer named the bridge's account.
    pub(super) fn record_named(&self) {
        self.state().answers_name_account = true;
    }

    /// Whether Jira's answers name the bridge's account, as far as the bridge has seen.
    pub(super) fn answers_name_account(&self) -> bool {
        self.state().answers_name_account
    }

    /// The bridge's account, once a `/myself` has returned it.
    pub(super) fn account(&self) -> Option<Account> {
        self.state().account.clone()
    }

    /// Records that a `/myself` sent at `sent` returned the account, which ends a refusal. Its signature shows whether
    /// answers name the account, so that the bridge goes on working if a proxy begins to remove the name from all
    /// answers.
    pub(super) fn accept(&self, account: Account, signature: Signature, sent: Instant, now: Instant) {
        let mut state = self.state();
        state.answers_name_account = signature == Signature::Ours;
        state.account = Some(account);
        state.proven = Some((sent, now));
        state.refusal = None;
    }

    /// Whether Jira refuses the credentials, and `token` was not tried yet: then a `/myself` is worth sending at once or, if
    /// one with this token could not be sent a moment ago, a little later.
    pub(super) fn refused_before(&self, token: &SecretString, now: Instant) -> bool {
        let state = self.state();
        let is_it = |other: &SecretString| other.expose_secret() == token.expose_secret();
        let failed_lately =
            state.attempted.as_ref().is_some_and(|(other, at)| is_it(other) && now < *at + PROBE_EVERY);
        state.refusal.is_some() && state.tried.as_ref().is_some_and(|tried| !is_it(tried)) && !failed_lately
    }

    /// Whether Jira refuses the credentials at present.
    pub(super) fn are_refused(&self) -> bool {
        self.state().refusal.is_some()
    }

    /// Records that a request with this token was sent, which was a `/myself` or was refused.
    pub(super) fn record_tried(&self, token: SecretString) {
        self.state().tried = Some(token);
    }

    /// Records that a `/myself` with this token is to be sent now.
    pub(super) fn record_probe(&self, token: SecretString, now: Instant) {
        let mut state = self.state();
        state.probed = Some(now);
        state.attempted = Some((token, now));
        if let Some(refusal) = &mut state.refusal {
            refusal.next_probe = refusal.next_probe.max(now + PROBE_EVERY);
        }
    }

    /// Records that Jira refused the credentials.
    pub(super) fn refuse(&self, denied: &Denied, signature: Signature, now: Instant, clock: Millis) {
        let mut state = self.state();
        let next = match signature {
            Signature::Captcha => now + PROBE_AFTER_CAPTCHA,
            Signature::Ours | Signature::Anonymous | Signature::None => {
                state.probed.map_or(now, |probed| (probed + PROBE_EVERY).max(now))
            }
        };
        let (since, next) =
            state.refusal.as_ref().map_or((clock, next), |was| (was.since, was.next_probe.max(next)));
        state.proven = None;
        state.refusal = Some(Refusal { denied: denied.clone(), since, next_probe: next });
    }

    /// Records that an answer was proven to be for the bridge's account.
    pub(super) fn record_answer(&self, clock: Millis) {
        self.state().answered = Some(clock);
    }

    /// When the last proven answer arrived, and the current refusal, if there is one.
    pub(super) fn health(&self) -> (Option<Millis>, Option<Refusal>) {
        let state = self.state();
        (state.answered, state.refusal.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jira::denial::{Denial, Symptom};

    const WRONG: Denied = Denied { denial: Denial::Credentials, symptom: Symptom::NoAccount };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_answer_shows_which_account_it_is_for() {
        let cloud = |pairs: &[(&'static str, &str)]| signature(Some(Kind::Cloud), &headers(pairs));
        let own = |pairs: &[(&'static str, &str)]| signature(Some(Kind::DataCenter), &headers(pairs));
        assert_eq!(cloud(&[("x-aaccountid", "5b10")]), Signature::Ours);
        assert_eq!(cloud(&[]), Signature::None);
        assert_eq!(cloud(&[("x-ausername", "fred")]), Signature::None);
        let failed = ("x-seraph-loginreason", "AUTHENTICATED_FAILED");
        assert_eq!(cloud(&[("x-aaccountid", "5b10"), failed]), Signature::Anonymous);
        assert_eq!(own(&[("x-ausername", "fred"), ("x-seraph-loginreason", "OK")]), Signature::Ours);
        assert_eq!(own(&[("x-ausername", "anonymous")]), Signature::Anonymous);
        assert_eq!(own(&[("x-seraph-loginreason", "OK"), failed]), Signature::Anonymous);
        assert_eq!(own(&[("x-authentication-denied-reason", "CAPTCHA_CHALLENGE")]), Signature::Captcha);
        assert_eq!(own(&[("x-seraph-loginreason", "AUTHENTICATION_DENIED")]), Signature::Captcha);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_are_rare_and_rarer_after_a_captcha() {
        let credentials = Credentials::default();
        let start = Instant::now();
        credentials.refuse(&WRONG, Signature::None, start, Millis(1));
        assert!(matches!(credentials.admission(start), Admission::ProbeFirst(_)));
        credentials.record_probe("old".into(), start);
        credentials.refuse(&WRONG, Signature::None, start, Millis(2));
        let soon = start + Duration::from_secs(14);
        assert!(matches!(credentials.admission(soon), Admission::Denied(_)));
        assert!(matches!(credentials.admission(start + PROBE_EVERY), Admission::ProbeFirst(_)));
        credentials.refuse(&WRONG, Signature::Captcha, start, Millis(3));
        assert!(matches!(credentials.admission(start + Duration::from_secs(299)), Admission::Denied(_)));
        assert!(matches!(credentials.admission(start + PROBE_AFTER_CAPTCHA), Admission::ProbeFirst(_)));
        assert_eq!(credentials.health().1.unwrap().since, Millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_new_until_it_was_tried() {
        let (credentials, now) = (Credentials::default(), Instant::now());
        assert!(!credentials.refused_before(&"new".into(), now), "nothing is refused");
        credentials.record_probe("old".into(), now);
        credentials.record_tried("old".into());
        credentials.refuse(&WRONG, Signature::None, now, Millis(1));
        assert!(!credentials.refused_before(&"old".into(), now));
        assert!(credentials.refused_before(&"new".into(), now));
        credentials.record_probe("new".into(), now);
        assert!(!credentials.refused_before(&"new".into(), now), "it could not be sent, and is not sent hot");
        assert!(credentials.refused_before(&"new".into(), now + PROBE_EVERY));
        credentials.record_tried("new".into());
        assert!(!credentials.refused_before(&"new".into(), now + PROBE_EVERY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_proves_what_came_shortly_after_it_or_was_asked_before_it() {
        let (credentials, start) = (Credentials::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert!(!credentials.proves(start, start));
        let us = Account { id: "5b10".into(), key: None, name: "Bridge".into() };
        credentials.accept(us, Signature::None, start + second, start + second * 2);
        assert!(credentials.proves(start + second * 5, start + second * 31));
        assert!(!credentials.proves(start + second * 5, start + second * 32));
        assert!(credentials.proves(start + second, start + second * 90));
        credentials.refuse(&WRONG, Signature::None, start + second * 3, Millis(3));
        assert!(!credentials.proves(start, start + second * 4));
    }

    #[tokio::test(start_paused = true)]
    async fn whether_answers_name_the_account_is_what_was_seen_last() {
        let (credentials, now) = (Credentials::default(), Instant::now());
        let us = || Account { id: "5b10".into(), key: None, name: "Bridge".into() };
        assert!(!credentials.answers_name_account());
        credentials.record_named();
        assert!(credentials.answers_name_account());
        credentials.accept(us(), Signature::None, now, now);
        assert!(!credentials.answers_name_account(), "a proxy now removes the names");
        credentials.accept(us(), Signature::Ours, now, now);
        assert!(credentials.answers_name_account());
    }
}
