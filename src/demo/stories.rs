//! The stories of `demo --auto`. Each has its own canary, and reports what went wrong.

mod story;

use std::time::Duration;

use tokio::time::timeout;

use self::story::{Mismatch, PROMOTION, ROLLOUT, STAGES, Story, StoryResult, TRAFFIC};
use super::{commentary::Commentary, fake_flagger::Phase, world::World};
use crate::gate::Verdict;

/// The time limit for all stories. `--auto` promises 30 s, which include start and stop.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(25);

/// The stories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoryName {
    Approve,
    Reject,
    Withdraw,
    Retry,
    NewRevision,
    Restart,
}

impl StoryName {
    const ALL: [Self; 6] =
        [Self::Approve, Self::Reject, Self::Withdraw, Self::Retry, Self::NewRevision, Self::Restart];

    /// The name of the canary.
    fn canary(self) -> &'static str {
        match self {
            Self::Approve => "podinfo-approve",
            Self::Reject => "podinfo-reject",
            Self::Withdraw => "podinfo-withdraw",
            Self::Retry => "podinfo-retry",
            Self::NewRevision => "podinfo-new-revision",
            Self::Restart => "podinfo-restart",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Approve => "approve: three gates, three tickets, three approvals, one promotion",
            Self::Reject => "reject: a no at the promotion rolls back, and opens nothing later",
            Self::Withdraw => "withdraw: an approval taken back before Flagger asks opens nothing",
            Self::Retry => "retry: the same revision again needs new approvals",
            Self::NewRevision => "new revision: an approval of v2 opens nothing for v3",
            Self::Restart => "restart: the bridge stops and starts again, and opens no ticket twice",
        }
    }

    async fn play(self, story: &mut Story<'_>) -> StoryResult {
        match self {
            Self::Approve => approve(story).await,
            Self::Reject => reject(story).await,
            Self::Withdraw => withdraw(story).await,
            Self::Retry => retry(story).await,
            Self::NewRevision => new_revision(story).await,
            Self::Restart => restart(story).await,
        }
    }
}

/// Plays all stories, one after the other. Returns whether all succeeded.
pub(super) async fn play(world: &mut World, commentary: &mut Commentary) -> bool {
    let mut right = 0;
    let all = async {
        for name in StoryName::ALL {
            commentary.head(&format!("\n{}", name.heading()));
            let went = match Story::begin(world, commentary, name.canary()).await {
                Ok(mut story) => name.play(&mut story).await,
                Err(wrong) => Err(wrong),
            };
            match went {
                Ok(()) => {
                    right += 1;
                    commentary.head("ok");
                }
                Err(Mismatch { expected, saw }) => {
                    commentary.head(&format!("WRONG: expected {expected}, saw {saw}"));
                }
            }
        }
    };
    let in_time = timeout(TOTAL_TIMEOUT, all).await.is_ok();
    if !in_time {
        commentary.head(&format!("WRONG: expected all of it within {} s", TOTAL_TIMEOUT.as_secs()));
    }
    commentary.head(&format!("\n{right} of {} stories went right", StoryName::ALL.len()));
    right == StoryName::ALL.len()
}

async fn approve(story: &mut Story<'_>) -> StoryResult {
    story.push("v2");
    let mut tickets = Vec::new();
    for stage in STAGES {
        tickets.push(story.pass_gate(stage).await?);
    }
    story.check_until_phase(Phase::Succeeded).await?;
    story.expect_tickets(3)?;
    let [first, second, third] = tickets.as_slice() else { return Ok(()) };
    story.expect(first != second && second != third && first != third, "a ticket for each gate", &tickets)
}

