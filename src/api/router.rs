//! Which request is answered by whom: one table, [`ROUTES`].
//!
//! A handler sees the daemon as it is at one moment and says what to answer, or what to ask of it first
//! and how to answer then. Handlers only look; so one that panics has broken nothing, and its request is
//! answered with 500. The daemon is borrowed for moments, never across an `await`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderName};
use hyper::{Method, StatusCode};
use smol::Timer;
use smol::lock::Mutex;

use super::Api;
use super::answer::{
    backfills, clear, dags, log, login, page, rest, runs, status, task_instances, xcoms,
};
use super::auth::{Caller, Means, Role};
use super::body::Content;
use super::connection::Visitor;
use super::lookup;
use super::past::{History, Past, Question};
use super::problem::Problem;
use super::request::Request;
use super::stream;
use super::view::{object, text};
use crate::daemon::aside::aside;
use crate::daemon::driver::Notice;
use crate::daemon::service::Service;
use crate::daemon::takeover;
use crate::dag::Value;
use crate::scheduler::{Answer, Command};

/// What is sent back.
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    /// Over those that every answer has.
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) content: Content,
}

impl Reply {
    pub(super) fn json(body: String) -> Self {
        Self::text("application/json", body)
    }

    pub(super) fn text(content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            headers: Vec::new(),
            content: Content::Text(body),
        }
    }
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self::json(body.to_string())
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let mut reply = Self::from(problem.body);
        reply.status = problem.status;
        if problem.is_closing {
            reply.headers.push((CONNECTION, "close".to_owned()));
        }
        reply
    }
}

/// What a handler makes of a request.
pub(super) enum Outcome {
    Done(Reply),
    /// Ask the scheduler, and answer when it has.
    Ask(Command, Then),
    /// Ask the scheduler for all of these, and answer when it has done them.
    AskAll(Vec<Command>, Handler),
    /// Read the DAG files again, and answer then.
    Reload(Handler),
    /// Make the program that is now where this one was this process's program.
    Replace,
    /// Verify a name and a password, and give something for them.
    LogIn(Means, String, String),
    /// End the caller's session.
    LogOut,
    /// Tell what changes, from now on.
    Watch,
    /// Make the JSON of an answer outside the loop: it may take a while.
    Aside(Work),
}

impl Outcome {
    /// The answer, if it has only to be made.
    fn done(self) -> Option<Reply> {
        match self {
            Self::Done(reply) => Some(reply),
            Self::Ask(..)
            | Self::AskAll(..)
            | Self::Reload(_)
            | Self::Replace
            | Self::Aside(_)
            | Self::LogIn(..)
            | Self::LogOut
            | Self::Watch => None,
        }
    }
}

impl From<Value> for Outcome {
    fn from(body: Value) -> Self {
        Self::Done(body.into())
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Done(reply)
    }
}

pub(super) type Work = Box<dyn FnOnce() -> Result<String, Problem> + Send>;
pub(super) type Then = fn(&Service, &Call<'_>, &Answer) -> Result<Reply, Problem>;
pub(super) type Handler = fn(&Service, &Call<'_>) -> Result<Outcome, Problem>;

/// A request, what its path names, and what was read back for it.
pub(super) struct Call<'r> {
    pub(super) request: &'r Request,
    /// `None` is nobody in particular, at a route for everybody, or one who only looks at the journal.
    pub(super) caller: Option<&'r Caller>,
    pub(super) api: Option<&'r Api>,
    pub(super) history: History,
    pub(super) past: Past,
    pattern: &'static str,
}

impl<'r> Call<'r> {
    fn new(request: &'r Request, route: &Route) -> Self {
        Self {
            request,
            caller: None,
            api: None,
            history: route.history,
            past: Past::new(),
            pattern: route.pattern,
        }
    }

    /// What stands in the path where the pattern has `{name}`.
    pub(super) fn id(&self, name: &str) -> &'r str {
        let parts = parts(self.pattern).zip(&self.request.path);
        let mut named = parts.filter(|(part, _)| placeholder(part) == Some(name));
        named.next().map_or("", |(_, part)| part)
    }
}

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
    history: History,
    handler: Handler,
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

    /// The names in its pattern.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &'static str> {
        parts(self.pattern).filter_map(placeholder)
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
const BATCH: &str = "get_list_dag_runs_batch";

