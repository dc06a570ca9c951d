//! `approval.decide_within`, `approval.on_timeout` and `approval.remind_after`.

use std::time::Duration;

use super::{duration, read::Section};
use crate::policy::{OnTimeout, TimeLimits};

/// The given keys.
#[derive(Clone, Default)]
pub(super) struct LimitsPart {
    decide_within: Option<Duration>,
    on_timeout: Option<OnTimeout>,
    remind_after: Option<Vec<Duration>>,
}

impl LimitsPart {
    pub(super) fn read(s: &Section<'_>) -> Self {
        let decide_within = s.optional("decide_within", Section::duration);
        let on_timeout = s.optional("on_timeout", |s, name| {
            let word = s.string(name)?;
            let known = OnTimeout::ALL.into_iter().find(|known| known.as_str() == word);
            if known.is_none() {
                let known = OnTimeout::ALL.map(|known| format!("{:?}", known.as_str()));
                s.problem(name, format!("must be {}, not {word:?}", known.join(" or ")));
            }
            known
        });
        let remind_after = s.optional("remind_after", |s, name| {
            let texts = s.checked_texts(name, |text| {
                duration::parse(text).map(drop).map_err(|what| format!("{text:?} {what}"))
            })?;
            let mut all: Vec<Duration> = texts.iter().filter_map(|text| duration::parse(text).ok()).collect();
            all.sort();
            all.dedup();
            Some(all)
        });
        Self { decide_within, on_timeout, remind_after }
    }

    /// Takes each key that is not given from `base`.
    pub(super) fn or(self, base: &Self) -> Self {
        Self {
            decide_within: self.decide_within.or(base.decide_within),
            on_timeout: self.on_timeout.or(base.on_timeout),
            remind_after: self.remind_after.or_else(|| base.remind_after.clone()),
        }
    }

    pub(super) fn whole(self) -> TimeLimits {
        TimeLimits {
            decide_within: self.decide_within,
            on_timeout: self.on_timeout.unwrap_or_default(),
            remind_after: self.remind_after.unwrap_or_default(),
        }
    }

    /// Reports limits that do not fit one another.
    pub(super) fn report(&self, s: &Section<'_>, at: &str) {
        if self.on_timeout == Some(OnTimeout::Reject) {
            match (self.decide_within, self.remind_after.as_deref().unwrap_or_default().last()) {
                (None, _) => s.problem(
                    &format!("{at}.on_timeout"),
                    "is \"reject\", which needs decide_within: give the longest time for a decision",
                ),
                (Some(within), Some(last)) if *last >= within => s.problem(
                    &format!("{at}.remind_after"),
                    "has a time that is not before decide_within, when the gate is rejected; take it out",
                ),
                (Some(_), _) => {}
            }
        }
    }
}
