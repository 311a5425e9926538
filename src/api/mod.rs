//! The words of the HTTP API: what a DAG, a run and a task instance look like in JSON, and who answers.
//!
//! The field names are those of Airflow 3's `/api/v2`. What Airflow has and this program has not is
//! answered with the null, false, -1 or empty value that Airflow's schema allows. `--json` of the
//! command line prints the same.
//!
//! ```text
//! socket ──▶ server (limits, peer) ──▶ request (decoded) ──▶ router ──▶ answer ──▶ view (JSON)
//!                                                              │  ▲
//!                                                    Command ▼  │ Answer
//!                                                            daemon
//! ```

mod answer;
mod lookup;
mod past;
mod peer;
mod problem;
mod request;
mod router;
mod server;
mod socket;
mod view;

pub use router::{ROUTES, Role, Route, answer_offline};
pub use server::{ControlSocket, listen};
pub use view::{Standing, dag_run, dag_summary, task, task_instance};
