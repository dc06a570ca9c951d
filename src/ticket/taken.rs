//! PURE: the comments on a ticket that existed before its gate.

use super::{
    doc::{Block, Doc},
    sections::paragraph,
    versions,
};
use crate::rollout::Subject;

/// How the comment begins that makes an existing ticket that of a gate. `from` is the name under which the question sent its
/// key.
pub(super) fn opening(subject: &Subject, from: &str) -> [Block; 2] {
    let canary = &subject.canary;
    let about = format!("{}/{} on cluster {}", canary.namespace, canary.name, canary.cluster);
    let asks = match versions::versions(subject).as_str() {
        "" => format!("{} {}, of {about}", versions::action(subject), canary.name),
        versions => format!("{} {} {versions}, of {about}", versions::action(subject), canary.name),
    };
    [
        paragraph(&format!(
            "This ticket now also decides about a rollout: {asks}. Flagger, which rolls out new versions in Kubernetes, waits for \
             it, because the rollout's hook names it ({from})."
        )),
        paragraph(
            "From now on, an approval of this ticket lets that rollout go on. An approval from before this comment does not count. If \
             this ticket is not meant for that rollout, do not approve it: tell the team to correct the key that the hook sends, or \
             put the label flagger-ended on this ticket, and it opens nothing any more.",
        ),
    ]
}

/// The comment on a ticket that was marked, and is not the ticket of the gate after all.
#[must_use]
pub fn given_back() -> Doc {
    Doc(vec![paragraph(
        "No rollout waits for this ticket any more: the rollout is over, or its hook names another ticket now. An approval of this \
         ticket opens nothing.",
    )])
}
