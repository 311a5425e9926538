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
mod audit;
#[cfg(feature = "tcp")]
mod auth;
mod body;
mod caller;
mod connection;
mod door;
#[cfg(feature = "tcp")]
mod guard;
mod lookup;
mod metrics;
#[cfg(feature = "tcp")]
mod openapi;
mod past;
mod peer;
mod problem;
#[cfg(feature = "tcp")]
mod remote;
#[cfg(not(feature = "tcp"))]
#[path = "no_remote.rs"]
mod remote;
mod request;
mod router;
mod routes;
#[cfg(feature = "tcp")]
mod site;
mod socket;
mod span;
mod stream;
mod view;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use smol::LocalExecutor;

use crate::daemon::service::Shared;

#[cfg(feature = "tcp")]
pub use auth::{PASSWORD_BYTES_MAX, PASSWORD_MIN, User, Users};
pub use caller::Role;
pub use door::{Doors, listen};
pub use router::answer_offline;
pub use routes::{ROUTES, Route};
pub use view::{Standing, dag_run, dag_summary, params, task, task_instance};

/// What all connections share.
pub(crate) struct Api {
    service: Shared,
    executor: Rc<LocalExecutor<'static>>,
    gate: remote::Gate,
    socket: PathBuf,
    /// Event streams that are open.
    streams: Rc<Cell<usize>>,
    audits: audit::Audits,
}

impl Api {
    fn new(service: Shared, executor: Rc<LocalExecutor<'static>>) -> Self {
        let places = service.borrow().places().clone();
        Self {
            gate: remote::Gate::new(&places.state),
            socket: places.socket,
            service,
            executor,
            streams: Rc::default(),
            audits: audit::Audits::open(&places.state),
        }
    }
}
