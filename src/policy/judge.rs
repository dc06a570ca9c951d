//! PURE: whether a person's move of a ticket counts, by `[approval]` and what is known of the person.

use serde::{Deserialize, Serialize};

use super::template::is_template;
use crate::text::beginning;

/// The longest part of an entry that a message quotes, in characters.
const LONGEST_ENTRY: usize = 100;
/// How many entries a message names, if one of them came out empty.
const MOST_ENTRIES: usize = 2;

/// A Jira user who moved a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `accountId` on Cloud, `name` on Data Center.
    pub id: String,
    /// The display name at that time.
    pub name: String,
    /// Whether it is an app, an automation, or another account that Jira does not mark as a person's.
    pub app: bool,
}

/// Whether a person's move counts, as far as known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// It does.
    Accepted,
    /// It does not.
    NotAccepted {
        /// One line for ticket and page.
        why: String,
    },
    /// No move decided, so there is no author to judge.
    #[serde(rename = "not_judged")]
    NoDecision,
    /// Jira could not be asked, or its answer is not conclusive. The gate stays closed, but the author is not refused.
    Unknown {
        /// One line for ticket and page.
        why: String,
    },
}

/// Whether one entry of `approvers` or `deny` names the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryMatch {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// That is not known, and why; if the configuration is the cause, with the key to edit.
    Unknown(String),
}

/// What an entry of `approvers` or `deny` says, without spaces around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonEntry<'a> {
    /// Empty, such as a template with no value from Flagger.
    Nothing,
    /// An account: by id, e-mail or user name.
    Account(&'a str),
    /// `group:NAME`
    Group(&'a str),
    /// `role:NAME`, in the project of the ticket.
    Role(&'a str),
}

impl<'a> PersonEntry<'a> {
    /// Whether it names neither an account nor a group or role.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::Nothing
    }

    /// Reads an entry.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let text = text.trim();
        let entry = match text.split_once(':') {
            Some(("group", name)) => Self::Group(name.trim()),
            Some(("role", name)) => Self::Role(name.trim()),
            Some(_) | None => Self::Account(text),
        };
        match entry {
            Self::Account("") | Self::Group("") | Self::Role("") | Self::Nothing => Self::Nothing,
            Self::Account(_) | Self::Group(_) | Self::Role(_) => entry,
        }
    }
}

/// Whether the person's move counts. Each entry is given as rendered, with whether it names the person; `own_account`
/// says that the person is the bridge itself.
///
/// `deny` wins over `approvers`. The bridge's own account and apps count only if an entry of `approvers` names the
/// account itself, not a group or a role.
#[must_use]
pub fn judge(
    person: &Person,
    own_account: bool,
    approvers: &[(String, EntryMatch)],
    deny: &[(String, EntryMatch)],
) -> Author {
    let who = &person.name;
    let not = |why: String| Author::NotAccepted { why };
    if deny.iter().any(|(entry, _)| PersonEntry::read(entry).is_empty()) {
        return empty_denial("approval.deny", &[]);
    }
    if person.id.is_empty() {
        return not("Jira does not say who it was".into());
    }
    if let Some((entry, _)) = deny.iter().find(|(_, names)| *names == EntryMatch::Yes) {
        return not(format!("{who} is ruled out by {} in approval.deny", quote_entry(entry)));
    }
    if let Some(why) = unknown(deny) {
        return Author::Unknown { why: format!("the bridge cannot tell whether {who} is ruled out: {why}") };
    }
    if own_account || person.app {
        // A group or a role may include such an account by accident.
        let listed = approvers.iter().any(|(entry, names)| {
            *names == EntryMatch::Yes && matches!(PersonEntry::read(entry), PersonEntry::Account(_))
        });
        let what = if own_account {
            "the bridge's own account"
        } else {
            "an app, or not a person according to Jira"
        };
        return if listed {
            Author::Accepted
        } else {
            not(format!("{who} is {what}, which counts only if approval.approvers lists it"))
        };
    }
    if approvers.is_empty() {
        return Author::Accepted;
    }
    if approvers.iter().any(|(_, names)| *names == EntryMatch::Yes) {
        return Author::Accepted;
    }
    match unknown(approvers) {
        Some(why) => {
            Author::Unknown { why: format!("the bridge cannot tell whether {who} is an approver: {why}") }
        }
        None => not(format!("{who} is not among the approvers of this gate")),
    }
}

/// Why a decision is judged again.
pub const DENY_LIST_GREW: &str = "approval.deny rules out other people now, so the decision is judged again";

