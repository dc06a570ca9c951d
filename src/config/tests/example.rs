//! The example configuration: its defaults, and each of its lines.

use super::*;
use crate::policy::ApprovalSource;

#[test]
fn the_example_has_the_documented_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    let env = REQUIRED.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = load(&example, env).unwrap();
    let s = Duration::from_secs;

    let Server { gate_listen, webhook_listen, admin_listen, page_listen, public_url, shutdown_grace, tls } =
        config.server;
    assert_eq!(gate_listen, "0.0.0.0:8080".parse().unwrap());
    assert_eq!(webhook_listen, "0.0.0.0:8081".parse().unwrap());
    assert_eq!(admin_listen, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(page_listen, None);
    assert_eq!((public_url, shutdown_grace, tls.is_none()), (None, s(20), true));

    assert_eq!(config.store.url.expose_secret(), "sqlite://bridge.db");
    assert_eq!(config.store.keep_for, None);
    assert!(!config.store.allow_network_volume);

    assert_eq!(config.flagger.cluster, "default");
    assert!(config.flagger.namespaces.is_match("anything"));
    assert!(config.flagger.token.is_none() && config.flagger.clusters.is_empty());

    let jira = config.jira;
    let client = jira.client;
    assert_eq!(client.url, "https://jira.example.com");
    assert_eq!((client.kind, client.login.user(), client.ca_file), (None, None, None));
    assert_eq!(client.login.secret().newest().expose_secret(), "swordfish");
    assert!(jira.webhook_secret.is_none());
    assert_eq!((client.requests_per_second.get(), client.burst.get()), (5, 10));
    assert_eq!(
        (client.timeout, jira.poll_every, jira.trust_for, jira.index_lag),
        (s(10), s(20), s(600), s(120))
    );

    assert_eq!((config.rollout.idle_after, config.rollout.abandon_after), (s(600), s(7 * 86_400)));
    let limits = config.limits;
    assert_eq!((limits.tickets_per_canary_per_hour, limits.open_tickets), (12, 500));
    assert_eq!(limits.open_tickets_per_namespace, 100);

    assert!(config.policy.routes.is_empty());
    let Route { key, ticket, approval, fingerprint: _ } = config.policy.base;
    assert_eq!(
        (key.as_str(), ticket.project.as_str(), ticket.issue_type.as_str()),
        ("ticket", "OPS", "Change")
    );
    assert_eq!(
        ticket.summary,
        "{{ action }} {{ canary }}{% if versions %} {{ versions }}{% endif %} ({{ cluster }}/{{ namespace }}){% if gate %} ({{ gate }}){% endif %}{% if number %} #{{ number }}{% endif %}"
    );
    assert_eq!((ticket.labels, ticket.assignee), (vec!["flagger".to_owned()], None));
    assert!(ticket.fields.is_empty());
    assert_eq!(
        (ticket.approved, ticket.rejected),
        (vec!["Approved".to_owned()], vec!["Rejected".to_owned()])
    );
    assert_eq!(format!("{:?}", ticket.transitions), format!("{:?}", crate::policy::Transitions::default()));
    assert_eq!((approval.valid_for, approval.approvers.len(), approval.deny.len()), (s(72 * 3600), 0, 0));
    assert!(approval.steps.is_empty());
    assert_eq!(approval.limits, crate::policy::TimeLimits::default());
    assert_eq!(approval.source, ApprovalSource::Status);
}

/// The example's keys that are commented out, each with its section; those of a commented-out table together.
fn commented_out() -> Vec<String> {
    let (mut section, mut found) = (String::new(), Vec::<String>::new());
    let mut in_table = false;
    for line in EXAMPLE.lines() {
        let Some(code) = line.strip_prefix("# ") else {
            in_table = in_table && line.starts_with('#');
            if line.starts_with('[') {
                line.clone_into(&mut section);
            }
            continue;
        };
        let key = code.split_once('=').map(|(key, _)| key.trim_end());
        let is_key = key.is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        if code.starts_with("[[") {
            in_table = true;
            found.push(code.to_owned());
        } else if is_key && in_table {
            write!(found.last_mut().unwrap(), "\n{code}").unwrap();
        } else if is_key {
            found.push(format!("{section}\n{code}"));
        }
    }
    found
}

#[test]
fn every_line_of_the_example_may_be_uncommented() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    std::fs::write(&file, "https://example.com/from-a-file\n").unwrap();
    let found = commented_out();
    assert_eq!(found.len(), 31, "{found:#?}");
    for text in found {
        // The files that it names do not exist here; one that can be read replaces them.
        let here = format!("\"{}\"", file.display());
        let text: String = text
            .split_inclusive('"')
            .collect::<Vec<_>>()
            .chunks(2)
            .map(|pair| match pair {
                [before, path] if path.starts_with('/') => {
                    format!("{}{here}", before.strip_suffix('"').unwrap())
                }
                other => other.concat(),
            })
            .collect();
        let given = |key: &str| text.contains(&format!("\n{key} ")) && text.starts_with("[jira]");
        let env: Vec<_> = REQUIRED
            .into_iter()
            .filter(|(name, _)| !(name.ends_with("TOKEN") && (given("token_file") || given("oauth"))))
            .collect();
        read(&text, &env).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        let (variable, value) = as_variable(&text);
        let env: Vec<_> = env
            .into_iter()
            .filter(|(name, _)| *name != variable)
            .chain([(variable.as_str(), value.as_str())])
            .collect();
        read("", &env).unwrap_or_else(|problems| panic!("{variable}={value}\n{problems}"));
    }
}

/// The environment variable that sets the same as the text: one key, or a list of tables.
fn as_variable(text: &str) -> (String, String) {
    let (header, body) = text.split_once('\n').unwrap();
    let section = header.trim_matches(['[', ']']);
    let key = match body.split_once('=') {
        Some((key, _)) if !header.starts_with("[[") => format!("{section}.{}", key.trim_end()),
        _ => section.to_owned(),
    };
    let tree: toml::Value = toml::from_str(text).unwrap();
    let value = key.split('.').fold(&tree, |at, part| &at[part]);
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (format!("BRIDGE__{}", key.replace('.', "__").to_uppercase()), value)
}

#[test]
fn the_default_description_reads_well_at_every_stage() {
    let config = load_text("").unwrap();
    let env = minijinja::Environment::new();
    let render = |stage: &str| {
        let context =
            minijinja::context! { canary => "web", namespace => "shop", cluster => "default", stage };
        env.render_str(&config.policy.base.ticket.description, context).unwrap()
    };
    insta::assert_snapshot!(render("confirm-rollout"), @r"
    Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of web in namespace shop on cluster default. It waits for your decision on this ticket.
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    ");
    insta::assert_snapshot!(render("confirm-promotion"), @r"
    Flagger, which rolls out new versions in Kubernetes, is ready to give all users the new version of web in namespace shop on cluster default. It waits for your decision on this ticket.
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    ");
    insta::assert_snapshot!(render("confirm-traffic-increase"), @r"
    Flagger, which rolls out new versions in Kubernetes, is ready to send more traffic to the new version of web in namespace shop on cluster default. It waits for your decision on this ticket.
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    ");
    insta::assert_snapshot!(render("gate"), @r"
    Flagger, which rolls out new versions in Kubernetes, is ready to continue with the new version of web in namespace shop on cluster default. It waits for your decision on this ticket.
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    ");
}
