//! PURE: URLs from Jira or a team.

use reqwest::Url;

/// The URL, if it may become a link: only `http` and `https`, and without a user name, which can look like a host.
pub(super) fn web_address(url: &str) -> Option<Url> {
    Url::parse(url.trim()).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    })
}
