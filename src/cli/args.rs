//! The commands of the program and their options.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValue};
use clap_complete::Shell;

use crate::{config, jira::Kind};

/// Opens Flagger's gates from Jira. One approval opens one gate of one rollout, and nothing else ever opens a gate.
#[derive(Clone, Debug, Parser)]
#[command(name = "flagger-jira-bridge", version, about, propagate_version = true)]
#[command(
    after_help = "Start with demo: it needs nothing. Then write a config.toml, and test it with check before you run serve."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration, if the command reads one. Keys are also variables: BRIDGE__JIRA__TOKEN sets jira.token.
    #[arg(
        short,
        long,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        value_name = "FILE",
        env = "BRIDGE_CONFIG",
        default_value = DEFAULT_CONFIG
    )]
    pub config: PathBuf,
    /// The format of the log, which goes to standard error. RUST_LOG sets its level, such as warn or debug.
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

/// The configuration that is used if no other is given.
pub const DEFAULT_CONFIG: &str = "config.toml";

/// The bridge that `gates` asks if neither an option nor a configuration names one.
pub(super) const DEFAULT_ADMIN: &str = "http://127.0.0.1:9090";

/// The heading of the options that every command takes.
const GLOBAL_OPTIONS: &str = "Options of every command";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the bridge until it is stopped
    ///
    /// It listens for Flagger (server.gate_listen), for Jira's webhook (server.webhook_listen) and for people
    /// (server.admin_listen). It starts without Jira or database; gates stay closed until it reaches both.
    /// On SIGTERM or SIGINT it finishes the work in progress and ends.
    ///
    /// Exit code: 0 if a signal stopped it, 1 if a task failed or a port is in use, 2 if the configuration is wrong.
    #[command(verbatim_doc_comment)]
    Serve,
    /// Test the configuration against the real Jira, without changing anything
    ///
    /// Each line is ok, warn or FAIL, names the key to edit, and says what to put there. A line that begins with FAIL
    /// must be fixed before serve can open a ticket or a gate.
    ///
    /// Exit code: 0 if nothing failed, 1 if something did, 2 if the configuration cannot be read.
    #[command(verbatim_doc_comment)]
    Check,
    /// Try it: a simulated Jira to click around in, a simulated Flagger, and the bridge between them
    ///
    /// Everything listens on loopback only, and nothing is kept afterwards. It needs no configuration. With --jira-only it
    /// prints one for check and serve in a second terminal.
    ///
    /// Exit code: 0 if everything worked or Ctrl-C ended it, 1 if a story went wrong or a port is taken.
    #[command(verbatim_doc_comment)]
    Demo(Demo),
    /// Show what waits, for which ticket, since when, and why
    ///
    /// Below the gates it lists recently refused hooks, and what to change (not with --json or --watch).
    ///
    /// Asks the running bridge: the one that --admin names, else the one of server.admin_listen if there is a
    /// configuration, else the one at http://127.0.0.1:9090. On a terminal it is coloured (unless NO_COLOR is set) and
    /// shows each ticket's address.
    ///
    /// Exit code: 0 if the bridge answered, 1 if not, 2 if the configuration cannot be read.
    #[command(verbatim_doc_comment)]
    Gates(Gates),
    /// Print the settings in force: the defaults, the file and the environment, with all secrets hidden
    ///
    /// The output is a configuration that serve accepts. A comment after each value says where it comes from.
    ///
    /// Exit code: 0 if the configuration is right, 2 if it is wrong.
    #[command(verbatim_doc_comment)]
    Config,
    /// Print the record of who decided what, on which evidence; or verify that nobody changed it
    ///
    /// Reads the database that store.url names, whether or not a bridge runs.
    ///
    /// Exit code: 0 if all is well, 1 if it cannot be read or was changed, 2 if the configuration is wrong.
    #[command(verbatim_doc_comment)]
    Audit(Audit),
    /// Print the completion script of a shell
    ///
    /// Save it where your shell looks for completions:
    ///
    /// bash: ~/.local/share/bash-completion/completions/flagger-jira-bridge
    ///
    /// zsh: _flagger-jira-bridge, in a directory of $fpath
    ///
    /// fish: ~/.config/fish/completions/flagger-jira-bridge.fish
    #[command(verbatim_doc_comment)]
    Completions(Completions),
    /// Print the manual page, or write the pages of all commands to a directory
    ///
    /// To read it: flagger-jira-bridge man | man -l -
    ///
    /// Exit code: 0 if it was written, 1 if not.
    #[command(verbatim_doc_comment)]
    Man(ManPages),
}

