//! What an Event of `events.k8s.io/v1` must look like. The rules and words are those of the real server, in
//! `pkg/apis/core/validation/events.go`, which knows some fields by their older names.

use serde_json::Value;

use super::{
    answer::Answer,
    field_errors::FieldErrors,
    names::{NOT_A_DNS_SUBDOMAIN, NOT_A_QUALIFIED_NAME, is_dns_subdomain, is_qualified_name},
};

/// The fields of an Event that hold text, with their older names.
const TEXTS: [(&str, &str); 6] = [
    ("reportingController", "reportingController"),
    ("reportingInstance", "reportingInstance"),
    ("action", "action"),
    ("reason", "reason"),
    ("note", "message"),
    ("type", "type"),
];
/// The other fields that an update must not change.
const FIXED: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("related", "related"),
    ("eventTime", "eventTime"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
/// The longest `note`, in bytes.
const LONGEST_NOTE: usize = 1024;
/// The longest `reportingInstance`, `action` and `reason`, in bytes.
const LONGEST: usize = 128;

/// Whether it can be read at all.
///
/// # Errors
/// The answer to a field of a wrong type, and to a time without microseconds.
pub(super) fn decode(event: &Value) -> Result<(), Answer> {
    let refuse = |detail: String| {
        Err(Answer::bad_request(format!("Event in version \"v1\" cannot be handled as a Event: {detail}")))
    };
    for (field, _) in TEXTS {
        if !event[field].is_null() && !event[field].is_string() {
            return refuse(format!("json: cannot unmarshal Event.{field} of type string"));
        }
    }
    for time in [&event["eventTime"], &event["series"]["lastObservedTime"]] {
        if !time.is_null() && !time.as_str().is_some_and(is_micro_time) {
            return refuse(format!(
                "parsing time {time} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse"
            ));
        }
    }
    Ok(())
}

/// A time with exactly six digits after the second.
fn is_micro_time(text: &str) -> bool {
    let digits = text.split_once('.').map(|(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    digits == Some(6) && text.parse::<jiff::Timestamp>().is_ok()
}

/// All that is wrong with a new Event.
///
/// # Errors
/// The answer that names it all.
pub(super) fn check_new(event: &Value, name: &str, namespace: &str) -> Result<(), Answer> {
    let mut errors = FieldErrors::default();
    if !event["eventTime"].is_null() {
        check_texts(&mut errors, event);
        let regarding = event["regarding"]["namespace"].as_str().unwrap_or_default();
        if regarding.is_empty() && !["default", "kube-system"].contains(&namespace) {
            errors.invalid("involvedObject.namespace", &regarding.into(), "does not match event.namespace");
        }
    }
    if !is_dns_subdomain(name) {
        errors.invalid("metadata.name", &name.into(), NOT_A_DNS_SUBDOMAIN);
    }
    check_series(&mut errors, event);
    if event["eventTime"].is_null() {
        errors.required("eventTime", "");
    }
    let kind = event["type"].as_str().unwrap_or_default();
    if !["Normal", "Warning"].contains(&kind) {
        errors.invalid("type", &"".into(), &format!("has invalid value: {kind}"));
    }
    for (field, older) in FIXED.iter().filter(|(field, _)| field.starts_with("deprecated")) {
        if !event[field].is_null() {
            errors.invalid(older, &"".into(), "needs to be unset");
        }
    }
    errors.into_result("", "Event", name)
}

fn check_texts(errors: &mut FieldErrors, event: &Value) {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        if text(field).is_empty() {
            errors.required(field, "");
        }
    }
    if !is_qualified_name(text("reportingController")) {
        errors.invalid("reportingController", &event["reportingController"], NOT_A_QUALIFIED_NAME);
    }
    let limits =
        [("reportingInstance", LONGEST), ("action", LONGEST), ("reason", LONGEST), ("note", LONGEST_NOTE)];
    for (field, limit) in limits {
        if text(field).len() > limit {
            let older = TEXTS.iter().find(|(name, _)| *name == field).map_or(field, |(_, older)| older);
            errors.invalid(older, &"".into(), &format!("can have at most {limit} characters"));
        }
    }
}

/// All that is wrong with the update of an Event: only its series and metadata may change.
///
/// # Errors
/// The answer that names it all.
pub(super) fn check_update(event: &Value, old: &Value, name: &str) -> Result<(), Answer> {
    let mut errors = FieldErrors::default();
    check_texts(&mut errors, event);
    if event["series"] != old["series"] {
        check_series(&mut errors, event);
    }
    for (field, older) in FIXED.iter().chain(&TEXTS) {
        if event[field] != old[field] {
            errors.invalid(older, &event[field], "field is immutable");
        }
    }
    errors.into_result("", "Event", name)
}

fn check_series(errors: &mut FieldErrors, event: &Value) {
    let series = &event["series"];
    if series.is_null() {
        return;
    }
    if series["count"].as_u64().is_none_or(|count| count < 2) {
        errors.invalid("series.count", &"".into(), "should be at least 2");
    }
    if series["lastObservedTime"].is_null() {
        errors.required("series.lastObservedTime", "");
    }
}
