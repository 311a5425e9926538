//! `mini-dag reload`: has the daemon read its config and the DAG files again.

use clap::{ArgMatches, Command};

use super::client::{Client, number};
use super::{Failure, json_arg, state_arg, terminal};
use crate::dag::Value;

pub(super) fn command() -> Command {
    Command::new("reload")
        .about("Have the daemon read its config and the DAG files again")
        .after_help("Runs that are active finish with the DAG they began with.")
        .arg(state_arg())
        .arg(json_arg())
}

/// Exit code 1 if a file does not load.
pub(super) fn reload(matches: &ArgMatches) -> Result<(), Failure> {
    let answer = Client::new(matches)?.send("POST", "/mini-dag/v1/reload", &Value::Null)?;
    let errors = answer
        .get("errors")
        .and_then(Value::as_array)
        .unwrap_or(&[]);
    if matches.get_flag("json") {
        terminal::print(&format!("{answer}\n"))?;
    } else {
        let (dags, files) = (number(&answer, "dags"), number(&answer, "files"));
        let broken = errors.len();
        let text = format!("{dags} DAGs, {files} files, {broken} errors\n");
        terminal::print(&text)?;
        terminal::complain_as_said(errors);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}
