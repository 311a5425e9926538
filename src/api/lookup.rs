//! Which runs there are. Everything that the API says about runs, it asks here.
//!
//! Today these are the runs that the scheduler holds in memory. Where history is added, it is added
//! here: a run that is read back is a [`Run`] like any other.

use std::borrow::Cow;

use super::problem::Problem;
use crate::daemon::service::Service;
use crate::dag::{Dag, TaskIndex};
use crate::scheduler::{DagState, Refusal, Run, RunNumber};

/// In a path: of all DAGs.
pub const EVERY_DAG: &str = "~";

/// A run, and its number.
pub type Known<'s> = (RunNumber, Cow<'s, Run>);

/// A DAG by its id.
pub fn dag<'s>(service: &'s Service, dag_id: &str) -> Result<&'s DagState, Problem> {
    let known = service.state().dag(dag_id);
    known.ok_or_else(|| Refusal::NoDag(dag_id.to_owned()).into())
}

/// A task of a DAG.
pub fn task(dag: &Dag, task_id: &str) -> Result<TaskIndex, Problem> {
    let index = dag.find(task_id);
    index.ok_or_else(|| Refusal::NoTask(task_id.to_owned()).into())
}

/// A run by its name.
pub fn run<'s>(service: &'s Service, dag_id: &str, run_id: &str) -> Result<Known<'s>, Problem> {
    dag(service, dag_id)?;
    let (number, run) = service
        .state()
        .find_run(dag_id, run_id)
        .ok_or_else(|| Problem::from(Refusal::NoRun(run_id.to_owned())))?;
    Ok((number, Cow::Borrowed(run)))
}

/// Every run of a DAG, or of [`EVERY_DAG`], oldest first.
pub fn runs<'s>(service: &'s Service, dag_id: &str) -> Result<Vec<Known<'s>>, Problem> {
    let held = |(number, run): (RunNumber, &'s Run)| (number, Cow::Borrowed(run));
    if dag_id == EVERY_DAG {
        return Ok(service.state().runs().map(held).collect());
    }
    let mut numbers: Vec<_> = dag(service, dag_id)?.runs.values().copied().collect();
    numbers.sort_unstable();
    let run = |number| Some((number, service.state().run(number)?));
    Ok(numbers.into_iter().filter_map(run).map(held).collect())
}
