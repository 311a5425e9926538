//! What clients ask besides: tags, jobs, the collections of what this program has not, who they are, metrics.

use std::collections::BTreeSet;

use hyper::StatusCode;

use crate::api::caller::Caller;
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{collection, date, number, object, text};
use crate::daemon::clock;
use crate::daemon::service::Service;
use crate::dag::Value;

pub(crate) fn tags(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let dags = service.state().dags().filter(|known| !known.is_removed);
    let tags: BTreeSet<&str> = dags
        .flat_map(|known| known.dag.tags.iter().map(|tag| &**tag))
        .collect();
    let page = tags.iter().skip(offset).take(limit).map(|tag| text(*tag));
    Ok(Reply::json(collection("tags", page, tags.len())).into())
}

/// There is one: this daemon, which is alive while it answers.
#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn jobs(service: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let job = object([
        ("id", number(1)),
        ("dag_id", Value::Null),
        ("state", text("running")),
        ("job_type", text("SchedulerJob")),
        ("start_date", date(Some(service.started().wall))),
        ("end_date", Value::Null),
        ("latest_heartbeat", date(Some(clock::now().wall))),
        ("executor_class", Value::Null),
        ("hostname", Value::Null),
        ("unixname", Value::Null),
        ("dag_display_name", Value::Null),
    ]);
    Ok(Reply::json(collection("jobs", [job], 1)).into())
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn variables(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(Reply::json(collection::<Value>("variables", [], 0)).into())
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn providers(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(Reply::json(collection::<Value>("providers", [], 0)).into())
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn warnings(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(Reply::json(collection::<Value>("dag_warnings", [], 0)).into())
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn plugins(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(Reply::json(collection::<Value>("plugins", [], 0)).into())
}

/// Airflow's CVE-2023-35005 and its kin: the configuration is not for reading by HTTP at all.
pub(crate) fn config(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let detail = "mini-dag does not show its configuration, for it may hold secrets";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

pub(crate) fn external_log(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let detail = "Task log handler does not support external logs.";
    Err(Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// Who is asking, and what they may do.
#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn session(_: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(who(call.caller).into())
}

pub(super) fn who(caller: Option<&Caller>) -> Value {
    let name = caller.map_or(Value::Null, |caller| text(&*caller.name));
    let role = caller.map_or(Value::Null, |caller| text(caller.role.name()));
    object([("username", name), ("role", role)])
}

/// What is served, for programs that read OpenAPI.
#[cfg(feature = "tcp")]
#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn openapi(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(crate::api::openapi::document().into())
}

/// What is counted, for Prometheus.
#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn metrics(service: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    let text = crate::api::metrics::render(service);
    Ok(Reply::text("text/plain; version=0.0.4; charset=utf-8", text).into())
}
