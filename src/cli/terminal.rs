//! The properties of standard output: its size, its colours, and whether its reader is still there.

use std::io::{IsTerminal as _, Stdout, stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::tcgetwinsize,
};

/// How output is formatted. The default is for a file or a pipe: lines of any length, without escape sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputStyle {
    /// The columns of a terminal, if they are known.
    pub columns: Option<usize>,
    /// Its rows, if they are known.
    pub rows: Option<usize>,
    /// Whether colours are used; `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` can decide it.
    pub colour: bool,
    /// How an address is written.
    pub links: LinkStyle,
    /// Whether earlier output can be overwritten.
    pub redraws: bool,
}

/// How an address is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkStyle {
    /// In full.
    #[default]
    Shown,
    /// As a link behind the word that it belongs to.
    Behind,
}

impl OutputStyle {
    /// Standard output, as it is now.
    #[must_use]
    pub fn stdout() -> Self {
        let out = stdout();
        let colour = AutoStream::choice(&out) != ColorChoice::Never;
        if !out.is_terminal() {
            return Self { colour, ..Self::default() };
        }
        let (columns, rows) = size(&out);
        let variable = |name: &str| std::env::var(name).ok();
        let links = if colour && supports_links(variable) { LinkStyle::Behind } else { LinkStyle::Shown };
        Self { columns, rows, colour, links, redraws: variable("TERM").is_none_or(|term| term != "dumb") }
    }

    /// The text in this style, if colours are shown.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Columns and rows. Some terminals do not know them, and report 0.
fn size(out: &Stdout) -> (Option<usize>, Option<usize>) {
    let known = |cells: u16| (cells > 0).then_some(usize::from(cells));
    tcgetwinsize(out).map_or((None, None), |size| (known(size.ws_col), known(size.ws_row)))
}

/// Whether the terminal is known to support links behind words. Others may show the word and lose the link, and so may
/// `screen` and `tmux`.
fn supports_links(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name: &str, known: &[&str]| variable(name).is_some_and(|it| known.contains(&it.as_str()));
    if variable("TERM").is_some_and(|term| term.starts_with("screen") || term.starts_with("tmux")) {
        return false;
    }
    variable("VTE_VERSION").and_then(|it| it.parse().ok()).is_some_and(|it: u32| it >= 5_000)
        || is("TERM", &["alacritty", "contour", "foot", "xterm-ghostty", "xterm-kitty"])
        || is("TERM_PROGRAM", &["WezTerm", "ghostty", "iTerm.app", "vscode"])
        || ["KONSOLE_VERSION", "WT_SESSION"].iter().any(|name| variable(name).is_some())
}

/// Whether the other end of a pipe is closed. A program that writes nothing would not notice it otherwise.
pub(super) fn reader_is_gone() -> bool {
    let out = stdout();
    let mut polled = [PollFd::new(&out, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::ERR | PollFlags::NVAL;
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().intersects(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_hidden_only_where_they_can_be_followed() {
        for (environment, follows) in [
            (&[][..], false),
            (&[("TERM", "xterm-256color")], false),
            (&[("TERM", "linux")], false),
            (&[("TERM", "xterm-kitty")], true),
            (&[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")], true),
            (&[("TERM", "xterm-256color"), ("VTE_VERSION", "4205")], false),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "vscode")], true),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "Apple_Terminal")], false),
            (&[("TERM", "tmux-256color"), ("TERM_PROGRAM", "iTerm.app")], false),
            (&[("TERM", "xterm-256color"), ("WT_SESSION", "1")], true),
        ] {
            let variable = |name: &str| environment.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
            assert_eq!(supports_links(variable), follows, "{environment:?}");
        }
    }
}
