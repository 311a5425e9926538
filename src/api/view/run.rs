//! A run and its task instances.

use super::dag::version;
use super::{date, number, object, seconds, text, took, uuid, with};
use crate::daemon::hooks::why;
use crate::dag::{TaskIndex, Value};
use crate::journal::PastAttempt;
use crate::scheduler::{
    Attempt, ClockTrust, Ended, Exit, Run, RunState, RunType, StopCause, TaskState, WaitsFor,
};
use crate::timetable::Timestamp;

/// A run: `DAGRunResponse`.
pub fn dag_run(run: &Run) -> Value {
    let facts = &run.facts;
    let is_running = run.state == RunState::Running;
    let ended_at = run.ended_at.filter(|_| !is_running);
    let triggered_by = match facts.run_type {
        RunType::Scheduled => "timetable",
        RunType::Manual => "rest_api",
        RunType::Backfill => "backfill",
    };
    let (start, end) = facts.data_interval.unzip();
    let is_right = facts.clock == ClockTrust::Synchronised;
    let doubt = format!("the clock was {} when it was created", facts.clock.name());
    let doubted = (!is_right).then(|| text(doubt));
    // What a person wrote counts for more than what the program says of its clock.
    let note = Some(text(&*run.note))
        .filter(|_| !run.note.is_empty())
        .or(doubted);
    object([
        ("dag_run_id", text(&*facts.run_id)),
        ("dag_id", text(&*run.dag.dag_id)),
        ("dag_display_name", text(&*run.dag.dag_id)),
        ("logical_date", date(Some(facts.logical_date))),
        ("data_interval_start", date(start)),
        ("data_interval_end", date(end)),
        ("run_after", date(Some(run_after(run)))),
        ("queued_at", date(Some(run.queued_at))),
        ("start_date", date(run.started_at)),
        ("end_date", date(ended_at)),
        ("duration", took(run.started_at, ended_at)),
        ("last_scheduling_decision", Value::Null),
        ("run_type", text(facts.run_type.name())),
        ("state", text(run.state.name())),
        ("triggered_by", text(triggered_by)),
        ("triggering_user_name", Value::Null),
        ("conf", Value::Object(facts.params.clone())),
        ("note", note.unwrap_or(Value::Null)),
        (
            "dag_versions",
            Value::Array(vec![version(&run.dag, run.queued_at)]),
        ),
        ("bundle_version", Value::Null),
        ("partition_key", Value::Null),
        ("partition_date", Value::Null),
    ])
}

/// When the run could be created: at the end of the time that it is about, if there is one.
pub(crate) fn run_after(run: &Run) -> Timestamp {
    let end = run.facts.data_interval.map(|(_, end)| end);
    end.unwrap_or(run.facts.logical_date)
}

/// A task instance of a run: `TaskInstanceResponse`, and what it waits for if it may start otherwise.
pub fn task_instance(run: &Run, index: TaskIndex, waits_for: Option<&WaitsFor>) -> Value {
    let (task, instance) = (run.dag.task(index), run.task(index));
    let state = task_state(run, index, waits_for);
    let ended_at = instance
        .ended_at
        .filter(|_| instance.state != TaskState::Running);
    let (dag_id, run_id, task_id) = (&*run.dag.dag_id, &*run.facts.run_id, &*task.task_id);
    object([
        ("id", text(uuid(&["task", dag_id, run_id, task_id]))),
        ("task_id", text(task_id)),
        ("task_display_name", text(task_id)),
        ("dag_id", text(dag_id)),
        ("dag_display_name", text(dag_id)),
        ("dag_run_id", text(run_id)),
        ("logical_date", date(Some(run.facts.logical_date))),
        ("run_after", date(Some(run_after(run)))),
        ("map_index", number(-1)),
        ("rendered_map_index", Value::Null),
        ("rendered_fields", object([])),
        ("start_date", date(instance.started_at)),
        ("end_date", date(ended_at)),
        ("duration", took(instance.started_at, ended_at)),
        ("state", state),
        ("try_number", number(instance.try_number)),
        ("max_tries", number(instance.max_tries)),
        ("hostname", Value::Null),
        ("unixname", Value::Null),
        ("pid", Value::Null),
        ("pool", text(&*task.pool)),
        ("pool_slots", number(task.pool_slots)),
        ("queue", text("default")),
        ("priority_weight", number(task.weight)),
        ("operator", text(task.operator.name())),
        ("operator_name", text(task.operator.name())),
        (
            "waits_for",
            waits_for.map_or(Value::Null, |what| text(what.to_string())),
        ),
        ("queued_when", Value::Null),
        ("scheduled_when", Value::Null),
        ("executor", Value::Null),
        ("executor_config", text("{}")),
        ("note", instance.note.as_deref().map_or(Value::Null, text)),
        ("trigger", Value::Null),
        ("triggerer_job", Value::Null),
        ("dag_version", version(&run.dag, run.queued_at)),
    ])
}

