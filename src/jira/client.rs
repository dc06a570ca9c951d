//! What the requests go out with: whom it trusts, and the proxy on the way.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, ClientBuilder, Url};

use super::error::{Error, chain};
use crate::watched::Watched;

/// An idle connection is closed before Jira closes it: a request that meets the closing may have happened or not.
const IDLE: Duration = Duration::from_secs(10);

const NO_AUTHORITY: &str = "jira.ca_file: no certificate authority is known here: install the system's (Debian: \
     ca-certificates), or put the PEM file of the one that signed Jira's certificate into jira.ca_file";

/// The client; a new one, with new connections, when the file of authorities changes.
pub(super) type Clients = Watched<Client, Error>;

/// A client for what is at `base`.
pub(super) fn clients(base: &Url, ca_file: Option<PathBuf>, timeout: Duration) -> Result<Clients, Error> {
    let (here, plain) = (is_this_machine(base), base.scheme() == "http");
    let builder = move || {
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .timeout(timeout)
            // Running out while connecting proves that nothing was sent; running out later does not.
            .connect_timeout(timeout / 2)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("flagger-jira-bridge/", env!("CARGO_PKG_VERSION")));
        if here { builder.no_proxy() } else { builder }
    };
    Watched::open(ca_file.into_iter().collect(), move |files| match files {
        [] => builder().build().or_else(|_| {
            // The system has no authorities. Whom there is nobody to trust for, that needs none.
            if plain {
                return builder().tls_certs_only([]).build().map_err(|error| Error::Settings(chain(error)));
            }
            Err(Error::Settings(NO_AUTHORITY.to_owned()))
        }),
        [file, ..] => {
            trusting(builder(), file).map_err(|why| Error::Settings(format!("jira.ca_file: {why}")))
        }
    })
}

/// A client that trusts the authorities in a file beside the public ones.
fn trusting(builder: ClientBuilder, file: &Path) -> Result<Client, String> {
    let shown = file.display();
    let pem = std::fs::read(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let none = || format!("{shown} holds no certificate in PEM");
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| none())?;
    if certificates.is_empty() {
        return Err(none());
    }
    let client = builder.tls_certs_merge(certificates).build();
    client.map_err(|error| format!("{shown} cannot be used: {}", chain(error)))
}

/// The proxy that leads to `base`, in words that hold no password.
pub(super) fn proxy(base: &Url) -> Result<Option<String>, Error> {
    if is_this_machine(base) {
        return Ok(None);
    }
    // The same that the client asks.
    let through = base.as_str().parse().ok().and_then(|address| Matcher::from_system().intercept(&address));
    let Some(through) = through else { return Ok(None) };
    let (scheme, host) = (through.uri().scheme_str().unwrap_or("http"), through.uri().host());
    let port = through.uri().port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let address = format!("{scheme}://{}{port}", host.unwrap_or_default());
    if !matches!(scheme, "http" | "https") {
        return Err(Error::Settings(format!(
            "{} names {address}, and only proxies of http:// can be used; put one there, or Jira's host into NO_PROXY",
            variable(base, is_set)
        )));
    }
    Ok(Some(format!("the proxy {address} ({})", variable(base, is_set))))
}

/// Which variable of the environment names the proxy.
fn variable(base: &Url, is_set: impl Fn(&str) -> bool) -> &'static str {
    let of_scheme: [&'static str; 2] =
        if base.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let [usual, _] = of_scheme;
    of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]).find(|name| is_set(name)).unwrap_or(usual)
}

/// Whether no proxy could reach it, wherever the environment says that one is.
fn is_this_machine(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
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

    #[test]
    fn the_variable_that_names_the_proxy_is_told() {
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
