//! The state of the server.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use tokio::sync::watch;

use super::{recorded::Recorded, rights::Rights, store::Store};

/// How open watches were ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// Each answer is complete, as when a server shuts down in order.
    Closed,
    /// Each connection breaks in the middle of its answer.
    Cut,
}

/// The rest of a list, after the pages before.
#[derive(Clone)]
pub(super) struct Page {
    /// The version of the whole list.
    pub(super) version: u64,
    pub(super) rest: Vec<Arc<Value>>,
}

pub(super) struct State {
    /// Empty before the start.
    pub(super) url: String,
    pub(super) token: String,
    pub(super) rights: Rights,
    pub(super) store: Store,
    /// The pages that can be fetched, by their `continue`.
    pub(super) pages: HashMap<String, Page>,
    /// Each with its number, which no other request ever has.
    pub(super) requests: Vec<(u64, Recorded)>,
    pub(super) last_request: u64,
    pub(super) complaints: Vec<String>,
    pub(super) unavailable: bool,
    pub(super) hanging: bool,
    /// How often all open watches were ended, and how the last time.
    pub(super) endings: (u64, Ending),
    /// Wakes the watches and the requests that wait, to look at the state again.
    pub(super) changed: watch::Sender<()>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            url: String::new(),
            token: "kubernetes-token".into(),
            rights: Rights::of_the_bridge(),
            store: Store::default(),
            pages: HashMap::new(),
            requests: Vec::new(),
            last_request: 0,
            complaints: Vec::new(),
            unavailable: false,
            hanging: false,
            endings: (0, Ending::Closed),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn end_watches(&mut self, how: Ending) {
        self.endings = (self.endings.0 + 1, how);
    }
}
