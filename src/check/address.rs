//! PURE: whether jira.url is the address of a page or of the API, copied from a browser or a guide.

/// Path segments of pages and of the API that are never part of a context path.
const PAGES: [&str; 7] = ["browse", "rest", "projects", "secure", "login.jsp", "servicedesk", "plugins"];

/// Whether only Atlassian's own Jira can be at this address.
pub(super) fn is_cloud(url: &str) -> bool {
    is_site(url) || is_gateway(url)
}

/// Atlassian's gateway for tokens with scopes.
pub(super) fn is_gateway(url: &str) -> bool {
    host(url) == "api.atlassian.com"
}

/// A Cloud site, where Jira is at the root.
fn is_site(url: &str) -> bool {
    host(url).ends_with(".atlassian.net")
}

fn host(url: &str) -> &str {
    url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or_default()
}

/// Whether the token would cross a network unencrypted.
pub(super) fn is_unencrypted(url: &str) -> bool {
    let host = host(url);
    url.starts_with("http://") && host != "localhost" && !host.starts_with("127.") && !host.starts_with('[')
}

/// Jira's base URL, if `url` is the address of a page or of the API.
pub(super) fn base_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let segments: Vec<&str> = path.split('/').collect();
    let kept = if is_site(url) {
        0
    } else if is_gateway(url) {
        segments.len().min(3)
    } else {
        segments.iter().position(|segment| PAGES.contains(segment))?
    };
    if kept == segments.len() {
        return None;
    }
    let kept: String = segments.iter().take(kept).map(|segment| format!("/{segment}")).collect();
    Some(format!("{scheme}://{host}{kept}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_was_meant() {
        let meant = |url: &str| base_url(url).unwrap_or_default();
        for (url, right) in [
            ("https://x.atlassian.net", ""),
            ("https://x.atlassian.net/browse/OPS-1", "https://x.atlassian.net"),
            ("https://x.atlassian.net/jira/software/c/projects/OPS", "https://x.atlassian.net"),
            ("https://x.atlassian.net/rest/api/3", "https://x.atlassian.net"),
            ("https://jira.example.com", ""),
            ("https://jira.example.com:8443/jira", ""),
            ("https://jira.example.com/jira/browse/OPS-1", "https://jira.example.com/jira"),
            ("https://jira.example.com/rest/api/2", "https://jira.example.com"),
            ("https://jira.example.com:8443/secure/Dashboard.jspa", "https://jira.example.com:8443"),
            ("https://api.atlassian.com/ex/jira/1f2e", ""),
            ("https://api.atlassian.com/ex/jira/1f2e/rest/api/3", "https://api.atlassian.com/ex/jira/1f2e"),
        ] {
            assert_eq!(meant(url), right, "{url}");
        }
    }

    #[test]
    fn only_atlassians_own_hosts_are_cloud() {
        assert!(is_cloud("https://x.atlassian.net") && is_cloud("https://api.atlassian.com/ex/jira/1"));
        assert!(!is_cloud("https://atlassian.net.example.com") && !is_cloud("https://jira.example.com"));
        assert!(is_unencrypted("http://jira.example.com") && !is_unencrypted("https://jira.example.com"));
        assert!(!is_unencrypted("http://127.0.0.1:1") && !is_unencrypted("http://localhost/jira"));
    }
}
