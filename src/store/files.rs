//! The files of SQLite are for the bridge's user alone: who decided what, and for which rollout, is nobody else's business.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// What the owner may do, and nobody else.
const PRIVATE: u32 = 0o600;

/// The files beside a database.
pub(super) fn beside(path: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Makes the database, where `create` says so, and takes from others what they may do with it. SQLite gives the files
/// beside it the permissions that it has itself.
///
/// # Errors
/// If it cannot be created or opened.
pub(super) fn keep_private(path: &Path, create: bool) -> io::Result<()> {
    // Whatever else may be set, others would come in between making it and asking.
    let opened =
        OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(PRIVATE).open(path);
    match opened {
        Ok(file) => tighten(path, &file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !create => return Ok(()),
        Err(error) => return Err(error),
    }
    for file in beside(path) {
        if let Ok(opened) = File::open(&file) {
            tighten(&file, &opened);
        }
    }
    Ok(())
}

fn tighten(path: &Path, file: &File) {
    let Ok(found) = file.metadata() else { return };
    let mode = found.permissions().mode() & 0o777;
    if !found.is_file() || mode == PRIVATE {
        return;
    }
    match file.set_permissions(Permissions::from_mode(PRIVATE)) {
        Ok(()) if mode & 0o077 != 0 && found.len() > 0 => {
            tracing::info!(file = %path.display(), "others could read the database (mode {mode:o}); now its owner alone can");
        }
        Ok(()) => {}
        Err(error) if mode & 0o077 != 0 => {
            tracing::warn!(file = %path.display(), "others can read the database (mode {mode:o}), and that cannot be changed: {error}");
        }
        Err(_) => {}
    }
}
