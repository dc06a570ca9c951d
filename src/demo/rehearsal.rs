//! `demo --jira-only`: only the embedded Jira, for a bridge that users run themselves. Its address and credentials are
//! the same at each start, so that a configuration keeps working.

use std::time::Duration;

use fake_jira::{FakeJira, Field, Flavour, Setup, Shape};
use tokio::{
    select,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    commentary::{Commentary, Links, WATCH_INTERVAL, print},
    people,
    sample_config::{self, SampleConfig},
    world::listen,
};
use crate::{clock::Clock, jira::Kind};

/// Jira's port if the user names none.
const PORT: u16 = 18_070;
/// These secrets protect nothing: this Jira listens on loopback and forgets everything when it ends.
const TOKEN: &str = "rehearsal-token-worth-nothing";
const WEBHOOK_SECRET: &str = "rehearsal-webhook-secret-worth-nothing";
/// The database file, next to the configuration. One for each kind, and never that of a real bridge.
const fn database(kind: Kind) -> &'static str {
    match kind {
        Kind::Cloud => "rehearsal-cloud.db",
        Kind::DataCenter => "rehearsal-data-center.db",
    }
}

/// Runs Jira on this port, or on 18070, until `stop`. Prints its address, a configuration for it, its people, and what
/// happens in it.
///
/// # Errors
/// If the port is taken.
pub async fn jira_only(kind: Kind, port: Option<u16>, stop: CancellationToken) -> anyhow::Result<()> {
    let (jira, own) = start(kind, port.unwrap_or(PORT)).await?;
    introduction(kind, &own, &jira).lines().for_each(print);
    print("");
    let mut commentary = Commentary::new(Links::Show, Box::new(print));
    let mut watches = interval(WATCH_INTERVAL);
    watches.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        select! {
            () = stop.cancelled() => {
                print("");
                print(&goodbye(kind));
                return Ok(());
            }
            _ = watches.tick() => commentary.jira(&jira),
        }
    }
}

/// What is said when the user stops it.
fn goodbye(kind: Kind) -> String {
    format!(
        "This Jira has ended, and its tickets are gone. You can reuse config.toml: delete {0}* before the next run.",
        database(kind)
    )
}

/// Starts Jira, and returns a configuration for it.
async fn start(kind: Kind, port: u16) -> anyhow::Result<(FakeJira, SampleConfig)> {
    let listener = listen(port, "Jira").await?;
    let flavour = match kind {
        Kind::Cloud => Flavour::Cloud,
        Kind::DataCenter => Flavour::DataCenter,
    };
    let setup = Setup::new(flavour, Clock::System);
    // A database may remember issues of an earlier run, so their ids must not be used again.
    let first_issue =
        Duration::from_millis(u64::try_from(Clock::System.now().0).unwrap_or_default()).as_secs();
    let user = match kind {
        Kind::Cloud => Some(setup.user.clone()),
        Kind::DataCenter => None,
    };
    let jira = FakeJira::new(Setup { token: TOKEN.to_owned(), first_issue, ..setup });
    people::settle(&jira);
    // Most projects have this field, and the guides use it.
    for project in ["OPS", "PAY"] {
        let levels = ["Highest", "High", "Medium", "Low", "Lowest"].map(str::to_owned).to_vec();
        jira.add_create_field(
            project,
            "Change",
            Field::optional("priority", "Priority", Shape::Select(levels)),
        );
    }
    let url = jira.start_on(listener)?;
    let addresses = sample_config::usual();
    jira.webhook(&format!("http://{}/jira/webhook", addresses[1]), Some(WEBHOOK_SECRET), None);
    let own = SampleConfig {
        url,
        user,
        token: TOKEN.to_owned(),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        database: format!("sqlite://{}", database(kind)),
        addresses,
    };
    Ok((jira, own))
}

fn introduction(kind: Kind, own: &SampleConfig, jira: &FakeJira) -> String {
    let name = kind.name();
    let (url, rest, people) = (&own.url, own.introduction(), people::table(jira, kind, "OPS"));
    let database = database(kind);
    format!(
        "\
A simulated Jira {name} with the projects OPS and PAY, to try a configuration with. It listens on this machine
only, and forgets everything after Ctrl-C.

  Jira, to click in   {url}

{rest}
These people can be named in approval.approvers and approval.deny, the groups as \"group:NAME\", the roles as
\"role:NAME\". At the top of Jira's page you choose who you are.

{people}
You can reuse config.toml. Each run starts with an empty Jira, so delete {database}* first."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::check, config::load};

    /// For both kinds the printed configuration loads, and `check` finds no failure.
    #[tokio::test]
    async fn what_is_printed_works() {
        for kind in [Kind::Cloud, Kind::DataCenter] {
            let (jira, own) = start(kind, 0).await.unwrap();
            let text = introduction(kind, &own, &jira);
            // A command stands alone on its line, so that it can be pasted.
            let commands =
                text.lines().filter(|line| line.contains("flagger-jira-bridge ") && !line.contains('"'));
            let commands: Vec<&str> = commands.collect();
            let each =
                ["check", "serve", "gates"].map(|name| format!("flagger-jira-bridge {name} -c config.toml"));
            assert_eq!(commands, each);
            let (from, to) = (text.find("[server]").unwrap(), text.find("\n2. ").unwrap());
            let with_approval =
                text[from..to].replace("\n# [", "\n[").replace("\n# approvers", "\napprovers");
            let with_approval = with_approval.replace("\n# deny", "\ndeny");
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("config.toml");
            let write = |by: &str| {
                let priority = format!("\n[ticket.fields]\npriority = {{ {by} = \"High\" }}\n");
                std::fs::write(&path, format!("{with_approval}{priority}")).unwrap();
            };
            let listen = |name: &str| (format!("BRIDGE__SERVER__{name}_LISTEN"), "127.0.0.1:0".to_owned());
            let database = format!("sqlite://{}", home.path().join("it.db").display());
            let mut env = vec![("BRIDGE__STORE__URL".to_owned(), database)];
            env.extend(["GATE", "WEBHOOK", "ADMIN"].map(listen));
            write("value");
            let report = check(&load(&path, env.clone()).unwrap(), Clock::System).await.to_string();
            assert!(report.contains("put { name = \"High\" } there"), "{report}");
            write("name");
            let report = check(&load(&path, env).unwrap(), Clock::System).await;
            assert!(!report.failed(), "{report}");
            assert!(report.to_string().contains("OPS"), "{report}");
            assert!(report.to_string().contains("change-managers"), "the group is found: {report}");
        }
    }
}
