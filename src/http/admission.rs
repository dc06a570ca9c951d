//! Authorization on the gate listener: which token the caller has, which cluster it belongs to, and whether it may ask.

use secrecy::SecretString;

use crate::{
    config::{Flagger, ScopedToken},
    flagger::{BadPayload, check_dns_label},
    http::{credentials::is_one_of, refused_calls::TOKEN},
    secret::Secret,
    text::Quoted,
};

/// What a caller's token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenHolder<'a> {
    /// No token is configured, so the caller needs none.
    NoTokenNeeded,
    /// `flagger.token`: the caller may ask, but its cluster is not proven.
    General,
    /// The token of this cluster.
    Cluster(&'a str),
    /// A token for some namespaces only.
    Scoped(Scope<'a>),
}

/// One of `[[flagger.tokens]]`.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The index in the list.
    nth: usize,
    token: &'a ScopedToken,
}

/// Two scopes are equal if they have the same index.
impl PartialEq for Scope<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.nth == other.nth
    }
}

impl Eq for Scope<'_> {}

impl Scope<'_> {
    /// Its key in the configuration.
    fn key(&self) -> String {
        format!("flagger.tokens[{}]", self.nth)
    }
}

/// The cluster that a caller names.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimedCluster<'a> {
    /// `?cluster=`
    pub query: Option<&'a str>,
    /// `metadata.cluster`
    pub metadata: Option<&'a str>,
}

/// Whether a caller may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission<'a> {
    /// It may, as this cluster.
    Admitted(&'a str),
    /// 401: the token does not prove the cluster.
    Unauthenticated(Unauthenticated),
    /// 403 for a question; a report is dropped.
    NotAllowed(NotAllowed),
    /// 400: the cluster's name is not a valid name.
    BadPayload(BadPayload),
}

/// Why authentication failed, in one line without any token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// The caller sent no token.
    #[error("a token is needed: http://any:TOKEN@host/…, a Bearer header, or metadata.token")]
    NoToken,
    /// The token is not configured anywhere.
    #[error("the token is not valid")]
    WrongToken,
    /// The named cluster has its own token, and this is another one.
    #[error("cluster {} has its own token, and this is not it", Quoted(.0))]
    OtherToken(String),
    /// The token is configured more than once: token files were changed to the same token after the start.
    #[error("the token is that of {} and also of {}, so it proves neither; each needs its own", Quoted(.0), Quoted(.1))]
    Ambiguous(String, String),
}

/// Why a caller may not ask, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// There is no such cluster in the configuration.
    #[error("cluster {} is not one of flagger.cluster and [[flagger.clusters]]", Quoted(.0))]
    UnknownCluster(String),
    /// The token belongs to another cluster than the caller names.
    #[error("the token is not that of cluster {}", Quoted(.0))]
    OtherCluster(String),
    /// `flagger.namespaces` does not allow the namespace.
    #[error("namespace {} is not allowed by flagger.namespaces", Quoted(.0))]
    Namespace(String),
    /// The token at this key of `[[flagger.tokens]]` does not allow the namespace.
    #[error("the token does not allow namespace {}, see {}.namespaces", Quoted(.0), .1)]
    TokenNamespace(String, String),
}

impl Unauthenticated {
    /// What to change.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoToken | Self::WrongToken => TOKEN,
            Self::OtherToken(_) => {
                "give the hook the token of that cluster, or remove the cluster's name from it"
            }
            Self::Ambiguous(..) => "put another token into one of the two files",
        }
    }
}

impl NotAllowed {
    /// What to change.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownCluster(name) => format!(
                "put {0} into flagger.cluster or name it in [[flagger.clusters]], or remove metadata.cluster and ?cluster= from \
                 the hook",
                Quoted(name)
            ),
            Self::OtherCluster(_) => {
                "remove metadata.cluster and ?cluster= from the hook: its token says which cluster it is"
                    .to_owned()
            }
            Self::Namespace(_) => {
                "list it in flagger.namespaces, or remove the hook from that Canary".to_owned()
            }
            Self::TokenNamespace(_, key) => {
                format!("give the hook its own team's token, or list the namespace in {key}.namespaces")
            }
        }
    }
}

