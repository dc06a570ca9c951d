//! A version that a team releases, and what its pipeline writes about it into the Canary.

use std::collections::BTreeMap;

use super::{
    fake_flagger::FakeFlagger,
    people::{ADA_EMAIL, BOB_EMAIL},
};

/// A version of a workload.
#[derive(Clone, Debug)]
pub(super) struct Release {
    /// The version, which is the tag of the image, too.
    pub version: String,
    /// The e-mail of its author.
    pub author: &'static str,
    pull_request: u32,
}

impl Release {
    /// The first version, which runs before the demo begins.
    pub(super) const FIRST: &'static str = "2.13.0";

    /// The nth version after the first. Bob and Ada take turns.
    pub(super) fn nth(nth: u32) -> Self {
        let author = if nth % 2 == 1 { BOB_EMAIL } else { ADA_EMAIL };
        Self { version: format!("2.{}.0", 13 + nth), author, pull_request: 200 + 7 * nth }
    }

    /// A version by Bob.
    pub(super) fn of_bob(version: &str) -> Self {
        Self { version: version.to_owned(), author: BOB_EMAIL, pull_request: 42 }
    }

    /// Pushes it, as a pipeline does: a new image, and new metadata of the confirm hooks.
    pub(super) fn push_to(&self, flagger: &mut FakeFlagger) {
        let (namespace, name) = flagger.place();
        let metadata = [
            ("revision", self.version.clone()),
            ("author", self.author.to_owned()),
            (
                "pull_request",
                format!("https://git.example.com/{namespace}/{name}/pulls/{}", self.pull_request),
            ),
            ("dashboard", format!("https://grafana.example.com/d/{name}?var-version={}", self.version)),
        ];
        let metadata: BTreeMap<_, _> = metadata.map(|(key, value)| (key.to_owned(), value)).into();
        flagger.push(&self.version);
        flagger.set_metadata(metadata);
    }
}
