//! One run of a DAG and its task instances.
//!
//! ```text
//! run    queued ──▶ running ──▶ success | failed          cleared, marked: back to queued
//! task   none ──▶ running ──▶ success | failed | skipped  cleared: back to none
//!         ▲ │        ├──▶ up_for_retry ──▶ running        interrupted: back to none
//!         │ │        └──▶ up_for_reschedule ──▶ running   a poke that says "not yet"; see `poke`
//!         │ ├──▶ up_for_reschedule ──▶ success | failed   a task that has triggered a run; see `child`
//!         │ └──▶ success | skipped | upstream_failed      without an attempt
//!                 marked: success | failed | skipped; from running, once its attempt has been stopped
//! ```
//!
//! `scheduled` is not stored: it is a task instance that may start and waits for a slot, and follows
//! from the rest. How the upstreams of each task instance ended, how many are left, and how many
//! leaves failed is counted as they change, so that no question about a run looks at all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::choice::{Choice, left_out, xcom_bytes};
use super::image::{RunImage, TaskImage};
use super::record::{Ended, Mark, RunFact, RunFacts, StopReason, TaskFact};
use super::rule::{Decision, UpstreamCounts, decide};
use super::state::ApplyError;
use super::states::{RunState, TaskState};
use crate::dag::map_of;
use crate::dag::{Dag, TaskIndex, Value};
use crate::timetable::Timestamp;

/// One task of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskInstance {
    /// Where it stands.
    pub state: TaskState,
    /// The latest attempt; 0 before the first.
    pub try_number: u32,
    /// A failed attempt is repeated while `try_number` is at most this.
    pub max_tries: u32,
    /// When the latest attempt began.
    pub started_at: Option<Timestamp>,
    /// When it came to the state it is in, unless it has not begun.
    pub ended_at: Option<Timestamp>,
    /// When it was poked for the first time, if it is still being poked.
    pub poking_since: Option<Timestamp>,
    /// It was cleared while it ran: the attempt that runs does not count, however it ends.
    pub is_cleared: bool,
    /// Somebody said while it ran that this is what it is: it will be, however the attempt ends.
    pub ending: Option<Mark>,
    /// What somebody wrote about it.
    pub note: Option<Arc<str>>,
    /// What it left for other tasks, until it is cleared or runs again.
    pub xcom: Option<Arc<Value>>,
    /// Which of what comes after it goes on; stands as long as its XCom.
    pub choice: Option<Choice>,
    /// How its upstreams ended.
    pub(super) upstream: UpstreamCounts,
    /// How many choices leave it out.
    pub(super) left_out_by: u32,
}

/// One run of a DAG.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The DAG as it was when the run was created.
    pub dag: Arc<Dag>,
    /// What it was created as.
    pub facts: Arc<RunFacts>,
    /// Where it stands.
    pub state: RunState,
    /// When it was created or cleared.
    pub queued_at: Timestamp,
    /// When it became `running`.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// It was told to stop, and will fail when what runs has ended.
    pub stopped: Option<StopReason>,
    /// What somebody wrote about it; empty if nobody did.
    pub note: Arc<str>,
    pub(super) tasks: Vec<TaskInstance>,
    pub(super) unfinished: u32,
    pub(super) failed_leaves: u32,
    /// What its XComs take.
    pub(super) xcom_bytes: usize,
}

impl Run {
    pub(super) fn new(dag: Arc<Dag>, facts: Arc<RunFacts>, queued_at: Timestamp) -> Self {
        let instance = |retries| TaskInstance {
            max_tries: retries,
            ..TaskInstance::default()
        };
        let tasks: Vec<_> = dag
            .tasks()
            .iter()
            .map(|task| instance(task.retries))
            .collect();
        Self {
            facts,
            state: RunState::Queued,
            queued_at,
            started_at: None,
            ended_at: None,
            stopped: None,
            note: "".into(),
            unfinished: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
            failed_leaves: 0,
            xcom_bytes: 0,
            tasks,
            dag,
        }
    }

    /// The task instance of a task.
    pub fn task(&self, index: TaskIndex) -> &TaskInstance {
        &self.tasks[index.get()]
    }

    /// The task instances, in the order of the DAG's tasks.
    pub fn tasks(&self) -> &[TaskInstance] {
        &self.tasks
    }

