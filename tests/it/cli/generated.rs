//! The completion scripts and manual pages that the program prints.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use clap::CommandFactory as _;
use flagger_jira_bridge::cli::Cli;

use crate::world::program::{program, run};

/// Runs a program with this input and returns what it printed to standard output; `None` if it is not installed here.
/// It must succeed without a warning.
fn piped(name: &str, arguments: &[&str], input: &str) -> Option<String> {
    let spawned = Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!("SKIPPED: {name} is not installed here");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && warnings.is_empty(), "{name}: {:?}: {warnings}", output.status);
    Some(String::from_utf8(output.stdout).unwrap())
}

fn script(shell: &str) -> String {
    let (code, script, errors) = run(&["completions", shell]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{shell}");
    script
}

/// The names of the commands.
fn commands() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn completions_parse_in_their_shells() {
    for (shell, arguments) in
        [("bash", vec!["-n"]), ("zsh", vec!["-n"]), ("fish", vec!["--no-execute", "/dev/stdin"])]
    {
        let script = script(shell);
        for command in commands() {
            assert!(script.contains(&command), "{shell} completes {command}");
        }
        piped(shell, &arguments, &script);
    }
    for shell in ["elvish", "powershell"] {
        assert!(script(shell).contains("--jira-only"), "{shell}");
    }
}

/// What bash offers for the last of these words.
fn offers(words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let mut asking = script("bash");
    let function = asking.split("complete -F ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let (line, word, before) = (quoted.join(" "), words[last], words[last - 1]);
    asking += &format!("\nCOMP_WORDS=({line})\nCOMP_CWORD={last}\n");
    asking += &format!("{function} flagger-jira-bridge '{word}' '{before}'\n");
    asking += "printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    let printed = piped("bash", &["--norc"], &asking).expect("bash is installed");
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(offers(&["flagger-jira-bridge", "g"]), ["gates"]);
    assert_eq!(offers(&["flagger-jira-bridge", "audit", "--form"]), ["--format"]);
    assert_eq!(offers(&["flagger-jira-bridge", "demo", "--kind", ""]), ["cloud", "data-center"]);
    assert_eq!(
        offers(&["flagger-jira-bridge", "completions", ""]).last().map(String::as_str),
        Some("zsh"),
        "shells are offered, too"
    );
}

#[test]
fn the_manual_names_every_command_and_no_value_of_the_environment() {
    let output = program().arg("man").env("BRIDGE_CONFIG", "/secret/place.toml").output().unwrap();
    assert!(output.status.success());
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains(".TH flagger-jira-bridge 1"), "{page}");
    assert!(page.contains("<\\fIcommand\\fR>"), "{page}");
    assert!(page.contains("BRIDGE_CONFIG") && !page.contains("/secret/place"), "{page}");
    for command in commands() {
        assert!(page.contains(&format!("flagger\\-jira\\-bridge\\-{command}(1)")), "{command}: {page}");
    }
    if let Some(shown) = piped("man", &["--warnings", "--local-file", "-"], &page) {
        assert!(shown.contains("the configuration against the real Jira"), "{shown}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("share/man/man1");
    let (code, printed, errors) = run(&["man", directory.to_str().unwrap()]);
    assert_eq!((code, printed.as_str(), errors.as_str()), (Some(0), "", ""));
    let mut expected: Vec<String> =
        commands().iter().map(|command| format!("flagger-jira-bridge-{command}.1")).collect();
    expected.push("flagger-jira-bridge.1".to_owned());
    expected.sort();
    let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        entries.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, expected);
    for name in names {
        let page = fs::read_to_string(directory.join(&name)).unwrap();
        piped("man", &["--warnings", "--local-file", "-"], &page);
    }

    // A file is no directory.
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let (code, _, errors) = run(&["man", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    let expected = format!(
        "flagger-jira-bridge: cannot write manual pages to {}: File exists (os error 17)\n",
        file.display()
    );
    assert_eq!(errors, expected);
}
