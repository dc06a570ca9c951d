//! The HTML that both kinds of markup become.

/// The display name of an account id (Cloud) or a user name (Data Center); `None` if there is no such account.
pub(super) type Names<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Like Jira: links with other schemes are not rendered.
pub(super) fn is_web(href: &str) -> bool {
    href.starts_with("https://") || href.starts_with("http://")
}

/// A link, or only its text if it leads elsewhere than to the web.
pub(super) fn link(href: &str, text: &str, out: &mut String) {
    let mut label = String::new();
    escape(text, &mut label);
    if is_web(href) { anchor(href, &label, out) } else { out.push_str(&label) }
}

pub(super) fn anchor(href: &str, label: &str, out: &mut String) {
    out.push_str("<a href=\"");
    escape(href, out);
    out.push_str("\">");
    out.push_str(label);
    out.push_str("</a>");
}

/// A mention with the account's current name, as Jira shows it. An account that does not exist keeps the `text` it was
/// sent with.
pub(super) fn mention(id: &str, text: &str, names: Names<'_>, out: &mut String) {
    let sent = || text.strip_prefix('@').unwrap_or(text).to_owned();
    let name = names(id).unwrap_or_else(sent);
    let name = if name.is_empty() { "unknown user" } else { &name };
    element("span class=\"mention\"", out, |out| escape(&format!("@{name}"), out));
}

/// An element. `open` is its name and attributes.
pub(super) fn element(open: &str, out: &mut String, inner: impl FnOnce(&mut String)) {
    let name = open.split(' ').next().unwrap_or_default();
    out.push_str(&format!("<{open}>"));
    inner(out);
    out.push_str(&format!("</{name}>"));
}

pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
}
