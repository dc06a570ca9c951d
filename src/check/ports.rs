//! Whether `serve` could listen on its configured addresses. Each port is bound for a moment and released.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, time::timeout};

use super::finding::Finding;
use crate::config;

/// How long a running bridge may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// At most this many bytes of an answer are read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A listener, and how to recognize a running bridge there. `check` sends only requests that probes send, too: a
/// running bridge would show any other request as a refused call.
struct Listener {
    key: &'static str,
    address: SocketAddr,
    /// The schemes, in the order in which they are tried.
    schemes: [&'static str; 2],
    path: &'static str,
    is_bridge_answer: fn(&str) -> bool,
}

pub(super) async fn ports(server: &config::Server) -> Vec<Finding> {
    // A bridge with TLS rejects plain HTTP, and the other way round.
    let schemes = if server.tls.is_some() { ["https", "http"] } else { ["http", "https"] };
    let mut listeners = vec![
        Listener {
            key: "server.gate_listen",
            address: server.gate_listen,
            schemes,
            path: "/healthz",
            is_bridge_answer: |text| text == "ok\n",
        },
        Listener {
            key: "server.webhook_listen",
            address: server.webhook_listen,
            schemes,
            path: "/healthz",
            is_bridge_answer: str::is_empty,
        },
        Listener {
            key: "server.admin_listen",
            address: server.admin_listen,
            schemes: ["http", "https"],
            path: "/metrics",
            is_bridge_answer: |text| text.contains("flagger_jira_bridge_build_info"),
        },
    ];
    listeners.extend(server.page_listen.map(|address| Listener {
        key: "server.page_listen",
        address,
        schemes: ["http", "https"],
        path: "/healthz",
        is_bridge_answer: |text| text == "ok\n",
    }));
    let mut findings = vec![];
    let (mut free, mut by_bridge) = (vec![], vec![]);
    for listener in &listeners {
        let address = listener.address;
        match TcpListener::bind(address).await {
            Ok(_free) => free.push(address.to_string()),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if listener.is_bridge().await {
                    by_bridge.push(address.to_string());
                } else {
                    findings.push(Finding::fail(
                        listener.key,
                        format!("{address} is taken by another program; put another port there, or stop that program"),
                    ));
                }
            }
            Err(error) => findings.push(Finding::fail(listener.key, bind_failure(address, &error))),
        }
    }
    if findings.is_empty() {
        let parts = [("free", free), ("taken by a bridge that runs here", by_bridge)];
        let parts = parts.iter().filter(|(_, addresses)| !addresses.is_empty());
        let parts: Vec<_> =
            parts.map(|(how, addresses)| format!("{how}: {}", addresses.join(", "))).collect();
        findings.push(Finding::ok("server.gate_listen", parts.join("; ")));
    }
    findings
}

fn bind_failure(address: SocketAddr, error: &std::io::Error) -> String {
    let hint = if error.kind() == ErrorKind::PermissionDenied {
        "put a port above 1023 there"
    } else if error.kind() == ErrorKind::AddrNotAvailable {
        "that address is not one of this machine's, put 0.0.0.0 and the port there for all of them"
    } else {
        "put another address there"
    };
    format!("cannot listen on {address}: {error}; {hint}")
}

impl Listener {
    /// Whether a bridge answers there. It may have been started before `server.tls` was changed, so both schemes are
    /// tried. Its certificate is not verified, because no secret is sent.
    async fn is_bridge(&self) -> bool {
        for scheme in self.schemes {
            if timeout(ANSWER_TIMEOUT, self.is_answered_by_bridge(scheme))
                .await
                .is_ok_and(|answers| answers.unwrap_or(false))
            {
                return true;
            }
        }
        false
    }

    #[expect(clippy::disallowed_methods, reason = "this asks a bridge, not Jira")]
    async fn is_answered_by_bridge(&self, scheme: &str) -> Result<bool, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true);
        let client = client.redirect(reqwest::redirect::Policy::none()).build()?;
        let mut answer = client.get(format!("{scheme}://{}{}", self.address, self.path)).send().await?;
        let is_well = answer.status() == reqwest::StatusCode::OK;
        let mut text = Vec::new();
        // Another program's answer may never end.
        while text.len() < MAX_ANSWER_BYTES
            && let Some(more) = answer.chunk().await?
        {
            text.extend_from_slice(&more);
        }
        Ok(is_well && (self.is_bridge_answer)(&String::from_utf8_lossy(&text)))
    }
}
