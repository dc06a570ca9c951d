//! PURE: settings that are templates.

/// Whether a setting is filled in only when Flagger asks.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}
