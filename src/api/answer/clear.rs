//! Clearing: tasks of a run begin anew. As in Airflow, only shown unless `dry_run` is false.

use crate::api::lookup::{self, Known};
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, cursor_collection};
use crate::daemon::service::Service;
use crate::dag::{TaskIndex, Value};
use crate::scheduler::{Answer, Command, Selection};

use super::task_instances::entry;

/// What Airflow can be asked to take into a clear as well, and this program cannot.
const CANNOT: [&str; 5] = [
    "include_future",
    "include_past",
    "only_running",
    "start_date",
    "end_date",
];

/// Clears a whole run, or what failed in it.
pub(crate) fn run(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let request = call.request;
    request.only_fields(&[
        "dry_run",
        "only_failed",
        "only_new",
        "run_on_latest_version",
        "note",
    ])?;
    if request.field_bool("only_new")? == Some(true) {
        return Err(Problem::not_implemented("`only_new`"));
    }
    let selection = Selection {
        tasks: Vec::new(),
        upstream: false,
        downstream: false,
        only_failed: request.field_bool("only_failed")?.unwrap_or(false),
    };
    clear(service, call, call.id("run_id"), selection, run_cleared)
}

fn run_cleared(service: &Service, call: &Call<'_>, _: &Answer) -> Result<Reply, Problem> {
    let (_, run) = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    Ok(view::dag_run(run).into())
}

/// Clears tasks of a run that the body names.
pub(crate) fn tasks(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let request = call.request;
    let known = [
        "dry_run",
        "dag_run_id",
        "task_ids",
        "only_failed",
        "include_upstream",
        "include_downstream",
        "reset_dag_runs",
        "run_on_latest_version",
        "prevent_running_task",
        "note",
    ];
    request.only_fields(&[&known[..], &CANNOT[..]].concat())?;
    let is_wanted = |value: &Value| *value != Value::Bool(false);
    if let Some(name) = CANNOT
        .iter()
        .find(|name| request.field(name).is_some_and(is_wanted))
    {
        return Err(Problem::not_implemented(&format!("`{name}` of a clear")));
    }
    lookup::dag(service, call.id("dag_id"))?;
    let run_id = request
        .field_text("dag_run_id")?
        .ok_or_else(|| Problem::not_implemented("a clear of more than one run: `dag_run_id`"))?;
    let selection = Selection {
        tasks: task_ids(call)?,
        upstream: request.field_bool("include_upstream")?.unwrap_or(false),
        downstream: request.field_bool("include_downstream")?.unwrap_or(false),
        only_failed: request.field_bool("only_failed")?.unwrap_or(true),
    };
    clear(service, call, run_id, selection, tasks_cleared)
}

/// Names; Airflow also takes pairs of a name and a map index.
fn task_ids(call: &Call<'_>) -> Result<Vec<String>, Problem> {
    let Some(value) = call.request.field("task_ids") else {
        return Ok(Vec::new());
    };
    let ids = value.as_array().and_then(|ids| {
        let name = |id: &Value| match id.as_array() {
            Some(pair) => pair.first()?.as_str().map(str::to_owned),
            None => id.as_str().map(str::to_owned),
        };
        ids.iter().map(name).collect()
    });
    ids.ok_or_else(|| {
        let msg = "Input should be a list of task ids";
        Problem::invalid("list_type", &["body", "task_ids"], msg, value.clone())
    })
}

fn tasks_cleared(service: &Service, call: &Call<'_>, answer: &Answer) -> Result<Reply, Problem> {
    let run_id = call.request.field_text("dag_run_id")?.unwrap_or_default();
    let known = lookup::run(service, &call.past, call.id("dag_id"), run_id)?;
    let cleared = match answer {
        Answer::Cleared(cleared) => cleared.as_slice(),
        Answer::Triggered(_)
        | Answer::Cancelled
        | Answer::Paused
        | Answer::Done
        | Answer::Backfill(_) => &[],
    };
    let indices = cleared
        .iter()
        .filter_map(|task_id| known.1.dag.find(task_id));
    Ok(shown(service, &known, indices))
}

fn clear(
    service: &Service,
    call: &Call<'_>,
    run_id: &str,
    selection: Selection,
    then: crate::api::router::Then,
) -> Result<Outcome, Problem> {
    let known = lookup::run(service, &call.past, call.id("dag_id"), run_id)?;
    let dag_id = known.1.dag.dag_id.to_string();
    let run_id = run_id.to_owned();
    let selected = selection.of(known.1)?;
    if call.request.field_bool("dry_run")?.unwrap_or(true) {
        return Ok(shown(service, &known, selected).into());
    }
    let command = Command::Clear {
        dag_id,
        run_id,
        selection,
    };
    Ok(Outcome::Ask(command, then))
}

fn shown(
    service: &Service,
    known: &Known<'_>,
    indices: impl IntoIterator<Item = TaskIndex>,
) -> Reply {
    let indices: Vec<_> = indices.into_iter().collect();
    let total = indices.len();
    let entries = indices
        .into_iter()
        .map(|index| entry(service, known, index));
    Reply::json(cursor_collection("task_instances", entries, total))
}
