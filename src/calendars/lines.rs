//! The lines of an iCalendar file (RFC 5545, section 3.1): unfolded, and put into components.

/// A component, such as an event, with its own lines. Those of components inside it are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Component {
    /// In capitals.
    pub(super) name: String,
    pub(super) lines: Vec<Line>,
}

/// A line: `NAME;PARAMETER=VALUE:VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// In capitals.
    pub(super) name: String,
    /// The names in capitals.
    params: Vec<(String, String)>,
    pub(super) value: String,
}

impl Line {
    /// The value of a parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Component {
    /// The value of the first line with this name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.line(name).map(|line| line.value.as_str())
    }

    /// The first line with this name.
    pub(super) fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// All lines with this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.name == name)
    }
}

/// All components of a file, in the order in which they end.
///
/// # Errors
/// If anything is not as the standard says. Nothing is skipped, because what is skipped could be a freeze.
pub(super) fn components(text: &str) -> Result<Vec<Component>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut done, mut open): (Vec<Component>, Vec<Component>) = (Vec::new(), Vec::new());
    for (number, line) in unfolded(text) {
        let wrong = |what: &str| format!("line {number}: {what}");
        let line = parse(&line).ok_or_else(|| wrong("is no line of an iCalendar file"))?;
        match line.name.as_str() {
            "BEGIN" => {
                let name = line.value.trim().to_ascii_uppercase();
                if open.is_empty() && name != "VCALENDAR" {
                    return Err(wrong("must be BEGIN:VCALENDAR"));
                }
                open.push(Component { name, lines: Vec::new() });
            }
            "END" => match open.pop() {
                Some(component) if component.name.eq_ignore_ascii_case(line.value.trim()) => {
                    done.push(component)
                }
                Some(component) => return Err(wrong(&format!("must be END:{}", component.name))),
                None => return Err(wrong("has no BEGIN")),
            },
            _ => match open.last_mut() {
                Some(component) => component.lines.push(line),
                None => return Err(wrong("must be BEGIN:VCALENDAR")),
            },
        }
    }
    match open.last() {
        Some(component) => Err(format!("it ends without END:{}", component.name)),
        None if done.is_empty() => Err("it holds no calendar".to_owned()),
        None => Ok(done),
    }
}

/// The lines, each with the number of its first part. A line that begins with a space goes on with the one before.
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (nth, part) in text.lines().enumerate() {
        match (part.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, line))) => line.push_str(rest),
            (Some(_) | None, _) => {
                if !part.trim().is_empty() {
                    lines.push((nth + 1, part.to_owned()));
                }
            }
        }
    }
    lines
}

fn parse(text: &str) -> Option<Line> {
    let (mut quoted, mut parts, mut start) = (false, Vec::new(), 0);
    let mut value = None;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            ':' if !quoted => {
                parts.push(&text[start..at]);
                value = Some(text[at + 1..].to_owned());
                break;
            }
            _ => {}
        }
    }
    let (value, [name, params @ ..]) = (value?, parts.as_slice()) else { return None };
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    let params = params.iter().map(|param| {
        let (key, value) = param.split_once('=')?;
        is_name(key).then(|| (key.to_ascii_uppercase(), value.trim_matches('"').to_owned()))
    });
    let params = params.collect::<Option<Vec<_>>>()?;
    is_name(name).then(|| Line { name: name.to_ascii_uppercase(), params, value })
}

/// A text value, without its escapes.
pub(super) fn unescape(text: &str) -> String {
    let (mut plain, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => plain.push(' '),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_unfolded_and_taken_apart() {
        let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUM\r\n MARY;LANGUAGE=\"de:x\";X=1:No \r\n\tshipping\\, at\\nall\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let components = components(text).unwrap();
        let [event, calendar] = components.as_slice() else { panic!("{components:?}") };
        assert_eq!((event.name.as_str(), calendar.name.as_str()), ("VEVENT", "VCALENDAR"));
        let line = event.line("SUMMARY").unwrap();
        assert_eq!(
            (line.param("LANGUAGE"), line.param("X"), line.param("Y")),
            (Some("de:x"), Some("1"), None)
        );
        assert_eq!(unescape(&line.value), "No shipping, at all");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let error = |text: &str| components(text).unwrap_err();
        let told = [
            "",
            "<!DOCTYPE html>",
            "SUMMARY:x",
            "BEGIN:VEVENT\nEND:VEVENT",
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\n",
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR",
            "BEGIN:VCALENDAR\nSUMMARY\nEND:VCALENDAR",
            "BEGIN:VCALENDAR\nX;Y:1\nEND:VCALENDAR",
            "BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR",
        ]
        .map(error);
        insta::assert_snapshot!(told.join("\n"), @r"
        it holds no calendar
        line 1: is no line of an iCalendar file
        line 1: must be BEGIN:VCALENDAR
        line 1: must be BEGIN:VCALENDAR
        it ends without END:VEVENT
        line 3: must be END:VEVENT
        line 2: is no line of an iCalendar file
        line 2: is no line of an iCalendar file
        line 3: has no BEGIN
        ");
    }
}
