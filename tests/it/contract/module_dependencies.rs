//! The shape of the code: which module may use which, read from the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The pure core: no I/O, no clock, no async.
const PURE: [&str; 7] = ["millis", "text", "gate", "policy", "rollout", "ticket", "view"];
/// What the pure core may use of others.
const PURE_CRATES: [&str; 6] = ["std", "serde", "globset", "jiff", "minijinja", "sha2"];

/// Which modules each module may use: the map of the project.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("millis", &[]),
    ("view", &["gate", "millis"]),
    ("gate", &["millis", "policy"]),
    ("policy", &[]),
    ("rollout", &["gate", "millis", "policy"]),
    ("ticket", &["gate", "policy", "rollout"]),
    ("clock", &["millis"]),
    ("map", &[]),
    ("watched", &[]),
    ("pem", &[]),
    ("secret", &["watched"]),
    ("database_url", &[]),
    ("server_url", &[]),
    ("metrics", &["gate", "millis"]),
    ("flagger", &["rollout"]),
    ("config", &["database_url", "gate", "policy", "secret", "ticket"]),
    ("store", &["database_url", "gate", "map", "millis", "rollout", "ticket"]),
    ("gatekeeper", &["gate", "metrics", "millis", "policy", "rollout", "store", "ticket", "view"]),
    ("http", &["clock", "config", "flagger", "gate", "gatekeeper", "metrics", "millis", "pem", "rollout", "secret", "text", "view", "watched"]),
    ("jira", &["clock", "gate", "millis", "pem", "policy", "secret", "server_url", "text", "ticket", "watched"]),
    ("worker", &["clock", "gate", "gatekeeper", "jira", "map", "metrics", "millis", "policy", "rollout", "store", "ticket"]),
    ("check", &["clock", "config", "gate", "http", "jira", "millis", "policy", "rollout", "secret", "serve", "store", "ticket"]),
    ("cli", &["clock", "config", "millis", "server_url", "store", "ticket"]),
    ("serve", &["clock", "config", "gatekeeper", "http", "jira", "metrics", "millis", "pem", "store", "worker"]),
    ("demo", &["cli", "clock", "config", "gate", "millis", "serve", "view"]),
];

/// The sources without their tests, by module.
fn sources() -> BTreeMap<String, Vec<(String, String)>> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix("src").unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.ends_with("tests") {
                    walk(&path, found);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code: String = text
                    .split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap()
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .map(|line| format!("{line}\n"))
                    .collect();
                found.push((name, code));
            }
        }
    }
    let mut files = Vec::new();
    walk(Path::new("src"), &mut files);
    let mut modules: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (name, code) in files {
        let module = name.split(['/', '.']).next().unwrap();
        if module != "main" && module != "lib" {
            modules.entry(module.to_owned()).or_default().push((name, code));
        }
    }
    modules
}

