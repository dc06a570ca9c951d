//! PURE: words from outside, made harmless: no control characters, no line that is none, no more than asked for.

/// The mark of a text that was longer.
pub(super) const CUT: &str = "… (cut)";

/// Whether a character steers the terminal or the order of reading instead of being read.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text without control characters; newlines and tabs stay.
pub(super) fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !steers(*c)).collect()
}

/// The text on one line: what separates lines becomes a space, other control characters go.
pub(super) fn line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// At most `most` characters of the text, the mark included.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(CUT.chars().count())).collect();
    format!("{}{CUT}", kept.trim_end())
}

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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_and_reading_order_marks_go() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\td\u{202e}e\0\u{2028}f"), "a[31mb\nc\tde\nf");
        assert_eq!(line("a\r\nb\tc\rd"), "a b c d");
    }

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

    #[test]
    fn cutting_counts_characters_and_says_so() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("ääääääääääää", 10), "äää… (cut)");
    }

    proptest! {
        #[test]
        fn a_line_is_one_line(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(char::is_control));
            prop_assert!(cut(&text, 20).chars().count() <= 20);
        }
    }
}
