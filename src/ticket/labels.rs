//! PURE: the labels by which a search finds the tickets of a canary.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::rollout::CanaryId;

/// The longest label that Jira takes, in characters.
const LONGEST: usize = 255;

/// The labels of a ticket about this canary. Different names have different labels: what is not a letter, a digit, `.`, `-` or `_`
/// is escaped as in a URL, and a name that is too long ends in a digest.
#[must_use]
pub fn labels(CanaryId { cluster, namespace, name }: &CanaryId) -> [String; 3] {
    [("canary", name), ("namespace", namespace), ("cluster", cluster)].map(|(what, name)| label(what, name))
}

fn label(what: &str, name: &str) -> String {
    let mut label = format!("flagger-{what}-");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
            label.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(label, "%{byte:02X}");
        }
    }
    if label.len() > LONGEST {
        let digest = hex::encode(&Sha256::digest(name)[..16]);
        label.truncate(LONGEST - digest.len() - 1);
        // No escaped name has this sign.
        label.push('~');
        label.push_str(&digest);
    }
    label
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_labels() {
        let canary =
            CanaryId { cluster: "prod_eu 1".into(), namespace: "shop".into(), name: "checkout.v2".into() };
        let expected =
            ["flagger-canary-checkout.v2", "flagger-namespace-shop", "flagger-cluster-prod_eu%201"];
        assert_eq!(labels(&canary), expected);
        assert_eq!(label("cluster", "é%"), "flagger-cluster-%C3%A9%25");
        let long = label("cluster", &"x".repeat(300));
        assert_eq!(long.len(), 255);
        assert_ne!(long, label("cluster", &"x".repeat(301)));
    }

    proptest! {
        #[test]
        fn jira_takes_each_and_no_two_are_the_same(one in "\\PC{0,300}", other in "\\PC{0,300}") {
            let labels = [label("canary", &one), label("canary", &other)];
            for label in &labels {
                prop_assert!(label.chars().count() <= LONGEST && !label.contains(char::is_whitespace), "{label}");
            }
            prop_assert_eq!(labels[0] == labels[1], one == other);
        }
    }
}
