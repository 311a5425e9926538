//! What can be asked, and who may: one table, [`ROUTES`].
//!
//! Whatever is not in it does not exist, and whatever does not say that it is for everybody is for people
//! who have said who they are.

use hyper::StatusCode;

#[cfg(feature = "tcp")]
use super::answer::login;
use super::answer::{backfills, clear, dags, log, page, rest, runs, status, task_instances, xcoms};
use super::caller::Role;
use super::past::History;
use super::problem::Problem;
use super::request::Request;
use super::router::Handler;

/// One thing that can be asked.
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The path; `{name}` stands for one part of it.
    pub pattern: &'static str,
    /// What it does: Airflow's `operationId`, where it has one.
    pub name: &'static str,
    /// What its query may say.
    pub query: &'static [&'static str],
    /// Who may ask, at least; `None` is everybody, without a name.
    pub role: Option<Role>,
    pub(super) history: History,
    pub(super) handler: Handler,
}

impl Route {
    /// What it may need of the journal.
    const fn with(self, history: History) -> Self {
        Self { history, ..self }
    }

    /// For this role and those above it.
    const fn role(self, role: Role) -> Self {
        let role = Some(role);
        Self { role, ..self }
    }

    /// What its query may say, for the document of what is served.
    const fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// What stands in a path where the pattern has `{name}`.
    pub(super) fn id<'p>(&self, path: &'p [String], name: &str) -> &'p str {
        let parts = parts(self.pattern).zip(path);
        let mut named = parts.filter(|(part, _)| placeholder(part) == Some(name));
        named.next().map_or("", |(_, part)| part)
    }

    /// For everybody. Whatever does not say so is not.
    const fn public(self) -> Self {
        Self { role: None, ..self }
    }
}

const fn get(pattern: &'static str, name: &'static str, handler: Handler) -> Route {
    route("GET", (pattern, name), Role::Viewer, handler)
}

const fn post(pattern: &'static str, name: &'static str, handler: Handler) -> Route {
    route("POST", (pattern, name), Role::Op, handler)
}

const fn put(pattern: &'static str, name: &'static str, handler: Handler) -> Route {
    route("PUT", (pattern, name), Role::Op, handler)
}

const fn patch(pattern: &'static str, name: &'static str, handler: Handler) -> Route {
    route("PATCH", (pattern, name), Role::Op, handler)
}

const fn delete(pattern: &'static str, name: &'static str, handler: Handler) -> Route {
    route("DELETE", (pattern, name), Role::Op, handler)
}

const fn route(
    method: &'static str,
    (pattern, name): (&'static str, &'static str),
    role: Role,
    handler: Handler,
) -> Route {
    Route {
        method,
        pattern,
        name,
        query: &[],
        role: Some(role),
        history: History::None,
        handler,
    }
}

/// Which page of a collection.
const PAGED: &[&str] = &["limit", "offset"];
const DAGS: &[&str] = &[
    "limit",
    "offset",
    "order_by",
    "dag_id_pattern",
    "dag_display_name_pattern",
    "tags",
    "tags_match_mode",
    "owners",
    "paused",
    "last_dag_run_state",
];
const RUNS: &[&str] = &[
    "limit",
    "offset",
    "order_by",
    "state",
    "run_type",
    "dag_ids",
    "run_id_pattern",
    "run_after_gte",
    "run_after_lte",
    "logical_date_gte",
    "logical_date_lte",
    "start_date_gte",
    "start_date_lte",
    "end_date_gte",
    "end_date_lte",
];
const TASK_INSTANCES: &[&str] = &["limit", "offset", "order_by", "state", "task_id"];
/// A list whose query comes in the body.
pub(super) const BATCH: &str = "get_list_dag_runs_batch";

