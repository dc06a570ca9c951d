//! The part of JQL that this Jira supports: restrictions joined by AND, then ORDER BY. It rejects everything else, so
//! that a caller cannot rely on JQL that is not simulated.

use super::{
    model::Flavour,
    state::{Issue, State},
};

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Symbol(&'static str),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(w) if w.eq_ignore_ascii_case(word))
    }
}

/// A restriction: a field and the values that it must have, or must not have if negated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clause {
    field: String,
    negated: bool,
    values: Vec<String>,
}

/// A parsed query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    clauses: Vec<Clause>,
    /// `ORDER BY created DESC`, `id DESC` or `key DESC`: newest first.
    pub(super) descending: bool,
}

/// # Errors
/// Jira's message about a query that it cannot parse.
pub(super) fn parse(jql: &str) -> Result<Query, String> {
    let tokens = tokenize(jql)?;
    let order = tokens.windows(2).position(|w| matches!(w, [a, b] if a.is("order") && b.is("by")));
    let (restrictions, order) = match order {
        Some(at) => (tokens.get(..at).unwrap_or_default(), tokens.get(at + 2..)),
        None => (tokens.as_slice(), None),
    };
    if restrictions.is_empty() {
        return Err(
            "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
                .into(),
        );
    }
    let mut clauses = Vec::new();
    let mut rest = restrictions;
    loop {
        let (found, tail) = clause(rest)?;
        clauses.push(found);
        match tail {
            [] => break,
            [and, tail @ ..] if and.is("and") => rest = tail,
            [other, ..] => {
                return Err(format!("Error in the JQL Query: Expecting 'AND' but got '{other:?}'."));
            }
        }
    }
    let descending = order.map_or(Ok(false), direction)?;
    Ok(Query { clauses, descending })
}

fn direction(order: &[Token]) -> Result<bool, String> {
    let invalid = || "Error in the JQL Query: the ORDER BY clause is not understood.".to_owned();
    let [Token::Word(field), rest @ ..] = order else { return Err(invalid()) };
    if !["id", "key", "issuekey", "created"].contains(&field.to_ascii_lowercase().as_str()) {
        return Err(invalid());
    }
    match rest {
        [] => Ok(false),
        [word] if word.is("asc") => Ok(false),
        [word] if word.is("desc") => Ok(true),
        _ => Err(invalid()),
    }
}

fn clause(tokens: &[Token]) -> Result<(Clause, &[Token]), String> {
    let [field, rest @ ..] = tokens else {
        return Err("Error in the JQL Query: Expecting a field name but got the end of the query.".into());
    };
    let (Token::Word(field) | Token::Quoted(field)) = field else {
        return Err("Error in the JQL Query: Expecting a field name.".into());
    };
    let field = field.to_ascii_lowercase();
    if !["project", "labels", "id", "key", "issue", "issuekey", "issuetype", "type", "status", "description"]
        .contains(&field.as_str())
    {
        return Err(format!("Field '{field}' does not exist or you do not have permission to view it."));
    }
    let (negated, list, rest) = match rest {
        [Token::Symbol("~"), rest @ ..] if field == "description" => (false, false, rest),
        [Token::Symbol("="), rest @ ..] if field != "description" => (false, false, rest),
        [Token::Symbol("!="), rest @ ..] => (true, false, rest),
        [word, rest @ ..] if word.is("in") => (false, true, rest),
        [not, word, rest @ ..] if not.is("not") && word.is("in") => (true, true, rest),
        _ => return Err(format!("Error in the JQL Query: Expecting an operator after '{field}'.")),
    };
    let (values, rest) = if list { value_list(rest)? } else { value(rest)? };
    Ok((Clause { field, negated, values }, rest))
}

fn value(tokens: &[Token]) -> Result<(Vec<String>, &[Token]), String> {
    match tokens {
        [Token::Word(value) | Token::Quoted(value), rest @ ..] => Ok((vec![value.clone()], rest)),
        _ => Err("Error in the JQL Query: Expecting a value.".into()),
    }
}

