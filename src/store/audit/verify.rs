//! Verification of the audit record.

use std::fmt;

use super::log::{AuditLog, AuditRow, ChainEnds};
use crate::store::{error::Error, query::Keyed};

/// At most so many problems are listed.
const MAX_PROBLEMS: usize = 100;

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many rows there are.
    pub rows: u64,
    /// The newest id and its hash, from `audit_chain`: worth keeping elsewhere. `None` if that row is missing.
    pub newest: Option<(i64, String)>,
    /// At most 100 problems, by id. If empty, the record is as it was written.
    pub problems: Vec<ChainProblem>,
}

/// A way in which the record differs from what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainProblem {
    /// The row of `audit_chain`, with the ends of the record, is missing.
    MissingEnds,
    /// A row does not match its own hash.
    Changed {
        /// The row.
        id: i64,
    },
    /// A row does not have the hash of the row before it: one of the two was inserted, moved or rewritten.
    BrokenLink {
        /// The later one.
        id: i64,
    },
    /// Rows between others are missing.
    Missing {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
    /// The oldest rows are missing, and were not pruned.
    CutAtOldEnd {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
    /// The newest rows are missing.
    CutAtNewEnd {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
    /// A row's id was pruned, or is newer than the newest.
    Inserted {
        /// The row.
        id: i64,
    },
    /// The newest row is not the one that was written.
    Replaced {
        /// The row.
        id: i64,
    },
}

impl fmt::Display for ChainProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |from: &i64, to: &i64| match from == to {
            true => format!("row {from} is"),
            false => format!("rows {from} to {to} are"),
        };
        match self {
            Self::MissingEnds => f.write_str(
                "the note that says where the record begins and ends is gone; its ends cannot be checked",
            ),
            Self::Changed { id } => write!(f, "row {id} was changed: its hash does not match"),
            Self::BrokenLink { id } => {
                write!(
                    f,
                    "row {id} does not follow the row before it: one of the two was inserted, moved or rewritten"
                )
            }
            Self::Missing { from, to } => write!(f, "{} missing", rows(from, to)),
            Self::CutAtOldEnd { from, to } => {
                write!(f, "{} missing at the old end, and nothing was pruned up to there", rows(from, to))
            }
            Self::CutAtNewEnd { from, to } => write!(f, "{} missing at the new end", rows(from, to)),
            Self::Inserted { id } => {
                write!(f, "row {id} was inserted: its number is outside the record")
            }
            Self::Replaced { id } => write!(f, "row {id}, the newest, is not the one that was written"),
        }
    }
}

impl AuditLog {
    /// Reads all rows and checks that they are the rows that were written, in the same order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn verify(&self) -> Result<Verified, Error> {
        let mut pages = self.since(None).await?;
        let chain = pages.chain().await?;
        let mut walk = ChainWalk { chain: chain.as_ref(), previous: None, rows: 0, problems: Vec::new() };
        loop {
            let page = pages.read().await?;
            if page.is_empty() {
                break;
            }
            for Keyed(id, row) in &page {
                walk.step(row.as_ref().map_err(|_| *id));
            }
        }
        walk.finish();
        let ChainWalk { rows, problems, .. } = walk;
        Ok(Verified { rows, newest: chain.map(|chain| (chain.newest, chain.hash)), problems })
    }
}

/// The state of a verification between two rows.
struct ChainWalk<'a> {
    chain: Option<&'a ChainEnds>,
    /// The previous row: its id, and its hash if the row can be read.
    previous: Option<(i64, Option<String>)>,
    rows: u64,
    problems: Vec<ChainProblem>,
}

impl ChainWalk<'_> {
    /// Checks a row, or the id of one that cannot be read.
    fn step(&mut self, row: Result<&AuditRow, i64>) {
        self.rows += 1;
        let id = row.map_or_else(|id| id, |row| row.id);
        if self.chain.is_some_and(|chain| id < chain.first || id > chain.newest) {
            self.report(ChainProblem::Inserted { id });
            return;
        }
        let before = match self.previous.take() {
            Some(before) => Some(before),
            None => self.chain.map(|chain| (chain.first - 1, Some(chain.prior.clone()))),
        };
        let at_old_end =
            before.as_ref().is_some_and(|(id, _)| self.chain.is_some_and(|chain| *id == chain.first - 1));
        let follows = match &before {
            Some((before, _)) if before + 1 < id => {
                let (from, to) = (before + 1, id - 1);
                self.report(if at_old_end {
                    ChainProblem::CutAtOldEnd { from, to }
                } else {
                    ChainProblem::Missing { from, to }
                });
                true
            }
            Some((_, Some(hash))) => row.map_or(true, |row| row.prior == *hash),
            Some((_, None)) | None => true,
        };
        if row.is_ok_and(|row| row.computed_hash() != row.hash) || row.is_err() {
            self.report(ChainProblem::Changed { id });
        } else if !follows {
            self.report(ChainProblem::BrokenLink { id });
        }
        self.previous = Some((id, row.ok().map(|row| row.hash.clone())));
    }

    /// Checks the end, after the last row.
    fn finish(&mut self) {
        let Some(chain) = self.chain else {
            self.problems.insert(0, ChainProblem::MissingEnds);
            return;
        };
        match self.previous.take() {
            None if chain.first <= chain.newest => {
                self.report(ChainProblem::CutAtNewEnd { from: chain.first, to: chain.newest });
            }
            Some((last, _)) if last < chain.newest => {
                self.report(ChainProblem::CutAtNewEnd { from: last + 1, to: chain.newest });
            }
            Some((id, Some(hash))) if hash != chain.hash => self.report(ChainProblem::Replaced { id }),
            None | Some(_) => {}
        }
    }

    fn report(&mut self, problem: ChainProblem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}
