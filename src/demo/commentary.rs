//! The commentary of the demo: a line for each event that matters, without repetition.

use std::{collections::HashMap, io::Write as _, time::Duration};

use fake_jira::{BRIDGE, FakeJira, IssueView};
use tokio::time::Instant;

use super::fake_flagger::{Answered, Call, FakeFlagger, Phase, Tick};
use crate::text::one_line;

/// The interval at which Jira is checked for changes to report.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// The longest quotation from a comment, in characters.
const MAX_QUOTE_CHARS: usize = 110;

/// Whether to print links: only if a user can follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    Show,
    Hide,
}

/// Prints what happens.
pub(super) struct Commentary {
    began: Instant,
    links: Links,
    out: Box<dyn FnMut(&str) + Send>,
    /// The last line printed for each question, by canary and hook.
    asked: HashMap<String, String>,
    /// The last phase and weight of each canary.
    canaries: HashMap<String, (Phase, u8)>,
    /// How many changes and comments of each issue were printed, by id.
    issues: HashMap<String, (usize, usize)>,
}

impl Commentary {
    pub(super) fn new(links: Links, out: Box<dyn FnMut(&str) + Send>) -> Self {
        Self {
            began: Instant::now(),
            links,
            out,
            asked: HashMap::new(),
            canaries: HashMap::new(),
            issues: HashMap::new(),
        }
    }

    /// Prints a line with the time since the start, in minutes and seconds.
    pub(super) fn say(&mut self, line: &str) {
        let seconds = self.began.elapsed().as_secs();
        (self.out)(&format!("{:02}:{:02}  {line}", seconds / 60, seconds % 60));
    }

    /// Prints a line without the time.
    pub(super) fn head(&mut self, line: &str) {
        (self.out)(line);
    }

    /// Prints what Flagger asked and did.
    pub(super) fn flagger(&mut self, flagger: &FakeFlagger, tick: &Tick) {
        let what = format!("{} {}", flagger.canary(), flagger.revision());
        for call in &tick.calls {
            if let Some(line) = self.call(call, &what)
                && self.asked.insert(format!("{what} {}", call.path), line.clone()).as_ref() != Some(&line)
            {
                self.say(&line);
            }
        }
        let before = self.canaries.insert(flagger.canary(), (tick.phase, tick.weight));
        if before.is_some_and(|before| before != (tick.phase, tick.weight))
            && let Some(news) = news(before.map(|(phase, _)| phase), tick)
        {
            self.say(&format!("{what} {news}"));
        }
    }

    fn call(&self, call: &Call, what: &str) -> Option<String> {
        let answer = match &call.answered {
            Answered::Response { status, line } => format!("{status} {}", self.shortened(line)),
            Answered::NoResponse { why } => format!("no answer: {why}"),
        };
        match call.question() {
            // Flagger asks this at each check, and nearly always gets this answer.
            Some("rollback") if !call.answered.is_open() => None,
            Some(hook) => Some(format!("Flagger asks {hook} for {what} → {answer}")),
            None if call.answered.is_open() => None,
            None => Some(format!("Flagger sends {} for {what} → {answer}", call.path)),
        }
    }

