//! From a text to a template: which variables there are, where they may stand, and what is wrong with the others.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::diagnostic::quote;
use super::super::{HOOK_FIELDS, Param, suggest};
use super::{LITERAL, NAMES, Part, Template, Variable};

/// With so many errors in one text, the rest of it is not looked at.
const ERRORS_MAX: usize = 64;

/// What reading texts has found.
#[derive(Default)]
pub(in super::super) struct Found {
    pub(in super::super) errors: Vec<TemplateError>,
    /// The tasks whose XComs are named, and where in the text.
    pub(in super::super) xcoms: Vec<(Range<usize>, Box<str>)>,
}

/// Why a text is no template: a part of it, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct TemplateError {
    pub(in super::super) part: Range<usize>,
    pub(in super::super) message: String,
    pub(in super::super) label: String,
    pub(in super::super) help: Option<String>,
}

impl Template {
    /// Reads a text. `params` are those that the DAG declares; `script` says that a shell will read it.
    /// What it finds goes to `found`; where there is an error, nothing stands.
    pub(in super::super) fn parse(
        text: &str,
        params: &BTreeMap<String, Param>,
        script: bool,
        found: &mut Found,
    ) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while found.errors.len() < ERRORS_MAX
            && let Some(open) = text[at..].find("{{").map(|found| at + found)
        {
            plain.push_str(&text[at..open]);
            let Some(inside) = inside_braces(text, open) else {
                found.errors.push(TemplateError {
                    part: open..open + 2,
                    message: "`{{` without `}}`".to_owned(),
                    label: "is not closed".to_owned(),
                    help: Some(format!("a literal `{{{{` is written `{LITERAL}`")),
                });
                at = text.len();
                break;
            };
            at = inside.end + 2;
            let name = text[inside].trim();
            if name == "'{{'" || name == "\"{{\"" {
                plain.push_str("{{");
                continue;
            }
            match variable(name, params, script) {
                Ok(variable) => {
                    if let Variable::Xcom(task_id) = &variable {
                        found.xcoms.push((open..at, task_id.clone()));
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain).into()));
                    }
                    parts.push(Part::Variable(variable));
                }
                Err(mut error) => {
                    error.part = open..at;
                    found.errors.push(error);
                }
            }
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Self {
            parts: parts.into(),
            script,
        }
    }
}

/// What stands between the `{{` at `open` and its `}}`. A quoted `}}` or `{{` does not count.
fn inside_braces(text: &str, open: usize) -> Option<Range<usize>> {
    let start = open + 2;
    let close = text[start..].find("}}")?;
    // A second `{{` before the end means that this one was not closed.
    let inside = start..start + close;
    let again = text[inside.clone()].find("{{");
    let quoted = matches!(text[inside.clone()].trim(), "'{{'" | "\"{{\"");
    (again.is_none() || quoted).then_some(inside)
}

fn variable(
    name: &str,
    params: &BTreeMap<String, Param>,
    script: bool,
) -> Result<Variable, TemplateError> {
    let error = |message: String, label: &str, help: Option<String>| TemplateError {
        part: 0..0,
        message,
        label: label.to_owned(),
        help,
    };
    let by_hand = || {
        let name = name.rsplit('.').next().unwrap_or(name);
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        Some(format!(
            "hand it over in `env` and write \"${}\"",
            quote(&name)
        ))
    };
    if let Some((_, known)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(known.clone());
    }
    let quoted = quote(name);
    if let Some(param) = name.strip_prefix("params.") {
        if !params.contains_key(param) {
            let help =
                suggest::help(param, params.keys().map(String::as_str)).unwrap_or_else(|| {
                    format!(
                        "declare it: \"params\": {{\"{}\": …}}; what stands there is its default",
                        quote(param)
                    )
                });
            return Err(error(
                format!("template variable `{quoted}` is no param of this DAG"),
                "is not among its `params`",
                Some(help),
            ));
        }
        if script {
            return Err(error(
                format!("`{quoted}` in a `bash` string"),
                "a value must not become code",
                by_hand(),
            ));
        }
        return Ok(Variable::Param(param.into()));
    }
    if let Some(field) = name.strip_prefix("hook.") {
        let Some(place) = HOOK_FIELDS.iter().position(|known| *known == field) else {
            let help = suggest::help(field, HOOK_FIELDS.iter().copied());
            let all = || format!("a hook is told {}", HOOK_FIELDS.join(", "));
            return Err(error(
                format!("unknown template variable `{quoted}`"),
                "there is no such variable",
                Some(help.unwrap_or_else(all)),
            ));
        };
        if script {
            let variable = field.to_ascii_uppercase();
            return Err(error(
                format!("`{quoted}` in a `bash` string"),
                "a value must not become code",
                Some(format!("write \"$MINI_DAG_HOOK_{variable}\"")),
            ));
        }
        return Ok(Variable::Hook(place));
    }
    if let Some(secret) = name.strip_prefix("secrets.") {
        return Ok(Variable::Secret(secret.into()));
    }
    if let Some(task_id) = name.strip_prefix("xcom.") {
        if script {
            return Err(error(
                format!("`{quoted}` in a `bash` string"),
                "a value must not become code",
                by_hand(),
            ));
        }
        return Ok(Variable::Xcom(task_id.into()));
    }
    let names = NAMES.iter().map(|(name, _)| *name);
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let help = if name.contains('|') {
        "there are no filters: `ds`, `ts`, `ds_nodash` and `ts_nodash` are the forms of a date"
            .to_owned()
    } else if name.starts_with('.') || !name.chars().all(word) {
        format!("a literal `{{{{` is written `{LITERAL}`")
    } else if let Some(help) = suggest::help(name, names) {
        help
    } else {
        let names = NAMES.map(|(name, _)| name).join(", ");
        format!("the variables are {names}, params.<name>, xcom.<task_id>")
    };
    Err(error(
        format!("unknown template variable `{quoted}`"),
        "there is no such variable",
        Some(help),
    ))
}
