//! Whole tickets, as people read them in both kinds of Jira.

mod comments;

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
    Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    <b>New version, as the application team calls it: </b>v2.3
    The application team says about this rollout (nobody has checked it):
    | Name | Value |
    | revision | v2.3 |
    | team | checkout |
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts v2.3 the next time it asks, which it does once per analysis interval (a minute unless the team changed it).
    <li><b>Rejected: </b>nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    <li><b>Any other status: </b>the rollout waits.
    This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected.
    <li><b>Until when: </b>there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
    <li><b>How long an approval counts: </b>it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
    <h3>What is known so far
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Phase: </b>Waiting
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>Flagger names it once the rollout has started
    <li><b>Replaces revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

    h3. What changes

    {*}New version, as the application team calls it:{*} v2.3

    The application team says about this rollout \(nobody has checked it\):

    || Name || Value ||
    | revision | v2.3 |
    | team | checkout |

    h3. What your decision does

    * {*}Approved:{*} Flagger starts v2.3 the next time it asks, which it does once per analysis interval \(a minute unless the team changed it\).
    * {*}Rejected:{*} nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    * {*}Any other status:{*} the rollout waits.

    This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.

    h3. Who decides, and until when

    * {*}Who may approve:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected.
    * {*}Until when:{*} there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
    * {*}How long an approval counts:{*} it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.

    h3. What is known so far

    [What waits now, and why|https://bridge.example/]

    h3. Technical details

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
    Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts the new version the next time it asks, which it does once per analysis interval (a minute unless the team changed it).
    <li><b>Rejected: </b>nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    <li><b>Any other status: </b>the rollout waits.
    This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected.
    <li><b>Until when: </b>there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
    <li><b>How long an approval counts: </b>it expires if Flagger does not use it within 90 minutes. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
    <h3>What is known so far
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Phase: </b>Failed
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.

    h3. What your decision does

    * {*}Approved:{*} Flagger starts the new version the next time it asks, which it does once per analysis interval \(a minute unless the team changed it\).
    * {*}Rejected:{*} nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    * {*}Any other status:{*} the rollout waits.

    This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.

    h3. Who decides, and until when

    * {*}Who may approve:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected.
    * {*}Until when:{*} there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
    * {*}How long an approval counts:{*} it expires if Flagger does not use it within 90 minutes. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.

    h3. What is known so far

    [What waits now, and why|https://bridge.example/]

    h3. Technical details

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
    Flagger, which rolls out new versions in Kubernetes, is about to send more traffic to the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.
    The application team says about this rollout (nobody has checked it):
    | Name | Value |
    | author | bob@example.com |
    <h3>What your decision does
    <li><b>Approved: </b>Flagger sends more traffic to the new version, step by step, as long as its checks pass. It takes the first step the next time it asks, which it does once per analysis interval (a minute unless the team changed it).
    <li><b>Rejected: </b>the new version gets no more traffic. If the team has set up a rollback hook, Flagger also takes the new version back the next time it asks, so that all users get the old version. Without such a hook, the traffic stays as it is.
    <li><b>Any other status: </b>the rollout waits.
    This approves all further steps of traffic of this rollout. After the last one, all users get the new version. Flagger asks about that only if the team has set up such an approval (a confirm-promotion hook).
    <h3>Who decides, and until when
    <li><b>Who may approve: </b><@Mia Change>, members of the group "cab" or people with the role "Approvers" in this project. An app, an automation or the bridge's own account counts only if its account is named here: a group or role is not enough.
    <li><b>Who may not approve: </b>Bob Builder or members of the group "interns".
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. That stops the rollout here. Flagger takes the new version back only if that user may also approve.
    <li><b>Until when: </b>there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because a newer version replaces it. A comment here says so then.
    <li><b>How long an approval counts: </b>it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
    <h3>What is known so far
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-traffic-increase
    <li><b>Phase: </b>Progressing
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is about to send more traffic to the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.

    The application team says about this rollout \(nobody has checked it\):

    || Name || Value ||
    | author | bob\@example.com |

    h3. What your decision does

    * {*}Approved:{*} Flagger sends more traffic to the new version, step by step, as long as its checks pass. It takes the first step the next time it asks, which it does once per analysis interval \(a minute unless the team changed it\).
    * {*}Rejected:{*} the new version gets no more traffic. If the team has set up a rollback hook, Flagger also takes the new version back the next time it asks, so that all users get the old version. Without such a hook, the traffic stays as it is.
    * {*}Any other status:{*} the rollout waits.

    This approves all further steps of traffic of this rollout. After the last one, all users get the new version. Flagger asks about that only if the team has set up such an approval \(a confirm-promotion hook\).

    h3. Who decides, and until when

    * {*}Who may approve:{*} [~5b1], members of the group "cab" or people with the role "Approvers" in this project. An app, an automation or the bridge's own account counts only if its account is named here: a group or role is not enough.
    * {*}Who may not approve:{*} Bob Builder or members of the group "interns".
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected. That stops the rollout here. Flagger takes the new version back only if that user may also approve.
    * {*}Until when:{*} there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because a newer version replaces it. A comment here says so then.
    * {*}How long an approval counts:{*} it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.

    h3. What is known so far

    [What waits now, and why|https://bridge.example/]

    h3. Technical details

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
    Flagger, which rolls out new versions in Kubernetes, is about to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.
    <h3>What your decision does
    No move of this ticket releases this rollout or rolls it back, because nobody may approve it. The rollout stays on hold.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>nobody. An entry of approval.deny is empty for this rollout, so no approval counts. Ask the application team to correct the metadata that its hook sends, and to roll out again.
    <li><b>Until when: </b>the rollout stays on hold until it ends, for instance because a newer version replaces it. A comment here says so then.
    <h3>What is known so far
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-promotion (qa)
    <li><b>Phase: </b>Progressing
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>1829384756

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is about to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.

    h3. What your decision does

    No move of this ticket releases this rollout or rolls it back, because nobody may approve it. The rollout stays on hold.

    h3. Who decides, and until when

    * {*}Who may approve:{*} nobody. An entry of approval.deny is empty for this rollout, so no approval counts. Ask the application team to correct the metadata that its hook sends, and to roll out again.
    * {*}Until when:{*} the rollout stays on hold until it ends, for instance because a newer version replaces it. A comment here says so then.

    h3. What is known so far

    [What waits now, and why|https://bridge.example/]

    h3. Technical details

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
    Flagger, which rolls out new versions in Kubernetes, is about to go on with the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.
    <h3>What your decision does
    <li><b>Approved: </b>Flagger takes the next steps of this rollout the next time it asks, which it does once per analysis interval (a minute unless the team changed it).
    <li><b>Rejected: </b>Flagger does not go on. If the team has set up a rollback hook, Flagger also takes the new version back the next time it asks, so that all users get the old version. Without such a hook, the traffic stays as it is.
    <li><b>Any other status: </b>the rollout waits.
    Flagger does not say here which step it asks about. An approval covers all questions of this rollout that it asks in this way, and one of them may be whether all users get the new version.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. That stops the rollout here. Flagger takes the new version back only if that user may also approve.
    <li><b>Until when: </b>there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because a newer version replaces it. A comment here says so then.
    <li><b>How long an approval counts: </b>it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
    <h3>What is known so far
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>gate
    <li><b>Phase: </b>Progressing
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>not sent by this Flagger, so the bridge distinguishes rollouts less reliably

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is about to go on with the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.

    h3. What your decision does

    * {*}Approved:{*} Flagger takes the next steps of this rollout the next time it asks, which it does once per analysis interval \(a minute unless the team changed it\).
    * {*}Rejected:{*} Flagger does not go on. If the team has set up a rollback hook, Flagger also takes the new version back the next time it asks, so that all users get the old version. Without such a hook, the traffic stays as it is.
    * {*}Any other status:{*} the rollout waits.

    Flagger does not say here which step it asks about. An approval covers all questions of this rollout that it asks in this way, and one of them may be whether all users get the new version.

    h3. Who decides, and until when

    * {*}Who may approve:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected. That stops the rollout here. Flagger takes the new version back only if that user may also approve.
    * {*}Until when:{*} there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because a newer version replaces it. A comment here says so then.
    * {*}How long an approval counts:{*} it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.

    h3. What is known so far

    [What waits now, and why|https://bridge.example/]

    h3. Technical details

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} gate
    * {*}Phase:{*} Progressing
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} not sent by this Flagger, so the bridge distinguishes rollouts less reliably
    ");
}

/// The change of Deployment `cart` from 2.13.2 to 2.15.0, as the API server shows it; the Canary has these hooks.
fn shown(webhooks: &Value) -> Shown {
    let pods = |tag: &str| {
        json!({
            "metadata": { "annotations": {
                "kubernetes.io/change-cause": "https://git.example/shop/cart/pull/412", "grafana-dashboard": "https://grafana.example/d/cart",
            } },
            "spec": { "template": { "spec": { "containers": [
                { "name": "cart", "image": format!("registry.example/shop/cart:{tag}"), "args": [tag] },
                { "name": "proxy", "image": "registry.example/proxy:1.9" },
            ] } } },
        })
    };
    let canary = json!({ "spec": {
        "targetRef": { "kind": "Deployment", "name": "cart" },
        "analysis": { "interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "metrics": [{ "name": "success" }], "webhooks": webhooks },
    } });
    let change = change(&canary, &pods("2.15.0"), Some(&pods("2.13.2")), &|_| true);
    Shown::Change { change, as_of: None }
}

#[test]
fn with_what_kubernetes_shows() {
    let metadata = [
        ("requested_by", "Ada (payments)"),
        ("diff", "https://git.example/shop/cart/compare/2.13.2...2.15.0"),
        ("pipeline", "https://ci.example/runs/99"),
        ("risk", "low"),
        ("rollback_plan", "1. reject this ticket\n2. see https://wiki.example/rollback"),
        ("latency_dashboard", "https://grafana.example/d/latency?var-app=cart"),
    ];
    let mut subject = asked(Stage::ConfirmPromotion, Phase::WaitingPromotion, &metadata);
    subject.change = Some(shown(&json!([{ "type": "rollback", "url": "http://bridge/gate/rollback" }])));
    subject.analysis = Some(Analysis { weight: Some(50), failed_checks: 1, threshold: 5 });
    let gate = GateName { stage: Stage::ConfirmRollout, approver: None, step: None };
    let approval = EarlierApproval {
        gate,
        ticket: "OPS-3".into(),
        by: "Mia Change".into(),
        at: Millis(1_700_000_000_000),
    };
    subject.earlier_approvals = vec![approval];
    let settings = "approval.approvers = [\"mia@example.com\", \"5b9\", \"group:cab\"]\n\
                    ticket.transitions = { succeeded = \"Done\", failed = \"Done\", superseded = \"Cancelled\", bypassed = \"rejected\" }";
    insta::assert_snapshot!(whole(&subject, &route(settings)), @r#"
    Promote cart 2.13.2 → 2.15.0 (prod-eu/shop) #17

    === Cloud
    Flagger, which rolls out new versions in Kubernetes, is about to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    | Container | Before this rollout | After the rollout |
    | cart | registry.example/shop/cart:2.13.2 | registry.example/shop/cart:2.15.0 |
    | proxy | registry.example/proxy:1.9 | registry.example/proxy:1.9 |
    Also changes:
    <li>Container cart: arguments changed
    The application team says about this rollout (nobody has checked it):
    | Name | Value |
    | diff | <a https://git.example/shop/cart/compare/2.13.2...2.15.0>https://git.example/shop/cart/compare/2.13.2...2.15.0</a> |
    | pipeline | <a https://ci.example/runs/99>https://ci.example/runs/99</a> |
    | requested_by | Ada (payments) |
    | risk | low |
    | rollback_plan | 1. reject this ticket<br>
    2. see <a https://wiki.example/rollback>https://wiki.example/rollback</a> |
    | kubernetes.io/change-cause | <a https://git.example/shop/cart/pull/412>https://git.example/shop/cart/pull/412</a> |
    <h3>What your decision does
    <li><b>Approved: </b>all users get 2.15.0 within about 2 minutes.
    <li><b>Rejected: </b>2.15.0 does not replace 2.13.2. Flagger also takes the new version back within about 1 minute, so that all users get 2.13.2.
    <li><b>Any other status: </b>the rollout waits, even in Done or Cancelled. The bridge itself moves this ticket there once the rollout has ended.
    This approves this rollout only: another one, even of the same version, gets its own ticket.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b><@Mia Change>, "5b9" or members of the group "cab". An app, an automation or the bridge's own account counts only if its account is named here: a group or role is not enough.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. That stops the rollout here. Flagger takes the new version back only if that user may also approve.
    <li><b>Until when: </b>there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because a newer version replaces it. A comment here says so then.
    <li><b>How long an approval counts: </b>it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
    <h3>What is known so far
    <li><b>Traffic to the new version: </b>50 %
    <li><b>Failed checks so far: </b>1 (Flagger rolls back after 5)
    <li><b>Earlier approval of the start: </b><a https://jira.example/browse/OPS-3>OPS-3</a> by Mia Change at 22:13 UTC on 14 November 2023
    <li><b>latency_dashboard (from the team): </b><a https://grafana.example/d/latency?var-app=cart>https://grafana.example/d/latency?var-app=cart</a>
    <li><b>grafana-dashboard (from the team): </b><a https://grafana.example/d/cart>https://grafana.example/d/cart</a>
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-promotion
    <li><b>Phase: </b>WaitingPromotion
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>1829384756
    <li><b>Target: </b>Deployment cart
    <li><b>Strategy: </b>Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metric success.

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is about to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

    h3. What changes

    || Container || Before this rollout || After the rollout ||
    | cart | registry.example/shop/cart:2.13.2 | registry.example/shop/cart:2.15.0 |
    | proxy | registry.example/proxy:1.9 | registry.example/proxy:1.9 |

    Also changes:

    * Container cart: arguments changed

    The application team says about this rollout \(nobody has checked it\):

    || Name || Value ||
    | diff | [https\://git.example/shop/cart/compare/2.13.2...2.15.0|https://git.example/shop/cart/compare/2.13.2...2.15.0] |
    | pipeline | [https\://ci.example/runs/99|https://ci.example/runs/99] |
    | requested\_by | Ada \(payments\) |
    | risk | low |
    | rollback\_plan | 1. reject this ticket\\ 2. see [https\://wiki.example/rollback|https://wiki.example/rollback] |
    | kubernetes.io/change-cause | [https\://git.example/shop/cart/pull/412|https://git.example/shop/cart/pull/412] |

    h3. What your decision does

    * {*}Approved:{*} all users get 2.15.0 within about 2 minutes.
    * {*}Rejected:{*} 2.15.0 does not replace 2.13.2. Flagger also takes the new version back within about 1 minute, so that all users get 2.13.2.
    * {*}Any other status:{*} the rollout waits, even in Done or Cancelled. The bridge itself moves this ticket there once the rollout has ended.

    This approves this rollout only: another one, even of the same version, gets its own ticket.

    h3. Who decides, and until when

    * {*}Who may approve:{*} [~5b1], "5b9" or members of the group "cab". An app, an automation or the bridge's own account counts only if its account is named here: a group or role is not enough.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected. That stops the rollout here. Flagger takes the new version back only if that user may also approve.
    * {*}Until when:{*} there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because a newer version replaces it. A comment here says so then.
    * {*}How long an approval counts:{*} it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.

    h3. What is known so far

    * {*}Traffic to the new version:{*} 50 %
    * {*}Failed checks so far:{*} 1 \(Flagger rolls back after 5\)
    * {*}Earlier approval of the start:{*} [OPS-3|https://jira.example/browse/OPS-3] by Mia Change at 22:13 UTC on 14 November 2023

    * {*}latency\_dashboard \(from the team\):{*} [https\://grafana.example/d/latency\?var-app=cart|https://grafana.example/d/latency?var-app=cart]
    * {*}grafana-dashboard \(from the team\):{*} [https\://grafana.example/d/cart|https://grafana.example/d/cart]

    [What waits now, and why|https://bridge.example/]

    h3. Technical details

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-promotion
    * {*}Phase:{*} WaitingPromotion
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} 1829384756
    * {*}Target:{*} Deployment cart
    * {*}Strategy:{*} Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metric success.
    "#);
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

/// The sections that say what changes and what each move does, for the other stages and strategies.
#[test]
fn with_what_kubernetes_shows_at_other_stages() {
    let said = |stage, bound, weight| {
        let mut subject = asked(stage, Phase::Progressing, &[]);
        (subject.change, subject.bound) = (Some(shown(&json!([]))), bound);
        subject.analysis = Some(Analysis { weight, failed_checks: 0, threshold: 5 });
        let draft = drafted(&subject, &route(""), None);
        let [cloud, _] = both(&draft.description);
        let (_, from) = cloud.split_once("<h3>What your decision does\n").unwrap();
        format!("{}\n{}", draft.summary, from.split("\n<h3>").next().unwrap())
    };
    let all = [
        said(Stage::ConfirmRollout, false, None),
        said(Stage::ConfirmRollout, true, None),
        said(Stage::ConfirmTrafficIncrease, false, Some(0)),
        said(Stage::ConfirmTrafficIncrease, false, Some(50)),
        said(Stage::Gate, false, Some(10)),
    ];
    insta::assert_snapshot!(all.join("\n\n"), @r"
    Start cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>Flagger starts 2.15.0 within about 1 minute and gives it to some users first. If all checks pass, all users get it within about 8 minutes, unless another approval is needed on the way.
    <li><b>Rejected: </b>nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    <li><b>Any other status: </b>the rollout waits.
    This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.

    Start cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>Flagger starts 2.15.0 within about 1 minute and gives it to some users first. If all checks pass, all users get it within about 8 minutes, unless another approval is needed on the way.
    <li><b>Rejected: </b>nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    <li><b>Any other status: </b>the rollout waits.
    This approves the images and pod settings shown above. If another version is pushed before Flagger starts this one, that version gets its own ticket. Not covered: the content of ConfigMaps and Secrets, the number of replicas, and the strategy.

    Send traffic to cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>2.15.0 gets 10 % of the traffic within about 1 minute, and more step by step as long as its checks pass. All users get it within about 7 minutes, unless another approval is needed on the way.
    <li><b>Rejected: </b>2.15.0 gets no more traffic. The traffic stays as it is: the team has set up no rollback hook, so Flagger does not take the new version back.
    <li><b>Any other status: </b>the rollout waits.
    This approves all further steps of traffic of this rollout. After the last one, all users get the new version. Flagger asks about that only if the team has set up such an approval (a confirm-promotion hook).

    Send traffic to cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>Flagger goes on with the rollout of 2.15.0 within about 1 minute. All users get it within about 2 minutes, unless another approval is needed on the way.
    <li><b>Rejected: </b>2.15.0 gets no more traffic. The traffic stays as it is: the team has set up no rollback hook, so Flagger does not take the new version back.
    <li><b>Any other status: </b>the rollout waits.
    This approves all further steps of traffic of this rollout. After the last one, all users get the new version. Flagger asks about that only if the team has set up such an approval (a confirm-promotion hook).

    Continue the rollout of cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>Flagger takes the next steps of this rollout within about 1 minute.
    <li><b>Rejected: </b>Flagger does not go on. The traffic stays as it is: the team has set up no rollback hook, so Flagger does not take the new version back.
    <li><b>Any other status: </b>the rollout waits.
    Flagger does not say here which step it asks about. An approval covers all questions of this rollout that it asks in this way, and one of them may be whether all users get the new version.
    ");
}

#[test]
fn with_nothing_known() {
    let mut subject = asked(Stage::ConfirmRollout, Phase::Waiting, &[]);
    (subject.unclear_checksum, subject.base) = (subject.base, None);
    subject.change = Some(Shown::Unreadable { why: "the API server refuses to list Deployments".into() });
    let unbound = whole(&subject, &route(""));
    subject.bound = true;
    let bound = drafted(&subject, &route(""), None).description;
    insta::assert_snapshot!(format!("{unbound}\n\n=== An approval is for what the ticket shows\n{}", both(&bound)[0]), @r"
    Start the rollout of cart (prod-eu/shop) #17

    === Cloud
    Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    The bridge could not read what changes. The technical details of this ticket say why.
    You can still decide: ask the team what changes. Please also tell the team that runs the bridge.
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts the new version the next time it asks, which it does once per analysis interval (a minute unless the team changed it).
    <li><b>Rejected: </b>nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    <li><b>Any other status: </b>the rollout waits.
    This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected.
    <li><b>Until when: </b>there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
    <li><b>How long an approval counts: </b>it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
    <h3>What is known so far
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Phase: </b>Waiting
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>Flagger names it once the rollout has started
    <li><b>Checksum sent: </b>1829384756. The bridge missed the first question of this wait, so it does not know whether that is the previous revision or, after a failed rollout, the new one
    <li><b>Reading the cluster: </b>the API server refuses to list Deployments

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

    h3. What changes

    The bridge could not read what changes. The technical details of this ticket say why.

    You can still decide: ask the team what changes. Please also tell the team that runs the bridge.

    h3. What your decision does

    * {*}Approved:{*} Flagger starts the new version the next time it asks, which it does once per analysis interval \(a minute unless the team changed it\).
    * {*}Rejected:{*} nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
    * {*}Any other status:{*} the rollout waits.

    This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.

    h3. Who decides, and until when

    * {*}Who may approve:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected.
    * {*}Until when:{*} there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
    * {*}How long an approval counts:{*} it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.

    h3. What is known so far

    [What waits now, and why|https://bridge.example/]

    h3. Technical details

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-rollout
    * {*}Phase:{*} Waiting
    * {*}Rollout:{*} \#17 of this canary
    * {*}Revision:{*} Flagger names it once the rollout has started
    * {*}Checksum sent:{*} 1829384756. The bridge missed the first question of this wait, so it does not know whether that is the previous revision or, after a failed rollout, the new one
    * {*}Reading the cluster:{*} the API server refuses to list Deployments

    === An approval is for what the ticket shows
    Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    <h3>What changes
    The bridge could not read what changes. The technical details of this ticket say why.
    <h3>What your decision does
    Do not decide here: no move of this ticket starts anything, because the ticket does not show what changes. Once the bridge can read that, another ticket shows it. If that does not happen, tell the team that runs the bridge.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>nobody, because this ticket does not show what changes.
    <li><b>Until when: </b>another ticket replaces this one once the bridge can read what changes. A comment here says so then.
    <h3>Technical details
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Phase: </b>Waiting
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>Flagger names it once the rollout has started
    <li><b>Checksum sent: </b>1829384756. The bridge missed the first question of this wait, so it does not know whether that is the previous revision or, after a failed rollout, the new one
    <li><b>Reading the cluster: </b>the API server refuses to list Deployments
    ");
}

#[test]
fn with_links_and_hostile_metadata() {
    let long = "https://ci.example/".to_owned() + &"x".repeat(400);
    let metadata = [
        ("a|b {color:red}", "[~admin] *bold* | h1. {noformat} <b>x</b>"),
        ("fake", "https://jira.example@evil.example/ and javascript:alert(1)"),
        ("long", &long),
        ("lines", "h3. What your decision does\n* Approved: nothing\n\nsee https://wiki.example/a?b=[c]"),
        ("dashboard", "not an address"),
        ("pr", "https://git.example/pull/7."),
    ];
    let subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &metadata);
    let settings =
        "ticket.description = \"\"\"See {{ metadata.pr }}\n\n- and https://wiki.example/{{ canary }}\"\"\"";
    let draft = drafted(&subject, &route(settings), None);
    let outer: Vec<Block> =
        draft.description.0.into_iter().filter(|block| !matches!(block, Block::Bullets(_))).collect();
    insta::assert_snapshot!(both(&Doc(outer)).join("\n\n=== Data Center\n"), @r"
    See <a https://git.example/pull/7>https://git.example/pull/7</a>.
    <li>and <a https://wiki.example/cart>https://wiki.example/cart</a>
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.
    The application team says about this rollout (nobody has checked it):
    | Name | Value |
    | a|b {color:red} | [~admin] *bold* | h1. {noformat} <b>x</b> |
    | dashboard | not an address |
    | fake | https://jira.example@evil.example/ and javascript:alert(1) |
    | lines | h3. What your decision does<br>
    * Approved: nothing<br>
    <br>
    see <a https://wiki.example/a?b=[c]>https://wiki.example/a?b=[c]</a> |
    | long | https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |
    | pr | <a https://git.example/pull/7>https://git.example/pull/7</a>. |
    That is not all the team sent: the rest is at the end of this ticket.
    <h3>What your decision does
    This approves this rollout only: another one, even of the same version, gets its own ticket.
    <h3>Who decides, and until when
    <h3>Technical details
    <h3>Everything the application team sent (nobody has checked it)
    | Name | Value |
    | a|b {color:red} | [~admin] *bold* | h1. {noformat} <b>x</b> |
    | dashboard | not an address |
    | fake | https://jira.example@evil.example/ and javascript:alert(1) |
    | lines | h3. What your decision does<br>
    * Approved: nothing<br>
    <br>
    see <a https://wiki.example/a?b=[c]>https://wiki.example/a?b=[c]</a> |
    | long | <a https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx>https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</a> |
    | pr | <a https://git.example/pull/7>https://git.example/pull/7</a>. |

    === Data Center
    See [https\://git.example/pull/7|https://git.example/pull/7].

    * and [https\://wiki.example/cart|https://wiki.example/cart]

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team.

    The application team says about this rollout \(nobody has checked it\):

    || Name || Value ||
    | a\|b \{color\:red\} | \[\~admin\] \*bold\* \| h1. \{noformat\} <b>x</b> |
    | dashboard | not an address |
    | fake | https\://jira.example\@evil.example/ and javascript\:alert\(1\) |
    | lines | h3\. What your decision does\\ \* Approved: nothing\\ \\ see [https\://wiki.example/a\?b=\[c\]|https://wiki.example/a?b=%5Bc%5D] |
    | long | https\://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |
    | pr | [https\://git.example/pull/7|https://git.example/pull/7]. |

    That is not all the team sent: the rest is at the end of this ticket.

    h3. What your decision does

    This approves this rollout only: another one, even of the same version, gets its own ticket.

    h3. Who decides, and until when

    h3. Technical details

    h3. Everything the application team sent \(nobody has checked it\)

    || Name || Value ||
    | a\|b \{color\:red\} | \[\~admin\] \*bold\* \| h1. \{noformat\} <b>x</b> |
    | dashboard | not an address |
    | fake | https\://jira.example\@evil.example/ and javascript\:alert\(1\) |
    | lines | h3\. What your decision does\\ \* Approved: nothing\\ \\ see [https\://wiki.example/a\?b=\[c\]|https://wiki.example/a?b=%5Bc%5D] |
    | long | [https\://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx|https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx] |
    | pr | [https\://git.example/pull/7|https://git.example/pull/7]. |
    ");
}