/// Everything that can be asked. Of two patterns that match, the first counts.
pub const ROUTES: &[Route] = &[
    post("/auth/token", "create_token", login::token).public(),
    post("/auth/token/cli", "create_token_cli", login::cli_token).public(),
    get("/api/v2/version", "get_version", status::version).public(),
    get("/api/v2/monitor/health", "get_health", status::health).public(),
    get("/health", "health", status::health).public(),
    get("/openapi.json", "get_openapi", rest::openapi).public(),
    get("/metrics", "get_metrics", rest::metrics),
    get("/api/v2/eventLogs", "get_event_logs", status::event_logs)
        .query(&["limit", "offset", "order_by", "dag_id"]),
    get("/api/v2/pools", "get_pools", status::pools),
    get(
        "/api/v2/importErrors",
        "get_import_errors",
        status::import_errors,
    )
    .query(PAGED),
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
        "/api/v2/dags/{dag_id}/tasks/{task_id}",
        "get_task",
        dags::task,
    ),
    post(
        "/api/v2/dags/{dag_id}/clearTaskInstances",
        "post_clear_task_instances",
        clear::tasks,
    )
    .with(History::Run),
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
    .with(History::Run),
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
    post("/mini-dag/v1/login", "log_in", login::page).public(),
    post("/mini-dag/v1/logout", "log_out", login::out).role(Role::Viewer),
    get("/mini-dag/v1/session", "get_session", login::session),
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

