//! PURE: parts of sentences that tickets and comments share.

use crate::{
    gate::{GateName, Stage},
    millis::Millis,
    text::one_line,
};

/// What every comment says that ends a ticket.
pub(super) const OVER: &str = "This ticket no longer controls anything.";
/// The longest message of Flagger that is quoted, in characters.
pub(super) const LONGEST_LINE: usize = 300;
/// The longest reason that is quoted, in characters: it may name statuses.
pub(super) const LONGEST_REASON: usize = 500;
/// The longest name of a person, or of a value that the application team sends, in characters.
pub(super) const LONGEST_NAME: usize = 100;

/// A moment: `16:03 UTC on 21 September 2026`. It may be read much later.
pub(super) fn moment(Millis(at): Millis) -> String {
    match jiff::Timestamp::from_millisecond(at) {
        Ok(at) => at.strftime("%H:%M UTC on %-d %B %Y").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// The name of a person, who chose it.
pub(super) fn person(name: &str) -> String {
    let name = one_line(name, LONGEST_NAME);
    if name.is_empty() { "somebody".to_owned() } else { name }
}

/// A step of a rollout: `the promotion (qa)`.
pub(super) fn step(GateName { stage, approver, step: number }: &GateName) -> String {
    let step = match stage {
        Stage::ConfirmRollout => "the start",
        Stage::ConfirmTrafficIncrease => "the traffic increase",
        Stage::ConfirmPromotion => "the promotion",
        Stage::Gate => "the next steps",
    };
    let step = match number {
        Some(number) => format!("{step}, step {number}"),
        None => step.to_owned(),
    };
    match approver {
        Some(approver) => format!("{step} ({approver})"),
        None => step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_people_are_in_words() {
        assert_eq!(moment(Millis(1_790_000_000_000)), "14:13 UTC on 21 September 2026");
        assert_eq!(moment(Millis(i64::MAX)), "an unknown time");
        assert_eq!((person("Mia\nChange"), person(" ")), ("Mia Change".into(), "somebody".into()));
    }
}
