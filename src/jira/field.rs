//! PURE: the fields of Jira's screens.

/// A field of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in requests.
    pub id: String,
    /// Its name on the screen.
    pub name: String,
    /// Whether it must be set.
    pub required: bool,
    /// Whether Jira sets a default value.
    pub has_default: bool,
    /// What its values are.
    pub shape: Shape,
    /// The allowed values, if Jira lists them.
    pub allowed: Vec<Choice>,
}

/// What the values of a field are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string of one line.
    Text,
    /// A text of several lines: a document on Cloud, a string on Data Center.
    LongText,
    /// A number.
    Number,
    /// A day, `2026-01-31`.
    Date,
    /// A time, `2026-01-31T09:00:00.000+0100`.
    DateTime,
    /// An account.
    Person,
    /// One of several values, written as an object with this key; the key `id` works for all of them.
    Choice(&'static str),
    /// A list of values of this shape.
    List(Box<Self>),
    /// Something else, or Jira does not say.
    Unknown,
}

/// A value that a field may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub id: Option<String>,
    /// Its key, if it is a project or an issue.
    pub key: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its `value`: the name of a select field's option.
    pub value: Option<String>,
}
