//! The words of the HTTP API: what a DAG, a run and a task instance look like in JSON.
//!
//! The field names are those of Airflow 3's `/api/v2`. What Airflow has and this program has not is
//! answered with the null, false, -1 or empty value that Airflow's schema allows. `--json` of the
//! command line prints the same.

mod view;

pub use view::{dag_run, dag_summary, task, task_instance};