/// No move counts at this gate: one of the entries of `deny`, the setting `key`, came out empty for a question. If
/// several entries are templates, it is not known which one.
#[must_use]
pub fn empty_denial(key: &str, deny: &[String]) -> Author {
    let mut templates: Vec<String> =
        deny.iter().filter(|entry| is_template(entry)).map(|entry| quote_entry(entry)).collect();
    if templates.len() > MOST_ENTRIES {
        templates.truncate(MOST_ENTRIES);
        templates.push("…".into());
    }
    let which = if templates.is_empty() { String::new() } else { format!(" ({})", templates.join(" or ")) };
    Author::NotAccepted {
        why: format!(
            "an entry of {key} was empty at a question of this rollout{which}, so this gate stays closed for this rollout; \
             correct the metadata that its hook sends, and roll out again"
        ),
    }
}

/// No move counts: the questions of a rollout ruled out more than `most` accounts.
#[must_use]
pub fn too_many_denials(most: usize) -> Author {
    Author::NotAccepted {
        why: format!(
            "the questions of this rollout ruled out more than {most} different accounts by approval.deny, so this gate stays closed \
             for this rollout; find out what sends another name with each question, and roll out again"
        ),
    }
}

fn unknown(entries: &[(String, EntryMatch)]) -> Option<&str> {
    entries.iter().find_map(|(_, names)| match names {
        EntryMatch::Unknown(why) => Some(why.as_str()),
        EntryMatch::Yes | EntryMatch::No => None,
    })
}

