//! Random changes to JSON and text, so small that the result passes the first checks.
//!
//! `PROPTEST_CASES` sets the number of cases for each property (256 if it is not set).

use std::ops::Range;

use proptest::prelude::*;
use serde_json::{Value, json};

/// One change: where, which kind, and with what. Each number is taken modulo the number of choices.
pub(crate) type Change = (u16, u8, u8);

/// A list of random changes.
pub(crate) fn changes(how_many: Range<usize>) -> impl Strategy<Value = Vec<Change>> {
    proptest::collection::vec(any::<Change>(), how_many)
}

/// Values of other kinds than expected.
fn unexpected_value(which: u8) -> Value {
    match which % 24 {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!(0),
        4 => json!(-1),
        5 => json!(i64::MAX),
        6 => json!(i64::MIN),
        7 => json!(u64::MAX),
        8 => json!(1.5),
        9 => json!(1e300),
        10 => json!(""),
        11 => json!("\u{0}\n\u{1b}[31m\u{2028}\u{202e}"),
        12 => json!("x".repeat(300)),
        13 => json!("1"),
        14 => json!("99999999999999999999999999"),
        15 => json!("Status"),
        16 => json!("{noformat}<b>\" OR 1=1 {{ canary }}"),
        17 => json!([]),
        18 => json!({}),
        19 => json!([null]),
        20 => json!({"id": "1"}),
        21 => json!("2026-09-21T16:13:20.000+0200"),
        22 => json!("approved"),
        _ => json!(10_007),
    }
}

/// How many values there are in a document, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(keys) => keys.values().map(size).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The nth value of a document, from the outside in.
fn nth<'a>(value: &'a mut Value, n: &mut usize) -> Option<&'a mut Value> {
    if *n == 0 {
        return Some(value);
    }
    *n -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, n)),
        Value::Object(keys) => keys.values_mut().find_map(|item| nth(item, n)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn change(document: &mut Value, (place, how, with): Change) {
    let count = size(document);
    let other = nth(&mut document.clone(), &mut (usize::from(with) % count)).cloned().unwrap_or_default();
    let Some(value) = nth(document, &mut (usize::from(place) % count)) else { return };
    let pick = |length: usize| usize::from(with) % length.max(1);
    match (how % 8, value) {
        // Remove, repeat, cut off or reorder something.
        (0 | 1, Value::Object(keys)) => {
            if let Some(key) = keys.keys().nth(pick(keys.len())).cloned() {
                keys.remove(&key);
            }
        }
        (2, Value::Object(keys)) => {
            if let Some(key) = keys.keys().nth(pick(keys.len())).cloned() {
                keys.insert(key.to_uppercase(), other);
            }
        }
        (0, Value::Array(items)) => items.truncate(pick(items.len() + 1)),
        (1, Value::Array(items)) => items.reverse(),
        (2, Value::Array(items)) => {
            let again = items.get(pick(items.len())).cloned();
            items.extend(again);
        }
        (3, value) => *value = json!([value.take()]),
        // A number for a string, and the other way round.
        (4, value) => {
            *value = match value.take() {
                Value::String(text) => text.parse::<i64>().map_or(Value::String(text), Value::from),
                Value::Number(number) => Value::String(number.to_string()),
                same @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => same,
            }
        }
        // A value from elsewhere in the document.
        (5, value) => *value = other,
        (_, value) => *value = unexpected_value(with),
    }
}

/// The document after these changes.
pub(crate) fn changed(mut document: Value, changes: &[Change]) -> Value {
    for at in changes {
        change(&mut document, *at);
    }
    document
}

/// The bytes of a text after these changes: bytes replaced, removed or inserted, or the end cut off.
pub(crate) fn garbled(text: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, how, with) in changes {
        let at = usize::from(*place) % (bytes.len() + 1);
        match how % 8 {
            0 => bytes.truncate(at),
            1 | 2 => bytes.insert(at, *with),
            3 | 4 if at < bytes.len() => {
                bytes.remove(at);
            }
            _ if at < bytes.len() => bytes[at] = *with,
            _ => {}
        }
    }
    bytes
}
