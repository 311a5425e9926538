//! What a run is given on the command line: `--param NAME=VALUE` and `--logical-date DATE`.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches};

use super::Failure;
use crate::dag::diagnostic::printable;
use crate::dag::{Diagnostic, Param, Value, suggest};
use crate::timetable::Timestamp;

pub(super) fn param_arg() -> Arg {
    Arg::new("param")
        .long("param")
        .value_name("NAME=VALUE")
        .action(ArgAction::Append)
        .help("Set a parameter of the DAG for this run")
}

pub(super) fn logical_date_arg() -> Arg {
    Arg::new("logical-date")
        .long("logical-date")
        .value_name("DATE")
        .help("What the run is named after, such as 2026-11-22T06:00:00+00:00 [default: now]")
}

pub(super) fn logical_date(matches: &ArgMatches) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = matches.get_one::<String>("logical-date") else {
        return Ok(None);
    };
    Timestamp::parse(text).map(Some).map_err(|error| {
        let message = format!("`{}` is {error}", printable(text));
        Failure::Usage(Diagnostic::new(message).into())
    })
}

/// The `--param`s, each of a kind that the DAG's own may be.
pub(super) fn params(
    dag_id: &str,
    known: &BTreeMap<String, Param>,
    matches: &ArgMatches,
) -> Result<BTreeMap<String, Value>, Failure> {
    let mut params = BTreeMap::new();
    for param in matches.get_many::<String>("param").into_iter().flatten() {
        let Some((name, text)) = param.split_once('=') else {
            let message = format!("`{}` is not a parameter", printable(param));
            let help = "write --param NAME=VALUE".to_owned();
            return Err(Failure::Usage(Diagnostic::new(message).help(help).into()));
        };
        let Some(own) = known.get(name) else {
            let names = known.keys().map(String::as_str);
            let help = suggest::help(name, names).unwrap_or_else(|| {
                let names: Vec<_> = known.keys().map(String::as_str).collect();
                if names.is_empty() {
                    "it has none".into()
                } else {
                    format!("it has {}", names.join(", "))
                }
            });
            let message = format!("DAG `{dag_id}` has no parameter `{}`", printable(name));
            return Err(Diagnostic::new(message).help(help).into());
        };
        let value = own.parse(text).map_err(|why| {
            Diagnostic::new(format!(
                "parameter `{name}` cannot be `{}`",
                printable(text)
            ))
            .help(format!("it {why}"))
        })?;
        params.insert(name.to_owned(), value);
    }
    Ok(params)
}
