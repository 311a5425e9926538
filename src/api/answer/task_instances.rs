//! Task instances of a run: list, one, its attempts.

use crate::api::lookup::{self, Known};
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, collection, cursor_collection};
use crate::daemon::service::Service;
use crate::dag::{TaskIndex, Value};

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

pub(crate) fn list(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let states: Vec<_> = call.request.query_all("state").collect();
    let known = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    let run = known.1;
    let is_wanted =
        |index: &TaskIndex| states.is_empty() || states.contains(&run.task(*index).state.name());
    let wanted: Vec<_> = run.dag.indices().filter(is_wanted).collect();
    let page = wanted.iter().skip(offset).take(limit);
    let entries = page.map(|index| entry(service, &known, *index));
    let total = wanted.len();
    Ok(Reply::json(cursor_collection("task_instances", entries, total)).into())
}

pub(crate) fn get(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (known, index) = named(service, call)?;
    Ok(entry(service, &known, index).into())
}

/// Every attempt, in the order they began, with what it took. The journal has them; of an attempt that
/// could not be recorded, memory has the latest.
pub(crate) fn tries(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
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
        entries.push(view::attempt(run, index, attempt));
        latest = latest.max(attempt.try_number);
    }
    if run.task(index).try_number > latest {
        entries.push(entry(service, &known, index));
    }
    let total = entries.len();
    Ok(Reply::json(collection("task_instances", entries, total)).into())
}
