//! README.md is short, and matches the program. [`super::install_path`] runs its installation.

use std::collections::BTreeSet;

use flagger_jira_bridge::config::EXAMPLE;

use crate::{docs::page::page, world::program};

/// A first screen, not a manual.
#[test]
fn it_is_short() {
    let words = page("README.md").text.split_whitespace().count();
    assert!(words < 1500, "{words} words");
}

/// It begins with what the bridge does, shows it, and only then explains it.
#[test]
fn it_begins_with_what_the_bridge_does() {
    let text = page("README.md").text;
    let order = [
        "rollout waits until a person has approved",
        "```mermaid",
        "](docs/ticket.png)",
        "](docs/status-page.png)",
        "cargo run -- demo",
        "The first build takes some minutes",
        "## Is it for you?",
        "## Install",
        "## What approvers see",
        "## Find my ticket",
        "## Guarantees",
        "## Guides",
    ];
    let at: Vec<usize> =
        order.iter().map(|words| text.find(words).unwrap_or_else(|| panic!("{words}"))).collect();
    assert!(at.is_sorted(), "{at:?}");
    let guarantees = text.split_once("## Guarantees").unwrap().1.split("\n## ").next().unwrap();
    assert_eq!(guarantees.matches("\n- **").count(), 5);
}

/// Every command in the README exists, with its options.
#[test]
fn commands_exist() {
    let readme = page("README.md");
    let all = readme.blocks("sh").into_iter().chain(readme.inline());
    let mut named = BTreeSet::new();
    for line in all.collect::<Vec<_>>().iter().flat_map(|code| code.lines()) {
        let line = line.replace("cargo run -- ", "flagger-jira-bridge ");
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        for at in 0..words.len().saturating_sub(1) {
            let command = words[at + 1];
            if words[at] != "flagger-jira-bridge" || !command.chars().all(char::is_alphabetic) {
                continue;
            }
            let (code, help, _) = program::run(&[command, "--help"]);
            assert_eq!(code, Some(0), "{command}");
            named.insert(command.to_owned());
            for option in words[at + 2..].iter().filter(|word| word.starts_with('-')) {
                assert!(help.contains(option), "{command} has no {option}");
            }
        }
    }
    assert_eq!(named, ["check", "config", "demo", "gates"].map(str::to_owned).into());
    assert_eq!(readme.blocks("sh")[0], "cargo run -- demo\n");
}

#[test]
fn defaults_are_quoted_right() {
    let (defaults, text): (toml::Table, String) = (EXAMPLE.parse().unwrap(), page("README.md").text);
    for (words, section, key, value) in [
        ("unused for 72 hours (`approval.valid_for`)", "approval", "valid_for", "72h"),
        ("read in the last 10 minutes (`jira.trust_for`)", "jira", "trust_for", "10m"),
        ("up to 20 seconds later", "jira", "poll_every", "20s"),
    ] {
        assert!(text.contains(words), "{words}");
        assert_eq!(defaults[section][key].as_str(), Some(value), "{words}");
    }
}
