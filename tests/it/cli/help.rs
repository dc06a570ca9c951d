//! The output of `--help`.

use crate::world::program::run;

/// The help of a command, without the common options.
fn own(command: &str) -> String {
    let (code, help, errors) = run(&[command, "--help"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let (own, rest) = help.split_once("Options of every command:\n").unwrap();
    assert!(rest.contains("--config <FILE>") && rest.contains("--log-format <FORMAT>"), "{rest}");
    for line in help.lines() {
        assert!(line.chars().count() <= 120, "too wide: {line}");
    }
    // clap leaves spaces at the ends of lines.
    own.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn of_the_program() {
    let help = run(&["--help"]).1;
    let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    insta::assert_snapshot!(help, @"
    Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else does

    Usage: flagger-jira-bridge [OPTIONS] <COMMAND>

    Commands:
      serve  Run the bridge until it is stopped
      check  Prove the configuration against the real Jira, changing nothing
      demo   Try it out: a Jira to click in, a simulated Flagger, and the bridge between them
      gates  Show what waits, for which ticket, since when, and why
      audit  Print the record of what was decided, by whom, on which evidence; or check that it was not changed
      help   Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options of every command:
      -c, --config <FILE>
              The configuration, for serve, check and audit. Each key is also a variable: BRIDGE__JIRA__TOKEN is jira.token

              [env: BRIDGE_CONFIG=]
              [default: config.toml]

          --log-format <FORMAT>
              How the log is written, to standard error. RUST_LOG says how much of it: warn, or debug

              Possible values:
              - text: For people
              - json: One object a line

              [env: BRIDGE_LOG_FORMAT=]
              [default: text]

    Begin with demo: it needs nothing. Then write a config.toml, and let check prove it before serve runs.
    ");
}

#[test]
fn of_each_command() {
    insta::assert_snapshot!(own("serve"), @"
    Run the bridge until it is stopped

    It listens for Flagger (server.gate_listen), for Jira's webhook (server.webhook_listen) and for people
    (server.admin_listen), and starts without Jira or database: gates stay closed until both are there.
    SIGTERM or SIGINT ends it once the work in progress is finished.

    Exit code: 0 if a signal stopped it, 1 if a task died or a port is taken, 2 if the configuration is wrong.

    Usage: flagger-jira-bridge serve [OPTIONS]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("check"), @"
    Prove the configuration against the real Jira, changing nothing

    Each line is ok, warn or FAIL, names the key to edit, and says what to put there. A line that begins with FAIL
    has to be fixed before serve can open a ticket or a gate.

    Exit code: 0 if nothing failed, 1 if something did, 2 if the configuration cannot be read.

    Usage: flagger-jira-bridge check [OPTIONS]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("demo"), @"
    Try it out: a Jira to click in, a simulated Flagger, and the bridge between them

    Everything listens on loopback only and is gone afterwards. It needs no configuration, and prints one with
    which check and serve work in a second terminal.

    Exit code: 0 if all went right, 1 otherwise.

    Usage: flagger-jira-bridge demo [OPTIONS]

    Options:
          --auto
              Play every story without user input, and exit: 0 if all went right, 1 otherwise

          --jira-only
              Play only Jira, for check and serve in a second terminal; prints a config.toml that stays right

          --kind <KIND>
              Which Jira is played

              Possible values:
              - cloud:       REST v3, with an e-mail and an API token
              - data-center: REST v2, with a personal access token

              [default: cloud]

          --port <PORT>
              The port of Jira, on loopback

              [default: 18070]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("gates"), @"
    Show what waits, for which ticket, since when, and why

    Below the gates it lists recently refused hooks, and what to change (not with --json or --watch).

    Asks the running bridge, and needs no configuration. On a terminal it is coloured (unless NO_COLOR is set) and
    shows where each ticket can be read.

    Exit code: 0 if the bridge answered, 1 if it cannot be asked.

    Usage: flagger-jira-bridge gates [OPTIONS]

    Options:
          --json
              Print what the bridge answers: one JSON array

          --unguarded
              Show the Canaries that ask nobody, in place of the gates

          --watch [<SECONDS>]
              Ask again every so many seconds (2 if left out) until Ctrl-C. A terminal is redrawn, a pipe gets what changed

          --namespace <NAME>
              Only those of this namespace

          --canary <NAME>
              Only those of canaries with this name

          --admin <URL>
              The address of the bridge: its server.admin_listen

              [env: BRIDGE_ADMIN]
              [default: http://127.0.0.1:9090]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("audit"), @"
    Print the record of what was decided, by whom, on which evidence; or check that it was not changed

    Reads the database that store.url names, whether or not a bridge runs.

    Exit code: 0 if all is well, 1 if it cannot be read or was changed, 2 if the configuration is wrong.

    Usage: flagger-jira-bridge audit [OPTIONS]

    Options:
          --since <AGE>
              Only what is not older than this: a whole number with s, m, h or d, such as 30d

          --format <FORMAT>
              How it is printed

              Possible values:
              - jsonl: One object a line
              - csv:   A line of headings, then one line a row

              [default: jsonl]

          --verify
              Check that no row was changed, removed, inserted or moved since it was written

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
}
