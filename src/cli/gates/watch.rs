//! `gates --watch`: asks repeatedly. A terminal is redrawn; a file or a pipe gets only the changes.

use std::{
    io::{ErrorKind, Write as _, stdout},
    time::Duration,
};

use anstyle::Style;
use anyhow::Context as _;
use jiff::Timestamp;
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        args::Gates,
        terminal::{OutputStyle, reader_is_gone},
    },
    api::{AdminClient, Gate},
    layout::rows_of,
    table,
};
use crate::{clock::Clock, millis::Millis};

/// Clears the screen before the first output.
const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
/// Clears the rest of the line.
const REST_OF_LINE: &str = "\x1b[K";
/// Clears the rest of the screen.
const REST: &str = "\x1b[J";

/// Shows the gates repeatedly, until `stop` or until the reader of the output is gone. Waits for an unreachable bridge.
///
/// # Errors
/// If the address is invalid, or standard output cannot be written; one line.
pub async fn watch(
    wanted: &Gates,
    every: Duration,
    clock: &Clock,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let client = AdminClient::new(wanted.admin())?;
    let mut watch = Watch { wanted, admin: &client.admin, every, seen: None };
    loop {
        let answer = select! {
            () = stop.cancelled() => return Ok(()),
            answer = client.gates() => answer.map(|(gates, _)| gates).map_err(|error| format!("{error:#}")),
        };
        let text = watch.next(answer, &OutputStyle::stdout(), clock.now());
        let mut out = stdout();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("cannot write")?,
        }
        select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(every) => {}
        }
        if reader_is_gone() {
            return Ok(());
        }
    }
}

/// What was shown last.
#[derive(Debug, PartialEq)]
enum LastSeen {
    Gates(Vec<Gate>),
    Unreachable { since: Millis },
}

struct Watch<'a> {
    wanted: &'a Gates,
    /// The bridge's address, as it is shown.
    admin: &'a str,
    every: Duration,
    seen: Option<LastSeen>,
}

impl Watch<'_> {
    /// The text to write for this answer of the bridge.
    fn next(&mut self, answer: Result<Vec<Gate>, String>, style: &OutputStyle, now: Millis) -> String {
        let Self { wanted, every, .. } = *self;
        let (lines, seen) = match answer {
            Ok(mut gates) => {
                let lines = table::lines(&gates, wanted, style, now);
                gates.retain(|gate| table::is_wanted(gate, wanted, now));
                (lines, LastSeen::Gates(gates))
            }
            Err(why) => {
                let since = if let Some(LastSeen::Unreachable { since }) = self.seen { since } else { now };
                let again = format!("since {}; asked again every {} s", time(since), every.as_secs());
                (vec![format!("{} ({again})", why.trim_end_matches('.'))], LastSeen::Unreachable { since })
            }
        };
        let before = self.seen.replace(seen);
        match &self.seen {
            _ if style.redraws => self.screen(lines, before.is_none(), style, now),
            same if *same == before => String::new(),
            Some(LastSeen::Gates(_)) => format!("{}\n{}\n\n", time(now), lines.join("\n")),
            // The line itself says since when.
            Some(LastSeen::Unreachable { .. }) | None => format!("{}\n", lines.join("\n")),
        }
    }

    /// The whole screen, without the lines that do not fit.
    fn screen(&self, lines: Vec<String>, first: bool, style: &OutputStyle, now: Millis) -> String {
        let head = format!("{}  {}, every {} s; Ctrl-C ends it", time(now), self.admin, self.every.as_secs());
        let mut all = vec![style.paint(Style::new().dimmed(), &head), String::new()];
        all.extend(lines);
        // The cursor needs the last row.
        let room = style.rows.map_or(usize::MAX, |rows| rows.saturating_sub(1));
        if all.iter().map(|line| rows_of(line, style)).sum::<usize>() > room {
            let mut used = 0;
            let fits = |line: &&String| {
                used += rows_of(line, style);
                used < room
            };
            all.truncate(all.iter().take_while(fits).count());
            all.push("… there is no room for the rest; try --namespace".to_owned());
        }
        let clear = if first { CLEAR } else { "" };
        let lines: String = all.iter().map(|line| format!("{line}{REST_OF_LINE}\r\n")).collect();
        format!("{clear}{HOME}{lines}{REST}")
    }
}

