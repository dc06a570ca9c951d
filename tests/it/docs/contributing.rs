//! CONTRIBUTING.md names only files, functions and types that exist.

use std::{collections::BTreeSet, fs, path::Path};

/// The folders to which paths may be relative.
const ROOTS: [&str; 5] = ["", "src", "crates/fake-jira/src/", "deploy/helm/flagger-jira-bridge", "tests/it"];

/// All words of the Rust sources below a folder.
fn words(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            words(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.extend(text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
        }
    }
}

#[test]
fn what_it_names_exists() {
    let text = fs::read_to_string("CONTRIBUTING.md").unwrap();
    let prose: String = text.split("```").step_by(2).collect();
    let mut known = BTreeSet::new();
    for folder in ["src", "tests", "crates", "benches", "examples"] {
        words(Path::new(folder), &mut known);
    }
    let (mut paths, mut names) = (0, 0);
    for quoted in prose.split('`').skip(1).step_by(2) {
        let is_path = quoted.contains('/')
            || [".rs", ".md", ".toml", ".json", ".yaml", ".css"].iter().any(|end| quoted.ends_with(end));
        // What a release is made of is not there.
        let is_made = quoted.starts_with("target/") || quoted.contains("VERSION");
        if is_path && !quoted.contains([' ', '{']) && !is_made {
            let exists = ROOTS.iter().any(|root| Path::new(root).join(quoted).exists())
                || Path::new("src").join(format!("{quoted}.rs")).exists()
                || ["foo.rs", "foo/bar.rs", "page.css"].contains(&quoted);
            assert!(exists, "there is no {quoted}");
            paths += 1;
        } else if quoted.contains('_') || quoted.contains("::") {
            let segments =
                quoted.split("::").filter(|segment| segment.chars().all(|c| c.is_alphanumeric() || c == '_'));
            for segment in
                segments.filter(|segment| !segment.is_empty() && *segment != segment.to_uppercase())
            {
                assert!(known.contains(segment), "no source has {segment}, of {quoted}");
                names += 1;
            }
        }
    }
    assert!(paths > 30 && names > 10, "{paths} {names}");
}
