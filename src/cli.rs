//! The command line: what can be asked of the program; `gates`, which asks a running bridge; and `audit`, which reads
//! its database.

mod audit;
mod gates;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::{audit::audit, gates::gates};
use crate::config;

/// Opens Flagger's gates from Jira. One approval opens one gate of one rollout, and nothing else ever opens a gate.
#[derive(Clone, Debug, Parser)]
#[command(name = "flagger-jira-bridge", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration. Any of its keys can be set by environment too: jira.token is BRIDGE__JIRA__TOKEN.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "BRIDGE_CONFIG",
        default_value = "config.toml"
    )]
    pub config: PathBuf,
    /// How the log is written, to standard error. RUST_LOG says how much of it.
    #[arg(long, global = true, value_name = "FORMAT", env = "BRIDGE_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the bridge until it is told to stop
    ///
    /// SIGTERM or SIGINT ends it once what is in hand is finished. It starts without Jira. Exit code 1: a task died;
    /// 2: the configuration is wrong.
    Serve,
    /// Prove the configuration against the real Jira, changing nothing
    ///
    /// Each line is ok, warn or FAIL, and names the key to edit. Exit code 1: something failed; 2: the configuration
    /// is wrong.
    Check,
    /// Try it out: a Jira to click in, a simulated Flagger, and the bridge between them
    ///
    /// Everything listens on loopback only and is gone afterwards. It needs no configuration.
    Demo {
        /// Play every story without anybody clicking, and exit: 0 if all went right, 1 otherwise
        #[arg(long)]
        auto: bool,
    },
    /// Show what waits, for which ticket, since when, and why
    ///
    /// Asks the running bridge. Exit code 1: it cannot be asked.
    Gates {
        /// Print what the bridge answers, as JSON
        #[arg(long)]
        json: bool,
        /// The admin listener of the bridge
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
        admin: String,
    },
    /// Print the record of what was decided, by whom, on which evidence; or check that nobody changed it
    ///
    /// Reads the database of the configuration, whether or not a bridge runs. Exit code 1: it cannot be read, or it was
    /// changed; 2: the configuration is wrong.
    Audit(Audit),
}

/// What is wanted of the record.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Audit {
    /// Only what is not older than this, for example 30d
    #[arg(long, value_name = "AGE", value_parser = age, conflicts_with = "verify")]
    pub since: Option<Duration>,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", conflicts_with = "verify")]
    pub format: AuditFormat,
    /// Check that no row was changed, removed, inserted or moved since it was written
    #[arg(long)]
    pub verify: bool,
}

/// How the record is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// One object a line
    Jsonl,
    /// A line of headings, then one line a row
    Csv,
}

fn age(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).map_err(|what| format!("{text:?} {what}"))
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        for line in ["bridge serve -c x.toml", "bridge -c x.toml serve", "bridge serve --config=x.toml"] {
            let cli = Cli::parse_from(line.split(' '));
            assert_eq!((cli.command, cli.config), (Command::Serve, "x.toml".into()), "{line}");
        }
        let cli = Cli::parse_from(["bridge", "check", "--log-format", "json"]);
        assert_eq!((cli.command, cli.log_format), (Command::Check, LogFormat::Json));
    }

    #[test]
    fn every_command_has_its_own_options() {
        let command = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        assert_eq!(command("b demo").unwrap(), Command::Demo { auto: false });
        assert_eq!(command("b demo --auto").unwrap(), Command::Demo { auto: true });
        let admin = "http://127.0.0.1:9090".to_owned();
        assert_eq!(command("b gates").unwrap(), Command::Gates { json: false, admin });
        let admin = "http://x:1".to_owned();
        assert_eq!(
            command("b gates --json --admin http://x:1").unwrap(),
            Command::Gates { json: true, admin }
        );
        let audit = |since, format, verify| Command::Audit(Audit { since, format, verify });
        assert_eq!(command("b audit").unwrap(), audit(None, AuditFormat::Jsonl, false));
        assert_eq!(command("b audit --verify").unwrap(), audit(None, AuditFormat::Jsonl, true));
        assert_eq!(
            command("b audit --since 2m --format csv").unwrap(),
            audit(Some(Duration::from_secs(120)), AuditFormat::Csv, false)
        );
        for wrong in [
            "b",
            "b nope",
            "b serve --auto",
            "b check --json",
            "b audit --since 3",
            "b audit --format xml",
            "b audit --verify --since 3d",
            "b audit --verify --format csv",
        ] {
            assert_eq!(command(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
