//! PURE: the comments that say how a rollout ended.

use crate::{
    gate::{GateName, Stage},
    rollout::{End, FailedChecks, FailureCause, OtherTarget, Rollback, TicketOutcome},
    text::one_line,
    ticket::{
        doc::{Block, Span},
        words::{LONGEST_LINE, OVER, moment, person, step},
    },
    workload::content_of,
};

/// The words by which tools distinguish the endings: a comment has its own, and no other.
const WORDS: [&str; 5] = ["succeeded", "failed", "superseded", "abandoned", "WITHOUT this approval"];

/// Each outcome has a word that no other outcome uses: see [`WORDS`].
pub(super) fn ended(
    outcome: TicketOutcome,
    name: &GateName,
    other: Option<&OtherTarget>,
    cause: Option<&FailureCause>,
) -> Vec<Block> {
    match (outcome, other, cause) {
        (TicketOutcome::Ended(End::Superseded), Some(other), _) => vec![paragraph(other_target(other))],
        (TicketOutcome::Ended(End::Failed), _, Some(FailureCause::Rejected(rollback))) => {
            vec![paragraph(format!("{} {OVER} Another attempt gets its own ticket.", rolled_back(rollback)))]
        }
        (TicketOutcome::Ended(End::Failed), _, Some(FailureCause::Checks { lines, failed }))
            if failed.is_some() || lines.iter().any(|line| names_no_other(line)) =>
        {
            checks_failed(lines, *failed)
        }
        (outcome, _, _) => {
            let (how, then) = how_and_then(outcome, name.stage);
            vec![paragraph(format!("{how} {OVER} {then}"))]
        }
    }
}

/// The same at a gate that asked nobody: these words speak of no approval.
pub(super) fn ended_without_asking(
    outcome: TicketOutcome,
    name: &GateName,
    cause: Option<&FailureCause>,
) -> Vec<Block> {
    let how = match outcome {
        TicketOutcome::Ended(End::Superseded) => {
            "The rollout was superseded: another rollout of this canary took its place."
        }
        TicketOutcome::ShippedUnasked => {
            "The rollout was superseded: a newer revision was pushed while it was running, and Flagger started that revision \
             without asking."
        }
        // A gate that asked nobody was open, so nothing got past it.
        TicketOutcome::Ended(End::Recreated) | TicketOutcome::Recreated | TicketOutcome::Bypassed => {
            "The rollout was superseded: its Canary was deleted and created again, which starts whatever is deployed \
             without asking."
        }
        TicketOutcome::Ended(End::Succeeded | End::Failed | End::Abandoned) => {
            let mut blocks = ended(outcome, name, None, cause);
            blocks.push(paragraph(NOT_ASKED.to_owned()));
            return blocks;
        }
    };
    vec![paragraph(format!("{how} {OVER} The next rollout gets its own.")), paragraph(NOT_ASKED.to_owned())]
}

/// What every ending says where nobody was asked.
const NOT_ASKED: &str = "Nobody was asked here: this ticket only recorded the rollout.";

/// Nobody rejected it: what Flagger said last about failures, and how many checks had failed.
fn checks_failed(lines: &[String], failed: Option<FailedChecks>) -> Vec<Block> {
    let how = "The rollout failed: Flagger kept the previous version or went back to it.";
    let said = lines.iter().filter(|line| names_no_other(line));
    let said: Vec<_> = said.map(|line| vec![Span::Text(one_line(line, LONGEST_LINE))]).collect();
    let checks =
        failed.map(|FailedChecks { count, threshold }| format!("Failed checks: {count} of {threshold}. "));
    let then = format!("{}{OVER} Another attempt gets its own ticket.", checks.unwrap_or_default());
    if said.is_empty() {
        return vec![paragraph(format!("{how} {then}"))];
    }
    vec![
        paragraph(format!("{how} The last failures that it reported:")),
        Block::Bullets(said),
        paragraph(then),
    ]
}

fn paragraph(words: String) -> Block {
    Block::Paragraph(vec![Span::Text(words)])
}

/// Whether a text from outside has none of the words of other endings than a failure.
fn names_no_other(text: &str) -> bool {
    !WORDS.iter().any(|word| *word != "failed" && text.contains(word))
}

/// When Flagger was told: it rolls back after that.
fn rolled_back(Rollback { at, by, ticket, gate, timed_out }: &Rollback) -> String {
    let why = if *timed_out {
        format!("nobody decided in time on {ticket}")
    } else {
        let by = Some(person(by)).filter(|by| names_no_other(by));
        format!("{} rejected {ticket}", by.as_deref().unwrap_or("an approver"))
    };
    let approver = gate.approver.clone().filter(|approver| names_no_other(approver));
    format!(
        "Flagger was told to roll back at {} because {why}, the ticket for {}. The rollout failed, and the previous version stays.",
        moment(*at),
        step(&GateName { stage: gate.stage, approver, step: gate.step })
    )
}

