//! What the caller may do, as the Roles and ClusterRoles of RBAC grant it.

use std::collections::{BTreeMap, BTreeSet};

use super::kind::Kind;

/// The API group of reviews of the caller's own access.
pub(super) const REVIEW_GROUP: &str = "authorization.k8s.io";
/// The resource of these reviews.
pub(super) const REVIEWS: &str = "selfsubjectaccessreviews";

/// Where a verb on a resource is granted.
enum Scope {
    /// In the whole cluster, or in every namespace but these. The caller then has no cluster-wide right.
    Everywhere { except: BTreeSet<String> },
    /// In these namespaces.
    Namespaces(BTreeSet<String>),
}

/// A closed list of rights, by verb and resource.
pub(super) struct Rights(BTreeMap<(String, String), Scope>);

impl Rights {
    /// What the bridge needs: read what Flagger works with, write Events, and ask what it may do.
    pub(super) fn of_the_bridge() -> Self {
        let mut rights = Self(BTreeMap::new());
        for kind in [Kind::Canary, Kind::Deployment, Kind::DaemonSet] {
            for verb in ["get", "list", "watch"] {
                rights.allow(verb, kind.resource(), None);
            }
        }
        rights.allow("create", Kind::Event.resource(), None);
        rights.allow("patch", Kind::Event.resource(), None);
        rights.allow("create", REVIEWS, None);
        rights
    }

    /// Grants a verb on a resource in one namespace, or in the whole cluster.
    pub(super) fn allow(&mut self, verb: &str, resource: &str, namespace: Option<&str>) {
        let key = (verb.to_owned(), resource.to_owned());
        let Some(namespace) = namespace else {
            self.0.insert(key, Scope::Everywhere { except: BTreeSet::new() });
            return;
        };
        match self.0.entry(key).or_insert_with(|| Scope::Namespaces(BTreeSet::new())) {
            Scope::Everywhere { except } => except.remove(namespace),
            Scope::Namespaces(names) => names.insert(namespace.to_owned()),
        };
    }

    /// Takes it away again, in one namespace or everywhere.
    pub(super) fn forbid(&mut self, verb: &str, resource: &str, namespace: Option<&str>) {
        let key = (verb.to_owned(), resource.to_owned());
        let Some(namespace) = namespace else {
            self.0.remove(&key);
            return;
        };
        match self.0.get_mut(&key) {
            Some(Scope::Everywhere { except }) => {
                except.insert(namespace.to_owned());
            }
            Some(Scope::Namespaces(names)) => {
                names.remove(namespace);
            }
            None => {}
        }
    }

    /// Whether the caller may do it in this namespace; `None`: in all of them.
    pub(super) fn allows(&self, verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> bool {
        let is_served =
            Kind::served_at(group, resource).is_some() || (group, resource) == (REVIEW_GROUP, REVIEWS);
        let scope = self.0.get(&(verb.to_owned(), resource.to_owned())).filter(|_| is_served);
        match (scope, namespace) {
            (None, _) | (Some(Scope::Namespaces(_)), None) => false,
            (Some(Scope::Everywhere { except }), None) => except.is_empty(),
            (Some(Scope::Everywhere { except }), Some(namespace)) => !except.contains(namespace),
            (Some(Scope::Namespaces(names)), Some(namespace)) => names.contains(namespace),
        }
    }
}
