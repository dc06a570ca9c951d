//! All problems of a configuration, by key.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use super::variables::{variable_for, with_double_underscore};
use crate::text::single_line;

/// One problem to fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `jira.poll_every` or `routes[0].ticket.project`; the file or the environment variable if no key
    /// can be named.
    pub key: String,
    /// What is wrong there and what to write instead, on one line. Never a secret.
    pub what: String,
}

/// All problems of a configuration, one line each: in the order in which the keys are read, and the unknown keys of a
/// section last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, Problem { key, what }) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {}", single_line(key), single_line(what))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems while the tree is read, and knows which keys came from the environment.
#[derive(Debug, Default)]
pub(super) struct Sink {
    problems: RefCell<Vec<Problem>>,
    /// Key to environment variable.
    variables: RefCell<BTreeMap<String, String>>,
}

impl Sink {
    /// Remembers that `variable` sets `key`.
    pub(super) fn set_by(&self, key: &str, variable: &str) {
        self.variables.borrow_mut().insert(key.to_owned(), variable.to_owned());
    }

    /// The environment variables that set `key` or something below it, if there are any.
    pub(super) fn variable_of(&self, key: &str) -> Option<String> {
        let variables = self.variables.borrow();
        let set = variables.iter().filter(|(other, _)| within(key, other) || within(other, key));
        let names: Vec<&str> = set.map(|(_, variable)| variable.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Adds a problem at `key`, and names the environment variable if the value came from one.
    pub(super) fn push(&self, key: &str, what: impl Into<String>) {
        let mut what = what.into();
        if let Some(variable) = self.variables.borrow().iter().find_map(|(k, v)| within(key, k).then_some(v))
        {
            what = format!("{what} (set by {variable})");
        }
        self.problems.borrow_mut().push(Problem { key: key.to_owned(), what });
    }

    /// Adds the problem that `key` and `other` set the same value, and where each of them is.
    pub(super) fn set_twice(&self, key: &str, other: &str) {
        let variables = self.variables.borrow();
        let place = |key: &str| match variables.iter().find(|(k, _)| within(key, k)) {
            Some((_, variable)) => format!("as {variable} in the environment"),
            None => format!("as {key} in the configuration file"),
        };
        let what = format!("is given twice, {} and {}; keep one", place(key), place(other));
        self.problems.borrow_mut().push(Problem { key: key.to_owned(), what });
    }

    /// Adds the problem that `key` is unknown: at each environment variable that sets it, otherwise at the key.
    pub(super) fn unknown(&self, key: &str, near: Option<&str>) {
        let variables = self.variables.borrow();
        let by: Vec<&String> =
            variables.iter().filter(|(k, _)| within(k, key)).map(|(_, variable)| variable).collect();
        let mut problems = self.problems.borrow_mut();
        for variable in &by {
            let near = near.map(variable_for).or_else(|| with_double_underscore(variable));
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            let what = format!("no such setting{hint}");
            problems.push(Problem { key: (*variable).clone(), what });
        }
        if by.is_empty() {
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            problems.push(Problem { key: key.to_owned(), what: format!("unknown key{hint}") });
        }
    }

    /// All collected problems.
    pub(super) fn into_problems(self) -> Problems {
        Problems(self.problems.into_inner())
    }
}

/// Whether `key` is `outer` or is below it.
fn within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
