//! PURE: the query of the page and of the API: which gates are wanted.

use serde::{Deserialize, Serialize};

use crate::{
    config,
    gate::Verdict,
    gatekeeper::{GroupBy, Selection},
};

/// The part of a query that selects gates, untrusted. What is empty does not matter.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) cluster: String,
    pub(super) namespace: String,
    pub(super) canary: String,
    pub(super) state: String,
    pub(super) older_than: String,
}

/// The query of `GET /api/gates`, untrusted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiQuery {
    cluster: String,
    namespace: String,
    canary: String,
    state: String,
    older_than: String,
    /// At most so many.
    limit: String,
    /// After so many.
    offset: String,
}

impl Wanted {
    /// The gates that it selects.
    ///
    /// # Errors
    /// What is wrong with the first value that cannot be understood.
    pub(super) fn selection(&self) -> Result<Selection, String> {
        let named = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        let state = match self.state.as_str() {
            "" => None,
            word => Some(state(word).ok_or_else(|| {
                format!("state must be one of {}", Verdict::ALL.map(Verdict::as_str).join(", "))
            })?),
        };
        let older_than = match self.older_than.as_str() {
            "" => None,
            text => Some(config::parse_duration(text).map_err(|why| format!("older_than {why}"))?),
        };
        Ok(Selection {
            cluster: named(&self.cluster),
            namespace: named(&self.namespace),
            canary: named(&self.canary),
            state,
            older_than,
        })
    }

    /// The same, without values that cannot be understood: a page is better than none.
    pub(super) fn lenient(&self) -> Selection {
        self.selection().unwrap_or_else(|_| {
            let is_age = config::parse_duration(&self.older_than).is_ok();
            let older_than = if is_age { self.older_than.clone() } else { String::new() };
            let state = state(&self.state).map_or("", Verdict::as_str).to_owned();
            Self { older_than, state, ..self.clone() }.selection().unwrap_or_default()
        })
    }
}

fn state(word: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|state| state.as_str() == word)
}

/// How the page groups gates; `None` if it lists them.
pub(super) fn group_by(word: &str) -> Option<GroupBy> {
    GroupBy::ALL.into_iter().find(|by| by.as_str() == word)
}

impl ApiQuery {
    /// The gates that it selects, and which of them: how many are left out before, and how many are returned at most.
    ///
    /// # Errors
    /// What is wrong with the first value that cannot be understood.
    pub(super) fn read(self) -> Result<(Selection, usize, usize), String> {
        let number = |name: &str, text: &str, otherwise: usize| match text {
            "" => Ok(otherwise),
            text => text.parse().map_err(|_| format!("{name} must be a whole number")),
        };
        let (skipped, most) = (number("offset", &self.offset, 0)?, number("limit", &self.limit, usize::MAX)?);
        let Self { cluster, namespace, canary, state, older_than, .. } = self;
        let wanted = Wanted { cluster, namespace, canary, state, older_than };
        Ok((wanted.selection()?, skipped, most))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_wrong_is_said_to_programs_and_ignored_for_people() {
        let wanted = |state: &str, older_than: &str| Wanted {
            cluster: "eu".into(),
            state: state.into(),
            older_than: older_than.into(),
            ..Wanted::default()
        };
        let selection = wanted("not_allowed", "1h").selection().unwrap();
        assert_eq!(selection.state, Some(Verdict::NotAllowed));
        assert_eq!(selection.older_than, Some(Duration::from_hours(1)));
        assert_eq!((selection.cluster.as_deref(), selection.namespace), (Some("eu"), None));
        assert!(wanted("open", "").selection().unwrap_err().starts_with("state must be one of opening,"));
        assert!(wanted("", "1 hour").selection().unwrap_err().starts_with("older_than is not a duration"));
        let lenient = wanted("open", "1h").lenient();
        assert_eq!((lenient.state, lenient.older_than), (None, Some(Duration::from_hours(1))));
        let lenient = wanted("waiting", "soon").lenient();
        assert_eq!((lenient.state, lenient.older_than), (Some(Verdict::Waiting), None));
        assert_eq!(lenient.cluster.as_deref(), Some("eu"));
    }

    #[test]
    fn pages_of_the_api() {
        let query = |limit: &str, offset: &str| {
            ApiQuery { limit: limit.into(), offset: offset.into(), ..ApiQuery::default() }.read()
        };
        assert_eq!(query("", "").unwrap(), (Selection::default(), 0, usize::MAX));
        assert_eq!(query("10", "20").unwrap(), (Selection::default(), 20, 10));
        assert_eq!(query("-1", "").unwrap_err(), "limit must be a whole number");
        assert_eq!(query("", "1.5").unwrap_err(), "offset must be a whole number");
    }
}
