//! Randomly changed configurations: nothing panics, every problem is one line with its key, no secret is shown.

use super::*;
use crate::mutation::{Change, changes, garbled};

const SECRET: &str = "Tr0ub4dor&3";

/// The example with its required keys set, and a secret wherever one is possible.
fn complete() -> String {
    let mut text = String::new();
    let mut given = Vec::new();
    for line in EXAMPLE.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split(['=', ' ']).next().unwrap_or_default();
        if line.starts_with('[') {
            given.clear();
        }
        let line = match key {
            "token_file" | "webhook_secret_file" => {
                let key = key.trim_end_matches("_file");
                if given.contains(&key) {
                    continue;
                }
                given.push(key);
                format!("{key} = \"{SECRET}\"")
            }
            "user" | "project" => bare.to_owned(),
            "url" if bare.contains("https") => bare.to_owned(),
            _ => line.to_owned(),
        };
        writeln!(text, "{line}").unwrap();
    }
    text
}

/// Values of other kinds than expected.
const UNEXPECTED_VALUES: [&str; 20] = [
    "",
    "0",
    "-1",
    "1.5",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[1]",
    "\"20s\"",
    "\"\\u0000\\n\"",
    "9223372036854775807",
    "\"{{ canary\"",
    "\"{% for x in [1] %}{{ x }}{% endfor %}\"",
    "{ to = 1 }",
    "[[\"a\"]]",
    "1979-05-27",
    "nan",
    "\"[a\"",
    "\"https://x:y@z/?q#f\"",
];

/// Some lines removed, repeated, or with another key or value.
fn edited(text: &str, edits: &[Change]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (place, how, with) in edits {
        let at = usize::from(*place) % lines.len();
        let line = lines[at].clone();
        match (how % 6, line.split_once(" = ")) {
            (0, _) => lines[at].clear(),
            (1, _) => lines.insert(at, line),
            (2, Some((key, value))) => lines[at] = format!("{}x = {value}", key.trim_end()),
            // A secret of the wrong kind is still a secret.
            (_, Some((key, _))) if key.starts_with("token") || key.starts_with("webhook_secret") => {
                let shapes = [
                    format!("[\"{SECRET}\"]"),
                    format!("{{ x = \"{SECRET}\" }}"),
                    format!("\"{SECRET}"),
                    "7".into(),
                ];
                lines[at] = format!("{key} = {}", shapes[usize::from(*with) % shapes.len()]);
            }
            (_, Some((key, _))) => {
                lines[at] =
                    format!("{key} = {}", UNEXPECTED_VALUES[usize::from(*with) % UNEXPECTED_VALUES.len()])
            }
            (_, None) => {}
        }
    }
    lines.join("\n")
}

const VARIABLES: [&str; 16] = [
    "BRIDGE__JIRA__TOKEN",
    "BRIDGE__JIRA__WEBHOOK_SECRET",
    "BRIDGE__FLAGGER__TOKEN",
    "BRIDGE__JIRA__BURST",
    "BRIDGE__JIRA__TIMEOUT",
    "BRIDGE__ROUTES",
    "BRIDGE__TICKET__FIELDS__fixVersions",
    "BRIDGE__TICKET__LABELS",
    "BRIDGE__TICKET__TRANSITIONS__SUCCEEDED",
    "BRIDGE__SERVER__TLS",
    "BRIDGE__FLAGGER__CLUSTERS",
    "BRIDGE__",
    "BRIDGE__JIRA",
    "BRIDGE__JIRA__TOKEN__X",
    "BRIDGE_JIRA__TOKEN",
    "BRIDGE__TICKET__STATUSES__APPROVED",
];

fn check(read: Result<Config, Problems>) -> bool {
    let shown = match &read {
        Ok(config) => format!("{config:?}"),
        Err(problems) => {
            assert!(!problems.0.is_empty());
            assert_eq!(problems.to_string().lines().count(), problems.0.len(), "{problems}");
            assert!(
                problems.0.iter().all(|problem| !problem.key.is_empty() && !problem.what.is_empty()),
                "{problems}"
            );
            format!("{problems} {problems:?}")
        }
    };
    assert!(!shown.contains(SECRET), "{shown}");
    read.is_ok()
}

#[test]
fn the_unchanged_configuration_is_valid() {
    assert!(check(read(&complete(), &[])), "{:?}", read(&complete(), &[]));
}

proptest! {
    #[test]
    fn a_changed_file_is_read_or_every_problem_reported(
        edits in changes(0..6), variables in proptest::collection::vec((0..VARIABLES.len(), 0..UNEXPECTED_VALUES.len() + 1), 0..3),
    ) {
        let value = |at: usize| UNEXPECTED_VALUES.get(at).copied().unwrap_or(SECRET);
        let secret = |name: &str| name.ends_with("TOKEN") || name.ends_with("SECRET");
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, at)| (VARIABLES[*name], if secret(VARIABLES[*name]) { value(*at) } else { value(at % UNEXPECTED_VALUES.len()) }))
            .collect();
        check(read(&edited(&complete(), &edits), &variables));
    }

    /// Changes bytes anywhere. The secrets are taken out before, because a change could move them to another key.
    #[test]
    fn a_garbled_file_is_read_or_refused(bytes in changes(1..5)) {
        let text = garbled(&complete().replace(SECRET, "x"), &bytes);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        check(load(file.path(), []));
    }

    #[test]
    fn durations(number in prop_oneof![any::<u64>(), 0..1_000_000_u64], unit in "ms|s|m|h|d|", text in "\\PC{0,8}") {
        let _ = parse_duration(&text);
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let millis = units.iter().find(|(name, _)| *name == unit).map(|(_, millis)| u128::from(number) * millis);
        let right = millis.filter(|millis| (1..=36_500 * 86_400_000).contains(millis));
        prop_assert_eq!(parse_duration(&format!("{number}{unit}")).ok().map(|it| it.as_millis()), right);
    }
}
