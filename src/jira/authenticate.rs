//! Proves that Jira accepts the bridge's credentials: only answers for the bridge's account pass.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::Instant;

use super::{
    account::Account,
    answer::Answer,
    credentials::{Admission, Signature},
    denial::{Denial, Denied, Symptom},
    error::{Error, SideEffect},
    request::{Operation, Request, SignInProof},
    send::Sender,
    settings::Kind,
    wire,
};

/// Jira denies access until a person has solved a CAPTCHA.
const CAPTCHA: Denied = Denied { denial: Denial::Captcha, symptom: Symptom::Captcha };

/// The password or token is wrong.
const fn wrong_credentials(symptom: Symptom) -> Denied {
    Denied { denial: Denial::Credentials, symptom }
}

impl Sender {
    /// Proves the bridge's account by a `/myself` that was sent at `began` or later.
    ///
    /// # Errors
    /// Any of a request. After [`Error::Unauthorized`] all other calls wait for a successful `/myself`.
    pub(super) async fn authenticate(&self, began: Instant) -> Result<(), Error> {
        let _one_at_a_time = self.credentials.probing.lock().await;
        if self.credentials.proven_since(began) {
            return Ok(());
        }
        if let Admission::Denied(why) = self.admission() {
            return Err(self.unauthorized(why, SideEffect::None));
        }
        self.probe().await
    }

    /// Fails while Jira refuses the bridge's credentials; from time to time sends a `/myself` first.
    pub(super) async fn admit(&self) -> Result<(), Error> {
        match self.admission() {
            Admission::Granted => self.prepare_access().await,
            Admission::Denied(why) => Err(self.unauthorized(why, SideEffect::None)),
            Admission::ProbeFirst(_) => self.authenticate(Instant::now()).await,
        }
    }

    /// Sends a `/myself`. The caller holds the lock.
    async fn probe(&self) -> Result<(), Error> {
        let kind = self.kind.get().copied().unwrap_or(Kind::DataCenter);
        let request = Request::get(Operation::MYSELF, kind, &["myself"]);
        let throttled = self.acquire().await?;
        let sent = Instant::now();
        let token = self.login.secret().newest();
        self.credentials.record_probe(token.clone(), sent);
        let answer = match Box::pin(self.exchange(&request, throttled)).await {
            Ok(answer) => answer,
            Err(error) => {
                if !error.was_not_sent() {
                    self.credentials.record_tried(token);
                }
                return Err(error);
            }
        };
        self.credentials.record_tried(answer.token.clone());
        let refuse = |denied: Denied| {
            let denied = self.as_login(denied);
            self.credentials.refuse(&denied, answer.signature, Instant::now(), self.clock.now());
            Err(self.unauthorized(denied, SideEffect::None))
        };
        match (answer.signature, answer.status) {
            (Signature::Captcha, _) => refuse(CAPTCHA),
            (Signature::Anonymous, _) => {
                refuse(wrong_credentials(Symptom::AnsweredAnonymously { asked: None }))
            }
            (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                refuse(Denied { denial: answer.denial(), symptom: answer.symptom(None) })
            }
            (_, status) if !status.is_success() => Err(answer.refused()),
            (Signature::Ours | Signature::None, _) => {
                let user: wire::User = answer.read()?;
                let account = user
                    .account()
                    .ok_or_else(|| answer.unreadable("it does not name the bridge's account"))?;
                self.credentials.accept(account, answer.signature, sent, Instant::now());
                self.credentials.record_answer(self.clock.now());
                Ok(())
            }
        }
    }

    /// The bridge's account; requested once.
    pub(super) async fn account(&self) -> Result<Account, Error> {
        if self.credentials.account().is_none() {
            self.authenticate(Instant::now()).await?;
        }
        self.credentials.account().ok_or_else(|| {
            let denied = self.as_login(wrong_credentials(Symptom::NoAccount));
            self.unauthorized(denied, SideEffect::None)
        })
    }

    /// Sends a request, and returns its answer only if it was for the bridge's account.
    pub(super) async fn judge_answer(&self, request: &Request, throttled: Duration) -> Result<Answer, Error> {
        let began = Instant::now();
        // Boxed: the stack of a thread must hold all that waits for it, in a debug build, too.
        let answer = Box::pin(self.exchange(request, throttled)).await?;
        // After a 2xx for an anonymous caller, Jira may have carried out the request anonymously.
        let side_effect = if answer.status.is_success() { SideEffect::Unknown } else { SideEffect::None };
        let refuse = |denied: Denied| {
            let denied = self.as_login(denied);
            self.credentials.record_tried(answer.token.clone());
            self.credentials.refuse(&denied, answer.signature, Instant::now(), self.clock.now());
            self.unauthorized(denied, side_effect)
        };
        match (answer.signature, answer.status) {
            (Signature::Captcha, _) => return Err(refuse(CAPTCHA)),
            (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                // Perhaps only this request is not allowed: then `/myself` succeeds.
                match self.authenticate(began).await {
                    Ok(()) => return Err(answer.refused()),
                    Err(error @ Error::Unauthorized { .. }) => {
                        return Err(error.into_prerequisite(side_effect));
                    }
                    Err(_) => {
                        let symptom = answer.symptom(Some(answer.operation));
                        return Err(refuse(Denied { denial: answer.denial(), symptom }));
                    }
                }
            }
            _ if request.proof == SignInProof::Optional => {}
            (Signature::Anonymous, _) => {
                return Err(refuse(wrong_credentials(Symptom::AnsweredAnonymously {
                    asked: Some(answer.operation),
                })));
            }
            (Signature::Ours, _) => self.credentials.record_named(),
            (Signature::None, status) => self.judge_unsigned(&answer, status, began, side_effect).await?,
        }
        if request.proof == SignInProof::Required {
            self.credentials.record_answer(self.clock.now());
        }
        if answer.status.is_success() { Ok(answer) } else { Err(answer.refused()) }
    }

    /// Judges an answer that does not say which account it is for. If Jira's other answers name the bridge's account,
    /// it was not for the bridge. Else a `/myself` from around the same time proves it; a refusal, which anonymous
    /// callers get, too, is proven only by a `/myself` sent after it.
    async fn judge_unsigned(
        &self,
        answer: &Answer,
        status: StatusCode,
        began: Instant,
        side_effect: SideEffect,
    ) -> Result<(), Error> {
        let named = self.credentials.answers_name_account();
        if named || status.is_client_error() {
            self.authenticate(Instant::now()).await.map_err(|error| error.into_prerequisite(side_effect))?;
        } else if !self.credentials.proves(began, Instant::now()) {
            self.authenticate(began).await.map_err(|error| error.into_prerequisite(side_effect))?;
        }
        if self.credentials.answers_name_account() { Err(answer.wrong_account()) } else { Ok(()) }
    }

    pub(super) fn unauthorized(&self, denied: Denied, side_effect: SideEffect) -> Error {
        Error::Unauthorized { host: self.host.clone(), denied, side_effect }
    }
}
