//! Addresses of PostgreSQL servers as people write them: parsed strictly, and converted to what the driver accepts.
//!
//! An address is a secret until it has been parsed. A lenient parser takes a password with a `/`, for example, for
//! host, port and database, and errors would then show parts of it.

use std::{borrow::Cow, net::IpAddr};

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// A parsed address.
pub struct Postgres {
    /// The address in the form that the driver accepts. It contains the password.
    pub url: String,
    /// Parameters of libpq that the driver does not support; they have no effect.
    pub unsupported: Vec<&'static str>,
}

/// Why an address is rejected. It contains no part of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// It is ambiguous or not an address.
    #[error(
        "cannot be read as postgres://user:password@host:port/database; percent-encode the password \
         (% is %25, / is %2F, ? is %3F, # is %23, @ is %40, : is %3A)"
    )]
    Ambiguous,
    /// An IPv6 address without its brackets.
    #[error(
        "cannot be read as postgres://user:password@host:port/database; write an IPv6 address in brackets ([::1]:5432), and \
         percent-encode the password (@ is %40, : is %3A)"
    )]
    Brackets,
    /// The text after the host is not a port.
    #[error(
        "cannot be read as postgres://user:password@host:port/database; write a number from 1 to 65535 for the port, and \
         percent-encode the password (@ is %40, : is %3A)"
    )]
    Port,
    /// Several servers.
    #[error("names several hosts; the bridge takes one")]
    Hosts,
    /// A parameter that neither the driver nor libpq knows.
    #[error(
        "has a parameter after the ? that PostgreSQL does not know; if the ? belongs to the password, percent-encode \
         the password (? is %3F)"
    )]
    Parameter,
    /// A known parameter with an invalid value.
    #[error("has a wrong value for {name}; write {wanted}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// The valid values.
        wanted: &'static str,
    },
}

/// Parameters that libpq supports and the driver does not.
const UNSUPPORTED: [&str; 23] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "require_auth",
    "requirepeer",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcompression",
    "sslcrl",
    "sslnegotiation",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// Parameters that the driver supports, in all spellings.
const SUPPORTED: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

const SSL_MODES: [&str; 6] = ["allow", "disable", "prefer", "require", "verify-ca", "verify-full"];

/// Parses an address.
///
/// # Errors
/// If it is ambiguous, or if a parameter is unknown or invalid.
pub fn postgres(text: &str) -> Result<Postgres, UrlProblem> {
    let (_, rest) = text.split_once("://").ok_or(UrlProblem::Ambiguous)?;
    // `Url` would silently drop some of these characters.
    if rest.contains(|c: char| c.is_control() || c == '#') || decode(rest).is_none() {
        return Err(UrlProblem::Ambiguous);
    }
    let (authority, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = after.split_once('?').unwrap_or((after, ""));
    // An @ this late means that a character of the password ended the authority too early.
    if path.contains('@') || (query.contains('@') && !authority.is_empty()) {
        return Err(UrlProblem::Ambiguous);
    }
    if let Some((_, server)) = authority.rsplit_once('@').filter(|(_, server)| !server.contains(',')) {
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            Some(_) | None => (server, None),
        };
        if host.starts_with('[') != host.ends_with(']') || !host.starts_with('[') && host.contains(':') {
            return Err(UrlProblem::Brackets);
        }
        if port.is_some_and(|port| !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(UrlProblem::Port);
        }
    }
    // The host may be missing, as in postgres://user:password@/database?host=/run/postgresql.
    let with_host = match authority.ends_with('@') {
        true => Cow::Owned(format!("postgres://{authority}localhost{after}")),
        false => Cow::Borrowed(text),
    };
    let mut url = Url::parse(&with_host).map_err(|_| UrlProblem::Ambiguous)?;
    let host = url.host_str().unwrap_or_default();
    let ip6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    match decode(host) {
        Some(host) if host.contains(',') => return Err(UrlProblem::Hosts),
        Some(host) if ip6.is_none() && !is_host(&host) => return Err(UrlProblem::Ambiguous),
        Some(_) => {}
        None => return Err(UrlProblem::Ambiguous),
    }
    let (mut parameters, mut unused) = (Vec::new(), Vec::new());
    for (key, value) in url.query_pairs() {
        if let Some(known) = UNSUPPORTED.iter().find(|known| **known == key) {
            unused.push(*known);
        } else if SUPPORTED.contains(&&*key) || key.starts_with("options[") && key.ends_with(']') {
            check_parameter(&key, &value)?;
            parameters.push((key.into_owned(), value.into_owned()));
        } else {
            return Err(UrlProblem::Parameter);
        }
    }
    if let Some(ip6) = ip6
        && !parameters.iter().any(|(key, _)| key == "host" || key == "hostaddr")
    {
        // The driver would resolve a host name that includes the brackets.
        parameters.push(("host".to_owned(), ip6));
    }
    url.set_query(None);
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    Ok(Postgres { url: url.into(), unsupported: unused })
}

