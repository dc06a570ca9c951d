//! Every comment, in both formats.

use super::*;
use crate::{
    policy::{Author, Milestone, empty_denial},
    rollout::{Analysis, End, FailedChecks, FailureCause, Notice, Obstacle, Rollback, TicketOutcome},
};

fn said(note: &Notice) -> String {
    let [cloud, data_center] = both(&ticket::comment(note, &route(""), &People::default()));
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
    let name = |stage| GateName { stage, approver: Some("qa".into()), step: None };
    for (outcome, own) in OUTCOMES {
        for stage in Stage::ALL {
            let notice =
                Notice::Ended { outcome, name: name(stage), other: None, cause: None, recorded: false };
            for text in both(&ticket::comment(&notice, &route(""), &People::default())) {
                let words = OUTCOMES.map(|(_, word)| word).into_iter().filter(|word| text.contains(word));
                assert_eq!(words.collect::<Vec<_>>(), [own], "{text}");
                assert_eq!(text.matches("This ticket no longer controls anything").count(), 1, "{text}");
            }
        }
    }
    let all = OUTCOMES.map(|(outcome, _)| {
        said(&Notice::Ended {
            outcome,
            name: name(Stage::ConfirmPromotion),
            other: None,
            cause: None,
            recorded: false,
        })
    });
    insta::assert_snapshot!(all.join("\n\n"), @r"
    The rollout succeeded: the new version is running. This ticket no longer controls anything. The next rollout gets its own ticket.

    The rollout failed: Flagger kept the previous version or went back to it. The canary's events say why. This ticket no longer controls anything. Another attempt gets its own ticket.

    The rollout was superseded: another rollout of this canary took its place. This ticket no longer controls anything. Decisions made here do not carry over. If the other rollout asks, it gets its own ticket, and this one is linked to it.

    The rollout was abandoned: Flagger stopped asking, as it does when a canary is deleted. This ticket no longer controls anything. If Flagger asks again, it gets a new ticket.

    The rollout shipped WITHOUT this approval: Flagger reports that the new version is running, but confirm-promotion was never opened for it. This ticket no longer controls anything. Ask the team how this happened: the hook may have been removed or skipped, or the approval came too late.
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

    This rejection keeps the rollout from starting. Nothing is running yet, so there is nothing to roll back. Flagger keeps asking. To start the rollout after all, move this ticket to Approved. To drop the change, leave this ticket as it is and ask the team to deploy what should run instead: once this ticket is approved, Flagger starts whatever is deployed then.

    This rejection keeps the rollout on hold. Flagger has not asked yet whether to roll back. If it asks, and whoever rejected this ticket may approve it, the bridge says yes. A canary without a rollback hook never asks: the new version then stays where it is until the team deploys another one, this ticket is moved to Approved, or Flagger's checks fail.

    This approval does not count: Bob (it's *me*) is not among the approvers of this gate. The rollout stays on hold. To approve it, an approver must move this ticket out of Approved and back.
    === Data Center
    This approval does not count: Bob \(it's \*me\*\) is not among the approvers of this gate. The rollout stays on hold. To approve it, an approver must move this ticket out of Approved and back.

    This approval does not count, and no approval counts here: an entry of approval.deny was empty at a question of this rollout ("{{ metadata.author }}"), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again. Ask the application team to do that. The rollout stays on hold, wherever this ticket is moved.
    === Data Center
    This approval does not count, and no approval counts here: an entry of approval.deny was empty at a question of this rollout \("\{\{ metadata.author \}\}"\), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again. Ask the application team to do that. The rollout stays on hold, wherever this ticket is moved.

    This rejection holds the rollout, but cannot roll it back: Bob (it's *me*) is not among the approvers of this gate. To roll it back, an approver must move this ticket out of Rejected and back.
    === Data Center
    This rejection holds the rollout, but cannot roll it back: Bob \(it's \*me\*\) is not among the approvers of this gate. To roll it back, an approver must move this ticket out of Rejected and back.

    This rejection holds the rollout, but cannot roll it back, and nor can another one: an entry of approval.deny was empty at a question of this rollout ("{{ metadata.author }}"), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again. Ask the application team to do that.
    === Data Center
    This rejection holds the rollout, but cannot roll it back, and nor can another one: an entry of approval.deny was empty at a question of this rollout \("\{\{ metadata.author \}\}"\), so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again. Ask the application team to do that.

    This approval has expired: it was more than 3 days old when Flagger asked. The rollout stays on hold. To renew the approval, move this ticket out of Approved and back.

    This ticket no longer controls anything. It has the label flagger-ended, which marks tickets of rollouts that are over. Flagger is still asking, so the bridge opens another ticket and links this one to it. Decide there.

    This ticket is a duplicate of OPS-7 and controls nothing. Decide there. Jira did not answer when the bridge opened the first of the two, so the bridge opened the second.

    This ticket controls nothing: its rollout was over before Jira showed it.

    This ticket no longer controls anything. The rollout that is waiting now has OPS-7. Decide there.

    This ticket no longer controls anything. No rollout of this canary is waiting for a ticket now. The next one gets its own ticket.

    The bridge opened this ticket but could not move it on: no transition leads to "Done". If it cannot be decided in its current status, move it by hand.

    The bridge could not move this ticket: no transition leads to "Done". You can move it by hand. That does not affect the rollout.
    "#);
}

fn rollback(stage: Stage, approver: Option<&str>) -> Rollback {
    let gate = GateName { stage, approver: approver.map(str::to_owned), step: None };
    Rollback {
        at: Millis(1_790_000_000_000),
        by: "Mia Change".into(),
        ticket: "OPS-3".into(),
        gate,
        timed_out: false,
    }
}

/// What failed is named, in words of Flagger or of a person, without the word of another ending.
#[test]
fn why_a_rollout_failed() {
    let name = GateName { stage: Stage::ConfirmRollout, approver: None, step: None };
    let ended = |cause| Notice::Ended {
        outcome: TicketOutcome::Ended(End::Failed),
        name: name.clone(),
        other: None,
        cause: Some(cause),
        recorded: false,
    };
    let checks = |lines: &[&str]| {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        ended(FailureCause::Checks { lines, failed: None })
    };
    let renamed = Rollback { by: "succeeded".into(), ..rollback(Stage::ConfirmPromotion, None) };
    let notes = [
        ended(FailureCause::Rejected(rollback(Stage::ConfirmPromotion, None))),
        ended(FailureCause::Rejected(rollback(Stage::ConfirmTrafficIncrease, Some("qa")))),
        ended(FailureCause::Rejected(renamed)),
        ended(FailureCause::Rejected(rollback(Stage::ConfirmPromotion, Some("succeeded")))),
        checks(&[
            "Halt podinfo.default advancement success rate 10.00% < 99%",
            "Halt podinfo.default advancement carts-abandoned 91 > 10",
            "Rolling back podinfo.default failed checks threshold reached 2",
        ]),
        checks(&["Halt podinfo.default advancement carts-abandoned 91 > 10"]),
        ended(FailureCause::Checks {
            lines: Vec::new(),
            failed: Some(FailedChecks { count: 2, threshold: 5 }),
        }),
    ];
    for note in &notes {
        for text in both(&ticket::comment(note, &route(""), &People::default())) {
            let words = OUTCOMES.map(|(_, word)| word).into_iter().filter(|word| text.contains(word));
            assert_eq!(words.collect::<Vec<_>>(), ["failed"], "{text}");
        }
    }
    insta::assert_snapshot!(notes.iter().map(said).collect::<Vec<_>>().join("\n\n"), @r"
    Flagger was told to roll back at 14:13 UTC on 21 September 2026 because Mia Change rejected OPS-3, the ticket for the promotion. The rollout failed, and the previous version stays. This ticket no longer controls anything. Another attempt gets its own ticket.

    Flagger was told to roll back at 14:13 UTC on 21 September 2026 because Mia Change rejected OPS-3, the ticket for the traffic increase (qa). The rollout failed, and the previous version stays. This ticket no longer controls anything. Another attempt gets its own ticket.
    === Data Center
    Flagger was told to roll back at 14:13 UTC on 21 September 2026 because Mia Change rejected OPS-3, the ticket for the traffic increase \(qa\). The rollout failed, and the previous version stays. This ticket no longer controls anything. Another attempt gets its own ticket.

    Flagger was told to roll back at 14:13 UTC on 21 September 2026 because an approver rejected OPS-3, the ticket for the promotion. The rollout failed, and the previous version stays. This ticket no longer controls anything. Another attempt gets its own ticket.

    Flagger was told to roll back at 14:13 UTC on 21 September 2026 because Mia Change rejected OPS-3, the ticket for the promotion. The rollout failed, and the previous version stays. This ticket no longer controls anything. Another attempt gets its own ticket.

    The rollout failed: Flagger kept the previous version or went back to it. The last failures that it reported:
    <li>Halt podinfo.default advancement success rate 10.00% < 99%
    <li>Rolling back podinfo.default failed checks threshold reached 2
    This ticket no longer controls anything. Another attempt gets its own ticket.
    === Data Center
    The rollout failed: Flagger kept the previous version or went back to it. The last failures that it reported:

    * Halt podinfo.default advancement success rate 10.00% < 99%
    * Rolling back podinfo.default failed checks threshold reached 2

    This ticket no longer controls anything. Another attempt gets its own ticket.

    The rollout failed: Flagger kept the previous version or went back to it. The canary's events say why. This ticket no longer controls anything. Another attempt gets its own ticket.

    The rollout failed: Flagger kept the previous version or went back to it. Failed checks: 2 of 5. This ticket no longer controls anything. Another attempt gets its own ticket.
    ");
}

#[test]
fn what_flagger_was_told() {
    let name = |approver: Option<&str>| GateName {
        stage: Stage::ConfirmPromotion,
        approver: approver.map(str::to_owned),
        step: None,
    };
    let passed = |approver| Notice::Passed {
        entry: "10100".into(),
        by: "Mia Change".into(),
        at: Millis(1_790_000_000_000),
        name: name(approver),
    };
    let why = "it cannot be told whether Mia Change is an approver: approval.approvers: Jira shows no group \"cab\"; \
               correct it there";
    let notes = [
        passed(None),
        passed(Some("qa")),
        Notice::RolledBack { entry: "10101".into(), rollback: rollback(Stage::ConfirmPromotion, None) },
        Notice::NotJudged { why: why.into(), entry: Some("10101".into()) },
        Notice::NoHistory { status: "10003".into() },
    ];
    insta::assert_snapshot!(notes.iter().map(said).collect::<Vec<_>>().join("\n\n"), @r#"
    Flagger was told to go on at 14:13 UTC on 21 September 2026 because Mia Change approved this ticket.

    Flagger was told to go on at 14:13 UTC on 21 September 2026 because Mia Change approved this ticket. Flagger goes on once every ticket of this step is approved.

    Flagger was told to roll back at 14:13 UTC on 21 September 2026 because Mia Change rejected this ticket.

    The bridge cannot tell at the moment whether the decision on this ticket counts. Until it can, Flagger neither goes on nor rolls back because of it. Tell the team that runs the bridge: its status page and "flagger-jira-bridge gates" say why. There is no need to move this ticket again: the bridge keeps checking.

    The decision on this ticket does not count: its history cannot be read, or does not show how it got to its status. The rollout stays on hold. Move this ticket to another status and back, or delete it: after a while the bridge opens another one.
    "#);
}

/// The rules of today: who is named in the configuration, and who was ruled out at an earlier question.
#[test]
fn the_rules_of_today() {
    let because = |deny: &[&str], obstacle, is_last, settings: &str| {
        let deny = deny.iter().map(|&entry| entry.to_owned()).collect();
        let notice = Notice::RulesChanged { at: Millis(0), deny, obstacle, is_last };
        both(&ticket::comment(&notice, &route(settings), &known_people()))[0].clone()
    };
    let changed = |deny: &[&str], settings: &str| because(deny, None, false, settings);
    let board = "approval.approvers = [\"mia\", \"group:cab\", \"role:Board\"]\napproval.deny = [\"bob\", \"{{ metadata.author }}\"]\n\
                 ticket.statuses.rejected = []\napproval.valid_for = \"4h\"";
    // Which statuses the ids name is not known here: perhaps Done.
    let ids = "ticket.statuses.approved = [\"10003\"]\nticket.transitions.succeeded = \"Done\"";
    let all = [
        changed(&[], ""),
        changed(&["max"], board),
        changed(&[""], board),
        because(&["max"], Some(Obstacle::TooManyDenials), false, board),
        because(&[], Some(Obstacle::NothingShown), true, board),
        changed(&[], ids),
        changed(&[], "ticket.transitions.succeeded = \"Done\""),
    ];
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to a decision made earlier:
    <li><b>Approved: </b>this approves, but only if that status already meant approved when this ticket was opened.
    <li><b>Rejected: </b>this rejects. It rolls back only if that status already meant rejected then.
    <li><b>Any other status: </b>the rollout waits.
    <li><b>Who may approve: </b>any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. Flagger rolls back only if that user may also approve.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    Anyone whom an earlier question of this rollout ruled out stays ruled out.

    The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to a decision made earlier:
    <li><b>Approved: </b>this approves, but only if that status already meant approved when this ticket was opened.
    <li><b>Any other status: </b>the rollout waits.
    <li><b>Who may approve: </b>"mia", members of the group "cab" or anyone with the role "Board" in this project. Anyone else's approval does not count, and a comment will say so. Approvals by apps, automations or the bridge itself are ignored unless their account is listed here by name; a listed group or role is not enough.
    <li><b>Who may not approve: </b>"max" or "bob".
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 4 hours, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    Anyone whom an earlier question of this rollout ruled out stays ruled out.

    The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to a decision made earlier:
    <li><b>Who may approve: </b>nobody. An entry of approval.deny is empty for this rollout, so no approval counts. Ask the application team to correct the metadata that its hook sends, and to roll out again.
    <li><b>Any status: </b>no move of this ticket releases the rollout or rolls it back.

    The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to a decision made earlier:
    <li><b>Who may approve: </b>nobody. The questions of this rollout excluded too many accounts by approval.deny, so no approval counts. Ask the application team to find out what sends another name with each question, and to roll out again.
    <li><b>Any status: </b>no move of this ticket releases the rollout or rolls it back.

    The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to a decision made earlier:
    <li><b>Who may approve: </b>nobody, because this ticket does not show what changes.
    <li><b>Any status: </b>no move of this ticket starts anything. Another ticket replaces this one once the bridge can read what changes.
    If the rules change again, no comment here says so. The bridge's status page shows whether a decision on this ticket counts.

    The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to a decision made earlier:
    <li><b>10003: </b>this approves, but only if that status already meant approved when this ticket was opened.
    <li><b>Rejected: </b>this rejects. It rolls back only if that status already meant rejected then.
    <li><b>Any other status: </b>the rollout waits.
    <li><b>Who may approve: </b>any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. Flagger rolls back only if that user may also approve.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of 10003 and back. Once used, it no longer expires.
    Anyone whom an earlier question of this rollout ruled out stays ruled out.

    The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to a decision made earlier:
    <li><b>Approved: </b>this approves, but only if that status already meant approved when this ticket was opened.
    <li><b>Rejected: </b>this rejects. It rolls back only if that status already meant rejected then.
    <li><b>Any other status: </b>the rollout waits, and is not cancelled. That includes Done: the bridge moves this ticket there when the rollout has ended.
    <li><b>Who may approve: </b>any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. Flagger rolls back only if that user may also approve.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    Anyone whom an earlier question of this rollout ruled out stays ruled out.
    "#);
}

#[test]
fn what_flagger_did_without_a_question() {
    let name = || GateName { stage: Stage::ConfirmRollout, approver: None, step: None };
    let revision = |checksum: &str| Revision(checksum.into());
    let label = |label: &str| Label(label.into());
    let notes = [
        Notice::Ended {
            outcome: TicketOutcome::ShippedUnasked,
            name: name(),
            other: None,
            cause: None,
            recorded: false,
        },
        Notice::Ended {
            outcome: TicketOutcome::Recreated,
            name: name(),
            other: None,
            cause: None,
            recorded: false,
        },
        Notice::Ended {
            outcome: TicketOutcome::Ended(End::Recreated),
            name: name(),
            other: None,
            cause: None,
            recorded: false,
        },
        Notice::OtherRevision { asked: revision("5c4f9d7b6d"), started: revision("7f8d6c5b94") },
        Notice::OtherLabel { label: label("v2"), before: label("v1") },
        Notice::Unasked { revision: revision("7f8d6c5b94") },
    ];
    insta::assert_snapshot!(notes.iter().map(said).collect::<Vec<_>>().join("\n\n"), @r#"
    The rollout was superseded: a newer revision was pushed while it was running, and Flagger started that revision under this approval without asking. This ticket no longer controls anything. If the canary has a hook that asks later, the newer revision gets a ticket there, and this one is linked to it.

    The rollout was superseded: its Canary was deleted and created again. What was waiting is now running without this approval, unless the primary was kept or something else was deployed in the meantime. This ticket no longer controls anything. Ask the team how this happened. The next rollout gets its own ticket.

    The rollout was superseded: its Canary was deleted and created again, which starts whatever is deployed without asking. This ticket no longer controls anything. The next rollout gets its own ticket.

    Flagger asked about revision 5c4f9d7b6d when this ticket was opened, but started 7f8d6c5b94, which was pushed while this ticket was waiting.

    The team now calls the revision that started "v2". It used to call the same checksum "v1".

    Nobody approved revision 7f8d6c5b94, and it has shipped: Flagger started it under this approval without asking. To be asked about such a revision, add a confirm-promotion hook to the canary.
    "#);
}
