//! How a request is answered: its handler is asked, and what the handler asks for is done.
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
use super::body::Content;
use super::caller::{Caller, Role};
use super::connection::Visitor;
use super::lookup;
use super::past::{Past, Question};
use super::problem::Problem;
use super::remote::{self, Errand};
use super::request::Request;
use super::routes::{BATCH, Route, find};
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
            content: Content::Whole(body.into()),
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
    AskAll(Vec<Command>, After),
    /// Read the DAG files again, and answer then.
    Reload(Handler),
    /// Make the program that is now where this one was this process's program.
    Replace,
    /// Ask the gate.
    Gate(Errand),
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
            | Self::Gate(_)
            | Self::Watch => None,
        }
    }
}

impl From<Value> for Outcome {
    fn from(body: Value) -> Self {
        Self::Done(body.into())
    }
}

impl From<Errand> for Outcome {
    fn from(errand: Errand) -> Self {
        Self::Gate(errand)
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Done(reply)
    }
}

pub(super) type Work = Box<dyn FnOnce() -> Result<String, Problem> + Send>;
pub(super) type Then = fn(&Service, &Call<'_>, &Answer) -> Result<Reply, Problem>;
pub(super) type After = Box<dyn FnOnce(&Service, &Call<'_>) -> Result<Outcome, Problem>>;
pub(super) type Handler = fn(&Service, &Call<'_>) -> Result<Outcome, Problem>;

/// A request, what its path names, and what was read back for it.
pub(super) struct Call<'r> {
    pub(super) request: &'r Request,
    /// `None` is nobody in particular, at a route for everybody, or one who only looks at the journal.
    pub(super) caller: Option<&'r Caller>,
    pub(super) api: Option<&'r Api>,
    pub(super) past: Past,
    pub(super) route: &'static Route,
}

impl<'r> Call<'r> {
    fn new(request: &'r Request, route: &'static Route) -> Self {
        Self {
            request,
            caller: None,
            api: None,
            past: Past::new(),
            route,
        }
    }

    /// What stands in the path where the pattern has `{name}`.
    pub(super) fn id(&self, name: &str) -> &'r str {
        self.route.id(&self.request.path, name)
    }
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
        Outcome::Gate(errand) => remote::run(errand, api, caller, visitor).await,
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
    fn a_handler_that_panics_is_one_answer() {
        let problem = guarded(|| -> Result<(), Problem> { panic!("a bug") }).unwrap_err();
        assert_eq!(problem.status.as_u16(), 500);
    }
}
