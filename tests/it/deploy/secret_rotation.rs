//! Secret files that are replaced while the bridge runs, as an operator rotates them.

use std::time::Duration;

use fake_jira::{Credentials, signature};
use serde_json::json;

use crate::world::{
    World,
    log::Log,
    network::Mounted,
    program::{jira_and_config, run},
    question,
};

/// Longer than the interval at which a refused bridge checks its credentials.
const PROBED_AGAIN: Duration = Duration::from_secs(16);

/// Bridges with secrets in files, which replace the values in their settings.
async fn worlds(mounted: &Mounted, files: &[&str]) -> Vec<World> {
    let mut worlds = World::both("").await;
    for world in &mut worlds {
        let kept = world.settings.lines().filter(|line| {
            !files.iter().any(|file| line.starts_with(&format!("jira.{} = ", file.replace('-', "_"))))
        });
        let mut settings: String = kept.map(|line| format!("{line}\n")).collect();
        for file in files {
            let key = match *file {
                "token" => "jira.token_file",
                "webhook-secret" => "jira.webhook_secret_file",
                "flagger" => "flagger.token_file",
                other => panic!("{other}"),
            };
            settings += &format!("{key} = {:?}\n", mounted.path(file));
        }
        world.settings = settings;
        world.restarts().await;
    }
    worlds
}

/// Jira's token is renewed too late: Jira refuses the old one for a while. With the new one in the file the bridge
/// recovers, and decisions made meanwhile count.
#[tokio::test]
async fn jiras_token_is_renewed() {
    let (log, _guard) = Log::start();
    let mut mounted = Mounted::new(&[("token", b"jira-token\nnot-the-first\n")]);
    for world in worlds(&mounted, &["token"]).await {
        world.jira.set_token("jira-token");
        mounted.holds(&[("token", b"jira-token\nnot-the-first\n")]);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let ticket = world.newest();

        world.jira.set_token("renewed-jira-token");
        world.decides(&ticket, "Approved").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains("does not accept the credentials"), "{}", answer.body);

        // The file is empty for a moment, as some editors write it; then complete.
        mounted.holds(&[("token", b"")]);
        world.advances_timers(PROBED_AGAIN).await;
        world.advance(Duration::from_mins(1));
        world.run_worker().await;
        mounted.holds(&[("token", b"\xEF\xBB\xBFrenewed-jira-token\r\njira-token\r\n")]);
        world.advances_timers(PROBED_AGAIN).await;
        world.advance(Duration::from_mins(1));
        world.run_worker().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);

        // The file is deleted: the last token stays in use.
        mounted.holds(&[]);
        world.jira.clear_requests();
        world.decides(&ticket, "Rejected").await;
        world.decides(&ticket, "To Do").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert!(answer.body.contains("waiting for a decision"), "{}", answer.body);
        let requests = world.jira.requests();
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|request| request.credentials == Credentials::Right), "{requests:?}");
        world.finish().await;
    }
    let log = log.text();
    let file = mounted.path("token").display().to_string();
    for words in [format!("{file} is empty"), format!("cannot read {file}: No such file")] {
        let logged = log.lines().filter(|line| line.contains("ERROR") && line.contains(&words)).count();
        assert_eq!(logged, 2, "once for each of the two bridges: {words}");
    }
    assert!(!log.contains("jira-token"), "the token is in the log");
}

/// The statuses of webhooks authenticated by these secrets, as signature and as bearer token.
async fn nudged(world: &World, secrets: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for secret in secrets {
        let body = json!({ "issueId": "10000" }).to_string();
        let signed = world.webhook("POST", "/jira/webhook");
        let signed = signed.header("X-Hub-Signature", signature(secret, body.as_bytes())).body(body.clone());
        let shown = world.webhook("POST", "/jira/webhook").bearer_auth(secret).body(body);
        let both = [world.sends(signed).await.status, world.sends(shown).await.status];
        assert_eq!(both[0], both[1], "{secret}");
        statuses.push(both[0]);
    }
    statuses
}

/// The statuses of questions with these tokens.
async fn asked(world: &World, tokens: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for token in tokens {
        let request =
            world.gate("POST", "/gate/confirm-promotion").header("content-type", "application/json");
        let body = question("Progressing", "new").to_string();
        statuses.push(world.sends(request.bearer_auth(token).body(body)).await.status);
    }
    statuses
}

