//! `mini-dag trigger`: has the daemon run a DAG now, and waits for it if asked to.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::client::{self, Client, dag_path, number, run_path, runs_path, text};
use super::progress::{Change, Progress};
use super::{Context, Failure, dag_id_arg, json_arg, params, state_arg, terminal};
use crate::daemon::{clock, layout};
use crate::dag::map_of;
use crate::dag::{Param, Value};
use crate::scheduler::TaskState;
use crate::timetable::Timestamp;

/// Between two looks at a run.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn command() -> Command {
    Command::new("trigger")
        .about("Have the daemon run a DAG now")
        .arg(dag_id_arg())
        .arg(params::param_arg())
        .arg(params::logical_date_arg())
        .arg(
            Arg::new("run-id")
                .long("run-id")
                .value_name("RUN")
                .help("What the run is called [default: manual__ and its logical date]"),
        )
        .arg(
            Arg::new("wait")
                .long("wait")
                .action(ArgAction::SetTrue)
                .help("Show how it goes, and exit with 0 if the run succeeded and 1 if it failed"),
        )
        .arg(state_arg())
        .arg(json_arg())
}

pub(super) fn trigger(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let client = Client::new(context, matches)?;
    let dag_id = super::dag_id(matches);
    let logical_date = params::logical_date(matches)?;
    let details = client.get(&format!("{}/details", dag_path(dag_id)))?;
    let params = params::params(dag_id, &declared(&details), matches)?;
    let date = logical_date.map_or(Value::Null, |date| Value::String(date.to_string()));
    let mut body = BTreeMap::new();
    body.insert("logical_date".to_owned(), date);
    body.insert("conf".to_owned(), Value::Object(params));
    if let Some(run_id) = matches.get_one::<String>("run-id") {
        body.insert("dag_run_id".to_owned(), Value::String(run_id.clone()));
    }
    let run = client.send("POST", &runs_path(dag_id), &Value::Object(body))?;
    let run_id = run
        .get("dag_run_id")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    let as_json = matches.get_flag("json");
    let is_paused = details.get("is_paused").and_then(Value::as_bool) == Some(true);
    if is_paused && !as_json {
        let text = format!("{dag_id} is paused: the run waits for `mini-dag unpause {dag_id}`\n");
        terminal::print(&text)?;
    }
    if matches.get_flag("wait") {
        return wait(context, &client, (dag_id, &run_id), as_json);
    }
    if as_json {
        return terminal::print(&format!("{run}\n"));
    }
    terminal::print(&format!(
        "triggered {dag_id} {run_id}\n`mini-dag status {dag_id} {run_id}` says how it goes\n"
    ))
}

/// The parameters that a DAG has, from its details.
pub(super) fn declared(details: &Value) -> BTreeMap<String, Param> {
    let params = details.get("params").and_then(Value::as_object);
    let own = |param: &Value| {
        let schema = param.get("schema").and_then(Value::as_object);
        let mut members = schema.cloned().unwrap_or_default();
        let default = param.get("value").cloned().unwrap_or(Value::Null);
        members.insert("default".to_owned(), default);
        Param::read(Value::Object(members)).0
    };
    let params = params.into_iter().flatten();
    map_of(params.map(|(name, param)| (name.clone(), own(param))))
}

fn wait(
    context: &Context,
    client: &Client,
    (dag_id, run_id): (&str, &str),
    as_json: bool,
) -> Result<(), Failure> {
    let path = run_path(dag_id, run_id);
    let tasks_path = format!("{path}/taskInstances?");
    let tasks = client.all(&tasks_path, "task_instances")?;
    let mut progress = Progress::new(
        (dag_id, run_id),
        tasks.iter().map(|task| text(task, "task_id")),
        layout::run_logs(client.state(), dag_id, run_id),
        context.library.zones.local(),
        as_json,
    );
    progress.begin(clock::now().monotonic);
    let mut seen: Vec<_> = tasks.iter().map(|_| ("", 0)).collect();
    loop {
        // First the run: if it is over, what is seen of its tasks is final.
        let run = client.get(&path)?;
        let tasks = client.all(&tasks_path, "task_instances")?;
        let now = clock::now().monotonic;
        for (at, (task, seen)) in tasks.iter().zip(&mut seen).enumerate() {
            let change = change(task);
            let is_new = *seen != (change.state, change.try_number);
            *seen = (change.state, change.try_number);
            if is_new && !change.state.is_empty() {
                progress.change(at, change, now);
            }
        }
        progress.draw(now);
        let state = text(&run, "state");
        if matches!(&*state, "success" | "failed") {
            progress.end(&state, now);
            if as_json {
                terminal::print(&format!("{}\n", with(run, "task_instances", tasks)))?;
            }
            return if state == "success" {
                Ok(())
            } else {
                Err(Failure::Silent)
            };
        }
        client::wait(LOOK_EVERY);
    }
}

/// A task instance of the API. What has not begun has no state.
fn change(task: &Value) -> Change {
    let states = [
        TaskState::Running,
        TaskState::Success,
        TaskState::Failed,
        TaskState::UpForRetry,
        TaskState::UpstreamFailed,
        TaskState::Skipped,
    ];
    let state = text(task, "state");
    let name = states
        .iter()
        .map(|state| state.name())
        .find(|name| *name == state);
    let date = |key| Timestamp::parse(task.get(key)?.as_str()?).ok();
    let seconds = task.get("duration").and_then(Value::as_f64);
    Change {
        state: name.unwrap_or(""),
        try_number: u32::try_from(number(task, "try_number")).unwrap_or(u32::MAX),
        took: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        text: String::new(),
        at: date("end_date")
            .or_else(|| date("start_date"))
            .unwrap_or_default(),
    }
}

/// A run with a list of what belongs to it; its task instances as `run --json` shows them.
pub(super) fn with(run: Value, name: &str, list: Vec<Value>) -> Value {
    match run {
        Value::Object(mut members) => {
            members.insert(name.to_owned(), Value::Array(list));
            Value::Object(members)
        }
        run @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)) => run,
    }
}