/// The options of `demo`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Demo {
    /// Play every story without clicks, and exit
    #[arg(long)]
    pub auto: bool,
    /// Simulate only Jira, for check and serve in a second terminal, and print a config.toml that keeps working
    #[arg(long, conflicts_with = "auto")]
    pub jira_only: bool,
    /// Which kind of Jira to simulate
    #[arg(long, value_name = "KIND", default_value = "cloud", requires = "jira_only")]
    pub kind: Kind,
    /// The port of Jira, on loopback: 18070 with --jira-only, otherwise a free one. The demo's bridge takes the
    /// three ports after it: status page, Flagger, Jira's webhook
    #[arg(long, value_name = "PORT", verbatim_doc_comment)]
    pub port: Option<u16>,
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
    /// Print the bridge's answer, one JSON array
    #[arg(long)]
    pub json: bool,
    /// Show the Canaries that ask for no approval, instead of the gates
    #[arg(long)]
    pub unguarded: bool,
    /// Ask again every so many seconds (default 2) until Ctrl-C. Redraws a terminal, prints only changes to a pipe
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        conflicts_with_all = ["json", "unguarded"]
    )]
    pub watch: Option<u64>,
    /// Only this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Only canaries with this name
    #[arg(long, value_name = "NAME")]
    pub canary: Option<String>,
    /// Only this cluster
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only gates in this state, such as waiting or not_allowed
    #[arg(long, value_name = "STATE", conflicts_with = "unguarded")]
    pub state: Option<String>,
    /// Only gates that Flagger first asked about at least this long ago: a whole number with s, m, h or d, such as 4h
    #[arg(long, value_name = "AGE", value_parser = age, conflicts_with = "unguarded")]
    pub older_than: Option<Duration>,
    /// One line for each cluster, namespace or state, instead of one for each gate
    #[arg(long, value_name = "BY", conflicts_with_all = ["json", "unguarded", "watch"])]
    pub group: Option<GroupBy>,
    /// The address of the bridge, if the configuration does not say it
    #[arg(long, value_name = "URL", env = "BRIDGE_ADMIN", hide_env_values = true)]
    pub admin: Option<String>,
}

impl Gates {
    /// Prints all gates of the bridge at this admin address once, as a table.
    #[must_use]
    pub fn of(admin: &str) -> Self {
        Self { admin: Some(admin.to_owned()), ..Self::default() }
    }

    /// The address of the bridge.
    pub(super) fn admin(&self) -> &str {
        self.admin.as_deref().unwrap_or(DEFAULT_ADMIN)
    }

    /// Whether the options select the gates of this canary. A cluster that is not known may be the wanted one.
    pub(super) fn selects(&self, cluster: Option<&str>, namespace: &str, canary: &str) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        cluster.is_none_or(|cluster| is(&self.cluster, cluster))
            && is(&self.namespace, namespace)
            && is(&self.canary, canary)
    }

    /// Whether the options select gates in this state, which Flagger has been asking about for so long.
    pub(super) fn selects_state(&self, state: &str, age: Option<Duration>) -> bool {
        self.state.as_deref().is_none_or(|wanted| wanted == state)
            && self.older_than.is_none_or(|wanted| age.is_some_and(|age| age >= wanted))
    }

    /// Whether the options leave out gates.
    pub(super) const fn is_narrow(&self) -> bool {
        self.namespace.is_some()
            || self.canary.is_some()
            || self.cluster.is_some()
            || self.state.is_some()
            || self.older_than.is_some()
    }
}

/// By what `gates --group` groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GroupBy {
    /// One line for each cluster
    Cluster,
    /// One line for each namespace of each cluster
    Namespace,
    /// One line for each state
    State,
}

