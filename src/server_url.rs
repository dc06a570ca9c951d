//! PURE: addresses of servers as people write them, with or without a password.
//!
//! A `/`, `#`, `?` or `\` in a password ends the host too early: a lenient parser reads `http://user:1234/word@host` as
//! host `user`, port 1234 and a path, and errors would show all of that. A late `@` reveals this mistake.

use std::net::IpAddr;

/// The error for an ambiguous address. The caller puts the name of the setting before it. It contains no part of the
/// address.
pub const AMBIGUOUS: &str = "cannot be read as http://user:password@host:port; percent-encode the password (/ is %2F, # is %23, \
     ? is %3F, @ is %40)";

/// The error for a proxy that is a single word.
const SINGLE_WORD: &str = "is a single word, which may be a host or a mistake; write http://host:port";

/// Splits an address after its authority (user, password, host and port), without the scheme.
fn authority(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()))
}

/// Whether it is clear where user and password end.
#[must_use]
pub fn is_unambiguous(url: &str) -> bool {
    let (authority, after) = authority(url);
    authority.matches('@').count() <= 1
        && !after.contains(['@', '\\'])
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Checks that the address of a proxy is unambiguous, and that its host and port are valid. Without scheme and port,
/// the host must have a dot or be `localhost` or an IP address.
///
/// # Errors
/// An error that contains no part of the address.
pub fn check_proxy(url: &str) -> Result<(), &'static str> {
    let host_port = authority(url).0.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (host_port, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_unambiguous(url) || host.is_empty() || !port.is_none_or(is_port) {
        return Err(AMBIGUOUS);
    }
    let looks_like_host =
        host.contains('.') || host.starts_with('[') || host.eq_ignore_ascii_case("localhost");
    if port.is_none() && !url.contains("://") && !looks_like_host {
        return Err(SINGLE_WORD);
    }
    Ok(())
}

/// Whether a host, as in an address, is this machine.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_ends_the_authority_too_early_is_detected() {
        for url in [
            "http://host",
            "host:80",
            "http://user:password@host:80/",
            "http://user@host/path?a=b",
            "http://user:1234%2Fword@host",
            "http://[::1]:80",
        ] {
            assert!(is_unambiguous(url), "{url}");
        }
        for url in [
            "http://user:1234/word@host",
            "http://user:1234#word@host",
            "http://user:1234?word@host",
            "http://user:1234\\word@host",
            "http://user:\\word@host",
            "http://user:\\word",
            "http://user:wo@rd@host",
            "user:1234/word@host",
            "http://user:wo rd@host",
            "http://user:word\n@host",
        ] {
            assert!(!is_unambiguous(url) && check_proxy(url) == Err(AMBIGUOUS), "{url}");
        }
    }

    #[test]
    fn a_proxy_has_a_host_and_maybe_a_port() {
        for url in [
            "http://proxy",
            "http://proxy:3128/",
            "proxy:3128",
            "http://u:p@[::1]:1",
            "http://[::1]",
            "socks5://p:1",
            "proxy.corp",
            "u:p@proxy.corp",
            "10.0.0.1",
            "[fd00::1]",
            "localhost",
        ] {
            assert_eq!(check_proxy(url), Ok(()), "{url}");
        }
        for url in ["banana", "u:p@banana", "true"] {
            assert_eq!(check_proxy(url), Err(SINGLE_WORD), "{url}");
        }
        for url in [
            "",
            "http://",
            "http://:80",
            "http://u:p@:80",
            "http://p:",
            "http://p:0",
            "http://p:99999",
            "http://p:x",
        ] {
            assert_eq!(check_proxy(url), Err(AMBIGUOUS), "{url}");
        }
    }
}
