//! How the bridge reaches an API server.

use std::{path::Path, time::Duration};

use kube::{
    Client,
    config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::error;

/// How long the API server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// After so long without a byte a connection is given up. A watch without changes ends by itself before that.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(6);

/// A client by this kubeconfig. `None`: as the service account of the pod or, outside of a cluster, by `KUBECONFIG` or
/// `~/.kube/config`. Sends nothing yet.
///
/// # Errors
/// If there is no such file, or it cannot be used: one line.
pub(super) async fn connect(kubeconfig: Option<&Path>) -> Result<Client, String> {
    let mut config = match kubeconfig {
        Some(path) => from_kubeconfig(Kubeconfig::read_from(path))
            .await
            .map_err(|error| format!("{}: {}", path.display(), error::of_kubeconfig(&error)))?,
        None => match Config::incluster() {
            Ok(config) => config,
            Err(_) => from_kubeconfig(Kubeconfig::read()).await.map_err(|error| {
                let why = error::of_kubeconfig(&error);
                format!("this is no pod with a service account, and there is no kubeconfig: {why}")
            })?,
        },
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE_TIMEOUT);
    // It would hide for minutes that the API server answers 503.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| error::of_request(&error))
}

async fn from_kubeconfig(read: Result<Kubeconfig, KubeconfigError>) -> Result<Config, KubeconfigError> {
    let kubeconfig = read?;
    let context = kubeconfig.current_context.as_deref();
    let context = kubeconfig.contexts.iter().find(|named| Some(named.name.as_str()) == context);
    let cluster = context.and_then(|named| named.context.as_ref()).map(|context| context.cluster.as_str());
    let cluster = kubeconfig.clusters.iter().find(|named| Some(named.name.as_str()) == cluster);
    let has_proxy =
        cluster.and_then(|named| named.cluster.as_ref()).is_some_and(|cluster| cluster.proxy_url.is_some());
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    if !has_proxy {
        // HTTPS_PROXY leads to Jira. As other clients do in a pod, the bridge reaches an API server without one.
        config.proxy_url = None;
    }
    Ok(config)
}
