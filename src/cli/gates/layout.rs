//! The layout of the gates: in columns, or one cell below the other if the terminal is too narrow. No I/O.

use std::{array, iter};

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::super::terminal::{LinkStyle, OutputStyle};

/// The number of blanks between two columns.
const GAP: usize = 2;
/// The indent of a line that belongs to the one above.
const MARGIN: &str = "  ";
/// In a narrower column, a reason would take too many lines.
const MIN_REASON_WIDTH: usize = 24;
const HEADER: [&str; 5] = ["STATE", "STAGE", "CANARY", "TICKET", "ASKED"];
const REASON: &str = "REASON";
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// A gate, in text that is safe to show.
#[derive(Debug)]
pub(super) struct TableRow {
    /// State, stage, canary, ticket, since when.
    pub(super) cells: [String; 5],
    pub(super) reason: String,
    /// The address of the ticket.
    pub(super) url: Option<String>,
    /// The version, what the rollout changes, and how far it is.
    pub(super) change: Option<String>,
}

/// The lines for these gates. A reason is wrapped at blanks; a ticket's key and address are never broken.
pub(super) fn lines(rows: &[TableRow], style: &OutputStyle) -> Vec<String> {
    let columns = style.columns.unwrap_or(usize::MAX);
    let widest = |nth: usize| rows.iter().map(|row| row.cells[nth].width()).max().unwrap_or(0);
    let widths: [usize; 5] = array::from_fn(|nth| widest(nth).max(HEADER[nth].width()));
    let table = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
    if columns < table {
        return rows.iter().flat_map(|row| stacked(row, style)).collect();
    }
    // The width of the column of reasons, if there is enough room for one.
    let room = columns.checked_sub(table + GAP).filter(|room| *room >= MIN_REASON_WIDTH);
    let heading = room.map(|_| style.paint(BOLD, REASON));
    let mut lines =
        side_by_side(&HEADER.map(|word| style.paint(BOLD, word)), widths, heading.into_iter().collect());
    for row in rows {
        let (cells, address) = (cells(row, style), address(row, style));
        match room {
            Some(room) => {
                lines.extend(side_by_side(&cells, widths, wrapped(&row.reason, room)));
                lines.extend(change(row, style).chain(address));
            }
            None => {
                lines.extend(side_by_side(&cells, widths, Vec::new()));
                lines.extend(change(row, style).chain(address).chain(indented(style, MARGIN, &row.reason)));
            }
        }
    }
    lines
}

/// The cells in their columns, and a text to the right of them.
fn side_by_side(cells: &[String; 5], widths: [usize; 5], mut text: Vec<String>) -> Vec<String> {
    let padded = |(cell, column): (&String, usize)| {
        let blanks = (column + GAP).saturating_sub(width(cell));
        format!("{cell}{}", " ".repeat(blanks))
    };
    let first: String = cells.iter().zip(widths).map(padded).collect();
    let others = " ".repeat(width(&first));
    if text.is_empty() {
        text.push(String::new());
    }
    let starts = iter::once(first).chain(iter::repeat(others));
    starts.zip(text).map(|(start, text)| format!("{start}{text}").trim_end_matches(' ').to_owned()).collect()
}

/// The cells one below the other, with state and time in the first line.
fn stacked(row: &TableRow, style: &OutputStyle) -> Vec<String> {
    let [state, stage, canary, ticket, since] = cells(row, style);
    let mut lines = vec![format!("{state}  {since}")];
    lines.extend([stage, canary, ticket].map(|cell| format!("{MARGIN}{cell}")));
    lines.extend(change(row, style).chain(address(row, style)));
    lines.extend(indented(style, MARGIN, &row.reason));
    lines
}

/// The cells in this output style.
fn cells(row: &TableRow, style: &OutputStyle) -> [String; 5] {
    let [state, stage, canary, ticket, since] = row.cells.clone();
    let ticket = match &row.url {
        Some(url) if is_linked(url, style) => format!("\x1b]8;;{url}\x1b\\{ticket}\x1b]8;;\x1b\\"),
        Some(_) | None => ticket,
    };
    [style.paint(colour(&state), &state), stage, canary, ticket, since]
}

/// What changes, on lines of its own.
fn change(row: &TableRow, style: &OutputStyle) -> impl Iterator<Item = String> {
    row.change.iter().flat_map(|change| indented(style, MARGIN, change))
}

