//! Whether the hooks of a Canary ask the bridge, and what is wrong with them. No I/O.

#[cfg(test)]
mod tests;

use reqwest::Url;
use serde_json::Value;

use crate::{config::Flagger, text::one_line, workload::ROLLBACK_PATHS};

/// A hook of a Canary that calls the bridge.
struct Hook<'a> {
    name: &'a str,
    kind: Option<&'a str>,
    path: String,
    url: Url,
    metadata: &'a Value,
}

/// The path of each hook, and the type that it needs.
const HOOKS: [(&str, &str); 7] = [
    ("/gate/confirm-rollout", "confirm-rollout"),
    ("/gate/confirm-traffic-increase", "confirm-traffic-increase"),
    ("/gate/confirm-promotion", "confirm-promotion"),
    (ROLLBACK_PATHS[0], "rollback"),
    (ROLLBACK_PATHS[1], "rollback"),
    ("/event", "event"),
    ("/post-rollout", "post-rollout"),
];
/// The load tester's path, for any question.
const ANY_QUESTION: &str = "/gate/check";

/// What the hooks of a Canary do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// None of them calls the bridge, and `flagger.namespaces` does not have its namespace: it is not for this bridge.
    Elsewhere,
    /// None of them asks the bridge.
    AskNobody(Silence),
    /// They ask, and this is wrong with them: one sentence each, without a full stop.
    Ask(Vec<String>),
}

/// Why a Canary asks nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// No hook calls the bridge.
    NoHook,
    /// They report, or ask whether to roll back.
    ReportsOnly,
    /// Flagger skips them.
    SkipAnalysis,
}

impl Silence {
    /// The same in a few words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoHook => "no hook calls this bridge",
            Self::ReportsOnly => "no hook asks for an approval",
            Self::SkipAnalysis => "skipAnalysis is set, so Flagger skips its hooks",
        }
    }
}

/// What the hooks of a Canary of this cluster do.
#[must_use]
pub fn hooks(canary: &Value, cluster: &str, flagger: &Flagger) -> Hooks {
    let spec = &canary["spec"];
    let analysis = if spec["analysis"].is_object() { &spec["analysis"] } else { &spec["canaryAnalysis"] };
    let all: Vec<&Value> = analysis["webhooks"].as_array().into_iter().flatten().collect();
    let mut problems: Vec<String> = all.iter().filter_map(|hook| unreadable_url(hook)).collect();
    let ours: Vec<Hook<'_>> = all.iter().filter_map(|hook| ours(hook)).collect();
    let namespace = canary["metadata"]["namespace"].as_str().unwrap_or_default();
    let is_served = flagger.namespaces.is_match(namespace);
    if ours.is_empty() && problems.is_empty() {
        return if is_served { Hooks::AskNobody(Silence::NoHook) } else { Hooks::Elsewhere };
    }
    let is_called =
        |hook: &&Hook<'_>| has_weights(spec, analysis) || hook.kind != Some("confirm-traffic-increase");
    if !ours.iter().filter(is_called).any(Hook::asks) && problems.is_empty() {
        return Hooks::AskNobody(Silence::ReportsOnly);
    }
    if spec["skipAnalysis"].as_bool() == Some(true) {
        // Flagger asks at confirm-rollout before it looks at this.
        let starts = |hook: &&Hook<'_>| hook.asks() && hook.kind == Some("confirm-rollout");
        match ours.iter().find(starts) {
            None => return Hooks::AskNobody(Silence::SkipAnalysis),
            Some(_) if ours.iter().any(|hook| hook.asks() && hook.kind != Some("confirm-rollout")) => {
                problems.push("skipAnalysis is set, so Flagger asks only at confirm-rollout".into());
            }
            Some(_) => {}
        }
    }
    if !is_served {
        problems.push(format!(
            "flagger.namespaces does not have {}, so its questions are refused",
            one_line(namespace, 100)
        ));
    }
    problems.extend(ours.iter().flat_map(|hook| hook.problems(cluster, flagger)));
    let has = |kind: &str| ours.iter().any(|hook| hook.kind == Some(kind));
    let waits_later = has("confirm-traffic-increase") || has("confirm-promotion");
    if waits_later && !has("rollback") {
        problems.push("it has no rollback hook, so a rejection rolls nothing back".into());
    }
    for (kind, why) in [
        ("post-rollout", "the end of a rollout is seen late"),
        ("event", "tickets do not show what Flagger reports"),
    ] {
        if !has(kind) {
            problems.push(format!("it has no {kind} hook, so {why}"));
        }
    }
    Hooks::Ask(problems)
}

