//! PURE: the words of the messages to a team's channels.

use std::time::Duration;

use crate::{
    millis::duration_in_words,
    rollout::{CanaryId, Notification, Turn},
    text::one_line,
};

/// The longest text from outside in them, in characters.
const LONGEST: usize = 500;

/// Words of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// The bridge's own.
    Own(String),
    /// From outside, on one line: to be shown as they are.
    External(String),
}

impl Words {
    /// The words alone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(text) | Self::External(text) => text,
        }
    }
}

/// A message, before it is written in the format of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationText {
    /// A sentence.
    pub headline: Vec<Words>,
    /// What else is known, each with what it is.
    pub facts: Vec<(&'static str, String)>,
}

impl NotificationText {
    /// The sentence as plain text.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.headline.iter().map(Words::as_str).collect()
    }
}

/// What a notification says.
#[must_use]
pub fn notification(canary: &CanaryId, about: &Notification) -> NotificationText {
    let own = |text: &str| Words::Own(text.to_owned());
    let external = |text: &str| Words::External(one_line(text, LONGEST));
    let (name, gate) = (external(&canary.name), external(&about.gate.to_string()));
    let decided =
        |by: &str, verb: &str| vec![external(by), own(verb), name.clone(), own(" at "), gate.clone()];
    let headline = match &about.turn {
        Turn::Waiting => vec![name, own(" is waiting for approval at "), gate],
        Turn::Approved { by, .. } => decided(by, " approved "),
        Turn::Rejected { by, .. } => decided(by, " rejected "),
        Turn::TimedOut { .. } => {
            vec![name, own(" is rejected, because nobody decided in time at "), gate]
        }
        Turn::Stuck { .. } => vec![name, own(" has to wait, because no ticket can be opened for "), gate],
        Turn::ShippedWithoutApproval => vec![name, own(" was shipped without the approval at "), gate],
        Turn::StartedUnapproved => vec![
            own("Flagger started another version of "),
            name,
            own(" than the one that was approved at "),
            gate,
        ],
        Turn::PromotedUnasked { .. } => {
            vec![own("A version of "), name, own(" was promoted without any approval")]
        }
    };
    let mut facts = vec![("Cluster", canary.cluster.clone()), ("Namespace", canary.namespace.clone())];
    let change = about.change.clone().map(|change| ("What changes", change));
    let label = about.label.clone().map(|label| ("Version", label));
    facts.extend(change.into_iter().chain(label));
    match &about.turn {
        Turn::TimedOut { within } => {
            let within = duration_in_words(Duration::from_millis(u64::try_from(*within).unwrap_or(0)));
            facts.push(("A decision was due within", within));
        }
        Turn::Stuck { why } => facts.push(("Why", why.clone())),
        Turn::PromotedUnasked { bypass } => {
            facts.push(("Why", bypass.cause().to_owned()));
            let known = [("Before", &bypass.before), ("Now", &bypass.now)];
            let known = known.into_iter().filter(|(_, images)| !images.is_empty());
            facts.extend(known.map(|(what, images)| (what, images.clone())));
        }
        Turn::Waiting
        | Turn::Approved { .. }
        | Turn::Rejected { .. }
        | Turn::ShippedWithoutApproval
        | Turn::StartedUnapproved => {}
    }
    let facts = facts.into_iter().map(|(what, value)| (what, one_line(&value, LONGEST))).collect();
    NotificationText { headline, facts }
}
