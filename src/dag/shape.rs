//! Checks a JSON document against its table of keys: types, ranges, words, unknown, repeated and missing keys. What is reported here is not reported again by whoever reads the values.

use std::fmt;

use super::diagnostic::{Diagnostic, quote};
use super::json::{Item, Kind};
use super::keys::{ACTIONS, DAG_KEYS, HOOK_KEYS, Key, PARAM_KEYS, Shape, TASK_KEYS};
use super::report::{At, Report};
use super::{date, param, suggest};
use crate::timetable;

/// What an object belongs to, for messages: "task `a`", "`http` of task `a`".
#[derive(Clone, Copy)]
pub(crate) enum Scope<'s> {
    /// A DAG file.
    Dag,
    /// The daemon's config file.
    Config,
    /// A task: its place in `tasks`, from 1, and its id where it has one.
    Task(usize, Option<&'s str>),
    /// What stands under a key.
    Key(&'s Scope<'s>, &'s str),
    /// An element of an array.
    Element(&'s Scope<'s>),
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dag => f.write_str("the DAG"),
            Self::Config => f.write_str("the config"),
            Self::Task(_, Some(id)) => write!(f, "task `{}`", quote(id)),
            Self::Task(number, None) => write!(f, "task number {number}"),
            Self::Key(Scope::Dag | Scope::Config, key) => write!(f, "`{}`", quote(key)),
            Self::Element(array) => write!(f, "an element of {array}"),
            Self::Key(holder, key) => write!(f, "`{}` of {holder}", quote(key)),
        }
    }
}

/// Checks a DAG file. Repeated keys are reported by the caller, who has them all.
pub(super) fn check_dag(root: Item<'_>, report: &mut Report<'_>) {
    let example = r#"{"tasks": [{"task_id": "hello", "bash": "echo hello"}]}"#;
    check_file(root, DAG_KEYS, Scope::Dag, ("DAG", example), report);
}

/// Checks a file that holds an object with these keys; what it is called, and an example of one.
pub(crate) fn check_file(
    root: Item<'_>,
    keys: &'static [Key],
    scope: Scope<'_>,
    (name, example): (&str, &str),
    report: &mut Report<'_>,
) {
    if root.kind() == Kind::Object {
        object(root, keys, scope, report);
    } else {
        let found = describe(root.kind());
        report.error(root.span(), format!("this is {found}"), || {
            Diagnostic::new(format!("a {name} file holds one object")).help(example.to_owned())
        });
    }
}

/// The id that an object says its task has.
pub(super) fn task_id(task: Item<'_>) -> Option<String> {
    let mut ids = task.members().filter(|(key, _)| key.text() == "task_id");
    let (_, id) = ids.next()?;
    (id.kind() == Kind::String).then(|| id.text().into_owned())
}

fn object(item: Item<'_>, keys: &'static [Key], scope: Scope<'_>, report: &mut Report<'_>) {
    let in_defaults = matches!(scope, Scope::Key(Scope::Dag, "defaults"));
    for (name, value) in item.members() {
        let text = name.text();
        let Some(key) = keys.iter().find(|key| key.name == text) else {
            unknown_key(name, &text, keys, scope, report);
            continue;
        };
        check(value, &key.shape, Scope::Key(&scope, key.name), report);
        if in_defaults && !key.inherited {
            report.error(name.span(), "not inherited", || {
                Diagnostic::new(format!("`{text}` cannot stand in `defaults`"))
                    .help("write it in each task".to_owned())
            });
        }
    }
    for key in keys.iter().filter(|key| key.required && !in_defaults) {
        if !item.members().any(|(name, _)| name.text() == key.name) {
            let brace = item.span().start();
            let brace = super::diagnostic::Span::new(brace, brace + 1);
            report.error(brace, format!("`{}` is missing", key.name), || {
                Diagnostic::new(format!("{scope} has no `{}`", key.name))
                    .note(format!("`{}`: {}", key.name, key.doc))
            });
        }
    }
}

fn unknown_key(
    name: Item<'_>,
    text: &str,
    keys: &[Key],
    scope: Scope<'_>,
    report: &mut Report<'_>,
) {
    report.error(name.span(), "there is no such key", || {
        let error = Diagnostic::new(format!("unknown key `{}` in {scope}", quote(text)));
        let known = suggest::help(text, keys.iter().map(|key| key.name));
        error.help(known.or_else(|| {
            let elsewhere = |other: &[Key]| other.iter().any(|key| key.name == text);
            let airflow = AIRFLOW.iter().find(|(theirs, _)| *theirs == text);
            match scope {
                Scope::Dag | Scope::Task(..) if airflow.is_some() => {
                    airflow.map(|(_, ours)| format!("it is called {ours} here"))
                }
                Scope::Dag if elsewhere(TASK_KEYS) => {
                    Some("it is a key of a task; `defaults` hands it to every task".to_owned())
                }
                Scope::Task(..) if elsewhere(DAG_KEYS) => Some("it is a key of the DAG".to_owned()),
                Scope::Config if elsewhere(DAG_KEYS) => {
                    Some("it is a key of a DAG file".to_owned())
                }
                Scope::Dag | Scope::Config | Scope::Task(..) => None,
                Scope::Key(..) if text == "pattern" => Some(
                    "patterns are not looked at; `enum`, `minLength` and `maxLength` are"
                        .to_owned(),
                ),
                Scope::Key(..) | Scope::Element(_) => {
                    let names: Vec<String> =
                        keys.iter().map(|key| format!("`{}`", key.name)).collect();
                    Some(format!("the keys here are {}", names.join(", ")))
                }
            }
        }))
    });
}

