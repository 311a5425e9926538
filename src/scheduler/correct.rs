//! What people set right: what a task instance is, what is written about a run, and a run that shall be
//! forgotten.
//!
//! A mark says what became of a task instance; one that runs is stopped, and is that once it has ended. What was
//! not run because of it runs now: of what comes after a success or a skip, everything that failed or that was
//! not run because of a failure is cleared. A run that was over goes on from there, and its end follows from its
//! leaves as ever.

use std::sync::Arc;

use super::event::{Answer, Refusal};
use super::record::{Fact, Mark, RunFact, StopCause, TaskFact};
use super::run::Run;
use super::states::TaskState;
use super::timers::Timer;
use super::{Scheduler, Turn};
use crate::dag::TaskIndex;

/// The longest note on a run or a task instance, in bytes: as Airflow's.
pub const NOTE_BYTES_MAX: usize = 1_000;

/// A DAG and one of its runs, by their ids.
type Name<'n> = (&'n str, &'n str);

impl Scheduler {
    pub(super) fn mark(
        &mut self,
        turn: &mut Turn,
        (dag_id, run_id): Name<'_>,
        tasks: &[String],
        mark: Mark,
    ) -> Result<Answer, Refusal> {
        let (number, run) = self.find(dag_id, run_id)?;
        if run.stopped.is_some() {
            return Err(Refusal::RunStopping(run_id.to_owned()));
        }
        let marked = marked(run, tasks, mark)?;
        let dag = run.dag.clone();
        let again = match mark {
            Mark::Success | Mark::Skipped => follows(run, &marked),
            Mark::Failed => Vec::new(),
        };
        for index in &marked {
            self.withdraw(number, *index);
            self.timers.cancel(Timer::GiveUp(number, *index));
            if self.attempts.contains_key(&(number, *index)) {
                // On record a task that is poked may seem to wait.
                self.put_on_record(turn, number, *index);
                self.record_task(turn, number, *index, TaskFact::Ending(mark));
                self.stop_attempt(turn, number, *index, StopCause::Marked);
            } else {
                self.record_task(turn, number, *index, TaskFact::Marked(mark));
            }
        }
        if !again.is_empty() {
            for index in &again {
                self.withdraw(number, *index);
                self.timers.cancel(Timer::GiveUp(number, *index));
            }
            let ids = again.iter().map(|index| dag.task(*index).task_id.clone());
            self.record_run(turn, number, RunFact::Cleared(ids.collect()));
        }
        for index in marked.iter().chain(&again) {
            self.touched.push_back((number, *index));
            let downstream = &dag.task(*index).downstream;
            self.touched
                .extend(downstream.iter().map(|index| (number, *index)));
        }
        self.touch_all_following(number);
        self.ending.push_back(number);
        self.waking.push_back(dag.dag_id.clone());
        Ok(Answer::Done)
    }

    pub(super) fn note(
        &mut self,
        turn: &mut Turn,
        (dag_id, run_id): Name<'_>,
        task_id: Option<&str>,
        note: &str,
    ) -> Result<Answer, Refusal> {
        let (number, run) = self.find(dag_id, run_id)?;
        if note.len() > NOTE_BYTES_MAX {
            return Err(Refusal::LongNote);
        }
        let Some(task_id) = task_id else {
            if *run.note != *note {
                self.record_run(turn, number, RunFact::Noted(note.into()));
            }
            return Ok(Answer::Done);
        };
        let index = run.dag.find(task_id);
        let index = index.ok_or_else(|| Refusal::NoTask(task_id.to_owned()))?;
        if run.task(index).note.as_deref().unwrap_or_default() != note {
            self.record_task(turn, number, index, TaskFact::Noted(note.into()));
        }
        Ok(Answer::Done)
    }

    pub(super) fn delete(
        &mut self,
        turn: &mut Turn,
        (dag_id, run_id): Name<'_>,
    ) -> Result<Answer, Refusal> {
        let (number, run) = self.find(dag_id, run_id)?;
        if !run.state.is_finished() {
            return Err(Refusal::RunActive(run_id.to_owned()));
        }
        let dag_id: Arc<str> = run.dag.dag_id.clone();
        self.touch_all_following(number);
        self.record(turn, &dag_id, Fact::Run(number, RunFact::Deleted));
        Ok(Answer::Done)
    }
}

/// The task instances that are marked, in the DAG's order.
fn marked(run: &Run, tasks: &[String], mark: Mark) -> Result<Vec<TaskIndex>, Refusal> {
    let state = TaskState::from(mark);
    let id = |index: TaskIndex| run.dag.task(index).task_id.clone();
    let is_so = |index: &TaskIndex| {
        let instance = run.task(*index);
        instance.state == state || instance.ending == Some(mark)
    };
    let mut marked: Vec<_> = if tasks.is_empty() {
        run.dag.indices().filter(|index| !is_so(index)).collect()
    } else {
        let find = |id: &String| run.dag.find(id).ok_or_else(|| Refusal::NoTask(id.clone()));
        tasks.iter().map(find).collect::<Result<_, _>>()?
    };
    marked.sort_unstable();
    marked.dedup();
    if let Some(index) = marked.iter().find(|index| is_so(index)) {
        return Err(Refusal::AlreadySo(id(*index), state.name()));
    }
    Ok(marked)
}

/// What comes after these, and failed or was not run because of a failure, in the DAG's order.
/// O(tasks + dependencies).
fn follows(run: &Run, marked: &[TaskIndex]) -> Vec<TaskIndex> {
    let mut is_after = vec![false; run.tasks().len()];
    let mut fresh = marked.to_vec();
    while let Some(index) = fresh.pop() {
        for next in &run.dag.task(index).downstream {
            if !std::mem::replace(&mut is_after[next.get()], true) {
                fresh.push(*next);
            }
        }
    }
    let has_failed = |index: &TaskIndex| {
        matches!(
            run.task(*index).state,
            TaskState::Failed | TaskState::UpstreamFailed
        )
    };
    let indices = run.dag.indices().filter(|index| is_after[index.get()]);
    indices
        .filter(|index| has_failed(index) && !marked.contains(index))
        .collect()
}
