//! `mini-dag cancel`: stops a run.

use clap::{ArgMatches, Command};

use super::client::{Client, run_path, text};
use super::{Context, Failure, dag_id_arg, json_arg, run_arg, state_arg, terminal};
use crate::dag::Value;

pub(super) fn command() -> Command {
    Command::new("cancel")
        .about("Stop a run: its tasks get SIGTERM, and SIGKILL 10 seconds later")
        .after_help(
            "What had not begun is skipped, and the run fails. `mini-dag clear` begins it anew.",
        )
        .arg(dag_id_arg())
        .arg(run_arg().required(true))
        .arg(state_arg())
        .arg(json_arg())
}

pub(super) fn cancel(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let client = Client::new(context, matches)?;
    let dag_id = super::dag_id(matches);
    let run_id = client.run_id(dag_id, matches)?;
    let body = Value::Object([("state".to_owned(), Value::String("failed".to_owned()))].into());
    let run = client.send("PATCH", &run_path(dag_id, &run_id), &body)?;
    if matches.get_flag("json") {
        return terminal::print(&format!("{run}\n"));
    }
    let how = match text(&run, "state").as_str() {
        "failed" => "is cancelled",
        _ => "is being cancelled",
    };
    terminal::print(&format!(
        "{} {} {how}\n",
        text(&run, "dag_id"),
        text(&run, "dag_run_id")
    ))
}
