//! PURE: what is asked of Jira, in words.

/// What a kind of request does, for people; its name is for metrics.
pub(super) fn doing(operation: &'static str) -> &'static str {
    match operation {
        "changelog" => "reading a ticket's history",
        "comment" => "writing a comment",
        "comments" => "reading a ticket's comments",
        "create" => "creating a ticket",
        "create_fields" => "reading the create screen",
        "create_types" => "reading which issue types can be created",
        "groups" => "reading a person's groups",
        "groups_called" => "looking for a group",
        "issue" => "reading a ticket",
        "label" => "setting a label",
        "link" => "linking two tickets",
        "link_types" => "reading which links there are",
        "look" => "reading the tickets that wait",
        "myself" => "the question who the bridge is",
        "people" => "looking for a person",
        "permissions" => "reading the bridge's permissions",
        "project" => "reading the project",
        "projects" => "looking for projects",
        "role" => "reading a project role",
        "search" => "looking for a ticket",
        "server_info" => "the question which Jira it is",
        "statuses" => "reading the project's statuses",
        "transition" => "moving a ticket",
        "transitions" => "reading where a ticket can be moved",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of request has words.
    #[test]
    fn what_is_done_can_be_said() {
        let sources = [
            include_str!("issues.rs"),
            include_str!("endings.rs"),
            include_str!("people.rs"),
            include_str!("send.rs"),
            include_str!("setup.rs"),
            include_str!("survey.rs"),
        ];
        let all = sources.concat();
        let mut names: Vec<&'static str> = Vec::new();
        for rest in all.split("Request::new(").skip(1) {
            let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            names.extend(name.map(|name| -> &'static str { name.to_owned().leak() }));
        }
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert_ne!(doing(name), name);
        }
    }
}
