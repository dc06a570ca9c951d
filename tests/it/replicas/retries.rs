//! What a replica retries when it takes over, and what it only takes up again.

use fake_jira::{Fault, Operation, Times};
use flagger_jira_bridge::store::LeaseOutcome;

use super::{LEASE, MINUTE, Two};

/// How often Jira was asked to create a ticket.
fn creates(two: &Two) -> usize {
    two.jira.requests().iter().filter(|request| request.operation == Operation::CreateIssue).count()
}

/// A lease may be lost and regained often. What Jira refuses is not tried as often, only by a replica that takes over.
#[tokio::test]
async fn a_regained_lease_is_no_reason_to_retry() {
    let two = Two::start("").await;
    let body = r#"{"errorMessages":[],"errors":{"summary":"no"}}"#.to_owned();
    let refusal = Fault::Status { code: 400, retry_after: None, body };
    two.jira.fault(Operation::CreateIssue, refusal, Times::Always);
    two.second.asks("cart", "new").await;
    two.second.run_worker().await;
    assert_eq!(creates(&two), 1);
    for _ in 0..3 {
        two.clock.advance(MINUTE);
        assert_eq!(two.second.renew_lease().await, LeaseOutcome::Regained);
        two.second.run_worker().await;
    }
    assert_eq!(creates(&two), 1, "it is parked");
    two.clock.advance(LEASE * 2);
    assert_eq!(two.first.renew_lease().await, LeaseOutcome::TookOver);
    two.first.run_worker().await;
    assert_eq!(creates(&two), 2, "another replica may have other settings");
}

/// While replicas are being replaced, an older one may open the ticket for a question that a newer one answered. The newer
/// one finds the ticket, and says which rules count now.
#[tokio::test]
async fn a_ticket_of_an_older_replica_is_told_the_new_rules() {
    let mut two = Two::start("").await;
    two.replace_first("approval.approvers = [\"mia\"]\n").await;
    two.first.asks("cart", "new").await;
    two.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
    // On SQLite a process that starts takes the lease.
    two.clock.advance(LEASE * 2);
    assert_ne!(two.second.renew_lease().await, LeaseOutcome::Standby);
    two.second.run_worker().await;
    assert_eq!(two.jira.issues().len(), 1);
    two.clock.advance(LEASE * 2);
    assert_eq!(two.first.renew_lease().await, LeaseOutcome::TookOver);
    for _ in 0..4 {
        two.clock.advance(MINUTE);
        let _ = two.first.renew_lease().await;
        two.first.run_worker().await;
    }
    let [ticket] = two.jira.issues().try_into().unwrap();
    let told =
        ticket.comments.iter().filter(|comment| comment.text().contains("The rules for this ticket changed"));
    assert_eq!(told.count(), 1, "{:?}", ticket.comments);
}
