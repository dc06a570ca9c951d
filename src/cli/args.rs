//! The commands of the program and their options.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValue};

use crate::{config, jira::Kind};

/// Opens Flagger's gates from Jira. One approval opens one gate of one rollout, and nothing else ever opens a gate.
#[derive(Clone, Debug, Parser)]
#[command(name = "flagger-jira-bridge", version, about, propagate_version = true)]
#[command(
    after_help = "Begin with demo: it needs nothing. Then write a config.toml, and let check prove it before serve runs."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration, for serve, check and audit. Each key is also a variable: BRIDGE__JIRA__TOKEN is jira.token.
    #[arg(
        short,
        long,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        value_name = "FILE",
        env = "BRIDGE_CONFIG",
        default_value = "config.toml"
    )]
    pub config: PathBuf,
    /// How the log is written, to standard error. RUST_LOG says how much of it: warn, or debug.
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        value_name = "FORMAT",
        env = "BRIDGE_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// The heading of the options that every command takes.
const GLOBAL_OPTIONS: &str = "Options of every command";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the bridge until it is stopped
    ///
    /// It listens for Flagger (server.gate_listen), for Jira's webhook (server.webhook_listen) and for people
    /// (server.admin_listen), and starts without Jira or database: gates stay closed until both are there.
    /// SIGTERM or SIGINT ends it once the work in progress is finished.
    ///
    /// Exit code: 0 if a signal stopped it, 1 if a task died or a port is taken, 2 if the configuration is wrong.
    #[command(verbatim_doc_comment)]
    Serve,
    /// Prove the configuration against the real Jira, changing nothing
    ///
    /// Each line is ok, warn or FAIL, names the key to edit, and says what to put there. A line that begins with FAIL
    /// has to be fixed before serve can open a ticket or a gate.
    ///
    /// Exit code: 0 if nothing failed, 1 if something did, 2 if the configuration cannot be read.
    #[command(verbatim_doc_comment)]
    Check,
    /// Try it out: a Jira to click in, a simulated Flagger, and the bridge between them
    ///
    /// Everything listens on loopback only and is gone afterwards. It needs no configuration, and prints one with
    /// which check and serve work in a second terminal.
    ///
    /// Exit code: 0 if all went right, 1 otherwise.
    #[command(verbatim_doc_comment)]
    Demo(Demo),
    /// Show what waits, for which ticket, since when, and why
    ///
    /// Below the gates it lists recently refused hooks, and what to change (not with --json or --watch).
    ///
    /// Asks the running bridge, and needs no configuration. On a terminal it is coloured (unless NO_COLOR is set) and
    /// shows where each ticket can be read.
    ///
    /// Exit code: 0 if the bridge answered, 1 if it cannot be asked.
    #[command(verbatim_doc_comment)]
    Gates(Gates),
    /// Print the record of what was decided, by whom, on which evidence; or check that it was not changed
    ///
    /// Reads the database that store.url names, whether or not a bridge runs.
    ///
    /// Exit code: 0 if all is well, 1 if it cannot be read or was changed, 2 if the configuration is wrong.
    #[command(verbatim_doc_comment)]
    Audit(Audit),
}

/// The options of `demo`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Demo {
    /// Play every story without user input, and exit: 0 if all went right, 1 otherwise
    #[arg(long)]
    pub auto: bool,
    /// Play only Jira, for check and serve in a second terminal; prints a config.toml that stays right
    #[arg(long, conflicts_with = "auto")]
    pub jira_only: bool,
    /// Which Jira is played
    #[arg(long, value_name = "KIND", default_value = "cloud", requires = "jira_only")]
    pub kind: Kind,
    /// The port of Jira, on loopback
    #[arg(long, value_name = "PORT", default_value_t = 18_070, requires = "jira_only")]
    pub port: u16,
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Cloud => "REST v3, with an e-mail and an API token",
            Self::DataCenter => "REST v2, with a personal access token",
        };
        Some(PossibleValue::new(self.config_name()).help(help))
    }
}

/// The options of `gates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Gates {
    /// Print what the bridge answers: one JSON array
    #[arg(long)]
    pub json: bool,
    /// Show the Canaries that ask nobody, in place of the gates
    #[arg(long)]
    pub unguarded: bool,
    /// Ask again every so many seconds (2 if left out) until Ctrl-C. A terminal is redrawn, a pipe gets what changed
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        conflicts_with_all = ["json", "unguarded"]
    )]
    pub watch: Option<u64>,
    /// Only those of this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Only those of canaries with this name
    #[arg(long, value_name = "NAME")]
    pub canary: Option<String>,
    /// The address of the bridge: its server.admin_listen
    #[arg(
        long,
        value_name = "URL",
        env = "BRIDGE_ADMIN",
        hide_env_values = true,
        default_value = "http://127.0.0.1:9090"
    )]
    pub admin: String,
}

impl Gates {
    /// Prints all gates of the bridge at this admin address once, as a table.
    #[must_use]
    pub fn of(admin: &str) -> Self {
        Self { admin: admin.to_owned(), ..Self::default() }
    }

    /// Whether the options select the gates of this canary.
    pub(super) fn selects(&self, namespace: &str, canary: &str) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        is(&self.namespace, namespace) && is(&self.canary, canary)
    }
}

/// The options of `audit`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Audit {
    /// Only what is not older than this: a whole number with s, m, h or d, such as 30d
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
        let demo = |auto, jira_only, kind, port| Command::Demo(Demo { auto, jira_only, kind, port });
        assert_eq!(command("b demo").unwrap(), demo(false, false, Kind::Cloud, 18_070));
        assert_eq!(command("b demo --auto").unwrap(), demo(true, false, Kind::Cloud, 18_070));
        assert_eq!(
            command("b demo --jira-only --kind data-center --port 8070").unwrap(),
            demo(false, true, Kind::DataCenter, 8070)
        );
        let near = Gates::of("http://127.0.0.1:9090");
        assert_eq!(command("b gates").unwrap(), Command::Gates(near.clone()));
        let there = Gates { json: true, ..Gates::of("http://x:1") };
        assert_eq!(command("b gates --json --admin http://x:1").unwrap(), Command::Gates(there));
        for (line, seconds) in [("b gates --watch", 2), ("b gates --watch 30", 30)] {
            let watched = Gates { watch: Some(seconds), ..near.clone() };
            assert_eq!(command(line).unwrap(), Command::Gates(watched));
        }
        let some = Gates { namespace: Some("shop".into()), canary: Some("web".into()), ..near };
        assert_eq!(command("b gates --namespace shop --canary web").unwrap(), Command::Gates(some));
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
            "b demo --auto --jira-only",
            "b demo --kind cloud",
            "b demo --jira-only --kind server",
            "b gates --watch 0",
            "b gates --watch --json",
            "b audit --since 3",
            "b audit --format xml",
            "b audit --verify --since 3d",
            "b audit --verify --format csv",
        ] {
            assert_eq!(command(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
