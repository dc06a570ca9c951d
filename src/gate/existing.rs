//! PURE: whether an issue that exists already may become the ticket of a gate.

use std::fmt;

use super::{name::GateId, ticket::Home};
use crate::policy::{Meaning, Status, Statuses};

/// The longest key that Jira gives an issue, in characters: ten of the project, as Cloud allows, are not the limit on Data
/// Center.
const LONGEST_KEY: usize = 255;

/// The issue key that this text is, if it is one: `CHG-7`. It is part of the path of a request, so nothing else may pass.
#[must_use]
pub fn issue_key(text: &str) -> Option<&str> {
    let (project, number) = text.split_once('-')?;
    let mut letters = project.bytes();
    let is_project = letters.next().is_some_and(|first| first.is_ascii_uppercase())
        && letters.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let is_number =
        number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty() && !number.starts_with('0');
    (is_project && is_number && text.len() <= LONGEST_KEY).then_some(text)
}

/// An issue that a question names, as Jira shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedIssue {
    /// Jira's id of it.
    pub id: String,
    /// Its key today.
    pub key: String,
    /// Where it is.
    pub home: Home,
    /// The name of its issue type.
    pub type_name: String,
    /// Its status.
    pub status: Status,
    /// Whether Jira counts its status as done.
    pub is_done: bool,
    /// Whether it has the label of tickets whose rollout has ended.
    pub ended: bool,
    /// The gates that its property or its labels name.
    pub marks: Vec<GateId>,
}

/// The ticket that a gate wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The gate.
    pub gate: &'a GateId,
    /// The name under which the question gives the key, such as `metadata.change`.
    pub from: &'a str,
    /// The project and issue type of the gate's tickets.
    pub home: &'a Home,
    /// The name of that issue type.
    pub type_name: &'a str,
    /// What the statuses of that workflow mean.
    pub statuses: &'a Statuses,
}

/// Why a gate cannot have the ticket that the question names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// What was sent is no issue key.
    NotAKey {
        /// Under which name.
        from: String,
        /// What was sent: external text.
        sent: String,
    },
    /// Jira does not show it.
    NotShown {
        /// Under which name its key was sent.
        from: String,
        /// Its key.
        key: String,
    },
    /// It is in another project.
    OtherProject {
        /// The key that was sent.
        sent: String,
        /// Its key today.
        key: String,
        /// The project that the gate's tickets are in.
        wanted: String,
    },
    /// It is of another issue type.
    OtherType {
        /// Its key.
        key: String,
        /// Its type.
        is: String,
        /// The type of the gate's tickets.
        wanted: String,
    },
    /// It is, or was, the ticket of another gate, as far as the bridge stored.
    Taken {
        /// Its key.
        key: String,
    },
    /// Its property or a label names another gate.
    Marked {
        /// Its key.
        key: String,
        /// That gate.
        gate: GateId,
    },
    /// It has the label `flagger-ended`.
    Ended {
        /// Its key.
        key: String,
    },
    /// It was decided before the bridge had it.
    Decided {
        /// Its key.
        key: String,
        /// Its status.
        status: String,
        /// Whether that means approved, rejected, or only closed.
        as_what: AlreadyDecided,
    },
    /// The bridge may not edit it.
    NotEditable {
        /// Its key.
        key: String,
        /// Jira's words.
        why: String,
    },
    /// The bridge may not comment on it.
    NotCommentable {
        /// Its key.
        key: String,
        /// Jira's words.
        why: String,
    },
    /// Jira took the bridge's mark, and does not show it.
    MarkLost {
        /// Its key.
        key: String,
    },
}

/// What the status of an issue means before the bridge has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlreadyDecided {
    /// Approved.
    Approved,
    /// Rejected.
    Rejected,
    /// Neither; but Jira counts it as done.
    Closed,
}