/// The address on a line of its own, if it is shown in full.
fn address(row: &TableRow, style: &OutputStyle) -> Option<String> {
    let url = row.url.as_ref().filter(|url| !is_linked(url, style))?;
    Some(format!("{MARGIN}{}", style.paint(DIM, url)))
}

fn is_linked(url: &str, style: &OutputStyle) -> bool {
    style.links == LinkStyle::Behind && is_safe(url)
}

/// The text, wrapped into lines that are indented by `margin`.
pub(super) fn indented(style: &OutputStyle, margin: &str, text: &str) -> impl Iterator<Item = String> {
    let room = style.columns.map_or(usize::MAX, |columns| columns.saturating_sub(margin.len()));
    wrapped(text, room).into_iter().map(move |line| format!("{margin}{line}"))
}

/// The width of a line in columns, without its escape sequences.
fn width(line: &str) -> usize {
    strip_str(line).to_string().width()
}

/// How many rows of the terminal a line takes.
pub(super) fn rows_of(line: &str, style: &OutputStyle) -> usize {
    style.columns.map_or(1, |columns| width(line).div_ceil(columns).max(1))
}

/// Whether the address can be in an escape sequence, and is that of a web page.
fn is_safe(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme))
        && url.chars().all(|c| c.is_ascii_graphic())
}

/// The colour of a state. An unknown state, such as one of a newer bridge, has none.
fn colour(state: &str) -> Style {
    let colour = match state {
        "approved" => AnsiColor::Green,
        "waiting" => AnsiColor::Yellow,
        "opening" | "frozen" => AnsiColor::Cyan,
        "stuck" | "rejected" => AnsiColor::Red,
        "recorded" => AnsiColor::Blue,
        "not_allowed" | "expired" | "stale" | "gone" => AnsiColor::Magenta,
        _ => return Style::new(),
    };
    colour.on_default()
}

