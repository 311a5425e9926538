//! Task instances of a run: list, one, its attempts.

use crate::api::lookup::{self, EVERY_RUN, Known};
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::span::Span;
use crate::api::view::{self, collection, cursor_collection, with};
use crate::daemon::service::Service;
use crate::dag::{TaskIndex, Value};
use crate::scheduler::{Command, Mark, Refusal, Selection, TaskState};

/// A task instance as it is now.
pub(super) fn entry(service: &Service, (number, run): &Known<'_>, index: TaskIndex) -> Value {
    let waits_for = service.scheduler().waits_for(*number, index);
    view::task_instance(run, index, waits_for.as_ref())
}

pub(super) fn named<'s>(
    service: &'s Service,
    call: &'s Call<'_>,
) -> Result<(Known<'s>, TaskIndex), Problem> {
    let known = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    let index = lookup::task(&known.1.dag, call.id("task_id"))?;
    Ok((known, index))
}

/// Of one run, or of every run in memory.
pub(crate) fn list(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let request = call.request;
    let (offset, limit) = request.page()?;
    let states: Vec<_> = request.query_all("state").collect();
    let task_ids: Vec<_> = request.query_all("task_id").collect();
    let runs = if call.id("run_id") == EVERY_RUN {
        lookup::held(service, call.id("dag_id"))?
    } else {
        vec![lookup::run(
            service,
            &call.past,
            call.id("dag_id"),
            call.id("run_id"),
        )?]
    };
    let mut wanted = Vec::new();
    for known in &runs {
        let run = known.1;
        wanted.extend(
            run.dag
                .indices()
                .map(|index| (known, index))
                .filter(|(_, index)| {
                    let is_state = |state: &&str| *state == run.task(*index).state.name();
                    let task_id = &*run.dag.task(*index).task_id;
                    (states.is_empty() || states.iter().any(is_state))
                        && (task_ids.is_empty() || task_ids.contains(&task_id))
                }),
        );
    }
    let page = wanted.iter().skip(offset).take(limit);
    let entries = page.map(|(known, index)| entry(service, known, *index));
    let total = wanted.len();
    Ok(Reply::json(cursor_collection("task_instances", entries, total)).into())
}

pub(crate) fn get(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (known, index) = named(service, call)?;
    let (dag_id, date) = (&known.1.dag.dag_id, known.1.facts.logical_date);
    let success = service.state().previous_success(dag_id, date);
    let rendered = view::rendered_fields((known.1, success), index, &service.timezone());
    let entry = entry(service, &known, index);
    Ok(with(entry, [("rendered_fields", rendered)]).into())
}

/// Every attempt, in the order they began, with what it took. The journal has them; of an attempt that
/// could not be recorded, memory has the latest.
pub(crate) fn tries(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let entries = attempts(service, call)?;
    let total = entries.len();
    let entries = entries.into_iter().map(|(_, entry)| entry);
    Ok(Reply::json(collection("task_instances", entries, total)).into())
}

/// One of them.
pub(crate) fn one_try(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let wanted = call.id("try").parse().ok();
    let mut entries = attempts(service, call)?.into_iter();
    let entry = entries.find(|(number, _)| Some(*number) == wanted);
    let (_, entry) = entry.ok_or_else(|| Problem::not_found("there is no such attempt"))?;
    Ok(entry.into())
}

/// Attempts with their numbers.
fn attempts(service: &Service, call: &Call<'_>) -> Result<Vec<(u32, Value)>, Problem> {
    let (known, index) = named(service, call)?;
    let (number, run) = known;
    let task_id = &run.dag.task(index).task_id;
    let past = call.past.get(&number);
    let attempts = past.map_or(&[][..], |past| &past.attempts);
    let attempts = attempts
        .iter()
        .filter(|attempt| attempt.task_id == *task_id);
    let mut entries = Vec::new();
    let mut latest = 0;
    for attempt in attempts {
        entries.push((attempt.try_number, view::attempt(run, index, attempt)));
        latest = latest.max(attempt.try_number);
    }
    let try_number = run.task(index).try_number;
    if try_number > latest {
        entries.push((try_number, entry(service, &known, index)));
    }
    Ok(entries)
}

