//! The HTTP client: which certificate authorities it trusts, and which proxy it uses.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, ClientBuilder, Url};

use super::{cause::SystemResolver, settings::UnusableSettings, transport::chain};
use crate::{
    pem::{self, Bundle},
    reload::Reloaded,
    server_url,
};

/// Idle connections are closed before Jira closes them: if Jira closes one while a request is sent on it, Jira may or
/// may not have carried out the request.
const IDLE: Duration = Duration::from_secs(10);

/// The client; when the file of authorities changes, a new one with new connections.
pub(super) type Clients = Reloaded<ClientWithRoots, UnusableSettings>;

/// A client, and messages about the certificates in the file that it cannot use.
#[derive(Clone, Debug)]
pub(super) struct ClientWithRoots {
    pub(super) client: Client,
    pub(super) skipped: Vec<String>,
}

impl From<Client> for ClientWithRoots {
    fn from(client: Client) -> Self {
        Self { client, skipped: vec![] }
    }
}

/// A client for Jira, and what else its account needs, at these addresses.
pub(super) fn clients(
    bases: &[&Url],
    ca_file: Option<PathBuf>,
    timeout: Duration,
) -> Result<Clients, UnusableSettings> {
    let here = bases.iter().all(|base| is_this_machine(base));
    let plain = bases.iter().all(|base| base.scheme() == "http");
    let builder = move || {
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .timeout(timeout)
            // A timeout while connecting proves that nothing was sent; a later timeout does not.
            .connect_timeout(timeout / 2)
            .pool_idle_timeout(IDLE)
            .dns_resolver(SystemResolver)
            .user_agent(concat!("flagger-jira-bridge/", env!("CARGO_PKG_VERSION")));
        if here { builder.no_proxy() } else { builder }
    };
    let read = move |files: &[PathBuf]| match files {
        // Plain HTTP needs no certificate authorities.
        [] if plain => builder()
            .tls_certs_only([])
            .build()
            .map(ClientWithRoots::from)
            .map_err(|error| UnusableSettings::Address(chain(error))),
        [] => builder().build().map(ClientWithRoots::from).map_err(|_| UnusableSettings::NoAuthority),
        [file, ..] => client_with_roots(builder(), file).map_err(UnusableSettings::Authorities),
    };
    // The first reading is reported through `Jira::skipped_certificates`.
    let on_reload = |read: &ClientWithRoots| pem::log_skipped("jira.ca_file", &read.skipped);
    Reloaded::open(ca_file.into_iter().collect(), read, on_reload)
}

/// A client that trusts the authorities in a file, in addition to the public ones.
fn client_with_roots(builder: ClientBuilder, file: &Path) -> Result<ClientWithRoots, String> {
    let unfit = |error| format!("{} cannot be used: {}", file.display(), chain(error));
    let Bundle { certificates, skipped } = pem::authorities(file)?;
    let certificates: Result<Vec<_>, _> = certificates.iter().map(|one| Certificate::from_der(one)).collect();
    let client = builder.tls_certs_merge(certificates.map_err(unfit)?).build().map_err(unfit)?;
    Ok(ClientWithRoots { client, skipped })
}

/// The proxy for requests to `base`, described without its password.
pub(super) fn proxy(base: &Url) -> Result<Option<String>, UnusableSettings> {
    if is_this_machine(base) {
        return Ok(None);
    }
    let Ok(address) = base.as_str().parse() else { return Ok(None) };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let variable = variable(base, |name| set(name).is_some());
    // The client would ignore a proxy that it cannot parse, or take another host from it than the intended one.
    let no_proxy =
        ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let intercepts =
        |proxy: &str| Matcher::builder().all(proxy).no(no_proxy.as_str()).build().intercept(&address);
    if let Some(named) = set(variable)
        && intercepts("http://proxy.invalid").is_some()
    {
        let usable = server_url::check_proxy(&named)
            .and_then(|()| intercepts(&named).map(drop).ok_or(server_url::AMBIGUOUS));
        usable.map_err(|what| UnusableSettings::Address(format!("{variable}: {what}")))?;
    }
    // The client uses the same matcher.
    let Some(through) = Matcher::from_system().intercept(&address) else { return Ok(None) };
    let (scheme, host) = (through.uri().scheme_str().unwrap_or("http"), through.uri().host());
    let port = through.uri().port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let address = format!("{scheme}://{}{port}", host.unwrap_or_default());
    if !matches!(scheme, "http" | "https") {
        return Err(UnusableSettings::Address(format!(
            "{variable} names {address}, and only an HTTP proxy can be used; put one there, or Jira's host into NO_PROXY"
        )));
    }
    Ok(Some(format!("the proxy {address} ({variable})")))
}

/// The environment variable that names the proxy.
fn variable(base: &Url, is_set: impl Fn(&str) -> bool) -> &'static str {
    let of_scheme: [&'static str; 2] =
        if base.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let [usual, _] = of_scheme;
    of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]).find(|name| is_set(name)).unwrap_or(usual)
}

/// Whether `base` is on this machine, which no proxy could reach.
fn is_this_machine(base: &Url) -> bool {
    server_url::is_this_machine(base.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_needs_no_proxy() {
        let here = |url: &str| is_this_machine(&Url::parse(url).unwrap());
        for url in ["http://127.0.0.1:8080/jira", "http://127.1.2.3", "http://localhost", "http://[::1]:1"] {
            assert!(here(url), "{url}");
        }
        for url in ["https://example.atlassian.net", "http://10.0.0.1", "http://localhost.example.com"] {
            assert!(!here(url), "{url}");
        }
    }

    /// What docs/jira-data-center.md says about NO_PROXY.
    #[test]
    fn what_no_proxy_understands() {
        for (list, url, past) in [
            ("example.com", "https://example.com", true),
            ("example.com", "https://jira.example.com", true),
            (".example.com", "https://jira.example.com", true),
            (".example.com", "https://example.com", true),
            ("EXAMPLE.com", "https://jira.example.COM", true),
            ("example.com", "https://notexample.com", false),
            ("other.org, example.com", "https://jira.example.com", true),
            ("*", "https://jira.example.com", true),
            ("10.1.2.3", "https://10.1.2.3:8443", true),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("2001:db8::7", "https://[2001:db8::7]", true),
            ("10.0.0.0/8", "https://jira.example.com", false),
            // Forms that only other programs understand.
            ("*.example.com", "https://jira.example.com", false),
            ("jira.example.com:8443", "https://jira.example.com:8443", false),
            ("other.org example.com", "https://jira.example.com", false),
        ] {
            let matcher = Matcher::builder().all("http://proxy.example:3128").no(list).build();
            let through = matcher.intercept(&url.parse().unwrap());
            assert_eq!(through.is_none(), past, "{list} {url}");
        }
    }

    #[test]
    fn the_variable_that_names_the_proxy_is_reported() {
        for (url, set, expected) in [
            ("https://jira.example", &["HTTPS_PROXY", "https_proxy", "ALL_PROXY"][..], "HTTPS_PROXY"),
            ("https://jira.example", &["HTTP_PROXY", "https_proxy", "ALL_PROXY"], "https_proxy"),
            ("https://jira.example", &["HTTP_PROXY", "ALL_PROXY", "all_proxy"], "ALL_PROXY"),
            ("http://jira.example", &["HTTPS_PROXY", "all_proxy"], "all_proxy"),
            ("http://jira.example", &["http_proxy"], "http_proxy"),
        ] {
            assert_eq!(variable(&Url::parse(url).unwrap(), |name| set.contains(&name)), expected);
        }
    }
}
