//! What docs/operations.md says of an old backup: of what came after it the bridge knows nothing, and what can be read from
//! Jira again is.

use fake_jira::{Flavour, MIA};
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
    assert_eq!((answer.status, answer.body.as_str()), (403, "closed: opening: the ticket is being opened\n"));
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

/// With an old backup an ended rollout lives again, but its ticket says that it is over: a retry of the very same revision gets a
/// ticket of its own.
#[tokio::test]
async fn an_ended_rollout_lives_again_and_its_approval_is_dead() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let mut world = World::start(flavour).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.works().await;
        let Some(copy) = backup(&world).await else { return };
        let ended = world.newest();
        world.decides(&ended, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
        assert_eq!(world.reports("/post-rollout", "Succeeded", "new1").await.status, 200);
        world.works().await;
        let found = world.jira.issue(&ended).unwrap();
        assert!(found.labels.contains(&"flagger-ended".to_owned()) && found.status == "Approved");
        let told = found.comments.len();
        restores(&mut world, &copy).await;
        let gates = world.gates().await;
        assert_eq!(
            (&gates[0]["state"], &gates[0]["reason"], &gates[0]["ticket"]["status"]),
            (
                &json!("gone"),
                &json!(
                    "gone: the ticket is labelled flagger-ended, so its rollout is over and it opens nothing; the next question opens a new one"
                ),
                &json!("Approved")
            )
        );

        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (403, "closed: opening: the ticket is being opened\n")
        );
        world.works().await;
        let fresh = world.newest();
        assert_ne!(fresh, ended);
        let old = world.jira.issue(&ended).unwrap();
        assert_eq!(old.comments.len(), told, "it was told already how its rollout ended");
        assert_eq!(old.links.len(), 1);

        // Also if somebody takes the label off and approves the old one again.
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

/// Why the guide has those looked for that the label never reached: they open what lives again.
#[tokio::test]
async fn an_ended_ticket_without_its_label_opens_again_unless_it_is_moved() {
    for moved in [false, true] {
        let mut world = World::start(Flavour::Cloud).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.works().await;
        let Some(copy) = backup(&world).await else { return };
        let ended = world.newest();
        world.decides(&ended, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
        assert_eq!(world.reports("/post-rollout", "Succeeded", "new1").await.status, 200);
        // The bridge is stopped before it tells Jira. What the guide's search finds:
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

/// Why the guide has a young backup wait: until Jira is read, what it saw last is believed for `jira.trust_for`.
#[tokio::test]
async fn a_backup_is_believed_no_longer_than_an_answer_of_jira() {
    for waits in [false, true] {
        let mut world = World::start(Flavour::Cloud).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.works().await;
        let ended = world.newest();
        world.decides(&ended, "Approved").await;
        let Some(copy) = backup(&world).await else { return };
        assert_eq!(world.reports("/post-rollout", "Succeeded", "new1").await.status, 200);
        world.works().await;
        let path = copy.path().join("bridge-backup.db");
        world.settings =
            world.settings.replace(world.database_url(), &format!("sqlite://{}", path.display()));
        if waits {
            world.clock.advance(std::time::Duration::from_secs(601));
        }
        world.restarts().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(answer.status, if waits { 403 } else { 200 }, "{}", answer.body);
        world.works().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (403, "closed: opening: the ticket is being opened\n")
        );
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
