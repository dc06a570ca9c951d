//! Messages to a team's channels: Slack, Microsoft Teams, or any program that takes JSON.
//!
//! The address of a channel holds its credentials, so it is a secret. Each message is one request, without redirects. What is
//! from outside is shown as it is: it makes no link, mentions nobody and formats nothing.

mod channel;
mod format;
mod json;
mod message;
mod notifier;
mod slack;
mod teams;

pub use self::{
    channel::{Channel, ChannelId, address},
    format::Format,
    message::Message,
    notifier::{Notifier, Sent},
};
