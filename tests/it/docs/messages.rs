//! docs/messages.md lists what the program says: every line of the log, to the letter, and the other way round; and every
//! reason, error and comment.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const LIST: &str = include_str!("../../../docs/messages.md");

/// Where words for people stand, beside the log.
const SOURCES: [&str; 45] = [
    "cli/audit.rs",
    "cli/gates/api.rs",
    "cli/gates/table.rs",
    "flagger.rs",
    "gate/read.rs",
    "gate/see.rs",
    "gatekeeper/answer.rs",
    "gatekeeper/overview.rs",
    "http/app.rs",
    "http/body.rs",
    "http/door.rs",
    "http/flagger.rs",
    "http/jira.rs",
    "http/plain.rs",
    "http/refused/hint.rs",
    "http/status.rs",
    "jira/cause.rs",
    "jira/client.rs",
    "jira/denial.rs",
    "jira/error.rs",
    "jira/people.rs",
    "jira/prove.rs",
    "jira/send.rs",
    "jira/settings.rs",
    "jira/setup.rs",
    "jira/transport.rs",
    "main.rs",
    "pem.rs",
    "policy/judge.rs",
    "policy/statuses.rs",
    "secret.rs",
    "serve.rs",
    "server_url.rs",
    "store/audit/verify.rs",
    "store/connection.rs",
    "store/error.rs",
    "store/files.rs",
    "store/rows.rs",
    "store/volume.rs",
    "ticket/comment.rs",
    "worker/judge.rs",
    "worker/outbox.rs",
    "worker/outbox/create.rs",
    "worker/outbox/duplicates.rs",
    "worker/outbox/update.rs",
];
/// Literals of these files that nobody is told, or that are only a part of what is listed.
const NOT_TOLD: [&str; 22] = [
    // SQL, a header, and a word for another bug.
    "SELECT ",
    "PRAGMA ",
    "SET ",
    "BEGIN",
    "… WHERE ",
    "default-src ",
    "a transaction was left behind",
    // What a log line calls `debug`.
    "that did not work",
    "…; what became of a command is not applied",
    // Parts of Jira's errors that say which answer it was.
    // Why a lint does not apply.
    "of many ",
    "more may be told apart",
    "this is the place that everything goes through",
    "an account without its groups",
    "an account without its id",
    "a project without issue types",
    "roles without their addresses",
    "a role without actors",
    "it has no permissions",
    "must not hold credentials",
    "must begin with https:// and a host",
    // What check says before anything else can be asked.
    "exact until the year",
    "cannot set up TLS",
];

/// The string literals of some code, and what stands before each.
fn literals(code: &str) -> Vec<(&str, String)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            // A character that is a quotation mark.
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

/// As it is listed: one line, `…` for what is put in.
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
    // `…` after a space that the next literal would have begun with.
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

/// The sentences of `tracing::error!`, `warn!` and `info!` in some code, each with its level: of the macro's arguments the
/// literal that is one by itself.
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

/// The first column of the tables of a section, which ends where one of the same level begins.
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
fn literals_are_read_right() {
    let code = "warn!(canary = %id, key = format!(\"{a}\"), \"{error}; it is \\\n      \\\"late\\\" {}{x:?}\"); // \"no\"\nlet q = '\"';";
    let found: Vec<String> = literals(code).iter().map(|(_, literal)| listed(literal)).collect();
    assert_eq!(found, ["…", "…; it is \"late\" …"]);
    let code = "tracing::warn!(path, %why, error = format!(\"{error:#}\"), \"it is so\"); tracing::info!(\"b {c}\");";
    let found: Vec<(&str, String)> = logged(code).into_iter().collect();
    assert_eq!(found, [("info", "b …".to_owned()), ("warn", "it is so".to_owned())]);
}

/// Both ways.
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
        assert!(gone.is_empty(), "docs/messages.md, {heading}, lists what nobody says: {gone:#?}");
    }
}

/// Whether a listed text means these words: it is the same, or their beginning and `…`.
fn means(listed: &str, words: &str) -> bool {
    listed == words
        || listed.strip_suffix('…').is_some_and(|start| start.len() >= 12 && words.starts_with(start))
}

/// Every sentence of the files where words for people stand; and whatever is listed is said there.
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
        .filter(|(_, words)| !NOT_TOLD.iter().any(|start| words.starts_with(start)))
        .filter(|(_, words)| !spans.iter().any(|span| means(span, words)))
        .collect();
    assert!(missing.is_empty(), "docs/messages.md misses {missing:#?}");
    let mut listed = 0;
    for heading in [
        "## Why a gate is closed",
        "## What is wrong with a request",
        "## Errors of Jira",
        "## Errors of the database",
        "## What is parked",
        "## What a ticket is told",
        "## What commands say",
    ] {
        for text in column(heading) {
            assert!(said.iter().any(|(_, words)| means(&text, words)), "{heading}: nobody says {text:?}");
            listed += 1;
        }
    }
    assert!(listed > 100, "{listed}");
}
