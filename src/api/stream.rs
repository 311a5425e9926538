//! What changes, as it changes: server-sent events.
//!
//! ```text
//! id: 1795334488160-17
//! event: task
//! data: {"at":"…","dag_id":"weather","dag_run_id":"manual__…","task_id":"clean","state":"running","try_number":1}
//! ```
//!
//! | event | data |
//! | --- | --- |
//! | `hello` | the first of a stream: `{"id": …}`; from here on nothing is missed |
//! | `reset` | what came since the last id is not known any more: look at everything again |
//! | `daemon` | which DAGs there are, what is wrong with files, or whether anything may start |
//! | `dag` | `dag_id`: it was paused or unpaused, or one of its runs was deleted |
//! | `run` | `dag_id`, `dag_run_id`, `state` |
//! | `task` | `dag_id`, `dag_run_id`, `task_id`, `state`, `try_number` |
//!
//! A browser that is cut off comes back with `Last-Event-ID` and misses nothing. A reader that does not keep up
//! is cut off; so is one that would not be let in any more.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderName;
use smol::channel::{Sender, bounded};
use smol::{Timer, future};

use super::Api;
use super::body::{Content, Events};
use super::caller::Caller;
use super::problem::Problem;
use super::router::Reply;
use super::view::{date, number, object, text};
use crate::daemon::service::{Change, Changed};
use crate::dag::Value;

/// Streams that are open at once.
const STREAMS_MAX: usize = 8;
/// A line now and then tells both sides that the other is still there.
const PULSE: Duration = Duration::from_secs(20);
/// A reader that takes nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(15);
/// Changes in one piece.
const PIECE_MAX: usize = 100;

/// A place among the streams.
struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The stream, from after the event of this id on; from now on, if it is empty.
pub(super) fn open(api: &Rc<Api>, caller: &Caller, last_event: &str) -> Result<Reply, Problem> {
    if api.streams.get() >= STREAMS_MAX {
        let detail = format!("{STREAMS_MAX} event streams are open already");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    api.streams.set(api.streams.get() + 1);
    let place = Place(api.streams.clone());
    let (sender, pieces) = bounded(1);
    let (writing, caller) = (api.clone(), caller.clone());
    let last_event = last_event.to_owned();
    let writer = api.executor.spawn(async move {
        let _place = place;
        write(&writing, &caller, &last_event, &sender).await;
    });
    let events = Events {
        pieces: Box::pin(pieces),
        _writer: writer,
    };
    let mut reply = Reply::text("text/event-stream; charset=utf-8", String::new());
    reply.content = Content::Events(events);
    // For a proxy that would collect the answer first.
    let unbuffered = (
        HeaderName::from_static("x-accel-buffering"),
        "no".to_owned(),
    );
    reply.headers.push(unbuffered);
    Ok(reply)
}

async fn write(api: &Api, caller: &Caller, last_event: &str, sender: &Sender<String>) {
    let epoch = api.service.borrow().started().wall.millis();
    let id = |number: u64| format!("{epoch}-{number}");
    let watcher = api.service.borrow_mut().feed_mut().watch();
    let now = api.service.borrow().feed().count();
    let seen = last_event.split_once('-');
    let seen = seen.filter(|(first, _)| *first == epoch.to_string());
    let seen: Option<u64> = seen.and_then(|(_, number)| number.parse().ok());
    let mut next = seen.unwrap_or(now);
    let hello = object([("id", text(id(next)))]);
    let mut piece = format!(
        "retry: 2000\nid: {}\nevent: hello\ndata: {hello}\n\n",
        id(next)
    );
    if seen.is_none() && !last_event.is_empty() {
        let _ = write!(piece, "id: {}\nevent: reset\ndata: {{}}\n\n", id(next));
    }
    loop {
        let before = next;
        if let Some(changes) = api.service.borrow().feed().since(next) {
            for (number, change) in changes.take(PIECE_MAX) {
                entry(&mut piece, &id(number), change);
                next = number;
            }
        } else {
            next = api.service.borrow().feed().count();
            let _ = write!(piece, "id: {}\nevent: reset\ndata: {{}}\n\n", id(next));
        }
        if !piece.is_empty() {
            let late = async {
                Timer::after(PATIENCE).await;
                false
            };
            let sent = async { sender.send(std::mem::take(&mut piece)).await.is_ok() };
            if !future::or(sent, late).await {
                return;
            }
        }
        if next > before {
            continue;
        }
        let pulse = async {
            Timer::after(PULSE).await;
            true
        };
        let woken = async {
            // The feed is there for as long as the daemon.
            let _ = watcher.recv().await;
            false
        };
        if future::or(woken, pulse).await {
            piece.push_str(":\n\n");
        }
        if !api.gate.is_still(caller) {
            return;
        }
    }
}

fn entry(piece: &mut String, id: &str, change: &Change) {
    let at = ("at", date(Some(change.at)));
    let id_of = |id: &str| text(id);
    let (event, data) = match &change.what {
        Changed::Daemon => ("daemon", object([at])),
        Changed::Dag(dag_id) => ("dag", object([at, ("dag_id", id_of(dag_id))])),
        Changed::Run(dag_id, run_id, state) => {
            let run = [
                at,
                ("dag_id", id_of(dag_id)),
                ("dag_run_id", id_of(run_id)),
                ("state", state.map_or(Value::Null, text)),
            ];
            ("run", object(run))
        }
        Changed::Task(dag_id, run_id, task_id, state, try_number) => {
            let task = [
                at,
                ("dag_id", id_of(dag_id)),
                ("dag_run_id", id_of(run_id)),
                ("task_id", id_of(task_id)),
                ("state", text(*state)),
                ("try_number", number(*try_number)),
            ];
            ("task", object(task))
        }
    };
    let _ = write!(piece, "id: {id}\nevent: {event}\ndata: {data}\n\n");
}
