//! Kubernetes Events on a Canary.

use std::time::Duration;

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff,
};
use kube::{
    Api, Client, Error,
    api::PostParams,
    core::{DynamicObject, ObjectMeta},
};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{cluster::Cluster, clusters::Clusters, error, kind::Kind};
use crate::{millis::Millis, rollout::CanaryId};

/// Who publishes them: `reportingController`, and the instance, which all replicas share.
const REPORTER: &str = "flagger-jira-bridge";
/// How long the API server may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest `note`, in bytes (`pkg/apis/core/validation/events.go`).
const LONGEST_NOTE: usize = 1024;
/// The longest part of an Event's name that is the Canary's: all in all it may have 253 characters.
const LONGEST_NAME: usize = 200;

/// What an Event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// In a word: `ApprovalRequested`.
    pub reason: &'static str,
    /// Whether somebody should look at it: `Warning`, not `Normal`.
    pub is_warning: bool,
    /// In a sentence.
    pub text: String,
}

/// What became of an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// It is there, or there is no Canary to publish it on.
    Done,
    /// The API server refuses it: why, on one line.
    Refused(String),
    /// The API server could not be asked: why, on one line.
    Failed(String),
}

impl Clusters {
    /// Publishes an Event on a Canary. `id` identifies it: with the same one it is published once.
    pub async fn publish(&self, canary: &CanaryId, id: &str, note: &Note, at: Millis) -> Published {
        match self.cluster(&canary.cluster) {
            Some(cluster) => {
                let published = timeout(TIMEOUT, cluster.publish(canary, id, note, at)).await;
                published.unwrap_or_else(|_| {
                    Published::Failed(format!("the API server did not answer within {} s", TIMEOUT.as_secs()))
                })
            }
            // It is not read any more.
            None => Published::Done,
        }
    }
}

impl Cluster {
    async fn publish(&self, canary: &CanaryId, id: &str, note: &Note, at: Millis) -> Published {
        let Some(client) = self.client() else {
            return Published::Failed(format!("cluster {} cannot be reached yet", self.name()));
        };
        // `kubectl describe` finds the Events of an object by its uid.
        let uid = match uid(&client, canary).await {
            Ok(Some(uid)) => uid,
            Ok(None) => return Published::Done,
            Err(error) => return failed(&error),
        };
        let api: Api<Event> = Api::namespaced(client, &canary.namespace);
        match api.create(&PostParams::default(), &event(canary, uid, id, note, at)).await {
            Ok(_) => Published::Done,
            Err(Error::Api(status)) if status.code == 409 => Published::Done,
            Err(error) => failed(&error),
        }
    }
}

/// An answer that the same request would get again is a refusal. Not if the API server is busy, or rejects a token that
/// may be replaced.
fn failed(error: &Error) -> Published {
    let why = error::of_request(error);
    let code = if let Error::Api(status) = error { Some(status.code) } else { None };
    if code.is_some_and(|code| (400..500).contains(&code) && ![401, 408, 429].contains(&code)) {
        Published::Refused(why)
    } else {
        Published::Failed(why)
    }
}

fn event(canary: &CanaryId, uid: String, id: &str, note: &Note, at: Millis) -> Event {
    let CanaryId { namespace, name, .. } = canary;
    let resource = Kind::Canary.api_resource();
    // Names of objects are narrower than ids, and may not be as long.
    let digest = hex::encode(Sha256::digest(id.as_bytes()));
    let prefix = cut(name, LONGEST_NAME).trim_end_matches(['.', '-']);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{prefix}.{}", &digest[..32])),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        event_time: jiff::Timestamp::from_millisecond(at.0).ok().map(MicroTime),
        reporting_controller: Some(REPORTER.into()),
        reporting_instance: Some(REPORTER.into()),
        action: Some("Approval".into()),
        reason: Some(note.reason.into()),
        type_: Some(if note.is_warning { "Warning" } else { "Normal" }.into()),
        note: Some(cut(&note.text, LONGEST_NOTE).to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            namespace: Some(namespace.clone()),
            name: Some(name.clone()),
            uid: Some(uid),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The uid of a Canary. `None` if there is no such Canary.
async fn uid(client: &Client, canary: &CanaryId) -> kube::Result<Option<String>> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &canary.namespace, &Kind::Canary.api_resource());
    Ok(api.get_opt(&canary.name).await?.and_then(|canary| canary.metadata.uid))
}