/// Finds the configured token that this one equals. Compares all of them even after a match, and reads changed files
/// again.
///
/// # Errors
/// If a token is needed and this one is missing, not valid, or configured more than once.
pub fn holder<'a>(
    config: &'a Flagger,
    token: Option<&SecretString>,
) -> Result<TokenHolder<'a>, Unauthenticated> {
    if !needs_token(config) {
        return Ok(TokenHolder::NoTokenNeeded);
    }
    let token = token.ok_or(Unauthenticated::NoToken)?;
    let knows = |secret: Option<&Secret>| secret.is_some_and(|secret| is_one_of(token, &secret.values()));
    let clusters = config.clusters.iter().filter(|cluster| knows(cluster.token.as_ref()));
    let mut holders: Vec<TokenHolder<'a>> =
        clusters.map(|cluster| TokenHolder::Cluster(&cluster.name)).collect();
    let scopes = config.tokens.iter().enumerate().map(|(nth, token)| Scope { nth, token });
    holders.extend(scopes.filter(|scope| knows(Some(&scope.token.token))).map(TokenHolder::Scoped));
    holders.extend(knows(config.token.as_ref()).then_some(TokenHolder::General));
    match holders.as_slice() {
        [] => Err(Unauthenticated::WrongToken),
        [holder] => Ok(holder.clone()),
        [one, other, ..] => Err(Unauthenticated::Ambiguous(one.owner(), other.owner())),
    }
}

impl TokenHolder<'_> {
    /// The key or cluster that the token belongs to.
    fn owner(&self) -> String {
        match self {
            Self::NoTokenNeeded => "anybody".to_owned(),
            Self::General => "flagger.token".to_owned(),
            Self::Cluster(name) => (*name).to_owned(),
            Self::Scoped(scope) => scope.key(),
        }
    }
}

/// Whether callers need a token: all do as soon as one is configured.
#[must_use]
pub fn needs_token(config: &Flagger) -> bool {
    config.token.is_some()
        || !config.tokens.is_empty()
        || config.clusters.iter().any(|cluster| cluster.token.is_some())
}

/// Determines the caller's cluster, and whether the caller may ask for this namespace.
pub fn admit<'a>(
    config: &'a Flagger,
    holder: &TokenHolder<'a>,
    named: ClaimedCluster<'_>,
    namespace: &str,
) -> Admission<'a> {
    let cluster = match cluster(config, holder, named) {
        Admission::Admitted(cluster) => cluster,
        refused @ (Admission::Unauthenticated(_) | Admission::NotAllowed(_) | Admission::BadPayload(_)) => {
            return refused;
        }
    };
    if !config.namespaces.is_match(namespace) {
        return Admission::NotAllowed(NotAllowed::Namespace(namespace.to_owned()));
    }
    match holder {
        TokenHolder::Scoped(scope) if !scope.token.namespaces.is_match(namespace) => {
            Admission::NotAllowed(NotAllowed::TokenNamespace(namespace.to_owned(), scope.key()))
        }
        TokenHolder::Scoped(_)
        | TokenHolder::NoTokenNeeded
        | TokenHolder::General
        | TokenHolder::Cluster(_) => Admission::Admitted(cluster),
    }
}

fn cluster<'a>(config: &'a Flagger, holder: &TokenHolder<'a>, named: ClaimedCluster<'_>) -> Admission<'a> {
    let metadata = named.metadata.filter(|name| !name.is_empty());
    let proven = match holder {
        TokenHolder::Cluster(proven) => Some(*proven),
        TokenHolder::Scoped(scope) => scope.token.cluster.as_deref(),
        TokenHolder::NoTokenNeeded | TokenHolder::General => None,
    };
    if let Some(proven) = proven {
        let other = [named.query, metadata].into_iter().flatten().find(|name| *name != proven);
        return match other {
            None => Admission::Admitted(proven),
            Some(other) => Admission::NotAllowed(NotAllowed::OtherCluster(other.to_owned())),
        };
    }
    let name = named.query.or(metadata).unwrap_or(&config.cluster);
    if let Err(bad) = check_dns_label("cluster", name) {
        return Admission::BadPayload(bad);
    }
    match config.clusters.iter().find(|cluster| cluster.name == name) {
        Some(cluster) if cluster.token.is_some() => {
            Admission::Unauthenticated(Unauthenticated::OtherToken(name.to_owned()))
        }
        Some(cluster) => Admission::Admitted(&cluster.name),
        None if name == config.cluster => Admission::Admitted(&config.cluster),
        None => Admission::NotAllowed(NotAllowed::UnknownCluster(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
