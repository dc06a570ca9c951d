//! Whether the channels' addresses look right. Nothing is sent to them.

use reqwest::Url;

use super::finding::Finding;
use crate::{
    config::Config,
    notify::{Channel, Format, address},
};

/// A finding for each channel. Of its address, only the host is shown.
pub(super) fn channels(config: &Config) -> Vec<Finding> {
    config.notify.iter().map(channel).collect()
}

fn channel(channel: &Channel) -> Finding {
    let key = format!("{}.url", channel.key);
    let url = match address(&channel.url.newest()) {
        Ok(url) => url,
        Err(what) => return Finding::fail(key, what),
    };
    let (host, format) = (url.host_str().unwrap_or_default(), channel.format.as_str());
    if let Some(what) = unlike(&url, channel.format) {
        return Finding::fail(key, what);
    }
    Finding::ok(
        key,
        format!("messages as {format} go to {host}; none was sent, so whether it takes them was not checked"),
    )
}

/// What is wrong with an address for this format, as far as its host and path show.
fn unlike(url: &Url, format: Format) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    let is_of = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    let teams = [
        "logic.azure.com",
        "api.powerplatform.com",
        "environment.api.powerplatform.com",
        "powerautomate.com",
    ];
    let is_teams = teams.iter().any(|domain| is_of(domain));
    if is_of("webhook.office.com") || is_of("outlook.office.com") {
        return Some(format!(
            "{host} belongs to Microsoft's connectors, which are retired; in Teams, create a workflow that posts to a channel \
             when a webhook request is received, and put its address there"
        ));
    }
    match format {
        Format::Slack if is_of("slack.com") && !url.path().starts_with("/services/") => Some(format!(
            "{host} takes messages at /services/…; put the address there that Slack shows for the incoming webhook"
        )),
        Format::Slack | Format::Json if is_teams => {
            Some(format!("{host} belongs to Teams; put \"teams\" into format, or another address there"))
        }
        Format::Teams | Format::Json if is_of("slack.com") => {
            Some(format!("{host} belongs to Slack; put \"slack\" into format, or another address there"))
        }
        Format::Slack | Format::Teams | Format::Json => None,
    }
}
