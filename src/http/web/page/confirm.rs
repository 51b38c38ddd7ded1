//! A page that asks for a name to be typed before something is destroyed.

/// What is destroyed, what follows from it, and the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// Where the form is posted.
    pub action: String,
    /// What the button says: `Delete deployment`.
    pub verb: String,
    /// What has to be typed, exactly.
    pub name: String,
    /// What will be gone, and what stays: one line each.
    pub consequences: Vec<String>,
    /// What may go as well, where there is a choice: a box that is not ticked.
    pub also: Option<Also>,
    /// The way back.
    pub back: String,
    /// What was typed last time, which was not the name.
    pub typed: Option<String>,
}

/// Something that is destroyed only where it is ticked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Also {
    /// The form field.
    pub field: &'static str,
    pub label: String,
    pub checked: bool,
}

impl Confirm {
    /// The form field that carries what was typed.
    pub const FIELD: &str = "confirm";

    /// Whether `typed` is the name. The button in the page waits for it too, but this is what counts.
    pub fn accepts(&self, typed: &str) -> bool {
        typed.trim() == self.name
    }
}
