//! Reviews of the caller's own access: `SelfSubjectAccessReview`.

use serde_json::{Value, json};

use super::{
    answer::{Answer, HandlerResult},
    call::Call,
    field_errors::FieldErrors,
    rights::{REVIEW_GROUP, Rights},
};

/// `POST`: answers whether the caller may do what it describes.
pub(super) fn create(rights: &Rights, call: &Call) -> HandlerResult {
    let mut review = call.body("application/json")?.clone();
    if review["kind"] != "SelfSubjectAccessReview" || review["apiVersion"] != format!("{REVIEW_GROUP}/v1") {
        return Err(Answer::bad_request("the body is no SelfSubjectAccessReview of authorization.k8s.io/v1"));
    }
    let spec = &review["spec"];
    let asked = &spec["resourceAttributes"];
    if asked.is_object() == spec["nonResourceAttributes"].is_object() {
        let mut errors = FieldErrors::default();
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.invalid("spec.resourceAttributes", &Value::Null, detail);
        errors.into_result(REVIEW_GROUP, "SelfSubjectAccessReview", "")?;
    }
    let text = |field: &str| asked[field].as_str().unwrap_or_default();
    let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty());
    let allowed = text("subresource").is_empty()
        && rights.allows(text("verb"), text("group"), text("resource"), namespace);
    review["status"] = json!({ "allowed": allowed });
    if review["metadata"].is_null() {
        review["metadata"] = json!({});
    }
    Ok(Answer::new(201, review))
}
