//! docs/messages.md lists every log line exactly, and no other; and every reason, error and comment.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const LIST: &str = include_str!("../../../docs/messages.md");

/// The sources with texts for people, besides the log.
const SOURCES: [&str; 75] = [
    "cli/audit.rs",
    "cli/gates/api.rs",
    "cli/gates/table.rs",
    "cli/gates/unguarded.rs",
    "flagger.rs",
    "gate/after_snapshot.rs",
    "gate/desk_approval.rs",
    "gate/existing.rs",
    "gate/interpret.rs",
    "gate/exception.rs",
    "gate/approval_steps.rs",
    "gatekeeper/answer.rs",
    "gatekeeper/answer/reason.rs",
    "gatekeeper/answer/steps.rs",
    "gatekeeper/answer/time_limit.rs",
    "gatekeeper/overview.rs",
    "http/app.rs",
    "http/body.rs",
    "http/admission.rs",
    "http/flagger.rs",
    "http/flagger/call.rs",
    "http/jira.rs",
    "http/plain.rs",
    "http/refused_calls/hint.rs",
    "http/status.rs",
    "http/status/jira_health.rs",
    "jira/cause.rs",
    "jira/client.rs",
    "jira/denial.rs",
    "jira/error.rs",
    "jira/field_value.rs",
    "jira/oauth.rs",
    "jira/people.rs",
    "jira/authenticate.rs",
    "jira/send.rs",
    "jira/settings.rs",
    "jira/setup.rs",
    "jira/transport.rs",
    "main.rs",
    "notify/notifier.rs",
    "pem.rs",
    "policy/judge.rs",
    "policy/schedule/closed.rs",
    "policy/schedule/planned.rs",
    "policy/statuses.rs",
    "rollout/command.rs",
    "secret.rs",
    "serve.rs",
    "server_url.rs",
    "store/audit/verify.rs",
    "store/connection.rs",
    "store/error.rs",
    "store/files.rs",
    "store/rows.rs",
    "store/volume.rs",
    "ticket/bypass.rs",
    "ticket/comment.rs",
    "ticket/comment/ending.rs",
    "ticket/comment/rules.rs",
    "ticket/comment/steps.rs",
    "ticket/comment/time_limit.rs",
    "ticket/words.rs",
    "ticket/event_note.rs",
    "ticket/reminder.rs",
    "ticket/taken.rs",
    "worker/desk.rs",
    "worker/judge.rs",
    "worker/outbox.rs",
    "worker/outbox/settle.rs",
    "worker/outbox/parked.rs",
    "worker/outbox/create.rs",
    "worker/outbox/duplicates.rs",
    "worker/outbox/time_out.rs",
    "worker/outbox/take.rs",
    "worker/outbox/update.rs",
];
/// Literals of these files that are no messages, or only a part of a listed one.
const NOT_LISTED: [&str; 30] = [
    // SQL, a header, and the text of an internal error.
    "SELECT ",
    "PRAGMA ",
    "SET ",
    "BEGIN",
    "… WHERE ",
    "default-src ",
    "a transaction was left behind",
    // The format of a moment.
    "%H:%M ",
    // Messages at level `debug`.
    "this is tried again later",
    "…; what became of a command is not applied",
    // Reasons of lint attributes.
    "only some ",
    "later versions may add variants",
    "every request is sent here",
    "the token endpoint is not Jira",
    "a channel is not Jira",
    // Parts of Jira's errors that name the faulty answer.
    "an account without its groups",
    "an account without its id",
    "a project without issue types",
    "roles without their addresses",
    "a role without actors",
    "it has no permissions",
    "is not a URL: ",
    "jira.oauth.… is not a URL: …",
    "must not hold credentials",
    "must begin with https:// and a host",
    // Examples of values.
    "a number without",
    "a day such as",
    "a time such as",
    // Early errors of `check`.
    "exact until the year",
    "cannot set up TLS",
];

