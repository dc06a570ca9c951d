//! PURE: the accounts that the configuration names, as people know them.

use std::collections::BTreeMap;

use super::{doc::Span, sections::text, words::LONGEST_NAME};
use crate::{
    policy::{PersonEntry, quote_entry},
    text::one_line,
};

/// More entries of a list than this are counted, not named.
pub const MOST_NAMED: usize = 20;

/// An account of Jira.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAccount {
    /// `accountId` on Cloud, the user name on Data Center.
    pub id: String,
    /// Its display name.
    pub name: String,
}

/// Accounts by the entry of the configuration that names them: those that Jira was asked for, and knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People(BTreeMap<String, NamedAccount>);

impl People {
    /// Adds the account that an entry names.
    pub fn insert(&mut self, entry: &str, account: NamedAccount) {
        self.0.insert(entry.trim().to_owned(), account);
    }

    /// The account that an entry names, if it is known.
    #[must_use]
    pub fn account(&self, entry: &str) -> Option<&NamedAccount> {
        self.0.get(entry.trim())
    }

    /// Approvers, for people to read: `A, B or members of group "C"`. Accounts that are known are mentioned.
    pub(super) fn mentioned(&self, entries: &[String]) -> Vec<Span> {
        let mention = |account: &NamedAccount| Span::Mention {
            id: account.id.clone(),
            name: one_line(&account.name, LONGEST_NAME),
        };
        self.listed(entries, &mention)
    }

    /// The same without a mention: these people have nothing to do here.
    pub(super) fn named(&self, entries: &[String]) -> Vec<Span> {
        self.listed(entries, &|account| text(&one_line(&account.name, LONGEST_NAME)))
    }

    fn listed(&self, entries: &[String], known: &dyn Fn(&NamedAccount) -> Span) -> Vec<Span> {
        let more = entries.len().saturating_sub(MOST_NAMED);
        let count = entries.len() - more;
        let mut spans = Vec::new();
        for (nth, entry) in entries.iter().take(count).enumerate() {
            match nth {
                0 => {}
                nth if nth + 1 == count && more == 0 => spans.push(text(" or ")),
                _ => spans.push(text(", ")),
            }
            spans.push(match (PersonEntry::read(entry), self.account(entry)) {
                (PersonEntry::Account(_), Some(account)) => known(account),
                (PersonEntry::Account(account), None) => text(&quote_entry(account)),
                (PersonEntry::Nothing, _) => text("nobody"),
                (PersonEntry::Group(group), _) => {
                    text(&format!("members of the group {}", quote_entry(group)))
                }
                (PersonEntry::Role(role), _) => {
                    text(&format!("people with the role {} in this project", quote_entry(role)))
                }
            });
        }
        match more {
            0 => {}
            1 => spans.push(text(" or 1 more entry of the configuration")),
            more => spans.push(text(&format!(" or {more} more entries of the configuration"))),
        }
        spans
    }
}
