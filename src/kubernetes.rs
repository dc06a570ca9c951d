//! Reads Canaries and their targets from the API servers of clusters, and publishes Events. The only module that knows
//! `kube`.
//!
//! There is one watch for each kind and cluster, or namespace, and none for a canary. What the watches show is held in
//! memory, and nothing of it is needed after a restart: a ticket keeps what it was opened with.

mod cluster;
mod clusters;
mod config_maps;
mod connect;
mod error;
mod events;
mod kind;
mod objects;
mod probe;
mod reduce;
mod watch;

pub use self::{
    cluster::UnknownCanary,
    clusters::Clusters,
    events::{Note, Published},
    probe::{ClusterView, Probe},
};
