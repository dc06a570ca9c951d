//! PURE: a rollout's versions in a few words, for summaries and sentences.

use crate::{
    gate::Stage,
    rollout::Subject,
    text::one_line,
    workload::{Change, ContainerChange, Image, Shown},
};

/// The longest label, revision or image in them, in characters.
const LONGEST: usize = 80;

/// What Flagger does after an approval, so that the canary's name and the versions can follow.
pub(super) fn action(subject: &Subject) -> String {
    if let (Some(number), Some(share)) = (subject.gate.step, subject.share) {
        return match share.after {
            Some(after) => format!("Send {after} % of the traffic to"),
            None => format!("Send traffic (step {number}) to"),
        };
    }
    let action = match subject.gate.stage {
        Stage::ConfirmRollout if is_new_version_known(subject) => "Start",
        Stage::ConfirmRollout => "Start the rollout of",
        Stage::ConfirmTrafficIncrease => "Send traffic to",
        Stage::ConfirmPromotion => "Promote",
        Stage::Gate => "Continue the rollout of",
    };
    action.to_owned()
}

fn is_new_version_known(subject: &Subject) -> bool {
    new_images(subject).is_some() || subject.label.is_some() || subject.revision.is_some()
}

/// The versions, as they follow a canary's name: from the images where they are known, else the team's label, else Flagger's
/// revision, else the revision that is replaced. A revision is a checksum, and says so: else it looks like a build number. Empty if
/// none of these is known.
pub(super) fn versions(subject: &Subject) -> String {
    if let Some(images) = new_images(subject) {
        return images;
    }
    if let Some(label) = &subject.label {
        return one_line(label, LONGEST);
    }
    if change(subject).is_some_and(only_settings) {
        return "with changed settings".to_owned();
    }
    match (&subject.revision, &subject.base) {
        (Some(revision), _) => format!("revision {}", one_line(revision, LONGEST)),
        (None, Some(base)) => format!("after revision {}", one_line(base, LONGEST)),
        (None, None) => String::new(),
    }
}

/// What would run, for a sentence.
pub(super) fn new_version(subject: &Subject) -> String {
    let image = main_container(subject).and_then(|container| container.would_run.as_ref());
    let label = || subject.label.as_deref().map(|label| one_line(label, LONGEST));
    image.and_then(tag).or_else(label).unwrap_or_else(|| "the new version".to_owned())
}

/// What runs now, for a sentence.
pub(super) fn old_version(subject: &Subject) -> String {
    let image = main_container(subject).and_then(|container| container.runs_now.as_ref());
    image.and_then(tag).unwrap_or_else(|| "the old version".to_owned())
}

/// The version of an image, if it has one.
fn tag(image: &Image) -> Option<String> {
    let version = one_line(&image.version(), LONGEST);
    (!version.starts_with('(')).then_some(version)
}

fn change(subject: &Subject) -> Option<&Change> {
    subject.change.as_ref().and_then(Shown::change)
}

/// Whether a setting of the pods changes, but no image.
fn only_settings(change: &Change) -> bool {
    !change.is_empty() && change.running.is_some() && changed(change).is_empty()
}

fn changed(change: &Change) -> Vec<&ContainerChange> {
    change.containers.iter().filter(|container| container.is_changed()).collect()
}

/// The container whose new image stands for the version: the one with the name of the target or the canary, else the only one with
/// a new image.
fn main_container(subject: &Subject) -> Option<&ContainerChange> {
    let change = change(subject)?;
    let is_named = |it: &&ContainerChange| {
        !it.is_init && (it.name == change.target.name || it.name == subject.canary.name)
    };
    match (change.containers.iter().find(is_named), changed(change).as_slice()) {
        (Some(named), _) => named.is_changed().then_some(named),
        (None, [only]) if change.containers_cut == 0 => Some(only),
        (None, _) => None,
    }
}

/// The images in a few words, if some would run that do not run now.
fn new_images(subject: &Subject) -> Option<String> {
    let changed = changed(change(subject)?);
    let new: Vec<_> = changed.iter().filter(|container| container.would_run.is_some()).collect();
    let (named, others) = match (main_container(subject), new.as_slice()) {
        (_, []) => return None,
        (Some(main), _) => (new_image(main)?, changed.len() - 1),
        // A container beside the main one.
        (None, [only]) => (only.to_string(), changed.len() - 1),
        (None, several) => return Some(format!("with {} new images", several.len())),
    };
    let named = one_line(&named, 2 * LONGEST);
    Some(match others {
        0 => named,
        1 => format!("{named} and 1 more image"),
        more => format!("{named} and {more} more images"),
    })
}

