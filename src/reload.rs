//! Files that are read again when they change. While they cannot be used, what they held before stays in use, and the
//! log says so, and again each hour.

use std::{
    fmt::{self, Display},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How soon files that cannot be used are tried again without a change: what was wrong need not be in them.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the log says that they cannot be used.
const LOGGED_AGAIN: Duration = Duration::from_secs(3600);

/// What some files hold, now or the last time that they could be used.
pub struct Reloaded<T, E> {
    files: Vec<PathBuf>,
    read: Read<T, E>,
    held: Mutex<Loaded<T>>,
}

type Read<T, E> = Box<dyn Fn(&[PathBuf]) -> Result<T, E> + Send + Sync>;

struct Loaded<T> {
    value: T,
    /// Of the files it was read from, or of those that could not be used last.
    stamps: Vec<Stamp>,
    /// That they cannot be used, since some time.
    trouble: Option<LoadFailure>,
}

struct LoadFailure {
    /// When they were tried last.
    tried_at: Instant,
    /// What the log said of it, and when.
    logged_at: (String, Instant),
}

/// By which a file that changed differs, or a link that leads to another one: device, inode, size, and the times at
/// which content and inode changed. None if there is no such file.
type Stamp = Option<[i128; 5]>;

impl<T: Clone, E: Display> Reloaded<T, E> {
    /// Reads the files; with none, once and for all.
    ///
    /// # Errors
    /// If they cannot be used now.
    pub fn open(
        files: Vec<PathBuf>,
        read: impl Fn(&[PathBuf]) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let stamps = stamps(&files);
        let value = read(&files)?;
        let held = Mutex::new(Loaded { value, stamps, trouble: None });
        Ok(Self { files, read: Box::new(read), held })
    }

    /// What they hold.
    pub fn current(&self) -> T {
        let mut held = self.held();
        // Before they are read: what changes meanwhile is noticed the next time.
        let now = stamps(&self.files);
        let same = held.stamps == now;
        if same && held.trouble.as_ref().is_none_or(|trouble| trouble.tried_at.elapsed() < AGAIN) {
            return held.value.clone();
        }
        match (self.read)(&self.files) {
            Ok(value) => {
                tracing::info!("{} changed and is in use now", self.names());
                *held = Loaded { value, stamps: now, trouble: None };
            }
            Err(error) => {
                let (error, tried) = (format!("{error:#}"), Instant::now());
                let told = held.trouble.take().map(|trouble| trouble.logged_at);
                let told = told.filter(|(words, at)| *words == error && at.elapsed() < LOGGED_AGAIN);
                let told = told.unwrap_or_else(|| {
                    tracing::error!("{error}; what {} held before stays in use", self.names());
                    (error, tried)
                });
                held.stamps = now;
                held.trouble = Some(LoadFailure { tried_at: tried, logged_at: told });
            }
        }
        held.value.clone()
    }

    fn held(&self) -> MutexGuard<'_, Loaded<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Reloaded<T, E> {
    fn names(&self) -> String {
        let names: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        names.join(" with ")
    }
}

/// Names the files and nothing of what is in them.
impl<T, E> fmt::Debug for Reloaded<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.files).finish()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
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
        (Reloaded::open(vec![file.to_owned()], read).unwrap(), reads)
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

    /// A file of the same size and age takes its place, as `cp -p` and `mv` leave it, and images whose files all have
    /// one age.
    #[test]
    fn a_file_that_looks_the_same_is_another_one() {
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
    async fn what_cannot_be_used_is_tried_again_until_it_can() {
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
            Reloaded::open(vec![directory.path().join("none")], |files| {
                std::fs::read_to_string(&files[0])
            })
            .is_err()
        );
    }
}
