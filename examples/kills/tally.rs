//! Results: counts for the table, and violations.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The results of all worlds.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    counts: BTreeMap<(Part, String), u64>,
    longest: Duration,
    violations: Vec<String>,
}

/// The parts of the table, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Kills, by what the bridge was doing.
    Killed,
    /// Processes that were started.
    Started,
    /// Rollouts, by how they ended.
    Rollouts,
    /// Questions, by answer.
    Questions,
    /// Reports, by answer.
    Reports,
    /// Moves of tickets by people, by status.
    People,
    /// Tickets, by the end that was written to them.
    Tickets,
    /// Requests that Jira answered with an error or not at all.
    Faults,
    /// Rows of the audit record.
    Record,
}

impl Part {
    const ALL: [(Self, &str); 9] = [
        (Self::Killed, "kills"),
        (Self::Started, "starts"),
        (Self::Rollouts, "rollouts"),
        (Self::Questions, "answers to questions"),
        (Self::Reports, "answers to reports"),
        (Self::People, "moves by people"),
        (Self::Tickets, "tickets"),
        (Self::Faults, "requests that Jira answered badly"),
        (Self::Record, "rows of the audit record"),
    ];
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, part: Part, what: impl Into<String>) {
        self.add(part, what, 1);
    }

    pub(crate) fn add(&self, part: Part, what: impl Into<String>, number: u64) {
        *self.lock().counts.entry((part, what.into())).or_default() += number;
    }

    /// Records the time from an approval until its gate opened.
    pub(crate) fn opened_after(&self, time: Duration) {
        let mut inner = self.lock();
        inner.longest = inner.longest.max(time);
    }

    /// Records and prints a violation, once even if it is seen several times.
    pub(crate) fn violation(&self, what: String) {
        let mut inner = self.lock();
        if !inner.violations.contains(&what) {
            crate::say(&format!("VIOLATION: {what}"));
            inner.violations.push(what);
        }
    }

    /// How many violations there were so far.
    pub(crate) fn violations(&self) -> usize {
        self.lock().violations.len()
    }

    /// The sum of a part.
    pub(crate) fn total(&self, part: Part) -> u64 {
        self.lock().counts.iter().filter(|((of, _), _)| *of == part).map(|(_, number)| number).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, name) in Part::ALL {
            writeln!(f, "{name:<42}{:>8}", self.total(part))?;
            for ((_, what), number) in self.lock().counts.iter().filter(|((of, _), _)| *of == part) {
                writeln!(f, "  {what:<40}{number:>8}")?;
            }
        }
        let inner = self.lock();
        writeln!(
            f,
            "{:<42}{:>7.1}s",
            "longest from an approval to its open gate",
            inner.longest.as_secs_f64()
        )?;
        write!(f, "{:<42}{:>8}", "violations", inner.violations.len())?;
        for violation in &inner.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}