/// Says what a task instance is, or writes about it, and those beside it that the body takes in; what was not run
/// because of what it was runs now.
pub(crate) fn mark(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (known, index) = named(service, call)?;
    let request = call.request;
    request.only_fields(&[
        "new_state",
        "note",
        "include_upstream",
        "include_downstream",
        "include_future",
        "include_past",
    ])?;
    let note = request.note()?;
    let mark = match request.field_text("new_state")? {
        None if note.is_some() => None,
        Some("success") => Some(Mark::Success),
        Some("failed") => Some(Mark::Failed),
        Some("skipped") => Some(Mark::Skipped),
        other => {
            let msg = "Input should be 'success', 'failed' or 'skipped'";
            let input = other.map_or(Value::Null, Value::from);
            return Err(Problem::invalid("enum", &["body", "new_state"], msg, input));
        }
    };
    let mut commands = Vec::new();
    let meant = meant(service, call)?;
    for ((_, run), tasks) in &meant {
        let (dag_id, run_id) = (run.dag.dag_id.to_string(), run.facts.run_id.to_string());
        let Some(mark) = mark else { continue };
        let is_so = |at: &TaskIndex| {
            let instance = run.task(*at);
            instance.state == mark.into() || instance.ending == Some(mark)
        };
        let tasks = tasks.iter().filter(|at| !is_so(at));
        let tasks: Vec<_> = tasks
            .map(|at| run.dag.task(*at).task_id.to_string())
            .collect();
        if tasks.is_empty() {
            continue;
        }
        // Before anything is changed.
        if run.stopped.is_some() {
            return Err(Refusal::RunStopping(run_id).into());
        }
        commands.push(Command::Mark {
            dag_id,
            run_id,
            tasks,
            mark,
        });
    }
    if let Some(mark) = mark.filter(|_| commands.is_empty()) {
        let task_id = known.1.dag.task(index).task_id.clone();
        return Err(Refusal::AlreadySo(task_id, TaskState::from(mark).name()).into());
    }
    for ((_, run), tasks) in meant {
        let note_on = |at: TaskIndex| {
            Some(Command::Note {
                dag_id: run.dag.dag_id.to_string(),
                run_id: run.facts.run_id.to_string(),
                task_id: Some(run.dag.task(at).task_id.to_string()),
                note: note.clone()?,
            })
        };
        commands.extend(tasks.into_iter().filter_map(note_on));
    }
    Ok(Outcome::AskAll(commands, Box::new(marked)))
}

/// The one that is named, and what the body says is to be changed with it; of each run in the DAG's order.
fn meant<'s>(
    service: &'s Service,
    call: &'s Call<'_>,
) -> Result<Vec<(Known<'s>, Vec<TaskIndex>)>, Problem> {
    let flag = |name| Ok::<_, Problem>(call.request.field_bool(name)?.unwrap_or(false));
    let selection = Selection {
        tasks: vec![call.id("task_id").to_owned()],
        upstream: flag("include_upstream")?,
        downstream: flag("include_downstream")?,
        only_failed: false,
        only_running: false,
    };
    let runs = Span::of(call)?.runs(service, &call.past, call.id("dag_id"))?;
    // Another version of the DAG may not have the task.
    let tasks = |known: Known<'s>| Some((known, selection.of(known.1).ok()?));
    Ok(runs.into_iter().filter_map(tasks).collect())
}

fn marked(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(entries(service, meant(service, call)?).into())
}

/// A collection of task instances.
pub(super) fn entries(service: &Service, tasks: Vec<(Known<'_>, Vec<TaskIndex>)>) -> Reply {
    let total = tasks.iter().map(|(_, tasks)| tasks.len()).sum();
    let of_run = |(known, tasks): (Known<'_>, Vec<TaskIndex>)| {
        let entries = tasks.into_iter().map(move |at| entry(service, &known, at));
        entries.collect::<Vec<_>>()
    };
    let entries = tasks.into_iter().flat_map(of_run);
    Reply::json(cursor_collection("task_instances", entries, total))
}