    /// What other tasks have left for a task, by their ids.
    pub fn xcoms_for(&self, index: TaskIndex) -> BTreeMap<Arc<str>, Arc<Value>> {
        let left = |upstream: &TaskIndex| {
            let xcom = self.task(*upstream).xcom.clone()?;
            Some((self.dag.task(*upstream).task_id.clone(), xcom))
        };
        map_of(self.dag.task(index).xcoms.iter().filter_map(left))
    }

    /// Whether every task instance has ended.
    pub(super) fn is_over(&self) -> bool {
        self.unfinished == 0
    }

    /// Whether a choice before a task instance leaves it out.
    pub(super) fn is_left_out(&self, index: TaskIndex) -> bool {
        self.tasks[index.get()].left_out_by > 0
    }

    pub(super) fn decide(&self, index: TaskIndex) -> Decision {
        if self.is_left_out(index) {
            return Decision::Skip;
        }
        let task = self.dag.task(index);
        let upstreams = u32::try_from(task.upstream.len()).unwrap_or(u32::MAX);
        decide(
            task.trigger_rule,
            self.tasks[index.get()].upstream,
            upstreams,
        )
    }

    /// Moves a task instance to `state` and tells its downstreams.
    fn set(&mut self, index: TaskIndex, state: TaskState) {
        let instance = &mut self.tasks[index.get()];
        let old = std::mem::replace(&mut instance.state, state);
        if state.is_finished() {
            instance.poking_since = None;
        }
        if old == state {
            return;
        }
        self.unfinished += u32::from(old.is_finished());
        self.unfinished -= u32::from(state.is_finished());
        let task = self.dag.task(index);
        if task.downstream.is_empty() {
            let is_failed = |state| matches!(state, TaskState::Failed | TaskState::UpstreamFailed);
            self.failed_leaves -= u32::from(is_failed(old));
            self.failed_leaves += u32::from(is_failed(state));
        }
        for downstream in &task.downstream {
            let counts = &mut self.tasks[downstream.get()].upstream;
            if let Some(count) = count_of(counts, old) {
                *count -= 1;
            }
            if let Some(count) = count_of(counts, state) {
                *count += 1;
            }
        }
    }

    /// What a task instance leaves to others is this from now on, in place of what it left before.
    fn leave(&mut self, index: TaskIndex, xcom: Option<Arc<Value>>, choice: Option<Choice>) {
        let task = &mut self.tasks[index.get()];
        let old_xcom = std::mem::replace(&mut task.xcom, xcom);
        let old = std::mem::replace(&mut task.choice, choice.clone());
        let bytes = |xcom: &Option<Arc<Value>>| xcom.as_deref().map_or(0, xcom_bytes);
        let new_bytes = bytes(&task.xcom);
        self.xcom_bytes = self.xcom_bytes - bytes(&old_xcom) + new_bytes;
        for task in old
            .into_iter()
            .flat_map(|old| left_out(&self.dag, index, &old))
        {
            self.tasks[task.get()].left_out_by -= 1;
        }
        for task in choice
            .into_iter()
            .flat_map(|new| left_out(&self.dag, index, &new))
        {
            self.tasks[task.get()].left_out_by += 1;
        }
    }

    /// The run that `image` shows. A task that the DAG no longer has is left out; one that it did not
    /// have then has not begun, and does not begin in a run that was told to stop.
    pub fn restore(dag: Arc<Dag>, image: &RunImage) -> Self {
        let mut run = Self::new(dag, image.facts.clone(), image.queued_at);
        for task in &image.tasks {
            let Some(index) = run.dag.find(&task.task_id) else {
                continue;
            };
            let instance = &mut run.tasks[index.get()];
            instance.try_number = task.try_number;
            instance.max_tries = task.max_tries;
            instance.started_at = task.started_at;
            instance.ended_at = task.ended_at;
            instance.poking_since = task.poking_since;
            instance.is_cleared = task.is_cleared;
            instance.ending = task.ending;
            instance.note = Some(task.note.clone()).filter(|note| !note.is_empty());
            run.set(index, task.state);
            run.leave(index, task.xcom.clone(), task.choice.clone());
        }
        run.state = image.state;
        run.note = image.note.clone();
        run.started_at = image.started_at;
        run.ended_at = image.ended_at;
        if let Some(reason) = image.stopped {
            run.stop(image.started_at.unwrap_or(image.queued_at), reason);
        }
        run
    }

