//! Runs: list, one, trigger, set to failed.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use hyper::StatusCode;

use super::dags::{cannot_order, contains_like};
use crate::api::lookup::{self, Known};
use crate::api::problem::Problem;
use crate::api::request::Request;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, cursor_collection, text};
use crate::daemon::clock;
use crate::daemon::service::Service;
use crate::dag::{TaskIndex, Value};
use crate::scheduler::{
    Answer, Command, Mark, NOTE_BYTES_MAX, Refusal, Run, RunType, Selection, TaskState, Trigger,
};
use crate::timetable::Timestamp;

/// A page of the runs in memory and of the latest [`RUNS_MAX`] in the journal. `total_entries` counts those
/// that were looked at: all there are, but of a list of the latest (`-id`) no more than it takes to see
/// that there are more than shown.
///
/// [`RUNS_MAX`]: crate::api::past::RUNS_MAX
pub(crate) fn list(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let request = call.request;
    let (offset, limit) = request.page()?;
    let states: Vec<_> = request.query_all("state").collect();
    let types: Vec<_> = request.query_all("run_type").collect();
    let mut runs = lookup::runs(service, &call.past, call.id("dag_id"))?;
    let dag_ids: Vec<_> = request.query_all("dag_ids").collect();
    let pattern = request.query("run_id_pattern").unwrap_or("");
    let [run_after, logical_date, start_date, end_date] = [
        request.bounds("run_after")?,
        request.bounds("logical_date")?,
        request.bounds("start_date")?,
        request.bounds("end_date")?,
    ];
    runs.retain(|(_, run)| {
        (states.is_empty() || states.contains(&run.state.name()))
            && (types.is_empty() || types.contains(&run.facts.run_type.name()))
            && (dag_ids.is_empty() || dag_ids.contains(&&*run.dag.dag_id))
            && contains_like(&run.facts.run_id, pattern)
            && run_after.hold(Some(view::run_after(run)))
            && logical_date.hold(Some(run.facts.logical_date))
            && start_date.hold(run.started_at)
            && end_date.hold(run.ended_at)
    });
    order(&mut runs, request.query("order_by").unwrap_or("id"))?;
    let total = runs.len();
    let page = runs.iter().skip(offset).take(limit);
    let entries = page.map(|(_, run)| view::dag_run(run));
    Ok(Reply::json(cursor_collection("dag_runs", entries, total)).into())
}

