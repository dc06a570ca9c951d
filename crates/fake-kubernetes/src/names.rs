//! Which names Kubernetes accepts: `k8s.io/apimachinery/pkg/util/validation`.

/// What the real server says about a name that is no [`is_dns_subdomain`].
pub(super) const NOT_A_DNS_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
    validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// What the real server says about a name that is no [`is_qualified_name`].
pub(super) const NOT_A_QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used \
    for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// Dot-separated labels of lower-case letters, digits and hyphens: at most 253 bytes.
pub(super) fn is_dns_subdomain(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            starts_and_ends(label, alphanumeric)
                && label.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
        })
}

/// At most 63 letters, digits, hyphens, underscores and dots, after an optional DNS subdomain and a slash.
pub(super) fn is_qualified_name(name: &str) -> bool {
    let (prefix, name) = name.split_once('/').map_or((None, name), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_dns_subdomain)
        && name.len() <= 63
        && starts_and_ends(name, |byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn starts_and_ends(text: &str, with: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|first| with(*first)) && bytes.last().is_some_and(|last| with(*last))
}
