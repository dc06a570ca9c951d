//! Tables on stdout, and the same figures as JSON.

use std::{io::Write as _, path::Path};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

/// All tables so far.
#[derive(Default)]
pub(crate) struct Report(Map<String, Value>);

/// A table that is printed row by row.
pub(crate) struct Table<'a> {
    report: &'a mut Report,
    name: &'static str,
    heads: &'static [&'static str],
    rows: Vec<Value>,
}

impl Report {
    /// Begins a table.
    pub(crate) fn table(&mut self, name: &'static str, heads: &'static [&'static str]) -> Table<'_> {
        print_line(&format!("\n## {name}\n\n| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len())));
        Table { report: self, name, heads, rows: Vec::new() }
    }

    /// Writes everything as JSON.
    pub(crate) fn write(self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&Value::Object(self.0))?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        print_line(&format!("\nThe same as JSON: {}", path.display()));
        Ok(())
    }
}

impl Table<'_> {
    /// Prints a row.
    pub(crate) fn row(&mut self, cells: &[String]) {
        print_line(&format!("| {} |", cells.join(" | ")));
        let row: Map<String, Value> =
            self.heads.iter().zip(cells).map(|(head, cell)| ((*head).to_owned(), json!(cell))).collect();
        self.rows.push(Value::Object(row));
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        self.report.0.insert(self.name.to_owned(), Value::Array(std::mem::take(&mut self.rows)));
    }
}

/// Prints a line to stdout.
pub(crate) fn print_line(words: &str) {
    // The reader may have closed the pipe.
    drop(writeln!(std::io::stdout(), "{words}"));
}
