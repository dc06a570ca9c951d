//! The pages for users, and their parts.

use std::{collections::BTreeSet, fs, path::PathBuf};

/// The allowed languages of code blocks: no test would check any other.
const LANGUAGES: [&str; 6] = ["json", "mermaid", "sh", "text", "toml", "yaml"];

/// A page.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A code block, with the next one on its page.
pub(crate) struct Block {
    pub(crate) page: PathBuf,
    pub(crate) code: String,
    pub(crate) next: Option<(String, String)>,
}

/// The page at this path.
pub(crate) fn page(path: &str) -> Page {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Page { path: path.into(), text }
}

/// All pages for users.
pub(crate) fn pages() -> Vec<Page> {
    let guides = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path().display().to_string());
    let mut all: Vec<Page> = guides.filter(|path| path.ends_with(".md")).map(|path| page(&path)).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(all.len() >= 9, "the guides are there");
    all.extend(["README.md", "deploy/README.md", "deploy/helm/flagger-jira-bridge/README.md"].map(page));
    all
}

impl Page {
    /// The lines outside of code blocks, and the code blocks.
    pub(crate) fn parts(&self) -> (Vec<&str>, Vec<(String, String)>) {
        let (mut prose, mut blocks) = (Vec::new(), Vec::new());
        let mut open: Option<(String, String)> = None;
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(language), None) => open = Some((language.to_owned(), String::new())),
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some((_, code))) => {
                    code.push_str(line);
                    code.push('\n');
                }
                (None, None) => prose.push(line),
            }
        }
        assert!(open.is_none(), "{}: a code block has no end", self.path.display());
        (prose, blocks)
    }

    /// Its code blocks in this language, in order.
    pub(crate) fn blocks(&self, language: &str) -> Vec<String> {
        let all = self.parts().1.into_iter();
        let found: Vec<String> = all.filter(|(its, _)| its == language).map(|(_, code)| code).collect();
        assert!(!found.is_empty(), "{} has {language}", self.path.display());
        found
    }

    /// The inline code spans; a line break in one becomes a space.
    pub(crate) fn inline(&self) -> Vec<String> {
        let prose = self.parts().0.join("\n");
        let paragraphs = prose.split("\n\n").flat_map(|paragraph| {
            // In a table a span ends with its row.
            if paragraph.contains("\n|") { paragraph.lines().collect() } else { vec![paragraph] }
        });
        let spans = paragraphs.flat_map(|text| text.split('`').skip(1).step_by(2));
        spans.map(|code| code.replace('\n', " ")).collect()
    }

    /// The anchor of a heading, in GitHub's form.
    pub(crate) fn anchor(heading: &str) -> String {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().replace(' ', "-")
    }

    /// The anchors of the headings.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let prose = self.parts().0;
        prose.iter().filter(|line| line.starts_with('#')).map(|line| Self::anchor(line)).collect()
    }
}

/// The code blocks of all pages in this language.
pub(crate) fn blocks(language: &str) -> Vec<Block> {
    let mut found = Vec::new();
    for page in pages() {
        let blocks = page.parts().1;
        for (at, (its, code)) in blocks.iter().enumerate() {
            assert!(LANGUAGES.contains(&its.as_str()), "{}: {its:?}", page.path.display());
            if its == language {
                let (page, code) = (page.path.clone(), code.clone());
                found.push(Block { page, code, next: blocks.get(at + 1).cloned() });
            }
        }
    }
    assert!(!found.is_empty(), "{language}");
    found
}
