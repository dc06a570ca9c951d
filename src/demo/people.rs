//! The people in the demo's Jira, with groups and roles to try approvers and `deny` with.

use fake_jira::{AUTOMATION, Account, BOB, BRIDGE, FakeJira, MIA, Person};

use crate::jira::Kind;

/// The group of those who may approve.
pub(super) const APPROVERS: &str = "change-managers";
/// Bob's e-mail: a developer, who may not approve.
pub(super) const BOB_EMAIL: &str = "bob@example.com";
/// Ada's e-mail: she may approve, but not what she wrote.
pub(super) const ADA_EMAIL: &str = "ada@example.com";
/// Ada's account id.
const ADA: &str = "5b10ac8d82e05b22cc7d4e03";

/// Adds the people and their groups.
pub(super) fn settle(jira: &FakeJira) {
    for (id, name, display) in
        [(MIA, "mia", "Mia Change"), (BOB, "bob", "Bob Builder"), (ADA, "ada", "Ada Lovelace")]
    {
        // Otherwise Jira Cloud could not tell the bridge whose e-mail it is.
        jira.add_user(Person { shows_email: true, ..Person::new(id, name, display) });
    }
    jira.add_group("jira-users", &[MIA, BOB, ADA, BRIDGE]);
    jira.add_group(APPROVERS, &[MIA, ADA]);
    jira.add_group("developers", &[BOB, ADA]);
}

/// A table of the people: how approvers and `deny` can name each of them, and which groups and roles they have in a
/// project.
pub(super) fn table(jira: &FakeJira, kind: Kind, project: &str) -> String {
    let id_heading = match kind {
        Kind::Cloud => "account id",
        Kind::DataCenter => "user name",
    };
    let headings = ["name", id_heading, "e-mail", "groups", &format!("roles in {project}")];
    let mut rows = vec![headings.map(str::to_owned)];
    for Account { person, groups, roles } in jira.accounts(project) {
        if person.account_id == BRIDGE || person.account_id == AUTOMATION {
            continue;
        }
        let id = match kind {
            Kind::Cloud => person.account_id,
            Kind::DataCenter => person.name,
        };
        rows.push([person.display, id, person.email, groups.join(", "), roles.join(", ")]);
    }
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        table.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
    }
    table
}

#[cfg(test)]
mod tests {
    use fake_jira::{Flavour, Setup};

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn everybody_is_listed() {
        let table = |flavour, kind| {
            let jira = FakeJira::new(Setup::new(flavour, Clock::System));
            settle(&jira);
            table(&jira, kind, "OPS")
        };
        insta::assert_snapshot!(table(Flavour::Cloud, Kind::Cloud), @r"
        name          account id                e-mail           groups                                   roles in OPS
        Mia Change    5b10ac8d82e05b22cc7d4e01  mia@example.com  jira-users, change-managers              Administrators, Developers
        Bob Builder   5b10ac8d82e05b22cc7d4e02  bob@example.com  jira-users, developers                   Developers
        Ada Lovelace  5b10ac8d82e05b22cc7d4e03  ada@example.com  jira-users, change-managers, developers  Developers
        ");
        insta::assert_snapshot!(table(Flavour::DataCenter, Kind::DataCenter), @r"
        name          user name  e-mail           groups                                   roles in OPS
        Mia Change    mia        mia@example.com  jira-users, change-managers              Administrators, Developers
        Bob Builder   bob        bob@example.com  jira-users, developers                   Developers
        Ada Lovelace  ada        ada@example.com  jira-users, change-managers, developers  Developers
        ");
    }
}
