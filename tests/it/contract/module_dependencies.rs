//! Checks which module uses which, read from the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The pure core: no I/O, no clock, no async.
const PURE: [&str; 8] = ["millis", "text", "gate", "policy", "rollout", "ticket", "view", "workload"];
/// The crates that the pure core may use.
const PURE_CRATES: [&str; 7] = ["std", "serde", "globset", "jiff", "minijinja", "serde_json", "sha2"];

/// The modules that each module uses, without cycles: the map of the project.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("millis", &[]),
    ("text", &[]),
    ("view", &["gate", "millis"]),
    ("gate", &["millis", "policy", "workload"]),
    ("policy", &["millis", "text"]),
    ("rollout", &["gate", "millis", "policy", "text", "workload"]),
    ("ticket", &["gate", "millis", "policy", "rollout", "text", "workload"]),
    ("workload", &["millis", "text"]),
    ("clock", &["millis"]),
    ("lock", &[]),
    ("map", &[]),
    ("reload", &["lock"]),
    ("calendars", &["lock", "millis", "policy", "reload", "text"]),
    ("pem", &[]),
    ("secret", &["reload"]),
    ("suggest", &[]),
    ("database_url", &[]),
    ("server_url", &[]),
    ("metrics", &["gate", "millis", "rollout"]),
    ("flagger", &["rollout", "text"]),
    ("config", &["database_url", "gate", "jira", "millis", "notify", "policy", "secret", "server_url", "text", "ticket"]),
    ("store", &["database_url", "gate", "lock", "map", "millis", "rollout", "text"]),
    ("kubernetes", &["clock", "config", "lock", "millis", "rollout", "text", "workload"]),
    ("gatekeeper", &["calendars", "config", "gate", "hooks", "kubernetes", "lock", "metrics", "millis", "policy", "rollout", "store", "text", "ticket", "view", "workload"]),
    ("http", &["clock", "config", "flagger", "gate", "gatekeeper", "lock", "metrics", "millis", "pem", "reload", "rollout", "secret", "text", "view"]),
    ("jira", &["clock", "gate", "lock", "millis", "pem", "policy", "reload", "secret", "server_url", "suggest", "text", "ticket"]),
    ("notify", &["pem", "policy", "reload", "rollout", "secret", "server_url", "text", "ticket", "view"]),
    ("worker", &["clock", "config", "gate", "gatekeeper", "jira", "kubernetes", "lock", "map", "metrics", "millis", "notify", "policy", "rollout", "store", "ticket", "workload"]),
    ("hooks", &["config", "text", "workload"]),
    ("check", &["calendars", "clock", "config", "gate", "hooks", "http", "jira", "kubernetes", "millis", "notify", "policy", "rollout", "secret", "store", "suggest", "text", "ticket"]),
    ("cli", &["clock", "config", "jira", "millis", "server_url", "store", "text"]),
    ("serve", &["clock", "config", "gatekeeper", "http", "jira", "kubernetes", "metrics", "millis", "pem", "store", "view", "worker"]),
    ("demo", &["cli", "clock", "config", "gate", "jira", "millis", "serve", "text", "view"]),
];

