//! Text from outside is data: a team's text appears in the tables of the ticket and is never interpreted, and
//! Flagger's token appears nowhere.

use fake_jira::{IssueView, Person};
use serde_json::{Value, json};

use crate::world::{Answer, World, log::Log, program::run, question};

const TOKEN: &str = "what-flagger-brings-along";
/// A marker in every sent value, to find where the values appear.
const MARK: &str = "from-outside";

/// Hostile metadata.
fn metadata() -> Value {
    let mut metadata = json!({
        "token": TOKEN,
        "html": "<script>alert('from-outside')</script><img src=x onerror=from-outside>",
        "adf": r#"{"type":"doc","version":1,"content":[{"type":"mention","attrs":{"id":"from-outside"}}]}"#,
        "box": "{noformat}\nh1. from-outside\n{code}from-outside{code}\n{noformat}",
        "wiki": "h1. from-outside [~admin] !from-outside.png! ||from-outside||\n----\n{color:red}from-outside{color}",
        "jql": "from-outside\" OR project = PAY ORDER BY created --",
        "lines": "from-outside\r\nh3. What your decision does\u{2028}from-outside: yes\n\n- from-outside",
        "control": "\u{1b}[2Jfrom-outside\u{0}\u{7}\u{9b}",
        "template": "{{ metadata.token }} {{ 7 * 191 }} {% for x in range(9) %}from-outside{% endfor %}",
        "marks": "\u{202e}from-outside\u{202c}\u{200f}\u{feff}",
        "{noformat}from-outside\n||a||": "a key",
        "much": "from-outside ".repeat(40 * 1024 / 13),
    });
    metadata["revision"] = "<b>v2</b> {color:red}[~admin]{color} {{ 7 * 191 }}".into();
    metadata
}

fn asked(phase: &str) -> Value {
    let mut question = question(phase, "new");
    question["metadata"] = metadata();
    question
}

/// The description, and what of it is outside of its tables.
fn parts(description: &Value) -> (String, String) {
    if let Some(markup) = description.as_str() {
        let outside: Vec<&str> = markup.lines().filter(|line| !line.starts_with('|')).collect();
        return (markup.to_owned(), outside.join("\n"));
    }
    let blocks = description["content"].as_array().unwrap();
    let outside: Vec<_> = blocks.iter().filter(|block| block["type"] != "table").collect();
    (fake_jira::text(description), json!(outside).to_string())
}

fn assert_words_stay_in_the_tables(ticket: &IssueView, cloud: bool) {
    let (all, outside) = parts(&ticket.description);
    assert!(!outside.contains(MARK), "{outside}");
    for own in ["What your decision does", "Who decides", "Technical details"] {
        assert_eq!(outside.matches(own).count(), 1, "{own}: {outside}");
    }
    let plain = if cloud { all.clone() } else { all.replace('\\', "") };
    for shown in [
        "<script>alert('from-outside')</script>",
        "\"type\":\"mention\"",
        "from-outside\" OR project = PAY",
        "{{ metadata.token }} {{ 7 * 191 }} {% for",
        "h3. What your decision does",
        "[~admin] !from-outside.png! ||from-outside||",
    ] {
        assert!(plain.contains(shown), "{shown}: {plain}");
    }
    assert!(all.chars().all(|c| !c.is_control() || c == '\n'), "{all:?}");
    if cloud {
        let adf = ticket.description.to_string();
        assert!(!adf.contains("\"type\":\"mention\"") && !adf.contains("\"type\":\"codeBlock\""), "{adf}");
    } else {
        assert!(
            !all.contains("\nh1.")
                && !all.contains("[~")
                && !all.contains("{noformat}")
                && !all.contains("||from"),
            "{all}"
        );
    }
    assert!(ticket.description.to_string().encode_utf16().count() <= 32_767);
    assert!(!ticket.summary.contains(MARK) && ticket.summary.chars().count() <= 255);
    // The label is shown unchanged, and escaped if it could be markup.
    let label =
        if cloud { "<b>v2</b> {color:red}[~admin]" } else { "<b>v2</b> \\{color\\:red\\}\\[\\~admin\\]" };
    let outside = outside.replace("\\\"", "\"");
    assert!(outside.contains(label) && !outside.contains("1337"), "{outside}");
}

