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
    #[error("cluster {} has a token of its own, and this is not it", Quoted(.0))]
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
    #[error("the token is not good for namespace {}, see {}.namespaces", Quoted(.0), .1)]
    TokenNamespace(String, String),
}

impl Unauthenticated {
    /// What to change.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoToken | Self::WrongToken => TOKEN,
            Self::OtherToken(_) => {
                "give the hook the token of that cluster, or take the cluster's name out of it"
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
                "put {0} into flagger.cluster or name it in [[flagger.clusters]], or take metadata.cluster and ?cluster= out of \
                 the hook",
                Quoted(name)
            ),
            Self::OtherCluster(_) => {
                "take metadata.cluster and ?cluster= out of the hook: its token says which cluster it is"
                    .to_owned()
            }
            Self::Namespace(_) => {
                "list it in flagger.namespaces, or take the hook out of that Canary".to_owned()
            }
            Self::TokenNamespace(_, key) => {
                format!("give the hook the token of its own team, or list the namespace in {key}.namespaces")
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
mod tests {
    use globset::{Glob, GlobSet};

    use super::*;
    use crate::config::Cluster;

    fn config(token: Option<&str>, clusters: &[(&str, Option<&str>)]) -> Flagger {
        let secret = |value: &str| Secret::value(value).unwrap();
        Flagger {
            cluster: "default".into(),
            namespaces: GlobSet::builder().add(Glob::new("team-*").unwrap()).build().unwrap(),
            namespace_globs: vec![],
            token: token.map(secret),
            tokens: vec![],
            clusters: clusters
                .iter()
                .map(|(name, token)| Cluster {
                    name: (*name).into(),
                    token: token.map(secret),
                    kubeconfig_file: None,
                })
                .collect(),
        }
    }

    /// The cluster a caller is admitted as, or the error.
    fn at(config: &Flagger, token: &str, query: &str, metadata: &str) -> String {
        about(config, token, ClaimedCluster { query: Some(query), metadata: Some(metadata) }, "team-a")
    }

    /// Like `at`, for a namespace. An empty value means that it was not sent.
    fn about(config: &Flagger, token: &str, named: ClaimedCluster<'_>, namespace: &str) -> String {
        let token =
            Some(token).filter(|token| !token.is_empty()).map(|token| SecretString::from(token.to_owned()));
        let named = ClaimedCluster { query: named.query.filter(|name| !name.is_empty()), ..named };
        match holder(config, token.as_ref()).map(|holder| admit(config, &holder, named, namespace)) {
            Err(why) => format!("401 {why}"),
            Ok(Admission::Admitted(cluster)) => cluster.to_owned(),
            Ok(Admission::Unauthenticated(why)) => format!("401 {why}"),
            Ok(Admission::NotAllowed(why)) => format!("403 {why}"),
            Ok(Admission::BadPayload(why)) => format!("400 {why}"),
        }
    }

    #[test]
    fn without_tokens_a_configured_cluster_is_believed() {
        let config = config(None, &[("eu", None)]);
        for (token, query, metadata, expected) in [
            ("", "", "", "default"),
            ("whatever", "", "", "default"),
            ("", "eu", "", "eu"),
            ("", "", "eu", "eu"),
            ("", "default", "eu", "default"),
            ("", "eu", "us", "eu"),
        ] {
            assert_eq!(at(&config, token, query, metadata), expected);
        }
        assert_eq!(
            at(&config, "", "us", ""),
            "403 cluster \"us\" is not one of flagger.cluster and [[flagger.clusters]]"
        );
        assert!(at(&config, "", "", "us").starts_with("403"));
        assert!(at(&config, "", "", "Prod EU").starts_with("400"));
    }

    #[test]
    fn a_token_proves_its_cluster() {
        let config = config(Some("general"), &[("eu", Some("eu-token")), ("us", None)]);
        for (token, query, metadata, expected) in [
            ("eu-token", "", "", "eu"),
            ("eu-token", "eu", "eu", "eu"),
            ("general", "", "", "default"),
            ("general", "us", "", "us"),
            ("general", "", "us", "us"),
            ("general", "default", "", "default"),
        ] {
            assert_eq!(at(&config, token, query, metadata), expected);
        }
        for (token, query, metadata, expected) in [
            ("eu-token", "us", "", "403 the token is not that of cluster"),
            ("eu-token", "", "us", "403"),
            ("eu-token", "eu", "us", "403"),
            ("eu-token", "", "default", "403"),
            ("general", "eu", "", "401 cluster \"eu\" has a token of its own"),
            ("general", "", "eu", "401"),
            ("general", "nowhere", "", "403"),
            ("", "", "", "401 a token is needed"),
            ("", "us", "", "401"),
            ("wrong", "", "", "401 the token is not valid"),
            ("wrong", "eu", "", "401"),
            ("eu-toke", "eu", "", "401"),
        ] {
            let answer = at(&config, token, query, metadata);
            assert!(answer.starts_with(expected), "{token} {query} {metadata}: {answer}");
            assert!(!answer.contains("eu-token") && !answer.contains("general"));
        }
    }

    #[test]
    fn if_one_cluster_has_a_token_every_caller_needs_one() {
        let config = config(None, &[("eu", Some("eu-token"))]);
        assert_eq!(at(&config, "eu-token", "", ""), "eu");
        assert!(at(&config, "", "", "").starts_with("401"));
        assert!(at(&config, "other", "default", "").starts_with("401"));
    }

    #[test]
    fn the_usual_cluster_may_have_a_token_of_its_own() {
        let config = config(Some("general"), &[("default", Some("default-token"))]);
        assert_eq!(at(&config, "default-token", "", ""), "default");
        assert!(at(&config, "general", "", "").starts_with("401"));
    }

    #[test]
    fn only_some_namespaces_may_ask() {
        let config = config(None, &[]);
        let ask =
            |namespace| admit(&config, &TokenHolder::NoTokenNeeded, ClaimedCluster::default(), namespace);
        assert_eq!(ask("team-a"), Admission::Admitted("default"));
        assert_eq!(ask("kube-system"), Admission::NotAllowed(NotAllowed::Namespace("kube-system".into())));
    }

    #[test]
    fn each_line_of_a_file_is_valid_and_holds_until_there_is_another() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "new\nold\n").unwrap();
        let mut config = config(None, &[]);
        config.token = Some(Secret::file(file.path()).unwrap());
        assert_eq!(at(&config, "new", "", ""), "default");
        assert_eq!(at(&config, "old", "", ""), "default");
        std::fs::write(file.path(), "newest\nnew\n").unwrap();
        assert_eq!(at(&config, "newest", "", ""), "default");
        assert_eq!(at(&config, "old", "", ""), "401 the token is not valid");
        file.close().unwrap();
        assert_eq!(at(&config, "new", "", ""), "default");
        assert_eq!(at(&config, "old", "", ""), "401 the token is not valid");
    }