/// An entry as a message quotes it, on one line: it may contain external text.
#[must_use]
pub fn quote_entry(entry: &str) -> String {
    match beginning(entry, LONGEST_ENTRY) {
        Some(kept) => format!("{:?}", format!("{kept}…")),
        None => format!("{entry:?}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mia() -> Person {
        Person { id: "5b1".into(), name: "Mia Change".into(), app: false }
    }

    fn robot() -> Person {
        Person { id: "557:1".into(), name: "Automation".into(), app: true }
    }

    fn list(entries: &[(&str, EntryMatch)]) -> Vec<(String, EntryMatch)> {
        entries.iter().map(|(entry, names)| ((*entry).to_owned(), names.clone())).collect()
    }

    #[test]
    fn entries_are_read() {
        for (text, entry) in [
            (" mia ", PersonEntry::Account("mia")),
            ("557058:f5-d0", PersonEntry::Account("557058:f5-d0")),
            ("group: change board ", PersonEntry::Group("change board")),
            ("role:Approvers", PersonEntry::Role("Approvers")),
            ("", PersonEntry::Nothing),
            (" \t", PersonEntry::Nothing),
            ("group: ", PersonEntry::Nothing),
            ("role:", PersonEntry::Nothing),
        ] {
            assert_eq!(PersonEntry::read(text), entry, "{text:?}");
        }
    }

    /// Person, own account, approvers, deny.
    type Case<'a> = (Person, bool, &'a [(&'a str, EntryMatch)], &'a [(&'a str, EntryMatch)]);

    #[test]
    fn every_rule_in_its_order() {
        use EntryMatch::{No, Yes};
        let down = || EntryMatch::Unknown("Jira is down".into());
        let nobody = Person { id: String::new(), name: "somebody".into(), app: true };
        let (none, cab) = (&[][..], "group:cab");
        let words = |(person, own, approvers, deny): &Case<'_>| match judge(
            person,
            *own,
            &list(approvers),
            &list(deny),
        ) {
            Author::Accepted => "accepted".to_owned(),
            Author::NotAccepted { why } => format!("not accepted: {why}"),
            Author::NoDecision => "not judged".to_owned(),
            Author::Unknown { why } => format!("unknown: {why}"),
        };
        let cases: [Case<'_>; 16] = [
            (mia(), false, none, none),
            (robot(), false, none, none),
            (mia(), true, none, none),
            (nobody, false, &[("5b1", Yes)], none),
            (mia(), false, &[("bob", No), (cab, Yes)], none),
            (robot(), false, &[("557:1", Yes)], none),
            (mia(), true, &[(cab, Yes)], none),
            (mia(), false, &[("bob", No), (cab, No)], none),
            (mia(), false, &[(cab, down()), ("mia", Yes)], none),
            (mia(), false, &[("bob", No), (cab, down())], none),
            (mia(), false, none, &[("bob", No)]),
            (mia(), false, &[("mia", Yes)], &[("mia", Yes)]),
            (mia(), false, &[("mia", Yes)], &[(cab, down())]),
            (mia(), false, &[("bob", No)], &[(cab, down()), ("mia", Yes)]),
            (mia(), false, &[("mia", Yes)], &[("bob", No), (" ", No)]),
            (mia(), false, none, &[("mia", Yes), ("group:", down())]),
        ];
        let told: Vec<String> = cases.iter().map(words).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        accepted
        not accepted: Automation is an app, or not a person according to Jira, which counts only if approval.approvers lists it
        not accepted: Mia Change is the bridge's own account, which counts only if approval.approvers lists it
        not accepted: Jira does not say who it was
        accepted
        accepted
        not accepted: Mia Change is the bridge's own account, which counts only if approval.approvers lists it
        not accepted: Mia Change is not among the approvers of this gate
        accepted
        unknown: the bridge cannot tell whether Mia Change is an approver: Jira is down
        accepted
        not accepted: Mia Change is ruled out by "mia" in approval.deny
        unknown: the bridge cannot tell whether Mia Change is ruled out: Jira is down
        not accepted: Mia Change is ruled out by "mia" in approval.deny
        not accepted: an entry of approval.deny was empty at a question of this rollout, so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again
        not accepted: an entry of approval.deny was empty at a question of this rollout, so this gate stays closed for this rollout; correct the metadata that its hook sends, and roll out again
        "#);
    }

    #[test]
    fn what_came_out_empty_is_named() {
        let which = |deny: &[&str]| {
            let deny: Vec<String> = deny.iter().map(|&entry| entry.to_owned()).collect();
            let Author::NotAccepted { why } = empty_denial("routes[0].approval.deny", &deny) else {
                panic!()
            };
            let (start, _) = why.split_once(", so this gate stays closed").unwrap();
            start.strip_prefix("an entry of routes[0].approval.deny was empty at ").unwrap().to_owned()
        };
        let (author, pusher) = ("{{ metadata.author }}", "role:{% if metadata.x %}y{% endif %}");
        for (deny, told) in [
            (&["group:cab"][..], "a question of this rollout"),
            (&["group:cab", author], r#"a question of this rollout ("{{ metadata.author }}")"#),
            (
                &[author, pusher],
                r#"a question of this rollout ("{{ metadata.author }}" or "role:{% if metadata.x %}y{% endif %}")"#,
            ),
            (
                &[pusher, author, "{{ x }}"],
                r#"a question of this rollout ("role:{% if metadata.x %}y{% endif %}" or "{{ metadata.author }}" or …)"#,
            ),
        ] {
            assert_eq!(which(deny), told);
        }
    }

    #[test]
    fn entries_are_quoted_on_one_line() {
        assert_eq!(quote_entry("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(quote_entry(&"ä".repeat(101)), format!("\"{}…\"", "ä".repeat(100)));
    }

    fn names() -> impl Strategy<Value = EntryMatch> {
        prop_oneof![Just(EntryMatch::Yes), Just(EntryMatch::No), Just(EntryMatch::Unknown("why".into()))]
    }

    fn entries() -> impl Strategy<Value = Vec<(String, EntryMatch)>> {
        proptest::collection::vec(("(|mia|bob|group:|group:cab|role:x)", names()), 0..4)
    }

    proptest! {
        #[test]
        fn no_move_is_accepted_against_a_rule(
            app: bool, own: bool, approvers in entries(), deny in entries(),
        ) {
            let person = Person { app, ..mia() };
            let judged = judge(&person, own, &approvers, &deny);
            if judged == Author::Accepted {
                let rules_out = |(entry, names): &(String, EntryMatch)| {
                    *names != EntryMatch::No || PersonEntry::read(entry).is_empty()
                };
                prop_assert!(!deny.iter().any(rules_out));
                let yes = |(_, names): &&(String, EntryMatch)| *names == EntryMatch::Yes;
                let account = |(entry, _): &(String, EntryMatch)| matches!(PersonEntry::read(entry), PersonEntry::Account(_));
                let machine = app || own;
                prop_assert!(approvers.iter().filter(yes).any(|entry| !machine || account(entry))
                    || approvers.is_empty() && !machine);
            }
            // A listed person who is not ruled out is accepted, whatever is unknown about the other approvers.
            if deny.is_empty() && !app && !own && approvers.iter().any(|(_, names)| *names == EntryMatch::Yes) {
                prop_assert_eq!(&judged, &Author::Accepted);
            }
            // A person is refused only for a known reason.
            if matches!(judged, Author::NotAccepted { .. }) && !app && !own {
                let ruled_out = deny.iter().any(|(entry, names)| {
                    *names == EntryMatch::Yes || PersonEntry::read(entry).is_empty()
                });
                let known = approvers.iter().all(|(_, names)| *names == EntryMatch::No);
                prop_assert!(ruled_out || known && !approvers.is_empty());
            }
        }

        #[test]
        fn the_order_of_entries_changes_nothing(approvers in entries(), deny in entries()) {
            let turned = |list: &[(String, EntryMatch)]| list.iter().rev().cloned().collect::<Vec<_>>();
            let one = judge(&mia(), false, &approvers, &deny);
            let other = judge(&mia(), false, &turned(&approvers), &turned(&deny));
            prop_assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&other));
        }
    }
}
