//! PURE: addresses that Jira or a team names.

use reqwest::Url;

/// An address that may be made a link: of the web, and nothing else.
pub(super) fn web_address(url: &str) -> Option<Url> {
    Url::parse(url.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}
