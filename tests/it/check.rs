//! `check` as people run it: what it prints, and its exit code.

use std::process::{Command, Output};

use flagger_jira_bridge::{
    clock::Clock,
    demo::fake_jira::{FakeJira, Flavour, Setup},
};

/// Runs it with this configuration, and nothing else of the environment that could reach it.
async fn check(config: String) -> (Option<i32>, String, String) {
    let run = move || {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_flagger-jira-bridge"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BRIDGE_") {
                command.env_remove(name);
            }
        }
        command.args(["check", "-c"]).arg(file.path()).output().unwrap()
    };
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn config(url: &str, project: &str) -> String {
    format!(
        "[jira]\nurl = \"{url}\"\nuser = \"bridge@example.com\"\ntoken = \"jira-token\"\n[ticket]\nproject = \"{project}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_it_would_work() {
    let fake = FakeJira::new(Setup::new(Flavour::Cloud, Clock::System));
    let url = fake.start().await.unwrap();
    let (code, stdout, stderr) = check(config(&url, "OPS")).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.lines().all(|line| line.starts_with("ok    ") || line.starts_with("warn  ")), "{stdout}");
    assert!(!stdout.contains("jira-token"), "{stdout}");

    let (code, stdout, stderr) = check(config(&url, "OOPS")).await;
    assert_eq!((code, stderr.as_str()), (Some(1), ""), "{stdout}");
    assert!(stdout.contains("FAIL  ticket.project "), "{stdout}");

    let (code, stdout, stderr) = check("[jira]\nurl = 1\n".into()).await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("ticket.project: is missing"), "{stderr}");
    assert!(fake.requests().iter().all(|request| request.method == "GET"));
}