impl NamedIssue {
    /// Why the gate cannot have this issue as its ticket, if so. `sent` is the key that the question names; `is_taken` is
    /// whether the bridge stored it as another gate's.
    #[must_use]
    pub fn unusable(&self, sent: &str, is_taken: bool, wanted: Wanted<'_>) -> Option<Unusable> {
        let key = || self.key.clone();
        if self.home.project != wanted.home.project {
            let (sent, wanted) = (sent.to_owned(), wanted.home.project.clone());
            return Some(Unusable::OtherProject { sent, key: key(), wanted });
        }
        if self.home.issue_type != wanted.home.issue_type {
            let (is, wanted) = (self.type_name.clone(), wanted.type_name.to_owned());
            return Some(Unusable::OtherType { key: key(), is, wanted });
        }
        if is_taken {
            return Some(Unusable::Taken { key: key() });
        }
        if let Some(gate) = self.marks.iter().find(|mark| *mark != wanted.gate) {
            return Some(Unusable::Marked { key: key(), gate: gate.clone() });
        }
        if self.ended {
            return Some(Unusable::Ended { key: key() });
        }
        let as_what = match wanted.statuses.meaning(&self.status.id) {
            Meaning::Approved => AlreadyDecided::Approved,
            Meaning::Rejected => AlreadyDecided::Rejected,
            Meaning::Waiting if self.is_done => AlreadyDecided::Closed,
            Meaning::Waiting => return None,
        };
        Some(Unusable::Decided { key: key(), status: self.status.name.clone(), as_what })
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKey { from, sent } => write!(
                f,
                "{from} is {sent:?}, which is not the key of a ticket, such as CHG-7; correct it in the hook"
            ),
            Self::NotShown { from, key } => write!(
                f,
                "Jira does not show {key}: it does not exist, or the bridge's account may not see it; correct {from} in the hook, \
                 or have the account granted \"Browse Projects\""
            ),
            Self::OtherProject { sent, key, wanted } if sent == key => {
                write!(
                    f,
                    "{key} is not in {wanted}, and the tickets of this gate have to be; name one of {wanted}"
                )
            }
            Self::OtherProject { sent, key, wanted } => write!(
                f,
                "{sent} was moved and is {key} now, which is not in {wanted}, and the tickets of this gate have to be; name one of \
                 {wanted}"
            ),
            Self::OtherType { key, is, wanted } => write!(
                f,
                "{key} is of the type {is:?}, and the tickets of this gate have to be of the type {wanted:?}; name another, or \
                 change its type"
            ),
            Self::Taken { key } => {
                write!(
                    f,
                    "{key} is or was the ticket of another gate, and each gate needs its own; name another"
                )
            }
            Self::Marked { key, gate } => write!(
                f,
                "{key} is marked as the ticket of another gate by the bridge's property or the label {}; name \
                 another, or, if it is only a clone of that ticket, remove the label",
                gate.label()
            ),
            Self::Ended { key } => write!(
                f,
                "{key} has the label flagger-ended, which closes a ticket to Flagger for good; name another"
            ),
            Self::Decided { key, status, as_what } => {
                let is = match as_what {
                    AlreadyDecided::Approved => "was approved",
                    AlreadyDecided::Rejected => "was rejected",
                    AlreadyDecided::Closed => "was closed",
                };
                write!(
                    f,
                    "{key} {is} (\"{status}\") before the bridge could say on it what an approval does now, so that does not count; move \
                     it back to a status before the decision, wait for the bridge's comment on it, and then decide"
                )
            }
            Self::NotEditable { key, why } => write!(
                f,
                "the bridge may not mark {key} as the ticket of this gate; have its account granted \"Edit Issues\": {why}"
            ),
            Self::NotCommentable { key, why } => write!(
                f,
                "the bridge may not comment on {key}; have its account granted \"Add Comments\": {why}"
            ),
            Self::MarkLost { key } => write!(
                f,
                "Jira does not keep the bridge's property and label on {key}; is a rule or an app removing them?"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_an_issue_key_is_one() {
        for key in ["CHG-7", "A-1", "A1_B-10", "CHG-1234567890"] {
            assert_eq!(issue_key(key), Some(key));
        }
        for other in [
            "",
            "CHG",
            "CHG-",
            "-7",
            "CHG-0",
            "CHG-07",
            "chg-7",
            "CHG-7 ",
            " CHG-7",
            "CHG-7\n",
            "CHG-7/comment",
            "CHG-7?x",
            "1CHG-7",
            "CHG-7-8",
            "CHG--7",
            "CHG-٧",
            "ÄNG-7",
            "../x-7",
            "CHG-7 OR project = PAY",
            "_A-1",
        ] {
            assert_eq!(issue_key(other), None, "{other:?}");
        }
        let long = format!("A-{}", "1".repeat(300));
        assert_eq!(issue_key(&long), None);
    }

    proptest! {
        #[test]
        fn nothing_but_letters_digits_and_one_dash_passes(text in "\\PC{0,20}|[A-Z]{1,3}-[0-9]{1,4}.?") {
            if let Some(key) = issue_key(&text) {
                prop_assert!(key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-'));
                prop_assert_eq!(key.bytes().filter(|b| *b == b'-').count(), 1);
            }
        }
    }

    fn status(id: &str, name: &str) -> Status {
        Status { id: id.into(), name: name.into() }
    }

    fn issue() -> NamedIssue {
        NamedIssue {
            id: "10042".into(),
            key: "CHG-7".into(),
            home: Home { project: "CHG".into(), issue_type: "10004".into() },
            type_name: "Change".into(),
            status: status("1", "To Do"),
            is_done: false,
            ended: false,
            marks: vec![],
        }
    }

    #[test]
    fn every_reason_has_its_words() {
        let home = issue().home;
        let ids = |id: &str| BTreeSet::from([id.to_owned()]);
        let statuses = Statuses { approved: ids("3"), rejected: ids("4"), ..Statuses::default() };
        let gate = GateId("ab".into());
        let wanted = Wanted {
            gate: &gate,
            from: "metadata.change",
            home: &home,
            type_name: "Change",
            statuses: &statuses,
        };
        let other =
            |project: &str, issue_type: &str| Home { project: project.into(), issue_type: issue_type.into() };
        let plain = issue();
        assert_eq!(plain.unusable("CHG-7", false, wanted), None);
        assert_eq!(
            NamedIssue { marks: vec![gate.clone()], ..issue() }.unusable("CHG-7", false, wanted),
            None
        );
        let mut words = String::new();
        for (issue, is_taken) in [
            (NamedIssue { home: other("PAY", "10004"), key: "PAY-3".into(), ..issue() }, false),
            (NamedIssue { home: other("CHG", "10002"), type_name: "Task".into(), ..issue() }, false),
            (issue(), true),
            (NamedIssue { marks: vec![gate.clone(), GateId("cd".into())], ..issue() }, false),
            (NamedIssue { ended: true, ..issue() }, false),
            (NamedIssue { status: status("3", "Approved"), ..issue() }, false),
            (NamedIssue { status: status("4", "Rejected"), ..issue() }, false),
            (NamedIssue { status: status("5", "Done"), is_done: true, ..issue() }, false),
        ] {
            words += &format!("{}\n", issue.unusable("CHG-7", is_taken, wanted).unwrap());
        }
        for other in [
            Unusable::NotAKey { from: "metadata.change".into(), sent: "change 7".into() },
            Unusable::NotShown { from: "metadata.change".into(), key: "CHG-7".into() },
            Unusable::NotEditable { key: "CHG-7".into(), why: "no".into() },
            Unusable::NotCommentable { key: "CHG-7".into(), why: "no".into() },
            Unusable::MarkLost { key: "CHG-7".into() },
        ] {
            words += &format!("{other}\n");
        }
        insta::assert_snapshot!(words, @r#"
            CHG-7 was moved and is PAY-3 now, which is not in CHG, and the tickets of this gate have to be; name one of CHG
            CHG-7 is of the type "Task", and the tickets of this gate have to be of the type "Change"; name another, or change its type
            CHG-7 is or was the ticket of another gate, and each gate needs its own; name another
            CHG-7 is marked as the ticket of another gate by the bridge's property or the label fjb-cd; name another, or, if it is only a clone of that ticket, remove the label
            CHG-7 has the label flagger-ended, which closes a ticket to Flagger for good; name another
            CHG-7 was approved ("Approved") before the bridge could say on it what an approval does now, so that does not count; move it back to a status before the decision, wait for the bridge's comment on it, and then decide
            CHG-7 was rejected ("Rejected") before the bridge could say on it what an approval does now, so that does not count; move it back to a status before the decision, wait for the bridge's comment on it, and then decide
            CHG-7 was closed ("Done") before the bridge could say on it what an approval does now, so that does not count; move it back to a status before the decision, wait for the bridge's comment on it, and then decide
            metadata.change is "change 7", which is not the key of a ticket, such as CHG-7; correct it in the hook
            Jira does not show CHG-7: it does not exist, or the bridge's account may not see it; correct metadata.change in the hook, or have the account granted "Browse Projects"
            the bridge may not mark CHG-7 as the ticket of this gate; have its account granted "Edit Issues": no
            the bridge may not comment on CHG-7; have its account granted "Add Comments": no
            Jira does not keep the bridge's property and label on CHG-7; is a rule or an app removing them?
            "#);
    }
}
