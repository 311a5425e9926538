//! Whether a task instance has to wait for the run before its own: `depends_on_past` and `wait_for_downstream`.
//!
//! The run before is that of the latest logical date before its own; where every missed run is made up for
//! (`catchup`), the latest that nobody triggered by hand. Its task must have ended as `success` or `skipped`,
//! and with `wait_for_downstream` whatever comes directly after it, too. Nothing before, or a run that did not have the
//! task, lets it pass, also when that run is restored with the tasks of a later version. Source: Airflow 2.11's `PrevDagrunDep`.
//!
//! The question is asked whenever an answer may have changed: what is cleared opens it again. What it needs is kept
//! in memory ([`State::is_needed`]): the run before each that goes on, and the latest ones, which the next
//! run will ask for. Of older history nothing is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Scheduler;
use super::dag_state::DagState;
use super::record::{RunNumber, RunType};
use super::run::Run;
use super::state::State;
use super::states::{RunState, TaskState};
use crate::dag::{Catchup, TaskIndex};

impl State {
    /// The run before another, as far as it is held in memory. O(log n), and O(runs by hand) with `catchup`.
    pub fn previous(&self, number: RunNumber, run: &Run) -> Option<(RunNumber, &Run)> {
        let known = self.dag(&run.dag.dag_id)?;
        let before = known
            .by_date
            .range(..(run.facts.logical_date, number))
            .rev();
        let mut before = before.filter_map(|(_, number)| Some((*number, self.run(*number)?)));
        let by_schedule = match run.dag.catchup {
            Catchup::All | Catchup::AtMost(_) => true,
            Catchup::Latest | Catchup::None => false,
        };
        before.find(|(_, run)| !by_schedule || run.facts.run_type != RunType::Manual)
    }

    /// What a task instance waits for in the run before: that run, and its task.
    pub fn waits_for_past(
        &self,
        number: RunNumber,
        index: TaskIndex,
    ) -> Option<(Arc<str>, Arc<str>)> {
        let run = self.run(number)?;
        let (_, previous, missing) = self.missing_in_past(number, run, index)?;
        let task_id = previous.dag.task(missing).task_id.clone();
        Some((previous.facts.run_id.clone(), task_id))
    }

    /// The same, by numbers; the run itself need not be there.
    pub(super) fn missing_in_past(
        &self,
        number: RunNumber,
        run: &Run,
        index: TaskIndex,
    ) -> Option<(RunNumber, &Run, TaskIndex)> {
        let task = run.dag.task(index);
        if !task.looks_back() {
            return None;
        }
        let (before, previous) = self.previous(number, run)?;
        let has_passed = |index: &TaskIndex| {
            let state = previous.task(*index).state;
            // What has not begun in a run that is over, a later version of the DAG has added.
            let is_added = state == TaskState::None && previous.state.is_finished();
            is_added || matches!(state, TaskState::Success | TaskState::Skipped)
        };
        let after = task.downstream.iter().filter(|_| task.wait_for_downstream);
        let asked = std::iter::once(&index).chain(after);
        let mut asked = asked.filter_map(|index| previous.dag.find(&run.dag.task(*index).task_id));
        let missing = asked.find(|index| !has_passed(index))?;
        Some((before, previous, missing))
    }

    /// The runs whose run before this is, as far as they can be told without a look at more than those up to
    /// the next of the schedule.
    fn following(&self, number: RunNumber) -> impl Iterator<Item = (RunNumber, &Run)> {
        let run = self.run(number);
        let known = run.and_then(|run| Some((self.dag(&run.dag.dag_id)?, run)));
        let after = known.into_iter().flat_map(move |(known, run)| {
            let from = (run.facts.logical_date, RunNumber(number.0 + 1));
            known.by_date.range(from..)
        });
        let mut is_past = false;
        let near = after.filter_map(|(_, number)| Some((*number, self.run(*number)?)));
        near.take_while(move |(_, run)| {
            !std::mem::replace(&mut is_past, run.facts.run_type != RunType::Manual)
        })
        .filter(move |(next, run)| {
            let previous = self.previous(*next, run);
            run.dag.looks_back && previous.is_some_and(|(previous, _)| previous == number)
        })
    }

    /// The finished runs of a DAG that others ask for, or will. Of those whose parent's DAG is not there, there are no more
    /// than could wait or run when it went.
    pub(super) fn is_needed(&self, known: &DagState) -> BTreeSet<RunNumber> {
        let mut needed = BTreeSet::new();
        if known.dag.looks_back {
            let latest = || known.by_date.iter().rev().map(|(_, number)| *number);
            let is_by_hand = |number: &RunNumber| {
                let run = self.run(*number);
                run.is_some_and(|run| run.facts.run_type == RunType::Manual)
            };
            needed.extend(latest().next());
            needed.extend(latest().find(|number| !is_by_hand(number)));
        }
        for number in known.runs.values() {
            let run = self.run(*number);
            let run = run.filter(|run| run.dag.looks_back && !run.state.is_finished());
            let previous = run.and_then(|run| self.previous(*number, run));
            needed.extend(previous.map(|(previous, _)| previous));
            let run = self.run(*number);
            let is_child = run.is_some_and(|run| self.is_orphan(run) || self.is_to_be_heard(run));
            needed.extend(Some(*number).filter(|_| is_child));
        }
        needed
    }

    /// Whether a running run of a DAG may wait for another, be it of a version that is no longer offered.
    pub(super) fn is_looking_back(&self, known: &DagState) -> bool {
        let mut runs = known.runs.values().filter_map(|number| self.run(*number));
        runs.any(|run| run.dag.looks_back && run.state == RunState::Running)
    }

    /// Whether a running run waits for this one, which is not.
    pub(super) fn is_awaited(&self, number: RunNumber) -> bool {
        let mut following = self.following(number);
        following.any(|(next, run)| {
            let mut waiting = run.dag.indices().filter(|index| {
                let state = run.task(*index).state;
                !state.is_finished() && state != TaskState::Running
            });
            run.state == RunState::Running
                && run.stopped.is_none()
                && waiting.any(|index| self.waits_for_past(next, index).is_some())
        })
    }
}

impl Scheduler {
    /// Marks what waits, or no longer waits, for a task instance in the runs after its own.
    pub(super) fn touch_following(&mut self, number: RunNumber, index: TaskIndex) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        let task_id = run.dag.task(index).task_id.clone();
        for (next, run) in self.state.following(number) {
            let Some(index) = run.dag.find(&task_id) else {
                continue;
            };
            let around = run.dag.task(index).upstream.iter().chain([&index]);
            let asking = around.filter(|index| run.dag.task(**index).looks_back());
            self.touched.extend(asking.map(|index| (next, *index)));
        }
    }

    /// Marks all that may wait for a run.
    pub(super) fn touch_all_following(&mut self, number: RunNumber) {
        for (next, run) in self.state.following(number) {
            let asking = run
                .dag
                .indices()
                .filter(|index| run.dag.task(*index).looks_back());
            self.touched.extend(asking.map(|index| (next, index)));
        }
    }
}
