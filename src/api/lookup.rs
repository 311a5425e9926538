//! Which runs there are. Everything that the API says about runs, it asks here.
//!
//! These are the runs that the scheduler holds in memory and those that were read back for this request
//! ([`Past`]): a run that is read back is a [`Run`] like any other. Of one that is both, memory counts.

use super::past::Past;
use super::problem::Problem;
use crate::daemon::service::Service;
use crate::dag::map_of;
use crate::dag::{Dag, TaskIndex};
use crate::scheduler::{DagState, Refusal, Run, RunNumber};

/// In a path: of all DAGs.
pub const EVERY_DAG: &str = "~";
/// In a path: of all runs.
pub const EVERY_RUN: &str = "~";

/// A run, and its number.
pub type Known<'s> = (RunNumber, &'s Run);

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
pub fn run<'s>(
    service: &'s Service,
    past: &'s Past,
    dag_id: &str,
    run_id: &str,
) -> Result<Known<'s>, Problem> {
    dag(service, dag_id)?;
    let is_it = |run: &Run| *run.dag.dag_id == *dag_id && *run.facts.run_id == *run_id;
    let recalled = || {
        let mut past = past.iter().map(|(number, past)| (*number, &past.run));
        past.find(|(_, run)| is_it(run))
    };
    let held = service.state().find_run(dag_id, run_id);
    held.or_else(recalled)
        .ok_or_else(|| Refusal::NoRun(run_id.to_owned()).into())
}

/// Every run in memory of a DAG, or of [`EVERY_DAG`], oldest first.
pub fn held<'s>(service: &'s Service, dag_id: &str) -> Result<Vec<Known<'s>>, Problem> {
    if dag_id == EVERY_DAG {
        return Ok(service.state().runs().collect());
    }
    let mut numbers: Vec<_> = dag(service, dag_id)?.runs.values().copied().collect();
    numbers.sort_unstable();
    let run = |number| Some((number, service.state().run(number)?));
    Ok(numbers.into_iter().filter_map(run).collect())
}

/// Every run of a DAG, or of [`EVERY_DAG`], that is in memory or was read back, oldest first.
pub fn runs<'s>(
    service: &'s Service,
    past: &'s Past,
    dag_id: &str,
) -> Result<Vec<Known<'s>>, Problem> {
    let past = past.iter().map(|(number, past)| (*number, &past.run));
    let mut runs = map_of(past);
    runs.extend(held(service, dag_id)?);
    Ok(runs.into_iter().collect())
}
