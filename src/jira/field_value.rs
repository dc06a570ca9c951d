//! PURE: whether Jira's fields take the configured values, and what to configure instead.

use serde_json::{Map, Value as Json};

use super::{
    field::{Choice, Field, Shape},
    settings::Kind,
};
use crate::{
    policy::is_template,
    suggest::{did_you_mean, most_similar},
    text::one_line,
};

/// Values in a text are cut to this many characters.
const MAX_VALUE_CHARS: usize = 60;
/// At most this many allowed values are listed.
const MAX_LISTED: usize = 10;
/// The keys under which an object holds what a person calls the value.
const NAMES: [&str; 5] = ["name", "value", "accountId", "key", "id"];
/// What stands in an example for a value that is not known.
const ANY: &str = "…";

impl Field {
    /// What is wrong with a configured value, and what to put there; `None` if Jira would take it.
    #[must_use]
    pub fn problem(&self, value: &Json, kind: Kind) -> Option<String> {
        self.problem_of(&self.shape, value, kind).map(|what| match what {
            Wrong::Shape => {
                let (name, example) = (&self.name, self.example_for(&self.shape, Some(value), kind));
                let value = one_line(&value.to_string(), MAX_VALUE_CHARS);
                format!("{name:?} does not accept {value}, so Jira would refuse it; put {example} there")
            }
            Wrong::Choice(what) => what,
        })
    }

    /// A value that the field would take, as the configuration writes it.
    #[must_use]
    pub fn example(&self, kind: Kind) -> String {
        self.example_for(&self.shape, None, kind)
    }

    fn problem_of(&self, shape: &Shape, value: &Json, kind: Kind) -> Option<Wrong> {
        let fits = match (shape, value) {
            (Shape::Unknown, _)
            | (Shape::Text | Shape::DateTime, Json::String(_))
            | (Shape::Number, Json::Number(_)) => true,
            (Shape::LongText, Json::String(_)) => kind == Kind::DataCenter,
            (Shape::LongText, Json::Object(_)) => kind == Kind::Cloud,
            (Shape::Date, Json::String(text)) => is_template(text) || is_day(text),
            (Shape::Person, Json::Object(table)) => person_keys(kind).iter().any(|key| has_text(table, key)),
            (Shape::Choice(by), Json::Object(table)) if has_text(table, by) || has_text(table, "id") => {
                return table.iter().find_map(|(by, said)| self.unknown_choice(by, said.as_str()?));
            }
            (Shape::List(item), Json::Array(list)) => {
                return list.iter().find_map(|value| self.problem_of(item, value, kind));
            }
            (
                Shape::Text
                | Shape::LongText
                | Shape::Number
                | Shape::Date
                | Shape::DateTime
                | Shape::Person
                | Shape::Choice(_)
                | Shape::List(_),
                _,
            ) => false,
        };
        (!fits).then_some(Wrong::Shape)
    }

    /// The problem of a choice that the field does not offer.
    fn unknown_choice(&self, by: &str, configured: &str) -> Option<Wrong> {
        let names: Vec<&str> = self.allowed.iter().filter_map(|choice| called(choice, by)).collect();
        if names.is_empty() || is_template(configured) || names.contains(&configured) {
            return None;
        }
        let hint = did_you_mean(configured, names.iter().copied());
        let what = format!(
            "{configured:?} is not a value of {:?}; choose from: {}{hint}",
            self.name,
            listed(&names)
        );
        Some(Wrong::Choice(what))
    }

    /// A value of this shape, as the configuration writes it. If possible, it says what `given` was meant to say.
    fn example_for(&self, shape: &Shape, given: Option<&Json>, kind: Kind) -> String {
        let meant = given.and_then(meant);
        match (shape, kind) {
            (Shape::Unknown, _) => "a value".to_owned(),
            (Shape::Text, _) | (Shape::LongText, Kind::DataCenter) => {
                meant.map_or_else(|| "a string".to_owned(), |text| quoted(&text))
            }
            (Shape::LongText, Kind::Cloud) => {
                let text = quoted(meant.as_deref().unwrap_or(ANY));
                format!(
                    "{{ type = \"doc\", version = 1, content = [{{ type = \"paragraph\", content = [{{ type = \"text\", \
                     text = {text} }}] }}] }}"
                )
            }
            (Shape::Number, _) => match meant.filter(|text| text.parse::<f64>().is_ok_and(f64::is_finite)) {
                Some(number) => format!("{number} without quotes"),
                None => "a number without quotes".to_owned(),
            },
            (Shape::Date, _) => "a day such as \"2026-01-31\"".to_owned(),
            (Shape::DateTime, _) => "a time such as \"2026-01-31T09:00:00.000+0100\"".to_owned(),
            (Shape::Person, _) => {
                // A name or an e-mail would not become an account id by standing in its place.
                let meant = meant.filter(|text| kind == Kind::DataCenter || is_account_id(text));
                let [key, _] = person_keys(kind);
                format!("{{ {key} = {} }}", quoted(meant.as_deref().unwrap_or(ANY)))
            }
            (Shape::Choice(by), _) => format!("{{ {by} = {} }}", quoted(&self.choice(by, meant.as_deref()))),
            (Shape::List(item), _) => {
                let each = match given {
                    Some(Json::Array(list)) if !list.is_empty() => {
                        list.iter().map(|given| self.example_for(item, Some(given), kind)).collect()
                    }
                    _ if **item == Shape::Text && meant.is_none() => vec![quoted(ANY)],
                    _ => vec![self.example_for(item, given, kind)],
                };
                format!("[{}]", each.join(", "))
            }
        }
    }

