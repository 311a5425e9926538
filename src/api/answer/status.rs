//! The daemon itself: version, health, pool, files that do not load, status, reload.

use std::sync::Arc;

use super::dags::has_import_errors;
use crate::api::audit::Audit;
use crate::api::lookup;
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, Members, Raw, collection, date, number, object, text, took};
use crate::daemon::clock;
use crate::daemon::service::Service;
use crate::dag::{DEFAULT_POOL, Diagnostic, Quoted, Value};
use crate::scheduler::{Awaited, ClockTrust, DagState, PoolUse, Run};
use crate::timetable::Timestamp;

/// Runs of a DAG that the status shows.
const RUNS_SHOWN: usize = 8;

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn version(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let version = text(env!("CARGO_PKG_VERSION"));
    Ok(object([("version", version), ("git_version", Value::Null)]).into())
}

/// Whoever reads this answer has heard the loop's heartbeat.
#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn health(service: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let healthy = || ("status", text("healthy"));
    let trouble = service.trouble().or_else(|| service.clock_trouble());
    let status = if trouble.is_some() {
        "unhealthy"
    } else {
        "healthy"
    };
    let wall = clock::now().wall;
    let now = date(Some(wall));
    let loaded_at = date(Some(service.loaded_at()));
    let scheduler = [
        ("status", text(status)),
        ("latest_scheduler_heartbeat", now),
        ("reason", trouble.map_or(Value::Null, text)),
    ];
    let processor = [healthy(), ("latest_dag_processor_heartbeat", loaded_at)];
    let triggerer = [
        ("status", Value::Null),
        ("latest_triggerer_heartbeat", Value::Null),
    ];
    let health = object([
        ("metadatabase", object([healthy()])),
        ("scheduler", object(scheduler)),
        ("triggerer", object(triggerer)),
        ("dag_processor", object(processor)),
        ("clock", clock_of(service, wall)),
    ]);
    Ok(health.into())
}

/// Every pool there is, and those that are gone from the config but still in use.
#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn pools(service: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let pools = service.scheduler().pools();
    let entries = pools.iter().map(|(name, pool)| pool_of(name, pool));
    Ok(Reply::json(collection("pools", entries, pools.len())).into())
}

pub(crate) fn pool(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let name = call.id("pool_name");
    let pools = service.scheduler().pools();
    let pool = pools.get(name);
    let pool = pool.ok_or_else(|| Problem::not_found(format!("there is no pool `{name}`")))?;
    Ok(pool_of(name, pool).into())
}

fn pool_of(name: &str, pool: &PoolUse) -> Value {
    let description = if *name == *DEFAULT_POOL {
        text("Tasks that may run at once")
    } else {
        text("")
    };
    object([
        ("name", text(name)),
        ("slots", number(pool.slots)),
        ("description", description),
        ("include_deferred", Value::Bool(false)),
        ("occupied_slots", number(pool.running)),
        ("running_slots", number(pool.running)),
        ("queued_slots", number(0)),
        ("scheduled_slots", number(pool.waiting)),
        (
            "open_slots",
            number(pool.slots.saturating_sub(pool.running)),
        ),
        ("deferred_slots", number(0)),
        ("team_name", Value::Null),
    ])
}

pub(crate) fn import_errors(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let errors = service.catalog().errors.iter().enumerate();
    let entries = errors.map(|(at, error)| import_error_of(service, at, error));
    let total = entries.len();
    let page = entries.skip(offset).take(limit);
    Ok(Reply::json(collection("import_errors", page, total)).into())
}

/// Its id is its place in the list, which the next reload may change.
pub(crate) fn import_error(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let id = call.id("import_error_id");
    let at = id.parse().ok().and_then(|id: usize| id.checked_sub(1));
    let error = at.and_then(|at| Some((at, service.catalog().errors.get(at)?)));
    let error = error.ok_or_else(|| Problem::not_found(format!("there is no error {id}")))?;
    Ok(import_error_of(service, error.0, error.1).into())
}

fn import_error_of(service: &Service, at: usize, error: &Diagnostic) -> Value {
    let file = error.place.as_ref().map_or("", |place| &place.file);
    object([
        ("import_error_id", number(at + 1)),
        ("timestamp", date(Some(service.loaded_at()))),
        ("filename", text(file)),
        ("bundle_name", text("dags-folder")),
        ("stack_trace", text(error.render(false))),
    ])
}