/// Sorts by a key of Airflow's; a dash before it is the other way round. Equal ones stay by age.
fn order(runs: &mut [Known<'_>], by: &str) -> Result<(), Problem> {
    let (key, is_descending) = match by.strip_prefix('-') {
        Some(key) => (key, true),
        None => (by, false),
    };
    // One sort for all keys: each brings its code along.
    let compare: fn(&Run, &Run) -> Ordering = match key {
        "id" | "dag_run_id" | "run_id" => |_, _| Ordering::Equal,
        "dag_id" => |one, other| one.dag.dag_id.cmp(&other.dag.dag_id),
        "run_after" => |one, other| view::run_after(one).cmp(&view::run_after(other)),
        "logical_date" => |one, other| one.facts.logical_date.cmp(&other.facts.logical_date),
        "start_date" => |one, other| one.started_at.cmp(&other.started_at),
        "end_date" => |one, other| one.ended_at.cmp(&other.ended_at),
        "state" => |one, other| one.state.cmp(&other.state),
        _ => return Err(cannot_order(by)),
    };
    runs.sort_by(|(number, one), (other_number, other)| {
        compare(one, other).then(number.cmp(other_number))
    });
    if is_descending {
        runs.reverse();
    }
    Ok(())
}

pub(crate) fn get(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (_, run) = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    Ok(view::dag_run(run).into())
}

pub(crate) fn trigger(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let request = call.request;
    let dag_id = lookup::dag(service, call.id("dag_id"))?
        .dag
        .dag_id
        .to_string();
    let cannot = ["partition_key"];
    let known = [
        "logical_date",
        "dag_run_id",
        "conf",
        "data_interval_start",
        "data_interval_end",
        "run_after",
        "note",
    ];
    let known = [&known[..], &cannot[..]].concat();
    request.only_fields(&known)?;
    if request.body.get("logical_date").is_none() {
        let body = request.body.clone();
        let loc = ["body", "logical_date"];
        return Err(Problem::invalid("missing", &loc, "Field required", body));
    }
    if let Some(name) = cannot.iter().find(|name| request.field(name).is_some()) {
        return Err(Problem::not_implemented(&format!("`{name}` of a trigger")));
    }
    let params = match request.field("conf") {
        None => BTreeMap::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(other) => {
            let msg = "Input should be a valid dictionary";
            let input = other.clone();
            return Err(Problem::invalid("dict_type", &["body", "conf"], msg, input));
        }
    };
    let (run_id, logical_date) = identity(request)?;
    let interval = (
        request.field_date("data_interval_start")?,
        request.field_date("data_interval_end")?,
    );
    let data_interval = match interval {
        (None, None) => None,
        (Some(start), Some(end)) if start <= end => Some((start, end)),
        _ => {
            let msg = "Either both data_interval_start and data_interval_end must be provided, in this order, or neither";
            return Err(Problem::invalid(
                "value_error",
                &["body"],
                msg,
                request.body.clone(),
            ));
        }
    };
    if request
        .field_date("run_after")?
        .is_some_and(|at| at > clock::now().wall)
    {
        return Err(Problem::not_implemented("a `run_after` in the future"));
    }
    let runs = lookup::runs(service, &call.past, &dag_id)?;
    if let Some(date) = logical_date
        && runs.iter().any(|(_, run)| run.facts.logical_date == date)
    {
        let detail = format!("DAG `{dag_id}` has a run with the logical date {date} already");
        return Err(Problem::exists(&detail));
    }
    if let Some(run_id) = &run_id
        && runs.iter().any(|(_, run)| *run.facts.run_id == **run_id)
    {
        return Err(Refusal::RunExists(run_id.as_str().into()).into());
    }
    let run_id = run_id.or_else(|| Some(fresh_run_id(&runs)));
    let note = request.field_text("note")?.map(str::to_owned);
    let trigger = Trigger {
        data_interval,
        dag_id,
        run_id,
        run_type: RunType::Manual,
        logical_date,
        params,
    };
    let Some(note) = note.filter(|note| !note.is_empty()) else {
        return Ok(Outcome::Ask(Command::Trigger(trigger), triggered));
    };
    if note.len() > NOTE_BYTES_MAX {
        return Err(Refusal::LongNote.into());
    }
    let dag_id = trigger.dag_id.clone();
    let run_id = trigger.run_id.clone().unwrap_or_default();
    let commands = vec![
        Command::Trigger(trigger),
        Command::Note {
            dag_id,
            run_id,
            task_id: None,
            note,
        },
    ];
    Ok(Outcome::AskAll(commands, Box::new(triggered_with_note)))
}

/// What no other run of the DAG may have, now or in the past, as far as the body says: the name, and the
/// logical date, of which the name is made if there is none.
pub(crate) fn identity(request: &Request) -> Result<(Option<String>, Option<Timestamp>), Problem> {
    let logical_date = request
        .field_date("logical_date")?
        .map(Timestamp::truncated_to_secs);
    let named = request.field_text("dag_run_id")?.map(str::to_owned);
    let dated = || logical_date.map(|date| format!("{}__{date}", RunType::Manual.name()));
    Ok((named.or_else(dated), logical_date))
}

/// The name of a run that is triggered now, to the millisecond: runs of the same second may be over and
/// forgotten here, and no name may come twice in history. With a number if it is not the first.
fn fresh_run_id(runs: &[Known<'_>]) -> String {
    let name = format!("manual__{}", clock::now().wall);
    let is_taken = |name: &str| runs.iter().any(|(_, run)| &*run.facts.run_id == name);
    let mut names = (2..).map(|n| format!("{name}_{n}"));
    if is_taken(&name) {
        names.find(|name| !is_taken(name)).unwrap_or(name)
    } else {
        name
    }
}

/// The latest run of the DAG with this note.
fn triggered_with_note(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let note = call.request.field_text("note")?.unwrap_or_default();
    let runs = lookup::held(service, call.id("dag_id"))?;
    let mut noted = runs.iter().rev().filter(|(_, run)| *run.note == *note);
    let (_, run) = noted
        .next()
        .ok_or_else(|| Problem::not_found("it is over already"))?;
    Ok(view::dag_run(run).into())
}

fn triggered(service: &Service, call: &Call<'_>, answer: &Answer) -> Result<Reply, Problem> {
    let run_id = match answer {
        Answer::Triggered(run_id) => run_id,
        Answer::Cancelled
        | Answer::Cleared(_)
        | Answer::Paused
        | Answer::Done
        | Answer::Backfill(_) => "",
    };
    let (_, run) = lookup::run(service, &call.past, call.id("dag_id"), run_id)?;
    Ok(view::dag_run(run).into())
}

/// What is set of a run: what it ends as, and what is written about it.
pub(crate) fn set_state(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (_, run) = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    call.request.only_fields(&["state", "note"])?;
    let (dag_id, run_id) = (run.dag.dag_id.to_string(), run.facts.run_id.to_string());
    let mut commands = Vec::new();
    if let Some(note) = call.request.note()? {
        let (dag_id, run_id) = (dag_id.clone(), run_id.clone());
        commands.push(Command::Note {
            dag_id,
            run_id,
            task_id: None,
            note,
        });
    }
    match call.request.field_text("state")? {
        None => {}
        Some(state) if state == run.state.name() => {}
        // One that is over ends as its leaves do.
        Some("failed") if run.state.is_finished() => commands.push(Command::Mark {
            dag_id,
            run_id,
            tasks: leaves(run),
            mark: Mark::Failed,
        }),
        Some("failed") => commands.push(Command::Cancel { dag_id, run_id }),
        // Everything in it is a success, and so is the run.
        Some("success") => commands.push(Command::Mark {
            dag_id,
            run_id,
            tasks: Vec::new(),
            mark: Mark::Success,
        }),
        // All of it runs again.
        Some("queued") => commands.push(Command::Clear {
            dag_id,
            run_id,
            selection: Selection::default(),
        }),
        Some(other) => {
            let msg = "Input should be 'queued', 'success' or 'failed'";
            let loc = ["body", "state"];
            return Err(Problem::invalid("enum", &loc, msg, text(other)));
        }
    }
    Ok(Outcome::AskAll(commands, Box::new(get)))
}

/// The last tasks of a run, but those that have failed.
fn leaves(run: &Run) -> Vec<String> {
    let is_leaf = |index: &TaskIndex| run.dag.task(*index).downstream.is_empty();
    let indices = run.dag.indices().filter(is_leaf);
    let indices = indices.filter(|index| run.task(*index).state != TaskState::Failed);
    indices
        .map(|index| run.dag.task(index).task_id.to_string())
        .collect()
}

/// A run that is over is forgotten, and its logs with it.
pub(crate) fn delete(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (_, run) = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    let (dag_id, run_id) = (run.dag.dag_id.to_string(), run.facts.run_id.to_string());
    Ok(Outcome::Ask(Command::Delete { dag_id, run_id }, deleted))
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
fn deleted(_: &Service, _: &Call<'_>, _: &Answer) -> Result<Reply, Problem> {
    let mut reply = Reply::json(String::new());
    reply.status = StatusCode::NO_CONTENT;
    Ok(reply)
}