    /// The offered choice that was probably meant; otherwise the first one.
    fn choice(&self, by: &str, meant: Option<&str>) -> String {
        let names: Vec<&str> = self.allowed.iter().filter_map(|choice| called(choice, by)).collect();
        let fits = |meant: &&str| names.is_empty() || is_template(meant);
        meant
            .filter(fits)
            .or_else(|| most_similar(meant?, names.iter().copied()))
            .or_else(|| names.first().copied())
            .unwrap_or(ANY)
            .to_owned()
    }
}

/// What is wrong with a value.
enum Wrong {
    /// It has another shape than the field's values.
    Shape,
    /// The field does not offer it; with the whole text.
    Choice(String),
}

/// The keys that name an account.
const fn person_keys(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Cloud => ["accountId", "id"],
        Kind::DataCenter => ["name", "key"],
    }
}

/// What a choice is called under this key.
fn called<'a>(choice: &'a Choice, by: &str) -> Option<&'a str> {
    match by {
        "id" => choice.id.as_deref(),
        "name" => choice.name.as_deref(),
        "value" => choice.value.as_deref(),
        "key" => choice.key.as_deref(),
        _ => None,
    }
}

fn has_text(table: &Map<String, Json>, key: &str) -> bool {
    table.get(key).is_some_and(Json::is_string)
}

/// The text that a person meant by a value of whatever shape.
fn meant(given: &Json) -> Option<String> {
    match given {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(given.to_string()),
        Json::Object(table) => NAMES.iter().find_map(|name| table.get(*name)?.as_str().map(str::to_owned)),
        Json::Array(list) => match list.as_slice() {
            [one] => meant(one),
            _ => None,
        },
        Json::Null => None,
    }
}

/// A string as TOML writes it; JSON's are among them.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// Whether a text looks like an account id of Cloud: 24 hexadecimal digits, or a number, a colon and a UUID.
fn is_account_id(text: &str) -> bool {
    text.len() >= 24 && text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '-'))
}

