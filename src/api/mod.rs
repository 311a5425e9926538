//! The words of the HTTP API: what a DAG, a run and a task instance look like in JSON, and who answers.
//!
//! The field names are those of Airflow 3's `/api/v2`. What Airflow has and this program has not is
//! answered with the null, false, -1 or empty value that Airflow's schema allows. `--json` of the
//! command line prints the same.
//!
//! ```text
//! control socket ─┐                              who asks?
//!                 ├▶ door ──▶ connection ──▶ guard ──▶ auth ──▶ router ──▶ answer ──▶ view (JSON)
//! TCP ────────────┘  (how many)  (limits)   (browsers)           │  ▲
//!                                                     Command ▼  │ Answer
//!                                                             daemon
//! ```

mod answer;
mod auth;
mod body;
mod connection;
mod door;
mod guard;
mod lookup;
mod metrics;
mod openapi;
mod past;
mod peer;
mod problem;
mod request;
mod router;
mod routes;
mod site;
mod socket;
mod span;
mod stream;
mod view;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use smol::LocalExecutor;

use crate::daemon::clock;
use crate::daemon::service::Shared;
use crate::timetable::Timestamp;

pub use auth::{PASSWORD_BYTES_MAX, PASSWORD_MIN, Role, User, Users};
pub use door::{Doors, listen};
pub use router::answer_offline;
pub use routes::{ROUTES, Route};
pub use view::{Standing, dag_run, dag_summary, params, task, task_instance};

/// Changes by people that are remembered for `eventLogs`.
const AUDITS_MAX: usize = 200;

/// What all connections share.
pub(crate) struct Api {
    service: Shared,
    executor: Rc<LocalExecutor<'static>>,
    gate: auth::Gate,
    socket: PathBuf,
    /// Event streams that are open.
    streams: Rc<Cell<usize>>,
    audits: RefCell<VecDeque<Audit>>,
    audited: Cell<u64>,
}

/// Something that somebody asked for, and that was done.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    number: u64,
    at: Timestamp,
    who: String,
    /// The name of the route.
    event: &'static str,
    /// The parts of the path.
    path: Vec<String>,
}

impl Api {
    fn new(service: Shared, executor: Rc<LocalExecutor<'static>>) -> Self {
        let places = service.borrow().places().clone();
        Self {
            gate: auth::Gate::new(&places.state),
            socket: places.socket,
            service,
            executor,
            streams: Rc::default(),
            audits: RefCell::default(),
            audited: Cell::new(0),
        }
    }

    fn audit(&self, request: &request::Request, who: &str) {
        let mut audits = self.audits.borrow_mut();
        if audits.len() >= AUDITS_MAX {
            audits.pop_front();
        }
        self.audited.set(self.audited.get() + 1);
        audits.push_back(Audit {
            number: self.audited.get(),
            at: clock::now().wall,
            who: who.to_owned(),
            event: routes::name(request),
            path: request.path.clone(),
        });
    }
}