fn text<'a>(hook: &'a Value, key: &str) -> Option<&'a str> {
    hook[key].as_str().filter(|text| !text.is_empty())
}

/// A URL with a token in it that cannot be in a URL.
fn unreadable_url(hook: &Value) -> Option<String> {
    let url = text(hook, "url")?;
    let is_ours = HOOKS.iter().any(|(path, _)| url.contains(path)) || url.contains(ANY_QUESTION);
    let is_unreadable =
        Url::parse(url).map_or(true, |parsed| !parsed.path().starts_with('/') || has_lost_token(&parsed));
    (is_ours && is_unreadable).then(|| {
        format!(
            "the url of hook {} cannot be read; a token with / # ? % or @ in it has to be sent as metadata.token",
            hook_name(hook)
        )
    })
}

/// Whether a token seems to have become host and path: `http://any:a/b@host/gate/…`
fn has_lost_token(url: &Url) -> bool {
    url.path().contains('@') || url.fragment().is_some_and(|rest| rest.contains('@'))
}

fn hook_name(hook: &Value) -> String {
    one_line(text(hook, "name").unwrap_or("without a name"), 100)
}

fn ours(hook: &Value) -> Option<Hook<'_>> {
    let url = Url::parse(text(hook, "url")?).ok()?;
    let path = url.path().trim_end_matches('/').to_owned();
    let kind = text(hook, "type");
    let is_ours = path.starts_with("/gate/")
        || HOOKS.iter().any(|(own, needs)| *own == path && kind.is_none_or(|kind| kind == *needs));
    let name = text(hook, "name").unwrap_or("without a name");
    is_ours.then(|| Hook { name, kind, path, url, metadata: &hook["metadata"] })
}

impl Hook<'_> {
    /// Whether it asks, and does not only report.
    fn asks(&self) -> bool {
        // Flagger ignores the answers to the others.
        let waits = !matches!(self.kind, Some("event" | "post-rollout" | "rollback"));
        waits && self.path.starts_with("/gate/") && self.path != "/gate/rollback"
    }

    fn problems(&self, cluster: &str, flagger: &Flagger) -> Vec<String> {
        let name = one_line(self.name, 100);
        let mut problems = Vec::new();
        match (HOOKS.iter().find(|(path, _)| *path == self.path), self.kind) {
            (Some((_, needs)), None) => problems.push(format!(
                "hook {name} has no type, so Flagger calls it at each check, to which a 403 is a failed check; set type: {needs}"
            )),
            (Some((path, needs)), Some(kind)) if kind != *needs => {
                problems.push(format!("hook {name} of type {} asks at {path}; set type: {needs}", one_line(kind, 50)));
            }
            (Some(_), Some(_)) => {}
            (None, _) if self.path == ANY_QUESTION => {}
            (None, _) => problems.push(format!("hook {name} asks at {}, which the bridge does not have", one_line(&self.path, 100))),
        }
        let query =
            self.url.query_pairs().find(|(key, _)| key == "cluster").map(|(_, value)| value.into_owned());
        let named = query.or_else(|| self.metadata["cluster"].as_str().map(str::to_owned));
        if let Some(named) = named.filter(|named| named != cluster) {
            problems
                .push(format!("hook {name} names cluster {}, and this is {cluster}", one_line(&named, 100)));
        }
        let needs_token = flagger.all_tokens().next().is_some();
        let has_token = self.url.password().is_some()
            || !self.url.username().is_empty()
            || self.metadata["token"].as_str().is_some();
        if needs_token && !has_token {
            problems.push(format!("hook {name} sends no token, so it is refused"));
        }
        problems
    }
}

/// Whether Flagger shifts traffic by weight: only then it asks at confirm-traffic-increase.
fn has_weights(spec: &Value, analysis: &Value) -> bool {
    let is_set = |name: &str| !analysis[name].is_null() && analysis[name] != 0;
    spec["provider"] != "kubernetes"
        && !is_set("iterations")
        && analysis["match"].as_array().is_none_or(Vec::is_empty)
}
