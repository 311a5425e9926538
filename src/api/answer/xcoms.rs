//! What tasks have left for others. There is one key, as in Airflow for what a task returns.

use hyper::StatusCode;

use super::task_instances::named;
use crate::api::lookup::{self, EVERY_DAG, Known};
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, collection, with};
use crate::daemon::service::Service;
use crate::dag::{TaskIndex, Value};

/// The key of what a task has left.
const KEY: &str = "return_value";
/// Of a value in a list, so much is shown.
const PREVIEW_CHARS_MAX: usize = 200;

/// Of one task, or of every task (`~`) of a run. With the beginning of each value, which Airflow does not say here.
pub(crate) fn list(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let known = lookup::run(service, &call.past, call.id("dag_id"), call.id("run_id"))?;
    let run = known.1;
    let task_id = call.id("task_id");
    let tasks: Vec<TaskIndex> = if task_id == EVERY_DAG {
        run.dag.indices().collect()
    } else {
        vec![lookup::task(&run.dag, task_id)?]
    };
    // Airflow's pattern has `%` for anything.
    let pattern = call.request.query("xcom_key_pattern").unwrap_or("");
    let is_asked = KEY.contains(pattern.trim_matches('%'));
    let left = tasks
        .into_iter()
        .filter(|task| is_asked && run.task(*task).xcom.is_some());
    let left: Vec<_> = left.collect();
    let page = left.iter().skip(offset).take(limit);
    let entries = page.map(|task| {
        let xcom = run.task(*task).xcom.as_deref().map(Value::to_text);
        let preview: String = xcom
            .unwrap_or_default()
            .chars()
            .take(PREVIEW_CHARS_MAX)
            .collect();
        with(
            entry(&known, *task),
            [("value_preview", view::text(preview))],
        )
    });
    Ok(Reply::json(collection("xcom_entries", entries, left.len())).into())
}

/// The value itself, as JSON; as a text with `stringify=true`.
pub(crate) fn get(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (known, index) = named(service, call)?;
    let key = call.id("key");
    let xcom = known.1.task(index).xcom.as_deref().filter(|_| key == KEY);
    let Some(xcom) = xcom else {
        let detail = format!("XCom entry with key: `{key}` not found");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let value = match call.request.query("stringify") {
        Some("true") => view::text(xcom.to_text()),
        Some(_) | None => xcom.clone(),
    };
    Ok(with(entry(&known, index), [("value", value)]).into())
}

fn entry((_, run): &Known<'_>, index: TaskIndex) -> Value {
    let (task, instance) = (run.dag.task(index), run.task(index));
    view::object([
        ("key", view::text(KEY)),
        ("timestamp", view::date(instance.ended_at)),
        ("logical_date", view::date(Some(run.facts.logical_date))),
        ("map_index", view::number(-1)),
        ("task_id", view::text(&*task.task_id)),
        ("dag_id", view::text(&*run.dag.dag_id)),
        ("run_id", view::text(&*run.facts.run_id)),
        ("dag_display_name", view::text(&*run.dag.dag_id)),
        ("task_display_name", view::text(&*task.task_id)),
        ("run_after", view::date(Some(view::run_after(run)))),
    ])
}
