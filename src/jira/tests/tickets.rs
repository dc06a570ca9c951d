//! Whole tickets, as people read them in both kinds of Jira.

mod comments;
mod kubernetes;
mod metadata;

use std::{collections::BTreeMap, fmt::Write as _};

use super::*;
use crate::{
    gate::{GateName, Stage},
    policy::Route,
    rollout::{Analysis, CanaryId, EarlierApproval, Label, Message, Phase, Revision, Subject},
    ticket::{self, Block, Draft as Words, NamedAccount, People, Surroundings},
    workload::{Shown, change},
};

/// The default route, with further settings as TOML lines with full keys.
pub(super) fn route(settings: &str) -> Route {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    let required = "jira.url = \"https://x.example\"\njira.token = \"t\"\nticket.project = \"OPS\"";
    std::fs::write(&path, format!("{required}\n{settings}\n")).unwrap();
    crate::config::load(&path, []).unwrap().policy.base
}

/// The subject of a question by Flagger about `shop/cart`.
pub(super) fn asked(stage: Stage, phase: Phase, metadata: &[(&str, &str)]) -> Subject {
    let canary = CanaryId { cluster: "prod-eu".into(), namespace: "shop".into(), name: "cart".into() };
    let metadata: BTreeMap<String, String> =
        metadata.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let label = metadata.get("revision").map(|label| Label(label.clone()));
    let message = Message { phase, checksum: Some(Revision("1829384756".into())), label };
    let subject = Subject::new(canary, GateName { stage, approver: None, step: None }, &message, metadata);
    Subject { number: Some(17), ..subject }
}

/// A text in both kinds of Jira: ADF with a mark for each kind of node, and wiki markup unchanged.
pub(super) fn both(doc: &Doc) -> [String; 2] {
    let mut adf = String::new();
    dump(&Jira::text(Kind::Cloud, doc), &mut adf);
    [adf.trim_end().to_owned(), Jira::text(Kind::DataCenter, doc).as_str().unwrap().to_owned()]
}

fn dump(node: &Value, out: &mut String) {
    let kind = node["type"].as_str().unwrap();
    let text = node["text"].as_str().unwrap_or_default();
    match (kind, node["marks"][0]["type"].as_str()) {
        ("text", None) => out.push_str(text),
        ("text", Some("strong")) => write!(out, "<b>{text}</b>").unwrap(),
        ("text", Some("link")) => {
            let href = node["marks"][0]["attrs"]["href"].as_str().unwrap();
            write!(out, "<a {href}>{text}</a>").unwrap();
        }
        ("hardBreak", None) => out.push_str("<br>\n"),
        ("heading", None) => out.push_str("<h3>"),
        ("listItem", None) => out.push_str("<li>"),
        ("mention", None) => write!(out, "<{}>", node["attrs"]["text"].as_str().unwrap()).unwrap(),
        ("tableHeader" | "tableCell", None) => out.push_str("| "),
        ("doc" | "paragraph" | "bulletList" | "table" | "tableRow", None) => {}
        (other, mark) => panic!("{other} {mark:?}"),
    }
    let content = node["content"].as_array().into_iter().flatten();
    if matches!(kind, "tableHeader" | "tableCell") {
        let mut cell = String::new();
        content.for_each(|child| dump(child, &mut cell));
        write!(out, "{} ", cell.trim_end()).unwrap();
        return;
    }
    content.for_each(|child| dump(child, out));
    match kind {
        "tableRow" => out.push_str("|\n"),
        "paragraph" | "heading" => out.push('\n'),
        _ => {}
    }
}

/// Jira knows Mia and Bob.
pub(super) fn known_people() -> People {
    let mut people = People::default();
    for (entry, id, name) in
        [("mia@example.com", "5b1", "Mia Change"), ("bob@example.com", "5b2", "Bob Builder")]
    {
        people.insert(entry, NamedAccount { id: id.into(), name: name.into() });
    }
    people
}

/// A new ticket.
pub(super) fn drafted(subject: &Subject, route: &Route, status_page: Option<&str>) -> Words {
    let browse = |key: &str| format!("https://jira.example/browse/{key}");
    let people = known_people();
    let around = Surroundings { status_page, browse: &browse, people: &people, hours: None };
    ticket::draft(subject, route, &around).unwrap()
}

fn whole(subject: &Subject, route: &Route) -> String {
    let Words { summary, description, fields } = drafted(subject, route, Some("https://bridge.example/"));
    assert_eq!(fields, BTreeMap::new());
    let [cloud, data_center] = both(&description);
    format!("{summary}\n\n=== Cloud\n{cloud}\n\n=== Data Center\n{data_center}")
}

