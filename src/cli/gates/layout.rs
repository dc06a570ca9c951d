//! How the gates are laid out: in columns, or, where there is no room for them, below one another. Nothing is asked here.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::cli::{Links, Paper};

/// What stands between two columns.
const GAP: usize = 2;
/// What a line that belongs to the one above is set in by.
const MARGIN: usize = 2;
/// A reason in a narrower column would be a tower of words.
const LEAST_REASON: usize = 24;
const HEADER: [&str; 5] = ["STATE", "STAGE", "CANARY", "TICKET", "SINCE"];
const REASON: &str = "REASON";
const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// A gate in words that are safe to show.
#[derive(Debug)]
pub(super) struct Row {
    /// State, stage, canary, ticket, since when.
    pub(super) cells: [String; 5],
    pub(super) reason: String,
    /// Where the ticket is read.
    pub(super) url: Option<String>,
}

/// A line, and the columns it takes.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) width: usize,
}

impl Line {
    pub(super) fn new(paper: &Paper, style: Style, text: &str) -> Self {
        let mut line = Self::default();
        line.add(paper, style, text);
        line
    }

    fn add(&mut self, paper: &Paper, style: Style, text: &str) {
        self.width += text.width();
        // Writing to a string does not fail.
        let _ = if paper.colour && style != PLAIN {
            write!(self.text, "{style}{text}{style:#}")
        } else {
            write!(self.text, "{text}")
        };
    }

    fn link(&mut self, paper: &Paper, url: &str, text: &str) {
        let _ = write!(self.text, "\x1b]8;;{url}\x1b\\");
        self.add(paper, PLAIN, text);
        self.text.push_str("\x1b]8;;\x1b\\");
    }

    /// Blanks up to this column.
    fn to(&mut self, column: usize) {
        let blanks = column.saturating_sub(self.width);
        self.text.extend(std::iter::repeat_n(' ', blanks));
        self.width += blanks;
    }

    /// How many rows of the terminal it takes.
    pub(super) fn rows(&self, paper: &Paper) -> usize {
        paper.columns.map_or(1, |columns| self.width.div_ceil(columns).max(1))
    }
}

/// Where the reason stands.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// In a column of its own, so wide.
    Column(usize),
    /// On lines of its own.
    Below,
    /// On lines of its own, as does everything else.
    Stacked,
}

impl Form {
    fn that_fits(paper: &Paper, widths: [usize; 5]) -> Self {
        let table = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        match paper.columns {
            None => Self::Column(usize::MAX),
            Some(columns) if columns >= table + GAP + LEAST_REASON => Self::Column(columns - table - GAP),
            Some(columns) if columns >= table => Self::Below,
            Some(_) => Self::Stacked,
        }
    }
}

/// The lines for these gates. A reason is broken at blanks; a ticket's key and its address never are.
pub(super) fn lines(rows: &[Row], paper: &Paper) -> Vec<Line> {
    let width = |nth: usize| rows.iter().map(|row| row.cells[nth].width()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(|nth| width(nth).max(HEADER[nth].width()));
    let form = Form::that_fits(paper, widths);
    let mut lines = match form {
        Form::Column(_) => vec![header(paper, widths, &[HEADER.as_slice(), &[REASON]].concat())],
        Form::Below => vec![header(paper, widths, &HEADER)],
        Form::Stacked => Vec::new(),
    };
    for row in rows {
        match form {
            Form::Column(room) => in_columns(&mut lines, row, paper, widths, Some(room)),
            Form::Below => in_columns(&mut lines, row, paper, widths, None),
            Form::Stacked => stacked(&mut lines, row, paper),
        }
    }
    lines
}

fn header(paper: &Paper, widths: [usize; 5], words: &[&str]) -> Line {
    let mut line = Line::default();
    for (word, column) in words.iter().zip(starts(widths)) {
        line.to(column);
        line.add(paper, BOLD, word);
    }
    line
}

/// Where each column begins, and the one after the last.
fn starts(widths: [usize; 5]) -> [usize; 6] {
    std::array::from_fn(|nth| widths[..nth].iter().map(|width| width + GAP).sum())
}

fn in_columns(lines: &mut Vec<Line>, row: &Row, paper: &Paper, widths: [usize; 5], room: Option<usize>) {
    let starts = starts(widths);
    let mut line = Line::default();
    for (nth, column) in starts.into_iter().take(5).enumerate() {
        line.to(column);
        cell(&mut line, row, paper, nth);
    }
    let Some(room) = room else {
        lines.push(line);
        return below(lines, row, paper);
    };
    for part in wrapped(&row.reason, room) {
        line.to(starts[5]);
        line.add(paper, PLAIN, &part);
        lines.push(std::mem::take(&mut line));
    }
    if line.width > 0 {
        lines.push(line);
    }
    address(lines, row, paper);
}

fn stacked(lines: &mut Vec<Line>, row: &Row, paper: &Paper) {
    let mut line = Line::default();
    // State and time together, then what it is about.
    for nth in [0, 4] {
        line.to(if nth == 0 { 0 } else { line.width + GAP });
        cell(&mut line, row, paper, nth);
    }
    lines.push(line);
    for nth in [1, 2, 3] {
        let mut line = Line::default();
        line.to(MARGIN);
        cell(&mut line, row, paper, nth);
        lines.push(line);
    }
    below(lines, row, paper);
}

fn cell(line: &mut Line, row: &Row, paper: &Paper, nth: usize) {
    let text = &row.cells[nth];
    match (nth, row.url.as_deref()) {
        (0, _) => line.add(paper, colour(text), text),
        (3, Some(url)) if paper.links == Links::Behind && is_safe(url) => line.link(paper, url, text),
        _ => line.add(paper, PLAIN, text),
    }
}

fn below(lines: &mut Vec<Line>, row: &Row, paper: &Paper) {
    address(lines, row, paper);
    let room = paper.columns.map_or(usize::MAX, |columns| columns.saturating_sub(MARGIN));
    for part in wrapped(&row.reason, room) {
        let mut line = Line::default();
        line.to(MARGIN);
        line.add(paper, PLAIN, &part);
        lines.push(line);
    }
}

/// The address on a line of its own, where it is to be read.
fn address(lines: &mut Vec<Line>, row: &Row, paper: &Paper) {
    let Some(url) = &row.url else { return };
    let shown = match paper.links {
        Links::None => false,
        Links::Shown => true,
        Links::Behind => !is_safe(url),
    };
    if shown {
        let mut line = Line::default();
        line.to(MARGIN);
        line.add(paper, DIM, url);
        lines.push(line);
    }
}

/// Whether it can stand in an escape sequence, and leads to a page.
fn is_safe(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme))
        && url.chars().all(|c| c.is_ascii_graphic())
}

