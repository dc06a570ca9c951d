//! Wrong configurations: every problem, by key.

use super::*;

#[test]
fn the_three_required_keys_are_asked_for() {
    insta::assert_snapshot!(read("", &[]).unwrap_err(), @r#"
    jira.url: is missing; write for example "https://example.atlassian.net"
    jira.token: is missing; give it, or jira.token_file
    ticket.project: is missing; give the key of the project in which tickets are opened
    "#);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = r##"
        sevrer = {}
        [server]
        gate_listen = "8080"
        admin_listen = "0.0.0.0:8081"
        page_listen = "127.0.0.1:8081"
        public_url = "bridge.example.com"
        shutdown_grace = "0s"
        [store]
        url = "mysql://root:hunter2@db/bridge"
        keep_for = "for ever"
        allow_network_volume = "yes"
        [flagger]
        cluster = "Prod"
        namespaces = ["ok", "a[", 7]
        token = "a"
        tokens = [{ token = "a", namespaces = ["x", "["] }, { token = "b", cluster = "mars" }, { namespaces = ["y"] }]
        clusters = [{ name = "eu", token = "b" }, { name = "eu", token = "b" }, { nmae = "us", token = "a" }]
        [jira]
        url = "https://me:hunter2@jira.example.com"
        kind = "cloud"
        token_file = "/nowhere/token"
        pol_every = "10s"
        poll_every = "20"
        timeout = 10
        trust_for = "30s"
        burst = 0
        requests_per_second = "many"
        [limits]
        open_tickets = -1
        [ticket]
        summary = "{{ nmespace }}"
        description = "{% if canary %}"
        labels = ["two words", "", "flagger-ended"]
        assignee = "group:cab"
        use = "change"
        [ticket.fields]
        customfield_1 = [{ value = "{{ canary|shout }}" }]
        summary = "x"
        [ticket.statuses]
        approved = ["Done", "Approved"]
        rejected = ["done"]
        [ticket.transitions]
        opened = 5
        failed = { too = "Failed" }
        suceeded = "Done"
        [approval]
        source = "jira"
        valid_for = "3 days"
        approvers = ["group:", "{{ metadata.boss }}"]
        deny = ["{{ metdata.author }}"]
        [[routes]]
        match = { stage = "confirm-promotio", namespce = "x" }
        ticket = { project = "", statuses = { approved = [] } }
        aproval = {}
        [[routes]]
        ticket = { statuses = { rejected = ["APPROVED"] } }
    "##;
    let env =
        [("BRIDGE__JIRA__TRUSTFOR", "1m"), ("BRIDGE__NOPE__X", "1"), ("BRIDGE__ROLLOUT__IDLE_AFTER", "1")];
    insta::assert_snapshot!(read(text, &env).unwrap_err(), @r#"
    server.gate_listen: "8080" is not an address to listen on; write for example "0.0.0.0:8080"
    server.admin_listen: is the same address as server.webhook_listen
    server.page_listen: is taken by server.webhook_listen (0.0.0.0:8081); put another port there
    server.public_url: has no scheme; put https:// in front
    server.shutdown_grace: "0s" must be above zero
    store.url: must be sqlite://FILE or postgres://user:password@host/database
    store.keep_for: "for ever" is not a duration; write a whole number with ms, s, m, h or d, for example "20s", or "forever"
    store.allow_network_volume: expected true or false, got a string
    flagger.cluster: "Prod" is no cluster name; use up to 63 of a-z, 0-9 and -, with no - at either end
    flagger.namespaces[1]: "a[" is no glob: unclosed character class; missing ']'
    flagger.namespaces[2]: expected a string, such as "*", got a number
    flagger.clusters[1].name: "eu" is there twice
    flagger.clusters[1].token: is also the token of "eu"; each cluster needs its own
    flagger.clusters[2].name: is missing
    flagger.clusters[2].nmae: unknown key; did you mean flagger.clusters[2].name?
    flagger.tokens[0].namespaces[1]: "[" is no glob: unclosed character class; missing ']'
    flagger.tokens[0].token: is also flagger.token, which allows all namespaces; put another one there
    flagger.tokens[1].namespaces: is missing; list the namespaces that the token allows
    flagger.tokens[1].token: is also the token of cluster "eu"; put another one there
    flagger.tokens[2].token: is missing; give it, or flagger.tokens[2].token_file
    jira.url: must not hold a user or password; put them into jira.user and jira.token
    jira.user: is missing; Cloud needs the account's e-mail; if it is no Cloud, put "auto" into jira.kind
    jira.token_file: cannot read /nowhere/token: No such file or directory (os error 2)
    jira.requests_per_second: expected a whole number, such as 5, got a string
    jira.burst: must be a whole number from 1 to 4294967295, not 0
    jira.timeout: 10 is not a duration; write a whole number with ms, s, m, h or d, for example "20s"
    jira.poll_every: "20" is not a duration; write a whole number with ms, s, m, h or d, for example "20s"
    jira.pol_every: unknown key; did you mean jira.poll_every?
    BRIDGE__JIRA__TRUSTFOR: no such setting; did you mean BRIDGE__JIRA__TRUST_FOR?
    rollout.idle_after: "1" is not a duration; write a whole number with ms, s, m, h or d, for example "20s" (set by BRIDGE__ROLLOUT__IDLE_AFTER)
    limits.open_tickets: must be a whole number from 1 to 4294967295, not -1
    ticket.summary: the template knows no "nmespace"; there are images, old, new, changes, annotations, weight, action, versions, number, canary, namespace, cluster, stage, gate, phase, base, revision, label, metadata (with .NAME behind it)
    ticket.description: is not a template: unexpected end of input, expected end of block
    ticket.labels[0]: "two words" has a space in it, which Jira refuses
    ticket.labels[1]: is empty; leave it out
    ticket.labels[2]: "flagger-ended" marks tickets of ended rollouts, which open no gate
    ticket.assignee: must be an account id, an e-mail or a user name, not "group:cab"
    ticket.fields.customfield_1[0].value: the template knows no filter "shout"
    ticket.fields.summary: is set by the bridge; it has its own key in [ticket]
    ticket.transitions.opened: expected a status, such as "Authorize", or { to = "STATUS", fields = { … } }, got a number
    ticket.transitions.failed.to: is missing
    ticket.transitions.failed.too: unknown key
    ticket.transitions.suceeded: unknown key; did you mean ticket.transitions.succeeded?
    ticket.use: must be "metadata." and the name under which hooks send the key of a ticket, not "change"
    ticket.project: is missing; give the key of the project in which tickets are opened
    ticket.statuses: "done" is both approved and rejected; remove it from one of the two
    approval.valid_for: "3 days" is not a duration; write a whole number with ms, s, m, h or d, for example "20s"
    approval.approvers[0]: "group:" needs a name after it
    approval.approvers[1]: cannot be a template; only entries of deny can
    approval.deny[0]: the template knows no "metdata"; there are canary, namespace, cluster, stage, gate, phase, base, revision, label, metadata (with .NAME behind it)
    approval.source: must be "status" or "jsm", not "jira"
    routes[0].match.stage: "confirm-promotio" matches no stage; there are confirm-rollout, confirm-traffic-increase, confirm-promotion, gate
    routes[0].match.namespce: unknown key; did you mean routes[0].match.namespace?
    routes[0].ticket.project: is empty
    routes[0].ticket.statuses.approved: is empty, so no gate could ever open
    routes[0].aproval: unknown key; did you mean routes[0].approval?
    routes[1].match: is missing
    routes[1].ticket.statuses: "APPROVED" is both approved and rejected; remove it from one of the two
    BRIDGE__NOPE__X: no such setting
    sevrer: unknown key; did you mean server?
    "#);
}

#[test]
fn a_syntax_error_is_reported_by_line_only() {
    let path = "/nowhere/config.toml";
    let missing = load(Path::new(path), []).unwrap_err().to_string();
    assert_eq!(
        missing,
        format!(
            "{path}: cannot read the configuration: No such file or directory (os error 2); give one with -c, or copy config.example.toml"
        )
    );

    let broken = load_text("[jira]\nurl = \"https://x\"\ntoken = \"hunter2\n").unwrap_err().0;
    assert_eq!(broken.len(), 1);
    assert!(broken[0].what.starts_with("line 3: "), "{broken:?}");
    assert!(!broken[0].what.contains("hunter2"), "{broken:?}");
}

#[test]
fn sections_of_the_wrong_shape() {
    insta::assert_snapshot!(problems("server = 5\nroutes = {}\n[flagger]\ntokens = true\n[ticket]\nfields = []\n[jira]\ntoken_file = \"x\""), @r#"
    server: expected a table, such as [server], got a number
    flagger.tokens: expected a list of tables, such as [[flagger.tokens]], got true or false
    jira.token: is given twice, as BRIDGE__JIRA__TOKEN in the environment and as jira.token_file in the configuration file; keep one
    ticket.fields: expected a table, such as { priority = { name = "High" } }, got a list
    routes: expected a list of tables, such as [[routes]], got a table
    "#);
}

/// Every key of the example says by an example what it takes, if it is given something of another type.
#[test]
fn a_wrong_type_comes_with_an_example() {
    let text = r#"
        ticket = { labels = "flagger", project = 7, fields = { }, statuses = { approved = "Approved" } }
        approval = { approvers = "mia", deny = "bob", valid_for = ["72h"] }
        kubernetes = { annotations = "a", events = "yes" }
        flagger = { namespaces = "shop", token = 5, clusters = [{ name = 1 }] }
        jira = { timeout = true, user = [], kind = 1 }
        limits = { open_tickets = "many" }
        server = { tls = "cert.pem", gate_listen = 8080 }
        routes = [{ match = "shop", ticket = { labels = "x" }, approval = [] }]
    "#;
    insta::assert_snapshot!(read(text, &REQUIRED[..2]).unwrap_err(), @r#"
    server.gate_listen: expected a string, such as "0.0.0.0:8080", got a number
    server.tls: expected a table, such as { cert_file = "/etc/bridge/tls.crt", key_file = "/etc/bridge/tls.key" }, got a string
    flagger.namespaces: expected a list of strings, such as ["*"], got a string
    flagger.token: expected a string, such as "…", got a number
    flagger.clusters[0].name: expected a string, such as "prod-eu", got a number
    kubernetes.events: expected true or false, got a string
    kubernetes.annotations: expected a list of strings, such as ["kubernetes.io/change-cause", "app.kubernetes.io/version"], got a string
    jira.kind: expected a string, such as "auto", got a number
    jira.user: expected a string, such as "bridge@example.com", got a list
    jira.timeout: expected a duration, such as "10s", got true or false
    limits.open_tickets: expected a whole number, such as 500, got a string
    ticket.project: expected a string, such as "OPS", got a number
    ticket.labels: expected a list of strings, such as ["flagger"], got a string
    ticket.statuses.approved: expected a list of strings, such as ["Approved"], got a string
    approval.valid_for: expected a duration, such as "72h", got a list
    approval.approvers: expected a list of strings, such as ["group:cab"], got a string
    approval.deny: expected a list of strings, such as ["…"], got a string
    routes[0].match: expected a table, such as { canary = "*", cluster = "*", gate = "qa", namespace = "payments-*", stage = "confirm-promotion" }, got a string
    routes[0].ticket.labels: expected a list of strings, such as ["flagger"], got a string
    routes[0].approval: expected a table, such as { approvers = ["group:cab"] }, got a list
    "#);
}

/// The message names both places, in the file or in the environment.
#[test]
fn a_secret_that_is_given_twice() {
    let token = ("token", "BRIDGE__JIRA__TOKEN", "one");
    let file = ("token_file", "BRIDGE__JIRA__TOKEN_FILE", "/x");
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut text = "[jira]\nurl = \"https://x.example\"\n[ticket]\nproject = \"OPS\"\n".to_owned();
        let (mut env, mut places) = (vec![], vec![]);
        for ((key, variable, value), by_variable) in [(token, first), (file, second)] {
            if by_variable {
                env.push((variable.to_owned(), value.to_owned()));
                places.push(format!("as {variable} in the environment"));
            } else {
                text.insert_str(7, &format!("{key} = {value:?}\n"));
                places.push(format!("as jira.{key} in the configuration file"));
            }
        }
        let env: Vec<(&str, &str)> =
            env.iter().map(|(name, value): &(String, String)| (name.as_str(), value.as_str())).collect();
        let said = read(&text, &env).unwrap_err().to_string();
        assert_eq!(said, format!("jira.token: is given twice, {} and {}; keep one", places[0], places[1]));
    }
}

/// A listener on the wildcard address takes its port on all addresses.
#[test]
fn listeners_that_take_each_others_address() {
    for (gate, webhook, right) in [
        ("0.0.0.0:7001", "127.0.0.1:7001", false),
        ("127.0.0.1:7001", "0.0.0.0:7001", false),
        ("[::]:7001", "127.0.0.1:7001", false),
        ("0.0.0.0:7001", "[::]:7001", false),
        ("[::1]:7001", "[::]:7001", false),
        ("0.0.0.0:7001", "[::1]:7001", true),
        ("127.0.0.1:7001", "127.0.0.2:7001", true),
        ("0.0.0.0:7001", "0.0.0.0:7002", true),
        ("0.0.0.0:0", "127.0.0.1:0", true),
    ] {
        let set = [("BRIDGE__SERVER__GATE_LISTEN", gate), ("BRIDGE__SERVER__WEBHOOK_LISTEN", webhook)];
        let read = with_env(&set);
        assert_eq!(read.is_ok(), right, "{gate} {webhook}");
        if let Err(problems) = read {
            let problems = problems.to_string();
            let words = format!(
                "server.webhook_listen: is taken by server.gate_listen ({gate}); put another port there"
            );
            assert!(problems.starts_with(&words), "{problems}");
        }
    }
}

#[test]
fn sites_and_stores() {
    for (url, right) in [
        ("https://x.atlassian.net", true),
        ("http://localhost:2990/jira/", true),
        ("https://", false),
        ("ftp://x", false),
        ("x.atlassian.net", false),
        ("https://x?y=1", false),
        ("https://x/#y", false),
        ("https://u@x", false),
        ("https://u:1/p@x", false),
        ("", false),
    ] {
        assert_eq!(with_env(&[("BRIDGE__JIRA__URL", url)]).is_ok(), right, "{url}");
    }
    for (url, right) in [
        ("sqlite:///var/lib/bridge.db", true),
        ("postgres://u:p@h/d", true),
        ("postgresql:///d?host=/run", true),
        ("sqlite://", false),
        ("bridge.db", false),
        ("mysql://h/d", false),
    ] {
        assert_eq!(with_env(&[("BRIDGE__STORE__URL", url)]).is_ok(), right, "{url}");
    }
    let capitals = with_env(&[("BRIDGE__STORE__URL", "POSTGRES://u:p@h/d")]).unwrap_err().to_string();
    assert_eq!(capitals, "store.url: write postgres:// in lower case (set by BRIDGE__STORE__URL)");
}

/// Likely first mistakes, and the messages for them.
#[test]
fn likely_mistakes_get_advice() {
    let text = r#"
    [server]
    admin_listen = ":9090"
    page_listen = "9091/"
    public_url = "bridge.example.com:8443/x"
    [jira]
    username = "bridge@example.com"
    timeout = "1.5s"
    "#;
    let mut env = REQUIRED.to_vec();
    env[0].1 = "example.atlassian.net";
    env.extend([
        ("BRIDGE_JIRA__POLL_EVERY", "1s"),
        ("BRIDGE_JIRA_TOKEN", "swordfish"),
        ("BRIDGE__JIRA_TOKEN", "swordfish"),
        ("BRIDGE_CONFIG", "config.toml"),
        ("BRIDGE_LOG_FORMAT", "json"),
        ("BRIDGE_SERVER", "another program's"),
        ("BRIDGE_JIRA_SERVICE_HOST", "10.0.0.1"),
        ("BRIDGE_JIRA_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
    ]);
    insta::assert_snapshot!(read(text, &env).unwrap_err(), @r#"
    BRIDGE_JIRA__POLL_EVERY: sets nothing; did you mean BRIDGE__JIRA__POLL_EVERY?
    BRIDGE_JIRA_TOKEN: sets nothing; did you mean BRIDGE__JIRA__TOKEN?
    server.admin_listen: ":9090" is not an address to listen on; write for example "127.0.0.1:9090"
    server.page_listen: "9091/" is not an address to listen on; write for example "0.0.0.0:9091"
    server.public_url: has no scheme; put https:// in front
    jira.url: has no scheme; put https:// in front (set by BRIDGE__JIRA__URL)
    jira.timeout: "1.5s" is not a duration; write a whole number with ms, s, m, h or d, for example "20s"
    jira.username: unknown key; did you mean jira.user?
    BRIDGE__JIRA_TOKEN: no such setting; did you mean BRIDGE__JIRA__TOKEN?
    "#);
}

/// The message for a relative path names the working directory. A name that may be a secret is not quoted.
#[test]
fn a_file_that_is_not_there_says_where_it_was_looked_for() {
    let here = std::env::current_dir().unwrap().display().to_string();
    let said = |file: &str| {
        let env = ["URL", "USER"].map(|key| format!("BRIDGE__JIRA__{key}"));
        let url = "https://example.atlassian.net";
        let token = "BRIDGE__JIRA__TOKEN_FILE";
        let env = [(env[0].as_str(), url), (env[1].as_str(), "bridge@example.com"), (token, file)];
        read("[ticket]\nproject = \"OPS\"\nissue_type = \"Change\"", &env).unwrap_err().to_string()
    };
    for named in ["./none/token", "../none", ".token", "src/none"] {
        let words = said(named);
        assert!(
            words.starts_with(&format!("jira.token_file: cannot read {named}, looked for in {here}: ")),
            "{words}"
        );
    }
    // Base64 has slashes, too.
    for hidden in ["sword/fish", "swordfish", &"swordfish".repeat(40)] {
        let words = said(hidden);
        let why = if hidden.len() > 255 {
            "the file cannot be read: File name too long (os error 36)".to_owned()
        } else {
            format!("there is no such file in {here}")
        };
        let advice =
            "; if the value is the secret itself, put it into jira.token (set by BRIDGE__JIRA__TOKEN_FILE)";
        assert_eq!(words, format!("jira.token_file: {why}{advice}"));
    }
    // These keys name no secrets, which people might give instead of a file's name.
    let files =
        read("server.tls = { cert_file = \"crt\", key_file = \"key\" }\njira.ca_file = \"ca\"\n", &REQUIRED);
    let files = files.unwrap_err().to_string();
    for (key, name) in
        [("server.tls.cert_file", "crt"), ("server.tls.key_file", "key"), ("jira.ca_file", "ca")]
    {
        assert!(files.contains(&format!("{key}: cannot read {name}, looked for in {here}: ")), "{files}");
    }
}
