//! A relay in front of the replicas, like a Service of Kubernetes: a fixed address that forwards each connection to a
//! running replica. If none is running, the connection is closed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::process::{ProcessState, ProcessView};

/// Selects a listener of a replica.
pub(crate) type Which = fn(&ProcessView) -> Option<SocketAddr>;

/// The address and its traffic.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    traffic: Arc<Traffic>,
}

#[derive(Default)]
struct Traffic {
    arrived: AtomicUsize,
    open: AtomicUsize,
}

impl Relay {
    /// Starts a relay, which runs until the runtime ends.
    pub(crate) async fn start(states: Vec<Arc<ProcessState>>, which: Which) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, traffic) = (listener.local_addr()?, Arc::new(Traffic::default()));
        let (states, watched) = (Arc::new(states), Arc::clone(&traffic));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let first = watched.arrived.fetch_add(1, Ordering::SeqCst);
                let (states, watched) = (Arc::clone(&states), Arc::clone(&watched));
                tokio::spawn(async move {
                    watched.open.fetch_add(1, Ordering::SeqCst);
                    forward(stream, &states, which, first).await;
                    watched.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self { address, traffic })
    }

    /// How many connections have been accepted.
    pub(crate) fn arrived(&self) -> usize {
        self.traffic.arrived.load(Ordering::SeqCst)
    }

    /// Whether a caller waits for an answer.
    pub(crate) fn is_busy(&self) -> bool {
        self.traffic.open.load(Ordering::SeqCst) > 0
    }
}

async fn forward(mut stream: TcpStream, states: &[Arc<ProcessState>], which: Which, turn: usize) {
    for nth in 0..states.len() {
        let Some(address) = which(&states[(turn + nth) % states.len()].seen()) else { continue };
        let Ok(mut there) = TcpStream::connect(address).await else { continue };
        // If one side closes the connection, so does the other.
        drop(copy_bidirectional(&mut stream, &mut there).await);
        return;
    }
}
