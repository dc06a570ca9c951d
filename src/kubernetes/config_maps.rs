//! The content of the ConfigMaps that Flagger tracks: read when it counts, never watched, and kept only as digests.

use futures_util::future::try_join_all;
use kube::{
    Api, Error,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::Value;

use super::{cluster::Cluster, error};
use crate::{
    rollout::Reading,
    workload::{Configs, Digest, config_digest, config_maps},
};

/// More ConfigMaps of one target are not read: the answer to Flagger waits for them.
const MOST: usize = 50;
/// How many are read at the same time.
const AT_ONCE: usize = 10;

/// Why a ConfigMap could not be read, on one line.
enum Unread {
    /// The bridge has no right to.
    Forbidden(String),
    Failed(String),
}

impl Cluster {
    /// The content of the ConfigMaps that Flagger tracks for this target, as it is now. `None` if Flagger tracks none,
    /// and, unless it has to be known, if it was not asked for, may not be read, or is too much.
    pub(super) async fn configs(
        &self,
        namespace: &str,
        canary: &Value,
        target: &Value,
        reading: Reading,
    ) -> Result<Option<Configs>, String> {
        let must_be_read = match reading {
            Reading::Target => return Ok(None),
            Reading::ConfigsIfAllowed => false,
            Reading::Configs => true,
        };
        let Some(names) = config_maps(canary, target) else { return Ok(None) };
        let names = Vec::from_iter(names);
        if names.len() > MOST {
            // It stays so: a ticket that does not cover them is better than none.
            let why = format!("the pods use {} ConfigMaps, and the bridge reads {MOST} at most", names.len());
            return if must_be_read { Err(why) } else { Ok(None) };
        }
        let mut read = Vec::new();
        for names in names.chunks(AT_ONCE) {
            match try_join_all(names.iter().map(|name| self.config(namespace, name))).await {
                Ok(digests) => read.extend(digests.into_iter().flatten()),
                Err(Unread::Forbidden(_)) if !must_be_read => return Ok(None),
                Err(Unread::Forbidden(why) | Unread::Failed(why)) => return Err(why),
            }
        }
        Ok(Some(read.into_iter().collect()))
    }

    /// The digest of a ConfigMap, with its name. `None` if it does not exist, or Flagger does not track it.
    async fn config(&self, namespace: &str, name: &str) -> Result<Option<(String, Digest)>, Unread> {
        let client = self
            .client()
            .ok_or_else(|| Unread::Failed(format!("cluster {} cannot be reached yet", self.name())))?;
        // Not the type of Kubernetes: where an answer does not fit that, `kube` would log the whole of it.
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
        let map = api.get_opt(name).await.map_err(|error| {
            let is_forbidden = matches!(&error, Error::Api(status) if status.code == 403);
            let unread = if is_forbidden { Unread::Forbidden } else { Unread::Failed };
            unread(error::of_request(&error))
        })?;
        let Some(map) = map else { return Ok(None) };
        let map = serde_json::to_value(map).map_err(|error| Unread::Failed(error.to_string()))?;
        Ok(config_digest(&map).map(|digest| (name.to_owned(), digest)))
    }
}
