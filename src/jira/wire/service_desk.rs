//! PURE: what Jira Service Management answers about requests and service desks.

use serde::Deserialize;
use serde_json::Value;

use super::basics::{User, id};
use crate::{
    gate::{DeskApproval, DeskDecision},
    jira::account::Account,
    millis::Millis,
    policy::Person,
    text,
};

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct DeskPage {
    pub(in crate::jira) values: Option<Vec<Value>>,
    pub(in crate::jira) is_last_page: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Date {
    epoch_millis: Option<i64>,
}

impl Date {
    fn at(self) -> Option<Millis> {
        self.epoch_millis.map(Millis)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Approver {
    approver: Option<User>,
    approver_decision: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct Approval {
    #[serde(deserialize_with = "id")]
    id: String,
    name: Option<String>,
    final_decision: Option<String>,
    approvers: Option<Vec<Approver>>,
    created_date: Option<Date>,
    completed_date: Option<Date>,
}

fn decision(word: Option<&str>) -> Option<DeskDecision> {
    match word? {
        "approved" => Some(DeskDecision::Approved),
        "declined" => Some(DeskDecision::Declined),
        "pending" => Some(DeskDecision::Pending),
        _ => None,
    }
}

impl Approval {
    /// What it says. The type of an account is not in it: each person counts as none until that was looked up.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(in crate::jira) fn read(self) -> Result<DeskApproval, &'static str> {
        let final_decision =
            decision(self.final_decision.as_deref()).ok_or("an approval without its decision")?;
        let created = self.created_date.and_then(Date::at).ok_or("an approval without its date")?;
        let mut approvers = vec![];
        for Approver { approver, approver_decision } in
            self.approvers.ok_or("an approval without its approvers")?
        {
            let answer = decision(approver_decision.as_deref()).ok_or("an approver without a decision")?;
            let account = approver.and_then(User::account);
            let Account { id, name, .. } = account.ok_or("an approver without an account")?;
            approvers.push((Person { id, name: text::single_line(&name), app: true }, answer));
        }
        Ok(DeskApproval {
            id: self.id,
            name: text::single_line(&self.name.unwrap_or_default()),
            decision: final_decision,
            created,
            completed: self.completed_date.and_then(Date::at),
            approvers,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct ServiceDesk {
    #[serde(deserialize_with = "id")]
    pub(in crate::jira) id: String,
    pub(in crate::jira) project_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct RequestType {
    #[serde(default)]
    pub(in crate::jira) name: String,
    #[serde(deserialize_with = "id")]
    pub(in crate::jira) issue_type_id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn approval() -> Value {
        json!({
            "id": "7", "name": "Change\nadvisory", "finalDecision": "approved", "canAnswerApproval": false,
            "approvers": [
                { "approver": { "accountId": "5b10", "displayName": "Mia" }, "approverDecision": "approved" },
                { "approver": { "name": "bob", "key": "bob", "displayName": "Bob" }, "approverDecision": "pending" },
            ],
            "createdDate": { "epochMillis": 1000, "iso8601": "x" }, "completedDate": { "epochMillis": 2000 },
        })
    }

    #[test]
    fn an_approval_says_everything_or_is_not_read() {
        let read = |value: Value| {
            serde_json::from_value::<Approval>(value).map_err(|_| "json").and_then(Approval::read)
        };
        let found = read(approval()).unwrap();
        assert_eq!((found.created, found.completed), (Millis(1000), Some(Millis(2000))));
        assert_eq!(found.name, "Change advisory");
        let people: Vec<_> = found.approvers.iter().map(|(person, _)| person.id.as_str()).collect();
        assert_eq!(people, ["5b10", "bob"]);
        for (at, value, what) in [
            ("/finalDecision", json!("maybe"), "an approval without its decision"),
            ("/finalDecision", json!(null), "an approval without its decision"),
            ("/createdDate", json!(null), "an approval without its date"),
            ("/approvers", json!(null), "an approval without its approvers"),
            ("/approvers/0/approverDecision", json!("yes"), "an approver without a decision"),
            ("/approvers/0/approver", json!({}), "an approver without an account"),
            ("/id", json!(null), "json"),
        ] {
            let mut other = approval();
            *other.pointer_mut(at).unwrap() = value;
            assert_eq!(read(other).unwrap_err(), what, "{at}");
        }
    }
}