/// The sources of a folder by path, without tests and comments.
fn sources(root: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.ends_with("tests") {
                    walk(&path, root, found);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                found.insert(name, lines.map(|line| format!("{line}\n")).collect());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(Path::new(root), root, &mut found);
    found
}

/// The bridge's sources, each with its module.
fn modules() -> Vec<(String, String, String)> {
    let module = |name: &str| name.split(['/', '.']).next().unwrap().to_owned();
    let all = sources("src").into_iter().map(|(name, code)| (module(&name), name, code));
    all.filter(|(module, ..)| module != "main" && module != "lib").collect()
}

/// The paths in a use tree such as `a::{b, c::d}`.
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

/// All paths in some code, in `use` and elsewhere.
fn named(code: &str) -> Vec<Vec<String>> {
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        // A visibility such as `pub(in path)` is no use of that path.
        let seen_in = line.trim_start().strip_prefix("pub(in ").and_then(|rest| rest.split_once(')'));
        let line = seen_in.map_or(line, |(_, item)| item);
        let is_use = |(before, _): &(&str, &str)| {
            let before = before.trim();
            before.is_empty() || before == "pub" || before.starts_with("pub(") && !before.contains(' ')
        };
        let Some((_, tree)) = line.split_once("use ").filter(is_use) else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.ends_with(';')
            && let Some(line) = lines.next()
        {
            tree.push_str(line);
        }
        paths(tree.trim_end_matches(';'), &[], &mut found);
    }
    let words = rest.split(|c: char| !c.is_alphanumeric() && !['_', ':'].contains(&c));
    let inline = words.filter(|word| word.contains("::") && !word.starts_with(':'));
    found.extend(inline.map(|word| word.split("::").map(str::to_owned).collect()));
    found
}

/// The other files that each file of a package uses, as module paths.
fn uses(files: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let module = |name: &str| name.trim_end_matches(".rs").replace('/', "::");
    let all: BTreeSet<String> = files.keys().map(|name| module(name)).collect();
    let mut used = BTreeMap::new();
    for (name, code) in files {
        let own = module(name);
        let inside = |child: &str| if own == "lib" { child.to_owned() } else { format!("{own}::{child}") };
        let others = named(code).into_iter().filter_map(|path| {
            let mut base: Vec<&str> = if own == "lib" { Vec::new() } else { own.split("::").collect() };
            let mut rest = path.as_slice();
            match rest[0].as_str() {
                "crate" => base.clear(),
                "super" | "self" => {}
                child if all.contains(&inside(child)) => {}
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
            let file = (1..=full.len()).rev().map(|length| full[..length].join("::"));
            file.chain(["lib".to_owned()]).find(|file| all.contains(file))
        });
        let others = others.filter(|file| *file != own).collect();
        used.insert(own, others);
    }
    used
}

/// The files that are in a cycle or use one directly or indirectly; empty if there is no cycle.
fn cycles(mut used: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    while let Some(one) = used.iter().find(|(_, used)| used.is_empty()).map(|(one, _)| one.clone()) {
        used.remove(&one);
        used.values_mut().for_each(|others| others.retain(|other| *other != one));
    }
    used
}

/// The top-level module of a file.
fn top(file: &str) -> &str {
    file.split("::").next().unwrap()
}

/// The modules that each module uses.
fn uses_of_modules(files: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, others) in files.iter().filter(|(file, _)| !["lib", "main"].contains(&file.as_str())) {
        let others = others.iter().map(|other| top(other)).filter(|other| *other != top(file));
        used.entry(top(file).to_owned()).or_default().extend(others.map(str::to_owned));
    }
    used
}

#[test]
fn uses_are_parsed_correctly() {
    let files = [
        ("lib.rs", "mod a;\npub use a::A;\n"),
        (
            "a.rs",
            "mod b;\nmod c;\n\npub(super) use b::{\n    B,\n    d::{self, D},\n};\nuse std::fs;\nfn f() { c::f() }\n",
        ),
        ("a/b.rs", "use super::c::C;\nuse crate::{a::b::d::D, e};\nmod d;\n"),
        ("a/b/d.rs", "use super::super::c;\nuse d::D;\n"),
        ("a/c.rs", "pub use super::A;\n"),
        ("e.rs", "fn e() {\n    use crate::A;\n    crate::a::b::B::new(crate::e::E)\n}\n"),
    ];
    let used = uses(&files.map(|(file, code)| (file.to_owned(), code.to_owned())).into());
    let files_with_uses = |used: &BTreeMap<String, BTreeSet<String>>| -> Vec<String> {
        let joined = |used: &BTreeSet<String>| used.iter().cloned().collect::<Vec<_>>().join(" ");
        used.iter().map(|(file, used)| format!("{file}: {}", joined(used))).collect()
    };
    assert_eq!(
        files_with_uses(&used),
        ["a: a::b a::b::d a::c", "a::b: a::b::d a::c e", "a::b::d: a::c", "a::c: a", "e: a::b lib", "lib: a"]
    );
    assert_eq!(files_with_uses(&uses_of_modules(&used)), ["a: e", "e: a lib"]);
    assert_eq!(files_with_uses(&cycles(used)).len(), 6);
}

