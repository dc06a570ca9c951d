//! PURE: what a ticket is told after it was opened.

use super::{Block, Doc, Span, any_of, one_line};
use crate::{
    gate::Stage,
    policy::{Milestone, Route},
    rollout::{End, Fate, Note},
};

/// The longest message of Flagger that is told, in characters.
const LONGEST_LINE: usize = 300;

/// The comment that says this.
#[must_use]
pub fn comment(note: &Note, route: &Route) -> Doc {
    let approved = any_of(&route.ticket.approved);
    let words = match note {
        Note::Ended { fate, name } => ended(*fate, name.stage),
        Note::Progress { lines } => return progress(lines),
        Note::RejectedAtStart { .. } => format!(
            "This rejection keeps the rollout from starting; nothing has begun that could be rolled back. Flagger \
             keeps asking. To let it start after all, move this ticket to {approved}. To drop the change, deploy \
             another version and reject nothing more here: Flagger starts whatever is deployed once this is approved."
        ),
        Note::RejectedWithoutRollback { .. } => "This rejection keeps the gate closed. Flagger has not asked whether \
            to roll back: if this canary has no rollback hook, the new version stays where it is and the rollout \
            waits until somebody deploys another version or this ticket is approved."
            .to_owned(),
        Note::NotAllowed { why, .. } => {
            format!("This approval does not count: {}. The gate stays closed.", one_line(why, LONGEST_LINE))
        }
        Note::Expired { valid_for, .. } => format!(
            "This approval is not used any more: it is more than {} old, and Flagger asks only now. To renew it, move \
             this ticket out of {approved} and back.",
            span(*valid_for)
        ),
        Note::Late { live: Some(key) } => {
            format!("This ticket opens nothing any more: its rollout is over. The rollout that waits now has {key}.")
        }
        Note::Late { live: None } => {
            "This ticket opens nothing any more: its rollout is over. No rollout of this canary waits for a ticket now."
                .to_owned()
        }
        Note::NotMoved { milestone, why } => {
            format!("{} The bridge could not move this ticket: {}.", moved_because(*milestone), one_line(why, 500))
        }
    };
    Doc(vec![Block::Paragraph(vec![Span::Text(words)])])
}

fn ended(fate: Fate, stage: Stage) -> String {
    let how = match fate {
        Fate::Ended(End::Succeeded) => "The rollout succeeded.".to_owned(),
        Fate::Ended(End::Failed) => "The rollout failed; Flagger went back to the version before.".to_owned(),
        Fate::Ended(End::Superseded) => "The rollout was superseded: another one took its place.".to_owned(),
        Fate::Ended(End::Abandoned) => {
            "The rollout was abandoned: Flagger has not asked about it for a long time.".to_owned()
        }
        Fate::Bypassed => {
            format!(
                "The rollout shipped WITHOUT this approval: it succeeded, and {stage} was never opened for it."
            )
        }
    };
    format!("{how} This ticket opens nothing any more.")
}

const fn moved_because(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Opened => "This ticket was opened.",
        Milestone::Succeeded | Milestone::Bypassed => "The rollout is over: it succeeded.",
        Milestone::Failed => "The rollout is over: it failed.",
        Milestone::Superseded => "The rollout is over: another one took its place.",
        Milestone::Abandoned => "The rollout is over: nobody asked about it any more.",
    }
}

fn progress(lines: &[String]) -> Doc {
    let said = |line: &String| vec![Span::Text(one_line(line, LONGEST_LINE))];
    let heading = Block::Paragraph(vec![Span::Text("Flagger reports:".into())]);
    Doc(vec![heading, Block::Bullets(lines.iter().map(said).collect())])
}

/// Milliseconds in their largest whole unit, as the configuration writes it.
fn span(millis: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.iter().find(|(size, _)| millis > 0 && millis.is_multiple_of(*size));
    unit.map_or_else(|| format!("{millis}ms"), |(size, name)| format!("{}{name}", millis / size))
}
