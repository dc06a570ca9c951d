//! Whether `serve` could listen where it is told to. Each port is taken for a moment and given back.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::Finding;
use crate::config;

/// How long a bridge that runs may take to say that it does.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn ports(server: &config::Server) -> Vec<Finding> {
    let mut findings = vec![];
    let mut runs = None;
    for (key, address) in [
        ("server.gate_listen", server.gate_listen),
        ("server.webhook_listen", server.webhook_listen),
        ("server.admin_listen", server.admin_listen),
    ] {
        match TcpListener::bind(address).await {
            Ok(_free) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if runs.is_none() {
                    runs = Some(is_bridge(server.admin_listen).await);
                }
                if runs != Some(true) {
                    findings.push(Finding::fail(
                        key,
                        format!("{address} is taken by another program; put another port there, or stop that program"),
                    ));
                }
            }
            Err(error) => findings.push(Finding::fail(key, cannot(address, &error))),
        }
    }
    if findings.is_empty() {
        let what = match runs {
            Some(_) => "and the other two are taken by a bridge that runs here".to_owned(),
            None => format!(
                "{}, {} and {} are free",
                server.gate_listen, server.webhook_listen, server.admin_listen
            ),
        };
        findings.push(Finding::ok("server.gate_listen", what));
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

/// Whether a bridge answers there. The admin listener never speaks TLS.
async fn is_bridge(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n\r\n").await?;
        let mut answer = vec![];
        stream.take(1 << 20).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(PATIENCE, ask).await;
    answer.is_ok_and(|answer| {
        answer.is_ok_and(|answer| String::from_utf8_lossy(&answer).contains("flagger_jira_bridge_build_info"))
    })
}
