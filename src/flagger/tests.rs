use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::*;

/// As recorded from Flagger.
const QUESTION: &str =
    r#"{"name":"podinfo","namespace":"default","phase":"Progressing","checksum":"5594979469"}"#;

fn bad(body: &str) -> String {
    parse(body.as_bytes()).unwrap_err().to_string()
}

/// A valid question with these further keys.
fn with(keys: &str) -> String {
    format!(r#"{{"name":"podinfo","namespace":"test",{keys}}}"#)
}

#[test]
fn a_recorded_question_is_read() {
    let read = parse(QUESTION.as_bytes()).unwrap();
    assert_eq!((read.name.as_str(), read.namespace.as_str()), ("podinfo", "default"));
    let expected =
        Message { phase: Phase::Progressing, checksum: Some(Revision("5594979469".into())), label: None };
    assert_eq!(read.message, expected);
    assert!(read.metadata.is_empty() && read.event_message.is_none() && read.token.is_none());
}

#[test]
fn an_event_keeps_only_the_hooks_own_metadata() {
    let body = with(
        r#""phase":"Waiting","checksum":"","metadata":{"eventMessage":"Halt\npodinfo.test","eventType":"Warning",
        "timestamp":"1790000000000","team":"a","token":"s3cret"}"#,
    );
    let read = parse(body.as_bytes()).unwrap();
    assert_eq!(read.event_message.as_deref(), Some("Halt podinfo.test"));
    assert_eq!(read.metadata, BTreeMap::from([("team".to_owned(), "a".to_owned())]));
    assert_eq!(read.token.as_ref().unwrap().expose_secret(), "s3cret");
    assert_eq!(read.message.checksum, None);
    assert!(!format!("{read:?}").contains("s3cret"));
}

