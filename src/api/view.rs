//! DAGs, tasks, runs and task instances as Airflow's clients know them.

use std::time::Duration;

use crate::dag::{Dag, Task, TaskIndex, Value};
use crate::scheduler::{Run, RunState};
use crate::timetable::Timestamp;

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(
        members
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// Airflow's null for what was left out.
fn text_or_null(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        Value::String(text.to_owned())
    }
}

fn number(number: impl std::fmt::Display) -> Value {
    Value::Number(number.to_string())
}

fn date(moment: Option<Timestamp>) -> Value {
    moment.map_or(Value::Null, |moment| text(moment.to_string()))
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> Value {
    number(format!(
        "{}.{:03}",
        duration.as_secs(),
        duration.subsec_millis()
    ))
}

/// A DAG in a list: `DAGResponse`.
pub fn dag_summary(dag: &Dag, is_paused: bool) -> Value {
    let tag = |tag: &String| object([("name", text(tag)), ("dag_id", text(&*dag.dag_id))]);
    let path = dag.source.as_ref().map(|path| path.display().to_string());
    let file_name = dag.source.as_ref().and_then(|path| path.file_name());
    let max_active_tasks = dag.max_active_tasks.map_or(Value::Null, number);
    object([
        ("dag_id", text(&*dag.dag_id)),
        ("dag_display_name", text(&*dag.dag_id)),
        ("is_paused", Value::Bool(is_paused)),
        ("is_stale", Value::Bool(false)),
        ("description", text_or_null(&dag.description)),
        (
            "timetable_summary",
            dag.schedule
                .as_ref()
                .map_or(Value::Null, |s| text(s.to_string())),
        ),
        ("tags", Value::Array(dag.tags.iter().map(tag).collect())),
        (
            "owners",
            Value::Array(vec![text(if dag.owner.is_empty() {
                "mini-dag"
            } else {
                &dag.owner
            })]),
        ),
        ("max_active_runs", number(dag.max_active_runs)),
        ("max_active_tasks", max_active_tasks),
        ("has_import_errors", Value::Bool(false)),
        ("fileloc", path.map_or(text("compiled-in"), text)),
        (
            "relative_fileloc",
            file_name.map_or(Value::Null, |name| text(name.to_string_lossy())),
        ),
        ("bundle_name", text("dags-folder")),
        ("bundle_version", Value::Null),
    ])
}

/// A task of a DAG: `TaskResponse`.
pub fn task(dag: &Dag, task: &Task) -> Value {
    let id = |index: &TaskIndex| text(&*dag.task(*index).task_id);
    let delta = |duration: Duration| {
        object([
            ("__type", text("TimeDelta")),
            ("days", number(duration.as_secs() / 86_400)),
            ("seconds", number(duration.as_secs() % 86_400)),
            ("microseconds", number(duration.subsec_micros())),
        ])
    };
    object([
        ("task_id", text(&*task.task_id)),
        ("task_display_name", text(&*task.task_id)),
        (
            "owner",
            text(if dag.owner.is_empty() {
                "mini-dag"
            } else {
                &dag.owner
            }),
        ),
        ("operator_name", text(task.operator.name())),
        ("trigger_rule", text(task.trigger_rule.name())),
        ("retries", number(task.retries)),
        ("retry_delay", delta(task.retry_delay)),
        ("execution_timeout", task.timeout.map_or(Value::Null, delta)),
        ("priority_weight", number(task.priority)),
        (
            "upstream_task_ids",
            Value::Array(task.upstream.iter().map(id).collect()),
        ),
        (
            "downstream_task_ids",
            Value::Array(task.downstream.iter().map(id).collect()),
        ),
        ("doc_md", text_or_null(&task.doc)),
        ("is_mapped", Value::Bool(false)),
    ])
}

/// A run: `DAGRunResponse`.
pub fn dag_run(run: &Run) -> Value {
    let facts = &run.facts;
    let duration = match (run.started_at, run.ended_at) {
        (Some(start), Some(end)) => seconds(end.since(start)),
        _ => Value::Null,
    };
    let is_running = run.state == RunState::Running;
    object([
        ("dag_run_id", text(&*facts.run_id)),
        ("dag_id", text(&*run.dag.dag_id)),
        ("dag_display_name", text(&*run.dag.dag_id)),
        ("logical_date", date(Some(facts.logical_date))),
        (
            "data_interval_start",
            date(facts.data_interval.map(|(start, _)| start)),
        ),
        (
            "data_interval_end",
            date(facts.data_interval.map(|(_, end)| end)),
        ),
        ("queued_at", date(Some(run.queued_at))),
        ("start_date", date(run.started_at)),
        (
            "end_date",
            if is_running {
                Value::Null
            } else {
                date(run.ended_at)
            },
        ),
        ("duration", duration),
        ("run_type", text(facts.run_type.name())),
        ("state", text(run.state.name())),
        ("conf", Value::Object(facts.params.clone())),
        ("note", Value::Null),
    ])
}

/// A task instance of a run: `TaskInstanceResponse`.
pub fn task_instance(run: &Run, index: TaskIndex) -> Value {
    let (task, instance) = (run.dag.task(index), run.task(index));
    let duration = match (instance.started_at, instance.ended_at) {
        (Some(start), Some(end)) => seconds(end.since(start)),
        _ => Value::Null,
    };
    // Airflow has no name for "not begun": its state is null.
    let state = Some(instance.state.name()).filter(|name| *name != "none");
    object([
        ("task_id", text(&*task.task_id)),
        ("task_display_name", text(&*task.task_id)),
        ("dag_id", text(&*run.dag.dag_id)),
        ("dag_run_id", text(&*run.facts.run_id)),
        ("logical_date", date(Some(run.facts.logical_date))),
        ("map_index", number(-1)),
        ("start_date", date(instance.started_at)),
        ("end_date", date(instance.ended_at)),
        ("duration", duration),
        ("state", state.map_or(Value::Null, text)),
        ("try_number", number(instance.try_number)),
        ("max_tries", number(instance.max_tries)),
        ("priority_weight", number(task.priority)),
        ("operator", text(task.operator.name())),
    ])
}
