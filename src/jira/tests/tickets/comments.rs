//! Every comment, in both formats.

use super::*;
use crate::{
    policy::{Author, Milestone, empty_denial},
    rollout::{Analysis, End, Notice, TicketOutcome},
};

fn said(note: &Notice) -> String {
    let [cloud, data_center] = both(&ticket::comment(note, &route("")));
    // If nothing is escaped, both texts are the same.
    if cloud == data_center { cloud } else { format!("{cloud}\n=== Data Center\n{data_center}") }
}

const OUTCOMES: [(TicketOutcome, &str); 5] = [
    (TicketOutcome::Ended(End::Succeeded), "succeeded"),
    (TicketOutcome::Ended(End::Failed), "failed"),
    (TicketOutcome::Ended(End::Superseded), "superseded"),
    (TicketOutcome::Ended(End::Abandoned), "abandoned"),
    (TicketOutcome::Bypassed, "WITHOUT this approval"),
];

#[test]
fn comments_at_the_end_of_a_rollout() {
    let name = |stage| GateName { stage, approver: Some("qa".into()) };
    for (outcome, own) in OUTCOMES {
        for stage in Stage::ALL {
            for text in
                both(&ticket::comment(&Notice::Ended { outcome, name: name(stage), other: None }, &route("")))
            {
                let words = OUTCOMES.map(|(_, word)| word).into_iter().filter(|word| text.contains(word));
                assert_eq!(words.collect::<Vec<_>>(), [own], "{text}");
                assert_eq!(text.matches("This ticket opens nothing any more").count(), 1, "{text}");
            }
        }
    }
    let all = OUTCOMES.map(|(outcome, _)| {
        said(&Notice::Ended { outcome, name: name(Stage::ConfirmPromotion), other: None })
    });
    insta::assert_snapshot!(all.join("\n\n"), @r"
    The rollout succeeded: the new version runs. This ticket opens nothing any more. The next rollout opens its own.

    The rollout failed: Flagger keeps the previous version, or went back to it. Its events on the canary say why. This ticket opens nothing any more. Another try opens its own.

    The rollout was superseded: another one of this canary took its place. This ticket opens nothing any more. What was decided here is not carried over: if the other one asks, it opens a ticket of its own, to which this one is then linked.

    The rollout was abandoned: Flagger stopped asking, as it does when a canary is deleted. This ticket opens nothing any more. If Flagger asks again, that opens a new one.

    The rollout shipped WITHOUT this approval: Flagger reports that the new version runs, and confirm-promotion was never opened for it. This ticket opens nothing any more. Ask the team how that came about: the hook may have been removed or skipped, or the approval came too late.
    ");
}

#[test]
fn notices() {
    let entry = || "10100".to_owned();
    let why = || "Bob (it's *me*) is not among the approvers of this gate".to_owned();
    let empty = || {
        let deny = ["{{ metadata.author }}".to_owned()];
        let Author::NotAccepted { why } = empty_denial("approval.deny", &deny) else { panic!() };
        why
    };
    let not_moved = |milestone| Notice::NotMoved { milestone, why: "no transition leads to \"Done\"".into() };
    let notes = [
        Notice::Progress {
            lines: vec!["Halt advancement 91.00% < 99%".into(), "Advance weight 20".into()],
            analysis: Some(Analysis { weight: Some(20), failed_checks: 1, threshold: 5 }),
        },
        Notice::RejectedAtStart { entry: entry() },
        Notice::RejectedWithoutRollback { entry: entry() },
        Notice::NotAllowed { entry: entry(), why: why(), for_good: false },
        Notice::NotAllowed { entry: entry(), why: empty(), for_good: true },
        Notice::RejectionNotCounted { entry: entry(), why: why(), for_good: false },
        Notice::RejectionNotCounted { entry: entry(), why: empty(), for_good: true },
        Notice::Expired { entry: entry(), valid_for: 259_200_000 },
        Notice::LabelledEnded,
        Notice::Duplicate { of: Some("OPS-7".into()) },
        Notice::Duplicate { of: None },
        Notice::Late { live: Some("OPS-7".into()) },
        Notice::Late { live: None },
        not_moved(Milestone::Opened),
        not_moved(Milestone::Failed),
    ];
    insta::assert_snapshot!(notes.iter().map(said).collect::<Vec<_>>().join("\n\n"), @r#"
    Flagger reports:
    <li>Halt advancement 91.00% < 99%
    <li>Advance weight 20
    Traffic to the new version: 20 %. Failed checks: 1 of 5.
    === Data Center
    Flagger reports:

    * Halt advancement 91.00% < 99%
    * Advance weight 20

    Traffic to the new version: 20 %. Failed checks: 1 of 5.

    This rejection keeps the rollout from starting; nothing has begun that could be rolled back. Flagger keeps asking. To let it start after all, move this ticket to Approved. To drop the change, leave the ticket here and have the team deploy what should run instead: Flagger starts whatever is deployed once this ticket is approved.

    This rejection keeps the gate closed. Flagger has not asked whether to roll back. If it asks, and an approver rejected this ticket, the bridge answers yes. If this canary has no rollback hook, the new version stays where it is, and the rollout waits until the team deploys another version or this ticket is moved to Approved.

    This approval does not count: Bob (it's *me*) is not among the approvers of this gate. The gate stays closed. To open it, an approver has to move this ticket out of Approved and back.
    === Data Center
    This approval does not count: Bob \(it's \*me\*\) is not among the approvers of this gate. The gate stays closed. To open it, an approver has to move this ticket out of Approved and back.

    This approval does not count, and no approval counts here: an entry of approval.deny came out empty at a question of this rollout ("{{ metadata.author }}"), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again. The gate stays closed, wherever this ticket is moved.
    === Data Center
    This approval does not count, and no approval counts here: an entry of approval.deny came out empty at a question of this rollout \("\{\{ metadata.author \}\}"\), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again. The gate stays closed, wherever this ticket is moved.

    This rejection keeps the gate closed, but it rolls nothing back, because it does not count as one: Bob (it's *me*) is not among the approvers of this gate. To roll back, an approver has to reject it.
    === Data Center
    This rejection keeps the gate closed, but it rolls nothing back, because it does not count as one: Bob \(it's \*me\*\) is not among the approvers of this gate. To roll back, an approver has to reject it.

    This rejection keeps the gate closed, but it rolls nothing back, because no rejection counts here: an entry of approval.deny came out empty at a question of this rollout ("{{ metadata.author }}"), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again.
    === Data Center
    This rejection keeps the gate closed, but it rolls nothing back, because no rejection counts here: an entry of approval.deny came out empty at a question of this rollout \("\{\{ metadata.author \}\}"\), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again.

    This approval is not used any more: it is more than 3 days old, and Flagger asks only now. The gate stays closed. To renew the approval, move this ticket out of Approved and back.

    This ticket opens nothing any more, because it has the label flagger-ended, which marks tickets of ended rollouts. Flagger still asks, so the bridge opens another ticket and links this one to it; decide there.

    This ticket is a duplicate of OPS-7, and opens nothing; decide there. Jira did not answer when the bridge opened the one, so it opened the other.

    This ticket opens nothing: Jira showed it only after the rollout it was opened for was over.

    This ticket opens nothing any more. The rollout that waits now has OPS-7; decide there.

    This ticket opens nothing any more. No rollout of this canary waits for a ticket now; the next one opens its own.

    The bridge opened this ticket, and could not move it on: no transition leads to "Done". Move it by hand, if it cannot be decided where it stands.

    The bridge could not move this ticket: no transition leads to "Done". Move it by hand if you like; that opens nothing.
    "#);
}

#[test]
fn what_flagger_did_without_a_question() {
    let name = || GateName { stage: Stage::ConfirmRollout, approver: None };
    let revision = |checksum: &str| Revision(checksum.into());
    let label = |label: &str| Label(label.into());
    let notes = [
        Notice::Ended { outcome: TicketOutcome::ShippedUnasked, name: name(), other: None },
        Notice::Ended { outcome: TicketOutcome::Recreated, name: name(), other: None },
        Notice::Ended { outcome: TicketOutcome::Ended(End::Recreated), name: name(), other: None },
        Notice::OtherRevision { asked: revision("5c4f9d7b6d"), started: revision("7f8d6c5b94") },
        Notice::OtherLabel { label: label("v2"), before: label("v1") },
        Notice::Unasked { revision: revision("7f8d6c5b94") },
    ];
    insta::assert_snapshot!(notes.iter().map(said).collect::<Vec<_>>().join("\n\n"), @"
    The rollout was superseded: a newer revision was pushed while it ran, and started under this approval: Flagger asks nobody at confirm-rollout then. This ticket opens nothing any more. If the canary has a hook that asks later, the newer revision gets a ticket of its own there, to which this one is then linked.

    The rollout was superseded, because its Canary was deleted and recreated: what was waiting runs now without this approval, unless the primary was kept or something else was deployed meanwhile. This ticket opens nothing any more. Ask the team how that came about. The next rollout opens its own.

    The rollout was superseded: its Canary was deleted and recreated, which starts what is deployed without a question. This ticket opens nothing any more. The next rollout opens its own.

    Flagger named revision 5c4f9d7b6d when it asked for this ticket, and started 7f8d6c5b94: that one was pushed while this ticket waited.

    The team now calls the started revision v2. It called the same checksum v1 before.

    The newer revision 7f8d6c5b94, which Flagger started under this approval without a question, has shipped. Nobody approved it. To be asked about such a revision, add a confirm-promotion hook to the canary.
    ");
}
