//! The command `config`.

use std::fs;

use crate::world::program::run;

#[test]
fn the_settings_in_force_are_printed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    let file = path.to_str().unwrap();
    let text = "jira.url = \"https://jira.example.com\"\njira.token = \"swordfish\"\nticket.project = \"OPS\"\n\
                store.url = \"postgres://bridge:swordfish@db/bridge\"\n";
    fs::write(&path, text).unwrap();
    let (code, shown, errors) = run(&["config", "-c", file]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(!shown.contains("swordfish"), "{shown}");
    for line in [
        format!("url = \"postgres://bridge:hidden@db/bridge\" # {file}"),
        format!("project = \"OPS\" # {file}"),
        "poll_every = \"20s\" # default".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    fs::write(&path, &shown).unwrap();
    let (code, again, errors) = run(&["config", "-c", file]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let plain = |text: &str| text.parse::<toml::Table>().unwrap();
    assert_eq!(plain(&again), plain(&shown));

    fs::write(&path, "ticket.labels = \"flagger\"\n").unwrap();
    let (code, shown, errors) = run(&["config", "-c", file]);
    assert_eq!((code, shown.as_str()), (Some(2), ""));
    assert!(
        errors.contains("ticket.labels: expected a list of strings, such as [\"flagger\"], got a string"),
        "{errors}"
    );
}
