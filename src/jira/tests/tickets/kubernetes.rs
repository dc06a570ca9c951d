//! Tickets that say what the API server shows.

use super::*;

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
    subject.change = Some(shown(&json!([
        { "type": "confirm-promotion", "url": "http://bridge/gate/confirm-promotion" },
        { "type": "rollback", "url": "http://bridge/gate/rollback" },
    ])));
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
    Flagger, which rolls out new versions in Kubernetes, is ready to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    | Container | Before this rollout | After the rollout |
    | cart | registry.example/shop/cart:2.13.2 | registry.example/shop/cart:2.15.0 |
    | proxy | registry.example/proxy:1.9 | registry.example/proxy:1.9 |
    Also changes:
    <li>Container cart: arguments changed
    The application team says about this rollout (not verified):
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
    <li><b>Rejected: </b>2.15.0 does not replace 2.13.2. If the person who rejects may also approve, Flagger rolls back within about 1 minute, and all users get 2.13.2 again. Otherwise nothing changes, unless Flagger's checks fail.
    <li><b>Any other status: </b>the rollout waits, and is not cancelled. That includes Done and Cancelled: the bridge moves this ticket there when the rollout has ended.
    This approves this rollout only: another one, even of the same version, gets its own ticket.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b><@Mia Change>, "5b9" or members of the group "cab". Anyone else's approval does not count, and a comment will say so. Approvals by apps, automations or the bridge itself are ignored unless their account is listed here by name; a listed group or role is not enough.
    <li><b>Who may reject: </b>any Jira user who can move this ticket to Rejected. That stops the rollout here.
    <li><b>Until when: </b>there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because a newer version replaces it. A comment here will say so.
    <li><b>How long an approval is valid: </b>if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    <li><b>To withdraw an approval: </b>move this ticket out of Approved before Flagger begins to give the new version to all users. Later, that undoes nothing.
    <h3>What is known so far
    <li><b>Traffic to the new version: </b>50 % when this ticket was opened
    <li><b>Failed checks so far: </b>1 (Flagger rolls back after 5)
    <li><b>Earlier approval of the start: </b><a https://jira.example/browse/OPS-3>OPS-3</a> by Mia Change at 22:13 UTC on 14 November 2023
    <li><b>latency_dashboard (from the team): </b><a https://grafana.example/d/latency?var-app=cart>https://grafana.example/d/latency?var-app=cart</a>
    <li><b>grafana-dashboard (from the team): </b><a https://grafana.example/d/cart>https://grafana.example/d/cart</a>
    <a https://bridge.example/>The bridge's status page: what waits now, and why</a>
    <h3>Technical details, for the application team
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
    Flagger, which rolls out new versions in Kubernetes, is ready to give all users the new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

    h3. What changes

    || Container || Before this rollout || After the rollout ||
    | cart | registry.example/shop/cart:2.13.2 | registry.example/shop/cart:2.15.0 |
    | proxy | registry.example/proxy:1.9 | registry.example/proxy:1.9 |

    Also changes:

    * Container cart: arguments changed

    The application team says about this rollout \(not verified\):

    || Name || Value ||
    | diff | [https\://git.example/shop/cart/compare/2.13.2...2.15.0|https://git.example/shop/cart/compare/2.13.2...2.15.0] |
    | pipeline | [https\://ci.example/runs/99|https://ci.example/runs/99] |
    | requested\_by | Ada \(payments\) |
    | risk | low |
    | rollback\_plan | 1. reject this ticket\\ 2. see [https\://wiki.example/rollback|https://wiki.example/rollback] |
    | kubernetes.io/change-cause | [https\://git.example/shop/cart/pull/412|https://git.example/shop/cart/pull/412] |

    h3. What your decision does

    * {*}Approved:{*} all users get 2.15.0 within about 2 minutes.
    * {*}Rejected:{*} 2.15.0 does not replace 2.13.2. If the person who rejects may also approve, Flagger rolls back within about 1 minute, and all users get 2.13.2 again. Otherwise nothing changes, unless Flagger's checks fail.
    * {*}Any other status:{*} the rollout waits, and is not cancelled. That includes Done and Cancelled: the bridge moves this ticket there when the rollout has ended.

    This approves this rollout only: another one, even of the same version, gets its own ticket.

    h3. Who decides, and until when

    * {*}Who may approve:{*} [~5b1], "5b9" or members of the group "cab". Anyone else's approval does not count, and a comment will say so. Approvals by apps, automations or the bridge itself are ignored unless their account is listed here by name; a listed group or role is not enough.
    * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected. That stops the rollout here.
    * {*}Until when:{*} there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because a newer version replaces it. A comment here will say so.
    * {*}How long an approval is valid:{*} if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    * {*}To withdraw an approval:{*} move this ticket out of Approved before Flagger begins to give the new version to all users. Later, that undoes nothing.

    h3. What is known so far

    * {*}Traffic to the new version:{*} 50 % when this ticket was opened
    * {*}Failed checks so far:{*} 1 \(Flagger rolls back after 5\)
    * {*}Earlier approval of the start:{*} [OPS-3|https://jira.example/browse/OPS-3] by Mia Change at 22:13 UTC on 14 November 2023

    * {*}latency\_dashboard \(from the team\):{*} [https\://grafana.example/d/latency\?var-app=cart|https://grafana.example/d/latency?var-app=cart]
    * {*}grafana-dashboard \(from the team\):{*} [https\://grafana.example/d/cart|https://grafana.example/d/cart]

    [The bridge's status page: what waits now, and why|https://bridge.example/]

    h3. Technical details, for the application team

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
    <li><b>Rejected: </b>nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
    <li><b>Any other status: </b>the rollout waits.
    If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it without asking again.

    Start cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>Flagger starts 2.15.0 within about 1 minute and gives it to some users first. If all checks pass, all users get it within about 8 minutes, unless another approval is needed on the way.
    <li><b>Rejected: </b>nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
    <li><b>Any other status: </b>the rollout waits.
    This approves the images and pod settings shown above. If another version is pushed before Flagger starts this one, that version gets its own ticket. Not covered: the content of ConfigMaps and Secrets, the number of replicas, and the strategy.

    Send traffic to cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>2.15.0 gets 10 % of the traffic within about 1 minute, and more step by step as long as its checks pass. All users get it within about 7 minutes, unless another approval is needed on the way.
    <li><b>Rejected: </b>2.15.0 gets no more traffic. A rejection does not roll back, because the team had not set that up when this ticket was opened. Flagger still rolls back if its checks fail.
    <li><b>Any other status: </b>the rollout waits.
    This approves all remaining traffic increases of this rollout. After the last one, all users get the new version, unless the team has set up another approval before that.

    Send traffic to cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>Flagger continues the rollout of 2.15.0 within about 1 minute. All users get it within about 2 minutes, unless another approval is needed on the way.
    <li><b>Rejected: </b>2.15.0 gets no more traffic. A rejection does not roll back, because the team had not set that up when this ticket was opened. Flagger still rolls back if its checks fail.
    <li><b>Any other status: </b>the rollout waits.
    This approves all remaining traffic increases of this rollout. After the last one, all users get the new version, unless the team has set up another approval before that.

    Continue the rollout of cart 2.13.2 → 2.15.0 (prod-eu/shop) #17
    <li><b>Approved: </b>Flagger takes the next steps of this rollout within about 1 minute.
    <li><b>Rejected: </b>the rollout does not continue. A rejection does not roll back, because the team had not set that up when this ticket was opened. Flagger still rolls back if its checks fail.
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
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    The bridge could not read what changes. Its log says why.
    You can still decide: ask the team what changes. Please also tell the team that runs the bridge.
    <h3>What your decision does
    <li><b>Approved: </b>Flagger starts the new version the next time it asks, which it does about once a minute, unless the team changed that. It checks the new version beside the old one. If all checks pass, all users get it, unless another approval is needed on the way.
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
    <li><b>Checksum sent: </b>1829384756. The bridge missed the first question of this wait, so it does not know whether that is the previous revision or, after a failed rollout, the new one
    <li><b>Reading the cluster: </b>failed when this ticket was opened. The bridge's log says why.

    === Data Center
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

    h3. What changes

    The bridge could not read what changes. Its log says why.

    You can still decide: ask the team what changes. Please also tell the team that runs the bridge.

    h3. What your decision does

    * {*}Approved:{*} Flagger starts the new version the next time it asks, which it does about once a minute, unless the team changed that. It checks the new version beside the old one. If all checks pass, all users get it, unless another approval is needed on the way.
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
    * {*}Checksum sent:{*} 1829384756. The bridge missed the first question of this wait, so it does not know whether that is the previous revision or, after a failed rollout, the new one
    * {*}Reading the cluster:{*} failed when this ticket was opened. The bridge's log says why.

    === An approval is for what the ticket shows
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster prod-eu. It waits for your decision on this ticket.<br>
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    <h3>What changes
    The bridge could not read what changes. Its log says why.
    <h3>What your decision does
    Do not decide here: no move of this ticket starts anything, because the ticket does not show what changes. Once the bridge can read that, another ticket shows it. If that does not happen, tell the team that runs the bridge.
    <h3>Who decides, and until when
    <li><b>Who may approve: </b>nobody, because this ticket does not show what changes.
    <li><b>Until when: </b>another ticket replaces this one once the bridge can read what changes. A comment here will say so.
    <h3>Technical details, for the application team
    <li><b>Canary: </b>cart
    <li><b>Namespace: </b>shop
    <li><b>Cluster: </b>prod-eu
    <li><b>Stage: </b>confirm-rollout
    <li><b>Phase: </b>Waiting
    <li><b>Rollout: </b>#17 of this canary
    <li><b>Revision: </b>Flagger names it once the rollout has started
    <li><b>Checksum sent: </b>1829384756. The bridge missed the first question of this wait, so it does not know whether that is the previous revision or, after a failed rollout, the new one
    <li><b>Reading the cluster: </b>failed when this ticket was opened. The bridge's log says why.
    ");
}
