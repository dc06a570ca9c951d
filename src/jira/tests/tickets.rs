//! Whole tickets, as people read them in both kinds of Jira.

mod comments;

use std::{collections::BTreeMap, fmt::Write as _};

use super::*;
use crate::{
    gate::{GateName, Stage},
    policy::Route,
    rollout::{CanaryId, Label, Message, Phase, Revision, Subject},
    ticket::{self, Draft as Words},
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
    Subject::new(canary, GateName { stage, approver: None }, &message, metadata)
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
        ("codeBlock", None) => out.push_str("<pre>"),
        ("doc" | "paragraph" | "bulletList", None) => {}
        (other, mark) => panic!("{other} {mark:?}"),
    }
    for child in node["content"].as_array().into_iter().flatten() {
        dump(child, out);
    }
    match kind {
        "codeBlock" => out.push_str("</pre>\n"),
        "paragraph" | "heading" => out.push('\n'),
        _ => {}
    }
}

fn whole(subject: &Subject, route: &Route) -> String {
    let Words { summary, description, fields } =
        ticket::draft(subject, route, Some("https://bridge.example/")).unwrap();
    assert_eq!(fields, BTreeMap::new());
    let [cloud, data_center] = both(&description);
    format!("{summary}\n\n=== Cloud\n{cloud}\n\n=== Data Center\n{data_center}")
}

