//! Messages to channels.
//!
//! No channel can tell whether it has a message already. So the time of sending is stored before, and a message of which it is
//! unknown whether the channel took it, because no answer came or the process ended, is sent once more, and then never again.

use std::time::Duration;

use super::result::CommandResult;
use crate::{
    gate::GateId,
    jira::retry,
    notify::{ChannelId, Message, Sent},
    rollout::{Command, Notification, is_still_true},
    store::{self, OutboxRow, WriteTx},
    worker::context::Context,
};

/// What could not be sent for so long is no news any more.
const NEWS_FOR: Duration = Duration::from_secs(24 * 3600);

/// Prepares a claimed message to be sent: whether it was sent before is stored with it. `None`: it was sent twice, and is not
/// sent again.
pub(super) async fn prepare(tx: &mut WriteTx, row: OutboxRow) -> Result<Option<OutboxRow>, store::Error> {
    let Command::Notify { lane, about, channel, notification, again } = &row.command else {
        return Ok(Some(row));
    };
    if row.unknown_since.is_none() {
        return Ok(Some(row));
    }
    if *again {
        return Ok(None);
    }
    let command = Command::Notify {
        lane: lane.clone(),
        about: about.clone(),
        channel: channel.clone(),
        notification: notification.clone(),
        again: true,
    };
    tx.update_command(&row, &command).await?;
    Ok(Some(OutboxRow { command, unknown_since: None, ..row }))
}

/// Sends a message.
pub(super) async fn perform(
    context: &Context,
    row: &OutboxRow,
    about: &GateId,
    channel: &str,
    notification: &Notification,
) -> CommandResult {
    let now = context.clock.now();
    let canary = context.store().canary(&row.canary);
    let gate = canary.as_ref().and_then(|canary| canary.gate_by_id(about));
    let is_news = now.since(notification.at) <= NEWS_FOR && is_still_true(&notification.turn, gate);
    let Some(channel) = context.notifier.channel(&ChannelId(channel.to_owned())).filter(|_| is_news) else {
        return CommandResult::Done;
    };
    let id = format!("{about}-{}", notification.turn.tag());
    let link = notification.ticket.as_deref().map(|key| (context.gatekeeper.links().browse)(key));
    let message = Message { id: &id, canary: &row.canary, about: notification, link: link.as_deref() };
    tracing::trace!(target: "step", "sending");
    let sent = context.notifier.send(channel, &message).await;
    tracing::trace!(target: "step", "answered");
    context.metrics.message(channel.format.as_str(), sent.label());
    match sent {
        Sent::Done => CommandResult::Done,
        Sent::Refused { why } => CommandResult::Stuck { why },
        Sent::Failed { why, retry_after } => {
            let wait = retry::delay(row.attempts, retry_after, rand::random());
            CommandResult::Retry { at: now + wait, why }
        }
        Sent::Unknown { why } => CommandResult::MaybeTaken { at: context.retry_at(row.attempts), why },
    }
}
