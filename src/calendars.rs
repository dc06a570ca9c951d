//! The calendars of freezes: iCalendar files, read again when they change. One that cannot be used keeps all gates closed
//! that its freeze is for: what it held before may not hold any more.

mod events;
mod lines;
#[cfg(test)]
mod tests;
mod time;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::{
    lock::lock,
    millis::Millis,
    policy::{Calendar, Calendars, Freeze, FreezeTime, Period, SEARCHED, Schedule},
    reload::{Stamp, stamp},
};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 4 << 20;
/// How soon a file that cannot be used is read again without a change: the cause may be outside of it.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long the events that were worked out are used. The clock may be set back or forward.
const WORKED_OUT_FOR: Duration = Duration::from_hours(24);

/// The files that hold freezes, and what was last read of them.
#[derive(Debug)]
pub struct CalendarFiles {
    files: Vec<CalendarFile>,
    /// By the key of the freeze.
    read: Mutex<BTreeMap<String, Reading>>,
}

/// A file that holds freezes.
#[derive(Debug)]
struct CalendarFile {
    /// The key of the freeze.
    key: String,
    file: PathBuf,
    /// Where times in it are that name no zone.
    zone: Option<TimeZone>,
}

/// What was last read of a file.
#[derive(Debug)]
struct Reading {
    stamp: Stamp,
    at: Millis,
    tried: Instant,
    result: Result<Arc<Calendar>, String>,
}

impl Reading {
    /// Whether the file need not be read.
    fn holds(&self, stamp: Stamp, now: Millis) -> bool {
        self.stamp == stamp
            && now.abs_diff(self.at) < WORKED_OUT_FOR
            && (self.result.is_ok() || self.tried.elapsed() < RETRY_AFTER)
    }
}

impl CalendarFiles {
    /// The files that a schedule names. They are read when they are needed first.
    #[must_use]
    pub fn new(schedule: &Schedule) -> Self {
        let files = schedule.freezes.iter().filter_map(|Freeze { key, when, .. }| match when {
            FreezeTime::Dates { .. } => None,
            FreezeTime::Calendar { file, zone } => {
                Some(CalendarFile { key: key.clone(), file: file.clone(), zone: zone.clone() })
            }
        });
        Self { files: files.collect(), read: Mutex::default() }
    }

    /// What the files say now.
    #[must_use]
    pub fn current(&self, now: Millis) -> Calendars {
        let mut read = lock(&self.read);
        let mut calendars = Calendars::default();
        for CalendarFile { key, file, zone } in &self.files {
            // Taken before reading, so that a change during the read is noticed the next time.
            let stamp = stamp(file);
            let known = read.get(key).filter(|reading| reading.holds(stamp, now));
            let result = match known {
                Some(reading) => reading.result.clone(),
                None => {
                    let result = load(file, zone.as_ref(), now).map(Arc::new);
                    log(file, read.get(key).map(|reading| &reading.result), &result);
                    let reading = Reading { stamp, at: now, tried: Instant::now(), result: result.clone() };
                    read.insert(key.clone(), reading);
                    result
                }
            };
            calendars.0.insert(key.clone(), result);
        }
        calendars
    }

    /// How many files cannot be used.
    #[must_use]
    pub fn unusable(&self, now: Millis) -> u64 {
        self.current(now).0.values().filter(|result| result.is_err()).count() as u64
    }
}

/// Reads a calendar.
///
/// # Errors
/// Why it cannot be used.
pub fn load(file: &Path, zone: Option<&TimeZone>, now: Millis) -> Result<Calendar, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > LARGEST_FILE {
        return Err(format!("{} is larger than {} MiB", file.display(), LARGEST_FILE >> 20));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8 text", file.display()))?;
    let known = Period { from: now - WORKED_OUT_FOR * 2, until: now + SEARCHED + WORKED_OUT_FOR * 2 };
    events::calendar(&text, zone, known).map_err(|why| format!("{}: {why}", file.display()))
}

/// Logs what changed.
fn log(file: &Path, before: Option<&Result<Arc<Calendar>, String>>, now: &Result<Arc<Calendar>, String>) {
    let file = file.display();
    match (before, now) {
        (Some(Err(before)), Err(now)) if before == now => {}
        (_, Err(why)) => {
            tracing::error!("{why}; until the calendar can be used, the gates of its freeze stay closed");
        }
        (None, Ok(calendar)) => {
            tracing::info!(%file, events = calendar.events().len(), "read a calendar of freezes");
        }
        (Some(Ok(before)), Ok(now)) if before.events() == now.events() => {}
        (Some(_), Ok(calendar)) => {
            tracing::info!(%file, events = calendar.events().len(), "a calendar of freezes changed and is in use now");
        }
    }
}
