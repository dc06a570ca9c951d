//! The dashboard and the alerts use metrics that exist, and the dashboard shows all of them.

use std::collections::{BTreeMap, BTreeSet};

use fake_jira::Flavour;
use flagger_jira_bridge::metrics::status_class;
use serde_json::Value;

use crate::world::{World, yaml};

const DASHBOARD: &str = include_str!("../../../deploy/helm/flagger-jira-bridge/files/dashboard.json");
const ALERTS: &str = include_str!("../../../deploy/helm/flagger-jira-bridge/files/alerts.yaml");
/// The beginnings of the names: the bridge's own, and those of its process.
const PREFIXES: [&str; 2] = ["flagger_jira_bridge_", "process_"];

/// The series of `/metrics` with their labels and values. Escapes in labels are not decoded: the bridge's labels have
/// none.
#[derive(Default)]
struct Exposed(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Exposed {
    /// The metrics of a bridge after every kind of event.
    async fn find() -> Self {
        let world = World::start(Flavour::Cloud).await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.run_worker().await;
        world.decides(&world.newest(), "Approved").await;
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.ticks().await;
        let text = world.sends(world.admin("GET", "/metrics")).await.body;
        world.finish().await;
        let mut found = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let series = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert!(PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            let known = found.0.entry(name.to_owned()).or_default();
            for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once('=').unwrap();
                known.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
            }
        }
        // Jira has given only successful answers.
        for (name, labels) in &mut found.0 {
            if name.starts_with("flagger_jira_bridge_jira_request_seconds") {
                let answers = [Some(200), Some(302), Some(404), Some(429), Some(500), None];
                labels.get_mut("status").unwrap().extend(answers.map(status_class).map(str::to_owned));
            }
        }
        found
    }

    /// The names, without a histogram's suffixes.
    fn families(&self) -> BTreeSet<&str> {
        self.0
            .keys()
            .map(|name| {
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
            })
            .collect()
    }

    /// Checks that every series in an expression exists with its labels and values. Returns the names.
    fn check<'a>(&self, expression: &'a str) -> BTreeSet<&'a str> {
        let mut named = BTreeSet::new();
        let mut labels: BTreeSet<&str> = ["job", "namespace", "instance"].into();
        let starts = PREFIXES.iter().flat_map(|prefix| expression.match_indices(prefix)).map(|(at, _)| at);
        for rest in starts.map(|at| &expression[at..]) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let known = self.0.get(name).unwrap_or_else(|| panic!("there is no {name}: {expression}"));
            labels.extend(known.keys().map(String::as_str));
            named.insert(name);
            let Some(selector) = rest.strip_prefix('{') else { continue };
            for matcher in selector.split('}').next().unwrap().split(',') {
                let (label, value) = matcher.split_once(['=', '!']).unwrap();
                if label == "job" {
                    continue;
                }
                let values =
                    known.get(label).unwrap_or_else(|| panic!("{name} has no {label}: {expression}"));
                for value in value.trim_start_matches(['=', '~']).trim_matches('"').split('|') {
                    assert!(values.contains(value), "{label} of {name} is never {value}: {expression}");
                }
            }
        }
        for group in expression.split(" by (").skip(1) {
            for label in group.split(')').next().unwrap().split(", ") {
                assert!(labels.contains(label), "nothing has {label}: {expression}");
            }
        }
        named
    }
}

#[tokio::test]
async fn the_dashboard_shows_every_metric() {
    let exposed = Exposed::find().await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{} occurs twice", panel["id"]);
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let named = exposed.check(expression);
            assert!(!named.is_empty(), "{expression}");
            for label in target["legendFormat"].as_str().unwrap().split("{{").skip(1) {
                let label = label.split("}}").next().unwrap();
                let by = expression.split(" by (").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
                assert!(by.split(", ").any(|it| it == label), "{label} is summed away: {expression}");
            }
            shown.extend(named.into_iter().map(str::to_owned));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        exposed.check(variable["query"].as_str().unwrap());
    }
    for family in exposed.families() {
        assert!(shown.iter().any(|name| name.starts_with(family)), "{family} is not on the dashboard");
    }
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[tokio::test]
async fn the_alerts_name_real_metrics() {
    let exposed = Exposed::find().await;
    let alerts = &yaml::documents(ALERTS)[0];
    let anchors = anchors(include_str!("../../../docs/operations.md"));
    let mut names = BTreeSet::new();
    for rule in alerts["groups"].as_array().unwrap().iter().flat_map(|it| it["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name.strip_prefix("FlaggerJiraBridge").unwrap()), "{name} occurs twice");
        assert!(!exposed.check(rule["expr"].as_str().unwrap()).is_empty(), "{name}");
        assert!(["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()));
        for words in ["summary", "description"] {
            assert!(rule["annotations"][words].is_string(), "{name} has no {words}");
        }
        let runbook = rule["annotations"]["runbook_url"].as_str().unwrap();
        let anchor = runbook.strip_prefix("https://example.com/flagger-jira-bridge/docs/operations.md#");
        assert_eq!(anchor, Some(name.to_lowercase().as_str()), "{runbook}");
        assert!(anchors.contains(anchor.unwrap()), "docs/operations.md has no heading for {name}");
    }
    let promised =
        ["ApprovalWaitsLong", "BudgetRefused", "Down", "JiraUnreachable", "OutboxParked", "StoreFails"];
    assert!(promised.iter().all(|it| names.contains(it)), "{names:?}");
}
