//! `mini-dag clear`: runs tasks of a run again, the point of a DAG over a script.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::client::{Client, dag_path, text};
use super::{Context, Failure, dag_id_arg, json_arg, run_arg, state_arg, terminal};
use crate::dag::Value;

pub(super) fn command() -> Command {
    Command::new("clear")
        .about("Run tasks of a run again")
        .after_help(
            "Examples:\n  mini-dag clear backup latest --only-failed       what failed, and what it held up\n  \
             mini-dag clear backup latest --task upload --downstream    from there on",
        )
        .arg(dag_id_arg())
        .arg(run_arg().required(true))
        .arg(
            Arg::new("task")
                .long("task")
                .value_name("TASK")
                .action(ArgAction::Append)
                .help("Only this task; may be given more than once [default: all tasks]"),
        )
        .arg(
            Arg::new("downstream")
                .long("downstream")
                .action(ArgAction::SetTrue)
                .help("And everything after it"),
        )
        .arg(
            Arg::new("only-failed")
                .long("only-failed")
                .action(ArgAction::SetTrue)
                .help("But of these only what failed, or did not run because of that"),
        )
        .arg(state_arg())
        .arg(json_arg())
}

pub(super) fn clear(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let client = Client::new(context, matches)?;
    let dag_id = super::dag_id(matches);
    let run_id = client.run_id(dag_id, matches)?;
    let tasks = matches.get_many::<String>("task").into_iter().flatten();
    let tasks = tasks
        .map(|task_id| Value::String(task_id.clone()))
        .collect();
    let flag = |name| Value::Bool(matches.get_flag(name));
    let body = Value::from([
        ("dry_run", Value::Bool(false)),
        ("dag_run_id", Value::String(run_id.clone())),
        ("task_ids", Value::Array(tasks)),
        ("include_downstream", flag("downstream")),
        ("only_failed", flag("only-failed")),
    ]);
    let path = format!("{}/clearTaskInstances", dag_path(dag_id));
    let answer = client.send("POST", &path, &body)?;
    if matches.get_flag("json") {
        return terminal::print(&format!("{answer}\n"));
    }
    let cleared = answer.get("task_instances").and_then(Value::as_array);
    let ids: Vec<_> = cleared
        .unwrap_or(&[])
        .iter()
        .map(|task| text(task, "task_id"))
        .collect();
    if ids.is_empty() {
        return terminal::print("nothing to clear\n");
    }
    terminal::print(&format!("cleared {}\n", ids.join(", ")))
}