#[test]
fn modules_use_what_the_map_allows_and_nothing_else() {
    let allowed: BTreeMap<String, BTreeSet<String>> = MAY_USE
        .iter()
        .map(|(module, others)| ((*module).to_owned(), others.iter().map(|it| (*it).to_owned()).collect()))
        .collect();
    let used = uses_of_modules(&uses(&sources("src")));
    for (module, used) in &used {
        let allowed = allowed.get(module).unwrap_or_else(|| panic!("{module} is not on the map"));
        assert_eq!(used, allowed, "{module} uses other modules than the map says");
    }
    assert_eq!(used.len(), allowed.len(), "the map names modules that do not exist");
    assert_eq!(cycles(used), BTreeMap::new());
}

#[test]
fn files_have_no_cycles() {
    for root in ["src", "crates/fake-jira/src", "crates/fake-kubernetes/src"] {
        assert_eq!(cycles(uses(&sources(root))), BTreeMap::new(), "{root}");
    }
}

/// The packages of the fakes do not depend on the bridge, and the bridge's other modules must not use them.
#[test]
fn only_the_demo_knows_the_fakes() {
    for package in ["fake-jira", "fake-kubernetes"] {
        let manifest = fs::read_to_string(format!("crates/{package}/Cargo.toml")).unwrap();
        assert!(!manifest.contains("flagger-jira-bridge"), "{manifest}");
        let name = package.replace('-', "_");
        for (module, file, code) in modules() {
            assert!(module == "demo" || !code.contains(&name), "{file} uses {name}");
        }
    }
}

/// Both pages refresh themselves in the same way, although the packages share no file.
#[test]
fn both_pages_refresh_alike() {
    let copies =
        ["src/refresh.js", "crates/fake-jira/src/refresh.js"].map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(copies[0], copies[1]);
}

#[test]
fn the_pure_core_is_pure() {
    let mut wrong = Vec::new();
    for (_, name, code) in modules().into_iter().filter(|(module, ..)| PURE.contains(&module.as_str())) {
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
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `backoff` is unmaintained: only one file may use it.
#[test]
fn backoff_stays_in_one_file() {
    let files = sources("src").into_iter().filter(|(_, code)| code.contains("backoff::"));
    assert_eq!(files.map(|(name, _)| name).collect::<Vec<_>>(), ["jira/retry.rs"]);
}

/// A pooler gives each transaction another session: statements outside a transaction and prepared statements fail. A
/// server that vanished never answers: a statement without a timeout hangs.
#[test]
fn every_statement_goes_through_one_file() {
    // Opening a connection runs a few statements with their own timeouts; a migration has no timeout.
    let beside = [
        ("store/connection.rs", "Executor"),
        ("store/connection.rs", "pool.begin"),
        ("store/connection.rs", "transaction.commit()"),
        ("store/location.rs", "Executor"),
    ];
    for (_, name, code) in modules().into_iter().filter(|(module, ..)| module == "store") {
        for other in [
            "sqlx::query",
            "raw_sql",
            "Executor",
            ".fetch",
            "pool.acquire",
            "pool.begin",
            "transaction.commit()",
        ] {
            assert!(
                name == "store/query.rs" || beside.contains(&(name.as_str(), other)) || !code.contains(other),
                "{name}: {other} bypasses store/query.rs"
            );
        }
    }
}
