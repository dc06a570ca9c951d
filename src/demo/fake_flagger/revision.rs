//! A revision, and Flagger's checksum of it.

/// A version of the workload.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    /// The human-readable name. Flagger never sends it.
    pub name: String,
}

impl Revision {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Nine or ten characters, like Flagger's: the decimal digits of a 32-bit hash in Kubernetes' safe alphabet. The
    /// same name always has the same checksum.
    pub(super) fn checksum(revision: Option<&Self>) -> String {
        const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let name = revision.map_or("", |revision| &revision.name);
        let hash = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let digits = format!("{hash:09}");
        digits.bytes().map(|digit| char::from(SAFE[usize::from(digit) % SAFE.len()])).collect()
    }
}