/// Everything that can be asked. Of two patterns that match, the first counts.
pub const ROUTES: &[Route] = &[
    #[cfg(feature = "tcp")]
    post("/auth/token", "create_token", login::token).public(),
    #[cfg(feature = "tcp")]
    post("/auth/token/cli", "create_token_cli", login::cli_token).public(),
    get("/api/v2/version", "get_version", status::version).public(),
    get("/api/v2/monitor/health", "get_health", status::health).public(),
    get("/health", "health", status::health).public(),
    #[cfg(feature = "tcp")]
    get("/openapi.json", "get_openapi", rest::openapi).public(),
    get("/metrics", "get_metrics", rest::metrics),
    get("/api/v2/eventLogs", "get_event_logs", status::event_logs)
        .query(&["limit", "offset", "order_by", "dag_id"]),
    get("/api/v2/pools", "get_pools", status::pools),
    get("/api/v2/pools/{pool_name}", "get_pool", status::pool),
    get(
        "/api/v2/importErrors",
        "get_import_errors",
        status::import_errors,
    )
    .query(PAGED),
    get(
        "/api/v2/importErrors/{import_error_id}",
        "get_import_error",
        status::import_error,
    ),
    get("/api/v2/dagWarnings", "list_dag_warnings", rest::warnings),
    get("/api/v2/dagStats", "get_dag_stats", dags::stats).query(&["dag_ids"]),
    get("/api/v2/dagTags", "get_dag_tags", rest::tags).query(PAGED),
    get("/api/v2/jobs", "get_jobs", rest::jobs),
    get("/api/v2/variables", "get_variables", rest::variables),
    get("/api/v2/providers", "get_providers", rest::providers),
    get("/api/v2/plugins", "get_plugins", rest::plugins),
    get("/api/v2/config", "get_config", rest::config),
    get(
        "/api/v2/dagSources/{dag_id}",
        "get_dag_source",
        dags::source,
    ),
    get("/api/v2/dags", "get_dags", dags::list).query(DAGS),
    patch("/api/v2/dags", "patch_dags", dags::pause_all).query(DAGS),
    get("/api/v2/dags/{dag_id}", "get_dag", dags::get),
    patch("/api/v2/dags/{dag_id}", "patch_dag", dags::pause),
    get(
        "/api/v2/dags/{dag_id}/details",
        "get_dag_details",
        dags::details,
    ),
    get("/api/v2/dags/{dag_id}/tasks", "get_tasks", dags::tasks),
    get(
        "/api/v2/dags/{dag_id}/dagVersions",
        "get_dag_versions",
        dags::versions,
    ),
    get(
        "/api/v2/dags/{dag_id}/dagVersions/{version_number}",
        "get_dag_version",
        dags::version,
    ),
    get(
        "/api/v2/dags/{dag_id}/tasks/{task_id}",
        "get_task",
        dags::task,
    ),
    post(
        "/api/v2/dags/{dag_id}/clearTaskInstances",
        "post_clear_task_instances",
        clear::tasks,
    )
    .with(History::Span),
    get("/api/v2/dags/{dag_id}/dagRuns", "get_dag_runs", runs::list)
        .with(History::Runs)
        .query(RUNS),
    post("/api/v2/dags/{dag_id}/dagRuns/list", BATCH, runs::list)
        .with(History::Runs)
        .role(Role::Viewer),
    post(
        "/api/v2/dags/{dag_id}/dagRuns",
        "trigger_dag_run",
        runs::trigger,
    )
    .with(History::Twin),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}",
        "get_dag_run",
        runs::get,
    )
    .with(History::Run),
    patch(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}",
        "patch_dag_run",
        runs::set_state,
    )
    .with(History::Run),
    delete(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}",
        "delete_dag_run",
        runs::delete,
    )
    .with(History::Run),
    post(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/clear",
        "clear_dag_run",
        clear::run,
    )
    .with(History::Run),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances",
        "get_task_instances",
        task_instances::list,
    )
    .with(History::Run)
    .query(TASK_INSTANCES),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}",
        "get_task_instance",
        task_instances::get,
    )
    .with(History::Run),
    patch(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}",
        "patch_task_instance",
        task_instances::mark,
    )
    .with(History::Span),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/tries",
        "get_task_instance_tries",
        task_instances::tries,
    )
    .with(History::Attempts),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/tries/{try}",
        "get_task_instance_try_details",
        task_instances::one_try,
    )
    .with(History::Attempts),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try}",
        "get_log",
        log::log,
    )
    .with(History::Run)
    .query(&["full_content", "token"]),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/externalLogUrl/{try}",
        "get_external_log_url",
        rest::external_log,
    ),
    get("/api/v2/backfills", "list_backfills", backfills::list)
        .query(&["limit", "offset", "order_by", "dag_id"]),
    post("/api/v2/backfills", "create_backfill", backfills::create),
    post(
        "/api/v2/backfills/dry_run",
        "create_backfill_dry_run",
        backfills::dry_run,
    ),
    get(
        "/api/v2/backfills/{backfill_id}",
        "get_backfill",
        backfills::get,
    ),
    put(
        "/api/v2/backfills/{backfill_id}/pause",
        "pause_backfill",
        backfills::pause,
    ),
    put(
        "/api/v2/backfills/{backfill_id}/unpause",
        "unpause_backfill",
        backfills::unpause,
    ),
    put(
        "/api/v2/backfills/{backfill_id}/cancel",
        "cancel_backfill",
        backfills::cancel,
    ),
    get(
        "/mini-dag/v1/backfills/{backfill_id}",
        "get_backfill_progress",
        backfills::progress,
    ),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries",
        "get_xcom_entries",
        xcoms::list,
    )
    .with(History::Run)
    .query(&["limit", "offset", "xcom_key_pattern"]),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}",
        "get_xcom_entry",
        xcoms::get,
    )
    .with(History::Run)
    .query(&["stringify"]),
    #[cfg(feature = "tcp")]
    post("/mini-dag/v1/login", "log_in", login::page).public(),
    #[cfg(feature = "tcp")]
    post("/mini-dag/v1/logout", "log_out", login::out).role(Role::Viewer),
    get("/mini-dag/v1/session", "get_session", rest::session),
    get("/mini-dag/v1/events", "get_events", status::events),
    get("/mini-dag/v1/status", "get_status", status::status),
    post("/mini-dag/v1/reload", "reload", status::reload).role(Role::Admin),
    get("/mini-dag/v1/dags", "get_dags_with_runs", page::dags),
    get(
        "/mini-dag/v1/dags/{dag_id}/layout",
        "get_layout",
        page::picture,
    ),
    get("/mini-dag/v1/dags/{dag_id}/grid", "get_grid", page::grid).with(History::Runs),
    get(
        "/mini-dag/v1/dags/{dag_id}/dagRuns/{run_id}/states",
        "get_states",
        page::states,
    )
    .with(History::Run),
];

