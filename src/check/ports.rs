//! Whether `serve` could listen where it is told to. Each port is taken for a moment and given back.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::net::TcpListener;

use super::Finding;
use crate::config;

/// How long a bridge that runs may take to say that it does.
const PATIENCE: Duration = Duration::from_secs(2);

/// A listener: its key, where it is, and what only a bridge answers to a question there.
struct Listener {
    key: &'static str,
    address: SocketAddr,
    tls: bool,
    path: &'static str,
    answer: &'static str,
}

pub(super) async fn ports(server: &config::Server) -> Vec<Finding> {
    const ONLY_POST: &str = "this path does not take";
    let tls = server.tls.is_some();
    let listener = |key, address, tls, path, answer| Listener { key, address, tls, path, answer };
    let listeners = [
        listener("server.gate_listen", server.gate_listen, tls, "/gate/confirm-rollout", ONLY_POST),
        listener("server.webhook_listen", server.webhook_listen, tls, "/jira/webhook", ONLY_POST),
        listener(
            "server.admin_listen",
            server.admin_listen,
            false,
            "/metrics",
            "flagger_jira_bridge_build_info",
        ),
    ];
    let mut findings = vec![];
    let (mut free, mut ours) = (vec![], vec![]);
    for listener in &listeners {
        let address = listener.address;
        match TcpListener::bind(address).await {
            Ok(_free) => free.push(address.to_string()),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if listener.is_a_bridges().await {
                    ours.push(address.to_string());
                } else {
                    findings.push(Finding::fail(
                        listener.key,
                        format!("{address} is taken by another program; put another port there, or stop that program"),
                    ));
                }
            }
            Err(error) => findings.push(Finding::fail(listener.key, cannot(address, &error))),
        }
    }
    if findings.is_empty() {
        let told = [("free", free), ("taken by a bridge that runs here", ours)];
        let told = told.iter().filter(|(_, addresses)| !addresses.is_empty());
        let told: Vec<_> = told.map(|(how, addresses)| format!("{how}: {}", addresses.join(", "))).collect();
        findings.push(Finding::ok("server.gate_listen", told.join("; ")));
    }
    findings
}

fn cannot(address: SocketAddr, error: &std::io::Error) -> String {
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
    /// Whether a bridge answers there. Its certificate need not prove anything: no secret is sent.
    #[expect(clippy::disallowed_methods, reason = "this asks a bridge, not Jira")]
    async fn is_a_bridges(&self) -> bool {
        let ask = async {
            let client =
                reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).timeout(PATIENCE);
            let scheme = if self.tls { "https" } else { "http" };
            let url = format!("{scheme}://{}{}", self.address, self.path);
            client.build()?.get(url).send().await?.text().await
        };
        ask.await.is_ok_and(|text| text.contains(self.answer))
    }
}
