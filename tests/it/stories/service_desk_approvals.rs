//! Approvals in Jira Service Management as the decision (`approval.source = "jsm"`).

use std::time::Duration;

use fake_jira::{AUTOMATION, BOB, BRIDGE, Fault, Flavour, MIA, Operation, Times};

use crate::world::World;

// Without the tests that count requests.
crate::world::crash::crash_tests!(
    the_approval_decides,
    a_declined_approval_rejects,
    a_move_by_hand_approves_nothing,
    who_approved_must_be_one_who_may,
);

const JSM: &str = "approval.source = \"jsm\"";
const SECONDS_20: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

/// Bridges whose project is a service desk.
async fn desks(settings: &str) -> Vec<World> {
    let worlds = World::both(&format!("{JSM}\n{settings}")).await;
    worlds.iter().for_each(|world| world.jira.add_service_desk("OPS"));
    worlds
}

impl World {
    /// The promotion waits for its ticket, which asks these people: the ticket comes to the status with the approval step.
    async fn asks_people(&self, who: &[&str], needed: usize) -> String {
        let key = self.promotion_waits().await;
        self.asks_again(&key, who, needed);
        key
    }

    /// The ticket comes to the status with the approval step, later than whatever happened to it before.
    fn asks_again(&self, key: &str, who: &[&str], needed: usize) {
        self.advance(MINUTE);
        self.jira.move_issue(key, "In Review", BOB).unwrap();
        self.jira.asks_for_approval(key, who, needed).unwrap();
        self.advance(MINUTE);
    }

    async fn approver_answers(&self, key: &str, who: &str, approves: bool) {
        let to = if approves { "Approved" } else { "Rejected" };
        self.jira.answers_approval(key, who, approves, to).unwrap();
        self.reads_later().await;
    }

    async fn reads_later(&self) {
        self.advance(SECONDS_20);
        self.run_worker().await;
    }
}

/// Two of three approve: then the gate opens, and answer, comment and record name them.
#[tokio::test]
async fn the_approval_decides() {
    for world in desks("").await {
        let key = world.asks_people(&[MIA, BOB, AUTOMATION], 2).await;
        world.approver_answers(&key, MIA, true).await;
        world.promotion_is_closed("waiting for a decision").await;
        world.approver_answers(&key, BOB, true).await;
        let open = world.promotes().await;
        let who = "approved by Mia Change and Bob Builder (2 of 3 approvers)";
        assert!(open.status == 200 && open.body.contains(who), "{}", open.body);
        world.run_worker().await;
        let comments = world.jira.issue(&key).unwrap().comments;
        let told = comments
            .iter()
            .any(|it| it.text().replace('\\', "").contains("because Mia Change and Bob Builder (2 of 3"));
        assert!(told, "{comments:?}");
        let words = world.jira.issue(&key).unwrap().description;
        assert!(words.to_string().contains("Moving this ticket by hand approves nothing"), "{words}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_declined_approval_rejects() {
    for world in desks("").await {
        let key = world.asks_people(&[MIA, BOB], 2).await;
        world.approver_answers(&key, MIA, true).await;
        world.approver_answers(&key, BOB, false).await;
        world.promotion_is_closed("rejected by Bob Builder (1 of 2 approvers)").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// Somebody who may move tickets moves it past the approval step; and an approved request is re-opened, or moved on and back.
#[tokio::test]
async fn a_move_by_hand_approves_nothing() {
    for world in desks("").await {
        let key = world.promotion_waits().await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.reads_later().await;
        world.promotion_is_closed("Jira Service Management shows no approval on it").await;
        world.asks_again(&key, &[MIA], 1);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.reads_later().await;
        world.promotion_is_closed("is still pending (0 of 1 approved)").await;
        // Answered in time, and then moved on and back by hand.
        world.asks_again(&key, &[MIA], 1);
        world.approver_answers(&key, MIA, true).await;
        world.promotion_is_open().await;
        world.advance(MINUTE);
        world.jira.move_issue(&key, "To Do", BOB).unwrap();
        world.advance(MINUTE);
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        world.reads_later().await;
        world.promotion_is_closed("did not move it there").await;
        // Asked and answered again, it counts again.
        world.asks_again(&key, &[BOB], 1);
        world.promotion_is_closed("").await;
        world.approver_answers(&key, BOB, true).await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// `deny` rules out one of those who approved; so do a list of approvers, the bridge's own account, and, on Cloud, an app.
#[tokio::test]
async fn who_approved_must_be_one_who_may() {
    let approvers = format!("approval.approvers = [\"{MIA}\", \"mia\"]");
    for (settings, who, why) in [
        ("approval.deny = [\"role:Builders\"]", BOB, "which approval.deny lists"),
        (approvers.as_str(), BOB, "is not among the approvers"),
        ("", BRIDGE, "is the bridge's own account"),
        ("", AUTOMATION, "is an app"),
    ] {
        for world in desks(settings).await {
            if who == AUTOMATION && !world.is_cloud() {
                continue;
            }
            world.jira.add_to_role("OPS", "Builders", &[BOB], &[]);
            let key = world.asks_people(&[MIA, who], 2).await;
            world.approver_answers(&key, MIA, true).await;
            world.approver_answers(&key, who, true).await;
            let closed = world.promotes().await;
            assert!(closed.status == 403 && closed.body.contains("does not count"), "{}", closed.body);
            assert!(closed.body.contains(why) || why.starts_with("which"), "{why}: {}", closed.body);
            assert_eq!(world.gates().await[0]["state"], "not_allowed");
            world.run_worker().await;
            let last = world.jira.issue(&key).unwrap().comments.pop().unwrap().text();
            assert!(
                last.contains("move this ticket back to the status in which Jira Service Management asks"),
                "{last}"
            );
            world.asks_again(&key, &[MIA], 1);
            world.approver_answers(&key, MIA, true).await;
            world.promotion_is_open().await;
            world.finish().await;
        }
    }
}

/// What cannot be read closes a gate, with its reason, and opens it once it can.
#[tokio::test]
async fn approvals_that_cannot_be_read() {
    for world in desks("").await {
        let key = world.asks_people(&[MIA], 1).await;
        let body = r#"{"errorMessage":"You are not an agent.","i18nErrorMessage":{"i18nKey":"sd.no","parameters":[]}}"#;
        let fault = Fault::Status { code: 403, retry_after: None, body: body.to_owned() };
        world.jira.fault(Operation::Approvals, fault, Times::Always);
        world.approver_answers(&key, MIA, true).await;
        world.promotion_is_closed("its approvals in Jira Service Management cannot be read").await;
        assert_eq!(world.gates().await[0]["state"], "stuck");
        world.jira.clear_faults();
        world.reads_later().await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// One request for the approvals of a decided ticket at each reading; none for one that waits, and none without the setting.
#[tokio::test]
async fn what_it_costs() {
    let count = |world: &World| {
        world.jira.requests().iter().filter(|request| request.operation == Operation::Approvals).count()
    };
    for world in desks("").await {
        let key = world.asks_people(&[MIA], 1).await;
        world.reads_later().await;
        assert_eq!(count(&world), 0);
        world.approver_answers(&key, MIA, true).await;
        assert!(count(&world) <= 2, "{}", count(&world));
        world.promotion_is_open().await;
        world.finish().await;
    }
    let world = World::start(Flavour::Cloud).await;
    world.promotion_approved().await;
    assert_eq!(count(&world), 0);
    world.finish().await;
}
