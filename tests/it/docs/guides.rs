//! The guides match the program: in docs/, in README.md and in those of deploy every configuration loads, every hook is
//! accepted, every command exists, every call gets the stated answer, and every link has a target.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use clap::Parser as _;
use fake_jira::Flavour;
use flagger_jira_bridge::{
    cli::Cli,
    config::{self, EXAMPLE},
};
use serde_json::Value;

use crate::{
    docs::{
        flagger::{path_of, sent},
        page::{Page, blocks, page, pages},
    },
    world::{World, yaml},
};

/// Flagger's types of hooks.
const HOOKS: [&str; 8] = [
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-traffic-increase",
    "confirm-promotion",
    "post-rollout",
    "rollback",
    "event",
];

#[test]
fn links_have_targets() {
    let mut followed = 0;
    for from in pages().into_iter().chain([page("CONTRIBUTING.md")]) {
        let prose = from.parts().0.join("\n");
        let targets = prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').map_or((target, None), |(a, b)| (a, Some(b)));
            let to = match file {
                "" => from.path.clone(),
                file => from.path.parent().unwrap().join(file),
            };
            assert!(to.exists(), "{}: {target} is not there", from.path.display());
            if let Some(anchor) = anchor {
                let known = page(to.to_str().unwrap()).anchors();
                assert!(known.contains(anchor), "{}: {target}: only {known:?}", from.path.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 40, "{followed}");
}

/// Each guide leads back to the list of all guides, which lists it.
#[test]
fn guides_lead_back_to_their_list() {
    let list = page("docs/README.md").text;
    for guide in pages() {
        let path = guide.path.to_str().unwrap();
        let (back, here) = match path {
            "docs/README.md" | "README.md" | "deploy/helm/flagger-jira-bridge/README.md" => continue,
            "deploy/README.md" => ("../docs/README.md", "../deploy/README.md"),
            path => ("README.md", path.strip_prefix("docs/").unwrap()),
        };
        let top = guide.text.lines().nth(2).unwrap();
        assert_eq!(top, format!("[All guides]({back})"), "{path}");
        assert!(list.contains(&format!("]({here})")), "docs/README.md does not list {path}");
    }
}

/// The list of contents of a page, if it has one, has its sections, in order.
#[test]
fn contents_are_complete() {
    let mut with_contents = BTreeSet::new();
    for guide in pages() {
        let prose = guide.parts().0;
        let listed = prose.iter().skip_while(|line| **line != "Contents:").skip(2);
        let listed: Vec<&str> = listed.take_while(|line| !line.is_empty()).copied().collect();
        if listed.is_empty() {
            continue;
        }
        let headings = prose.iter().filter_map(|line| line.strip_prefix("## "));
        let expected: Vec<String> =
            headings.map(|heading| format!("- [{heading}](#{})", Page::anchor(heading))).collect();
        let listed: Vec<String> = listed.into_iter().map(str::to_owned).collect();
        assert_eq!(listed, expected, "{}", guide.path.display());
        with_contents.insert(guide.path.display().to_string());
    }
    for long in ["docs/check.md", "docs/messages.md"] {
        assert!(with_contents.contains(long), "{long} lists its contents");
    }
}

/// Merges a part of a configuration into one with all required keys.
fn over(base: &mut toml::Table, part: toml::Table) {
    for (key, value) in part {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(part)) => over(known, part),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Creates each file that the configuration names.
fn make_files(table: &mut toml::Table, directory: &Path, made: &mut usize) {
    for (key, value) in table.iter_mut() {
        match value {
            toml::Value::String(path) if key.ends_with("_file") => {
                let file = directory.join(format!("{made}"));
                let is_address = key == "url_file";
                let before = if is_address { "https://example.com/" } else { "" };
                fs::write(&file, format!("{before}sixteen-characters-or-more-{made}\n")).unwrap();
                *path = file.to_str().unwrap().to_owned();
                *made += 1;
            }
            toml::Value::Table(below) => make_files(below, directory, made),
            toml::Value::Array(list) => {
                for below in list.iter_mut().filter_map(toml::Value::as_table_mut) {
                    make_files(below, directory, made);
                }
            }
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_) => {}
        }
    }
}

/// A configuration from a page, with the required keys that the reader must add.
fn completed(code: &str) -> toml::Table {
    let base = "jira.url = \"https://example.atlassian.net\"\nticket.project = \"OPS\"";
    let mut whole: toml::Table = base.parse().unwrap();
    over(&mut whole, code.parse().unwrap_or_else(|error| panic!("{error}\n{code}")));
    let jira = whole["jira"].as_table_mut().unwrap();
    if !["token_file", "token", "oauth"].iter().any(|key| jira.contains_key(*key)) {
        jira.insert("token".into(), "a-token-of-the-reader".into());
    }
    whole
}

#[test]
fn configurations_load() {
    let directory = tempfile::tempdir().unwrap();
    let (mut made, mut loaded) = (0, 0);
    // check.md shows mistakes; cli/check.rs loads them.
    for block in blocks("toml").into_iter().filter(|block| !block.page.ends_with("check.md")) {
        let mut whole = completed(&block.code);
        make_files(&mut whole, directory.path(), &mut made);
        let path = directory.path().join("config.toml");
        fs::write(&path, toml::to_string(&whole).unwrap()).unwrap();
        config::load(&path, [])
            .unwrap_or_else(|problems| panic!("{}: {}\n{problems}", block.page.display(), block.code));
        loaded += 1;
    }
    assert!(loaded >= 10, "{loaded}");
}

/// The hooks of a document, which is a Canary or a list of hooks.
fn hooks(document: &Value) -> Vec<Value> {
    if document["kind"] == "Canary" {
        assert_eq!(document["apiVersion"], "flagger.app/v1beta1");
        return document["spec"]["analysis"]["webhooks"].as_array().unwrap().clone();
    }
    document["webhooks"].as_array().cloned().unwrap_or_default()
}

/// The paths for a type of hook.
fn fitting(kind: &str) -> Vec<String> {
    match kind {
        "event" | "post-rollout" => vec![format!("/{kind}")],
        "rollback" => vec!["/gate/rollback".to_owned(), "/rollback/check".to_owned()],
        kind => vec![format!("/gate/{kind}"), "/gate/check".to_owned()],
    }
}

#[tokio::test]
async fn every_hook_has_a_known_type_and_is_accepted() {
    let world = World::start(Flavour::Cloud).await;
    let mut accepted = 0;
    for block in blocks("yaml") {
        for document in yaml::documents(&block.code) {
            for hook in hooks(&document) {
                let (kind, url) = (hook["type"].as_str().unwrap(), hook["url"].as_str().unwrap());
                let place = format!("{}: {url}", block.page.display());
                assert!(HOOKS.contains(&kind), "{place}: {kind} is no hook of Flagger");
                assert!(hook["name"].is_string(), "{place}");
                let url = url.replace("any:TOKEN@", "");
                assert!(url.starts_with("http://flagger-jira-bridge.flagger/"), "{place}");
                let path = path_of(&url);
                let bare = path.split('?').next().unwrap().to_owned();
                assert!(fitting(kind).contains(&bare), "{place} does not fit {kind}");
                let values = hook["metadata"].as_object().into_iter().flat_map(|it| it.values());
                assert!(
                    values.into_iter().all(Value::is_string),
                    "{place}: metadata may only contain strings"
                );
                let canary = serde_json::json!({ "metadata": { "name": "podinfo", "namespace": "shop" } });
                let answer = world.posts(&path, &sent(kind, &hook, &canary)).await;
                let expected = if matches!(kind, "event" | "post-rollout") { 200 } else { 403 };
                assert_eq!(answer.status, expected, "{place}: {}", answer.body);
                accepted += 1;
            }
        }
    }
    assert!(accepted > 15, "{accepted}");
    world.run_worker().await;
    assert_eq!(world.jira.complaints(), Vec::<String>::new());
}

/// The program's commands in a shell line or code span, without shell syntax.
fn commands(code: &str) -> Vec<Vec<String>> {
    let words: Vec<&str> = code.split('#').next().unwrap().split_whitespace().collect();
    let starts = (0..words.len().saturating_sub(1)).filter(|at| {
        words[*at] == "flagger-jira-bridge" && words[at + 1].chars().all(|c| c.is_ascii_lowercase())
    });
    let ends = |word: &&&str| !["|", ">", "&&", ";"].contains(*word);
    starts.map(|at| words[at..].iter().take_while(ends).map(|word| (*word).to_owned()).collect()).collect()
}

#[test]
fn commands_are_those_of_the_program() {
    let shell = blocks("sh").into_iter().map(|block| (block.page, block.code.replace("\\\n", " ")));
    let spans = pages().into_iter().flat_map(|page| {
        let path = page.path.clone();
        page.inline().into_iter().map(move |code| (path.clone(), code))
    });
    let mut parsed = 0;
    for (page, code) in shell.chain(spans) {
        for command in code.lines().flat_map(commands) {
            if let Err(error) = Cli::try_parse_from(&command) {
                panic!("{}: {}: {error}", page.display(), command.join(" "));
            }
            parsed += 1;
        }
    }
    assert!(parsed > 15, "{parsed}");
}

#[test]
fn shell_blocks_parse() {
    for block in blocks("sh") {
        let mut bash = Command::new("bash")
            .arg("-n")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash is installed");
        bash.stdin.take().unwrap().write_all(block.code.as_bytes()).unwrap();
        let output = bash.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{}: {said}\n{}",
            block.page.display(),
            block.code
        );
    }
}

/// The words of a command, without single quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Sends the request of a curl command to the listener of its port. Returns the answer.
async fn calls(world: &World, line: &str) -> (u16, String) {
    let words = words(line);
    let value = |flag: &str| words.iter().position(|word| word == flag).map(|at| words[at + 1].as_str());
    let url = words.iter().find_map(|word| word.strip_prefix("http://127.0.0.1:")).unwrap();
    let (port, path) = url.split_once('/').unwrap();
    let method = if value("-d").is_some() { "POST" } else { "GET" };
    let path = format!("/{path}");
    let ports: toml::Table = EXAMPLE.parse().unwrap();
    let listens = |key: &str| ports["server"][key].as_str().unwrap().ends_with(&format!(":{port}"));
    let mut request = match () {
        () if listens("gate_listen") => world.gate(method, &path),
        () if listens("webhook_listen") => world.webhook(method, &path),
        () if listens("admin_listen") => world.admin(method, &path),
        () => panic!("no listener has port {port}"),
    };
    if let Some((name, text)) = value("-H").and_then(|header| header.split_once(": ")) {
        request = request.header(name, text);
    }
    if let Some(body) = value("-d") {
        request = request.body(body.to_owned());
    }
    let answer = world.sends(request).await;
    (answer.status, answer.body)
}

/// A following `text` block shows the answers to the calls.
#[tokio::test]
async fn calls_are_answered_as_promised() {
    let mut promised = 0;
    for block in blocks("sh").into_iter().filter(|block| block.page.starts_with("docs")) {
        let code = block.code.replace("\\\n", " ");
        let lines: Vec<&str> =
            code.lines().filter(|line| line.starts_with("curl ") && line.contains("//127.0.0.1:")).collect();
        if lines.is_empty() {
            continue;
        }
        let world = World::start(Flavour::Cloud).await;
        let mut said = String::new();
        for line in lines {
            let (status, body) = calls(&world, line).await;
            assert!(![400, 404, 405, 415].contains(&status), "{}: {line}: {body}", block.page.display());
            said += &body;
        }
        if let Some((_, text)) = block.next.filter(|(language, _)| language == "text") {
            assert_eq!(said.trim_end(), text.trim_end(), "{}", block.page.display());
            promised += 1;
        }
    }
    assert!(promised >= 2, "{promised}");
}

/// Whether this environment variable sets a key of the configuration.
fn is_setting(variable: &str) -> bool {
    let problems = config::load(Path::new("config.example.toml"), [(variable.to_owned(), "1".to_owned())]);
    !problems.unwrap_err().to_string().contains("no such setting")
}

#[test]
fn keys_and_variables_are_real() {
    let sections =
        ["server", "store", "flagger", "kubernetes", "jira", "rollout", "limits", "ticket", "approval"];
    let mut checked = 0;
    for page in pages() {
        for code in page.inline() {
            let key = code.trim_matches(['[', ']']);
            let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
                && key.split_once('.').is_some_and(|(section, _)| sections.contains(&section));
            if is_key {
                let variable = format!("BRIDGE__{}", key.replace('.', "__").to_uppercase());
                assert!(is_setting(&variable), "{}: {key} is no key", page.path.display());
                checked += 1;
            }
        }
        for rest in page.text.split("BRIDGE__").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            assert!(is_setting(&format!("BRIDGE__{name}")), "{}: BRIDGE__{name}", page.path.display());
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}

/// The defaults in tables and sentences match the example configuration.
#[test]
fn defaults_are_quoted_right() {
    let defaults: toml::Table = EXAMPLE.parse().unwrap();
    let mut checked = 0;
    for row in page("docs/operations.md").text.lines().filter_map(|line| line.strip_prefix("| `")) {
        let Some((key, rest)) = row.split_once("` | ") else { continue };
        let (Some((section, name)), value) = (key.split_once('.'), rest.split(" |").next().unwrap()) else {
            continue;
        };
        if let Ok(number) = value.parse::<i64>() {
            assert_eq!(defaults[section][name].as_integer(), Some(number), "{key}");
            checked += 1;
        }
    }
    assert!(checked >= 4, "{checked}");
    for (file, words, section, key, value) in [
        (
            "docs/flagger.md",
            "`jira.trust_for` after the last reading, 10 minutes",
            "jira",
            "trust_for",
            "10m",
        ),
        ("docs/operations.md", "`server.shutdown_grace` (20 seconds)", "server", "shutdown_grace", "20s"),
        ("docs/approvers.md", "for 72 hours (`approval.valid_for`)", "approval", "valid_for", "72h"),
        ("docs/approvers.md", "for 7 days (`rollout.abandon_after`)", "rollout", "abandon_after", "7d"),
    ] {
        assert!(page(file).text.contains(words), "{file}: {words}");
        assert_eq!(defaults[section][key].as_str(), Some(value), "{words}");
    }
}

#[tokio::test]
async fn metrics_and_alerts_are_real() {
    let world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    world.ticks().await;
    let text = world.sends(world.admin("GET", "/metrics")).await.body;
    world.finish().await;
    let mut named = BTreeMap::new();
    for page in pages() {
        for rest in page.text.split("flagger_jira_bridge_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let family = name.strip_suffix("_total").unwrap_or(&name);
            let known = text.contains(&format!("# TYPE flagger_jira_bridge_{family} "));
            assert!(known, "{}: flagger_jira_bridge_{name}", page.path.display());
            named.insert(name, ());
        }
    }
    assert!(named.len() >= 11, "{named:?}");

    let alerts = |text: &str| -> BTreeSet<String> {
        let names = text.split("FlaggerJiraBridge").skip(1);
        names.map(|rest| rest.chars().take_while(char::is_ascii_alphabetic).collect()).collect()
    };
    let rules = fs::read_to_string("deploy/helm/flagger-jira-bridge/files/alerts.yaml").unwrap();
    assert_eq!(alerts(&page("docs/operations.md").text), alerts(&rules));
}

/// The documented kinds of audit rows are those that are written.
#[test]
fn kinds_of_rows_are_real() {
    let text = page("docs/operations.md").text;
    let sentence = text.split_once("The kinds of rows: ").unwrap().1.split("\n\n").next().unwrap();
    let listed: BTreeSet<&str> = sentence.split('`').skip(1).step_by(2).collect();
    let source = fs::read_to_string("src/gatekeeper/audit.rs").unwrap();
    let arms = source.split_once("let (kind, mut detail) = match audit_event {").unwrap().1;
    let arms = arms.split_once("\n    };").unwrap().0;
    let constants = source.split("const ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(": &str = \"")?;
        Some((name, rest.split_once('"')?.0))
    });
    let arms = constants.fold(arms.to_owned(), |arms, (name, kind)| {
        arms.replace(&format!("({name},"), &format!("(\"{kind}\","))
    });
    let written: BTreeSet<String> = arms
        .split("(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once("\","))
        .map(|(kind, _)| kind.to_owned())
        .collect();
    assert_eq!(listed.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), written);
}

#[test]
fn the_helpers_parse_correctly() {
    let text =
        "# A b, c?\n`x\ny` [z](#a-b-c)\n\n```sh\n# no heading\n```\n| `one` | two `three` |\n| `four` |\n"
            .to_owned();
    let page = Page { path: "x.md".into(), text };
    assert_eq!(page.anchors(), ["a-b-c".to_owned()].into());
    assert_eq!(page.inline(), ["x y", "one", "three", "four"]);
    let found = commands(
        "A=b flagger-jira-bridge gates --json | head; kubectl -n x get flagger-jira-bridge --now # flagger-jira-bridge serve",
    );
    assert_eq!(found, [["flagger-jira-bridge", "gates", "--json"]]);
    assert_eq!(words("curl -d '{\"a\": 1}' x"), ["curl", "-d", "{\"a\": 1}", "x"]);
    for wrong in ["flagger-jira-bridge gate", "flagger-jira-bridge audit --format xml"] {
        assert!(Cli::try_parse_from(&commands(wrong)[0]).is_err(), "{wrong}");
    }
}
