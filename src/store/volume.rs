//! The kind of volume that a SQLite file is on.

use std::path::Path;

/// Which volumes SQLite may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedVolumes {
    /// Local ones. On network volumes file locks may not exclude other machines, and shared memory is not shared.
    Local,
    /// Any: the operator takes the risk.
    Any,
}

impl AllowedVolumes {
    /// By the setting `store.allow_network_volume`.
    #[must_use]
    pub const fn allowing(network: bool) -> Self {
        if network { Self::Any } else { Self::Local }
    }
}

/// The numbers in `statfs` of Linux's file systems that are on a network or may be. FUSE may be anything: a bucket,
/// another machine, a folder of the host.
const NETWORK: [(u32, &str); 21] = [
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "SMB (CIFS)"),
    (0xFE53_4D42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00C3_6400, "CephFS"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564C, "NCP"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0xAAD7_AAEA, "PanFS"),
    (0x2003_0528, "OrangeFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x786F_4256, "vboxsf"),
    (0xBACB_ACBC, "vmhgfs"),
    (0x7C7C_6673, "prl_fs"),
];

/// The network file system with this number. Its type differs between platforms, so it may be sign-extended.
fn network_file_system(kind: i128) -> Option<&'static str> {
    let kind = u32::try_from(kind & 0xFFFF_FFFF).ok()?;
    NETWORK.iter().find_map(|(known, name)| (*known == kind).then_some(*name))
}

/// Why SQLite may not use this directory.
pub(super) fn obstacle(directory: &Path, volumes: AllowedVolumes) -> Option<String> {
    match volumes {
        AllowedVolumes::Any => None,
        AllowedVolumes::Local => {
            // If statfs fails, SQLite's own error follows soon.
            let found = rustix::fs::statfs(directory).ok()?;
            network_file_system(found.f_type.into()).map(message)
        }
    }
}

fn message(name: &str) -> String {
    format!(
        "it is on a network volume ({name}), where SQLite can lose what it stored; put it on a volume of this machine or \
         on block storage, use PostgreSQL, or set store.allow_network_volume = true"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_volumes_are_known_by_their_number() {
        for (kind, name) in [
            (0x6969, Some("NFS")),
            (0xFF53_4D42, Some("SMB (CIFS)")),
            // The same on a 32-bit machine.
            (i128::from(0xFF53_4D42_u32.cast_signed()), Some("SMB (CIFS)")),
            (0xFE53_4D42, Some("SMB")),
            (0x517B, Some("SMB")),
            (0x6573_5546, Some("FUSE")),
            (0x0102_1997, Some("9p")),
            (0x00C3_6400, Some("CephFS")),
            // ext4, XFS, Btrfs, ZFS, tmpfs, overlayfs, F2FS, and unknown numbers
            (0xEF53, None),
            (0x5846_5342, None),
            (0x9123_683E, None),
            (0x2FC1_2FC1, None),
            (0x0102_1994, None),
            (0x794C_7630, None),
            (0xF2F5_2010, None),
            (0, None),
            (-1, None),
        ] {
            assert_eq!(network_file_system(kind), name, "{kind:#x}");
        }
        let mut numbers: Vec<u32> = NETWORK.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), NETWORK.len());
    }

    #[test]
    fn a_directory_without_statfs_is_no_obstacle() {
        assert_eq!(obstacle(Path::new("/nowhere/at/all"), AllowedVolumes::Local), None);
        assert_eq!(obstacle(Path::new("/proc"), AllowedVolumes::Local), None);
    }
}
