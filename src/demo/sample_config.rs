//! A configuration for users who connect their own bridge to the embedded Jira.

use super::people::APPROVERS;

/// Ports that are seldom in use: for Flagger, for Jira's webhook, for people.
const PORTS: [u16; 3] = [18_080, 18_081, 19_090];

/// The settings that differ from the defaults.
pub(super) struct SampleConfig {
    /// The URL of the embedded Jira.
    pub(super) url: String,
    /// `None` with a personal access token.
    pub(super) user: Option<String>,
    pub(super) token: String,
    pub(super) webhook_secret: String,
    /// `store.url`.
    pub(super) database: String,
    /// The listeners for Flagger, for Jira's webhook, and for people.
    pub(super) addresses: [String; 3],
}

impl SampleConfig {
    /// The text to print: the file, and how to use it.
    pub(super) fn introduction(&self) -> String {
        let (file, [gate, _, admin], url) = (self.config(), &self.addresses, &self.url);
        format!(
            "\
With cargo, write \"cargo run --\" for \"flagger-jira-bridge\".

1. Put this into config.toml:

{file}
2. In a second terminal, check it and start the bridge:

flagger-jira-bridge check -c config.toml
flagger-jira-bridge serve -c config.toml

3. In a third terminal, ask as Flagger does:

curl -i http://{gate}/gate/confirm-promotion -H 'Content-Type: application/json' \\
  -d '{{\"name\":\"hello\",\"namespace\":\"test\",\"phase\":\"Progressing\",\"checksum\":\"abc\",
       \"metadata\":{{\"revision\":\"1.0.0\",\"author\":\"bob@example.com\"}}}}'

   The answer is 403, and there is a ticket in {url}.
4. Approve the ticket and ask again: the answer is 200.

To release another version, change \"checksum\" and \"revision\". To try a rollback, click Reject and ask /gate/rollback
with the same body: 200 means roll back.

What waits, and why: http://{admin}, or

flagger-jira-bridge gates -c config.toml
"
        )
    }

    fn config(&self) -> String {
        let Self { url, token, webhook_secret, addresses: [gate, webhook, admin], .. } = self;
        let database = toml::Value::from(self.database.as_str());
        let user = self.user.as_ref().map_or_else(String::new, |user| format!("user = \"{user}\"\n"));
        format!(
            r#"[server]
gate_listen = "{gate}"
webhook_listen = "{webhook}"
admin_listen = "{admin}"

[store]
url = {database}

[flagger]
cluster = "mine"

[jira]
url = "{url}"
{user}token = "{token}"
webhook_secret = "{webhook_secret}"
poll_every = "2s"

[ticket]
project = "OPS"

# Who may approve, and who never may. Without this, everybody may.
# To try approvers: remove the # from the last lines and restart serve.
# [approval]
# approvers = ["group:{APPROVERS}"]
# deny = ["{{{{ metadata.author }}}}"]
"#
        )
    }
}

/// Fixed addresses on loopback.
pub(super) fn usual() -> [String; 3] {
    PORTS.map(|port| format!("127.0.0.1:{port}"))
}