#[tokio::test]
async fn the_callers_secrets_are_renewed() {
    let files = |lines: &'static [u8]| [("webhook-secret", lines), ("flagger", lines)];
    let mut mounted = Mounted::new(&files(b"one\n"));
    for world in worlds(&mounted, &["webhook-secret", "flagger"]).await {
        let all = ["one", "two", "three", "two\nthree", "two three", "two\r", ""];
        for (lines, valid) in [
            (&b"one\n"[..], &["one"][..]),
            (b"two\none\n", &["one", "two"]),
            (b"two", &["two"]),
            (b"\r\n three \r\n\r\ntwo\r\n", &["two", "three"]),
            (b"\xEF\xBB\xBFone\n", &["one"]),
            // Without a valid secret in the file, the last one stays.
            (b"", &["one"]),
            (b" \n\r\n", &["one"]),
            (b"\xFF\xFEt\0w\0o\0", &["one"]),
            (b"two\nthree", &["two", "three"]),
        ] {
            mounted.holds(&files(lines));
            for secret in all {
                let is_valid = valid.contains(&secret);
                if !secret.contains(['\n', '\r']) {
                    let expected = [if is_valid { 403 } else { 401 }];
                    assert_eq!(asked(&world, &[secret]).await, expected, "{secret:?} of {lines:?}");
                    let expected = [if is_valid { 200 } else { 401 }];
                    assert_eq!(nudged(&world, &[secret]).await, expected, "{secret:?} of {lines:?}");
                }
            }
        }
        // No file, then a directory in its place.
        mounted.holds(&[]);
        assert_eq!(asked(&world, &all[..3]).await, [401, 403, 403]);
        assert_eq!(nudged(&world, &all[..3]).await, [401, 200, 200]);
        mounted.holds(&files(b"one\n"));
    }
}

/// If two clusters' files contain the same token, it is valid for neither.
#[tokio::test]
async fn a_clusters_token_is_renewed() {
    let mut mounted = Mounted::new(&[("eu", b"of-eu\n"), ("us", b"of-us\n")]);
    let clusters = format!(
        "flagger.clusters = [{{ name = \"eu\", token_file = {:?} }}, {{ name = \"us\", token_file = {:?} }}]\n",
        mounted.path("eu"),
        mounted.path("us")
    );
    for world in World::both(&clusters).await {
        mounted.holds(&[("eu", b"of-eu\n"), ("us", b"of-us\n")]);
        assert_eq!(asked(&world, &["of-eu", "of-us"]).await, [403, 403]);
        mounted.holds(&[("eu", b"new-of-eu\nof-eu\n"), ("us", b"of-us\n")]);
        assert_eq!(asked(&world, &["new-of-eu", "of-eu", "of-us"]).await, [403, 403, 403]);
        mounted.holds(&[("eu", b"new-of-eu\n"), ("us", b"of-us\nnew-of-eu\n")]);
        assert_eq!(asked(&world, &["new-of-eu", "of-eu", "of-us"]).await, [401, 401, 403]);
        let (code, _, errors) = run(&["check", "-c", &world.config()]);
        assert_eq!(code, Some(2));
        assert!(errors.contains("flagger.clusters[1].token_file: is also the token of \"eu\""), "{errors}");
        mounted.holds(&[("eu", b"new-of-eu\n"), ("us", b"new-of-us\n")]);
        assert_eq!(asked(&world, &["new-of-eu", "new-of-us", "of-us"]).await, [403, 403, 401]);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 2, "each cluster has its own ticket, with any of its tokens");
        world.finish().await;
    }
}

/// A faulty file at the start is reported with its key, without its content.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_empty_at_the_start() {
    let (_jira, home, config) = jira_and_config(fake_jira::Flavour::DataCenter, "").await;
    let good = std::fs::read_to_string(&config).unwrap();
    let file = home.0.path().join("secret");
    let long = [b"hush-hush".as_slice(), &[b'x'; 70_000]].concat();
    let without = |key: &str| -> String {
        let kept = good.lines().filter(|line| !line.starts_with(&format!("{key} = ")));
        kept.map(|line| format!("{line}\n")).collect()
    };
    for (section, key, name) in [
        ("[jira]", "token", "jira.token"),
        ("[jira]", "webhook_secret", "jira.webhook_secret"),
        ("[flagger]", "token", "flagger.token"),
        ("[[flagger.clusters]]\nname = \"eu\"", "token", "flagger.clusters[0].token"),
    ] {
        // Into the section if it exists, else into a new one.
        let write = |line: &str| {
            let text: String = if section == "[jira]" { without(key) } else { good.clone() };
            let text = if text.contains(section) {
                text.replacen(section, &format!("{section}\n{line}"), 1)
            } else {
                format!("{text}{section}\n{line}\n")
            };
            std::fs::write(&config, text).unwrap();
            let (code, _, errors) = run(&["serve", "-c", config.to_str().unwrap()]);
            assert_eq!(code, Some(2), "{line}: {errors}");
            assert!(!errors.contains("hush-hush"), "{errors}");
            errors
        };
        let by_file = format!("{key}_file = {file:?}");
        for (bytes, words) in [
            (&b""[..], "the file is empty"),
            (b"\n \r\n", "the file is empty"),
            (b"\xFFhush-hush", "the file is not UTF-8 text"),
            (&long, "the file is longer than 64 KiB"),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let errors = write(&by_file);
            assert!(errors.contains(&format!("{name}_file: {words}")), "{errors}");
        }
        std::fs::write(&file, "hush-hush").unwrap();
        let errors = write(&format!("{by_file}\n{key} = \"hush-hush\""));
        assert!(
            errors.contains(&format!(
                "{name}: is given twice, as {name} in the configuration file and as {name}_file"
            )),
            "{errors}"
        );
        let errors = write(&format!("{key} = \" \""));
        assert!(errors.contains(&format!("{name}: is empty")), "{errors}");
        std::fs::remove_file(&file).unwrap();
        let errors = write(&by_file);
        assert!(errors.contains(&format!("{name}_file: cannot read {}", file.display())), "{errors}");
    }
}
