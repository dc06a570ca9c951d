//! Files that are read again when they change. While they cannot be used, their previous contents stay in use, and an
//! error is logged at once and every hour.

use std::{
    fmt::{self, Display},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

use crate::lock::lock;

/// How soon files that cannot be used are read again without a change: the cause may be outside them.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often the same error is logged.
const LOG_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// A value that is read from some files. While they cannot be used, it is the last one that could be read.
pub struct Reloaded<T, E> {
    files: Vec<PathBuf>,
    read: Read<T, E>,
    on_reload: Box<dyn Fn(&T) + Send + Sync>,
    held: Mutex<Loaded<T>>,
}

type Read<T, E> = Box<dyn Fn(&[PathBuf]) -> Result<T, E> + Send + Sync>;

struct Loaded<T> {
    value: T,
    /// The stamps of the files when they were last read, with or without success.
    stamps: Vec<Stamp>,
    /// Why the files cannot be used at the moment, if they cannot.
    failure: Option<LoadFailure>,
}

struct LoadFailure {
    /// When they were last read.
    tried_at: Instant,
    /// The error that was last logged, and when.
    logged_at: (String, Instant),
}

/// What differs if a file was changed or replaced, or a link points to another file: device, inode, size, and the times
/// at which content and inode changed. `None` if the file does not exist.
pub type Stamp = Option<[i128; 5]>;

impl<T: Clone, E: Display> Reloaded<T, E> {
    /// Reads the files. Without files, the value never changes. `on_reload` is called with each later value.
    ///
    /// # Errors
    /// If they cannot be used now.
    pub fn open(
        files: Vec<PathBuf>,
        read: impl Fn(&[PathBuf]) -> Result<T, E> + Send + Sync + 'static,
        on_reload: impl Fn(&T) + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let stamps = stamps(&files);
        let value = read(&files)?;
        let held = Mutex::new(Loaded { value, stamps, failure: None });
        Ok(Self { files, read: Box::new(read), on_reload: Box::new(on_reload), held })
    }

    /// The current value. Reads the files again if they have changed.
    pub fn current(&self) -> T {
        let mut held = self.held();
        // Taken before reading, so that a change during the read is noticed the next time.
        let now = stamps(&self.files);
        let same = held.stamps == now;
        if same && held.failure.as_ref().is_none_or(|trouble| trouble.tried_at.elapsed() < RETRY_AFTER) {
            return held.value.clone();
        }
        match (self.read)(&self.files) {
            Ok(value) => {
                (self.on_reload)(&value);
                tracing::info!("{} changed and is now in use", self.names());
                *held = Loaded { value, stamps: now, failure: None };
            }
            Err(error) => {
                let (error, tried) = (format!("{error:#}"), Instant::now());
                let logged = held.failure.take().map(|trouble| trouble.logged_at);
                let logged = logged.filter(|(words, at)| *words == error && at.elapsed() < LOG_AGAIN_AFTER);
                let logged = logged.unwrap_or_else(|| {
                    tracing::error!("{error}; what {} held before stays in use", self.names());
                    (error, tried)
                });
                held.stamps = now;
                held.failure = Some(LoadFailure { tried_at: tried, logged_at: logged });
            }
        }
        held.value.clone()
    }

    fn held(&self) -> MutexGuard<'_, Loaded<T>> {
        lock(&self.held)
    }
}

impl<T, E> Reloaded<T, E> {
    fn names(&self) -> String {
        let names: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        names.join(" with ")
    }
}

/// Shows the names of the files, not their contents.
impl<T, E> fmt::Debug for Reloaded<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reloaded").field(&self.files).finish()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp(file)).collect()
}

/// The stamp of a file.
#[must_use]
pub fn stamp(file: &Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some([
        i128::from(meta.dev()),
        i128::from(meta.ino()),
        i128::from(meta.size()),
        nanos(meta.mtime(), meta.mtime_nsec()),
        nanos(meta.ctime(), meta.ctime_nsec()),
    ])
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    use super::*;

    /// A file that is read as text, and how often it was read.
    fn text(file: &Path) -> (Reloaded<String, io::Error>, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reads);
        let read = move |files: &[PathBuf]| {
            count.fetch_add(1, SeqCst);
            let text = std::fs::read_to_string(&files[0])?;
            if text.is_empty() { Err(io::Error::other("it is empty")) } else { Ok(text) }
        };
        (Reloaded::open(vec![file.to_owned()], read, |_| {}).unwrap(), reads)
    }

    #[test]
    fn a_file_is_read_when_it_changed_and_only_then() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "old").unwrap();
        let (watched, reads) = text(&file);
        for _ in 0..5 {
            assert_eq!(watched.current(), "old");
        }
        assert_eq!(reads.load(SeqCst), 1);
        std::fs::write(&file, "newer").unwrap();
        assert_eq!(watched.current(), "newer");
        assert_eq!(watched.current(), "newer");
        assert_eq!(reads.load(SeqCst), 2);
    }

    /// The new file has the same size and modification time, as after `cp -p` and `mv`, or in an image in which all
    /// files have the same time.
    #[test]
    fn a_replaced_file_of_the_same_size_and_time_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let [file, other] = ["file", "other"].map(|name| directory.path().join(name));
        std::fs::write(&file, "old").unwrap();
        std::fs::write(&other, "new").unwrap();
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        let (watched, _) = text(&file);
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(watched.current(), "new");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_used_is_retried() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "old").unwrap();
        let (watched, reads) = text(&file);
        std::fs::write(&file, "").unwrap();
        for (after, expected) in [(0, 2), (0, 2), (999, 2), (1, 3), (0, 3), (1_000, 4)] {
            tokio::time::advance(Duration::from_millis(after)).await;
            assert_eq!(watched.current(), "old");
            assert_eq!(reads.load(SeqCst), expected, "after {after} ms");
        }
        // A change is seen at once.
        std::fs::remove_file(&file).unwrap();
        assert_eq!(watched.current(), "old");
        std::fs::write(&file, "new").unwrap();
        assert_eq!(watched.current(), "new");
        assert!(
            Reloaded::open(
                vec![directory.path().join("none")],
                |files| std::fs::read_to_string(&files[0]),
                |_| {}
            )
            .is_err()
        );
    }
}
