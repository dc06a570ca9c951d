//! PURE: whether Jira's fields accept the configured values.

use minijinja::Value;
use serde_json::Value as Json;

use super::{finding::Finding, suggest::did_you_mean};
use crate::{
    jira::{Choice, Field, Kind, Shape},
    policy::{Route, is_template},
    text::one_line,
};

/// Values in a finding are cut to this many characters.
const MAX_VALUE_CHARS: usize = 60;
/// At most this many allowed values are listed.
const MAX_LISTED: usize = 10;

/// A finding for each configured value that Jira would refuse.
pub(super) fn values(fields: &[Field], route: &Route, kind: Kind) -> Vec<Finding> {
    let wrong = |(id, value): (&String, &Value)| {
        let field = fields.iter().find(|field| field.id == *id)?;
        let value = serde_json::to_value(value).ok()?;
        let what = problem(field, &field.shape, &value, kind)?;
        Some(Finding::fail(route.key_of(&format!("fields.{id}")), what))
    };
    route.ticket.fields.iter().filter_map(wrong).collect()
}

/// What is wrong with a value, and what to put there.
fn problem(field: &Field, shape: &Shape, value: &Json, kind: Kind) -> Option<String> {
    let fits = match (shape, value) {
        (Shape::Unknown, _) | (Shape::Text, Json::String(_)) | (Shape::Number, Json::Number(_)) => true,
        (Shape::LongText, Json::String(_)) => kind == Kind::DataCenter,
        (Shape::LongText, Json::Object(_)) => kind == Kind::Cloud,
        (Shape::Date, Json::String(text)) => is_template(text) || is_day(text),
        (Shape::Person, Json::Object(table)) => match kind {
            Kind::Cloud => table.contains_key("accountId") || table.contains_key("id"),
            Kind::DataCenter => table.contains_key("name") || table.contains_key("key"),
        },
        (Shape::Choice(by), Json::Object(table)) if table.contains_key(*by) || table.contains_key("id") => {
            return table.iter().find_map(|(by, said)| unknown_choice(field, by, said.as_str()?));
        }
        (Shape::List(item), Json::Array(list)) => {
            return list.iter().find_map(|value| problem(field, item, value, kind));
        }
        (
            Shape::Text
            | Shape::LongText
            | Shape::Number
            | Shape::Date
            | Shape::Person
            | Shape::Choice(_)
            | Shape::List(_),
            _,
        ) => false,
    };
    (!fits).then(|| {
        let (value, example) = (one_line(&value.to_string(), MAX_VALUE_CHARS), example(field, shape, kind));
        let name = &field.name;
        format!("{name:?} does not accept {value}, so Jira would refuse the ticket; put {example} there")
    })
}

/// The text for a choice that the field does not offer.
fn unknown_choice(field: &Field, by: &str, configured: &str) -> Option<String> {
    let called = |choice: &Choice| match by {
        "id" => choice.id.clone(),
        "name" => choice.name.clone(),
        "value" => choice.value.clone(),
        _ => None,
    };
    let names: Vec<String> = field.allowed.iter().filter_map(called).collect();
    if names.is_empty() || is_template(configured) || names.iter().any(|name| name == configured) {
        return None;
    }
    let hint = did_you_mean(configured, names.iter().map(String::as_str));
    Some(format!("{configured:?} is no value of {:?}; there is: {}{hint}", field.name, listed(&names)))
}

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_LISTED).map(String::as_str).collect();
    let more = if names.len() > MAX_LISTED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// A value that the field would take, as the configuration writes it.
pub(super) fn example(field: &Field, shape: &Shape, kind: Kind) -> String {
    match (shape, kind) {
        (Shape::Unknown, _) => "a value".to_owned(),
        (Shape::Text, _) | (Shape::LongText, Kind::DataCenter) => "a string".to_owned(),
        (Shape::LongText, Kind::Cloud) => {
            "{ type = \"doc\", version = 1, content = [{ type = \"paragraph\", content = [{ type = \"text\", text = \"…\" \
             }] }] }"
                .to_owned()
        }
        (Shape::Number, _) => "a number without quotes".to_owned(),
        (Shape::Date, _) => "a day such as \"2026-01-31\"".to_owned(),
        (Shape::Person, Kind::Cloud) => "{ accountId = \"…\" }".to_owned(),
        (Shape::Person, Kind::DataCenter) => "{ name = \"…\" }".to_owned(),
        (Shape::Choice(by), _) => {
            let first = field.allowed.first().and_then(|choice| match *by {
                "value" => choice.value.as_deref(),
                _ => choice.name.as_deref(),
            });
            format!("{{ {by} = {:?} }}", first.unwrap_or("…"))
        }
        (Shape::List(item), _) if **item == Shape::Text => "[\"…\"]".to_owned(),
        (Shape::List(item), _) => format!("[{}]", example(field, item, kind)),
    }
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
        let choice = |name: &&str| Choice { id: None, name: None, value: Some((*name).to_owned()) };
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
            (Shape::Unknown, Kind::Cloud, json!([1]), true),
        ] {
            let field = field(shape.clone(), &["Low", "High"]);
            assert_eq!(problem(&field, &shape, &value, kind).is_none(), fits, "{shape:?} {value}");
        }
    }
}