#[test]
fn at_confirm_rollout() {
    let subject = asked(Stage::ConfirmRollout, Phase::Waiting, &[("revision", "v2.3"), ("team", "checkout")]);
    insta::assert_snapshot!(whole(&subject, &route("")), @r"
    Start cart v2.3 (prod-eu/shop) #17

    === Cloud
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    <b>New version, as the application team calls it: </b>v2.3
    The application team says about this rollout (not verified):
    | Name | Value |
    | revision | v2.3 |
    | team | checkout |
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts v2.3 the next time it asks, which it does about once a minute, unless the team changed that. It checks the new version beside the old one. If all checks pass, all users get it, unless another approval is needed on the way.
    <li><b>Rejected: </b>nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
    <li><b>Any other status: </b>the rollout waits.
    If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it without asking again.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected.
    <li><b>Until when: </b>there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because the team removes the canary. A comment here will say so.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    <li><b>To withdraw an approval: </b>move this ticket out of Approved before Flagger starts. Later, that does not stop the rollout.
    <h3>What is known so far
    Nothing about its traffic or checks.
    <a https://bridge.example/>The bridge's status page: what waits now, and why</a>
    <h3>Technical details, for the application team
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Phase: </b>Waiting
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>Flagger names it once the rollout has started
    <li><b>Replaces revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

    h3. What changes

    {*}New version, as the application team calls it:{*} v2.3

    The application team says about this rollout \(not verified\):

    || Name || Value ||
    | revision | v2.3 |
    | team | checkout |

    h3. What your decision does

    * {*}Approved:{*} Flagger starts v2.3 the next time it asks, which it does about once a minute, unless the team changed that. It checks the new version beside the old one. If all checks pass, all users get it, unless another approval is needed on the way.
    * {*}Rejected:{*} nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
    * {*}Any other status:{*} the rollout waits.

    If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it without asking again.

    h3. Who decides, and until when

    * {*}Who may approve:{*} any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected.
    * {*}Until when:{*} there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because the team removes the canary. A comment here will say so.
    * {*}How long an approval is valid:{*} if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    * {*}To withdraw an approval:{*} move this ticket out of Approved before Flagger starts. Later, that does not stop the rollout.

    h3. What is known so far

    Nothing about its traffic or checks.

    [The bridge's status page: what waits now, and why|https://bridge.example/]

    h3. Technical details, for the application team

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-rollout
    * {*}Phase:{*} Waiting
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} Flagger names it once the rollout has started
    * {*}Replaces revision:{*} 1829384756
    ");
}

#[test]
fn at_confirm_rollout_after_a_failure() {
    let subject = asked(Stage::ConfirmRollout, Phase::Failed, &[]);
    insta::assert_snapshot!(whole(&subject, &route("approval.valid_for = \"90m\"")), @r"
    Start cart revision 1829384756 (prod-eu/shop) #17

    === Cloud
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts the new version the next time it asks, which it does about once a minute, unless the team changed that. It checks the new version beside the old one. If all checks pass, all users get it, unless another approval is needed on the way.
    <li><b>Rejected: </b>nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
    <li><b>Any other status: </b>the rollout waits.
    If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it without asking again.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected.
    <li><b>Until when: </b>there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because the team removes the canary. A comment here will say so.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 90 minutes, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    <li><b>To withdraw an approval: </b>move this ticket out of Approved before Flagger starts. Later, that does not stop the rollout.
    <h3>What is known so far
    Nothing about its traffic or checks.
    <a https://bridge.example/>The bridge's status page: what waits now, and why</a>
    <h3>Technical details, for the application team
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Phase: </b>Failed
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.

    h3. What your decision does

    * {*}Approved:{*} Flagger starts the new version the next time it asks, which it does about once a minute, unless the team changed that. It checks the new version beside the old one. If all checks pass, all users get it, unless another approval is needed on the way.
    * {*}Rejected:{*} nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
    * {*}Any other status:{*} the rollout waits.

    If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it without asking again.

    h3. Who decides, and until when

    * {*}Who may approve:{*} any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected.
    * {*}Until when:{*} there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because the team removes the canary. A comment here will say so.
    * {*}How long an approval is valid:{*} if Flagger has not used it within 90 minutes, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    * {*}To withdraw an approval:{*} move this ticket out of Approved before Flagger starts. Later, that does not stop the rollout.

    h3. What is known so far

    Nothing about its traffic or checks.

    [The bridge's status page: what waits now, and why|https://bridge.example/]

    h3. Technical details, for the application team

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-rollout
    * {*}Phase:{*} Failed
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} 1829384756
    ");
}

#[test]
fn at_confirm_traffic_increase() {
    let subject = asked(Stage::ConfirmTrafficIncrease, Phase::Progressing, &[("author", "bob@example.com")]);
    let settings = "approval.approvers = [\"mia@example.com\", \"group:cab\", \"role:Approvers\"]\n\
                    approval.deny = [\"{{ metadata.author }}\", \"group:interns\"]";
    insta::assert_snapshot!(whole(&subject, &route(settings)), @r#"
    Send traffic to cart revision 1829384756 (prod-eu/shop) #17

    === Cloud
    Flagger, which rolls out new versions in Kubernetes, is ready to send more traffic to the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.
    The application team says about this rollout (not verified):
    | Name | Value |
    | author | bob@example.com |
    <h3>What your decision does
    <li><b>Approved: </b>Flagger sends more traffic to the new version, step by step, as long as its checks pass. It takes the first step the next time it asks, which it does about once a minute, unless the team changed that.
    <li><b>Rejected: </b>the new version gets no more traffic. The bridge does not know whether the team has set up a rollback after a rejection. If so, and if the person who rejects may also approve, Flagger rolls back the next time it asks, and all users get the old version again. Otherwise nothing changes, unless Flagger's checks fail.
    <li><b>Any other status: </b>the rollout waits.
    This approves all remaining traffic increases of this rollout. After the last one, all users get the new version, unless the team has set up another approval before that.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b><@Mia Change>, members of the group "cab" or anyone with the role "Approvers" in this project. Anyone else's approval does not count, and a comment will say so. Approvals by apps, automations or the bridge itself are ignored unless their account is listed here by name; a listed group or role is not enough.
    <li><b>Who may not approve: </b>Bob Builder or members of the group "interns".
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. That stops the rollout here.
    <li><b>Until when: </b>there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because a newer version replaces it. A comment here will say so.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    <li><b>To withdraw an approval: </b>move this ticket out of Approved. From the next time it asks, Flagger takes no further step. That does not undo the steps already taken.
    <h3>What is known so far
    Nothing about its traffic or checks.
    <a https://bridge.example/>The bridge's status page: what waits now, and why</a>
    <h3>Technical details, for the application team
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-traffic-increase
    <li><b>Phase: </b>Progressing
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is ready to send more traffic to the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.

    The application team says about this rollout \(not verified\):

    || Name || Value ||
    | author | bob\@example.com |

    h3. What your decision does

    * {*}Approved:{*} Flagger sends more traffic to the new version, step by step, as long as its checks pass. It takes the first step the next time it asks, which it does about once a minute, unless the team changed that.
    * {*}Rejected:{*} the new version gets no more traffic. The bridge does not know whether the team has set up a rollback after a rejection. If so, and if the person who rejects may also approve, Flagger rolls back the next time it asks, and all users get the old version again. Otherwise nothing changes, unless Flagger's checks fail.
    * {*}Any other status:{*} the rollout waits.

    This approves all remaining traffic increases of this rollout. After the last one, all users get the new version, unless the team has set up another approval before that.

    h3. Who decides, and until when

    * {*}Who may approve:{*} [~5b1], members of the group "cab" or anyone with the role "Approvers" in this project. Anyone else's approval does not count, and a comment will say so. Approvals by apps, automations or the bridge itself are ignored unless their account is listed here by name; a listed group or role is not enough.
    * {*}Who may not approve:{*} Bob Builder or members of the group "interns".
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected. That stops the rollout here.
    * {*}Until when:{*} there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because a newer version replaces it. A comment here will say so.
    * {*}How long an approval is valid:{*} if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    * {*}To withdraw an approval:{*} move this ticket out of Approved. From the next time it asks, Flagger takes no further step. That does not undo the steps already taken.

    h3. What is known so far

    Nothing about its traffic or checks.

    [The bridge's status page: what waits now, and why|https://bridge.example/]

    h3. Technical details, for the application team

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-traffic-increase
    * {*}Phase:{*} Progressing
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} 1829384756
    "#);
}

#[test]
fn at_confirm_promotion() {
    let mut subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &[]);
    subject.gate.approver = Some("qa".into());
    let settings = "approval.deny = [\"{{ metadata.author }}\"]\nticket.statuses = { approved = [\"Go\", \"Done\"], rejected = [] }";
    insta::assert_snapshot!(whole(&subject, &route(settings)), @r"
    Promote cart revision 1829384756 (prod-eu/shop) (qa) #17

    === Cloud
    Flagger, which rolls out new versions in Kubernetes, is ready to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.
    <h3>What your decision does
    No move of this ticket releases this rollout or rolls it back, because nobody may approve it. The rollout stays on hold.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>nobody. An entry of approval.deny is empty for this rollout, so no approval counts. Ask the application team to correct the metadata that its hook sends, and to roll out again.
    <li><b>Until when: </b>the rollout stays on hold until it ends, for instance because a newer version replaces it. A comment here will say so.
    <h3>What is known so far
    Nothing about its traffic or checks.
    <a https://bridge.example/>The bridge's status page: what waits now, and why</a>
    <h3>Technical details, for the application team
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-promotion (qa)
    <li><b>Phase: </b>Progressing
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is ready to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.

    h3. What your decision does

    No move of this ticket releases this rollout or rolls it back, because nobody may approve it. The rollout stays on hold.

    h3. Who decides, and until when

    * {*}Who may approve:{*} nobody. An entry of approval.deny is empty for this rollout, so no approval counts. Ask the application team to correct the metadata that its hook sends, and to roll out again.
    * {*}Until when:{*} the rollout stays on hold until it ends, for instance because a newer version replaces it. A comment here will say so.

    h3. What is known so far

    Nothing about its traffic or checks.

    [The bridge's status page: what waits now, and why|https://bridge.example/]

    h3. Technical details, for the application team

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-promotion \(qa\)
    * {*}Phase:{*} Progressing
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} 1829384756
    ");
}

#[test]
fn at_a_gate_without_checksums() {
    let subject = Subject { revision: None, ..asked(Stage::Gate, Phase::Progressing, &[]) };
    insta::assert_snapshot!(whole(&subject, &route("")), @r"
    Continue the rollout of cart (prod-eu/shop) #17

    === Cloud
    Flagger, which rolls out new versions in Kubernetes, is ready to continue with the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.
    <h3>What your decision does
    <li><b>Approved: </b>Flagger takes the next steps of this rollout the next time it asks, which it does about once a minute, unless the team changed that.
    <li><b>Rejected: </b>the rollout does not continue. The bridge does not know whether the team has set up a rollback after a rejection. If so, and if the person who rejects may also approve, Flagger rolls back the next time it asks, and all users get the old version again. Otherwise nothing changes, unless Flagger's checks fail.
    <li><b>Any other status: </b>the rollout waits.
    Flagger does not say here which step it asks about. An approval covers all questions of this rollout that it asks in this way, and one of them may be whether all users get the new version.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. That stops the rollout here.
    <li><b>Until when: </b>there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because a newer version replaces it. A comment here will say so.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    <li><b>To withdraw an approval: </b>move this ticket out of Approved. From the next time it asks, Flagger takes no further step. That does not undo the steps already taken.
    <h3>What is known so far
    Nothing about its traffic or checks.
    <a https://bridge.example/>The bridge's status page: what waits now, and why</a>
    <h3>Technical details, for the application team
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>gate
    <li><b>Phase: </b>Progressing
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>not sent by this Flagger, so the bridge distinguishes rollouts less reliably

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is ready to continue with the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.

    h3. What your decision does

    * {*}Approved:{*} Flagger takes the next steps of this rollout the next time it asks, which it does about once a minute, unless the team changed that.
    * {*}Rejected:{*} the rollout does not continue. The bridge does not know whether the team has set up a rollback after a rejection. If so, and if the person who rejects may also approve, Flagger rolls back the next time it asks, and all users get the old version again. Otherwise nothing changes, unless Flagger's checks fail.
    * {*}Any other status:{*} the rollout waits.

    Flagger does not say here which step it asks about. An approval covers all questions of this rollout that it asks in this way, and one of them may be whether all users get the new version.

    h3. Who decides, and until when

    * {*}Who may approve:{*} any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected. That stops the rollout here.
    * {*}Until when:{*} there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because a newer version replaces it. A comment here will say so.
    * {*}How long an approval is valid:{*} if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    * {*}To withdraw an approval:{*} move this ticket out of Approved. From the next time it asks, Flagger takes no further step. That does not undo the steps already taken.

    h3. What is known so far

    Nothing about its traffic or checks.

    [The bridge's status page: what waits now, and why|https://bridge.example/]

    h3. Technical details, for the application team

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} gate
    * {*}Phase:{*} Progressing
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} not sent by this Flagger, so the bridge distinguishes rollouts less reliably
    ");
}

/// No approval passes alone where a step has several tickets.
#[test]
fn with_several_tickets_for_a_step() {
    let mut subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &[]);
    subject.gate.approver = Some("qa".into());
    let [cloud, _] = both(&drafted(&subject, &route(""), None).description);
    for words in [
        "<b>Approved: </b>once every ticket of this step is approved, all users get the new version. Flagger begins",
        "Other approvers of this step may have their own tickets.",
    ] {
        assert!(cloud.contains(words), "{words}: {cloud}");
    }
}
