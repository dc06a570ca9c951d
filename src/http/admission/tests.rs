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
        ("general", "eu", "", "401 cluster \"eu\" has its own token"),
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
    let ask = |namespace| admit(&config, &TokenHolder::NoTokenNeeded, ClaimedCluster::default(), namespace);
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
        ("of-a", "eu", "team-a", "401 cluster \"eu\" has its own token"),
        (
            "of-a",
            "",
            "team-c",
            "403 the token does not allow namespace \"team-c\", see flagger.tokens[0].namespaces",
        ),
        ("of-c", "", "team-c", "eu"),
        ("of-c", "eu", "team-c", "eu"),
        ("of-c", "us", "team-c", "403 the token is not that of cluster \"us\""),
        (
            "of-c",
            "",
            "team-a",
            "403 the token does not allow namespace \"team-a\", see flagger.tokens[1].namespaces",
        ),
        ("of-d", "", "team-z", "default"),
        ("of-d", "", "kube-system", "403 namespace \"kube-system\" is not allowed by flagger.namespaces"),
        ("of-eu", "", "team-a", "eu"),
        ("general", "", "team-c", "default"),
        ("of-", "", "team-a", "401 the token is not valid"),
    ] {
        let answer = about(&config, token, ClaimedCluster { query: Some(query), metadata: None }, namespace);
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