/// Wraps a text into lines of at most `room` columns, at blanks. A word is broken only if it fits on no line and is not
/// an address.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && line.width() + 1 + word.width() > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        if word.width() <= room || word.contains("://") {
            line.push_str(word);
            continue;
        }
        for c in word.chars() {
            if !line.is_empty() && line.width() + c.width().unwrap_or(0) > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(state: &str, canary: &str, key: &str, reason: &str) -> TableRow {
        let cells = [state, "confirm-promotion (qa)", canary, key, "12m5s"].map(str::to_owned);
        let url = (key != "-").then(|| format!("https://jira.example.com/browse/{key}"));
        TableRow { cells, reason: reason.to_owned(), url, change: None }
    }

    fn three() -> [TableRow; 3] {
        [
            row("waiting", "default/shop/web", "OPS-12", "waiting for a decision"),
            row(
                "rejected",
                "eu/pay/api",
                "決済-7",
                "in \"却下されました\": rejected by 田中 花子, who wants a smaller change first",
            ),
            row("stuck", "eu/pay/ui", "-", "the ticket could not be opened: no such issue type"),
        ]
    }

    fn shown(style: &OutputStyle) -> String {
        lines(&three(), style).into_iter().map(|line| line + "\n").collect()
    }

    fn terminal(columns: usize) -> OutputStyle {
        OutputStyle { columns: Some(columns), ..OutputStyle::default() }
    }

    #[test]
    fn a_file_gets_columns() {
        insta::assert_snapshot!(shown(&OutputStyle::default()), @r#"
        STATE     STAGE                   CANARY            TICKET  ASKED  REASON
        waiting   confirm-promotion (qa)  default/shop/web  OPS-12  12m5s  waiting for a decision
          https://jira.example.com/browse/OPS-12
        rejected  confirm-promotion (qa)  eu/pay/api        決済-7  12m5s  in "却下されました": rejected by 田中 花子, who wants a smaller change first
          https://jira.example.com/browse/決済-7
        stuck     confirm-promotion (qa)  eu/pay/ui         -       12m5s  the ticket could not be opened: no such issue type
        "#);
    }

    #[test]
    fn a_wide_terminal_shows_addresses_and_breaks_reasons() {
        insta::assert_snapshot!(shown(&terminal(110)), @r#"
        STATE     STAGE                   CANARY            TICKET  ASKED  REASON
        waiting   confirm-promotion (qa)  default/shop/web  OPS-12  12m5s  waiting for a decision
          https://jira.example.com/browse/OPS-12
        rejected  confirm-promotion (qa)  eu/pay/api        決済-7  12m5s  in "却下されました": rejected by 田中 花子,
                                                                           who wants a smaller change first
          https://jira.example.com/browse/決済-7
        stuck     confirm-promotion (qa)  eu/pay/ui         -       12m5s  the ticket could not be opened: no such
                                                                           issue type
        "#);
    }

    #[test]
    fn a_narrower_one_has_reasons_below() {
        insta::assert_snapshot!(shown(&terminal(80)), @r#"
        STATE     STAGE                   CANARY            TICKET  ASKED
        waiting   confirm-promotion (qa)  default/shop/web  OPS-12  12m5s
          https://jira.example.com/browse/OPS-12
          waiting for a decision
        rejected  confirm-promotion (qa)  eu/pay/api        決済-7  12m5s
          https://jira.example.com/browse/決済-7
          in "却下されました": rejected by 田中 花子, who wants a smaller change first
        stuck     confirm-promotion (qa)  eu/pay/ui         -       12m5s
          the ticket could not be opened: no such issue type
        "#);
    }

    #[test]
    fn a_very_narrow_one_stacks_everything() {
        insta::assert_snapshot!(shown(&terminal(36)), @r#"
        waiting  12m5s
          confirm-promotion (qa)
          default/shop/web
          OPS-12
          https://jira.example.com/browse/OPS-12
          waiting for a decision
        rejected  12m5s
          confirm-promotion (qa)
          eu/pay/api
          決済-7
          https://jira.example.com/browse/決済-7
          in "却下されました": rejected by
          田中 花子, who wants a smaller
          change first
        stuck  12m5s
          confirm-promotion (qa)
          eu/pay/ui
          -
          the ticket could not be opened: no
          such issue type
        "#);
    }

    #[test]
    fn colours_and_links_are_escapes_around_the_same_words() {
        let plain = terminal(110);
        let coloured = shown(&OutputStyle { colour: true, links: LinkStyle::Behind, ..plain });
        let link = "\x1b]8;;https://jira.example.com/browse/OPS-12\x1b\\OPS-12\x1b]8;;\x1b\\  12m5s";
        assert!(coloured.contains(link), "{coloured:?}");
        for state in ["\x1b[33mwaiting\x1b[0m", "\x1b[31mrejected\x1b[0m", "\x1b[1mREASON\x1b[0m"] {
            assert!(coloured.contains(state), "{coloured:?}");
        }
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), {
            // An address that cannot be in an escape sequence is still shown in full.
            shown(&plain).replace("  https://jira.example.com/browse/OPS-12\n", "")
        });
    }

    proptest! {
        /// At any width, nothing is lost, no key or address is broken, and only text that cannot be broken is too wide.
        #[test]
        fn nothing_is_lost(
            columns in 1..200_usize,
            canary in "[a-z界é☁👍🏽🇪🇺\u{fe0f}/]{1,30}",
            key in "[A-Z]{2,9}-[0-9]{1,6}",
            reason in "[a-z界é ]{0,120}",
        ) {
            let style = OutputStyle { colour: true, ..terminal(columns) };
            let row = row("waiting", &canary, &key, &reason);
            let (url, cells) = (row.url.clone().unwrap(), row.cells.clone());
            let lines: Vec<_> = lines(&[row], &style).iter().map(|line| strip_str(line).to_string()).collect();
            let all: String = lines.iter().map(|line| format!("{line}\n")).collect();
            prop_assert!(all.contains(&key) && all.contains(&url));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<Vec<_>>().len();
            let header = if all.contains("REASON") { 33 } else if all.contains("STATE") { 27 } else { 0 };
            prop_assert_eq!(letters(&all), header + letters(&cells.concat()) + letters(&url) + letters(&reason));
            for line in lines {
                let whole = cells.iter().any(|cell| line.trim() == cell) || line.trim() == url;
                let first = line.starts_with("waiting  12m5s");
                prop_assert!(line.width() <= columns.max(4) || whole || first, "{:?} in {}", line, columns);
            }
        }
    }
}
