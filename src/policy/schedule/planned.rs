//! PURE: the time that a ticket itself plans for its change.

use std::collections::BTreeMap;

use jiff::{Timestamp, fmt::strtime, fmt::temporal::DateTimeParser, tz::TimeZone};

use super::period::{Period, to_millis};

/// The longest value that a message quotes, in characters.
const LONGEST_VALUE: usize = 40;

/// When a ticket says that its gate may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Within this time.
    Within {
        /// The time.
        period: Period,
        /// The offset in which its start is written.
        zone: TimeZone,
    },
    /// That is not known.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl Planned {
    /// Reads the two fields of a ticket, by their ids. `fields` are the values that it was last seen to have.
    #[must_use]
    pub fn read(start: &str, end: &str, fields: &BTreeMap<String, String>) -> Self {
        let value = |field: &str| {
            let text = fields.get(field).ok_or_else(|| format!("the ticket has no value in {field}"))?;
            moment(text).ok_or_else(|| {
                let text = crate::text::one_line(text, LONGEST_VALUE);
                format!("{text:?} in {field} is no date with a time and an offset")
            })
        };
        let read = || {
            let ((from, zone), (until, _)) = (value(start)?, value(end)?);
            let period = Period { from: to_millis(from), until: to_millis(until) };
            if period.from < period.until {
                Ok(Self::Within { period, zone })
            } else {
                Err(format!("{end} is not later than {start}"))
            }
        };
        read().unwrap_or_else(|why| Self::Unknown { why })
    }
}

/// A time as Jira writes it, `2026-12-18T09:00:00.000+0100`, or as RFC 3339 does.
fn moment(text: &str) -> Option<(Timestamp, TimeZone)> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    if let (Ok(at), Ok(pieces)) = (text.parse::<Timestamp>(), PARSER.parse_pieces(text)) {
        return Some((at, pieces.to_numeric_offset().map_or(TimeZone::UTC, TimeZone::fixed)));
    }
    let parsed = strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?;
    Some((parsed.to_timestamp().ok()?, parsed.offset().map_or(TimeZone::UTC, TimeZone::fixed)))
}
