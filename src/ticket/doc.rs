//! PURE: a text for people, before it becomes ADF or wiki markup.

/// A text for people, before it becomes ADF or wiki markup. Its strings are plain text, never markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doc(pub Vec<Block>);

/// A part of a [`Doc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading of the third level, on one line.
    Heading(String),
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A bulleted list.
    Bullets(Vec<Vec<Span>>),
    /// A table with a header.
    Table {
        /// The cells of the header.
        header: Vec<String>,
        /// The other rows, as long as the header.
        rows: Vec<Vec<Vec<Span>>>,
    },
    /// What comes from outside of the bridge: a text that is too long for Jira loses parts of this first.
    External(Vec<Block>),
}

/// A run of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Plain text.
    Text(String),
    /// Emphasized text.
    Strong(String),
    /// A link.
    Link {
        /// What is shown.
        text: String,
        /// Where it leads.
        url: String,
    },
    /// An account, which Jira notifies of the text.
    Mention {
        /// Its account id on Cloud, its user name on Data Center.
        id: String,
        /// Its display name.
        name: String,
    },
    /// A new line in the same paragraph.
    Break,
}
