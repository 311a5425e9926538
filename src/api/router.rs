//! Which request is answered by whom: one table, [`ROUTES`].
//!
//! A handler sees the daemon as it is at one moment and says what to answer, or what to ask of it first
//! and how to answer then. Handlers only look; so one that panics has broken nothing, and its request is
//! answered with 500. The daemon is borrowed for moments, never across an `await`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hyper::{Method, StatusCode};

use super::answer::{clear, dags, log, runs, status, task_instances};
use super::lookup;
use super::past::{History, Past, Question};
use super::problem::Problem;
use super::request::Request;
use crate::daemon::service::{Service, Shared};
use crate::dag::Value;
use crate::scheduler::{Answer, Command};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See everything, and trigger, clear, cancel and pause.
    Operator,
    /// And say which DAGs there are.
    Admin,
}

/// What is sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    /// Where the next piece of a log begins, if it is not said in the body.
    pub(super) continuation: Option<String>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(body: String) -> Self {
        Self::text("application/json", body)
    }

    pub(super) fn text(content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            continuation: None,
            body,
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
        Self {
            status: problem.status,
            ..Self::from(problem.body)
        }
    }
}

/// What a handler makes of a request.
pub(super) enum Outcome {
    Done(Reply),
    /// Ask the scheduler, and answer when it has.
    Ask(Command, Then),
    /// Read the DAG files again, and answer then.
    Reload(Handler),
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

pub(super) type Then = fn(&Service, &Call<'_>, &Answer) -> Result<Reply, Problem>;
pub(super) type Handler = fn(&Service, &Call<'_>) -> Result<Outcome, Problem>;

/// A request, what its path names, and what was read back for it.
pub(super) struct Call<'r> {
    pub(super) request: &'r Request,
    pub(super) history: History,
    pub(super) past: Past,
    pattern: &'static str,
}

impl<'r> Call<'r> {
    fn new(request: &'r Request, route: &Route) -> Self {
        Self {
            request,
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
    /// `GET`, `POST` or `PATCH`.
    pub method: &'static str,
    /// The path; `{name}` stands for one part of it.
    pub pattern: &'static str,
    /// Who may ask.
    pub role: Role,
    history: History,
    handler: Handler,
}

impl Route {
    /// What it may need of the journal.
    const fn with(self, history: History) -> Self {
        Self { history, ..self }
    }
}

const fn get(pattern: &'static str, handler: Handler) -> Route {
    route("GET", pattern, handler)
}

const fn post(pattern: &'static str, handler: Handler) -> Route {
    route("POST", pattern, handler)
}

const fn patch(pattern: &'static str, handler: Handler) -> Route {
    route("PATCH", pattern, handler)
}

const fn route(method: &'static str, pattern: &'static str, handler: Handler) -> Route {
    Route {
        method,
        pattern,
        role: Role::Operator,
        history: History::None,
        handler,
    }
}

/// Everything that can be asked. Of two patterns that match, the first counts.
pub const ROUTES: &[Route] = &[
    get("/api/v2/version", status::version),
    get("/api/v2/monitor/health", status::health),
    get("/api/v2/pools", status::pools),
    get("/api/v2/importErrors", status::import_errors),
    get("/api/v2/dagStats", dags::stats),
    get("/api/v2/dagSources/{dag_id}", dags::source),
    get("/api/v2/dags", dags::list),
    get("/api/v2/dags/{dag_id}", dags::get),
    patch("/api/v2/dags/{dag_id}", dags::pause),
    get("/api/v2/dags/{dag_id}/details", dags::details),
    get("/api/v2/dags/{dag_id}/tasks", dags::tasks),
    get("/api/v2/dags/{dag_id}/tasks/{task_id}", dags::task),
    post("/api/v2/dags/{dag_id}/clearTaskInstances", clear::tasks).with(History::Run),
    get("/api/v2/dags/{dag_id}/dagRuns", runs::list).with(History::Runs),
    post("/api/v2/dags/{dag_id}/dagRuns", runs::trigger),
    get("/api/v2/dags/{dag_id}/dagRuns/{run_id}", runs::get).with(History::Run),
    patch("/api/v2/dags/{dag_id}/dagRuns/{run_id}", runs::set_state).with(History::Run),
    post("/api/v2/dags/{dag_id}/dagRuns/{run_id}/clear", clear::run).with(History::Run),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances",
        task_instances::list,
    )
    .with(History::Run),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}",
        task_instances::get,
    )
    .with(History::Run),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/tries",
        task_instances::tries,
    )
    .with(History::Attempts),
    get(
        "/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try}",
        log::log,
    )
    .with(History::Run),
    get("/mini-dag/v1/status", status::status),
    Route {
        role: Role::Admin,
        ..post("/mini-dag/v1/reload", status::reload)
    },
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

fn find(request: &Request) -> Result<&'static Route, Problem> {
    let mut here = ROUTES
        .iter()
        .filter(|route| matches(route.pattern, &request.path))
        .peekable();
    if here.peek().is_none() {
        return Err(Problem::no_route());
    }
    here.find(|route| route.method == request.method.as_str())
        .ok_or_else(|| Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
}

/// Answers a request of somebody who may do what `role` may.
pub async fn answer(service: &Shared, request: &Request, role: Role) -> Reply {
    match try_answer(service, request, role).await {
        Ok(reply) => reply,
        Err(problem) => problem.into(),
    }
}

async fn try_answer(service: &Shared, request: &Request, role: Role) -> Result<Reply, Problem> {
    let route = find(request)?;
    if role < route.role {
        let detail = "only the daemon's own user and root may do this";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let mut call = Call::new(request, route);
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
            if let Command::Clear { dag_id, run_id, .. } = &command {
                recall(&mut service.borrow_mut(), &call.past, dag_id, run_id);
            }
            let answer = service.borrow_mut().ask(command);
            let gone = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "mini-dag is going down");
            let answer = answer.recv().await.map_err(gone)??;
            guarded(|| then(&service.borrow(), &call, &answer))
        }
        Outcome::Reload(_) => Err(internal()),
    }
}

/// Brings a run back that is to be cleared, if it is only history any more.
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
    (reply.status.as_u16(), reply.body)
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
    match (route.handler)(service, &call)? {
        Outcome::Done(reply) => Ok(reply),
        Outcome::Ask(..) | Outcome::Reload(_) => Err(internal()),
    }
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
