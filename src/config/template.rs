//! Checks the templates of a configuration before any ticket needs them.

use minijinja::{Environment, ErrorKind};

use crate::ticket::{QUESTION_NAMES, TICKET_NAMES};

/// Finds a syntax error, or an unknown variable, filter, test or function, in a template of a ticket.
///
/// # Errors
/// What is wrong, in words for the author of the template.
pub(super) fn check(source: &str) -> Result<(), String> {
    let names: Vec<&str> = TICKET_NAMES.into_iter().chain(QUESTION_NAMES).collect();
    check_with(source, &names)
}

/// The same for an entry of `approval.deny`.
///
/// # Errors
/// As above.
pub(super) fn check_denial(source: &str) -> Result<(), String> {
    check_with(source, &QUESTION_NAMES)
}

fn check_with(source: &str, names: &[&str]) -> Result<(), String> {
    let env = Environment::new();
    let template = env.template_from_str(source).map_err(|error| {
        let line = error.line().filter(|_| source.trim_end().contains('\n'));
        let at = line.map_or(String::new(), |line| format!(" in its line {line}"));
        format!("is not a template{at}: {}", error.detail().unwrap_or("a syntax error"))
    })?;
    let mut unknown: Vec<String> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !names.contains(&name.as_str()))
        .filter(|name| !env.globals().any(|(global, _)| global == name))
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        let names = names.join(", ");
        return Err(format!("the template knows no {name:?}; there are {names} (with .NAME behind it)"));
    }
    for operation in operations(source) {
        let (probe, what, name) = match &operation {
            Operation::Filter(name) => (format!("{{{{ 1|{name} }}}}"), "filter", name),
            Operation::Test(name) => (format!("{{{{ 1 is {name} }}}}"), "test", name),
        };
        let error = env.render_str(&probe, ()).err().map(|error| error.kind());
        if matches!(error, Some(ErrorKind::UnknownFilter | ErrorKind::UnknownTest)) {
            return Err(format!("the template knows no {what} {name:?}"));
        }
    }
    Ok(())
}

/// An operation of a template on a value, by name.
#[derive(Debug, PartialEq, Eq)]
enum Operation {
    /// `value|name`, `{% filter name %}`
    Filter(String),
    /// `value is name`
    Test(String),
}

/// The filters and tests of a template that parses. The engine looks them up only when it evaluates them, perhaps in a
/// branch that the first ticket does not take.
fn operations(source: &str) -> Vec<Operation> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let (open, after) = rest.split_at(start).1.split_at(2);
        if open == "{#" {
            rest = after.split_once("#}").map_or("", |(_, after)| after);
            continue;
        }
        let (words, after) = words(after, if open == "{{" { "}}" } else { "%}" });
        rest = after;
        if open == "{%" && words.first() == Some(&"raw") {
            // Continue at the tag that ends it, which is read like any other.
            rest = rest.find("endraw").map_or("", |end| &rest[end..]);
        }
        for (nth, word) in words.iter().enumerate() {
            let next = |n: usize| words.get(nth + n).copied().unwrap_or_default();
            match *word {
                "|" => found.push(Operation::Filter(next(1).to_owned())),
                "filter" if nth == 0 && open == "{%" => found.push(Operation::Filter(next(1).to_owned())),
                "is" if next(1) == "not" => found.push(Operation::Test(next(2).to_owned())),
                "is" => found.push(Operation::Test(next(1).to_owned())),
                _ => {}
            }
        }
    }
    found.retain(|(Operation::Filter(name) | Operation::Test(name))| {
        name.starts_with(|c: char| c.is_alphabetic() || c == '_')
    });
    found
}

/// The words and `|` of a tag, without its string literals, and the text after the tag.
fn words<'a>(mut text: &'a str, end: &str) -> (Vec<&'a str>, &'a str) {
    let mut words = Vec::new();
    while let Some(first) = text.chars().next() {
        if let Some(after) = text.strip_prefix(end) {
            return (words, after);
        }
        let length = match first {
            '"' | '\'' => {
                let mut escaped = false;
                let closing = text.char_indices().skip(1).find(|(_, c)| {
                    let closes = *c == first && !escaped;
                    escaped = *c == '\\' && !escaped;
                    closes
                });
                closing.map_or(text.len(), |(at, _)| at + 1)
            }
            c if c.is_alphanumeric() || c == '_' => {
                text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
            }
            c => c.len_utf8(),
        };
        let (word, after) = text.split_at(length);
        if first == '|' || first.is_alphanumeric() || first == '_' {
            words.push(word);
        }
        text = after;
    }
    (words, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_known_names() {
        for source in [
            "",
            "plain | text is fine",
            "{{ namespace }}/{{ canary }} {{ metadata.anything.at.all }} {{ metadata['a b'] }}",
            "{{ label or revision }}{{ base|upper }}{{ gate | default('x|nope') | trim }}",
            "{% for k in range(3) %}{{ loop.index }}{{ k is even }}{% endfor %}",
            "{% if phase is not defined or stage is startingwith('confirm') %}a{% endif %}",
            "{% set mine = cluster %}{{ mine }}{# {{ nope|nope }} #}",
            "{% raw %}{{ x|nope }}{% endraw %}{{ canary|lower }}",
            "{% filter upper %}x{% endfilter %}",
            "{{ \"it\\\"s }} |nope\" ~ canary }}",
        ] {
            assert_eq!(check(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn rejects_unknown_names() {
        for (source, what) in [
            ("{{ nmespace }}", "the template knows no \"nmespace\""),
            ("{{ env('HOME') }}", "the template knows no \"env\""),
            ("{{ canary|shout }}", "the template knows no filter \"shout\""),
            (
                "{% if false %}{{ canary | upper | shout }}{% endif %}",
                "the template knows no filter \"shout\"",
            ),
            ("{% if canary is not fine %}x{% endif %}", "the template knows no test \"fine\""),
            ("{% filter shout %}x{% endfilter %}", "the template knows no filter \"shout\""),
            ("{{ canary", "is not a template: unexpected end of input"),
            ("a\n\n{% if canary %}", "is not a template in its line 3: unexpected end of input"),
            ("{% include 'x' %}", "is not a template: "),
        ] {
            let error = check(source).unwrap_err();
            assert!(error.starts_with(what), "{source}: {error}");
        }
    }
}
