//! `mini-dag pause` and `mini-dag unpause`: whether anything of a DAG starts.

use clap::{ArgMatches, Command};

use super::client::{Client, dag_path};
use super::{Context, Failure, dag_id_arg, json_arg, state_arg, terminal};
use crate::dag::Value;
use crate::dag::diagnostic::printable;

pub(super) fn pause_command() -> Command {
    let about = "Pause a DAG: what runs goes on, and nothing of it starts";
    command("pause", about)
}

pub(super) fn unpause_command() -> Command {
    command("unpause", "Unpause a DAG: its runs start again")
}

fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(dag_id_arg())
        .arg(state_arg())
        .arg(json_arg())
}

pub(super) fn pause(
    context: &Context,
    matches: &ArgMatches,
    is_paused: bool,
) -> Result<(), Failure> {
    let dag_id = super::dag_id(matches);
    let body = Value::Object([("is_paused".to_owned(), Value::Bool(is_paused))].into());
    let answer = Client::new(context, matches)?.send("PATCH", &dag_path(dag_id), &body)?;
    if matches.get_flag("json") {
        return terminal::print(&format!("{answer}\n"));
    }
    let what = if is_paused { "paused" } else { "unpaused" };
    terminal::print(&format!("{} is {what}\n", printable(dag_id)))
}