/// RFC 3339 in UTC, to the second.
fn time(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%FT%TZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);
    const EVERY: Duration = Duration::from_secs(2);

    fn gates(names: &[&str]) -> Vec<Gate> {
        let gate = |name: &&str| Gate {
            cluster: "default".into(),
            namespace: "shop".into(),
            canary: (*name).into(),
            stage: "confirm-promotion".into(),
            gate: None,
            state: "waiting".into(),
            reason: "waiting for a decision".into(),
            change: None,
            weight: None,
            step: None,
            allowed_weight: None,
            ticket: None,
            asked_at: Timestamp::from_millisecond(NOW.0 - 65_000).ok(),
            rollout: None,
        };
        names.iter().map(gate).collect()
    }

    #[test]
    fn a_pipe_gets_what_changed() {
        let wanted = Gates::of("http://x");
        let mut watch = Watch { wanted: &wanted, admin: "http://x", every: EVERY, seen: None };
        let mut next = |after: u64, answer| {
            watch.next(answer, &OutputStyle::default(), NOW + Duration::from_secs(after))
        };
        let written = [
            next(0, Err("cannot connect".into())),
            next(2, Err("something else".into())),
            next(4, Ok(gates(&["web"]))),
            next(6, Ok(gates(&["web"]))),
            next(8, Ok(vec![])),
            next(10, Err("cannot connect".into())),
            next(12, Ok(vec![])),
        ];
        insta::assert_snapshot!(written.map(|text| format!("{text}--\n")).concat(), @r"
        cannot connect (since 2026-09-21T14:13:20Z; asked again every 2 s)
        --
        --
        2026-09-21T14:13:24Z
        STATE    STAGE              CANARY            TICKET  ASKED     REASON
        waiting  confirm-promotion  default/shop/web  -       1m9s ago  waiting for a decision

        --
        --
        2026-09-21T14:13:28Z
        No gate is waiting.

        --
        cannot connect (since 2026-09-21T14:13:30Z; asked again every 2 s)
        --
        2026-09-21T14:13:32Z
        No gate is waiting.

        --
        ");
    }

    #[test]
    fn what_is_not_wanted_does_not_change() {
        let wanted = Gates { canary: Some("web".into()), ..Gates::of("http://x") };
        let mut watch = Watch { wanted: &wanted, admin: "http://x", every: EVERY, seen: None };
        let mut next = |names: &[&str]| watch.next(Ok(gates(names)), &OutputStyle::default(), NOW);
        assert!(next(&["web", "api"]).contains("web"));
        assert_eq!(next(&["web"]), "");
        assert_eq!(next(&["web", "ui"]), "");
        assert!(next(&["ui"]).contains("No gate is waiting for canary web"));
    }

    #[test]
    fn a_terminal_is_written_over_and_holds_what_it_can() {
        let wanted = Gates::of("http://x");
        let mut watch = Watch { wanted: &wanted, admin: "http://x", every: EVERY, seen: None };
        let style = OutputStyle { columns: Some(90), rows: Some(6), redraws: true, ..OutputStyle::default() };
        let mut next =
            |answer| watch.next(answer, &style, NOW).replace('\u{1b}', "ESC").replace("\r\n", "\n");
        insta::assert_snapshot!(next(Ok(gates(&["web", "api"]))), @r"
        ESC[2JESC[H2026-09-21T14:13:20Z  http://x, every 2 s; Ctrl-C ends itESC[K
        ESC[K
        STATE    STAGE              CANARY            TICKET  ASKED     REASONESC[K
        waiting  confirm-promotion  default/shop/web  -       1m5s ago  waiting for a decisionESC[K
        waiting  confirm-promotion  default/shop/api  -       1m5s ago  waiting for a decisionESC[K
        ESC[J
        ");
        insta::assert_snapshot!(next(Ok(gates(&["web", "api", "ui"]))), @r"
        ESC[H2026-09-21T14:13:20Z  http://x, every 2 s; Ctrl-C ends itESC[K
        ESC[K
        STATE    STAGE              CANARY            TICKET  ASKED     REASONESC[K
        waiting  confirm-promotion  default/shop/web  -       1m5s ago  waiting for a decisionESC[K
        … there is no room for the rest; try --namespaceESC[K
        ESC[J
        ");
        insta::assert_snapshot!(next(Err("cannot connect".into())), @"
        ESC[H2026-09-21T14:13:20Z  http://x, every 2 s; Ctrl-C ends itESC[K
        ESC[K
        cannot connect (since 2026-09-21T14:13:20Z; asked again every 2 s)ESC[K
        ESC[J
        ");
    }
}
