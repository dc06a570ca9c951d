//! PURE: a change in words.

use super::{change::Change, containers::ContainerChange};

/// How many containers a summary names.
const MOST_IN_SUMMARY: usize = 2;

impl Change {
    /// Whether a promotion would change nothing that the bridge can see.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.as_ref() == Some(&self.digest) && self.differences.is_empty()
    }

    /// The change on one line: `cart 6.4.0 → 6.5.0, proxy 1.2 → 1.3 and 1 more`.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "no change".to_owned();
        }
        let changed: Vec<&ContainerChange> = self.containers.iter().filter(|it| it.is_changed()).collect();
        if changed.is_empty() {
            return self.summary_without_images();
        }
        let named: Vec<String> = changed.iter().take(MOST_IN_SUMMARY).map(ToString::to_string).collect();
        let named = named.join(", ");
        match changed.len().saturating_sub(MOST_IN_SUMMARY) {
            0 => named,
            // Those that were cut may have changed as well.
            more if changed.len() == self.containers.len() && self.containers_cut > 0 => {
                format!("{named} and at least {more} more")
            }
            more => format!("{named} and {more} more"),
        }
    }

    /// The images that run now, on one line. Empty if nothing runs yet.
    #[must_use]
    pub fn running_images(&self) -> String {
        let images = self.containers.iter().filter_map(|container| container.runs_now.as_ref());
        images.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The change on one line if the images stay the same.
    fn summary_without_images(&self) -> String {
        match (self.differences.as_slice(), self.differences.len() + self.differences_cut) {
            (_, 0) => "no new image".to_owned(),
            ([only], 1) => format!("no new image; {only}"),
            (_, several) => format!("no new image, {several} other changes"),
        }
    }

    /// What else differs, a sentence each without a full stop. Empty if nothing does.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.differences.iter().map(ToString::to_string).collect();
        match self.differences_cut {
            0 => {}
            1 => sentences.push("1 more difference".to_owned()),
            more => sentences.push(format!("{more} more differences")),
        }
        sentences
    }
}
