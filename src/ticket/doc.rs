//! PURE: a text for people, before it becomes ADF or wiki markup.

/// A text for people, before it becomes ADF or wiki markup. Its strings are words: nothing in them is ever markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doc(pub Vec<Block>);

/// A part of a [`Doc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading of the third level, on one line.
    Heading(String),
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A bulleted list, an entry each.
    Bullets(Vec<Vec<Span>>),
    /// Text from outside, shown to the letter, in a box of its own.
    Verbatim(String),
}

/// A run of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Plain words.
    Text(String),
    /// Words that matter.
    Strong(String),
    /// A link.
    Link {
        /// What is shown.
        text: String,
        /// Where it leads.
        url: String,
    },
    /// A new line in the same paragraph.
    Break,
}