#[test]
fn at_confirm_rollout() {
    let subject = asked(Stage::ConfirmRollout, Phase::Waiting, &[("revision", "v2.3"), ("team", "checkout")]);
    insta::assert_snapshot!(whole(&subject, &route("")), @r"
    Approve confirm-rollout of shop/cart on prod-eu

    === Cloud
    Flagger is about to start rolling out a new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.
    <h3>What
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Version (as the team says): </b>v2.3
    <li><b>Revision: </b>Flagger names it once the rollout has started
    <li><b>Replaces revision: </b>1829384756
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts this rollout.
    <li><b>Rejected: </b>nothing is started. Flagger keeps asking, until this ticket is approved after all.
    <li><b>Any other status: </b>the rollout waits.
    This approves whatever is deployed when Flagger proceeds: a newer version that is pushed while this ticket waits starts without a question of its own.
    <h3>Who may approve, and until when
    <li><b>Who: </b>any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    <li><b>Until when: </b>Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Sent by the application team, not checked
    <pre>revision: v2.3
    team: checkout</pre>

    === Data Center
    Flagger is about to start rolling out a new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.

    h3. What

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-rollout
    * {*}Version \(as the team says\):{*} v2.3
    * {*}Revision:{*} Flagger names it once the rollout has started
    * {*}Replaces revision:{*} 1829384756

    h3. What your decision does

    * {*}Approved:{*} Flagger starts this rollout.
    * {*}Rejected:{*} nothing is started. Flagger keeps asking, until this ticket is approved after all.
    * {*}Any other status:{*} the rollout waits.

    This approves whatever is deployed when Flagger proceeds: a newer version that is pushed while this ticket waits starts without a question of its own.

    h3. Who may approve, and until when

    * {*}Who:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    * {*}Until when:{*} Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.

    [What waits now, and why|https://bridge.example/]

    h3. Sent by the application team, not checked

    {noformat}
    revision: v2.3
    team: checkout
    {noformat}
    ");
}

#[test]
fn at_confirm_rollout_after_a_failure() {
    let subject = asked(Stage::ConfirmRollout, Phase::Failed, &[]);
    insta::assert_snapshot!(whole(&subject, &route("approval.valid_for = \"90m\"")), @r"
    Approve confirm-rollout of shop/cart on prod-eu

    === Cloud
    Flagger is about to start rolling out a new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.
    <h3>What
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Revision: </b>1829384756
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts this rollout.
    <li><b>Rejected: </b>nothing is started. Flagger keeps asking, until this ticket is approved after all.
    <li><b>Any other status: </b>the rollout waits.
    This approves whatever is deployed when Flagger proceeds: a newer version that is pushed while this ticket waits starts without a question of its own.
    <h3>Who may approve, and until when
    <li><b>Who: </b>any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    <li><b>Until when: </b>Flagger must use an approval within 90 minutes. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.
    <a https://bridge.example/>What waits now, and why</a>

    === Data Center
    Flagger is about to start rolling out a new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.

    h3. What

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-rollout
    * {*}Revision:{*} 1829384756

    h3. What your decision does

    * {*}Approved:{*} Flagger starts this rollout.
    * {*}Rejected:{*} nothing is started. Flagger keeps asking, until this ticket is approved after all.
    * {*}Any other status:{*} the rollout waits.

    This approves whatever is deployed when Flagger proceeds: a newer version that is pushed while this ticket waits starts without a question of its own.

    h3. Who may approve, and until when

    * {*}Who:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    * {*}Until when:{*} Flagger must use an approval within 90 minutes. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.

    [What waits now, and why|https://bridge.example/]
    ");
}

#[test]
fn at_confirm_traffic_increase() {
    let subject = asked(Stage::ConfirmTrafficIncrease, Phase::Progressing, &[("author", "bob@example.com")]);
    let settings = "approval.approvers = [\"mia@example.com\", \"group:cab\", \"role:Approvers\"]\n\
                    approval.deny = [\"{{ metadata.author }}\", \"group:interns\"]";
    insta::assert_snapshot!(whole(&subject, &route(settings)), @r#"
    Approve confirm-traffic-increase of shop/cart on prod-eu

    === Cloud
    Flagger is about to send more traffic to the new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.
    <h3>What
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-traffic-increase
    <li><b>Revision: </b>1829384756
    <h3>What your decision does
    <li><b>Approved: </b>Flagger sends more traffic to the new version, step by step, as long as its own checks pass.
    <li><b>Rejected: </b>the new version gets no more traffic; if the canary has a rollback hook, Flagger rolls back.
    <li><b>Any other status: </b>the rollout waits.
    This approves all steps of this rollout. After the last one Flagger promotes the new version, and asks about that only if the canary has a confirm-promotion hook.
    <h3>Who may approve, and until when
    <li><b>Who: </b>"mia@example.com", members of group "cab" or users with role "Approvers" in this project. An app, an automation or the bridge's own account counts only if its account is named here.
    <li><b>Never: </b>"bob@example.com" or members of group "interns".
    <li><b>A rejection: </b>by any Jira user keeps the gate closed; it rolls back only if that user may approve.
    <li><b>Until when: </b>Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.
    <a https://bridge.example/>What waits now, and why</a>
    <h3>Sent by the application team, not checked
    <pre>author: bob@example.com</pre>

    === Data Center
    Flagger is about to send more traffic to the new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.

    h3. What

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-traffic-increase
    * {*}Revision:{*} 1829384756

    h3. What your decision does

    * {*}Approved:{*} Flagger sends more traffic to the new version, step by step, as long as its own checks pass.
    * {*}Rejected:{*} the new version gets no more traffic; if the canary has a rollback hook, Flagger rolls back.
    * {*}Any other status:{*} the rollout waits.

    This approves all steps of this rollout. After the last one Flagger promotes the new version, and asks about that only if the canary has a confirm-promotion hook.

    h3. Who may approve, and until when

    * {*}Who:{*} "mia\@example.com", members of group "cab" or users with role "Approvers" in this project. An app, an automation or the bridge's own account counts only if its account is named here.
    * {*}Never:{*} "bob\@example.com" or members of group "interns".
    * {*}A rejection:{*} by any Jira user keeps the gate closed; it rolls back only if that user may approve.
    * {*}Until when:{*} Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.

    [What waits now, and why|https://bridge.example/]

    h3. Sent by the application team, not checked

    {noformat}
    author: bob@example.com
    {noformat}
    "#);
}

#[test]
fn at_confirm_promotion() {
    let mut subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &[]);
    subject.gate.approver = Some("qa".into());
    let settings = "approval.deny = [\"{{ metadata.author }}\"]\nticket.statuses = { approved = [\"Go\", \"Done\"], rejected = [] }";
    insta::assert_snapshot!(whole(&subject, &route(settings)), @r"
    Approve confirm-promotion of shop/cart on prod-eu

    === Cloud
    Flagger is about to replace what is running with the new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.
    <h3>What
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-promotion (qa)
    <li><b>Revision: </b>1829384756
    <h3>What your decision does
    <li><b>Go or Done: </b>Flagger replaces the running version by the new one.
    <li><b>Any other status: </b>the rollout waits.
    This approves this rollout only: another one, even of the same revision, opens a ticket of its own.<br>
    This stage may have further tickets. Flagger goes on when all of them are approved.
    <h3>Who may approve, and until when
    <li><b>Nobody: </b>approval.deny has an entry that is empty for this rollout, so that no approval counts. Tell the team that runs the bridge.
    <li><b>Until when: </b>Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Go or Done and back. Once used, it holds until this rollout ends.
    <a https://bridge.example/>What waits now, and why</a>

    === Data Center
    Flagger is about to replace what is running with the new revision of cart in namespace shop on cluster prod-eu. It waits for this ticket.

    h3. What

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} confirm-promotion \(qa\)
    * {*}Revision:{*} 1829384756

    h3. What your decision does

    * {*}Go or Done:{*} Flagger replaces the running version by the new one.
    * {*}Any other status:{*} the rollout waits.

    This approves this rollout only: another one, even of the same revision, opens a ticket of its own.\\ This stage may have further tickets. Flagger goes on when all of them are approved.

    h3. Who may approve, and until when

    * {*}Nobody:{*} approval.deny has an entry that is empty for this rollout, so that no approval counts. Tell the team that runs the bridge.
    * {*}Until when:{*} Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Go or Done and back. Once used, it holds until this rollout ends.

    [What waits now, and why|https://bridge.example/]
    ");
}

#[test]
fn at_a_gate_without_checksums() {
    let subject = Subject { revision: None, ..asked(Stage::Gate, Phase::Progressing, &[]) };
    insta::assert_snapshot!(whole(&subject, &route("")), @r"
    Approve gate of shop/cart on prod-eu

    === Cloud
    Flagger is about to go on with the rollout of cart in namespace shop on cluster prod-eu. It waits for this ticket.
    <h3>What
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>gate
    <li><b>Revision: </b>not sent by this Flagger, so the bridge distinguishes rollouts less reliably
    <h3>What your decision does
    <li><b>Approved: </b>Flagger takes the next steps of this rollout.
    <li><b>Rejected: </b>Flagger does not go on; if the canary has a rollback hook, it rolls back.
    <li><b>Any other status: </b>the rollout waits.
    Flagger does not say here which of its questions this is: an approval answers all those of this rollout that are sent to this gate, the promotion among them.
    <h3>Who may approve, and until when
    <li><b>Who: </b>any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    <li><b>A rejection: </b>by any Jira user keeps the gate closed; it rolls back only if that user may approve.
    <li><b>Until when: </b>Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.
    <a https://bridge.example/>What waits now, and why</a>

    === Data Center
    Flagger is about to go on with the rollout of cart in namespace shop on cluster prod-eu. It waits for this ticket.

    h3. What

    * {*}Canary:{*} cart
    * {*}Namespace:{*} shop
    * {*}Cluster:{*} prod-eu
    * {*}Stage:{*} gate
    * {*}Revision:{*} not sent by this Flagger, so the bridge distinguishes rollouts less reliably

    h3. What your decision does

    * {*}Approved:{*} Flagger takes the next steps of this rollout.
    * {*}Rejected:{*} Flagger does not go on; if the canary has a rollback hook, it rolls back.
    * {*}Any other status:{*} the rollout waits.

    Flagger does not say here which of its questions this is: an approval answers all those of this rollout that are sent to this gate, the promotion among them.

    h3. Who may approve, and until when

    * {*}Who:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    * {*}A rejection:{*} by any Jira user keeps the gate closed; it rolls back only if that user may approve.
    * {*}Until when:{*} Flagger must use an approval within 3 days. After that it does not count until the ticket is moved out of Approved and back. Once used, it holds until this rollout ends.

    [What waits now, and why|https://bridge.example/]
    ");
}
