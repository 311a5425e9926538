//! What is: every DAG, its live runs and their task instances, as the records say.
//!
//! [`State::apply`] is the only thing that changes it, live and at replay alike, and it refuses a
//! record that does not follow from the ones before it. So two states that have applied the same
//! records are equal, and a state never holds what no record says.
//!
//! Finished runs stay for a while ([`RUNS_KEPT_MAX`]) so that they can be cleared; history is the
//! journal's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::record::{Fact, Record};
use super::run::Run;
use crate::dag::Dag;

/// Finished runs of one DAG that are kept in memory.
pub const RUNS_KEPT_MAX: usize = 8;
/// Task instances of finished runs of one DAG that are kept in memory, if that is fewer runs.
const TASKS_KEPT_MAX: usize = 1_000;

/// Names a run within one process; later runs have larger numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunNumber(u64);

/// One DAG and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DagState {
    /// The version that new runs get.
    pub dag: Arc<Dag>,
    /// Nothing of a paused DAG starts.
    pub is_paused: bool,
    /// Every run that is held in memory.
    pub runs: BTreeMap<Arc<str>, RunNumber>,
    /// The `queued` ones, oldest first.
    pub queued: BTreeSet<RunNumber>,
    /// How many are `running`.
    pub active_runs: u32,
    /// How many task instances are `running`.
    pub running_tasks: u32,
    /// The finished runs, in the order they finished.
    finished: VecDeque<RunNumber>,
    finished_tasks: usize,
}

/// The record does not follow from the ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyError(pub(super) String);

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ApplyError {}

/// Everything the scheduler knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    dags: BTreeMap<Arc<str>, DagState>,
    runs: BTreeMap<RunNumber, Run>,
    runs_created: u64,
}

impl State {
    /// Offers a DAG, or a new version of one: runs created from now on use it.
    pub fn insert_dag(&mut self, dag: Arc<Dag>) {
        if let Some(known) = self.dags.get_mut(&dag.dag_id) {
            known.dag = dag;
            return;
        }
        let known = DagState {
            is_paused: dag.is_paused_upon_creation,
            dag,
            runs: BTreeMap::new(),
            queued: BTreeSet::new(),
            active_runs: 0,
            running_tasks: 0,
            finished: VecDeque::new(),
            finished_tasks: 0,
        };
        self.dags.insert(known.dag.dag_id.clone(), known);
    }

    /// A DAG by its id.
    pub fn dag(&self, dag_id: &str) -> Option<&DagState> {
        self.dags.get(dag_id)
    }

    /// Every DAG, ordered by id.
    pub fn dags(&self) -> impl Iterator<Item = &DagState> {
        self.dags.values()
    }

    /// A run that is held in memory.
    pub fn run(&self, number: RunNumber) -> Option<&Run> {
        self.runs.get(&number)
    }

    /// A run by its name.
    pub fn find_run(&self, dag_id: &str, run_id: &str) -> Option<(RunNumber, &Run)> {
        let number = *self.dags.get(dag_id)?.runs.get(run_id)?;
        Some((number, self.runs.get(&number)?))
    }

    /// Every run that is held in memory, oldest first.
    pub fn runs(&self) -> impl Iterator<Item = (RunNumber, &Run)> {
        self.runs.iter().map(|(number, run)| (*number, run))
    }

    /// Changes the state as `record` says, or changes nothing and says why the record cannot be true.
    /// O(log n) in DAGs and runs; O(downstream) for a task, O(tasks of the run) for a run.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        let dag_id = &record.dag_id;
        let Some(dag) = self.dags.get_mut(dag_id) else {
            return Err(ApplyError(format!("there is no DAG `{dag_id}`")));
        };
        let run_id = match &record.fact {
            Fact::Paused(is_paused) => {
                dag.is_paused = *is_paused;
                return Ok(());
            }
            Fact::RunCreated(facts) => {
                if dag.runs.contains_key(&facts.run_id) {
                    return Err(ApplyError(format!(
                        "run `{dag_id}/{}` exists",
                        facts.run_id
                    )));
                }
                self.runs_created += 1;
                let number = RunNumber(self.runs_created);
                dag.runs.insert(facts.run_id.clone(), number);
                dag.queued.insert(number);
                self.runs
                    .insert(number, Run::new(dag.dag.clone(), facts.clone(), record.at));
                return Ok(());
            }
            Fact::RunStarted { run_id }
            | Fact::RunStopped { run_id, .. }
            | Fact::RunEnded { run_id, .. }
            | Fact::RunCleared { run_id, .. }
            | Fact::TaskStarted { run_id, .. }
            | Fact::TaskEnded { run_id, .. }
            | Fact::TaskSettled { run_id, .. } => run_id,
        };
        let number = dag.runs.get(run_id).copied();
        let Some((number, run)) = number.and_then(|n| Some((n, self.runs.get_mut(&n)?))) else {
            return Err(ApplyError(format!("there is no run `{dag_id}/{run_id}`")));
        };
        let running = run.apply(record)?;
        dag.running_tasks = dag.running_tasks.wrapping_add_signed(running);
        match &record.fact {
            Fact::RunStarted { .. } => {
                dag.queued.remove(&number);
                dag.active_runs += 1;
            }
            Fact::RunEnded { .. } => {
                dag.active_runs -= u32::from(!dag.queued.remove(&number));
                dag.finished.push_back(number);
                dag.finished_tasks += run.tasks.len();
                self.forget_old_runs(dag_id);
            }
            Fact::RunCleared { .. } => {
                if let Some(place) = dag.finished.iter().position(|n| *n == number) {
                    dag.finished.remove(place);
                    dag.finished_tasks -= run.tasks.len();
                    dag.queued.insert(number);
                }
            }
            Fact::Paused(_)
            | Fact::RunCreated(_)
            | Fact::RunStopped { .. }
            | Fact::TaskStarted { .. }
            | Fact::TaskEnded { .. }
            | Fact::TaskSettled { .. } => {}
        }
        Ok(())
    }

    /// Keeps the latest finished run of a DAG always, and more while they are few and small.
    fn forget_old_runs(&mut self, dag_id: &str) {
        let Some(dag) = self.dags.get_mut(dag_id) else {
            return;
        };
        while dag.finished.len() > RUNS_KEPT_MAX
            || (dag.finished.len() > 1 && dag.finished_tasks > TASKS_KEPT_MAX)
        {
            let Some(run) = dag.finished.pop_front().and_then(|n| self.runs.remove(&n)) else {
                return;
            };
            dag.finished_tasks -= run.tasks.len();
            dag.runs.remove(&run.facts.run_id);
        }
    }
}
