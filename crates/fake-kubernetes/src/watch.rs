//! Watches: what a caller asks for, and what it is sent next.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    answer::Answer,
    call::Call,
    field_errors::FieldErrors,
    kind::Kind,
    list::refuse_selectors,
    state::{Ending, State},
    store::{Change, Since, What},
};

/// How long a watch lasts that does not say it; the real server takes 30 to 60 minutes.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How often a bookmark says how far the watch is, though nothing changed.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// A watch of one kind, in one namespace or in all.
pub(super) struct Watch {
    kind: Kind,
    namespace: Option<String>,
    /// The version up to which all changes were sent.
    position: u64,
    /// What is sent first: the objects that exist, if the caller knows no version.
    initial: String,
    ends: Instant,
    /// When the next bookmark is due, if the caller takes them.
    bookmark: Option<Instant>,
    /// How often watches had been ended when this one began.
    endings: u64,
}

/// What a watch does next.
pub(super) enum Next {
    /// Sends this text, if any, and waits: for a change, at most until then.
    Wait(String, Instant),
    /// Sends nothing and waits for a change.
    Hang,
    /// Sends this text, if any, and ends its answer.
    End(String),
    /// Breaks its connection.
    Cut,
}

impl Watch {
    /// # Errors
    /// The answer to a request that is not served.
    pub(super) fn open(
        state: &State,
        call: &Call,
        kind: Kind,
        namespace: Option<&str>,
        now: Instant,
    ) -> Result<Self, Answer> {
        refuse_selectors(call)?;
        if call.flag("sendInitialEvents") {
            let mut errors = FieldErrors::default();
            let detail =
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            errors.forbidden("sendInitialEvents", detail);
            errors.into_result("meta.k8s.io", "ListOptions", "")?;
        }
        let known = call.number("resourceVersion")?.filter(|version| *version > 0);
        let initial = match known {
            Some(_) => String::new(),
            None => state.store.list(kind, namespace).iter().map(|object| line("ADDED", object)).collect(),
        };
        let seconds = call.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        Ok(Self {
            kind,
            namespace: namespace.map(str::to_owned),
            position: known.unwrap_or_else(|| state.store.version()),
            initial,
            ends: now + seconds.map_or(TIMEOUT, Duration::from_secs),
            bookmark: call.flag("allowWatchBookmarks").then(|| now + BOOKMARKS),
            endings: state.endings.0,
        })
    }

    pub(super) fn next(&mut self, state: &State, now: Instant) -> Next {
        match state.endings {
            (endings, _) if endings == self.endings => {}
            (_, Ending::Closed) => return Next::End(String::new()),
            (_, Ending::Cut) => return Next::Cut,
        }
        if state.hanging {
            return Next::Hang;
        }
        let mut text = std::mem::take(&mut self.initial);
        match state.store.since(self.position, self.kind, self.namespace.as_deref()) {
            Since::Changes(changes, position) => {
                text.extend(changes.into_iter().map(change_line));
                self.position = position;
            }
            Since::TooOld(oldest) => {
                let message = format!("too old resource version: {} ({oldest})", self.position);
                text.push_str(&line("ERROR", &Answer::expired(&message).body));
                return Next::End(text);
            }
        }
        let ends = now >= self.ends;
        if let Some(due) = self.bookmark.as_mut().filter(|due| ends || now >= **due) {
            *due = now + BOOKMARKS;
            text.push_str(&self.bookmark_line());
        }
        if ends {
            Next::End(text)
        } else {
            Next::Wait(text, self.bookmark.unwrap_or(self.ends).min(self.ends))
        }
    }

    fn bookmark_line(&self) -> String {
        let object = json!({
            "kind": self.kind.name(), "apiVersion": self.kind.api_version(),
            "metadata": { "resourceVersion": self.position.to_string() },
        });
        line("BOOKMARK", &object)
    }
}

fn change_line(change: &Change) -> String {
    let kind = match change.what {
        What::Added => "ADDED",
        What::Modified => "MODIFIED",
        What::Deleted => "DELETED",
    };
    line(kind, &change.object)
}

fn line(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}
