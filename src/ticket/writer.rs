//! PURE: templates. Only the configuration is template source; external text is only ever a value.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value, value::ValueKind};

use super::versions;
use crate::{
    policy::PersonEntry,
    rollout::Subject,
    text::one_line,
    workload::{Change, ContainerChange, Image, Shown},
};

/// The longest value that is put into a template, in characters.
pub(super) const LONGEST_VALUE: usize = 500;

/// A template of the configuration cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrenderable {
    /// The key of the template.
    pub key: String,
    /// The error of the template engine.
    pub what: String,
    /// The same without the position in the template.
    pub why: String,
}

/// Renders the templates of one ticket.
pub(super) struct Writer {
    environment: Environment<'static>,
    values: Value,
}

impl Writer {
    pub(super) fn new(subject: &Subject) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let line = |text: &str| one_line(text, LONGEST_VALUE);
        let known = |text: &Option<String>| text.as_deref().map(line).unwrap_or_default();
        let metadata: BTreeMap<String, String> =
            subject.metadata.iter().map(|(name, value)| (name.clone(), line(value))).collect();
        let change = match &subject.change {
            Some(Shown::Change { change, .. }) => Some(change),
            Some(Shown::Unreadable { .. }) | None => None,
        };
        let annotations = change.into_iter().flat_map(|change| &change.annotations);
        let annotations: BTreeMap<String, String> =
            annotations.map(|it| (it.name.clone(), line(&it.value.to_string()))).collect();
        let (action, versions) = (versions::action(subject), versions::versions(subject));
        let weight = subject.analysis.and_then(|analysis| analysis.weight);
        let values = Value::from_pairs([
            ("canary", Value::from(line(&subject.canary.name))),
            ("namespace", Value::from(line(&subject.canary.namespace))),
            ("cluster", Value::from(line(&subject.canary.cluster))),
            ("stage", Value::from(subject.gate.stage.as_str())),
            ("gate", Value::from(subject.gate.approver.clone().unwrap_or_default())),
            ("phase", Value::from(line(&subject.phase))),
            ("base", Value::from(known(&subject.base))),
            ("revision", Value::from(known(&subject.revision))),
            ("label", Value::from(known(&subject.label))),
            ("metadata", Value::from_pairs(metadata)),
            ("images", Value::from(known(&change.map(Change::summary)))),
            (
                "old",
                Value::from(known(&change.map(|it| images(it, |container| container.runs_now.as_ref())))),
            ),
            (
                "new",
                Value::from(known(&change.map(|it| images(it, |container| container.would_run.as_ref())))),
            ),
            ("changes", Value::from(known(&change.map(|change| change.sentences().join("; "))))),
            ("annotations", Value::from_pairs(annotations)),
            ("action", Value::from(action)),
            ("versions", Value::from(line(&versions))),
            ("number", subject.number.map_or_else(|| Value::from(""), Value::from)),
            ("weight", Value::from(weight.map(|weight| weight.to_string()).unwrap_or_default())),
        ]);
        Self { environment, values }
    }

    pub(super) fn text(&self, key: &str, template: &str) -> Result<String, Unrenderable> {
        self.environment.render_str(template, &self.values).map_err(|error| Unrenderable {
            key: key.to_owned(),
            what: one_line(&error.to_string(), LONGEST_VALUE),
            why: one_line(&why(&error), LONGEST_VALUE),
        })
    }

    /// Renders every string in `value` as a template.
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum, and open-ended")]
    pub(super) fn value(&self, key: &str, value: &Value) -> Result<Value, Unrenderable> {
        match value.kind() {
            ValueKind::String => self
                .text(key, value.as_str().unwrap_or_default())
                .map(|text| Value::from(one_line(&text, 32_000))),
            ValueKind::Seq => {
                let items = value.try_iter().into_iter().flatten();
                Ok(Value::from(items.map(|item| self.value(key, &item)).collect::<Result<Vec<_>, _>>()?))
            }
            ValueKind::Map => {
                let names = value.try_iter().into_iter().flatten();
                let entries = names
                    .map(|name| {
                        let inner = value.get_item(&name).unwrap_or_default();
                        Ok((name.to_string(), self.value(key, &inner)?))
                    })
                    .collect::<Result<BTreeMap<_, _>, _>>()?;
                Ok(Value::from_pairs(entries))
            }
            _ => Ok(value.clone()),
        }
    }
}

/// The images of the containers that change.
fn images(change: &Change, image: impl Fn(&ContainerChange) -> Option<&Image>) -> String {
    let changed = change.containers.iter().filter(|container| container.is_changed());
    changed.filter_map(|container| image(container).map(ToString::to_string)).collect::<Vec<_>>().join(", ")
}

fn why(error: &minijinja::Error) -> String {
    match error.detail() {
        None => error.kind().to_string(),
        Some(detail) => format!("{}: {detail}", error.kind()),
    }
}

/// The entries of `approval.deny` for this question. One that cannot be rendered comes out empty, which keeps the gate
/// closed; so does one that only an external value makes a group or a role.
#[must_use]
pub fn denied(subject: &Subject, deny: &[String]) -> Vec<String> {
    let writer = Writer::new(subject);
    let render = |entry: &String| {
        let rendered = one_line(&writer.text("deny", entry).unwrap_or_default(), LONGEST_VALUE);
        let kind = |text: &str| match PersonEntry::read(text) {
            PersonEntry::Nothing | PersonEntry::Account(_) => "",
            PersonEntry::Group(_) => "group",
            PersonEntry::Role(_) => "role",
        };
        if kind(&rendered) == kind(entry) { rendered } else { String::new() }
    };
    deny.iter().map(render).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gate::{GateName, Stage},
        rollout::{CanaryId, Message, Phase},
    };

    fn subject(metadata: &[(&str, &str)]) -> Subject {
        let canary = CanaryId { cluster: "default".into(), namespace: "shop".into(), name: "cart".into() };
        let gate = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
        let message = Message { phase: Phase::Progressing, checksum: None, label: None };
        let metadata = metadata.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Subject::new(canary, gate, &message, metadata)
    }

    #[test]
    fn deny_is_rendered_and_closes_where_it_cannot_be() {
        let entries = |metadata: &[(&str, &str)], deny: &str| {
            denied(&subject(metadata), &[deny.to_owned()]).pop().unwrap()
        };
        let author = |value| [("author", value)];
        for (metadata, deny, rendered) in [
            (&author("mia@example.com\n")[..], "{{ metadata.author }}", "mia@example.com"),
            (&author("shop"), "group:{{ metadata.author }}-{{ namespace }}", "group:shop-shop"),
            (&[], "role:Developers", "role:Developers"),
            (&[], "{{ metadata.author }}", ""),
            (&[], "group:{{ metadata.team }}", ""),
            (&author("0"), "{{ 1 // (metadata.author|int) }}", ""),
            // A value can only be an account name: not a group, a role or a template.
            (&author("group:nobody"), "{{ metadata.author }}", ""),
            (&author(" role:nobody"), "{{ metadata.author }}", ""),
            (&author("{{ canary }}"), "{{ metadata.author }}", "{{ canary }}"),
        ] {
            assert_eq!(entries(metadata, deny), rendered, "{deny}");
        }
    }
}