/// What stands between the slashes of a pattern.
pub(super) fn parts(pattern: &'static str) -> impl Iterator<Item = &'static str> {
    pattern.split('/').skip(1)
}

/// The name in a part that stands for any.
pub(super) fn placeholder(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn matches(pattern: &'static str, path: &[String]) -> bool {
    parts(pattern).count() == path.len()
        && parts(pattern)
            .zip(path)
            .all(|(part, given)| placeholder(part).is_some() || part == given)
}

/// The one that a request is for.
pub(super) fn find(request: &Request) -> Result<&'static Route, Problem> {
    let found = || {
        let here = |route: &&Route| matches(route.pattern, &request.path);
        ROUTES.iter().filter(here)
    };
    // A path that stands in the table as it is is nobody's id.
    let is_literal = |route: &&Route| !route.pattern.contains('{');
    let has_literal = found().any(|route| is_literal(&route));
    let mut here = found()
        .filter(|route| !has_literal || is_literal(route))
        .peekable();
    if here.peek().is_none() {
        return Err(Problem::no_route());
    }
    let method = match request.method.as_str() {
        "HEAD" => "GET",
        method => method,
    };
    here.find(|route| route.method == method)
        .ok_or_else(|| Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
}

/// The name of what a request asks for; empty if there is no such thing.
pub(super) fn name(request: &Request) -> &'static str {
    find(request).map_or("", |route| route.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Method;

    #[test]
    fn every_route_is_found_by_its_own_pattern() {
        for route in ROUTES {
            let method = route.method.parse().unwrap();
            let request = Request::new(method, (route.pattern, None), "", b"").unwrap();
            let found = find(&request).unwrap();
            assert_eq!((found.method, found.pattern), (route.method, route.pattern));
        }
    }

    #[test]
    fn a_path_that_exists_refuses_other_methods_and_others_do_not_exist() {
        let status = |method: &str, path| {
            let request = Request::new(method.parse().unwrap(), (path, None), "", b"").unwrap();
            find(&request).err().map(|problem| problem.status.as_u16())
        };
        assert_eq!(status("DELETE", "/api/v2/dags"), Some(405));
        assert_eq!(status("GET", "/api/v2/nope"), Some(404));
        assert_eq!(status("GET", "/api/v2/dags/a/b"), Some(404));
        assert_eq!(status("GET", "/api/v2/dags/a"), None);
    }

    #[test]
    fn the_parts_of_a_path_are_found_by_name() {
        let target = ("/api/v2/dags/d/dagRuns/r%2B/taskInstances/t", None);
        let request = Request::new(Method::GET, target, "", b"").unwrap();
        let route = find(&request).unwrap();
        let id = |name| route.id(&request.path, name);
        assert_eq!(
            ["dag_id", "run_id", "task_id", "other"].map(id),
            ["d", "r+", "t", ""]
        );
    }
}
