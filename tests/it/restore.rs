//! What docs/operations.md says of an old backup: of what came after it the bridge knows nothing, and what can be read from
//! Jira again is.

use flagger_jira_bridge::demo::fake_jira::{Flavour, MIA};
use serde_json::json;
use tempfile::TempDir;

use crate::world::World;

/// A copy of the database, made while the bridge runs. None on PostgreSQL, where a dump does the same.
async fn backup(world: &World) -> Option<TempDir> {
    let to = tempfile::tempdir().unwrap();
    // What was heard is written back once a minute.
    world.ticks().await;
    if !world.database_url().starts_with("sqlite:") {
        return None;
    }
    world.sql(&format!("VACUUM INTO '{}'", to.path().join("bridge-backup.db").display())).await;
    Some(to)
}

/// The bridge goes on with that copy.
async fn restores(world: &mut World, backup: &TempDir) {
    let copy = format!("sqlite://{}", backup.path().join("bridge-backup.db").display());
    world.settings = world.settings.replace(world.database_url(), &copy);
    world.restarts().await;
    world.works().await;
}

#[tokio::test]
async fn a_ticket_opened_after_the_backup_belongs_to_nobody() {
    let mut world = World::start(Flavour::Cloud).await;
    let Some(copy) = backup(&world).await else { return };
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.works().await;
    let orphan = world.newest();
    restores(&mut world, &copy).await;
    assert_eq!(world.gates().await, json!([]));

    world.decides(&orphan, "Approved").await;
    let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "closed: the ticket is being opened\n"));
    world.works().await;
    assert_eq!(world.tickets().len(), 2, "another one");
    assert_eq!(world.nudges(&orphan).await.body, "ignored\n");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 403);
    assert!(world.jira.issue(&orphan).unwrap().comments.is_empty(), "nobody tells it so");

    world.decides(&world.newest(), "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    assert_eq!(world.jira.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn an_approval_after_the_backup_is_read_again() {
    let mut world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.works().await;
    let Some(copy) = backup(&world).await else { return };
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    restores(&mut world, &copy).await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    assert_eq!(world.tickets().len(), 1);
    world.finish().await;
}

/// Why the guide has the ended tickets moved out of the approved status first: with an old backup they live again.
#[tokio::test]
async fn an_ended_rollout_lives_again_but_for_what_was_moved() {
    for moved in [false, true] {
        let mut world = World::start(Flavour::Cloud).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.works().await;
        let Some(copy) = backup(&world).await else { return };
        let ended = world.newest();
        world.decides(&ended, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
        assert_eq!(world.reports("/post-rollout", "Succeeded", "new1").await.status, 200);
        world.works().await;
        // What the guide's search finds.
        let found = world.jira.issue(&ended).unwrap();
        assert!(found.labels.contains(&"flagger-ended".to_owned()) && found.status == "Approved");
        if moved {
            world.jira.move_issue(&ended, "To Do", MIA).unwrap();
        }
        restores(&mut world, &copy).await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert!(answer.body.contains(&ended), "{}", answer.body);
        assert_eq!(answer.status, if moved { 403 } else { 200 });
    }
}

/// With an empty database every gate waits for a ticket of its own.
#[tokio::test]
async fn an_empty_database_opens_nothing() {
    let mut world = World::start(Flavour::Cloud).await;
    let Some(empty) = backup(&world).await else { return };
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.works().await;
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    std::fs::remove_file(empty.path().join("bridge-backup.db")).unwrap();
    restores(&mut world, &empty).await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 403);
    world.works().await;
    assert_eq!(world.tickets().len(), 2);
    assert_eq!(world.jira.complaints(), Vec::<String>::new());
}
