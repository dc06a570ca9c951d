//! `[[notify]]`: the channels that are told about gates.

use super::{policy, read::Section};
use crate::{
    notify::{Channel, ChannelId, Format, address},
    secret::Secret,
};

/// Reads the channels. A wrong one is reported, and left out.
pub(super) fn channels(root: &Section<'_>) -> Vec<Channel> {
    let mut channels: Vec<Channel> = Vec::new();
    for s in root.sections("notify") {
        let gates = match s.value("match") {
            Some(_) => s.section("match").and_then(|s| policy::gates(&s)),
            None => policy::every_gate(),
        };
        let format = format(&s);
        let url = url(&s);
        s.report_unknown_keys();
        let (Some(gates), Some(format), Some(url)) = (gates, format, url) else { continue };
        let alike = |other: &&Channel| other.gates.globs() == gates.globs() && other.format == format;
        let id = ChannelId::new(&gates, format, channels.iter().filter(alike).count());
        channels.push(Channel { id, key: s.at().to_owned(), gates, url, format });
    }
    channels
}

fn format(s: &Section<'_>) -> Option<Format> {
    let word = s.string("format")?;
    let known = Format::ALL.into_iter().find(|format| format.as_str() == word);
    if known.is_none() {
        s.problem("format", format!("must be \"slack\", \"teams\" or \"json\", not {word:?}"));
    }
    known
}

/// The address, which is a secret. Problems do not quote it.
fn url(s: &Section<'_>) -> Option<Secret> {
    let key = if s.value("url_file").is_some() { "url_file" } else { "url" };
    if s.value("url").or(s.value("url_file")).is_none() {
        s.problem("url", format!("is missing; give it, or {}", s.key("url_file")));
        return None;
    }
    let url = s.secret("url")?;
    if let Err(what) = address(&url.newest()) {
        s.problem(key, what);
        return None;
    }
    Some(url)
}
