//! The ConfigMaps that Flagger tracks.

use super::*;

fn with_refs() -> Value {
    let mut target = cart(&json!([{
        "name": "cart", "image": "cart:1",
        "env": [
            { "name": "A", "valueFrom": { "configMapKeyRef": { "name": "env", "key": "a" } } },
            { "name": "B", "valueFrom": { "secretKeyRef": { "name": "password", "key": "b" } } },
            { "name": "C", "valueFrom": { "configMapKeyRef": { "name": "../secrets/password", "key": "c" } } },
        ],
        "envFrom": [{ "configMapRef": { "name": "env-from" } }, { "secretRef": { "name": "password" } }],
    }]));
    let spec = &mut target["spec"]["template"]["spec"];
    spec["initContainers"] = json!([{ "name": "init", "envFrom": [{ "configMapRef": { "name": "init" } }] }]);
    spec["volumes"] = json!([
        { "name": "one", "configMap": { "name": "volume", "optional": true } },
        { "name": "two", "projected": { "sources": [{ "configMap": { "name": "projected" } }, { "secret": { "name": "password" } }] } },
        { "name": "three", "secret": { "secretName": "password" } },
    ]);
    target
}

fn digest_of(data: &Value) -> Option<Digest> {
    config_digest(
        &json!({ "kind": "ConfigMap", "metadata": { "name": "env", "resourceVersion": "7" }, "data": data }),
    )
}

#[test]
fn all_places_are_followed_and_no_secret() {
    let names = config_maps(&canary(), &with_refs()).unwrap();
    assert_eq!(Vec::from_iter(names), ["env", "env-from", "init", "projected", "volume"]);
    // Flagger runs with -enable-config-tracking=false.
    let mut untracked = canary();
    untracked["status"].as_object_mut().unwrap().remove("trackedConfigs");
    assert_eq!(config_maps(&untracked, &with_refs()), None);
}

#[test]
fn only_the_content_counts() {
    let one = digest_of(&json!({ "a": "1", "b": "2" })).unwrap();
    assert_eq!(digest_of(&json!({ "b": "2", "a": "1" })), Some(one.clone()));
    assert_ne!(digest_of(&json!({ "a": "1", "b": "3" })), Some(one.clone()));
    assert_ne!(config_digest(&json!({ "binaryData": { "a": "1", "b": "2" } })), Some(one));
    assert_eq!(digest_of(&json!({})), digest_of(&Value::Null));
}

#[test]
fn what_flagger_leaves_alone_has_no_digest() {
    for (tracking, is_tracked) in [("disabled", false), ("disable", false), ("enabled", true), ("", true)] {
        let map =
            json!({ "metadata": { "annotations": { "flagger.app/config-tracking": tracking } }, "data": {} });
        assert_eq!(config_digest(&map).is_some(), is_tracked, "{tracking}");
    }
}

/// A ticket covers what it was opened with.
#[test]
fn a_change_differs_from_what_a_ticket_shows() {
    let configs = |maps: &[(&str, &str)]| {
        let digests =
            maps.iter().map(|(name, value)| ((*name).to_owned(), digest_of(&json!({ "a": value })).unwrap()));
        Some(Configs::from_iter(digests))
    };
    let target = with_refs();
    let change_with = |configs| Change { configs, ..change(&canary(), &target, None, &|_| false) };
    let shows = |configs| Shown::Change { change: change_with(configs), as_of: None }.shows().unwrap();
    let names =
        |names: &[&str]| Some(Divergence::Configs(names.iter().map(|&name| name.to_owned()).collect()));
    for (then, now, expected) in [
        (configs(&[("a", "1"), ("b", "1")]), configs(&[("a", "1"), ("b", "1")]), None),
        (configs(&[("a", "1"), ("b", "1")]), configs(&[("a", "1"), ("b", "2")]), names(&["b"])),
        (configs(&[("a", "1"), ("b", "1")]), configs(&[("b", "1"), ("c", "1")]), names(&["a", "c"])),
        (configs(&[]), configs(&[]), None),
        // Not proven.
        (configs(&[("a", "1")]), None, names(&["a"])),
        (configs(&[]), None, names(&[])),
        // It did not promise anything.
        (None, configs(&[("a", "1")]), None),
        (None, None, None),
    ] {
        assert_eq!(shows(then.clone()).divergence(&change_with(now.clone())), expected, "{then:?} {now:?}");
    }
    let mut other = change_with(configs(&[("a", "1")]));
    other.digest = Digest::of_normal(&json!({}));
    assert_eq!(shows(configs(&[("a", "1")])).divergence(&other), Some(Divergence::Template));
}

#[test]
fn names_in_words() {
    let words = |count: usize| content_of(&(0..count).map(|nth| format!("map-{nth}")).collect::<Vec<_>>());
    assert_eq!(words(0), "the content of ConfigMaps");
    assert_eq!(words(1), "the content of ConfigMap map-0");
    assert_eq!(words(2), "the content of ConfigMaps map-0, map-1");
    assert_eq!(words(7), "the content of ConfigMaps map-0, map-1, map-2, map-3, map-4 and 2 more");
}