/// What Airflow calls it, and what it is here.
const AIRFLOW: &[(&str, &str)] = &[
    ("schedule_interval", "`schedule`"),
    ("default_args", "`defaults`"),
    ("dagrun_timeout", "`run_timeout`"),
    ("concurrency", "`max_active_tasks`"),
    ("doc_md", "`doc`"),
    ("execution_timeout", "`timeout`"),
    ("bash_command", "`bash`"),
    ("python_callable", "`call`"),
    ("op_kwargs", "`args`"),
    ("priority_weight", "`priority`"),
    ("do_xcom_push", "`xcom`"),
    ("depends_on", "`after`"),
    ("on_failure_callback", "`on_failure`"),
    ("on_success_callback", "`on_success`"),
    ("on_retry_callback", "`on_retry`"),
    ("dag_run_timeout", "`run_timeout`"),
];

fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::True => "true",
        Kind::False => "false",
        Kind::Number => "a number",
        Kind::String => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}

/// Whether a value of this kind can be of a shape at all.
fn admits(shape: &Shape, kind: Kind) -> bool {
    match shape {
        Shape::Null => kind == Kind::Null,
        Shape::Boolean => matches!(kind, Kind::True | Kind::False),
        Shape::Text
        | Shape::Template
        | Shape::Script
        | Shape::Id
        | Shape::Zone
        | Shape::Moment
        | Shape::Schedule
        | Shape::Order
        | Shape::Word(_) => kind == Kind::String,
        Shape::Duration | Shape::Timeout | Shape::Size => {
            matches!(kind, Kind::String | Kind::Number)
        }
        Shape::Integer(..) | Shape::Number => kind == Kind::Number,
        Shape::Any | Shape::AnyTemplate | Shape::Param => true,
        Shape::List(_) => kind == Kind::Array,
        Shape::Map(_) | Shape::Object(_) => kind == Kind::Object,
        Shape::Either(shapes) => shapes.iter().any(|shape| admits(shape, kind)),
    }
}

/// Checks a value. The depth of recursion is that of the table.
fn check(item: Item<'_>, shape: &'static Shape, scope: Scope<'_>, report: &mut Report<'_>) {
    if !admits(shape, item.kind()) {
        let found = describe(item.kind());
        report.error(item.span(), format!("this is {found}"), || {
            Diagnostic::new(format!("{scope} must be {}", shape.describe()))
        });
        return;
    }
    match shape {
        Shape::Null
        | Shape::Boolean
        | Shape::Text
        | Shape::Template
        | Shape::Script
        | Shape::Id
        | Shape::Zone
        | Shape::Schedule
        | Shape::Order
        | Shape::Number
        | Shape::Any
        | Shape::AnyTemplate => {}
        Shape::Moment => {
            let text = item.text();
            if date::Moment::parse(&text).is_none() {
                report.error(item.span(), "", || {
                    Diagnostic::new(format!("`{}` is not a date", quote(&text))).help(
                        "write 2026-05-01, 2026-05-01T06:00:00 or 2026-05-01T06:00:00+09:00"
                            .to_owned(),
                    )
                });
            }
        }
        Shape::Duration | Shape::Timeout => match duration(item) {
            Err(fault) => {
                let at = At::part(Some(item.span()), fault.span);
                report.error(at, fault.label, || {
                    Diagnostic::new(fault.message).help(DURATION_HELP.to_owned())
                });
            }
            Ok(duration) if duration.is_zero() && matches!(shape, Shape::Timeout) => {
                report.error(item.span(), "", || {
                    Diagnostic::new(format!("{scope} leaves no time"))
                        .help("leave it out for no limit".to_owned())
                });
            }
            Ok(_) => {}
        },
        Shape::Size => {
            if size_bytes(item).is_none() {
                report.error(item.span(), "", || {
                    Diagnostic::new(format!("`{}` is not a size", quote(&item.text()))).help(
                        "write \"64KiB\", \"10MiB\", \"1GiB\", or a number of bytes".to_owned(),
                    )
                });
            }
        }
        Shape::Word(words) => {
            let text = item.text();
            if !words.contains(&&*text) {
                report.error(item.span(), "there is no such word", || {
                    let help = suggest::help(&text, words.iter().copied())
                        .unwrap_or_else(|| format!("write one of {}", words.join(", ")));
                    Diagnostic::new(format!("{scope} cannot be `{}`", quote(&text))).help(help)
                });
            }
        }
        Shape::Integer(least, most) => {
            if integer(item).is_none_or(|number| !(*least..=*most).contains(&number)) {
                report.error(item.span(), format!("not from {least} to {most}"), || {
                    Diagnostic::new(format!(
                        "{scope} must be a whole number from {least} to {most}"
                    ))
                });
            }
        }
        Shape::List(inner) => list(item, inner, scope, report),
        Shape::Map(inner) => {
            for (key, value) in item.members() {
                check(value, inner, Scope::Key(&scope, &key.text()), report);
            }
        }
        Shape::Object(keys) => {
            object(item, keys, scope, report);
            if std::ptr::eq(*keys, HOOK_KEYS) {
                let help = ["give it `bash`, `argv` or `http`", "let a script do both"];
                actions(item, scope, help, report);
            }
        }
        Shape::Param => {
            let keys: Vec<_> = item.members().map(|(key, _)| key.text()).collect();
            if param::is_described(keys.iter().map(|key| &**key)) {
                object(item, PARAM_KEYS, scope, report);
            }
        }
        Shape::Either(shapes) => {
            if let Some(shape) = shapes.iter().find(|shape| admits(shape, item.kind())) {
                check(item, shape, scope, report);
            }
        }
    }
}