fn how_and_then(outcome: TicketOutcome, stage: Stage) -> (String, &'static str) {
    let (how, then) = match outcome {
        TicketOutcome::Ended(End::Succeeded) => {
            ("The rollout succeeded: the new version is running.", "The next rollout gets its own ticket.")
        }
        TicketOutcome::Ended(End::Failed) => (
            "The rollout failed: Flagger kept the previous version or went back to it. The canary's events say why.",
            "Another attempt gets its own ticket.",
        ),
        TicketOutcome::Ended(End::Superseded) => (
            "The rollout was superseded: another rollout of this canary took its place.",
            "Decisions made here do not carry over. If the other rollout asks, it gets its own ticket, and this \
             one is linked to it.",
        ),
        TicketOutcome::Ended(End::Abandoned) => (
            "The rollout was abandoned: Flagger stopped asking, as it does when a canary is deleted.",
            "If Flagger asks again, it gets a new ticket.",
        ),
        TicketOutcome::Ended(End::Recreated) => (
            "The rollout was superseded: its Canary was deleted and created again, which starts whatever is deployed \
             without asking.",
            "The next rollout gets its own ticket.",
        ),
        TicketOutcome::ShippedUnasked => (
            "The rollout was superseded: a newer revision was pushed while it was running, and Flagger started that \
             revision under this approval without asking.",
            "If the canary has a hook that asks later, the newer revision gets a ticket there, and this one is linked \
             to it.",
        ),
        TicketOutcome::Recreated => (
            "The rollout was superseded: its Canary was deleted and created again. What was waiting is now running without \
             this approval, unless the primary was kept or something else was deployed in the meantime.",
            "Ask the team how this happened. The next rollout gets its own ticket.",
        ),
        TicketOutcome::Bypassed => {
            let how = format!(
                "The rollout shipped WITHOUT this approval: Flagger reports that the new version is running, but {stage} \
                 was never opened for it."
            );
            let then = "Ask the team how this happened: the hook may have been removed or skipped, or the approval came \
                        too late.";
            return (how, then);
        }
    };
    (how.to_owned(), then)
}

/// What a ticket shows is not what would start, or what is deployed since Flagger started it.
fn other_target(other: &OtherTarget) -> String {
    let line = |change: &String| one_line(change, LONGEST_LINE);
    match other {
        OtherTarget::Pushed { shown: None, now } => format!(
            "The rollout was superseded: this ticket could not show what changes. The bridge can read it now: {}. {OVER} \
             Another ticket shows the change. Decide there.",
            line(now)
        ),
        OtherTarget::Pushed { shown: Some(shown), now } => format!(
            "The rollout was superseded: another version was pushed before Flagger started the one shown here. This \
             ticket showed: {}. What would start now: {}.{} {OVER} An approval given here does not count. Another ticket \
             shows what would start. Decide there.",
            line(shown),
            line(now),
            if shown == now {
                " The two differ in something that these words do not show; compare the two tickets."
            } else {
                ""
            }
        ),
        OtherTarget::TakenBack { shown } => format!(
            "The rollout was superseded: the pod template was changed back before it started. This ticket showed: {}. What \
             would start now is what is already running, except perhaps for the content of ConfigMaps and Secrets. {OVER} \
             Flagger is still waiting, so there is another ticket. Decide there.",
            line(shown)
        ),
        OtherTarget::ConfigsChanged { names } => format!(
            "The rollout was superseded: {} is not what it was when this ticket was opened. It was changed, created or \
             deleted, or Flagger's tracking of it was turned on or off. {OVER} An approval given here does not count. \
             Another ticket is for what would start now. Decide there.",
            content_of(names)
        ),
        OtherTarget::ConfigsStarted { names } => format!(
            "The rollout was superseded: after the approval at confirm-rollout {} changed, and Flagger starts whatever is \
             deployed. Nobody approved that content. {OVER} If that content must not run, reject the next ticket of this \
             rollout, or ask the team to deploy the approved content.",
            content_of(names)
        ),
        OtherTarget::Deployed { shown, now } => format!(
            "The rollout was superseded: what is deployed while it is running is not what one of its tickets shows. That \
             ticket showed: {}. Deployed is: {}. {OVER} If Flagger asks again, another ticket shows what is deployed. \
             Decide there.",
            line(shown),
            line(now)
        ),
        OtherTarget::Started { shown, now } => format!(
            "The rollout was superseded: after the approval at confirm-rollout another version was pushed, and Flagger \
             starts whatever is deployed. Approved was: {}. Deployed is: {}, which nobody approved. {OVER} If that version \
             must not run, reject the next ticket of this rollout, or ask the team to deploy the approved version.",
            shown.as_ref().map_or_else(|| "not known".to_owned(), line),
            line(now)
        ),
    }
}