/// The string literals of some code, each with the code before it.
fn literals(code: &str) -> Vec<(&str, String)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            // A character literal that is a quotation mark.
            b'\'' if code[at..].starts_with("'\"'") || code[at..].starts_with("'\\\"'") => at += 3,
            b'/' if code[at..].starts_with("//") => {
                at += code[at..].find('\n').unwrap_or(code.len() - at);
            }
            b'"' => {
                let start = at + 1;
                at = start;
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                found.push((&code[..start - 1], code[start..at].to_owned()));
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// The listed form of a literal: one line, with `…` for placeholders.
fn listed(literal: &str) -> String {
    let mut text = String::new();
    let mut depth = 0_usize;
    for c in literal.replace("\\\n", " ").replace("\\\"", "\"").replace("\\n", " ").chars() {
        match c {
            '{' if depth == 0 => {
                if !text.ends_with('…') {
                    text.push('…');
                }
                depth = 1;
            }
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            ' ' if text.ends_with(' ') => {}
            _ => text.push(c),
        }
    }
    // Two adjacent placeholders become one.
    text.trim().replace("… …", "…")
}

/// A source without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The messages of `tracing::error!`, `warn!` and `info!` in some code, each with its level: the argument that is a
/// plain string literal.
fn logged(code: &str) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    for level in ["error", "warn", "info"] {
        let call = format!("tracing::{level}!(");
        for (start, _) in code.match_indices(&call) {
            let arguments = &code[start + call.len()..];
            let mut sentences = Vec::new();
            for (before, literal) in literals(arguments) {
                let depth = before.matches('(').count() as i64 - before.matches(')').count() as i64;
                if depth < 0 {
                    break;
                }
                if depth == 0 && (before.trim().is_empty() || before.trim_end().ends_with(',')) {
                    sentences.push(listed(&literal));
                }
            }
            let sentence = sentences.into_iter().next();
            found.insert((level, sentence.unwrap_or_else(|| panic!("no sentence in {:.120}", arguments))));
        }
    }
    found
}

/// The first column of the tables of a section, which ends at the next heading of the same level.
fn column(heading: &str) -> BTreeSet<String> {
    let level = heading.split(' ').next().unwrap();
    let section = LIST.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}")).1;
    let rows = section.lines().take_while(|line| {
        line.split(' ').next().is_none_or(|mark| !mark.starts_with('#') || mark.len() > level.len())
    });
    rows.filter_map(|row| row.strip_prefix("| `")?.split_once("` |"))
        .map(|(first, _)| first.to_owned())
        .collect()
}

#[test]
fn literals_are_parsed_correctly() {
    let code = "warn!(canary = %id, key = format!(\"{a}\"), \"{error}; it is \\\n      \\\"late\\\" {}{x:?}\"); // \"no\"\nlet q = '\"';";
    let found: Vec<String> = literals(code).iter().map(|(_, literal)| listed(literal)).collect();
    assert_eq!(found, ["…", "…; it is \"late\" …"]);
    let code = "tracing::warn!(path, %why, error = format!(\"{error:#}\"), \"it is so\"); tracing::info!(\"b {c}\");";
    let found: Vec<(&str, String)> = logged(code).into_iter().collect();
    assert_eq!(found, [("info", "b …".to_owned()), ("warn", "it is so".to_owned())]);
}

/// Every log line is listed, and every listed line exists.
#[test]
fn every_line_of_the_log_is_listed() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let said: BTreeSet<(&str, String)> = files.iter().flat_map(|path| logged(&code(path))).collect();
    assert!(said.len() > 50, "{said:?}");
    for (level, heading) in [("error", "### Errors"), ("warn", "### Warnings"), ("info", "### Notes")] {
        let said: BTreeSet<String> =
            said.iter().filter(|(at, _)| *at == level).map(|(_, sentence)| sentence.clone()).collect();
        let listed = column(heading);
        let missing: Vec<_> = said.difference(&listed).collect();
        assert!(missing.is_empty(), "docs/messages.md, {heading}, misses {missing:#?}");
        let gone: Vec<_> = listed.difference(&said).collect();
        assert!(gone.is_empty(), "docs/messages.md, {heading}, lists lines that are not logged: {gone:#?}");
    }
}

/// Whether a listed text matches these words: it is equal, or their beginning followed by `…`.
fn matches_listed(listed: &str, words: &str) -> bool {
    listed == words
        || listed.strip_suffix('…').is_some_and(|start| start.len() >= 12 && words.starts_with(start))
}

/// Every text of [`SOURCES`] is listed, and every listed text exists there.
#[test]
fn reasons_errors_and_comments_are_listed() {
    let spans: Vec<&str> = LIST.split('`').skip(1).step_by(2).collect();
    let mut said = Vec::new();
    for file in SOURCES {
        let code = code(&Path::new("src").join(file));
        said.extend(literals(&code).into_iter().map(|(_, literal)| (file, listed(&literal))));
    }
    let missing: Vec<_> = said
        .iter()
        .filter(|(_, words)| words.split(' ').filter(|word| word.contains(char::is_alphabetic)).count() >= 4)
        .filter(|(_, words)| !NOT_LISTED.iter().any(|start| words.starts_with(start)))
        .filter(|(_, words)| !spans.iter().any(|span| matches_listed(span, words)))
        .collect();
    assert!(missing.is_empty(), "docs/messages.md misses {missing:#?}");
    let mut listed = 0;
    for heading in [
        "## Why a gate is closed",
        "## What is wrong with a request",
        "## Errors of Jira",
        "## Errors of the database",
        "## What is parked",
        "## Comments on tickets",
        "## What commands print",
    ] {
        for text in column(heading) {
            assert!(
                said.iter().any(|(_, words)| matches_listed(&text, words)),
                "{heading}: no source contains {text:?}"
            );
            listed += 1;
        }
    }
    assert!(listed > 100, "{listed}");
}
