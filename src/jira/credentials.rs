//! Whether Jira takes us for who we say we are.
//!
//! Jira answers a wrong password like a stranger's visit: 200 and nothing in it, or 404. So an answer counts only
//! when it proves that it was given to our account, by a header of its own or by a fresh `/myself`. And while it
//! does not, nothing but `/myself` is sent, seldom: each failed attempt brings the account nearer to a CAPTCHA.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::{account::Account, denial::Denied, settings::Kind};
use crate::millis::Millis;

/// While refused, `/myself` is asked this often.
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// After Jira demanded a CAPTCHA: it does not even look at the password then.
const PROBE_AFTER_CAPTCHA: Duration = Duration::from_mins(5);
/// A `/myself` proves the answers around it for this long.
const FRESH: Duration = Duration::from_secs(30);

/// For whom an answer says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// For an account that logged in.
    Ours,
    /// For nobody: the log-in failed, or there was none.
    Anonymous,
    /// The log-in was not even tried: a person has to solve a CAPTCHA first.
    Captcha,
    /// It does not say.
    None,
}

/// Reads who an answer was for. Cloud names the account in `X-AAccountId`, Data Center in `X-AUSERNAME`; both tell
/// of failed log-ins in `X-Seraph-LoginReason`.
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

/// What is known of our credentials.
#[derive(Default)]
pub(super) struct Credentials {
    state: Mutex<State>,
    /// Held while `/myself` is under way, so that many waiting calls cost one.
    pub(super) probing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    account: Option<Account>,
    /// When the last `/myself` that worked was sent, and when it was answered.
    proven: Option<(Instant, Instant)>,
    probed: Option<Instant>,
    refusal: Option<Refusal>,
    answered: Option<Millis>,
    /// Whether answers name our account: then one that does not was not given to it.
    named: bool,
}

/// Jira has not let us in for some time.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) denied: Denied,
    /// Since when, by our clock.
    pub(super) since: Millis,
    next_probe: Instant,
}

/// Whether a request may be sent.
#[derive(Clone, Debug)]
pub(super) enum Admission {
    /// It may.
    Granted,
    /// Only after a `/myself` that worked; this is why.
    ProbeFirst(Denied),
    /// Not now; this is why.
    Denied(Denied),
}

impl Credentials {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.sent_since(began)
            || self.state().proven.is_some_and(|(_, answered)| now.duration_since(answered) < FRESH)
    }

    /// Whether a `/myself` that was sent at `began` or later worked.
    pub(super) fn sent_since(&self, began: Instant) -> bool {
        self.state().proven.is_some_and(|(sent, _)| sent >= began)
    }

    /// An answer named our account.
    pub(super) fn named(&self) {
        self.state().named = true;
    }

    /// Whether Jira's answers name our account, as far as any was seen.
    pub(super) fn are_named(&self) -> bool {
        self.state().named
    }

    /// Our own account, once `/myself` told it.
    pub(super) fn account(&self) -> Option<Account> {
        self.state().account.clone()
    }

    /// A `/myself` sent at `sent` told who we are: all is well. Its signature tells whether answers name the account; a proxy
    /// that begins to take the name out of all answers must not end everything.
    pub(super) fn accept(&self, account: Account, signature: Signature, sent: Instant, now: Instant) {
        let mut state = self.state();
        state.named = signature == Signature::Ours;
        state.account = Some(account);
        state.proven = Some((sent, now));
        state.refusal = None;
    }

    /// A `/myself` is sent now.
    pub(super) fn probed(&self, now: Instant) {
        let mut state = self.state();
        state.probed = Some(now);
        if let Some(refusal) = &mut state.refusal {
            refusal.next_probe = refusal.next_probe.max(now + PROBE_EVERY);
        }
    }

    /// Jira showed that it does not accept us.
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

    /// An answer was proven to be for us.
    pub(super) fn answered(&self, clock: Millis) {
        self.state().answered = Some(clock);
    }

    /// When the last proven answer came, and the refusal that stands.
    pub(super) fn health(&self) -> (Option<Millis>, Option<Refusal>) {
        let state = self.state();
        (state.answered, state.refusal.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jira::denial::{Denial, Symptom};

    const WRONG: Denied = Denied { denial: Denial::Credentials, symptom: Symptom::Anonymous };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_answer_says_for_whom_it_is() {
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
    async fn probes_are_seldom_and_more_so_after_a_captcha() {
        let credentials = Credentials::default();
        let start = Instant::now();
        credentials.refuse(&WRONG, Signature::None, start, Millis(1));
        assert!(matches!(credentials.admission(start), Admission::ProbeFirst(_)));
        credentials.probed(start);
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
        assert!(!credentials.are_named());
        credentials.named();
        assert!(credentials.are_named());
        credentials.accept(us(), Signature::None, now, now);
        assert!(!credentials.are_named(), "something takes the names out by now");
        credentials.accept(us(), Signature::Ours, now, now);
        assert!(credentials.are_named());
    }
}