fn value_list(tokens: &[Token]) -> Result<(Vec<String>, &[Token]), String> {
    let [Token::Symbol("("), rest @ ..] = tokens else {
        return Err("Error in the JQL Query: Expecting '('.".into());
    };
    let mut rest = rest;
    let mut values = Vec::new();
    loop {
        let (mut value, tail) = value(rest)?;
        values.append(&mut value);
        match tail {
            [Token::Symbol(","), tail @ ..] => rest = tail,
            [Token::Symbol(")"), tail @ ..] => return Ok((values, tail)),
            _ => return Err("Error in the JQL Query: Expecting ',' or ')'.".into()),
        }
    }
}

fn tokenize(jql: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = jql.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => {}
            '(' => tokens.push(Token::Symbol("(")),
            ')' => tokens.push(Token::Symbol(")")),
            ',' => tokens.push(Token::Symbol(",")),
            '=' => tokens.push(Token::Symbol("=")),
            '~' => tokens.push(Token::Symbol("~")),
            '!' if chars.next_if_eq(&'=').is_some() => tokens.push(Token::Symbol("!=")),
            '"' | '\'' => tokens.push(Token::Quoted(quoted_text(&mut chars, c)?)),
            c if c.is_alphanumeric() || c == '_' || c == '-' => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            other => return Err(format!("Error in the JQL Query: The character '{other}' must be quoted.")),
        }
    }
    Ok(tokens)
}

fn quoted_text(chars: &mut impl Iterator<Item = char>, quote: char) -> Result<String, String> {
    let mut text = String::new();
    let unterminated = || "Error in the JQL Query: The quoted string has not been completed.".to_owned();
    loop {
        match chars.next().ok_or_else(unterminated)? {
            '\\' => match chars.next().ok_or_else(unterminated)? {
                escaped @ ('"' | '\'' | '\\') => text.push(escaped),
                other => {
                    return Err(format!(
                        "Error in the JQL Query: '\\{other}' is an illegal JQL escape sequence."
                    ));
                }
            },
            c if c == quote => return Ok(text),
            c => text.push(c),
        }
    }
}

impl Query {
    /// Rejects values that do not exist: unknown projects always, unknown issues if `issues`.
    ///
    /// # Errors
    /// Jira's message about the first unknown value.
    pub(super) fn check_values(
        &self,
        state: &State,
        account: Option<&str>,
        issues: bool,
    ) -> Result<(), String> {
        for clause in &self.clauses {
            for value in &clause.values {
                let field = clause.field.as_str();
                match field {
                    "project" => {
                        let project = state.project_by_key_or_id(value);
                        if !project.is_some_and(|p| state.has_permission(account, &p.key, "BROWSE_PROJECTS"))
                        {
                            return Err(format!(
                                "The value '{value}' does not exist for the field 'project'."
                            ));
                        }
                    }
                    "id" | "key" | "issue" | "issuekey"
                        if issues && state.visible_issue(account, value).is_none() =>
                    {
                        return Err(match value.parse::<u64>() {
                            Ok(_) => {
                                format!("A value with ID '{value}' does not exist for the field '{field}'.")
                            }
                            Err(_) => {
                                format!("An issue with key '{value}' does not exist for field '{field}'.")
                            }
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn matches(&self, state: &State, issue: &Issue) -> bool {
        self.clauses.iter().all(|clause| {
            let matches = clause.values.iter().any(|value| value_matches(state, issue, &clause.field, value));
            matches != clause.negated
        })
    }
}

fn value_matches(state: &State, issue: &Issue, field: &str, value: &str) -> bool {
    match field {
        "project" => state.project_by_key_or_id(value).is_some_and(|p| p.key == issue.project),
        // Jira looks for whole words.
        "description" => {
            issue.description.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word == value)
        }
        // Jira ignores the case of labels.
        "labels" => issue.labels.iter().any(|l| l.eq_ignore_ascii_case(value)),
        "issuetype" | "type" => state
            .issue_type(&issue.project, &issue.type_id)
            .is_some_and(|t| t.id == value || t.name.eq_ignore_ascii_case(value)),
        "status" => {
            state.status_of(issue).is_some_and(|s| s.id == value || s.name.eq_ignore_ascii_case(value))
        }
        _ => state.find_issue(value) == Some(issue.id),
    }
}

/// Whether unknown issues make the query fail: on Data Center, unless the caller sent `validateQuery: false`.
pub(super) fn rejects_unknown_issues(flavour: Flavour, validate: bool) -> bool {
    match flavour {
        Flavour::Cloud => false,
        Flavour::DataCenter => validate,
    }
}
