//! The request that a handler gets, and what it asks for in the terms of the API.

use axum::http::HeaderMap;
use serde_json::Value;

use super::answer::Answer;

/// A request to the API.
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    /// The body, if it was JSON.
    pub(super) json: Option<Value>,
}

impl Call {
    /// The first query parameter with this name; empty if there is none.
    pub(super) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Whether this query parameter is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.query(name), "1" | "true")
    }

    /// A whole number in the query; absent and empty are the same.
    ///
    /// # Errors
    /// The answer to any other value.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Answer> {
        match self.query(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Answer::bad_request(format!(
                    "{name}: Invalid value: {text:?}: strconv.ParseUint: invalid syntax"
                ))
            }),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body, if its media type is this one.
    ///
    /// # Errors
    /// The answer to another media type, and to a body that is no JSON object.
    pub(super) fn body(&self, media: &str) -> Result<&Value, Answer> {
        let given = self.header("content-type").unwrap_or_default();
        if given.split(';').next().map(str::trim) != Some(media) {
            let message = format!(
                "the body of the request was in an unknown format - accepted media types include: {media}"
            );
            return Err(Answer::failure(415, "UnsupportedMediaType", &message, None).with_complaint(message));
        }
        self.json.as_ref().filter(|json| json.is_object()).ok_or_else(|| {
            Answer::bad_request("couldn't get version/kind; json parse error: the body is no JSON object")
        })
    }
}

/// What a request asks for, as authorization sees it.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    pub(super) verb: &'static str,
    /// Empty for the core group.
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    /// With its subresource, if any: `deployments/status`.
    pub(super) resource: String,
    /// `None`: all namespaces, or a resource without namespaces.
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// `None` if the path is not that of a resource.
    pub(super) fn of(call: &'a Call) -> Option<Self> {
        let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (resource, name, subresource) = match rest {
            [] => return None,
            [resource] => (*resource, None, None),
            [resource, name, below @ ..] => (*resource, Some(*name), below.first()),
        };
        let verb = match (call.method.as_str(), name) {
            ("GET", Some(_)) => "get",
            ("GET", None) if call.flag("watch") => "watch",
            ("GET", None) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            _ => "",
        };
        let resource = subresource.map_or_else(|| resource.to_owned(), |below| format!("{resource}/{below}"));
        Some(Self { verb, group, version, resource, namespace, name })
    }
}