    /// An answer's line, without its link if links are hidden.
    fn shortened(&self, line: &str) -> String {
        match self.links {
            Links::Show => line.to_owned(),
            Links::Hide => {
                line.split(", ").filter(|part| !part.starts_with("http")).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Prints what people and the bridge did in Jira since the last call.
    pub(super) fn jira(&mut self, jira: &FakeJira) {
        for issue in jira.issues() {
            let printed = self.issues.insert(issue.id.clone(), (issue.changelog.len(), issue.comments.len()));
            if printed.is_none() {
                let link = match self.links {
                    Links::Show => format!("  {}/browse/{}", jira.base_url(), issue.key),
                    Links::Hide => String::new(),
                };
                let by = named(jira, Some(&issue.creator));
                self.say(&format!("Jira: {by} opens {}: {}{link}", issue.key, issue.summary));
            }
            let (changes, comments) = printed.unwrap_or_default();
            if moved(&issue, changes) {
                // Print the next answer even if it equals the one before the move.
                let about = format!(" {} ", issue.key);
                self.asked.retain(|_, line| !line.contains(&about));
            }
            for line in done(jira, &issue, changes, comments) {
                self.say(&format!("Jira: {line}"));
            }
        }
    }
}

/// What happened to the canary, if it deserves a line.
fn news(before: Option<Phase>, tick: &Tick) -> Option<String> {
    let text = match tick.phase {
        Phase::Progressing if tick.weight > 0 => format!("gets {} % of the traffic", tick.weight),
        Phase::Progressing if matches!(before, Some(Phase::Progressing | Phase::WaitingPromotion)) => {
            "takes the place of the revision before it; Flagger starts again".into()
        }
        Phase::Progressing => "starts beside the primary".into(),
        Phase::Promoting => "is being promoted".into(),
        Phase::Succeeded => "is the primary now: the rollout succeeded".into(),
        Phase::Failed => "is rolled back: the rollout failed".into(),
        // The line about the question says more.
        Phase::Initializing
        | Phase::Initialized
        | Phase::Waiting
        | Phase::WaitingPromotion
        | Phase::Finalising => return None,
    };
    Some(text)
}

/// The beginning of a comment, up to a whole word.
fn quoted(text: &str) -> String {
    let line = one_line(text, MAX_QUOTE_CHARS);
    let cut = line.strip_suffix('…').filter(|_| text.trim().chars().count() > MAX_QUOTE_CHARS);
    let words =
        cut.and_then(|cut| cut.rsplit_once(' ')).map(|(words, _)| words.trim_end_matches([',', ';', ':']));
    words.map_or(line.clone(), |words| format!("{words} …"))
}

/// Whether the status changed after the first `changes` changes.
fn moved(issue: &IssueView, changes: usize) -> bool {
    issue.changelog.iter().skip(changes).any(|entry| entry.items.iter().any(|item| item.field == "status"))
}

/// The moves and comments of an issue after the first `changes` and `comments`.
fn done(jira: &FakeJira, issue: &IssueView, changes: usize, comments: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in issue.changelog.iter().skip(changes) {
        for item in entry.items.iter().filter(|item| item.field == "status") {
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            lines.push(format!(
                "{} moves {} from {} to {}",
                named(jira, entry.author.as_deref()),
                issue.key,
                name(&item.from_string),
                name(&item.to_string)
            ));
        }
    }
    for comment in issue.comments.iter().skip(comments) {
        let quoted = quoted(&comment.text());
        lines.push(format!("{} comments on {}: {quoted}", named(jira, Some(&comment.author)), issue.key));
    }
    lines
}

/// The name of an account: the people's own, and what the bridge's account is.
fn named(jira: &FakeJira, account: Option<&str>) -> String {
    match account {
        Some(BRIDGE) => "the bridge".to_owned(),
        account => {
            account.and_then(|account| jira.display_name(account)).unwrap_or_else(|| "a Jira user".to_owned())
        }
    }
}

/// Prints a line. Ignores errors, because the reader may have closed the pipe.
pub(super) fn print(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use fake_jira::MIA;
    use tokio::time::sleep;

    use super::*;
    use crate::{
        clock::Clock,
        demo::world::{RETRY_INTERVAL, World},
    };

    fn tick(status: u16, line: &str, phase: Phase, weight: u8) -> Tick {
        let call = |path: &str, status, line: &str| Call {
            path: path.into(),
            phase,
            checksum: "abc".into(),
            message: None,
            answered: Answered::Response { status, line: line.into() },
        };
        let rollback = call("/gate/rollback", 403, "do not roll back");
        let calls =
            vec![rollback, call("/gate/confirm-rollout", status, line), call("/event", 200, "stored")];
        Tick { calls, phase, weight }
    }

    #[test]
    fn a_quotation_ends_with_a_word() {
        let long = format!("{}, seven eight", "twelve lines ".repeat(8).trim());
        for (text, said) in [
            ("short\nand sweet", "short and sweet"),
            (&long, &format!("{} …", long.strip_suffix(", seven eight").unwrap())),
            (&"x".repeat(120), &format!("{}…", "x".repeat(110))),
        ] {
            assert_eq!(quoted(text), said);
        }
    }

    #[test]
    fn what_is_news_is_said_once() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let mut commentary = Commentary::new(
            Links::Hide,
            Box::new(move |line| into.lock().unwrap().push(line.split_once("  ").unwrap().1.to_owned())),
        );
        let mut flagger = FakeFlagger::new("http://127.0.0.1:1", "shop", "podinfo").unwrap();
        flagger.push("v2");
        let closed = tick(403, "closed: OPS-1 (To Do), http://x/browse/OPS-1, waiting", Phase::Waiting, 0);
        for tick in [&closed, &closed, &tick(200, "open", Phase::Progressing, 0)] {
            commentary.flagger(&flagger, tick);
        }
        for weight in [20, 20, 40] {
            commentary.flagger(&flagger, &tick(200, "open", Phase::Progressing, weight));
        }
        let asks = "Flagger asks confirm-rollout for shop/podinfo v2";
        assert_eq!(
            *said.lock().unwrap(),
            [
                &format!("{asks} → 403 closed: OPS-1 (To Do), waiting"),
                &format!("{asks} → 200 open"),
                "shop/podinfo v2 starts beside the primary",
                "shop/podinfo v2 gets 20 % of the traffic",
                "shop/podinfo v2 gets 40 % of the traffic",
            ]
        );
    }

    /// After a move in Jira the next answer is printed, even if it equals the one before the move.
    #[tokio::test]
    async fn after_a_move_the_answer_is_printed_again() {
        let mut world = World::start(None).await.unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let mut commentary =
            Commentary::new(Links::Show, Box::new(move |line| into.lock().unwrap().push(line.to_owned())));
        let count = |words: &str| said.lock().unwrap().iter().filter(|line| line.contains(words)).count();
        let mut flagger = FakeFlagger::new(&world.gate, "shop", "podinfo").unwrap();
        let mut look = async |commentary: &mut Commentary| {
            let tick = flagger.tick(Clock::System.now()).await;
            commentary.flagger(&flagger, &tick);
            if flagger.phase().is_idle() {
                flagger.push("v2");
            }
        };
        while count("(To Do)") == 0 {
            look(&mut commentary).await;
            commentary.jira(&world.jira);
            sleep(RETRY_INTERVAL).await;
        }
        look(&mut commentary).await;
        assert_eq!(count("(To Do)"), 1);
        let [ticket] = world.jira.issues().try_into().unwrap();
        // The gate may also have been answered closed before the ticket's status was read.
        let closed = || count(&format!("closed: {} (", ticket.key));
        let before = closed();
        for status in ["Approved", "To Do"] {
            world.jira.move_issue(&ticket.key, status, MIA).unwrap();
        }
        commentary.jira(&world.jira);
        look(&mut commentary).await;
        assert_eq!(closed(), before + 1, "{:?}", said.lock().unwrap());
        world.stop().await.unwrap();
    }
}
