//! Forms: fields that keep what was typed, with their error beside them, and a summary at the top that links to each.

use crate::domain::text::capital;
use crate::domain::{Error, Kind, Problem};

/// One labelled control with its hint and error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The form's name for it; its element's id is `f-` and this.
    pub name: String,
    pub label: String,
    /// What was typed, or what is so far.
    pub value: String,
    pub hint: String,
    pub error: Option<String>,
    pub required: bool,
    pub control: Control,
    /// Ids, versions and code in the fixed-width face.
    pub mono: bool,
    /// The `autocomplete` token; `off` where the browser should not help.
    pub autocomplete: &'static str,
    /// Shown, but not to be changed.
    pub read_only: bool,
    /// Whether one types into it at once when the page opens.
    pub focus: bool,
}

/// What kind of control it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// `<input type=…>`: `text`, `password`, `number`, `date`, `url`, `search`.
    Input(&'static str),
    /// `<textarea>` of so many rows.
    Area(u8),
    /// `<select>`.
    Select(Vec<Choice>),
    /// Radio buttons.
    Radio(Vec<Choice>),
    /// A check box, whose value is `true`.
    Check,
    /// A file input that takes these types, e.g. `.zip`.
    File(&'static str),
}

/// One choice of a select or of radio buttons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: String,
    /// Why it can't be chosen, or empty.
    pub refused: String,
    pub selected: bool,
}

impl Choice {
    /// A choice that can be made.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), refused: String::new(), selected: false }
    }

    /// The same choice, shown but not to be made, and why.
    #[must_use]
    pub fn refused(self, reason: impl Into<String>) -> Self {
        Self { refused: reason.into(), ..self }
    }
}

impl Field {
    fn new(name: &str, label: &str, control: Control) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            value: String::new(),
            hint: String::new(),
            error: None,
            required: false,
            control,
            mono: false,
            autocomplete: "off",
            read_only: false,
            focus: false,
        }
    }

    /// One line of text.
    pub fn text(name: &str, label: &str) -> Self {
        Self::new(name, label, Control::Input("text"))
    }

    /// Another `<input type=…>`.
    pub fn input(kind: &'static str, name: &str, label: &str) -> Self {
        Self::new(name, label, Control::Input(kind))
    }

    /// Several lines of text.
    pub fn area(name: &str, label: &str, rows: u8) -> Self {
        Self::new(name, label, Control::Area(rows))
    }

    /// One of several, in a list that opens; [`Field::value`] selects.
    pub fn select(name: &str, label: &str, choices: Vec<Choice>) -> Self {
        Self::new(name, label, Control::Select(choices))
    }

    /// One of a few, all seen at once; [`Field::value`] selects.
    pub fn radio(name: &str, label: &str, choices: Vec<Choice>) -> Self {
        Self::new(name, label, Control::Radio(choices))
    }

    /// Yes or no.
    pub fn check(name: &str, label: &str, checked: bool) -> Self {
        Self::new(name, label, Control::Check).value(if checked { "true" } else { "" })
    }

    /// A file of these types, e.g. `.zip`.
    pub fn file(name: &str, label: &str, accept: &'static str) -> Self {
        Self::new(name, label, Control::File(accept))
    }

    /// With what was typed or is so far.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        if let Control::Select(choices) | Control::Radio(choices) = &mut self.control {
            choices.iter_mut().for_each(|choice| choice.selected = choice.value == self.value);
        }
        self
    }

    /// With a line that says what belongs in it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// May not stay empty.
    #[must_use]
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Has the focus when the page opens.
    #[must_use]
    pub fn focus(self) -> Self {
        Self { focus: true, ..self }
    }

    /// In the fixed-width face.
    #[must_use]
    pub fn mono(self) -> Self {
        Self { mono: true, ..self }
    }

    /// With the browser's help of this kind, e.g. `username`, `current-password`.
    #[must_use]
    pub fn autocomplete(self, token: &'static str) -> Self {
        Self { autocomplete: token, ..self }
    }

    /// Shown, but not to be changed.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Which control the template draws: `input`, `area`, `select`, `radio`, `check` or `file`.
    pub fn kind(&self) -> &'static str {
        match self.control {
            Control::Input(_) => "input",
            Control::Area(_) => "area",
            Control::Select(_) => "select",
            Control::Radio(_) => "radio",
            Control::Check => "check",
            Control::File(_) => "file",
        }
    }

    /// `type` of an `<input>`.
    pub fn input_type(&self) -> &'static str {
        match self.control {
            Control::Input(kind) => kind,
            _ => "text",
        }
    }

    /// Rows of a `<textarea>`.
    pub fn rows(&self) -> u8 {
        match self.control {
            Control::Area(rows) => rows,
            _ => 1,
        }
    }

    /// What a select or radio buttons offer.
    pub fn choices(&self) -> &[Choice] {
        match &self.control {
            Control::Select(choices) | Control::Radio(choices) => choices,
            _ => &[],
        }
    }

    /// What a file input takes.
    pub fn accept(&self) -> &'static str {
        match self.control {
            Control::File(accept) => accept,
            _ => "",
        }
    }

    /// Whether a check box is checked.
    pub fn checked(&self) -> bool {
        self.value == "true"
    }

    /// The ids of hint and error that exist, for `aria-describedby`.
    pub fn described_by(&self) -> String {
        let hint = (!self.hint.is_empty()).then(|| format!("f-{}-hint", self.name));
        let error = self.error.as_ref().map(|_| format!("f-{}-error", self.name));
        hint.into_iter().chain(error).collect::<Vec<_>>().join(" ")
    }
}

/// The summary at the top of a refused form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub title: String,
    /// What to do, where one thing helps for all.
    pub hint: String,
    pub items: Vec<TroubleItem>,
    /// Only warnings: the form can be sent again in spite of them.
    pub ignorable: bool,
}

/// One line of the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleItem {
    /// The field it is about, to link to; `None`: it is not about one field.
    pub field: Option<String>,
    /// The field's label, or the place as the error named it.
    pub place: String,
    pub text: String,
}

/// Puts every problem of `error` beside the field it names and gives the summary for the top.
pub fn blame(fields: &mut [&mut Field], error: &Error) -> Trouble {
    let items: Vec<TroubleItem> = error.problems.iter().map(|problem| place(fields, problem)).collect();
    let ignorable = error.kind == Kind::Warned;
    let title = match items.len() {
        _ if ignorable => "Governance warns".to_owned(),
        0 => capital(&error.message),
        1 => "One thing has to be put right".to_owned(),
        many => format!("{many} things have to be put right"),
    };
    let hint = if items.is_empty() { error.hint.clone().unwrap_or_default() } else { String::new() };
    Trouble { title, hint, items, ignorable }
}

fn place(fields: &mut [&mut Field], problem: &Problem) -> TroubleItem {
    let text = match &problem.hint {
        Some(hint) => format!("{}. {hint}", capital(problem.message.trim_end_matches('.'))),
        None => capital(&problem.message),
    };
    match fields.iter_mut().find(|field| field.name == problem.place) {
        Some(field) => {
            field.error = Some(match field.error.take() {
                Some(earlier) => format!("{earlier} {text}"),
                None => text.clone(),
            });
            TroubleItem { field: Some(field.name.clone()), place: field.label.clone(), text }
        }
        None => TroubleItem { field: None, place: problem.place.clone(), text },
    }
}
