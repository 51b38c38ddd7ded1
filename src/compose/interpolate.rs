//! `$VAR`, `${VAR:-default}` and `$$` in values, as Compose puts variables in.
//!
//! A deployer has no shell whose variables it could take: they come from the bundle's `.env` alone. What is left
//! without a value is a fault of that value, reported by whoever reads it, because one key can do with it: a variable
//! of `environment` that is to come from the deployment's settings.

use std::collections::BTreeMap;

use crate::compose::node::{Node, Value};

/// Names and values that may be put in.
pub type Variables = BTreeMap<String, String>;

/// What all values together may grow to; `.env` can hold long values that are used often.
pub const BUDGET: usize = 4 << 20;
/// Defaults within defaults.
const DEEPEST: usize = 16;

/// Why a text could not be completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The variable has no value and no default.
    Unset {
        variable: String,
        /// What the file says about it: `${VAR:?this}`.
        said: Option<String>,
    },
    /// It is no valid expression.
    Malformed(String),
    /// The values together grow beyond [`BUDGET`].
    TooLong,
}

impl Fault {
    /// What is wrong, and what to do.
    pub fn words(&self) -> (String, String) {
        match self {
            Self::Unset { variable, said, .. } => {
                let said = said.as_deref().filter(|said| !said.is_empty());
                let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
                let hint = format!(
                    "Give it a default, `${{{variable}:-…}}`, or put {variable}=… into the bundle's .env; what differs \
                     from one deployment to the next belongs under `environment` as `{variable}` without a value, \
                     which the deployment's settings then give. A literal dollar sign is written `$$`."
                );
                (format!("the variable {variable} has no value{said}"), hint)
            }
            Self::Malformed(text) => (
                format!("{text} is no valid variable"),
                "Write `${NAME}`, `${NAME:-default}`, or `$$` for a literal dollar sign.".to_owned(),
            ),
            Self::TooLong => (
                "the values grow too large when variables are put in".to_owned(),
                "Use shorter values in .env: together they may grow to 4 MiB.".to_owned(),
            ),
        }
    }
}

/// Puts variables into every scalar at or below `node`, keys excepted. `left` is what they may still grow by.
pub fn tree(node: &mut Node, variables: &Variables, left: &mut usize) {
    match &mut node.value {
        Value::Null => {}
        Value::List(items) => items.iter_mut().for_each(|item| tree(item, variables, left)),
        Value::Map(map) => map.entries.iter_mut().for_each(|entry| tree(&mut entry.value, variables, left)),
        Value::Scalar(scalar) if scalar.text.contains('$') => match text(&scalar.text, variables, left) {
            Ok(text) => scalar.text = text,
            Err(fault) => scalar.fault = Some(fault),
        },
        Value::Scalar(_) => {}
    }
}

/// `template` with its variables put in.
pub fn text(template: &str, variables: &Variables, left: &mut usize) -> Result<String, Fault> {
    let mut template = Template { rest: template, variables, left };
    template.until_end(0)
}

struct Template<'a, 'v> {
    rest: &'a str,
    variables: &'v Variables,
    left: &'v mut usize,
}

/// A variable with what stands after its name.
struct Expression<'a> {
    name: &'a str,
    /// An empty value counts as none: the operator began with a colon.
    empty_is_unset: bool,
    operator: Option<char>,
}

impl<'a> Template<'a, '_> {
    fn until_end(&mut self, depth: usize) -> Result<String, Fault> {
        let mut out = String::new();
        while let Some(at) = self.rest.find(if depth == 0 { &['$'][..] } else { &['$', '}'][..] }) {
            self.push(&mut out, &self.rest[..at])?;
            self.rest = &self.rest[at..];
            if self.rest.starts_with('}') {
                return Ok(out);
            }
            self.rest = &self.rest[1..];
            let value = self.dollar(depth)?;
            self.push(&mut out, &value)?;
        }
        self.push(&mut out, self.rest)?;
        self.rest = "";
        Ok(out)
    }

    fn push(&mut self, out: &mut String, text: &str) -> Result<(), Fault> {
        *self.left = self.left.checked_sub(text.len()).ok_or(Fault::TooLong)?;
        out.push_str(text);
        Ok(())
    }

    /// What stands after a dollar sign.
    fn dollar(&mut self, depth: usize) -> Result<String, Fault> {
        let after = self.rest;
        if let Some(rest) = after.strip_prefix('$') {
            self.rest = rest;
            return Ok("$".to_owned());
        }
        if let Some(rest) = after.strip_prefix('{') {
            self.rest = rest;
            return match self.braced(depth)? {
                Some(value) => Ok(value),
                None => Err(malformed(after)),
            };
        }
        match self.name() {
            "" => Err(malformed(after)),
            name => self.plain(name),
        }
    }

    /// `NAME}` or `NAME`, an operator, a text and `}`; `None` when it is neither.
    fn braced(&mut self, depth: usize) -> Result<Option<String>, Fault> {
        let name = self.name();
        if name.is_empty() || depth >= DEEPEST {
            return Ok(None);
        }
        if let Some(rest) = self.rest.strip_prefix('}') {
            self.rest = rest;
            return self.plain(name).map(Some);
        }
        let empty_is_unset = self.rest.starts_with(':');
        let operator = self.rest.trim_start_matches(':').chars().next();
        let skip = usize::from(empty_is_unset) + 1;
        if !matches!(operator, Some('-' | '?' | '+')) || self.rest.len() < skip {
            return Ok(None);
        }
        self.rest = self.rest.get(skip..).unwrap_or_default();
        let operand = self.until_end(depth + 1);
        match operand {
            Ok(_) => {}
            // It may not be needed, so it is no fault yet.
            Err(Fault::Unset { .. }) => self.skip_to_brace(),
            Err(fault) => return Err(fault),
        }
        let Some(rest) = self.rest.strip_prefix('}') else {
            return Ok(None);
        };
        self.rest = rest;
        self.choose(&Expression { name, empty_is_unset, operator }, operand).map(Some)
    }

    fn choose(&self, expression: &Expression<'_>, operand: Result<String, Fault>) -> Result<String, Fault> {
        let value = self.variables.get(expression.name);
        let value = value.filter(|value| !(expression.empty_is_unset && value.is_empty()));
        match (expression.operator, value) {
            (Some('+'), Some(_)) => operand,
            (Some('+'), None) => Ok(String::new()),
            (_, Some(value)) => Ok(value.clone()),
            (Some('-'), None) => operand,
            (_, None) => Err(Fault::Unset { variable: expression.name.to_owned(), said: operand.ok() }),
        }
    }

    fn plain(&self, name: &str) -> Result<String, Fault> {
        let unset = || Fault::Unset { variable: name.to_owned(), said: None };
        self.variables.get(name).cloned().ok_or_else(unset)
    }

    fn name(&mut self) -> &'a str {
        let good =
            |(at, c): (usize, char)| c.is_ascii_alphabetic() || c == '_' || at > 0 && c.is_ascii_digit();
        let end = self.rest.char_indices().take_while(|pair| good(*pair)).count();
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }

    /// After a fault inside an operand that may not be needed: on to where it ends.
    fn skip_to_brace(&mut self) {
        let mut open = 0usize;
        for (at, c) in self.rest.char_indices() {
            match c {
                '{' => open += 1,
                '}' if open == 0 => {
                    self.rest = &self.rest[at..];
                    return;
                }
                '}' => open -= 1,
                _ => {}
            }
        }
        self.rest = "";
    }
}