    /// All that has to be known to restore the run.
    pub fn image(&self) -> RunImage {
        let images = self.dag.tasks().iter().zip(&self.tasks);
        let images = images.filter(|(task, instance)| {
            let as_created = (TaskState::None, 0, task.retries);
            let has_begun = (instance.state, instance.try_number, instance.max_tries) != as_created;
            has_begun || instance.note.is_some()
        });
        let image = |(task, instance): (&crate::dag::Task, &TaskInstance)| TaskImage {
            task_id: task.task_id.clone(),
            state: instance.state,
            try_number: instance.try_number,
            max_tries: instance.max_tries,
            started_at: instance.started_at,
            ended_at: instance.ended_at,
            poking_since: instance.poking_since,
            is_cleared: instance.is_cleared,
            ending: instance.ending,
            note: instance.note.clone().unwrap_or_default(),
            xcom: instance.xcom.clone(),
            choice: instance.choice.clone(),
        };
        RunImage {
            facts: self.facts.clone(),
            state: self.state,
            queued_at: self.queued_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
            stopped: self.stopped,
            note: self.note.clone(),
            tasks: images.map(image).collect(),
        }
    }

    /// Changes the run as `fact` says, or changes nothing.
    pub(super) fn apply(&mut self, at: Timestamp, fact: &RunFact) -> Result<(), ApplyError> {
        match fact {
            RunFact::Task(task_id, fact) => {
                let index = self.find(task_id)?;
                return self.apply_task(at, index, fact);
            }
            RunFact::Started => {
                if self.state != RunState::Queued || self.stopped.is_some() {
                    return Err(self.refuse("starts, but is not queued"));
                }
                self.state = RunState::Running;
                self.started_at = Some(at);
            }
            RunFact::Stopped(reason) => {
                if self.state.is_finished() {
                    return Err(self.refuse("is stopped, but is over"));
                }
                self.stop(at, *reason);
            }
            RunFact::Ended { success } => {
                if self.state.is_finished() || !self.is_over() {
                    return Err(self.refuse("ends, but is over or has tasks to go"));
                }
                self.state = RunState::over(*success);
                self.ended_at = Some(at);
                self.stopped = None;
            }
            RunFact::Cleared(tasks) => {
                if self.stopped.is_some() {
                    return Err(self.refuse("is cleared while it is being stopped"));
                }
                let indices = tasks.iter().map(|task_id| self.find(task_id));
                for index in indices.collect::<Result<Vec<_>, _>>()? {
                    self.clear(index);
                }
                if self.state.is_finished() {
                    self.started_at = None;
                }
                self.reopen(at);
            }
            RunFact::Noted(note) => self.note = note.clone(),
            RunFact::Deleted => {
                if !self.state.is_finished() {
                    return Err(self.refuse("is deleted, but is not over"));
                }
            }
            RunFact::Created(_) | RunFact::Restored(_) => {
                return Err(self.refuse("is created, but exists"));
            }
        }
        Ok(())
    }