/// The versions of a container without its name.
fn new_image(container: &ContainerChange) -> Option<String> {
    container.versions().or_else(|| container.would_run.as_ref().map(Image::version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gate::GateName,
        rollout::{CanaryId, Message, Phase},
        workload::change as change_of,
    };

    fn pods(images: &[(&str, &str)]) -> serde_json::Value {
        let containers: Vec<_> =
            images.iter().map(|(name, image)| serde_json::json!({ "name": name, "image": image })).collect();
        serde_json::json!({ "spec": { "template": { "spec": { "containers": containers } } } })
    }

    /// The beginning of a summary: what is done, to which canary, in which versions.
    fn summary(stage: Stage, images: Option<[&[(&str, &str)]; 2]>, label: &str, known: [&str; 2]) -> String {
        let canary =
            CanaryId { cluster: "prod-eu".into(), namespace: "shop".into(), name: "checkout".into() };
        let message = Message { phase: Phase::Waiting, checksum: None, label: None };
        let gate = GateName { stage, approver: None, step: None };
        let mut subject = Subject::new(canary, gate, &message, std::collections::BTreeMap::new());
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        subject.label = given(label);
        (subject.base, subject.revision) = (given(known[0]), given(known[1]));
        subject.change = images.map(|[now, then]| Shown::Change {
            change: change_of(
                &serde_json::json!({ "spec": { "targetRef": { "kind": "Deployment", "name": "checkout" } } }),
                &pods(then),
                (!now.is_empty()).then(|| pods(now)).as_ref(),
                &|_| false,
            ),
            as_of: None,
        });
        let line = format!("{} checkout {}", action(&subject), versions(&subject));
        format!("{line} · {} instead of {}", new_version(&subject), old_version(&subject))
    }

    #[test]
    fn the_best_known_name_of_a_version_is_used() {
        let (old, new) = (("app", "r/checkout:2.13.2"), ("app", "r/checkout:2.15.0"));
        let digest = ("app", "r/checkout@sha256:0123456789abcdef0123456789abcdef");
        let (proxy, new_proxy) = (("proxy", "r/proxy:1"), ("proxy", "r/proxy:2"));
        let (own, new_own) = (("checkout", "r/checkout:3"), ("checkout", "r/checkout:4"));
        let (start, traffic, promotion) =
            (Stage::ConfirmRollout, Stage::ConfirmTrafficIncrease, Stage::ConfirmPromotion);
        let lines = [
            summary(promotion, Some([&[old], &[new]]), "v9", ["", "7f8d6c5b94"]),
            summary(start, Some([&[old], &[new]]), "", ["55c6c5474c", ""]),
            summary(start, Some([&[], &[new]]), "", ["", ""]),
            summary(promotion, Some([&[old], &[digest]]), "", ["", ""]),
            summary(promotion, Some([&[old], &[("app", "mirror/checkout:2.13.2")]]), "", ["", ""]),
            summary(promotion, Some([&[old, proxy], &[new, proxy]]), "", ["", ""]),
            summary(promotion, Some([&[old, proxy], &[new, new_proxy]]), "", ["", ""]),
            summary(promotion, Some([&[own, proxy], &[new_own, new_proxy]]), "", ["", ""]),
            summary(promotion, Some([&[own, proxy], &[own, new_proxy]]), "", ["", ""]),
            summary(promotion, Some([&[("app", "r/checkout")], &[new]]), "", ["", ""]),
            summary(promotion, Some([&[old], &[old]]), "", ["", "7f8d6c5b94"]),
            summary(promotion, Some([&[old], &[old]]), "v9", ["", "7f8d6c5b94"]),
            summary(promotion, Some([&[old, proxy], &[old]]), "", ["", "7f8d6c5b94"]),
            summary(traffic, None, "v9", ["", "7f8d6c5b94"]),
            summary(start, None, "v9", ["55c6c5474c", ""]),
            summary(Stage::Gate, None, "", ["", "7f8d6c5b94"]),
            summary(start, None, "", ["55c6c5474c", ""]),
            summary(start, None, "", ["", ""]),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        Promote checkout 2.13.2 → 2.15.0 · 2.15.0 instead of 2.13.2
        Start checkout 2.13.2 → 2.15.0 · 2.15.0 instead of 2.13.2
        Start checkout 2.15.0 · 2.15.0 instead of the old version
        Promote checkout 2.13.2 → sha256:0123456789ab · sha256:0123456789ab instead of 2.13.2
        Promote checkout r/checkout:2.13.2 → mirror/checkout:2.13.2 · 2.13.2 instead of 2.13.2
        Promote checkout 2.13.2 → 2.15.0 · 2.15.0 instead of 2.13.2
        Promote checkout with 2 new images · the new version instead of the old version
        Promote checkout 3 → 4 and 1 more image · 4 instead of 3
        Promote checkout proxy 1 → 2 · the new version instead of the old version
        Promote checkout (no tag) → 2.15.0 · 2.15.0 instead of the old version
        Promote checkout revision 7f8d6c5b94 · the new version instead of the old version
        Promote checkout v9 · v9 instead of the old version
        Promote checkout revision 7f8d6c5b94 · the new version instead of 1
        Send traffic to checkout v9 · v9 instead of the old version
        Start checkout v9 · v9 instead of the old version
        Continue the rollout of checkout revision 7f8d6c5b94 · the new version instead of the old version
        Start the rollout of checkout after revision 55c6c5474c · the new version instead of the old version
        Start the rollout of checkout  · the new version instead of the old version
        ");
    }
}
