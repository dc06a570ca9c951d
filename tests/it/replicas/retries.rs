//! What a replica retries when it takes over, and what it only takes up again.

use std::time::Duration;

use fake_jira::{Fault, Operation, Times};
use flagger_jira_bridge::store::LeaseOutcome;

use super::{LEASE, MINUTE, Replica, Two};

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

/// Replicas that cannot keep the lease take it from each other. What Jira refuses is tried once a minute at most by each.
#[tokio::test]
async fn a_lease_that_goes_back_and_forth_is_no_reason_to_retry_each_time() {
    let two = Two::start("").await;
    let body = r#"{"errorMessages":[],"errors":{"summary":"no"}}"#.to_owned();
    two.jira.fault(
        Operation::CreateIssue,
        Fault::Status { code: 400, retry_after: None, body },
        Times::Always,
    );
    two.second.asks("cart", "new").await;
    two.second.run_worker().await;
    assert_eq!(creates(&two), 1);
    let started = two.clock.now();
    for turn in 0..12 {
        two.clock.advance(LEASE + Duration::from_secs(1));
        let replica = if turn % 2 == 0 { &two.first } else { &two.second };
        assert_eq!(replica.renew_lease().await, LeaseOutcome::TookOver);
        replica.run_worker().await;
    }
    let minutes = usize::try_from(two.clock.now().since(started).as_secs() / 60).unwrap();
    assert!(creates(&two) <= 1 + 2 * (minutes + 1), "{} in {minutes} minutes", creates(&two));
    // What was put off is done as soon as a minute has passed.
    let before = creates(&two);
    two.clock.advance(MINUTE);
    assert_ne!(two.first.renew_lease().await, LeaseOutcome::Standby);
    two.first.run_worker().await;
    assert_eq!(creates(&two), before + 1);
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
    assert_eq!(told_rules(&two), 1);
}

/// How many comments on the only ticket say that its rules changed.
fn told_rules(two: &Two) -> usize {
    let [ticket] = two.jira.issues().try_into().unwrap();
    let is_told =
        |comment: &&fake_jira::Comment| comment.text().contains("The rules for this ticket changed");
    ticket.comments.iter().filter(is_told).count()
}

/// Lets one of the replicas take the lease and work for some minutes.
async fn works(two: &Two, replica: &Replica) {
    two.clock.advance(LEASE * 2);
    assert_ne!(replica.renew_lease().await, LeaseOutcome::Standby);
    for _ in 0..4 {
        replica.run_worker().await;
        two.clock.advance(MINUTE);
        let _ = replica.renew_lease().await;
    }
    replica.run_worker().await;
}

/// Jira refused the request of an older replica, so the ticket shows the rules of the newer one, which sent the next.
#[tokio::test]
async fn a_request_without_effect_shows_no_rules() {
    let mut two = Two::start("").await;
    two.replace_first("approval.approvers = [\"mia\"]\n").await;
    two.first.asks("cart", "new").await;
    let body = r#"{"errorMessages":[],"errors":{"summary":"no"}}"#.to_owned();
    two.jira.fault(Operation::CreateIssue, Fault::Status { code: 400, retry_after: None, body }, Times::Once);
    two.clock.advance(LEASE * 2);
    assert_ne!(two.second.renew_lease().await, LeaseOutcome::Standby);
    two.second.run_worker().await;
    assert_eq!((creates(&two), two.jira.issues().len()), (1, 0));
    two.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
    works(&two, &two.first).await;
    assert_eq!(told_rules(&two), 0);
}

/// Either of two requests may have opened the ticket, and they had different rules: whichever replica finds it says which
/// count.
#[tokio::test]
async fn a_ticket_of_which_the_rules_are_not_known_is_told_them() {
    let mut two = Two::start("").await;
    two.replace_first("approval.approvers = [\"mia\"]\n").await;
    two.first.asks("cart", "new").await;
    two.jira.fault(Operation::CreateIssue, Fault::Dropped, Times::Once);
    two.clock.advance(LEASE * 2);
    assert_ne!(two.second.renew_lease().await, LeaseOutcome::Standby);
    two.second.run_worker().await;
    assert_eq!(two.jira.issues().len(), 0);
    // Long enough for the search to end: then the other replica sends the next request.
    two.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
    two.clock.advance(LEASE * 2);
    assert_ne!(two.first.renew_lease().await, LeaseOutcome::Standby);
    for _ in 0..10 {
        if !two.jira.issues().is_empty() {
            break;
        }
        two.clock.advance(MINUTE / 2);
        let _ = two.first.renew_lease().await;
        let _ = two.first.worker.work_once().await.unwrap();
    }
    works(&two, &two.second).await;
    assert_eq!(told_rules(&two), 1);
}