#[tokio::test]
async fn words_from_outside_are_shown_and_the_token_is_not() {
    let (log, _guard) = Log::start();
    for world in World::both(&format!("flagger.token = \"{TOKEN}\"")).await {
        let mut answers: Vec<Answer> = Vec::new();
        answers.push(world.posts("/gate/confirm-promotion", &asked("Progressing")).await);
        world.run_worker().await;
        assert_words_stay_in_the_tables(&world.tickets()[0], world.is_cloud());

        let mut event = asked("Progressing");
        event["metadata"]["eventMessage"] = "Halt {noformat} [~admin] h1. <b>x</b>\n||a||".into();
        event["metadata"]["eventType"] = "Warning".into();
        answers.push(world.posts("/event", &event).await);
        let mut wrong = asked("Progressing");
        wrong["metadata"]["token"] = format!("{TOKEN}-but-longer").into();
        answers.push(world.posts("/gate/confirm-promotion", &wrong).await);
        assert_eq!(answers[2].status, 401);
        world.advance(std::time::Duration::from_secs(61));
        world.run_worker().await;
        let said = world.tickets()[0].comments[0].text();
        let halt = if world.is_cloud() {
            "Halt {noformat} [~admin] h1. <b>x</b> ||a||"
        } else {
            "Halt \\{noformat\\} \\[\\~admin\\]"
        };
        assert!(said.contains(halt), "{said}");

        world.decides(&world.newest(), "Approved").await;
        for path in ["/gate/confirm-promotion", "/gate/rollback", "/post-rollout"] {
            let phase = if path == "/post-rollout" { "Succeeded" } else { "Progressing" };
            answers.push(world.posts(path, &asked(phase)).await);
            for page in ["/", "/api/gates", "/metrics"] {
                answers.push(world.sends(world.admin("GET", page)).await);
            }
        }
        world.run_worker().await;
        for answer in &answers {
            assert!(!answer.body.contains(MARK), "{}", answer.body);
            assert!(!answer.body.contains("<b>v2") || answer.body.starts_with(['[', '{']), "{}", answer.body);
        }
        let config = world.config();
        let audits = ["jsonl", "csv"].map(|format| run(&["audit", "-c", &config, "--format", format]));
        assert!(audits.iter().all(|(code, out, _)| *code == Some(0) && !out.contains(MARK)), "{audits:?}");
        let files = world.contents().await;
        let files: Vec<_> = files.iter().filter(|(path, _)| !path.ends_with("config.toml")).collect();
        assert!(!files.is_empty());
        for (path, bytes) in files {
            assert!(!bytes.windows(TOKEN.len()).any(|it| it == TOKEN.as_bytes()), "the token is in {path}");
        }
        let seen = format!("{:?} {answers:?} {audits:?} {:?}", world.jira.issues(), world.jira.requests());
        assert!(!seen.contains(TOKEN), "{seen}");
        world.finish().await;
    }
    let log = log.text();
    assert!(log.contains("refused a call at the gate listener"), "nothing was logged");
    assert!(!log.contains(TOKEN), "the token is in the log");
    assert!(!log.contains(MARK), "words from outside are in the log");
}

/// Invisible characters from a team or a Jira user are removed everywhere.
#[tokio::test]
async fn invisible_characters_are_removed() {
    let unseen = [
        '\u{ad}', '\u{61c}', '\u{180e}', '\u{200b}', '\u{200e}', '\u{202e}', '\u{2060}', '\u{2066}',
        '\u{feff}',
    ];
    let all: String = unseen.iter().collect();
    let (log, _guard) = Log::start();
    for world in World::both("").await {
        let mut question = question("Progressing", "new");
        question["metadata"] =
            json!({ "revision": format!("v{all}2"), "x": format!("va{all}lue"), format!("na{all}me"): "y" });
        let mut said = vec![format!("{:?}", world.posts("/gate/confirm-promotion", &question).await)];
        world.run_worker().await;
        let mut event = question.clone();
        event["metadata"]["eventMessage"] = format!("Ha{all}lt").into();
        event["metadata"]["eventType"] = "Warning".into();
        world.posts("/event", &event).await;
        world.advance(std::time::Duration::from_secs(61));
        world.run_worker().await;
        world.jira.add_user(Person::new("odd", "odd", &format!("O{all}dd")));
        world.jira.move_issue(&world.newest(), "Approved", "odd").unwrap();
        world.advance(std::time::Duration::from_secs(20));
        world.run_worker().await;
        said.push(world.posts("/gate/confirm-promotion", &question).await.body);
        for page in ["/", "/api/gates"] {
            said.push(world.sends(world.admin("GET", page)).await.body);
        }
        let config = world.config();
        said.extend(["jsonl", "csv"].map(|format| run(&["audit", "-c", &config, "--format", format]).1));
        for ticket in world.tickets() {
            let comments: Vec<_> = ticket.comments.iter().map(|comment| comment.text()).collect();
            said.push(format!("{} {} {}", ticket.summary, ticket.description, comments.join(" ")));
        }
        let said = said.join("\n");
        for words in ["v2", "name", "value", "Halt", "Odd"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        // The table for spreadsheets begins with a byte order mark.
        let said = said.replace("\u{feff}id,at,", "id,at,");
        assert!(!said.contains(unseen), "{said:?}");
        world.finish().await;
    }
    assert!(!log.text().contains(unseen), "{:?}", log.text());
}
