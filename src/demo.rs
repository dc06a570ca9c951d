//! `demo`: an embedded Jira, a simulated Flagger with its cluster, and the bridge between them, all on loopback.
//!
//! The bridge is the real one, with its own configuration file and database in a temporary directory. The tests use the
//! packages [`fake_jira`] and [`fake_kubernetes`], and [`fake_flagger`], too.

mod cluster;
mod commentary;
pub mod fake_flagger;
mod rehearsal;
mod sample_config;
mod stories;
mod world;

use std::time::Duration;

use tokio::{
    select,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::rehearsal::jira_only;
use self::{
    commentary::{Commentary, Links, WATCH_INTERVAL, print},
    fake_flagger::FakeFlagger,
    sample_config::SampleConfig,
    world::World,
};
use crate::clock::Clock;

/// The interval at which the simulated Flagger checks its canary. A real one does so every half a minute or every few
/// minutes.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// How many intervals after the end of a rollout the next revision is pushed.
const REST_INTERVALS: u32 = 3;

/// Lets the embedded Jira use the bridge's clock.
impl From<Clock> for fake_jira::TimeSource {
    fn from(clock: Clock) -> Self {
        Self::new(move || clock.now().0)
    }
}

/// Runs until `stop`, or with `auto` until every story is played. The commentary goes to standard output. Returns
/// whether all stories succeeded.
///
/// # Errors
/// If the demo cannot be set up, or the bridge stops by itself.
pub async fn run(auto: bool, stop: CancellationToken) -> anyhow::Result<bool> {
    let mut world = World::start().await?;
    let links = if auto { Links::Hide } else { Links::Show };
    let mut commentary = Commentary::new(links, Box::new(print));
    let went = select! {
        () = stop.cancelled() => Ok(!auto),
        went = play(auto, &mut world, &mut commentary) => went,
    };
    let stopped = world.stop().await;
    went.and_then(|right| stopped.map(|()| right))
}

async fn play(auto: bool, world: &mut World, commentary: &mut Commentary) -> anyhow::Result<bool> {
    if auto {
        return Ok(stories::play(world, commentary).await);
    }
    introduce(world);
    let mut flagger = FakeFlagger::new(&world.gate, "shop", "podinfo")?;
    world.cluster.show(&flagger);
    let mut looks = interval(CHECK_INTERVAL);
    let mut watches = interval(WATCH_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    watches.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut revision, mut rested) = (1, REST_INTERVALS);
    loop {
        select! {
            error = world.wait_for_exit() => return Err(error),
            _ = watches.tick() => {}
            _ = looks.tick() => {
                if flagger.phase().is_idle() {
                    rested += 1;
                    if rested > REST_INTERVALS {
                        revision += 1;
                        rested = 0;
                        let name = format!("v{revision}");
                        commentary.say(&format!("A developer pushes {name} of {}", flagger.canary()));
                        flagger.push(&name);
                        world.cluster.show(&flagger);
                    }
                }
                let tick = flagger.tick(Clock::System.now()).await;
                world.cluster.show(&flagger);
                commentary.flagger(&flagger, &tick);
            }
        }
        commentary.jira(&world.jira);
    }
}

fn introduce(world: &World) {
    let (jira, admin, gate) = (world.jira.base_url(), &world.admin, &world.gate);
    let text = format!(
        "\
A simulated Flagger rolls out shop/podinfo, over and over. The bridge opens a ticket whenever Flagger asks
whether it may go on, and answers from what you do with that ticket.

  Jira, to click in   {jira}
  the bridge's page   {admin}
  where Flagger asks  {gate}/gate/confirm-promotion and the other hooks
  Ctrl-C              ends it; nothing is left behind

Try this:
  - Approve the three tickets of a rollout, one after the other: it is promoted.
  - Reject the second or the third: Flagger rolls back. (Rejecting the first leaves Flagger waiting, as nothing has
    begun that could be rolled back; approve it to go on.)
  - Approve a ticket and reopen it before Flagger asks again ({} s): the gate stays closed.
  - Approve a ticket of a rollout that is over: it opens nothing any more.
",
        CHECK_INTERVAL.as_secs()
    );
    text.lines().for_each(print);
    print("");
    let own = SampleConfig::beside(world).introduction();
    print("Or let a bridge of your own work with this Jira.");
    own.lines().for_each(print);
    print("");
}