    fn apply_task(
        &mut self,
        at: Timestamp,
        index: TaskIndex,
        fact: &TaskFact,
    ) -> Result<(), ApplyError> {
        let run_is_running = self.state == RunState::Running;
        let is_poked = self.dag.task(index).poke.is_some();
        let triggers = self.dag.task(index).operator.trigger().is_some();
        let task = &mut self.tasks[index.get()];
        let is_rescheduled = task.state == TaskState::UpForReschedule;
        let may_start =
            matches!(task.state, TaskState::None | TaskState::UpForRetry) || is_rescheduled;
        let state = match fact {
            TaskFact::Started { try_number } => {
                let expected = task.try_number + u32::from(!is_rescheduled);
                if !run_is_running || !may_start || *try_number != expected {
                    return Err(self.refuse_task(index, "starts an attempt"));
                }
                task.try_number = *try_number;
                task.ended_at = None;
                if !is_rescheduled {
                    task.started_at = Some(at);
                }
                if is_poked {
                    task.poking_since.get_or_insert(at);
                }
                self.leave(index, None, None);
                if triggers {
                    TaskState::UpForReschedule
                } else {
                    TaskState::Running
                }
            }
            TaskFact::Ended {
                try_number,
                state,
                attempt,
                choice,
            } => {
                let is_live = task.state == TaskState::Running || is_rescheduled;
                if !is_live || *try_number != task.try_number {
                    return Err(self.refuse_task(index, "ends an attempt"));
                }
                task.ended_at = Some(at);
                task.max_tries += u32::from(*state == Ended::Interrupted);
                task.is_cleared = false;
                task.ending = None;
                self.leave(index, attempt.xcom.clone(), choice.clone());
                TaskState::from(*state)
            }
            TaskFact::Settled(settled) => {
                if !may_start {
                    return Err(self.refuse_task(index, "is settled"));
                }
                if !is_rescheduled {
                    task.started_at = Some(at);
                }
                task.ended_at = Some(at);
                TaskState::from(*settled)
            }
            TaskFact::Marked(mark) => {
                if task.state == TaskState::Running || self.stopped.is_some() {
                    return Err(self.refuse_task(index, "is marked"));
                }
                task.started_at.get_or_insert(at);
                task.ended_at = Some(at);
                task.poking_since = None;
                self.leave(index, None, None);
                self.reopen(at);
                TaskState::from(*mark)
            }
            TaskFact::Ending(mark) => {
                if task.state != TaskState::Running || self.stopped.is_some() {
                    return Err(self.refuse_task(index, "is told what it will be"));
                }
                task.ending = Some(*mark);
                task.is_cleared = false;
                return Ok(());
            }
            TaskFact::Noted(note) => {
                task.note = Some(note.clone()).filter(|note| !note.is_empty());
                return Ok(());
            }
        };
        self.set(index, state);
        Ok(())
    }

    /// A run that was over waits for its turn again.
    fn reopen(&mut self, at: Timestamp) {
        if self.state.is_finished() {
            self.state = RunState::Queued;
            self.queued_at = at;
            self.ended_at = None;
        }
    }

    fn stop(&mut self, at: Timestamp, reason: StopReason) {
        self.stopped = Some(reason);
        for index in self.dag.indices() {
            let state = self.tasks[index.get()].state;
            if !state.is_finished() && state != TaskState::Running {
                self.tasks[index.get()].ended_at = Some(at);
                self.set(index, TaskState::Skipped);
            }
        }
    }

    fn find(&self, task_id: &str) -> Result<TaskIndex, ApplyError> {
        self.dag
            .find(task_id)
            .ok_or_else(|| self.refuse(&format!("has no task `{task_id}`")))
    }

    fn refuse(&self, what: &str) -> ApplyError {
        ApplyError(format!(
            "run `{}/{}` {what}",
            self.dag.dag_id, self.facts.run_id
        ))
    }

    fn refuse_task(&self, index: TaskIndex, what: &str) -> ApplyError {
        let (task, instance) = (self.dag.task(index), self.task(index));
        let (state, number) = (instance.state.name(), instance.try_number);
        self.refuse(&format!(
            "has `{}` in {state}, try {number}, but it {what}",
            task.task_id
        ))
    }

    /// Gives a task instance all its retries again. One that runs stays as it is: its attempt is
    /// stopped, ends as `Interrupted`, and does not count.
    fn clear(&mut self, index: TaskIndex) {
        let retries = self.dag.task(index).retries;
        let task = &mut self.tasks[index.get()];
        task.poking_since = None;
        if task.state == TaskState::Running {
            task.max_tries = task.try_number - 1 + retries;
            task.is_cleared = true;
            task.ending = None;
        } else {
            task.max_tries = task.try_number + retries;
            task.started_at = None;
            task.ended_at = None;
            self.set(index, TaskState::None);
            self.leave(index, None, None);
        }
    }
}

fn count_of(counts: &mut UpstreamCounts, state: TaskState) -> Option<&mut u32> {
    match state {
        TaskState::Success => Some(&mut counts.success),
        TaskState::Failed => Some(&mut counts.failed),
        TaskState::UpstreamFailed => Some(&mut counts.upstream_failed),
        TaskState::Skipped => Some(&mut counts.skipped),
        TaskState::None
        | TaskState::Running
        | TaskState::UpForRetry
        | TaskState::UpForReschedule => None,
    }
}
