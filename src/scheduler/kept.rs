//! Which finished runs stay in memory, so that they can be cleared and asked: the latest of each DAG, while they are
//! few and small, its last success, and those that others need. History is the journal's.

use super::choice::XCOM_RUN_BYTES_MAX;
use super::record::RunNumber;
use super::state::State;
use super::states::RunState;

/// Finished runs of one DAG that are kept in memory.
pub const RUNS_KEPT_MAX: usize = 8;
/// Task instances of finished runs of one DAG that are kept in memory, if that is fewer runs.
const TASKS_KEPT_MAX: usize = 1_000;

impl State {
    /// Keeps the latest finished run of a DAG, its last success and those that others ask for
    /// ([`State::is_needed`]) always, and more while they are few and small.
    pub(super) fn forget_old_runs(&mut self, dag_id: &str) {
        while let Some(number) = self.run_to_forget(dag_id) {
            self.forget_run(dag_id, number);
        }
    }

    /// Of too many finished runs, or too large ones, the oldest that nobody needs.
    fn run_to_forget(&self, dag_id: &str) -> Option<RunNumber> {
        let dag = self.dag(dag_id)?;
        let of = |number: &RunNumber| self.run(*number);
        let xcom_bytes = || dag.finished.iter().filter_map(of).map(|run| run.xcom_bytes);
        if dag.finished.len() <= RUNS_KEPT_MAX
            && dag.finished_tasks <= TASKS_KEPT_MAX
            && xcom_bytes().sum::<usize>() <= XCOM_RUN_BYTES_MAX
        {
            return None;
        }
        // Those that a DAG may ask for that is not there do not count: what else is kept is what would be without them.
        // The latest would be there with that DAG, too.
        let finished = dag
            .finished
            .iter()
            .filter_map(|number| Some((number, of(number)?)));
        let (extra, counted): (Vec<_>, Vec<_>) = finished
            .partition(|(number, run)| dag.finished.back() != Some(*number) && self.is_orphan(run));
        let tasks_of_extra: usize = extra.iter().map(|(_, run)| run.tasks().len()).sum();
        let xcom_bytes = counted.iter().map(|(_, run)| run.xcom_bytes);
        if counted.len() <= RUNS_KEPT_MAX
            && dag.finished_tasks - tasks_of_extra <= TASKS_KEPT_MAX
            && xcom_bytes.sum::<usize>() <= XCOM_RUN_BYTES_MAX
        {
            return None;
        }
        let is_success =
            |number: &&RunNumber| of(number).is_some_and(|run| run.state == RunState::Success);
        let successes = dag.finished.iter().filter(is_success);
        let last = successes.max_by_key(|number| of(number).map(|run| run.facts.logical_date));
        let mut needed = self.is_needed(dag);
        needed.extend(last);
        needed.extend(dag.finished.back());
        let mut oldest_first = dag.finished.iter();
        oldest_first
            .find(|number| !needed.contains(number))
            .copied()
    }
}