fn check_parameter(key: &str, value: &str) -> Result<(), UrlProblem> {
    let wrong = |name, wanted| Err(UrlProblem::Value { name, wanted });
    match key {
        "host" if value.contains(',') => Err(UrlProblem::Hosts),
        "hostaddr" if value.parse::<IpAddr>().is_err() => wrong("hostaddr", "an IP address"),
        "port" if value.parse::<u16>().is_err() => wrong("port", "a number from 1 to 65535"),
        "sslmode" | "ssl-mode" if !SSL_MODES.contains(&value.to_ascii_lowercase().as_str()) => {
            wrong("sslmode", "disable, allow, prefer, require, verify-ca or verify-full")
        }
        "statement-cache-capacity" if value.parse::<usize>().is_err() => {
            wrong("statement-cache-capacity", "a number")
        }
        _ => Ok(()),
    }
}

/// Whether it is a name, an IPv4 address, a directory of sockets, or empty.
fn is_host(host: &str) -> bool {
    host.starts_with('/') || host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// The percent-decoded text, or `None` if the encoding or the decoded text is invalid.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if text.match_indices('%').any(|(at, _)| !hex(at + 1) || !hex(at + 2)) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use sqlx::postgres::PgConnectOptions;

    use super::*;

    fn problem(text: &str) -> String {
        postgres(text).err().map(|problem| problem.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_password_that_ends_too_early_is_refused() {
        for password in [
            "/7Mabc",
            "12/34x",
            "p@ss/w",
            "ab#cd",
            "12#34",
            "ab?cd",
            "12?34",
            "12?user=x",
            "12?host=x",
            "/",
            "?",
            "#",
            "%",
            "%zz",
            "ab%",
            "ab%f",
            "%ff",
            "%00",
            "1%2",
            "100%sure",
            "a\tb",
            "a\nb",
            "[x/y",
            "12/?x",
            "p@12/w",
            "p@h:/w",
            "p@h?sslmode=x",
            "@/",
            "p@h/d?x",
            "p@h/d#x",
            "::/x",
            "p@[::1]/x",
            "p@h/x/y",
            "/%zz",
            "12//34",
        ] {
            let said = problem(&format!("postgres://bridge:{password}@db/gates"));
            assert!(said.contains("percent-encode the password"), "{password:?}: {said:?}");
            assert!(!said.contains("7Mabc"), "{said}");
        }
        for url in [
            "postgres://bridge:hunter2",
            "postgres://bridge:hunter2/gates",
            "postgres://u:p@h1:1,h2:2/d",
            "postgres://u:p@::1/d",
            "postgres://u:p@[::1/d",
            "postgres://u:p@[fe80::1%25eth0]/d",
            "postgres://u:p@h:99999/d",
            "postgres://u:p@h!x/d",
        ] {
            assert!(problem(url).contains("percent-encode the password"), "{url}");
        }
    }

    #[test]
    fn missing_brackets_and_wrong_ports_have_their_own_hints() {
        for (server, advice) in [
            ("::1:1", "write an IPv6 address in brackets ([::1]:5432)"),
            ("::1", "write an IPv6 address in brackets ([::1]:5432)"),
            ("[::1", "write an IPv6 address in brackets ([::1]:5432)"),
            ("h:99999", "write a number from 1 to 65535 for the port"),
            ("h:abc", "write a number from 1 to 65535 for the port"),
            ("h:0", "write a number from 1 to 65535 for the port"),
            ("[::1]:x", "write a number from 1 to 65535 for the port"),
        ] {
            let said = problem(&format!("postgres://u:p@{server}/db"));
            assert!(said.contains(advice), "{server}: {said}");
        }
    }

    #[test]
    fn an_unambiguous_address_keeps_its_meaning() {
        for (url, user, host, port, database) in [
            ("postgres://bridge:a:b@db/gates", "bridge", "db", 5432, Some("gates")),
            ("postgres://bridge:p@ss@db/gates", "bridge", "db", 5432, Some("gates")),
            ("postgres://bridge:%2F7M%40%25@db:6432/gates", "bridge", "db", 6432, Some("gates")),
            (
                "postgresql://bridge:x y@my_db.internal/gates?sslmode=require",
                "bridge",
                "my_db.internal",
                5432,
                Some("gates"),
            ),
            ("postgres://bridge:x@[::1]:5433/gates", "bridge", "::1", 5433, Some("gates")),
            ("postgres://bridge:x@[2001:DB8::1]/gates", "bridge", "2001:db8::1", 5432, Some("gates")),
            ("postgres://bridge:x@[::1]/gates?host=db", "bridge", "db", 5432, Some("gates")),
            ("postgres://bridge:x@db", "bridge", "db", 5432, None),
            ("postgres://bridge@db/gates?hostaddr=10.0.0.1&port=7", "bridge", "10.0.0.1", 7, Some("gates")),
            ("postgres://db/gates?user=me%40corp&password=p%40ss", "me@corp", "db", 5432, Some("gates")),
            ("postgres:///gates?host=db&user=me@corp&password=p@ss", "me@corp", "db", 5432, Some("gates")),
            (
                "postgres://bridge:x@db/gates?connect_timeout=10&target_session_attrs=read-write",
                "bridge",
                "db",
                5432,
                Some("gates"),
            ),
        ] {
            let read = postgres(url).unwrap_or_else(|problem| panic!("{url}: {problem}"));
            let options = PgConnectOptions::from_str(&read.url).unwrap();
            assert_eq!(
                (options.get_username(), options.get_host(), options.get_port(), options.get_database()),
                (user, host, port, database),
                "{url}"
            );
            let again = postgres(&read.url).unwrap_or_else(|problem| panic!("{url}: {problem}"));
            assert_eq!(again.url, read.url);
        }
        for url in [
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres://u@/d?host=/run/postgresql",
            "postgres://u:p@/d?host=/run/postgresql",
            "postgres:///d?user=u&host=%2Frun%2Fpostgresql",
        ] {
            let options =
                PgConnectOptions::from_str(&postgres(url).map_err(|p| p.to_string()).unwrap().url).unwrap();
            assert_eq!(options.get_socket().unwrap().to_str(), Some("/run/postgresql"), "{url}");
        }
        let read = postgres("postgres://u:p@h/d?connect_timeout=10&sslmode=require")
            .map_err(|p| p.to_string())
            .unwrap();
        assert_eq!(
            (read.unsupported, read.url.as_str()),
            (vec!["connect_timeout"], "postgres://u:p@h/d?sslmode=require")
        );
    }

    #[test]
    fn a_wrong_parameter_is_named_and_its_value_is_not() {
        for (url, said) in [
            (
                "postgres://u:p@h/d?sslmode=hunter2",
                "has a wrong value for sslmode; write disable, allow, prefer, require, verify-ca or verify-full",
            ),
            ("postgres://u:p@h/d?port=hunter2", "has a wrong value for port; write a number from 1 to 65535"),
            ("postgres://u:p@h/d?hostaddr=hunter2", "has a wrong value for hostaddr; write an IP address"),
            ("postgres://u:p@h1,h2/d", "names several hosts; the bridge takes one"),
        ] {
            assert_eq!(problem(url), said);
        }
        assert!(problem("postgres://u:p@h/d?hunter2=1").starts_with("has a parameter after the ?"));
    }
}
