//! PURE: the containers of a pod template, and their images.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    json::is_default,
    pairs::{Pair, pairs},
};
use crate::text::one_line;

/// The longest image that is kept, in characters. A repository has at most 255, a tag 128, a digest 71.
const LONGEST_IMAGE: usize = 512;
/// How many hex digits of an image's digest are shown.
const SHOWN_DIGITS: usize = 12;

/// The image of a container, as the template names it. Displayed with its tag, and its digest cut to twelve hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Image(String);

impl Image {
    fn of(container: &Value) -> Self {
        let image = container["image"].as_str().map(|image| one_line(image, LONGEST_IMAGE));
        Self(image.filter(|image| !image.is_empty()).unwrap_or_else(|| "(no image)".into()))
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The repository, the tag and the digest.
    fn parts(&self) -> (&str, Option<&str>, Option<&str>) {
        let (named, digest) =
            self.0.split_once('@').map_or((&*self.0, None), |(named, it)| (named, Some(it)));
        // A colon before the last slash belongs to a port.
        match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag), digest),
            Some(_) | None => (named, None, digest),
        }
    }

    /// The tag and the shortened digest, without the repository.
    #[must_use]
    pub fn version(&self) -> String {
        match self.parts() {
            (_, Some(tag), Some(digest)) => format!("{tag}@{}", shortened(digest)),
            (_, Some(tag), None) => tag.to_owned(),
            (_, None, Some(digest)) => shortened(digest),
            (_, None, None) => "(no tag)".to_owned(),
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('@') {
            Some((named, digest)) => write!(f, "{named}@{}", shortened(digest)),
            None => f.write_str(&self.0),
        }
    }
}

/// `sha256:0123456789ab`
fn shortened(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, digits)) => {
            format!("{algorithm}:{}", digits.chars().take(SHOWN_DIGITS).collect::<String>())
        }
        None => digest.to_owned(),
    }
}

/// A container, with its image before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerChange {
    /// Its name.
    pub name: String,
    /// Whether it is an init container, which runs before the others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_init: bool,
    /// What runs now. `None`: this container does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_now: Option<Image>,
    /// What would run. `None`: this container would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_run: Option<Image>,
}

impl ContainerChange {
    /// Whether another image would run.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.runs_now != self.would_run
    }

    /// What runs now and what would run, without the container's name: `6.4.0 → 6.5.0`. `None` if either does not run.
    #[must_use]
    pub fn versions(&self) -> Option<String> {
        let (now, then) = (self.runs_now.as_ref()?, self.would_run.as_ref()?);
        Some(match (now.parts(), then.parts()) {
            ((_, Some(old), _), (_, Some(new), _)) if old != new => format!("{old} → {new}"),
            ((old, ..), (new, ..)) if old != new => format!("{now} → {then}"),
            _ if now == then => now.version(),
            _ => format!("{} → {}", now.version(), then.version()),
        })
    }

    /// Its name, and whether it is an init container.
    #[must_use]
    pub fn title(&self) -> String {
        if self.is_init { format!("{} (init)", self.name) } else { self.name.clone() }
    }
}

/// `cart 6.4.0 → 6.5.0`
impl fmt::Display for ContainerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.title();
        match (&self.runs_now, &self.would_run) {
            (Some(now), Some(then)) if now == then => write!(f, "{title} {}", now.version()),
            (Some(now), Some(then)) => match (now.parts(), then.parts()) {
                ((old, ..), (new, ..)) if old != new => write!(f, "{title} {now} → {then}"),
                ((_, Some(old), _), (_, Some(new), _)) if old != new => write!(f, "{title} {old} → {new}"),
                _ => write!(f, "{title} {} → {}", now.version(), then.version()),
            },
            (None, Some(then)) => write!(f, "{title} {} (new)", then.version()),
            (Some(now), None) => write!(f, "{title} {} (removed)", now.version()),
            (None, None) => f.write_str(&title),
        }
    }
}

/// The containers of two templates: those whose image changes, then the others. `now` is `None` if nothing runs yet.
pub(super) fn containers(now: Option<&Value>, then: &Value) -> Vec<ContainerChange> {
    let mut all = Vec::new();
    for (list, is_init) in [("containers", false), ("initContainers", true)] {
        let old = now.map_or(&Value::Null, |now| &now["spec"][list]);
        for Pair { name, now, then } in pairs(old, &then["spec"][list]).into_iter().flat_map(|it| it.pairs) {
            let (runs_now, would_run) = (now.map(Image::of), then.map(Image::of));
            all.push(ContainerChange { name, is_init, runs_now, would_run });
        }
    }
    all.sort_by_key(|container| !container.is_changed());
    all
}