/// What people have changed: the latest of it.
pub(crate) fn event_logs(_: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let is_latest_first = call
        .request
        .query("order_by")
        .is_some_and(|by| by.starts_with('-'));
    let mut audits = call.api.map(|api| api.audits.all()).unwrap_or_default();
    let wanted = call.request.query("dag_id");
    audits.retain(|audit| wanted.is_none() || audit.after("dags") == wanted);
    if is_latest_first {
        audits.reverse();
    }
    let or_null = |id: Option<&str>| id.map_or(Value::Null, text);
    let entry = |audit: &Audit| {
        let dag_id = or_null(audit.after("dags"));
        let task_id = or_null(audit.after("taskInstances"));
        object([
            ("event_log_id", number(audit.number)),
            ("when", date(Some(audit.at))),
            ("dag_id", dag_id.clone()),
            ("task_id", task_id.clone()),
            ("run_id", or_null(audit.after("dagRuns"))),
            ("map_index", Value::Null),
            ("try_number", Value::Null),
            ("event", text(audit.event)),
            ("logical_date", Value::Null),
            ("owner", text(&*audit.who)),
            ("extra", Value::Null),
            ("dag_display_name", dag_id),
            ("task_display_name", task_id),
        ])
    };
    let page = audits.iter().skip(offset).take(limit).map(entry);
    Ok(Reply::json(collection("event_logs", page, audits.len())).into())
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn events(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(Outcome::Watch)
}

/// Everything that `mini-dag status` shows; `dag_id` of the query: of one DAG; `dags=false`: of none.
pub(crate) fn status(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let now = clock::now();
    let slots = service.scheduler().limits().pools.parallelism();
    let running = service.scheduler().live_attempts().len();
    let pool = object([("slots", number(slots)), ("running", number(running))]);
    let pools = service.scheduler().pools().into_iter();
    let named = pools.filter(|(name, _)| **name != *DEFAULT_POOL);
    let named = named.map(|(name, pool)| {
        object([
            ("name", text(&*name)),
            ("slots", number(pool.slots)),
            ("running", number(pool.running)),
            ("waiting", number(pool.waiting)),
        ])
    });
    let daemon = object([
        ("pid", number(std::process::id())),
        ("version", text(env!("CARGO_PKG_VERSION"))),
        ("started_at", date(Some(service.started().wall))),
        (
            "uptime_s",
            number(now.monotonic.since(service.started().monotonic).as_secs()),
        ),
        ("takeover", takeover(service)),
    ]);
    let daemon = if service.is_live() {
        daemon
    } else {
        Value::Null
    };
    let dags = if call.request.query_bool("dags")? == Some(false) {
        Vec::new()
    } else if let Some(dag_id) = call.request.query("dag_id") {
        vec![dag(service, lookup::dag(service, dag_id)?)?]
    } else {
        let dags = service.state().dags().map(|known| dag(service, known));
        dags.collect::<Result<_, _>>()?
    };
    let errors = service.catalog().errors.iter();
    let errors = errors.map(|error| text(error.render(false))).collect();
    let warnings = service.warnings().into_iter();
    let mut all = Members::new();
    all.put("daemon", daemon);
    all.put("clock", clock_of(service, now.wall));
    all.put("pool", pool);
    all.put("pools", Value::Array(named.collect()));
    all.put("trouble", service.trouble().as_deref().map(Quoted));
    all.put("warnings", Value::Array(warnings.map(text).collect()));
    let state = service.places().state.to_string_lossy();
    all.put("state_directory", Quoted(&state));
    all.put("disk", disk(service));
    all.put("dags", Raw(&format!("[{}]", dags.join(","))));
    all.put("errors", Value::Array(errors));
    Ok(Reply::json(all.finish()).into())
}

/// How it goes with a program that was told to take over; null if none was.
fn takeover(service: &Service) -> Value {
    let Some(standing) = service.takeover_standing() else {
        return Value::Null;
    };
    object([
        ("program", text(standing.program.display().to_string())),
        ("is_waiting", Value::Bool(standing.is_waiting)),
        ("reason", text(standing.reason)),
    ])
}

/// What the clock shows, how far it is trusted, and why scheduled runs wait for it, if they do.
fn clock_of(service: &Service, now: Timestamp) -> Value {
    let verdict = service.verdict();
    let is_right = verdict.trust == ClockTrust::Synchronised;
    let reason = (!is_right || verdict.is_held()).then(|| text(verdict.to_string()));
    let status = service.is_live().then(|| text(verdict.trust.name()));
    object([
        ("now", date(Some(now))),
        ("timezone", text(service.timezone().name())),
        ("status", status.unwrap_or(Value::Null)),
        ("is_held", Value::Bool(verdict.is_held())),
        ("reason", reason.unwrap_or(Value::Null)),
    ])
}

/// The filesystem of the state directory, as `df` shows it to users; null if nobody knows.
fn disk(service: &Service) -> Value {
    let Ok(disk) = rustix::fs::statvfs(&service.places().state) else {
        return Value::Null;
    };
    object([
        (
            "free_bytes",
            number(disk.f_bavail.saturating_mul(disk.f_frsize)),
        ),
        (
            "size_bytes",
            number(disk.f_blocks.saturating_mul(disk.f_frsize)),
        ),
        ("free_inodes", number(disk.f_favail)),
    ])
}

fn dag(service: &Service, known: &DagState) -> Result<String, Problem> {
    let dag_id = &*known.dag.dag_id;
    let runs = lookup::held(service, dag_id)?;
    let last_runs = runs
        .iter()
        .rev()
        .take(RUNS_SHOWN)
        .map(|(_, run)| short(run));
    let schedule = known.dag.schedule.as_ref().map(ToString::to_string);
    let mut all = Members::new();
    all.put("dag_id", Quoted(dag_id));
    all.put("is_paused", known.is_paused);
    all.put("has_import_errors", has_import_errors(service, known));
    all.put("timetable_summary", schedule.as_deref().map(Quoted));
    all.put("next_dagrun_run_after", service.next_run(dag_id));
    all.put("waits_for", waits_for(service, known));
    all.put("active_runs_count", known.active_runs);
    all.put("running_tasks", service.scheduler().running_tasks(dag_id));
    all.put("last_runs", Value::Array(last_runs.collect()));
    Ok(all.finish())
}

/// What a DAG waits for that no clock decides, in words; null if that is nothing, or nobody knows.
fn waits_for(service: &Service, known: &DagState) -> Value {
    let waits = service.scheduler().awaited_by(&known.dag.dag_id);
    let Some(waits) = waits.filter(|_| service.is_live()) else {
        return Value::Null;
    };
    text(match waits {
        Awaited::Boot => "the next boot".to_owned(),
        Awaited::UnknownBoot => "a boot id, which this host does not tell".to_owned(),
        Awaited::OwnRun => "its last run to end".to_owned(),
        Awaited::Successes(others) => {
            let named = |other: &Arc<str>| {
                let there = service.state().dag(other).filter(|dag| !dag.is_removed);
                let missing = if there.is_none() { " (not there)" } else { "" };
                format!("{other}{missing}")
            };
            others.iter().map(named).collect::<Vec<_>>().join(", ")
        }
        Awaited::Circle(dags) => format!("itself: {}", dags.join(" after ")),
    })
}

/// A run, in few words.
pub(super) fn short(run: &Run) -> Value {
    let ended_at = run.ended_at.filter(|_| run.state.is_finished());
    object([
        ("dag_run_id", text(&*run.facts.run_id)),
        ("state", text(run.state.name())),
        ("logical_date", date(Some(run.facts.logical_date))),
        ("run_after", date(Some(view::run_after(run)))),
        ("start_date", date(run.started_at)),
        ("end_date", date(ended_at)),
        ("duration", took(run.started_at, ended_at)),
    ])
}

/// Reads the DAG files again and says how that went, or, with `"exec": true`, makes way for a new program.
pub(crate) fn reload(_: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(match call.request.field_bool("exec")? {
        Some(true) => Outcome::Replace,
        Some(false) | None => Outcome::Reload(reloaded),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
fn reloaded(service: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let catalog = service.catalog();
    let errors = catalog.errors.iter().map(|error| text(error.render(false)));
    let answer = object([
        ("dags", number(catalog.dags.len())),
        ("files", number(catalog.files())),
        ("errors", Value::Array(errors.collect())),
    ]);
    Ok(answer.into())
}