/// A state that a newer bridge may have has none.
fn colour(state: &str) -> Style {
    let colour = match state {
        "approved" => AnsiColor::Green,
        "waiting" => AnsiColor::Yellow,
        "opening" => AnsiColor::Cyan,
        "stuck" | "rejected" => AnsiColor::Red,
        "not_allowed" | "expired" | "stale" | "gone" => AnsiColor::Magenta,
        _ => return PLAIN,
    };
    colour.on_default()
}

/// Lines of at most so many columns, broken at blanks; within a word only if it has no room on any line, and is no
/// address.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
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

    fn row(state: &str, canary: &str, key: &str, reason: &str) -> Row {
        let cells = [state, "confirm-promotion (qa)", canary, key, "12m5s"].map(str::to_owned);
        let url = (key != "-").then(|| format!("https://jira.example.com/browse/{key}"));
        Row { cells, reason: reason.to_owned(), url }
    }

    fn three() -> [Row; 3] {
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

    fn shown(paper: &Paper) -> String {
        lines(&three(), paper).into_iter().map(|line| line.text + "\n").collect()
    }

    fn terminal(columns: usize) -> Paper {
        Paper { columns: Some(columns), links: Links::Shown, ..Paper::default() }
    }

    #[test]
    fn a_file_gets_columns() {
        insta::assert_snapshot!(shown(&Paper::default()), @r#"
        STATE     STAGE                   CANARY            TICKET  SINCE  REASON
        waiting   confirm-promotion (qa)  default/shop/web  OPS-12  12m5s  waiting for a decision
        rejected  confirm-promotion (qa)  eu/pay/api        決済-7  12m5s  in "却下されました": rejected by 田中 花子, who wants a smaller change first
        stuck     confirm-promotion (qa)  eu/pay/ui         -       12m5s  the ticket could not be opened: no such issue type
        "#);
    }

    #[test]
    fn a_wide_terminal_shows_addresses_and_breaks_reasons() {
        insta::assert_snapshot!(shown(&terminal(110)), @r#"
        STATE     STAGE                   CANARY            TICKET  SINCE  REASON
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
        STATE     STAGE                   CANARY            TICKET  SINCE
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
        let plain = Paper { links: Links::None, ..terminal(110) };
        let coloured = shown(&Paper { colour: true, links: Links::Behind, ..plain });
        let link = "\x1b]8;;https://jira.example.com/browse/OPS-12\x1b\\OPS-12\x1b]8;;\x1b\\  12m5s";
        assert!(coloured.contains(link), "{coloured:?}");
        for state in ["\x1b[33mwaiting\x1b[0m", "\x1b[31mrejected\x1b[0m", "\x1b[1mREASON\x1b[0m"] {
            assert!(coloured.contains(state), "{coloured:?}");
        }
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), {
            // What cannot be an address in an escape is not hidden, but read.
            let (before, after) = plain_parts(&plain);
            format!("{before}  https://jira.example.com/browse/決済-7\n{after}")
        });
    }

    fn plain_parts(paper: &Paper) -> (String, String) {
        let all = shown(paper);
        let at = all.find("stuck").unwrap();
        (all[..at].to_owned(), all[at..].to_owned())
    }

    proptest! {
        /// However narrow it is: nothing is lost, no key or address is broken, and only what cannot be broken is too wide.
        #[test]
        fn nothing_is_lost(columns in 1..200_usize, reason in "[a-z界é ]{0,120}", key in "[A-Z]{2,9}-[0-9]{1,6}") {
            let paper = terminal(columns);
            let row = row("waiting", "default/shop/web", &key, &reason);
            let (url, cells) = (row.url.clone().unwrap(), row.cells.clone());
            let lines = lines(&[row], &paper);
            let all: String = lines.iter().map(|line| format!("{}\n", line.text)).collect();
            prop_assert!(all.contains(&key) && all.contains(&url));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<Vec<_>>().len();
            let header = if all.contains("REASON") { 33 } else if all.contains("STATE") { 27 } else { 0 };
            prop_assert_eq!(letters(&all), header + letters(&cells.concat()) + letters(&url) + letters(&reason));
            for line in lines {
                prop_assert_eq!(line.width, line.text.width());
                let whole = cells.iter().any(|cell| line.text.trim() == cell) || line.text.trim() == url;
                let first = line.text.starts_with("waiting  12m5s");
                prop_assert!(line.width <= columns.max(4) || whole || first, "{:?} in {}", line.text, columns);
            }
        }
    }
}
