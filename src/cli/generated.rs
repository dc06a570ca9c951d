//! What packages install beside the program: completion scripts and manual pages, made of the definition of the command
//! line.

use std::{fs, io, path::Path};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Cli;

/// The name of the program, of its completions and of its manual page.
const PROGRAM: &str = "flagger-jira-bridge";

/// The completion script of a shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    script
}

/// The commands, with the headings of a manual. `help` has no page of its own.
fn documented() -> Command {
    Cli::command()
        .disable_help_subcommand(true)
        .subcommand_value_name("COMMAND")
        .subcommand_help_heading("COMMANDS")
}

/// The manual page of the program, in roff. It names environment variables, but not their values.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn manual() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(documented()).render(&mut page)?;
    Ok(page)
}

/// Writes the manual pages of the program and of each command, such as `flagger-jira-bridge-gates.1`, to a directory,
/// which is created if it does not exist.
///
/// # Errors
/// The directory cannot be created, or a file in it.
pub fn manuals(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(documented(), directory)
}