/// The options of `audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Audit {
    /// Only rows no older than this: a whole number with s, m, h or d, such as 30d
    #[arg(long, value_name = "AGE", value_parser = age, conflicts_with = "verify")]
    pub since: Option<Duration>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", conflicts_with = "verify")]
    pub format: AuditFormat,
    /// Only what concerns this ticket
    #[arg(long, value_name = "KEY", conflicts_with = "verify")]
    pub ticket: Option<String>,
    /// Only what concerns canaries with this name
    #[arg(long, value_name = "NAME", conflicts_with = "verify")]
    pub canary: Option<String>,
    /// Only what concerns canaries of this namespace
    #[arg(long, value_name = "NAME", conflicts_with = "verify")]
    pub namespace: Option<String>,
    /// Only what concerns canaries of this cluster
    #[arg(long, value_name = "NAME", conflicts_with = "verify")]
    pub cluster: Option<String>,
    /// Check that no row was changed, removed, inserted or moved since it was written
    #[arg(long)]
    pub verify: bool,
}

/// How the record is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// One JSON object per line, with all the evidence
    #[default]
    Jsonl,
    /// A table for a spreadsheet, with a column for each fact
    Csv,
}

/// The options of `completions`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

/// The options of `man`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ManPages {
    /// Write the pages to this directory, one for each command. It is created if it does not exist
    #[arg(value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
}

fn age(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).map_err(|what| format!("{text:?} {what}"))
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
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
        assert_eq!(command("b demo").unwrap(), demo(false, false, Kind::Cloud, None));
        assert_eq!(command("b demo --auto --port 8070").unwrap(), demo(true, false, Kind::Cloud, Some(8070)));
        assert_eq!(
            command("b demo --jira-only --kind data-center --port 8070").unwrap(),
            demo(false, true, Kind::DataCenter, Some(8070))
        );
        let near = Gates::default();
        assert_eq!(near.admin(), "http://127.0.0.1:9090");
        assert_eq!(command("b gates").unwrap(), Command::Gates(near.clone()));
        let there = Gates { json: true, ..Gates::of("http://x:1") };
        assert_eq!(command("b gates --json --admin http://x:1").unwrap(), Command::Gates(there));
        for (line, seconds) in [("b gates --watch", 2), ("b gates --watch 30", 30)] {
            let watched = Gates { watch: Some(seconds), ..near.clone() };
            assert_eq!(command(line).unwrap(), Command::Gates(watched));
        }
        let some = Gates { namespace: Some("shop".into()), canary: Some("web".into()), ..near };
        assert_eq!(command("b gates --namespace shop --canary web").unwrap(), Command::Gates(some));
        let audit =
            |since, format, verify| Command::Audit(Audit { since, format, verify, ..Audit::default() });
        assert_eq!(command("b audit").unwrap(), audit(None, AuditFormat::Jsonl, false));
        assert_eq!(command("b audit --verify").unwrap(), audit(None, AuditFormat::Jsonl, true));
        assert_eq!(
            command("b audit --since 2m --format csv").unwrap(),
            audit(Some(Duration::from_secs(120)), AuditFormat::Csv, false)
        );
        let about = Audit {
            ticket: Some("OPS-1".into()),
            canary: Some("cart".into()),
            namespace: Some("shop".into()),
            cluster: Some("eu".into()),
            ..Audit::default()
        };
        assert_eq!(
            command("b audit --ticket OPS-1 --canary cart --namespace shop --cluster eu").unwrap(),
            Command::Audit(about)
        );
        let completions = |shell| Command::Completions(Completions { shell });
        assert_eq!(command("b completions bash").unwrap(), completions(Shell::Bash));
        assert_eq!(command("b completions zsh").unwrap(), completions(Shell::Zsh));
        let man = |directory: Option<&str>| Command::Man(ManPages { directory: directory.map(Into::into) });
        assert_eq!(command("b man").unwrap(), man(None));
        assert_eq!(command("b man /usr/share/man/man1").unwrap(), man(Some("/usr/share/man/man1")));
        for wrong in [
            "b",
            "b nope",
            "b completions",
            "b completions csh",
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
            "b audit --verify --ticket OPS-1",
            "b audit --verify --canary cart",
        ] {
            assert_eq!(command(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