fn listed(names: &[&str]) -> String {
    let more = if names.len() > MAX_LISTED { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(MAX_LISTED)].join(", "))
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day] if year.len() == 4 && month.len() == 2 && day.len() == 2)
        && text.chars().all(|c| c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(shape: Shape, allowed: &[&str]) -> Field {
        let choice = |name: &&str| Choice {
            id: None,
            key: None,
            name: Some((*name).to_owned()),
            value: Some((*name).to_owned()),
        };
        Field {
            id: "customfield_1".into(),
            name: "Risk".into(),
            required: false,
            has_default: false,
            shape,
            allowed: allowed.iter().map(choice).collect(),
        }
    }

    #[test]
    fn each_shape_takes_its_values_and_no_others() {
        let one = || Shape::Choice("value");
        for (shape, kind, value, fits) in [
            (Shape::Text, Kind::Cloud, json!("x"), true),
            (Shape::Text, Kind::Cloud, json!(3), false),
            (Shape::Number, Kind::Cloud, json!(3), true),
            (Shape::Number, Kind::Cloud, json!("3"), false),
            (Shape::LongText, Kind::DataCenter, json!("x"), true),
            (Shape::LongText, Kind::Cloud, json!("x"), false),
            (Shape::LongText, Kind::Cloud, json!({"type": "doc"}), true),
            (Shape::Date, Kind::Cloud, json!("2026-01-31"), true),
            (Shape::Date, Kind::Cloud, json!("31.1.2026"), false),
            (Shape::Date, Kind::Cloud, json!("{{ metadata.day }}"), true),
            (Shape::Person, Kind::Cloud, json!({"accountId": "5b"}), true),
            (Shape::Person, Kind::Cloud, json!({"name": "mia"}), false),
            (Shape::Person, Kind::DataCenter, json!({"name": "mia"}), true),
            (Shape::Person, Kind::DataCenter, json!("mia"), false),
            (one(), Kind::Cloud, json!({"value": "Low"}), true),
            (one(), Kind::Cloud, json!({"value": "Lwo"}), false),
            (one(), Kind::Cloud, json!({"value": "{{ metadata.risk }}"}), true),
            (one(), Kind::Cloud, json!("Low"), false),
            (Shape::List(Box::new(one())), Kind::Cloud, json!([{"value": "Low"}]), true),
            (Shape::List(Box::new(one())), Kind::Cloud, json!([{"value": "None"}]), false),
            (Shape::List(Box::new(Shape::Text)), Kind::Cloud, json!("x"), false),
            (Shape::DateTime, Kind::Cloud, json!("2026-01-31T09:00:00.000+0100"), true),
            (Shape::DateTime, Kind::Cloud, json!({"value": "now"}), false),
            (Shape::Text, Kind::Cloud, json!({"value": "x"}), false),
            (one(), Kind::Cloud, json!({"value": 3}), false),
            (one(), Kind::Cloud, json!({"name": "Low"}), false),
            (one(), Kind::Cloud, json!({"value": "Low", "child": {"value": "Any"}}), true),
            (Shape::List(Box::new(one())), Kind::Cloud, json!({"value": "Low"}), false),
            (Shape::List(Box::new(Shape::Text)), Kind::Cloud, json!(["x"]), true),
            (Shape::Unknown, Kind::Cloud, json!([1]), true),
        ] {
            let field = field(shape.clone(), &["Low", "High"]);
            assert_eq!(field.problem(&value, kind).is_none(), fits, "{shape:?} {value}");
        }
    }

    /// The advice says what was meant, in the form that Jira takes, and the field itself accepts it.
    #[test]
    fn advice_is_what_the_field_takes() {
        let list = |item| Shape::List(Box::new(item));
        let id = "5b10ac8d82e05b22cc7d4e01";
        for (shape, kind, value, advice) in [
            (Shape::Choice("name"), Kind::Cloud, json!("High"), "{ name = \"High\" }"),
            (Shape::Choice("name"), Kind::Cloud, json!("high"), "{ name = \"High\" }"),
            (Shape::Choice("name"), Kind::Cloud, json!("Urgent"), "{ name = \"Low\" }"),
            (Shape::Choice("name"), Kind::Cloud, json!({"value": "High"}), "{ name = \"High\" }"),
            (Shape::Choice("value"), Kind::Cloud, json!("High"), "{ value = \"High\" }"),
            (Shape::Choice("value"), Kind::Cloud, json!(["High"]), "{ value = \"High\" }"),
            (
                Shape::Choice("value"),
                Kind::Cloud,
                json!("{{ metadata.risk }}"),
                "{ value = \"{{ metadata.risk }}\" }",
            ),
            (list(Shape::Choice("name")), Kind::Cloud, json!("High"), "[{ name = \"High\" }]"),
            (list(Shape::Choice("name")), Kind::Cloud, json!({"name": "High"}), "[{ name = \"High\" }]"),
            (
                list(Shape::Choice("value")),
                Kind::Cloud,
                json!(["Low", "hihg"]),
                "[{ value = \"Low\" }, { value = \"High\" }]",
            ),
            (list(Shape::Text), Kind::Cloud, json!("web"), "[\"web\"]"),
            (list(Shape::Text), Kind::Cloud, json!([{"name": "web"}]), "[\"web\"]"),
            (Shape::Person, Kind::Cloud, json!(id), "{ accountId = \"5b10ac8d82e05b22cc7d4e01\" }"),
            (Shape::Person, Kind::Cloud, json!("mia@example.com"), "{ accountId = \"…\" }"),
            (Shape::Person, Kind::DataCenter, json!("mia"), "{ name = \"mia\" }"),
            (
                list(Shape::Person),
                Kind::DataCenter,
                json!(["mia", "bob"]),
                "[{ name = \"mia\" }, { name = \"bob\" }]",
            ),
            (Shape::Text, Kind::Cloud, json!({"value": "web"}), "\"web\""),
            (Shape::Text, Kind::Cloud, json!(3), "\"3\""),
            (Shape::Number, Kind::Cloud, json!("3"), "3 without quotes"),
            (Shape::Number, Kind::Cloud, json!("three"), "a number without quotes"),
            (
                Shape::LongText,
                Kind::Cloud,
                json!("see \"it\""),
                "{ type = \"doc\", version = 1, content = [{ type = \"paragraph\", content = [{ type = \"text\", text = \
                 \"see \\\"it\\\"\" }] }] }",
            ),
            (Shape::LongText, Kind::DataCenter, json!({"text": "x"}), "a string"),
            (Shape::Date, Kind::Cloud, json!(20260131), "a day such as \"2026-01-31\""),
        ] {
            let field = field(shape.clone(), &["Low", "High"]);
            let problem = field.problem(&value, kind).unwrap();
            assert!(problem.ends_with(&format!("; put {advice} there")), "{shape:?} {value}: {problem}");
            if let Ok(table) = format!("x = {advice}").parse::<toml::Table>() {
                let advised = serde_json::to_value(&table["x"]).unwrap();
                assert_eq!(field.problem(&advised, kind), None, "{advice}");
            }
        }
    }
}
