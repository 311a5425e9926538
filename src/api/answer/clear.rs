//! Clearing: tasks of a run begin anew. As in Airflow, only shown unless `dry_run` is false.

use crate::api::lookup::{self, Known};
use crate::api::problem::Problem;
use crate::api::router::{After, Call, Outcome};
use crate::api::span::Span;
use crate::api::view;
use crate::daemon::service::Service;
use crate::dag::{TaskIndex, Value};
use crate::scheduler::{Command, Refusal, Selection};

use super::task_instances::entries;

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
        only_running: false,
    };
    let known = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    clear(service, call, vec![known], &selection, |_| {
        Box::new(run_cleared)
    })
}

fn run_cleared(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (_, run) = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    Ok(view::dag_run(run).into())
}

/// Clears tasks of the runs that the body names.
pub(crate) fn tasks(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let request = call.request;
    request.only_fields(&[
        "dry_run",
        "dag_run_id",
        "task_ids",
        "only_failed",
        "only_running",
        "include_upstream",
        "include_downstream",
        "include_future",
        "include_past",
        "start_date",
        "end_date",
        "reset_dag_runs",
        "run_on_latest_version",
        "prevent_running_task",
        "note",
    ])?;
    let selection = Selection {
        tasks: task_ids(call)?,
        upstream: request.field_bool("include_upstream")?.unwrap_or(false),
        downstream: request.field_bool("include_downstream")?.unwrap_or(false),
        only_failed: request.field_bool("only_failed")?.unwrap_or(true),
        only_running: request.field_bool("only_running")?.unwrap_or(false),
    };
    let runs = Span::of(call)?.runs(service, &call.past, call.id("dag_id"))?;
    clear(service, call, runs, &selection, |cleared| {
        Box::new(move |service, call| tasks_cleared(service, call, cleared))
    })
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

/// The tasks of each run, by its id.
type Cleared = Vec<(String, Vec<TaskIndex>)>;

fn tasks_cleared(service: &Service, call: &Call<'_>, cleared: Cleared) -> Result<Outcome, Problem> {
    let of_run = |(run_id, tasks): (String, Vec<TaskIndex>)| {
        let known = lookup::run(service, &call.past, call.id("dag_id"), &run_id)?;
        Ok((known, tasks))
    };
    let cleared = cleared.into_iter().map(of_run);
    let cleared = cleared.collect::<Result<_, Problem>>()?;
    Ok(entries(service, cleared).into())
}

/// Clears what is selected in each of the runs, or shows what that is.
fn clear(
    service: &Service,
    call: &Call<'_>,
    runs: Vec<Known<'_>>,
    selection: &Selection,
    then: impl FnOnce(Cleared) -> After,
) -> Result<Outcome, Problem> {
    let (mut selected, mut refused) = (Vec::new(), None);
    for known in runs {
        match selection.of(known.1) {
            Ok(tasks) if tasks.is_empty() => {}
            Ok(tasks) => selected.push((known, tasks)),
            // Another version of the DAG may not have the task.
            Err(refusal) => refused = Some(refusal),
        }
    }
    if let Some(refusal) = refused.filter(|_| selected.is_empty()) {
        return Err(refusal.into());
    }
    if call.request.field_bool("dry_run")?.unwrap_or(true) {
        return Ok(entries(service, selected).into());
    }
    let (mut commands, mut cleared) = (Vec::new(), Vec::new());
    for ((_, run), tasks) in selected {
        let (dag_id, run_id) = (run.dag.dag_id.to_string(), run.facts.run_id.to_string());
        // Before anything is changed.
        if run.stopped.is_some() {
            return Err(Refusal::RunStopping(run_id).into());
        }
        cleared.push((run_id.clone(), tasks));
        let selection = selection.clone();
        commands.push(Command::Clear {
            dag_id,
            run_id,
            selection,
        });
    }
    Ok(Outcome::AskAll(commands, then(cleared)))
}
