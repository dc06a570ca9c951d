//! PURE: the fields of Jira's screens.

/// A field of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether it must be set.
    pub required: bool,
    /// Whether Jira sets it if nobody does.
    pub has_default: bool,
    /// What its values are.
    pub shape: Shape,
    /// The values there are, if Jira lists them.
    pub allowed: Vec<Choice>,
}

/// What the values of a field are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string of one line.
    Text,
    /// A text: a document on Cloud, a string on Data Center.
    LongText,
    /// A number.
    Number,
    /// A day, `2026-01-31`.
    Date,
    /// An account.
    Person,
    /// One of several, in a table under this name; an id is known everywhere.
    Choice(&'static str),
    /// A list of such.
    List(Box<Self>),
    /// Something else, or Jira does not say.
    Unknown,
}

/// A value that a field may have, by what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its value, as options call their names.
    pub value: Option<String>,
}