/// The modules that `crate::a`, and `crate::{a::b, c}`, name.
fn uses(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0_usize, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && depth == 0 && c.is_alphabetic() => {
                    used.insert(word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    used
}

#[test]
fn uses_are_read_right() {
    let code = "use crate::{\n    a::{b, c},\n    d,\n    e::f::{g::h},\n};\nuse crate::i;\nfn j() { crate::k::l() }";
    assert_eq!(uses(code), ["a", "d", "e", "i", "k"].map(str::to_owned).into());
}

#[test]
fn modules_use_only_what_the_map_allows() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (module, files) in sources() {
        let Some(allowed) = allowed.get(module.as_str()) else {
            wrong.push(format!("{module} is not on the map"));
            continue;
        };
        for (name, code) in files {
            for used in uses(&code) {
                if used != module && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{name} uses {used}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Modules of which no file uses one that uses it.
const WITHOUT_CIRCLES: [&str; 3] = ["cli", "store", "worker"];

/// The paths that a use tree names, like `a::{b, c::d}`.
fn paths(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let (head, group) = tree.split_once('{').map_or((tree, None), |(head, rest)| (head, Some(rest)));
    let names = head.split("::").map(|name| name.split(" as ").next().unwrap().trim());
    let path: Vec<String> =
        before.iter().cloned().chain(names.filter(|name| !name.is_empty()).map(str::to_owned)).collect();
    let Some(group) = group else {
        found.push(path);
        return;
    };
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                if !group[start..at].trim().is_empty() {
                    paths(&group[start..at], &path, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Which files of a module each of its files uses, by its `use` lines.
fn uses_within(files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let module = |name: &str| name.trim_end_matches(".rs").replace('/', "::");
    let all: BTreeSet<String> = files.iter().map(|(name, _)| module(name)).collect();
    let mut used = BTreeMap::new();
    for (name, code) in files {
        let own = module(name);
        let mut named = Vec::new();
        for statement in code.split(';') {
            let Some((before, tree)) = statement.split_once("use ") else { continue };
            let line = before.rsplit('\n').next().unwrap();
            if line.is_empty() || line.starts_with("pub") {
                paths(tree, &[], &mut named);
            }
        }
        let of_own = named.into_iter().filter_map(|path| {
            let mut base: Vec<&str> = own.split("::").collect();
            let mut rest = path.as_slice();
            match rest[0].as_str() {
                "crate" => base.clear(),
                "super" | "self" => {}
                child if all.contains(&format!("{own}::{child}")) => {}
                _ => return None,
            }
            while let Some(first) =
                rest.first().filter(|first| ["crate", "self", "super"].contains(&first.as_str()))
            {
                if first == "super" {
                    base.pop();
                }
                rest = &rest[1..];
            }
            let full: Vec<&str> = base.into_iter().chain(rest.iter().map(String::as_str)).collect();
            (1..=full.len()).rev().map(|length| full[..length].join("::")).find(|file| all.contains(file))
        });
        let others = of_own.filter(|file| *file != own).collect();
        used.insert(own, others);
    }
    used
}

#[test]
fn uses_within_a_module_are_read_right() {
    let file = |name: &str, code: &str| (name.to_owned(), code.to_owned());
    let files = [
        file("a.rs", "mod b;\nmod c;\n\npub(super) use b::{\n    B,\n    d::{self, D},\n};\nuse std::fs;\n"),
        file("a/b.rs", "use super::c::C;\nuse crate::{a::b::d::D, e};\nmod d;"),
        file("a/b/d.rs", "use super::super::c;\nuse d::D;"),
        file("a/c.rs", "pub use super::A;"),
    ];
    let used = uses_within(&files);
    let used: Vec<(&str, String)> = used
        .iter()
        .map(|(file, used)| (file.as_str(), used.iter().cloned().collect::<Vec<_>>().join(" ")))
        .collect();
    let expected = [("a", "a::b a::b::d"), ("a::b", "a::b::d a::c"), ("a::b::d", "a::c"), ("a::c", "a")];
    assert_eq!(used, expected.map(|(file, used)| (file, used.to_owned())));
}

#[test]
fn files_of_a_module_do_not_use_each_other_in_circles() {
    for module in WITHOUT_CIRCLES {
        let mut used = uses_within(&sources()[module]);
        // A file that uses none but those that are gone is in no circle.
        while let Some(file) = used.iter().find(|(_, used)| used.is_empty()).map(|(file, _)| file.clone()) {
            used.remove(&file);
            used.values_mut().for_each(|others| others.retain(|other| *other != file));
        }
        assert!(used.is_empty(), "{module}: in a circle, or above one: {used:#?}");
    }
}

/// The fake Jira does not know the bridge, for its package does not depend on it. Nor may what talks to the real one know
/// the fake.
#[test]
fn only_the_demo_knows_the_fake_jira() {
    let manifest = fs::read_to_string("crates/fake-jira/Cargo.toml").unwrap();
    assert!(!manifest.contains("flagger-jira-bridge"), "{manifest}");
    for (module, files) in sources() {
        for (name, code) in files {
            assert!(module == "demo" || !code.contains("fake_jira"), "{name} uses fake_jira");
        }
    }
}

/// Both pages come up to date in the same way; the packages share no file.
#[test]
fn both_pages_refresh_alike() {
    let copies =
        ["src/refresh.js", "crates/fake-jira/src/refresh.js"].map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(copies[0], copies[1]);
}

#[test]
fn the_pure_core_is_pure() {
    let sources = sources();
    let mut wrong = Vec::new();
    for module in PURE {
        for (name, code) in &sources[module] {
            for line in code.lines() {
                let Some(path) = line.strip_prefix("use ") else { continue };
                let first = path.split("::").next().unwrap().trim_end_matches(';');
                let own =
                    ["crate", "super", "self"].contains(&first) || code.contains(&format!("mod {first};\n"));
                if !own && !PURE_CRATES.contains(&first) {
                    wrong.push(format!("{name}: {line}"));
                }
            }
            for word in
                ["async ", ".await", "SystemTime", "Instant", "std::fs", "std::env", "std::net", "tracing::"]
            {
                if code.contains(word) {
                    wrong.push(format!("{name} says {word}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `backoff` is unmaintained: it may not spread.
#[test]
fn backoff_stays_in_one_file() {
    let files: Vec<String> = sources()
        .into_values()
        .flatten()
        .filter(|(_, code)| code.contains("backoff::"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(files, ["jira/retry.rs"]);
}

/// A pooler gives each transaction another session: what is outside of one, or has a name there, goes wrong. A server that
/// vanished never answers: whatever is asked without a limit of its own hangs.
#[test]
fn every_statement_goes_through_one_file() {
    // What makes a connection asks it a few things, each with its own limit; and a migration takes as long as it takes.
    let beside = [
        ("store/connection.rs", "Executor"),
        ("store/connection.rs", "pool.begin"), ("store/connection.rs", ".commit()"),
        ("store/place.rs", "Executor"),
    ];
    for (name, code) in &sources()["store"] {
        for other in
            ["sqlx::query", "raw_sql", "Executor", ".fetch", "pool.acquire", "pool.begin", ".commit()"]
        {
            assert!(
                name == "store/query.rs" || beside.contains(&(name.as_str(), other)) || !code.contains(other),
                "{name}: {other} goes past store/query.rs"
            );
        }
    }
}