#[test]
fn a_hook_may_have_a_timestamp_of_its_own() {
    let read = parse(with(r#""metadata":{"timestamp":"noon"}"#).as_bytes()).unwrap();
    assert_eq!(read.metadata["timestamp"], "noon");
}

#[test]
fn every_phase_is_known_by_its_name_and_others_move_nothing() {
    for (word, expected) in [
        ("Initialized", Phase::Initialized),
        ("Waiting", Phase::Waiting),
        ("Progressing", Phase::Progressing),
        ("WaitingPromotion", Phase::WaitingPromotion),
        ("Promoting", Phase::Promoting),
        ("Finalising", Phase::Finalising),
        ("Succeeded", Phase::Succeeded),
        ("Failed", Phase::Failed),
        ("Frobnicating", Phase::Other),
        ("waiting", Phase::Other),
        ("", Phase::Other),
    ] {
        let read = parse(with(&format!(r#""phase":"{word}""#)).as_bytes()).unwrap();
        assert_eq!(read.message.phase, expected, "{word}");
    }
    assert_eq!(parse(with(r#""phase":null"#).as_bytes()).unwrap().message.phase, Phase::Other);
}

#[test]
fn a_label_is_one_short_line() {
    let label = |sent: &str| {
        let body = with(&format!(r#""metadata":{{"revision":{}}}"#, Value::from(sent)));
        parse(body.as_bytes()).unwrap().message.label.map(|Label(label)| label)
    };
    assert_eq!(label("v1.2.3").as_deref(), Some("v1.2.3"));
    assert_eq!(label("v1\n\u{1b}[31mv2\n").as_deref(), Some("v1  [31mv2"));
    assert_eq!(label(""), None);
    assert_eq!(label(" \n"), None);
    assert_eq!(label(&"é".repeat(300)).unwrap().chars().count(), 200);
}

#[test]
fn metadata_is_made_printable() {
    let body = with(r#""metadata":{"notes":"one\r\ntwo\tthree\u0000\u001b[2J","od\u0007d":"x"}"#);
    let read = parse(body.as_bytes()).unwrap();
    assert_eq!(read.metadata["notes"], "one\ntwo\tthree  [2J");
    assert_eq!(read.metadata["od d"], "x");
    assert!(parse(with(r#""metadata":null"#).as_bytes()).unwrap().metadata.is_empty());
}

#[test]
fn the_last_of_several_values_counts_and_escapes_are_read() {
    let body = r#"{"name":"a","namespace":"test","name":"\u0062","metadata":{"x":"1","x":"\"2\"","\u0079":"\u00e9"}}"#;
    let read = parse(body.as_bytes()).unwrap();
    assert_eq!((read.name.as_str(), read.metadata["x"].as_str()), ("b", "\"2\""));
    assert_eq!(read.metadata["y"], "é");
    // In the metadata every value must be a string, also of a repeated key, which Flagger never sends.
    assert_eq!(bad(&with(r#""metadata":{"x":1,"x":"1"}"#)), "metadata \"x\" is not a string");
}

#[test]
fn unknown_keys_are_ignored() {
    assert!(parse(with(r#""canary":{"deep":[1,2,3]},"weight":10"#).as_bytes()).is_ok());
}

#[test]
fn names_are_kubernetes_names() {
    let named = |name: &str, namespace: &str| {
        parse(
            format!(r#"{{"name":{},"namespace":{}}}"#, Value::from(name), Value::from(namespace)).as_bytes(),
        )
    };
    for (name, namespace) in [("a", "b"), ("a.b-c.d0", "0-1"), (&*"a".repeat(253), &*"b".repeat(63))] {
        assert!(named(name, namespace).is_ok(), "{name} {namespace}");
    }
    for name in ["", "A", "a_b", "a..b", ".a", "a.", "-a", "a-", "a b", "é", "a/b", "a\n", &"a".repeat(254)]
    {
        assert!(named(name, "test").is_err(), "{name:?}");
    }
    for namespace in ["", "a.b", "-a", "Bad Name", &"b".repeat(64)] {
        assert!(named("podinfo", namespace).is_err(), "{namespace:?}");
    }
}

#[test]
fn each_complaint_is_one_clear_line() {
    let long = "Z".repeat(1000);
    let complaints = [
        bad(""),
        bad("{"),
        bad("[]"),
        bad("{}"),
        bad(r#"{"name":"podinfo"}"#),
        bad(r#"{"name":7,"namespace":"test"}"#),
        bad(r#"{"name":"podinfo","namespace":"Bad Name"}"#),
        bad(&format!(r#"{{"name":"a\n\u001b{long}","namespace":"test"}}"#)),
        bad(&with(r#""checksum":"1 2""#)),
        bad(&with(r#""checksum":12"#)),
        bad(&with(r#""phase":[]"#)),
        bad(&with(r#""metadata":"token""#)),
        bad(&with(r#""metadata":{"replicas":3}"#)),
        bad(&with(r#""metadata":{"token":{"s3cret":1}}"#)),
    ];
    insta::assert_snapshot!(complaints.join("\n"), @r#"
    the body is empty
    the body is not JSON (line 1, column 1)
    the body is not a JSON object
    name is missing
    namespace is missing
    name is not a string
    namespace "Bad Name" is not a Kubernetes name (lower-case letters, digits and '-')
    name "a\n\u{1b}ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ"… is not a Kubernetes name (lower-case letters, digits and '-')
    checksum "1 2" is not valid (at most 64 printable ASCII characters, no spaces)
    checksum is not a string
    phase is not a string
    metadata is not an object
    metadata "replicas" is not a string
    metadata "token" is not a string
    "#);
}

#[test]
fn a_checksum_is_short_and_printable() {
    let sent = |checksum: &str| parse(with(&format!(r#""checksum":{}"#, Value::from(checksum))).as_bytes());
    assert!(sent(&"9".repeat(64)).is_ok());
    for odd in ["a b", "a\t", "é", "a\u{0}", &"9".repeat(65)] {
        assert!(sent(odd).is_err(), "{odd:?}");
    }
}

#[test]
fn deep_json_is_an_error() {
    let deep = format!(r#"{{"name":{}"#, "[".repeat(60_000));
    assert!(matches!(parse(deep.as_bytes()), Err(BadPayload::NotJson { .. })));
}

proptest! {
    /// Messages close to Flagger's: an accepted one is read as it was sent, and sanitized.
    #[test]
    fn a_changed_message_is_read_right_or_refused(change in crate::mutation::changes(0..6)) {
        let sent = serde_json::json!({
            "name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": "5594979469",
            "metadata": {"eventMessage": "New revision", "eventType": "Normal", "timestamp": "1", "token": "s3cret",
                         "revision": "v2", "x": "y"},
        });
        let sent = crate::mutation::changed(sent, &change);
        match parse(sent.to_string().as_bytes()) {
            Ok(read) => {
                prop_assert!(sent["name"] == read.name && sent["namespace"] == read.namespace);
                prop_assert!(is_subdomain(&read.name) && is_label(&read.namespace));
                let checksum = sent["checksum"].as_str().filter(|sent| !sent.is_empty());
                prop_assert_eq!(read.message.checksum.as_ref().map(|it| it.0.as_str()), checksum);
                let phase = sent["phase"].as_str().unwrap_or_default();
                prop_assert!(read.message.phase == Phase::Other || read.message.phase.as_str() == phase);
                prop_assert!(!read.metadata.contains_key("token"));
                for (key, value) in sent["metadata"].as_object().into_iter().flatten() {
                    let own = !["token", "eventMessage", "eventType", "timestamp"].contains(&key.as_str());
                    if own && key.is_ascii() && !key.contains(char::is_control) {
                        let expected = value.as_str().map(text::sanitize);
                        prop_assert_eq!(read.metadata.get(key).map(String::as_str), expected.as_deref());
                    }
                }
                let words = read.metadata.values().chain(read.metadata.keys());
                for word in words.chain(&read.event_message).chain(read.message.label.as_ref().map(|label| &label.0)) {
                    prop_assert!(!word.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
                }
            }
            Err(bad) => {
                let line = bad.to_string();
                prop_assert!(!line.chars().any(char::is_control) && !line.contains("s3cret"), "{line}");
            }
        }
    }

    #[test]
    fn bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }

    #[test]
    fn a_question_with_some_bytes_changed_never_panics_and_complains_in_one_line(
        changes in proptest::collection::vec((0..QUESTION.len(), any::<u8>()), 1..6),
        cut in 0..=QUESTION.len(),
    ) {
        let mut body = QUESTION.as_bytes().to_vec();
        for (at, byte) in changes {
            body[at] = byte;
        }
        body.truncate(cut);
        if let Err(bad) = parse(&body) {
            let line = bad.to_string();
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            prop_assert!(line.chars().count() < 800);
        }
    }

    #[test]
    fn whatever_is_accepted_is_clean(name in "\\PC{0,20}", revision in any::<String>(), value in any::<String>()) {
        let body = serde_json::json!({
            "name": name, "namespace": "test", "metadata": {"revision": revision, "x": value},
        });
        if let Ok(read) = parse(body.to_string().as_bytes()) {
            prop_assert!(is_subdomain(&read.name));
            prop_assert!(!read.metadata["x"].chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            if let Some(Label(label)) = read.message.label {
                prop_assert!(!label.is_empty() && !label.chars().any(char::is_control));
            }
        }
    }
}