fn parts(pattern: &'static str) -> impl Iterator<Item = &'static str> {
    pattern.split('/').skip(1)
}

fn placeholder(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn matches(pattern: &'static str, path: &[String]) -> bool {
    parts(pattern).count() == path.len()
        && parts(pattern)
            .zip(path)
            .all(|(part, given)| placeholder(part).is_some() || part == given)
}

/// Whether a request is for everybody, known before its body is read. Deny by default: what is not found here
/// is for people who have said who they are.
pub(super) fn is_public(method: &Method, path: &str) -> bool {
    let request = Request::new(method.clone(), (path, None), "", b"");
    request.is_ok_and(|request| find(&request).is_ok_and(|route| route.role.is_none()))
}

fn find(request: &Request) -> Result<&'static Route, Problem> {
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

/// Answers a request; `caller` has been identified.
pub(super) async fn answer(
    api: &Rc<Api>,
    request: &Request,
    caller: Option<&Caller>,
    visitor: &Visitor,
) -> Reply {
    match try_answer(api, request, caller, visitor).await {
        Ok(reply) => reply,
        Err(problem) => problem.into(),
    }
}

async fn try_answer(
    api: &Rc<Api>,
    request: &Request,
    caller: Option<&Caller>,
    visitor: &Visitor,
) -> Result<Reply, Problem> {
    let route = find(request)?;
    let service = &api.service;
    let role = caller.map(|caller| caller.role);
    if role < route.role {
        let needed = route.role.map_or("", Role::name);
        let detail = format!(
            "this is for the role {needed}; at the control socket, only the daemon's own user and root may do it"
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let listed;
    let request = if route.name == BATCH {
        listed = request.clone().listed()?;
        &listed
    } else {
        request
    };
    let mut call = Call {
        caller,
        api: Some(api),
        ..Call::new(request, route)
    };
    let question = guarded(|| Question::of(&service.borrow(), &call))?;
    if let Some(question) = question {
        call.past = question.read().await?;
    }
    let mut outcome = guarded(|| (route.handler)(&service.borrow(), &call))?;
    if let Outcome::Reload(then) = outcome {
        service.borrow_mut().reload(true);
        outcome = guarded(|| then(&service.borrow(), &call))?;
    }
    match outcome {
        Outcome::Done(reply) => Ok(reply),
        Outcome::Ask(command, then) => {
            if let Some((dag_id, run_id)) = corrected(&command) {
                recall(&mut service.borrow_mut(), &call.past, dag_id, run_id);
            }
            let answer = ask(api, command).await?;
            guarded(|| then(&service.borrow(), &call, &answer))
        }
        Outcome::AskAll(commands, then) => {
            for command in commands {
                if let Some((dag_id, run_id)) = corrected(&command) {
                    recall(&mut service.borrow_mut(), &call.past, dag_id, run_id);
                }
                ask(api, command).await?;
            }
            let outcome = guarded(|| then(&service.borrow(), &call))?;
            outcome.done().ok_or_else(internal)
        }
        Outcome::Aside(work) => work_aside(work).await.map(Reply::json),
        Outcome::Reload(_) => Err(internal()),
        Outcome::Replace => replace(api).await,
        Outcome::LogIn(means, name, password) => {
            let (caller, given) = api
                .gate
                .log_in((&name, &password), means, visitor.source())
                .await?;
            Ok(login::reply(means, &caller, given, &visitor.cookie()))
        }
        Outcome::LogOut => {
            if let Some(caller) = caller {
                api.gate.log_out(caller);
            }
            Ok(login::gone(&visitor.cookie()))
        }
        Outcome::Watch => match caller {
            Some(caller) => stream::open(api, caller, &request.last_event),
            None => Err(internal()),
        },
    }
}

async fn ask(api: &Api, command: Command) -> Result<Answer, Problem> {
    let deleted = match &command {
        Command::Delete { dag_id, run_id } => Some((dag_id.clone(), run_id.clone())),
        Command::Trigger(_)
        | Command::Cancel { .. }
        | Command::Clear { .. }
        | Command::Mark { .. }
        | Command::Note { .. }
        | Command::Pause { .. }
        | Command::Backfill(_)
        | Command::ChangeBackfill(..) => None,
    };
    let answer = api.service.borrow_mut().ask(command);
    let gone = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "mini-dag is going down");
    let answer = answer.recv().await.map_err(gone)??;
    if let Some((dag_id, run_id)) = deleted {
        api.service.borrow_mut().forget_logs(&dag_id, &run_id);
    }
    Ok(answer)
}

/// Whoever asks has the answer before this program is gone.
const TO_ANSWER: Duration = Duration::from_millis(100);

async fn replace(api: &Api) -> Result<Reply, Problem> {
    let no = |why: String| Problem::new(StatusCode::CONFLICT, why);
    let program = takeover::probe().await.map_err(no)?;
    let answer = object([("program", text(program.display().to_string()))]);
    api.service.borrow_mut().forget_takeover();
    let sender = api.service.borrow().sender();
    let tell = async move {
        Timer::after(TO_ANSWER).await;
        // The loop has ended.
        let _ = sender.try_send(Notice::Replace(program));
    };
    api.executor.spawn(tell).detach();
    Ok(Reply {
        status: StatusCode::ACCEPTED,
        ..Reply::from(answer)
    })
}

/// One at a time, so that whoever asks much of the host gets it later, and nobody else waits.
async fn work_aside(work: Work) -> Result<String, Problem> {
    static WORKER: Mutex<()> = Mutex::new(());
    let turn = WORKER.lock().await;
    aside(move || {
        let _turn = turn;
        guarded(work)
    })
    .await
}

/// The run that a command is about, if that may be one that is over.
fn corrected(command: &Command) -> Option<(&str, &str)> {
    match command {
        Command::Clear { dag_id, run_id, .. }
        | Command::Mark { dag_id, run_id, .. }
        | Command::Note { dag_id, run_id, .. }
        | Command::Delete { dag_id, run_id } => Some((dag_id, run_id)),
        Command::Trigger(_)
        | Command::Cancel { .. }
        | Command::Pause { .. }
        | Command::Backfill(_)
        | Command::ChangeBackfill(..) => None,
    }
}

/// Brings a run back that is to be changed, if it is only history any more.
fn recall(service: &mut Service, past: &Past, dag_id: &str, run_id: &str) {
    let known = lookup::run(service, past, dag_id, run_id);
    let known = known.map(|(number, _)| number);
    if let Some((number, recalled)) = known.ok().and_then(|number| past.get_key_value(&number)) {
        service.recall(*number, &recalled.run);
    }
}

/// Answers a `GET` from what a service sees that only looks. `target`: a path and a query. Returns a status
/// and JSON.
pub fn answer_offline(service: &Service, target: &str) -> (u16, String) {
    let reply = try_answer_offline(service, target).unwrap_or_else(Reply::from);
    (reply.status.as_u16(), reply.content.into_text())
}

fn try_answer_offline(service: &Service, target: &str) -> Result<Reply, Problem> {
    let target = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let request = Request::new(Method::GET, target, "", b"")?;
    let route = find(&request)?;
    let mut call = Call::new(&request, route);
    if let Some(question) = Question::of(service, &call)? {
        call.past = question.read_now()?;
    }
    let outcome = (route.handler)(service, &call)?;
    if let Outcome::Aside(work) = outcome {
        return work().map(Reply::json);
    }
    outcome.done().ok_or_else(internal)
}

/// A panic is a bug, and the answer to one request; the daemon goes on.
pub(super) fn guarded<T>(handler: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|_| Err(internal()))
}

fn internal() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "mini-dag made a mistake, and goes on; its log says more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_handler_that_panics_is_one_answer() {
        let problem = guarded(|| -> Result<(), Problem> { panic!("a bug") }).unwrap_err();
        assert_eq!(problem.status.as_u16(), 500);
    }

    #[test]
    fn the_parts_of_a_path_are_found_by_name() {
        let target = ("/api/v2/dags/d/dagRuns/r%2B/taskInstances/t", None);
        let request = Request::new(hyper::Method::GET, target, "", b"").unwrap();
        let call = Call::new(&request, find(&request).unwrap());
        let ids = ["dag_id", "run_id", "task_id", "other"].map(|name| call.id(name));
        assert_eq!(ids, ["d", "r+", "t", ""]);
    }
}
