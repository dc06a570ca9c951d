//! PURE: what of a ticket lifts a freeze or a window: `except`.

use std::fmt::{Display, Formatter, Result};

use serde::{Deserialize, Serialize};

/// A value of a ticket that may lift a freeze or a window, if somebody set it who may approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exception {
    /// A label.
    Label(String),
    /// A priority, by its name.
    Priority(String),
}

impl Exception {
    /// Whether both are the same. Jira distinguishes labels by case, and priorities not.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Label(one), Self::Label(other)) => one == other,
            (Self::Priority(one), Self::Priority(other)) => one.to_lowercase() == other.to_lowercase(),
            (Self::Label(_), Self::Priority(_)) | (Self::Priority(_), Self::Label(_)) => false,
        }
    }
}

/// `the label "emergency"`, as a part of a sentence.
impl Display for Exception {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Label(label) => write!(f, "the label {label:?}"),
            Self::Priority(priority) => write!(f, "the priority {priority:?}"),
        }
    }
}

/// `except`: any of these lifts the freeze or the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Except(pub Vec<Exception>);

impl Except {
    /// Whether this is one of them.
    #[must_use]
    pub fn is_for(&self, set: &Exception) -> bool {
        self.0.iter().any(|exception| exception.is_same(set))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `the label "emergency" or the priority "Highest"`, as a part of a sentence.
impl Display for Except {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (nth, exception) in self.0.iter().enumerate() {
            let before = if nth == 0 { "" } else { " or " };
            write!(f, "{before}{exception}")?;
        }
        Ok(())
    }
}
