//! The demo for people: one rollout after the other, and a person who decides.

use std::time::Duration;

use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    commentary::{Commentary, WATCH_INTERVAL, print},
    fake_flagger::{CONFIRM_PROMOTION, FakeFlagger, Phase},
    release::Release,
    world::World,
};
use crate::clock::Clock;

/// The interval at which the simulated Flagger takes its steps. A real one takes half a minute or some minutes.
const STEP_INTERVAL: Duration = Duration::from_secs(1);
/// The interval at which it asks while it waits for a decision: long enough to approve a ticket and to reopen it.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// The time between the end of a rollout and the next version.
const REST: Duration = Duration::from_secs(15);

/// Releases one version after the other, until the bridge stops by itself. Returns why it did.
pub(super) async fn play(world: &mut World, commentary: &mut Commentary) -> anyhow::Result<anyhow::Error> {
    introduction(world).lines().for_each(print);
    print("");
    let mut flagger = FakeFlagger::new(&world.gate, "shop", "checkout")?;
    flagger.push(Release::FIRST);
    // The gate that docs/flagger.md recommends to begin with.
    flagger.keep_only(CONFIRM_PROMOTION);
    world.cluster.show(&flagger);
    let mut watches = interval(WATCH_INTERVAL);
    watches.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut released, mut next_check, mut next_release) = (0, Instant::now(), Instant::now());
    loop {
        select! {
            error = world.wait_for_exit() => return Ok(error),
            _ = watches.tick() => {}
            () = sleep_until(next_check) => {
                if flagger.phase().is_idle() && Instant::now() >= next_release {
                    released += 1;
                    let release = Release::nth(released);
                    let (version, author) = (&release.version, release.author);
                    commentary.say(&format!("{author} releases {version} of {}", flagger.canary()));
                    release.push_to(&mut flagger);
                    world.cluster.show(&flagger);
                }
                let was_idle = flagger.phase().is_idle();
                let tick = flagger.tick(Clock::System.now()).await;
                world.cluster.show(&flagger);
                commentary.flagger(&flagger, &tick);
                next_check = Instant::now() + interval_in(tick.phase);
                if !was_idle && matches!(tick.phase, Phase::Succeeded | Phase::Failed) {
                    commentary.say(&format!("The next version follows in {} s", REST.as_secs()));
                    next_release = Instant::now() + REST;
                }
            }
        }
        commentary.jira(&world.jira);
    }
}

const fn interval_in(phase: Phase) -> Duration {
    match phase {
        Phase::Waiting | Phase::WaitingPromotion => ASK_INTERVAL,
        Phase::Initializing
        | Phase::Initialized
        | Phase::Progressing
        | Phase::Promoting
        | Phase::Finalising
        | Phase::Succeeded
        | Phase::Failed => STEP_INTERVAL,
    }
}

fn introduction(world: &World) -> String {
    let (jira, admin, gate) = (world.jira.base_url(), &world.admin, &world.gate);
    let asks = ASK_INTERVAL.as_secs();
    let (bobs, adas) = (Release::nth(1), Release::nth(2));
    format!(
        "\
A simulated Flagger rolls out shop/checkout, one version after the other. Before it promotes a version, it asks the
bridge. The bridge opens a Jira ticket and answers what people decide there. Everything runs on this machine only, and
is gone after Ctrl-C.

  Jira, to click in   {jira}
  status page         {admin}
  for Flagger         {gate}

 1. Open Jira. The first ticket appears after about 10 seconds: {bobs}, by Bob Builder.
 2. Open the ticket, read what changes, and click Approve. You are Mia Change, a change manager. Flagger asks every
    {asks} seconds: the next time it goes on and promotes {bobs}.
 3. The next version, {adas}, gets its own ticket. Click Reject: Flagger rolls back.

Then try what opens nothing. A comment on the ticket, or a line below, says why:
  - At the top of the page, act as Bob Builder, who is no change manager, and approve.
  - Act as Ada Lovelace and approve {adas}, which she wrote. She is a change manager, but nobody approves their own
    change.
  - Approve, and click Reopen before Flagger asks again.
  - Approve a ticket of a rollout that has ended.

To try a configuration of your own: flagger-jira-bridge demo --jira-only
To see all three gates, a restart and more, played without you: flagger-jira-bridge demo --auto
",
        bobs = bobs.version,
        adas = adas.version,
    )
}
