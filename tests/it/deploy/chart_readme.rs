//! The README of the chart lists its values, with the comments of values.yaml.

use std::fs;

use crate::world::yaml;

const README: &str = "deploy/helm/flagger-jira-bridge/README.md";
const VALUES: &str = "deploy/helm/flagger-jira-bridge/values.yaml";
const BEGIN: &str =
    "<!-- generated from values.yaml by tests/it/deploy/chart_readme.rs: TEST_WRITE_DOCS=1 writes it -->\n";
const END: &str = "<!-- end of what is generated -->\n";

/// A line of values.yaml.
enum Line<'a> {
    Blank,
    Heading(&'a str),
    Comment(&'a str),
    Entry(Entry<'a>),
}

/// A key with its indentation, and what follows it on its line.
struct Entry<'a> {
    indent: usize,
    key: &'a str,
    value: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let text = line.trim_start();
        if text.is_empty() {
            Self::Blank
        } else if let Some(heading) = line.strip_prefix("## ") {
            Self::Heading(heading)
        } else if let Some(comment) = text.strip_prefix('#') {
            Self::Comment(comment.trim())
        } else {
            let (key, value) = text.split_once(':').unwrap_or_else(|| panic!("{line:?} is no entry"));
            Self::Entry(Entry { indent: line.len() - text.len(), key, value: value.trim() })
        }
    }
}

/// The tables of the README.
fn tables(text: &str) -> String {
    let values = &yaml::documents(text)[0];
    let lines: Vec<Line<'_>> = text.lines().map(Line::read).collect();
    let (mut made, mut comment) = (String::new(), Vec::new());
    // The keys that lead to an entry, each with its indentation.
    let mut above: Vec<(usize, &str)> = Vec::new();
    // The indentation of a key whose default is the map below it.
    let mut default_below = None;
    for (nth, line) in lines.iter().enumerate() {
        let entry = match line {
            Line::Blank => {
                comment.clear();
                continue;
            }
            Line::Heading(heading) => {
                made += &format!("\n## {heading}\n\n| value | default | |\n|---|---|---|\n");
                continue;
            }
            Line::Comment(words) => {
                comment.push(*words);
                continue;
            }
            Line::Entry(entry) => entry,
        };
        if default_below.is_some_and(|indent| entry.indent > indent) {
            continue;
        }
        above.retain(|(indent, _)| *indent < entry.indent);
        above.push((entry.indent, entry.key));
        let path: Vec<&str> = above.iter().map(|(_, key)| *key).collect();
        let is_map = entry.value.is_empty();
        // Entries without comments of their own are the default of the map that they are in.
        let has_rows_below = is_map && matches!(lines.get(nth + 1), Some(Line::Comment(_)));
        default_below = (is_map && !has_rows_below).then_some(entry.indent);
        let default = match (is_map, has_rows_below) {
            (false, _) => format!("`{}`", entry.value),
            (true, true) => String::new(),
            (true, false) => format!("`{}`", path.iter().fold(values, |at, key| &at[*key])),
        };
        let words = std::mem::take(&mut comment).join(" ").replace('|', "\\|");
        assert!(!words.is_empty() || has_rows_below, "{VALUES}: no comment explains {}", path.join("."));
        if !words.is_empty() {
            made += &format!("| `{}` | {default} | {words} |\n", path.join("."));
        }
    }
    made
}

/// TEST_WRITE_DOCS=1 writes the document; then review every difference.
#[test]
fn the_readme_lists_the_values() {
    let text = fs::read_to_string(README).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (had, tail) = rest.split_once(END).unwrap();
    let made = format!("{}\n", tables(&fs::read_to_string(VALUES).unwrap()));
    if std::env::var_os("TEST_WRITE_DOCS").is_some() {
        fs::write(README, format!("{head}{BEGIN}{made}{END}{tail}")).unwrap();
        return;
    }
    for (had, made) in had.lines().zip(made.lines()) {
        assert_eq!(had, made, "{README} is outdated; TEST_WRITE_DOCS=1 generates it");
    }
    assert_eq!(had.lines().count(), made.lines().count(), "{README} has another number of lines");
}

#[test]
fn comments_become_rows() {
    let text = "# The head.\n\n## One\n\n# A number,\n# or two.\na: 1\n# A map.\nb:\n  # Its part.\n  c: { d: e }\n  f:\n    # Deep.\n    g: []\n\n# With a default.\nh:\n  i: true\n  j: [1]\n# Either|or.\nk: \"\"\n# - an example\n";
    let expected = "
## One

| value | default | |
|---|---|---|
| `a` | `1` | A number, or two. |
| `b` |  | A map. |
| `b.c` | `{ d: e }` | Its part. |
| `b.f.g` | `[]` | Deep. |
| `h` | `{\"i\":true,\"j\":[1]}` | With a default. |
| `k` | `\"\"` | Either\\|or. |
";
    assert_eq!(tables(text), expected);
}
