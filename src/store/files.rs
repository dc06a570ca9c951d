//! Keeps the SQLite files private to the bridge's user: they hold who decided what, and for which rollout.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Read and write for the owner, nothing for other users.
const PRIVATE: u32 = 0o600;

/// The files that SQLite creates beside a database.
pub(super) fn side_files(path: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Creates the database if `create` is set, and removes the permissions of other users. SQLite gives the files beside
/// it the permissions of the database.
///
/// # Errors
/// If it cannot be created or opened.
pub(super) fn keep_private(path: &Path, create: bool) -> io::Result<()> {
    // Created with its final mode: otherwise other users could open it before its mode is changed.
    let opened =
        OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(PRIVATE).open(path);
    match opened {
        Ok(file) => restrict(path, &file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !create => return Ok(()),
        Err(error) => return Err(error),
    }
    for file in side_files(path) {
        if let Ok(opened) = File::open(&file) {
            restrict(&file, &opened);
        }
    }
    Ok(())
}

fn restrict(path: &Path, file: &File) {
    let Ok(found) = file.metadata() else { return };
    let mode = found.permissions().mode() & 0o777;
    if !found.is_file() || mode == PRIVATE {
        return;
    }
    match file.set_permissions(Permissions::from_mode(PRIVATE)) {
        Ok(()) if mode & 0o077 != 0 && found.len() > 0 => {
            tracing::info!(file = %path.display(), "others could read the database (mode {mode:o}); now only its owner can");
        }
        Ok(()) => {}
        Err(error) if mode & 0o077 != 0 => {
            tracing::warn!(file = %path.display(), "others can read the database (mode {mode:o}), and that cannot be changed: {error}");
        }
        Err(_) => {}
    }
}