fn malformed(after: &str) -> Fault {
    let shown: String = after.chars().take(20).collect();
    Fault::Malformed(format!("`${shown}`"))
}

/// Whether `template` is nothing but `variable`, without a default.
pub fn stands_alone(template: &str, variable: &str) -> bool {
    let name = template.strip_prefix("${").or_else(|| template.strip_prefix('$'));
    let rest = name.and_then(|name| name.strip_prefix(variable));
    let demanded = |rest: &str| rest.starts_with(":?") || rest.starts_with('?');
    match rest {
        Some("") => !template.starts_with("${"),
        Some("}") => template.starts_with("${"),
        Some(rest) => demanded(rest) && rest.find('}') == Some(rest.len() - 1),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(template: &str) -> Result<String, Fault> {
        let variables = [("A", "1"), ("EMPTY", ""), ("B2", "two")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        text(template, &variables.into(), &mut 1_000)
    }

    #[test]
    fn the_forms_of_compose_are_understood() {
        for (template, expected) in [
            ("plain", "plain"),
            ("$$A costs $$5", "$A costs $5"),
            ("$A-${B2}!", "1-two!"),
            ("${A:-x}${A-x}", "11"),
            ("${EMPTY:-x}/${EMPTY-x}", "x/"),
            ("${NO:-x}/${NO-y}/${NO:-}", "x/y/"),
            ("${A:+x}/${A+y}/${NO:+z}/${EMPTY:+z}/${EMPTY+w}", "x/y///w"),
            ("${NO:-${ALSO_NO:-${A}}}", "1"),
            ("${NO:-a}b}", "ab}"),
            ("${A:-${NO}} ${A:?said}", "1 1"),
            ("${NO:-$$x}", "$x"),
            ("http://${HOST:-localhost}:${PORT:-80}/", "http://localhost:80/"),
            ("${NO:-ü}ß", "üß"),
        ] {
            assert_eq!(put(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_has_no_value_is_named() {
        let check = |template: &str, variable: &str, alone: bool, said: Option<&str>| {
            let fault = Fault::Unset { variable: variable.to_owned(), said: said.map(str::to_owned) };
            assert_eq!(put(template), Err(fault), "{template}");
            assert_eq!(stands_alone(template, variable), alone, "{template}");
        };
        check("$NO", "NO", true, None);
        check("${NO}", "NO", true, None);
        check("${NO:?set it}", "NO", true, Some("set it"));
        check("${EMPTY:?}", "EMPTY", true, Some(""));
        check("x${NO}", "NO", false, None);
        check("${NO}x", "NO", false, None);
        check("$NO}", "NO", false, None);
        check("${NO}${NO}", "NO", false, None);
        check("${X:-${NO}}", "NO", false, None);
        check("${NO:?a}b}", "NO", false, Some("a"));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for bad in
            ["$", "$5", "${}", "${A", "${A:}", "${A:-x", "${A!}", "${1}", "$(pwd)", "${A:", "${NO:-${}}"]
        {
            assert!(matches!(put(bad), Err(Fault::Malformed(_))), "{bad}: {:?}", put(bad));
        }
        let deep = "${A:-".repeat(40) + &"}".repeat(40);
        assert!(matches!(put(&deep), Err(Fault::Malformed(_))));
        assert_eq!(put("${A:-${NO}x}y").as_deref(), Ok("1y"));
        assert_eq!(put(&"x$$".repeat(1_000)), Err(Fault::TooLong));
    }
}
