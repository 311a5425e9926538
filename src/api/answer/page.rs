//! What the page asks and Airflow's API has no word for: much of many things at once, briefly.

use super::dags::{standing, wanted};
use super::status::short;
use crate::api::lookup::{self, Known};
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, collection, date, number, object, text, took, with};
use crate::daemon::service::Service;
use crate::dag::{Dag, LANE, Layout, Point, TaskIndex, Value, layout};
use crate::scheduler::{DagState, TaskState};

/// The latest runs of each DAG in a list.
const RUNS_SHOWN: usize = 12;
/// Task instances of a grid: of a DAG with very many tasks, fewer runs are shown.
const CELLS_MAX: usize = 50_000;

/// DAGs as `/api/v2/dags` lists them, each with its latest runs in memory, the latest first.
pub(crate) fn dags(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let dags = wanted(service, call)?;
    let mut entries = Vec::new();
    for known in dags.iter().skip(offset).take(limit) {
        entries.push(dag(service, known)?);
    }
    Ok(Reply::json(collection("dags", entries, dags.len())).into())
}

fn dag(service: &Service, known: &DagState) -> Result<String, Problem> {
    let runs = lookup::held(service, &known.dag.dag_id)?;
    let latest = runs.iter().rev().take(RUNS_SHOWN);
    let latest = latest.map(|(_, run)| short(run)).collect();
    let mut all = view::summary(&known.dag, &standing(service, known));
    all.put("last_runs", Value::Array(latest));
    all.put("active_runs_count", known.active_runs);
    Ok(all.finish())
}

/// Where the tasks of a DAG stand in its picture. A lane is the height of a task.
pub(crate) fn picture(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let dag = lookup::dag(service, call.id("dag_id"))?.dag.clone();
    // A DAG may have ten thousand tasks, and schedules do not wait.
    Ok(Outcome::Aside(Box::new(move || {
        Ok(drawn(&dag, &layout(&dag)).to_string())
    })))
}

fn drawn(dag: &Dag, layout: &Layout) -> Value {
    let place = |point: &Point| {
        let lane = number(f64::from(point.y) / f64::from(LANE));
        [("rank", number(point.rank)), ("lane", lane)]
    };
    let ids = |tasks: &[TaskIndex]| {
        let id = |index: &TaskIndex| text(&*dag.task(*index).task_id);
        Value::Array(tasks.iter().map(id).collect())
    };
    let (tasks, bends) = layout.points.split_at(dag.tasks().len());
    let task = |(task, point): (&crate::dag::Task, &Point)| {
        let known = [
            ("task_id", text(&*task.task_id)),
            ("operator_name", text(task.operator.name())),
            ("upstream", ids(&task.upstream)),
            ("downstream", ids(&task.downstream)),
        ];
        with(object(known), place(point))
    };
    let tasks = dag.tasks().iter().zip(tasks).map(task).collect();
    let bends = bends.iter().map(|point| object(place(point))).collect();
    let links = layout.links.iter();
    let links = links.map(|(from, to)| Value::Array(vec![number(from), number(to)]));
    object([
        ("dag_id", text(&*dag.dag_id)),
        ("ranks", number(layout.ranks)),
        ("tasks", Value::Array(tasks)),
        ("bends", Value::Array(bends)),
        ("links", Value::Array(links.collect())),
    ])
}

/// The latest runs, the latest first, each with the states of the DAG's tasks in the order of `task_ids`.
pub(crate) fn grid(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let dag = &lookup::dag(service, call.id("dag_id"))?.dag;
    let tasks = dag.topological_order();
    let limit = limit.min((CELLS_MAX / tasks.len()).max(1));
    let runs = lookup::runs(service, &call.past, &dag.dag_id)?;
    let row = |known: &Known<'_>| {
        let state = |index: &TaskIndex| {
            // A run goes on with the version of the DAG that it began with.
            let own = known.1.dag.find(&dag.task(*index).task_id);
            own.map_or_else(|| text("removed"), |index| state(service, known, index))
        };
        let states = tasks.iter().map(state).collect();
        with(short(known.1), [("task_states", Value::Array(states))])
    };
    let page = runs.iter().rev().skip(offset).take(limit);
    let ids = tasks.iter().map(|index| text(&*dag.task(*index).task_id));
    Ok(object([
        ("dag_id", text(&*dag.dag_id)),
        ("task_ids", Value::Array(ids.collect())),
        ("dag_runs", Value::Array(page.map(row).collect())),
        ("total_entries", number(runs.len())),
    ])
    .into())
}

/// Every task instance of a run, in few words.
pub(crate) fn states(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let known = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    let run = known.1;
    let entry = |index: TaskIndex| {
        let instance = run.task(index);
        let is_running = instance.state == TaskState::Running;
        let ended_at = instance.ended_at.filter(|_| !is_running);
        object([
            ("task_id", text(&*run.dag.task(index).task_id)),
            ("state", state(service, &known, index)),
            ("try_number", number(instance.try_number)),
            ("start_date", date(instance.started_at)),
            ("end_date", date(ended_at)),
            ("duration", took(instance.started_at, ended_at)),
        ])
    };
    let entries = run.dag.topological_order().into_iter().map(entry);
    let total = run.dag.tasks().len();
    Ok(Reply::json(collection("task_instances", entries, total)).into())
}

/// As `/api/v2` says it.
fn state(service: &Service, known: &Known<'_>, index: TaskIndex) -> Value {
    let may_wait = matches!(
        known.1.task(index).state,
        TaskState::None | TaskState::UpForRetry | TaskState::UpForReschedule
    );
    let waits_for = may_wait.then(|| service.scheduler().waits_for(known.0, index));
    view::task_state(known.1, index, waits_for.flatten().as_ref())
}