fn list(item: Item<'_>, inner: &'static Shape, scope: Scope<'_>, report: &mut Report<'_>) {
    for (index, element) in item.elements().enumerate() {
        if let (Scope::Key(Scope::Dag, "tasks"), Shape::Object(keys)) = (scope, inner) {
            let id = task_id(element);
            let scope = Scope::Task(index + 1, id.as_deref());
            if element.kind() == Kind::Object {
                object(element, keys, scope, report);
                let help = [
                    "give it `bash`, `argv`, `http`, `call`, `trigger` or `\"empty\": true`",
                    "write two tasks, and `after` for their order",
                ];
                actions(element, scope, help, report);
            } else {
                check(element, inner, scope, report);
            }
        } else {
            check(element, inner, Scope::Element(&scope), report);
        }
    }
}

const DURATION_HELP: &str = "write \"90s\", \"10m\", \"1h30m\", \"1d\", or a number of seconds";

/// A task, or a hook, does exactly one thing. The helps are for none and for two.
fn actions(task: Item<'_>, scope: Scope<'_>, [none, two]: [&str; 2], report: &mut Report<'_>) {
    let given = || {
        task.members()
            .filter(|(key, _)| ACTIONS.contains(&&*key.text()))
            .filter(|(key, value)| key.text() != "empty" || value.kind() != Kind::False)
    };
    let mut names: Vec<_> = given().map(|(key, _)| key.text()).collect();
    names.dedup();
    let brace = task.span().start();
    if let (Some((second, _)), true) = (given().nth(1), names.len() > 1) {
        let label = format!("`{}` says already what it does", names[0]);
        report.error(second.span(), label, || {
            Diagnostic::new(format!("{scope} has two actions: `{}`", names.join("`, `")))
                .help(two.to_owned())
        });
    } else if names.is_empty() {
        let brace = super::diagnostic::Span::new(brace, brace + 1);
        report.error(brace, "says nothing of what it does", || {
            Diagnostic::new(format!("{scope} has no action")).help(none.to_owned())
        });
    }
}

/// A whole number, written without fraction and exponent.
pub(crate) fn integer(item: Item<'_>) -> Option<i64> {
    let number = item.kind() == Kind::Number;
    number.then(|| item.raw().parse().ok()).flatten()
}

/// A duration: a text with units, or a number of seconds with at most three decimals that count.
pub(crate) fn duration(item: Item<'_>) -> Result<std::time::Duration, timetable::DurationError> {
    let text = item.text();
    if item.kind() == Kind::String {
        return timetable::parse_duration(&text);
    }
    let fail = |label: &str| timetable::DurationError {
        message: format!("`{}` is not a duration", quote(&text)),
        span: 0..text.len(),
        label: label.to_owned(),
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    if whole.starts_with('-') || decimals.contains(['e', 'E']) || whole.contains(['e', 'E']) {
        return Err(fail("not a number of seconds"));
    }
    let millis = format!("{decimals:0<3}");
    let millis = millis.get(..3).unwrap_or("0");
    let text = format!("{whole}s{millis}ms");
    timetable::parse_duration(&text).map_err(|_| fail("at most 100 years (36525d)"))
}

/// A size: a number of bytes, or a text with a unit of 1024, 1024² or 1024³ bytes. Not zero.
pub(crate) fn size_bytes(item: Item<'_>) -> Option<u64> {
    const UNITS: [(&str, u64); 6] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("K", 1 << 10),
        ("M", 1 << 20),
        ("G", 1 << 30),
    ];
    const SIZE_BYTES_MAX: u64 = 1 << 50;
    let text = item.text();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .unwrap_or((&text, 1));
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=SIZE_BYTES_MAX).contains(&bytes).then_some(bytes)
}
