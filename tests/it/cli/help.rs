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
    insta::assert_snapshot!(help, @r"
    Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else does

    Usage: flagger-jira-bridge [OPTIONS] <COMMAND>

    Commands:
      serve        Run the bridge until it is stopped
      check        Test the configuration against the real Jira, without changing anything
      demo         Try it: a simulated Jira to click around in, a simulated Flagger, and the bridge between them
      gates        Show what waits, for which ticket, since when, and why
      config       Print the settings in force: the defaults, the file and the environment, with all secrets hidden
      audit        Print the record of who decided what, on which evidence; or verify that nobody changed it
      completions  Print the completion script of a shell
      man          Print the manual page, or write the pages of all commands to a directory
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options of every command:
      -c, --config <FILE>
              The configuration, if the command reads one. Keys are also variables: BRIDGE__JIRA__TOKEN sets jira.token

              [env: BRIDGE_CONFIG=]
              [default: config.toml]

          --log-format <FORMAT>
              The format of the log, which goes to standard error. RUST_LOG sets its level, such as warn or debug

              Possible values:
              - text: For people
              - json: One JSON object per line

              [env: BRIDGE_LOG_FORMAT=]
              [default: text]

    Start with demo: it needs nothing. Then write a config.toml, and test it with check before you run serve.
    ");
}

#[test]
fn of_each_command() {
    insta::assert_snapshot!(own("serve"), @"
    Run the bridge until it is stopped

    It listens for Flagger (server.gate_listen), for Jira's webhook (server.webhook_listen) and for people
    (server.admin_listen). It starts without Jira or database; gates stay closed until it reaches both.
    On SIGTERM or SIGINT it finishes the work in progress and ends.

    Exit code: 0 if a signal stopped it, 1 if a task failed or a port is in use, 2 if the configuration is wrong.

    Usage: flagger-jira-bridge serve [OPTIONS]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("check"), @"
    Test the configuration against the real Jira, without changing anything

    Each line is ok, warn or FAIL, names the key to edit, and says what to put there. A line that begins with FAIL
    must be fixed before serve can open a ticket or a gate.

    Exit code: 0 if nothing failed, 1 if something did, 2 if the configuration cannot be read.

    Usage: flagger-jira-bridge check [OPTIONS]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("config"), @r"
    Print the settings in force: the defaults, the file and the environment, with all secrets hidden

    The output is a configuration that serve accepts. A comment after each value says where it comes from.

    Exit code: 0 if the configuration is right, 2 if it is wrong.

    Usage: flagger-jira-bridge config [OPTIONS]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("demo"), @"
    Try it: a simulated Jira to click around in, a simulated Flagger, and the bridge between them

    Everything listens on loopback only, and nothing is kept afterwards. It needs no configuration. With --jira-only it
    prints one for check and serve in a second terminal.

    Exit code: 0 if everything worked or Ctrl-C ended it, 1 if a story went wrong or a port is taken.

    Usage: flagger-jira-bridge demo [OPTIONS]

    Options:
          --auto
              Play every story without clicks, and exit

          --jira-only
              Simulate only Jira, for check and serve in a second terminal, and print a config.toml that keeps working

          --kind <KIND>
              Which kind of Jira to simulate

              Possible values:
              - cloud:       REST v3, with an e-mail and an API token
              - data-center: REST v2, with a personal access token

              [default: cloud]

          --port <PORT>
              The port of Jira, on loopback: 18070 with --jira-only, otherwise a free one. The demo's bridge takes the
              three ports after it: status page, Flagger, Jira's webhook

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("gates"), @r"
    Show what waits, for which ticket, since when, and why

    Below the gates it lists recently refused hooks, and what to change (not with --json or --watch).

    Asks the running bridge: the one that --admin names, else the one of server.admin_listen if there is a
    configuration, else the one at http://127.0.0.1:9090. On a terminal it is coloured (unless NO_COLOR is set) and
    shows each ticket's address.

    Exit code: 0 if the bridge answered, 1 if not, 2 if the configuration cannot be read.

    Usage: flagger-jira-bridge gates [OPTIONS]

    Options:
          --json
              Print the bridge's answer, one JSON array

          --unguarded
              Show the Canaries that ask for no approval, instead of the gates

          --watch [<SECONDS>]
              Ask again every so many seconds (default 2) until Ctrl-C. Redraws a terminal, prints only changes to a pipe

          --namespace <NAME>
              Only this namespace

          --canary <NAME>
              Only canaries with this name

          --cluster <NAME>
              Only this cluster

          --state <STATE>
              Only gates in this state, such as waiting or not_allowed

          --older-than <AGE>
              Only gates that Flagger first asked about at least this long ago: a whole number with s, m, h or d, such as 4h

          --group <BY>
              One line for each cluster, namespace or state, instead of one for each gate

              Possible values:
              - cluster:   One line for each cluster
              - namespace: One line for each namespace of each cluster
              - state:     One line for each state

          --admin <URL>
              The address of the bridge, if the configuration does not say it

              [env: BRIDGE_ADMIN]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("audit"), @r"
    Print the record of who decided what, on which evidence; or verify that nobody changed it

    Reads the database that store.url names, whether or not a bridge runs.

    Exit code: 0 if all is well, 1 if it cannot be read or was changed, 2 if the configuration is wrong.

    Usage: flagger-jira-bridge audit [OPTIONS]

    Options:
          --since <AGE>
              Only rows no older than this: a whole number with s, m, h or d, such as 30d

          --format <FORMAT>
              The output format

              Possible values:
              - jsonl: One JSON object per line, with all the evidence
              - csv:   A table for a spreadsheet, with a column for each fact

              [default: jsonl]

          --ticket <KEY>
              Only what concerns this ticket

          --canary <NAME>
              Only what concerns canaries with this name

          --namespace <NAME>
              Only what concerns canaries of this namespace

          --cluster <NAME>
              Only what concerns canaries of this cluster

          --verify
              Check that no row was changed, removed, inserted or moved since it was written

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("completions"), @"
    Print the completion script of a shell

    Save it where your shell looks for completions:

    bash: ~/.local/share/bash-completion/completions/flagger-jira-bridge

    zsh: _flagger-jira-bridge, in a directory of $fpath

    fish: ~/.config/fish/completions/flagger-jira-bridge.fish

    Usage: flagger-jira-bridge completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>
              The shell

              [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    insta::assert_snapshot!(own("man"), @"
    Print the manual page, or write the pages of all commands to a directory

    To read it: flagger-jira-bridge man | man -l -

    Exit code: 0 if it was written, 1 if not.

    Usage: flagger-jira-bridge man [OPTIONS] [DIRECTORY]

    Arguments:
      [DIRECTORY]
              Write the pages to this directory, one for each command. It is created if it does not exist

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
}
