//! The health of the connection to Jira, for the page and the API.

use serde::{Serialize, Serializer};

use crate::{
    gatekeeper::{Gatekeeper, ListedGate, NoneRead},
    millis::{Millis, clock_time, rough_duration},
    view::Rfc3339,
};

/// The health of the connection to Jira.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JiraHealthView {
    /// Whether gates stay closed because of a problem with Jira.
    pub trouble: Trouble,
    /// The state in one line.
    pub words: String,
    /// When the bridge last tried what failed, if it knows.
    pub tried_at: Option<Rfc3339>,
    /// When it tries again, if it knows.
    pub next_try_at: Option<Rfc3339>,
    /// Set while tickets are read one by one, which takes longer.
    pub one_by_one: Option<OneByOne>,
}

impl JiraHealthView {
    /// Without further details.
    #[must_use]
    pub const fn new(trouble: Trouble, words: String) -> Self {
        Self { trouble, words, tried_at: None, next_try_at: None, one_by_one: None }
    }
}

/// What is wrong with the connection to Jira. Serialized as whether anything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Jira denies access or asked to wait, or nobody talks to it: nothing is sent.
    Access,
    /// What was sent last failed.
    Requests,
}

impl Trouble {
    pub(super) const fn is_any(self) -> bool {
        match self {
            Self::None => false,
            Self::Access | Self::Requests => true,
        }
    }
}

impl Serialize for Trouble {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.is_any())
    }
}

/// Since when and why tickets are read one by one: requests for several tickets are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OneByOne {
    /// Since when.
    pub since: Rfc3339,
    /// The error of Jira, or of a proxy in between.
    pub why: String,
}

/// The health of the connection to Jira as the client reports it, and if that is good, whether tickets can be read.
pub(super) fn jira_health(
    known: JiraHealthView,
    gatekeeper: Option<&Gatekeeper>,
    list: &[ListedGate],
    now: Millis,
) -> JiraHealthView {
    let unread =
        gatekeeper.filter(|_| list.iter().any(ListedGate::is_watched)).map(Gatekeeper::unread_tickets);
    let Some(unread) = unread else { return known };
    let one_by_one = unread.why_one_by_one().map(|(since, why)| OneByOne { since: Rfc3339(since), why });
    let known = JiraHealthView { one_by_one, ..known };
    match (known.trouble, unread.all()) {
        // The cause is known.
        (Trouble::Access, _) | (_, None) => known,
        (Trouble::None | Trouble::Requests, Some(NoneRead { since, tried, next, why })) => {
            let (at, ago) = (clock_time(since), rough_duration(now.since(since)));
            let words = format!("no ticket can be read since {at} ({ago} ago): {why}");
            JiraHealthView {
                trouble: Trouble::Requests,
                words,
                tried_at: Some(Rfc3339(tried)),
                next_try_at: Some(Rfc3339(next)),
                ..known
            }
        }
    }
}
