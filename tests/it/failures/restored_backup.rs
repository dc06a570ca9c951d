//! An old backup is restored, as docs/operations.md describes: later changes are lost, and what Jira still shows is
//! read again.

use fake_jira::{Flavour, MIA};
use serde_json::json;
use tempfile::TempDir;

use crate::world::World;

/// A copy of the database, made while the bridge runs. `None` on PostgreSQL, where a dump does the same.
async fn backup(world: &World) -> Option<TempDir> {
    let to = tempfile::tempdir().unwrap();
    // The times of messages are written once a minute.
    world.ticks().await;
    if !world.database_url().starts_with("sqlite:") {
        return None;
    }
    world.sql(&format!("VACUUM INTO '{}'", to.path().join("bridge-backup.db").display())).await;
    Some(to)
}

/// Restarts the bridge with that copy.
async fn restores(world: &mut World, backup: &TempDir) {
    let copy = format!("sqlite://{}", backup.path().join("bridge-backup.db").display());
    world.settings = world.settings.replace(world.database_url(), &copy);
    world.restarts().await;
    world.run_worker().await;
}

#[tokio::test]
async fn a_ticket_opened_after_the_backup_belongs_to_no_gate() {
    let mut world = World::start(Flavour::Cloud).await;
    let Some(copy) = backup(&world).await else { return };
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    let orphan = world.newest();
    restores(&mut world, &copy).await;
    assert_eq!(world.gates().await, json!([]));

    world.decides(&orphan, "Approved").await;
    let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, "closed: no ticket yet; the bridge is opening it\n")
    );
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 2, "a second ticket");
    assert_eq!(world.nudges(&orphan).await.body, "ignored\n");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 403);
    assert!(world.jira.issue(&orphan).unwrap().comments.is_empty(), "the bridge does not comment on it");

    world.decides(&world.newest(), "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    assert_eq!(world.jira.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn an_approval_after_the_backup_is_read_again() {
    let mut world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    let Some(copy) = backup(&world).await else { return };
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    restores(&mut world, &copy).await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    assert_eq!(world.tickets().len(), 1);
    world.finish().await;
}

/// An old backup contains a rollout that has ended since, but its ticket has the label of ended tickets: a retry of the
/// same revision gets a new ticket.
#[tokio::test]
async fn the_approval_of_an_ended_rollout_opens_nothing() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let mut world = World::start(flavour).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.run_worker().await;
        let Some(copy) = backup(&world).await else { return };
        let ended = world.newest();
        world.decides(&ended, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
        assert_eq!(world.reports("/post-rollout", "Succeeded", "new1").await.status, 200);
        world.run_worker().await;
        let found = world.jira.issue(&ended).unwrap();
        assert!(found.labels.contains(&"flagger-ended".to_owned()) && found.status == "Approved");
        let comments = found.comments.len();
        restores(&mut world, &copy).await;
        let gates = world.gates().await;
        assert_eq!(
            (&gates[0]["state"], &gates[0]["reason"], &gates[0]["ticket"]["status"]),
            (
                &json!("gone"),
                &json!(
                    "the ticket is labelled flagger-ended, so its rollout is over and it opens nothing; the next question opens a new one"
                ),
                &json!("Approved")
            )
        );

        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (403, "closed: no ticket yet; the bridge is opening it\n")
        );
        world.run_worker().await;
        let fresh = world.newest();
        assert_ne!(fresh, ended);
        let old = world.jira.issue(&ended).unwrap();
        assert_eq!(old.comments.len(), comments, "the comment about the end is not repeated");
        assert_eq!(old.links.len(), 1);

        // The same if a user removes the label and approves the old ticket again.
        world.jira.edit_labels(&ended, &[], &["flagger-ended"], MIA).unwrap();
        world.decides(&ended, "To Do").await;
        world.decides(&ended, "Approved").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains(&fresh), "{}", answer.body);
        world.decides(&fresh, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
        assert_eq!(world.jira.complaints(), Vec::<String>::new());
    }
}

/// The reason why the guide says to search for ended tickets without the label: they open the restored rollout's gate.
#[tokio::test]
async fn an_ended_ticket_without_its_label_opens_again_unless_it_is_moved() {
    for moved in [false, true] {
        let mut world = World::start(Flavour::Cloud).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.run_worker().await;
        let Some(copy) = backup(&world).await else { return };
        let ended = world.newest();
        world.decides(&ended, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
        assert_eq!(world.reports("/post-rollout", "Succeeded", "new1").await.status, 200);
        // The bridge is stopped before it writes to Jira. The guide's search finds this ticket:
        let found = world.jira.issue(&ended).unwrap();
        assert!(!found.labels.contains(&"flagger-ended".to_owned()) && found.status == "Approved");
        if moved {
            world.jira.move_issue(&ended, "To Do", MIA).unwrap();
        }
        restores(&mut world, &copy).await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert!(answer.body.contains(&ended), "{}", answer.body);
        assert_eq!(answer.status, if moved { 403 } else { 200 });
    }
}

/// The reason why the guide says to wait with a recent backup: its last readings are trusted for `jira.trust_for`.
#[tokio::test]
async fn a_backup_is_trusted_no_longer_than_an_answer_of_jira() {
    for waits in [false, true] {
        let mut world = World::start(Flavour::Cloud).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.run_worker().await;
        let ended = world.newest();
        world.decides(&ended, "Approved").await;
        let Some(copy) = backup(&world).await else { return };
        assert_eq!(world.reports("/post-rollout", "Succeeded", "new1").await.status, 200);
        world.run_worker().await;
        let path = copy.path().join("bridge-backup.db");
        world.settings =
            world.settings.replace(world.database_url(), &format!("sqlite://{}", path.display()));
        if waits {
            world.clock.advance(std::time::Duration::from_secs(601));
        }
        world.restarts().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(answer.status, if waits { 403 } else { 200 }, "{}", answer.body);
        world.run_worker().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (403, "closed: no ticket yet; the bridge is opening it\n")
        );
    }
}

/// With an empty database every gate waits for a new ticket.
#[tokio::test]
async fn an_empty_database_opens_nothing() {
    let mut world = World::start(Flavour::Cloud).await;
    let Some(empty) = backup(&world).await else { return };
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    std::fs::remove_file(empty.path().join("bridge-backup.db")).unwrap();
    restores(&mut world, &empty).await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 403);
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 2);
    assert_eq!(world.jira.complaints(), Vec::<String>::new());
}
