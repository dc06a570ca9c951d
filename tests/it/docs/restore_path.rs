//! docs/operations.md: a backup of SQLite is restored in a cluster as written, and `audit` reads the old database.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use fake_jira::Flavour;

use crate::{
    docs::reader::{Reader, block, section},
    world::{
        program::{Serving, jira_and_config, program},
        yaml,
    },
};

const GUIDE: &str = "docs/operations.md";
const RECORD: &str = "### The record of an old database";

/// A database of the bridge with one question in its record.
async fn has_database(file: &Path, checksum: &str) {
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let mut program = program();
    program.env("BRIDGE__STORE__URL", format!("sqlite://{}", file.display()));
    let serving = Serving::start_as(program, &config);
    assert_eq!(serving.asks("confirm-promotion", "Progressing", checksum).await.0, 403);
    serving.ends();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored() {
    let reader = Reader::new();
    let state = reader.path("state");
    for folder in ["flagger", "data"] {
        fs::create_dir(state.join(folder)).unwrap();
    }
    fs::write(state.join("flagger/installed-flagger-jira-bridge"), "").unwrap();
    fs::write(state.join("replicas"), "3").unwrap();
    has_database(&state.join("data/bridge.db"), "newer").await;
    fs::write(state.join("data/bridge.db-wal"), "").unwrap();
    has_database(&reader.path("work/bridge-backup.db"), "older").await;
    let backup = fs::read(reader.path("work/bridge-backup.db")).unwrap();

    let steps = section(GUIDE, "## Restore", RECORD);
    // PostgreSQL is restored instead of the file.
    let postgres = block(GUIDE, "sh", "pg_restore ");
    let (before, starts) = steps.split_once("\n4. Start the bridge").unwrap();
    reader.follows(&before.replace(&postgres, "true\n"));
    assert_eq!(reader.state("replicas"), "0\n");
    assert_eq!(fs::read(state.join("data/bridge.db")).unwrap(), backup);
    assert_eq!(fs::metadata(state.join("data/bridge.db")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!state.join("data/bridge.db-wal").exists() && state.join("data/before/bridge.db").exists());

    // Meanwhile the record of the old database is read in its pod: the program runs as its manifest says.
    let pod = yaml::documents(&block(
        GUIDE,
        "yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: flagger-jira-bridge-audit",
    ));
    let container = &pod[0]["spec"]["containers"][0];
    let mut audit = program();
    audit.args(container["args"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()));
    for variable in container["env"].as_array().unwrap() {
        let value = variable["value"]
            .as_str()
            .unwrap()
            .replace("/data/", &format!("{}/", state.join("data").display()));
        audit.env(variable["name"].as_str().unwrap(), value);
    }
    let done = audit.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::write(state.join("logs"), &done.stdout).unwrap();
    // On a machine, it reads a copy of the file.
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    fs::copy(config, reader.path("work/config.toml")).unwrap();
    fs::copy(state.join("data/before/bridge.db"), reader.path("work/bridge-before.db")).unwrap();
    let record = section(GUIDE, RECORD, "## Upgrade");
    let (on_a_machine, in_a_cluster) = record.split_once("\nIn a cluster,").unwrap();
    for part in [on_a_machine, in_a_cluster] {
        reader.follows(part);
        let table = fs::read_to_string(reader.path("work/audit.csv")).unwrap();
        assert!(table.contains("newer") && !table.contains("older"), "{table}");
    }

    // The new pods are ready before a command runs in one of them, and there are as many as before.
    let noted = before.lines().find(|line| line.starts_with("REPLICAS=$(")).unwrap();
    fs::write(state.join("replicas"), "3").unwrap();
    let number = reader.runs(&format!("{noted}\necho $REPLICAS"));
    fs::write(state.join("replicas"), "0").unwrap();
    reader.follows(&starts.replacen("```sh\n", &format!("```sh\nREPLICAS={number}"), 1));
    assert_eq!(reader.state("replicas"), "3\n");
    assert_eq!(reader.state("executed"), "flagger-jira-bridge gates\n");
    let ignored = fs::read_to_string(".gitignore").unwrap();
    let is_ignored =
        |file: &String| ignored.contains(&format!("\n/{file}\n")) || file.starts_with("bridge-before.db");
    assert!(reader.created().iter().all(is_ignored), "{:?}", reader.created());
}