    /// A token for some namespaces, and optionally for one cluster.
    fn scoped(token: &str, namespaces: &[&str], cluster: Option<&str>) -> ScopedToken {
        let mut globs = GlobSet::builder();
        for glob in namespaces {
            globs.add(Glob::new(glob).unwrap());
        }
        ScopedToken {
            token: Secret::value(token).unwrap(),
            namespaces: globs.build().unwrap(),
            cluster: cluster.map(str::to_owned),
        }
    }

    #[test]
    fn a_token_may_be_good_for_some_namespaces_only() {
        let mut config = config(Some("general"), &[("eu", Some("of-eu")), ("us", None)]);
        config.tokens = vec![
            scoped("of-a", &["team-a", "team-b*"], None),
            scoped("of-c", &["team-c"], Some("eu")),
            scoped("of-d", &["*"], None),
        ];
        for (token, query, namespace, expected) in [
            ("of-a", "", "team-a", "default"),
            ("of-a", "us", "team-b2", "us"),
            ("of-a", "eu", "team-a", "401 cluster \"eu\" has a token of its own"),
            (
                "of-a",
                "",
                "team-c",
                "403 the token is not good for namespace \"team-c\", see flagger.tokens[0].namespaces",
            ),
            ("of-c", "", "team-c", "eu"),
            ("of-c", "eu", "team-c", "eu"),
            ("of-c", "us", "team-c", "403 the token is not that of cluster \"us\""),
            (
                "of-c",
                "",
                "team-a",
                "403 the token is not good for namespace \"team-a\", see flagger.tokens[1].namespaces",
            ),
            ("of-d", "", "team-z", "default"),
            ("of-d", "", "kube-system", "403 namespace \"kube-system\" is not allowed by flagger.namespaces"),
            ("of-eu", "", "team-a", "eu"),
            ("general", "", "team-c", "default"),
            ("of-", "", "team-a", "401 the token is not valid"),
        ] {
            let answer =
                about(&config, token, ClaimedCluster { query: Some(query), metadata: None }, namespace);
            assert!(answer.starts_with(expected), "{token} {query} {namespace}: {answer}");
        }
        config.token = None;
        config.clusters.clear();
        assert!(needs_token(&config), "then every caller needs one");
        config.tokens.push(scoped("of-a", &["*"], None));
        let twice = holder(&config, Some(&SecretString::from("of-a".to_owned())));
        assert_eq!(
            twice,
            Err(Unauthenticated::Ambiguous("flagger.tokens[0]".into(), "flagger.tokens[3]".into()))
        );
    }

    /// The bridge does not start with such a configuration, but a token file may change later.
    #[test]
    fn a_token_of_two_proves_neither() {
        let two = config(None, &[("eu", Some("same")), ("us", Some("same")), ("asia", Some("own"))]);
        for (query, metadata) in [("", ""), ("eu", ""), ("", "us"), ("asia", "")] {
            let answer = at(&two, "same", query, metadata);
            assert!(answer.starts_with("401 the token is that of \"eu\" and also of \"us\""), "{answer}");
        }
        assert_eq!(at(&two, "own", "", ""), "asia");
        let general = config(Some("same"), &[("eu", Some("same"))]);
        assert!(at(&general, "same", "", "").starts_with("401"));
    }
}
