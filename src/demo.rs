//! `demo`: an embedded Jira, a simulated Flagger with its cluster, and the bridge between them, all on loopback.
//!
//! The bridge is the real one, with its own configuration file and database in a temporary directory. The tests use the
//! packages [`fake_jira`] and [`fake_kubernetes`], and [`fake_flagger`], too.

mod cluster;
mod commentary;
pub mod fake_flagger;
mod people;
mod rehearsal;
mod release;
mod sample_config;
mod stories;
mod walkthrough;
mod world;

use tokio::select;
use tokio_util::sync::CancellationToken;

pub use self::rehearsal::jira_only;
use self::{
    commentary::{Commentary, Links, print},
    world::World,
};
use crate::clock::Clock;

/// What is said when a user stops the demo.
const GOODBYE: &str =
    "The demo has ended. Its tickets, its database and its settings were temporary and are gone.";

/// Lets the embedded Jira use the bridge's clock.
impl From<Clock> for fake_jira::TimeSource {
    fn from(clock: Clock) -> Self {
        Self::new(move || clock.now().0)
    }
}

/// Runs until `stop`, or with `auto` until every story is played. Jira listens on `port`, and the bridge on the three
/// after it; without it, on free ones. The commentary goes to standard output. Returns whether all stories succeeded.
///
/// # Errors
/// If the demo cannot be set up, a port is taken, or the bridge stops by itself.
pub async fn run(auto: bool, port: Option<u16>, stop: CancellationToken) -> anyhow::Result<bool> {
    let mut world = World::start(port).await?;
    let links = if auto { Links::Hide } else { Links::Show };
    let mut commentary = Commentary::new(links, Box::new(print));
    let went = select! {
        () = stop.cancelled() => Ok(!auto),
        went = play(auto, &mut world, &mut commentary) => went,
    };
    let stopped = world.stop().await;
    // Removes the files.
    drop(world);
    let right = went.and_then(|right| stopped.map(|()| right))?;
    if stop.is_cancelled() {
        print("");
        print(GOODBYE);
    }
    Ok(right)
}

async fn play(auto: bool, world: &mut World, commentary: &mut Commentary) -> anyhow::Result<bool> {
    if auto {
        return Ok(stories::play(world, commentary).await);
    }
    walkthrough::play(world, commentary).await.and_then(Err)
}