/// The state of a task instance; Airflow has no name for "not begun": that is null.
pub(crate) fn task_state(run: &Run, index: TaskIndex, waits_for: Option<&WaitsFor>) -> Value {
    let state = run.task(index).state;
    match state {
        // Between two pokes it waits for the next; else for a slot. One that waits for nothing is poked now.
        TaskState::UpForReschedule => text(match waits_for {
            Some(WaitsFor::Poke(_) | WaitsFor::Run { .. } | WaitsFor::Past { .. }) => state.name(),
            Some(_) => "scheduled",
            None => TaskState::Running.name(),
        }),
        TaskState::None | TaskState::UpForRetry
            if waits_for.is_some_and(WaitsFor::is_for_slots) =>
        {
            text("scheduled")
        }
        TaskState::None => Value::Null,
        TaskState::Running
        | TaskState::Success
        | TaskState::Failed
        | TaskState::UpForRetry
        | TaskState::UpstreamFailed
        | TaskState::Skipped => text(state.name()),
    }
}

/// One attempt of a task instance: `TaskInstanceHistoryResponse`, and what the attempt took.
pub(crate) fn attempt(run: &Run, index: TaskIndex, attempt: &PastAttempt) -> Value {
    let instance = run.task(index);
    let end = attempt.end.as_ref();
    let is_running =
        instance.state == TaskState::Running && instance.try_number == attempt.try_number;
    let state = match end.map(|end| end.state) {
        Some(Ended::Interrupted) => Value::Null,
        Some(state) => text(TaskState::from(state).name()),
        None if is_running => text(TaskState::Running.name()),
        None => Value::Null,
    };
    let took = end.map(|end| &end.attempt);
    let task = run.dag.task(index);
    let (code, signal) = match took.map(|took| &took.exit) {
        // No process has exited.
        Some(Exit::Code(_)) if task.operator.trigger().is_some() => (Value::Null, Value::Null),
        Some(Exit::Code(code)) => (number(code), Value::Null),
        Some(Exit::Signal(signal)) => (Value::Null, number(signal)),
        Some(Exit::NotStarted(_) | Exit::Unknown) | None => (Value::Null, Value::Null),
    };
    let told = |what: &dyn Fn(&Attempt) -> Value| took.map_or(Value::Null, what);
    with(
        task_instance(run, index, None),
        [
            ("start_date", date(attempt.started_at)),
            ("end_date", date(end.map(|end| end.at))),
            ("duration", told(&|took| seconds(took.duration))),
            ("state", state),
            ("try_number", number(attempt.try_number)),
            ("exit_code", code),
            ("signal", signal),
            ("not_started", not_started(took)),
            ("stopped", stopped(took)),
            (
                "reason",
                told(&|took| took.reason.as_ref().map_or(Value::Null, text)),
            ),
            (
                "why",
                told(&|took| match why(task, took) {
                    nothing if nothing.is_empty() => Value::Null,
                    why => text(why),
                }),
            ),
            ("cpu_s", told(&|took| seconds(took.cpu))),
            (
                "memory_peak_bytes",
                told(&|took| number(took.memory_peak_bytes)),
            ),
            ("output_bytes", told(&|took| number(took.output_bytes))),
            (
                "output_dropped_bytes",
                told(&|took| number(took.output_dropped_bytes)),
            ),
        ],
    )
}

/// Why the process could not be started; null if it was.
fn not_started(attempt: Option<&Attempt>) -> Value {
    match attempt.map(|attempt| &attempt.exit) {
        Some(Exit::NotStarted(why)) => text(why),
        Some(Exit::Code(_) | Exit::Signal(_) | Exit::Unknown) | None => Value::Null,
    }
}

/// Why the attempt was stopped; null if it was not.
fn stopped(attempt: Option<&Attempt>) -> Value {
    let cause = attempt.and_then(|attempt| attempt.stopped);
    cause.map_or(Value::Null, |cause| {
        text(match cause {
            StopCause::TimedOut => "timed_out",
            StopCause::RunStopped => "run_stopped",
            StopCause::Cleared => "cleared",
            StopCause::Marked => "marked",
            StopCause::Shutdown => "shutdown",
        })
    })
}
