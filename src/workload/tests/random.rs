//! Properties, for random templates and random JSON.

use proptest::{collection::vec, prelude::*};

use super::*;

/// Any JSON, with the names that the module reads among its keys.
fn any_json() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z]{0,3}(-primary)?".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((key(), inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> + Clone {
    let known = prop::sample::select(vec![
        "metadata",
        "spec",
        "template",
        "containers",
        "initContainers",
        "name",
        "image",
        "env",
        "envFrom",
        "value",
        "valueFrom",
        "configMapKeyRef",
        "secretKeyRef",
        "configMapRef",
        "volumes",
        "configMap",
        "secret",
        "secretName",
        "projected",
        "sources",
        "labels",
        "annotations",
        "affinity",
        "labelSelector",
        "matchLabels",
        "selector",
        "app",
        "topologySpreadConstraints",
        "replicas",
        "strategy",
        "analysis",
        "targetRef",
        "kind",
        "managedFields",
        "status",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

/// A template that a Deployment could have.
fn template() -> impl Strategy<Value = Value> {
    let word = || "[a-z]{1,8}";
    let variable = (word(), word()).prop_map(|(name, value)| json!({ "name": name, "value": value }));
    let source = word().prop_map(|name| json!({ "configMapRef": { "name": name } }));
    let container = (word(), word(), vec(variable, 0..4), vec(source, 0..3), vec(word(), 0..3), any_json()).prop_map(
        |(name, image, env, env_from, args, odd)| {
            json!({ "name": name, "image": format!("{image}:1"), "env": env, "envFrom": env_from, "args": args,
                    "resources": {}, "odd": odd })
        },
    );
    (vec(container.clone(), 1..4), vec(container, 0..2), word(), any_json()).prop_map(
        |(containers, init, label, odd)| {
            json!({
                "metadata": { "labels": { "app": "cart", "tier": label }, "creationTimestamp": null },
                "spec": { "containers": containers, "initContainers": init, "odd": odd,
                          "volumes": [{ "name": "v", "secret": { "secretName": label } }] },
            })
        },
    )
}

/// The paths of all values that hold no others.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| leaves(member, &format!("{at}/{}", escaped(key)), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| leaves(item, &format!("{at}/{index}"), found));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at.to_owned()),
    }
}

/// The same JSON with nulls in its objects, written in another order.
fn rewritten(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members =
                members.iter().rev().map(|(key, member)| format!("{} : {}", json!(key), rewritten(member)));
            let null = (!value.as_object().unwrap().contains_key("zz")).then(|| "\"zz\": null".to_owned());
            format!("{{ {} }}", null.into_iter().chain(members).collect::<Vec<_>>().join(",\n"))
        }
        Value::Array(items) => format!("[ {} ]", items.iter().map(rewritten).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

proptest! {
    #[test]
    fn the_form_does_not_count_and_every_leaf_does(
        template in template(), at in any::<prop::sample::Index>(), edit in any_json(),
    ) {
        let digest = |template: &Value| digest(TargetKind::Deployment, template);
        let again: Value = serde_json::from_str(&rewritten(&template)).unwrap();
        prop_assert_eq!(digest(&again), digest(&template));

        let mut paths = Vec::new();
        leaves(&template, "", &mut paths);
        let path: &String = at.get(&paths);
        let mut edited = template.clone();
        *edited.pointer_mut(path).unwrap() = edit.clone();
        if template.pointer(path) != Some(&edit) {
            prop_assert_ne!(digest(&edited), digest(&template), "{}", path);
        }
    }

    /// What Flagger promotes is what runs; whatever is edited after that is told, by a sentence or an image.
    #[test]
    fn every_edit_is_told(template in template(), at in any::<prop::sample::Index>(), edit in any_json()) {
        let mut target = cart(&json!([]));
        target["spec"]["template"] = template;
        let primary = promoted(&target);
        let change = change_of(&canary(), &target, Some(&primary));
        prop_assert!(change.is_empty(), "{:?}", change);
        prop_assert_eq!(change.running.as_ref(), Some(&change.digest));

        let mut paths = Vec::new();
        leaves(&target["spec"]["template"], "", &mut paths);
        let path: &String = at.get(&paths);
        let mut edited = target.clone();
        *edited["spec"]["template"].pointer_mut(path).unwrap() = edit;
        let change = change_of(&canary(), &edited, Some(&primary));
        let is_told = !change.differences.is_empty() || change.containers.iter().any(ContainerChange::is_changed);
        prop_assert_eq!(is_told, change.running.as_ref() != Some(&change.digest), "{}", path);
    }

    /// No text and no stored form holds a value of a variable, an argument or a command.
    #[test]
    fn values_are_never_shown(old in secretive(), new in secretive(), first: bool) {
        let primary = promoted(&cart(&old));
        let change = change_of(&canary(), &cart(&new), (!first).then_some(&primary));
        let shown = text(&change) + &serde_json::to_string(&change).unwrap() + &format!("{change:?}");
        prop_assert!(!shown.contains("VALUE"), "{}", shown);
    }

    /// Any JSON is taken, and the words stay lines of limited length.
    #[test]
    fn anything_is_taken(canary in any_json(), target in any_json(), primary in any_json(), wrapped: bool) {
        let wrap = |value: Value| if wrapped { json!({ "spec": { "template": value } }) } else { value };
        let (target, primary) = (wrap(target), wrap(primary));
        let change = change_of(&canary, &target, Some(&primary));
        prop_assert_eq!(change.digest.as_str().len(), 64);
        let lines = change.sentences();
        prop_assert!(lines.iter().all(|line| !line.contains('\n') && line.chars().count() < 1_000), "{:?}", lines);
        let stored = serde_json::to_string(&change).unwrap();
        prop_assert_eq!(serde_json::from_str::<Change>(&stored).unwrap(), change);
    }
}

/// Containers whose values all contain `VALUE`.
fn secretive() -> impl Strategy<Value = Value> {
    let value = || "VALUE[a-z0-9]{0,4}";
    let variable = ("[A-D]", value()).prop_map(|(name, value)| json!({ "name": name, "value": value }));
    let odd = prop_oneof![
        value().prop_map(Value::from),
        vec(value(), 0..3).prop_map(Value::from),
        value().prop_map(|value| json!({ "nested": [value] })),
    ];
    let env = prop_oneof![4 => vec(variable, 0..4).prop_map(Value::from), 1 => odd.clone()];
    let container =
        ("[a-c]", env, odd.clone(), odd.clone(), odd).prop_map(|(name, env, args, command, probe)| {
            json!({ "name": name, "image": "cart:1", "env": env, "args": args, "command": command,
                "livenessProbe": { "exec": { "command": probe } }, "unknown": { "deep": probe } })
        });
    vec(container, 0..4).prop_map(Value::from)
}
