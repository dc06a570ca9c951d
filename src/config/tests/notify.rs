//! `[[notify]]`.

use super::{in_force::shown, *};
use crate::{notify::Format, policy::GateAddress};

const SLACK: &str =
    "[[notify]]\nurl = \"https://hooks.slack.com/services/T0/B0/hunter2\"\nformat = \"slack\"\n";

fn address<'a>(
    cluster: &'a str,
    namespace: &'a str,
    canary: &'a str,
    stage: &'a str,
    gate: &'a str,
) -> GateAddress<'a> {
    GateAddress { cluster, namespace, canary, stage, gate }
}

#[test]
fn each_channel_has_an_id_of_its_own_that_stays() {
    let text = format!(
        "{SLACK}[[notify]]\nmatch = {{ namespace = \"shop\" }}\nurl = \"http://127.0.0.1:1/x\"\nformat = \"json\"\n{SLACK}"
    );
    let channels = load_text(&text).unwrap().notify;
    let formats: Vec<_> = channels.iter().map(|channel| channel.format).collect();
    assert_eq!(formats, [Format::Slack, Format::Json, Format::Slack]);
    let [a, b, c] = channels.as_slice() else { panic!() };
    assert!(a.id != b.id && a.id != c.id && b.id != c.id);
    assert_eq!(b.key, "notify[1]");
    assert!(b.gates.is_match(address("any", "shop", "cart", "confirm-promotion", "")));
    assert!(!b.gates.is_match(address("any", "pay", "cart", "confirm-promotion", "")));
    assert!(a.gates.is_match(address("any", "pay", "cart", "gate", "qa")));
    // Another address, and another place in the file.
    let text = format!(
        "[[notify]]\nmatch = {{ namespace = \"shop\" }}\nurl = \"https://example.com/y\"\nformat = \"json\"\n{SLACK}"
    );
    let later = load_text(&text).unwrap().notify;
    assert_eq!((&later[0].id, &later[1].id), (&b.id, &a.id));
    assert!(load_text("").unwrap().notify.is_empty());
}

#[test]
fn every_mistake_is_reported() {
    let text = r#"
        [[notify]]
        format = "discord"
        [[notify]]
        match = { namespace = "a[", stage = "promote", team = "x" }
        url = "http://hooks.slack.com/services/hunter2"
        [[notify]]
        url = "https://a.example/hunter2"
        url_file = "/nowhere/slack"
        formt = "slack"
        [[notify]]
        url_file = "/nowhere/slack"
        format = "slack"
        [[notify]]
        url = "hooks.slack.com/hunter2"
        format = "slack"
    "#;
    let said = problems(text);
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said, @r#"
    notify[0].format: must be "slack", "teams" or "json", not "discord"
    notify[0].url: is missing; give it, or notify[0].url_file
    notify[1].match.namespace: "a[" is no glob: unclosed character class; missing ']'
    notify[1].match.stage: "promote" matches no stage; there are confirm-rollout, confirm-traffic-increase, confirm-promotion, gate
    notify[1].match.team: unknown key
    notify[1].format: is missing
    notify[1].url: must begin with https://
    notify[2].format: is missing
    notify[2].url: is given twice, as notify[2].url in the configuration file and as notify[2].url_file in the configuration file; keep one
    notify[2].formt: unknown key; did you mean notify[2].format?
    notify[3].url_file: cannot read /nowhere/slack: No such file or directory (os error 2)
    notify[4].url: is no URL; put the address there that the channel's webhook has
    "#);
    insta::assert_snapshot!(problems("notify = { format = \"slack\" }"), @"notify: expected a list of tables, such as [[notify]], got a table");
}

#[test]
fn the_settings_in_force_hide_the_address() {
    let shown = shown(SLACK, &REQUIRED).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("\n[[notify]] # FILE\nurl = \"https://hidden-2\"\nformat = \"slack\"\n"),
        "{shown}"
    );
}