async fn reject(story: &mut Story<'_>) -> StoryResult {
    story.push("v2");
    story.pass_gate(ROLLOUT).await?;
    story.pass_gate(TRAFFIC).await?;
    let rejected = story.wait_for_ticket(PROMOTION).await?;
    story.move_ticket(&rejected, "Rejected")?;
    story.check_until_open("rollback").await?;
    story.expect(story.phase() == Phase::Failed, "the rollout to fail", story.phase())?;
    story.expect(!story.was_open(PROMOTION), "confirm-promotion never to open", "an open gate")?;
    let live = story.gates().await?;
    let approved: Vec<_> =
        live.iter().filter(|gate| gate.state == Verdict::Approved).map(|gate| &gate.stage).collect();
    story.expect(approved.is_empty(), "no gate of the failed rollout to be open", &approved)?;
    story.push("v3");
    let next = story.wait_for_ticket(ROLLOUT).await?;
    story.expect(next != rejected, "a new ticket for v3", &next)?;
    story.expect_tickets(4)
}

async fn withdraw(story: &mut Story<'_>) -> StoryResult {
    story.push("v2");
    let ticket = story.wait_for_ticket(ROLLOUT).await?;
    story.move_ticket(&ticket, "Approved")?;
    story.wait_for_verdict(&ticket, Verdict::Approved).await?;
    story.move_ticket(&ticket, "To Do")?;
    story.wait_for_verdict(&ticket, Verdict::Waiting).await?;
    story.expect_closed(ROLLOUT).await?;
    story.move_ticket(&ticket, "Approved")?;
    story.check_until_open(ROLLOUT).await?;
    story.expect_tickets(1)
}

async fn retry(story: &mut Story<'_>) -> StoryResult {
    story.push("v2");
    let old = story.pass_gate(ROLLOUT).await?;
    let rejected = story.wait_for_ticket(TRAFFIC).await?;
    story.move_ticket(&rejected, "Rejected")?;
    story.check_until_phase(Phase::Failed).await?;
    story.push("v2");
    let new = story.wait_for_ticket(ROLLOUT).await?;
    story.expect(new != old, "a new ticket for confirm-rollout", &new)?;
    let state = story.status(&old);
    story.expect(state == "Approved", "the old ticket still to be approved", &state)?;
    story.expect_closed(ROLLOUT).await?;
    story.move_ticket(&new, "Approved")?;
    story.check_until_open(ROLLOUT).await?;
    let increase = story.wait_for_ticket(TRAFFIC).await?;
    story.expect(increase != rejected, "a new ticket for confirm-traffic-increase", &increase)?;
    story.expect_tickets(4)
}

async fn new_revision(story: &mut Story<'_>) -> StoryResult {
    story.push("v2");
    story.pass_gate(ROLLOUT).await?;
    let increase = story.pass_gate(TRAFFIC).await?;
    let promotion = story.wait_for_ticket(PROMOTION).await?;
    story.move_ticket(&promotion, "Approved")?;
    story.wait_for_verdict(&promotion, Verdict::Approved).await?;
    story.push("v3");
    story.check_until_phase(Phase::Progressing).await?;
    let next_increase = story.pass_gate(TRAFFIC).await?;
    story.expect(next_increase != increase, "a new ticket for confirm-traffic-increase", &next_increase)?;
    let next_promotion = story.wait_for_ticket(PROMOTION).await?;
    story.expect(next_promotion != promotion, "a new ticket for confirm-promotion", &next_promotion)?;
    story.expect_closed(PROMOTION).await?;
    story.expect(!story.was_open(PROMOTION), "confirm-promotion never to open", "an open gate")?;
    story.expect_tickets(5)
}

async fn restart(story: &mut Story<'_>) -> StoryResult {
    story.push("v2");
    story.pass_gate(ROLLOUT).await?;
    let increase = story.wait_for_ticket(TRAFFIC).await?;
    story.stop_bridge().await?;
    story.move_ticket(&increase, "Approved")?;
    story.expect_closed(TRAFFIC).await?;
    story.restart_bridge().await?;
    story.check_until_open(TRAFFIC).await?;
    let promotion = story.pass_gate(PROMOTION).await?;
    story.check_until_phase(Phase::Succeeded).await?;
    story.expect(promotion != increase, "a ticket for each gate", &promotion)?;
    story.expect_tickets(3)
}
