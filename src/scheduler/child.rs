//! Runs that tasks trigger: what a `trigger` task is instead of a process.
//!
//! ```text
//! none ──▶ up_for_reschedule ──▶ success             the run was created; with `wait`, it has succeeded
//!   ▲             │
//!   │             └─▶ up_for_retry | failed          it could not be, has failed, or took longer than `timeout`
//!   └── cleared; the run that was triggered goes on, as it does when its parent is stopped
//! ```
//!
//! Neither takes a slot or a process, and waiting costs no wake-up: a run that ends tells its parent. Each
//! attempt triggers one run, whose id follows from the attempt ([`child_id`]) and which is on record before
//! the attempt is. So a program that ends between the two finds the run there, and never triggers a second one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::outcome;
use super::event::{AttemptId, Now, Trigger};
use super::record::{Attempt, Exit, Occasion, Parent, RunNumber, RunType, StopCause, TaskFact};
use super::run::Run;
use super::settle::lane;
use super::state::State;
use super::states::{RunState, TaskState};
use super::timers::Timer;
use super::waits::WaitsFor;
use super::{RUN_ID_BYTES_MAX, Refusal, Scheduler, Turn};
use crate::dag::{self, TaskIndex, TriggerDag, Value};
use crate::timetable::Zone;

/// How many runs may come of each other by triggers. A DAG that triggers itself ends here.
const DEPTH_MAX: u32 = 16;

impl Scheduler {
    /// A task instance that may start triggers its run, unless nothing may begin now.
    pub(super) fn trigger_child(&mut self, turn: &mut Turn, number: RunNumber, index: TaskIndex) {
        let Some((run, trigger)) = self.state.triggers(number, index) else {
            return;
        };
        let is_paused = self
            .state
            .dag(&run.dag.dag_id)
            .is_some_and(|it| it.is_paused);
        let is_held = !self.may_start() || is_paused && !lane(run).is_backfill;
        if run.task(index).state == TaskState::UpForReschedule || is_held {
            return;
        }
        let timeout = run.dag.task(index).timeout.filter(|_| trigger.wait);
        let try_number = run.task(index).try_number + 1;
        let created = self.create_child(turn, number, index, try_number);
        self.record_task(turn, number, index, TaskFact::Started { try_number });
        if let Err(why) = created {
            let attempt = Attempt {
                reason: Some(why),
                ..Attempt::unseen(Exit::Code(1), Duration::ZERO)
            };
            return self.end_try(turn, number, index, attempt);
        }
        if let Some(timeout) = timeout {
            let at = turn.now.monotonic.after(timeout);
            self.timers.set(Timer::GiveUp(number, index), at);
        }
        self.tangle.wait(number, index);
        self.hear_of_child(turn, number, index);
    }

    fn create_child(
        &mut self,
        turn: &mut Turn,
        number: RunNumber,
        index: TaskIndex,
        try_number: u32,
    ) -> Result<(), String> {
        let Some((run, trigger)) = self.state.triggers(number, index) else {
            return Ok(());
        };
        let parent = Parent {
            dag_id: run.dag.dag_id.clone(),
            run: number,
            task_id: run.dag.task(index).task_id.clone(),
            try_number,
            depth: 1 + run.facts.parent().map_or(0, |parent| parent.depth),
        };
        if parent.depth > DEPTH_MAX {
            return Err(format!(
                "{DEPTH_MAX} runs have triggered each other, one after the other; that is the most"
            ));
        }
        let run_id = child_id(run, number, &parent.task_id, try_number);
        if let Some((_, child)) = self.state.find_run(&trigger.dag_id, &run_id) {
            if child.facts.parent() == Some(&parent) {
                return Ok(());
            }
            return Err(Refusal::RunExists(run_id.into()).to_string());
        }
        if trigger.wait {
            self.state
                .check_wait(turn.now, (number, index), &trigger.dag_id)?;
        }
        let trigger = Trigger {
            dag_id: trigger.dag_id.to_string(),
            run_id: Some(run_id),
            run_type: RunType::Manual,
            logical_date: None,
            data_interval: None,
            params: self.child_params(run, trigger, &parent),
        };
        let created = self.create_triggered(turn, trigger, Some(Occasion::Task(parent)));
        created.map(|_| ()).map_err(|refusal| refusal.to_string())
    }

    fn child_params(
        &self,
        run: &Run,
        trigger: &TriggerDag,
        parent: &Parent,
    ) -> BTreeMap<String, Value> {
        let (dag, facts) = (&run.dag, &run.facts);
        let params = dag.params_of(&facts.params);
        let xcoms = run
            .dag
            .find(&parent.task_id)
            .map(|index| run.xcoms_for(index));
        let utc = Zone::utc();
        let facts = dag::RunFacts {
            dag_id: &dag.dag_id,
            run_id: &facts.run_id,
            task_id: &parent.task_id,
            try_number: parent.try_number,
            logical_date: facts.logical_date,
            data_interval: facts.data_interval,
            prev_data_interval_end_success: self
                .state
                .previous_success(&dag.dag_id, facts.logical_date),
            params: &params,
            xcoms: &xcoms.unwrap_or_default(),
            hook: None,
            secrets: &BTreeMap::new(),
            zone: dag.timezone.as_ref().unwrap_or(&utc),
        };
        let params = trigger.params.render(&facts);
        params.as_object().cloned().unwrap_or_default()
    }

    /// Ends an attempt whose run was created, or is over if the task waits for that.
    pub(super) fn hear_of_child(&mut self, turn: &mut Turn, number: RunNumber, index: TaskIndex) {
        let Some((run, trigger)) = self.state.triggers(number, index) else {
            return;
        };
        // A DAG that is not there may come back, and its runs with it.
        if run.task(index).state != TaskState::UpForReschedule
            || self.state.dag(&trigger.dag_id).is_none()
        {
            return;
        }
        let (dag_id, run_id) = (&trigger.dag_id, current_child_id(run, number, index));
        let child = self.state.find_run(dag_id, &run_id);
        let (code, reason) = match child.map(|(_, child)| child.state) {
            Some(RunState::Success) => (0, None),
            Some(_) if !trigger.wait => (0, None),
            Some(RunState::Queued | RunState::Running) => return,
            Some(RunState::Failed) => (
                1,
                Some(format!("DAG `{dag_id}` has failed in run `{run_id}`")),
            ),
            None => (
                1,
                Some(format!(
                    "run `{run_id}` of DAG `{dag_id}` is not known any more"
                )),
            ),
        };
        let attempt = Attempt {
            xcom: (code == 0).then(|| Arc::new(Value::String(run_id))),
            reason,
            ..Attempt::unseen(Exit::Code(code), Duration::ZERO)
        };
        self.end_try(turn, number, index, attempt);
    }

    /// The `timeout` of a task that waits for a run has come.
    pub(super) fn end_wait(&mut self, turn: &mut Turn, number: RunNumber, index: TaskIndex) {
        let run = self.state.run(number);
        if run.is_none_or(|run| run.task(index).state != TaskState::UpForReschedule) {
            return;
        }
        let attempt = Attempt {
            stopped: Some(StopCause::TimedOut),
            ..Attempt::unseen(Exit::Code(1), Duration::ZERO)
        };
        self.end_try(turn, number, index, attempt);
    }

    pub(super) fn end_try(
        &mut self,
        turn: &mut Turn,
        number: RunNumber,
        index: TaskIndex,
        mut attempt: Attempt,
    ) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        let instance = run.task(index);
        let since = instance.started_at.unwrap_or(turn.now.wall);
        attempt.duration = turn.now.wall.since(since);
        let id = AttemptId {
            run: number,
            task: index,
            try_number: instance.try_number,
        };
        let (state, choice) = outcome(run, index, &mut attempt);
        self.withdraw(number, index);
        self.timers.cancel(Timer::GiveUp(number, index));
        self.end_attempt(turn, id, state, attempt, choice);
    }

    /// A run has ended: the task that has triggered it hears of that.
    pub(super) fn tell_parent(&mut self, turn: &mut Turn, number: RunNumber) {
        if let Some((parent, index)) = self.state.parent(number) {
            self.hear_of_child(turn, parent, index);
        }
    }

    /// A run of the past is there again: what has triggered it may wait for it.
    pub(super) fn touch_parent(&mut self, number: RunNumber) {
        self.touched.extend(self.state.parent(number));
    }

    /// Goes on with a task instance of the past that waits for a run.
    pub(super) fn wait_on(&mut self, now: Now, number: RunNumber, index: TaskIndex) {
        let Some((run, _)) = self.state.triggers(number, index) else {
            return;
        };
        let instance = run.task(index);
        if instance.state == TaskState::UpForReschedule {
            self.tangle.wait(number, index);
        }
        if let (Some(timeout), Some(since), TaskState::UpForReschedule) = (
            run.dag.task(index).timeout,
            instance.started_at,
            instance.state,
        ) {
            let left = timeout.saturating_sub(now.wall.since(since));
            let at = now.monotonic.after(left);
            self.timers.set(Timer::GiveUp(number, index), at);
        }
    }

    /// Marks the tasks of a DAG that could not trigger while nothing could begin. O(tasks of its active runs)
    pub(super) fn touch_triggers(&mut self, dag_id: &str) {
        let runs = self
            .state
            .dag(dag_id)
            .into_iter()
            .flat_map(|it| it.runs.values());
        let active = runs.filter_map(|number| Some((*number, self.state.run(*number)?)));
        for (number, run) in active.filter(|(_, run)| run.state == RunState::Running) {
            let triggers = |index: &TaskIndex| run.dag.task(*index).operator.trigger().is_some();
            let triggers = run.dag.indices().filter(triggers);
            self.touched.extend(triggers.map(|index| (number, index)));
        }
    }

    /// What a task instance that has triggered a run, or would if it could, waits for.
    pub(super) fn waits_for_child(&self, number: RunNumber, index: TaskIndex) -> Option<WaitsFor> {
        let (run, trigger) = self.state.triggers(number, index)?;
        if run.task(index).state != TaskState::UpForReschedule {
            let known = self.state.dag(&run.dag.dag_id)?;
            let is_held = known.is_paused
                && run.state == RunState::Running
                && !run.task(index).state.is_finished()
                && !self.timers.is_set(Timer::Retry(number, index))
                && matches!(run.decide(index), super::RuleDecision::Run);
            return is_held.then_some(WaitsFor::Unpause);
        }
        let known = self.state.dag(&trigger.dag_id);
        Some(WaitsFor::Run {
            dag_id: trigger.dag_id.clone(),
            run_id: current_child_id(run, number, index).into(),
            hint: match known {
                None => ", which is not there",
                Some(known) if known.is_paused => ", which is paused",
                Some(_) => "",
            },
        })
    }
}

impl State {
    /// The run and the trigger of a task that is one.
    pub(super) fn triggers(
        &self,
        number: RunNumber,
        index: TaskIndex,
    ) -> Option<(&Run, &TriggerDag)> {
        let run = self.run(number)?;
        Some((run, run.dag.task(index).operator.trigger()?))
    }

    /// Whether a task may ask how a run has ended that it has triggered, when its DAG is there again.
    pub(super) fn is_orphan(&self, run: &Run) -> bool {
        let parent = run.facts.parent();
        parent.is_some_and(|parent| self.dag(&parent.dag_id).is_none())
    }

    /// Whether a DAG has such runs: it keeps others, too, that it would not if they counted.
    pub(super) fn has_orphans(&self, dag_id: &str) -> bool {
        let numbers = self.dag(dag_id).into_iter().flat_map(|it| it.runs.values());
        let mut runs = numbers.filter_map(|number| self.run(*number));
        runs.any(|run| self.is_orphan(run))
    }

    /// Whether a task will still ask how a run has ended that it has triggered: it waits, or its attempt is not on record yet.
    pub(super) fn is_to_be_heard(&self, run: &Run) -> bool {
        let Some(parent) = run.facts.parent() else {
            return false;
        };
        let run = self.run(parent.run);
        let run = run.filter(|run| run.dag.dag_id == parent.dag_id);
        let instance = run.and_then(|run| Some(run.task(run.dag.find(&parent.task_id)?)));
        instance.is_some_and(|instance| {
            let waits = instance.state == TaskState::UpForReschedule;
            instance.try_number < parent.try_number
                || waits && instance.try_number == parent.try_number
        })
    }

    /// The task instance that has triggered a run, if its own run is held in memory.
    fn parent(&self, number: RunNumber) -> Option<(RunNumber, TaskIndex)> {
        let parent = self.run(number)?.facts.parent()?;
        let run = self
            .run(parent.run)
            .filter(|run| run.dag.dag_id == parent.dag_id)?;
        Some((parent.run, run.dag.find(&parent.task_id)?))
    }
}

/// The id of the run that the current attempt of a task has triggered.
pub(super) fn current_child_id(run: &Run, number: RunNumber, index: TaskIndex) -> String {
    let try_number = run.task(index).try_number;
    child_id(run, number, &run.dag.task(index).task_id, try_number)
}

/// `manual__<the parent's logical date>__<the parent's number>.<task>.<attempt>`. Of a task's id that is too
/// long for that its beginning, and a number made of all of it.
fn child_id(run: &Run, number: RunNumber, task_id: &str, try_number: u32) -> String {
    let (date, number) = (run.facts.logical_date, number.0);
    let mut id = format!("manual__{date}__{number}.");
    let end = format!(".{try_number}");
    let room = RUN_ID_BYTES_MAX - id.len() - end.len();
    if task_id.len() <= room {
        id.push_str(task_id);
    } else {
        let _ = write!(id, "{}~{:016x}", &task_id[..room - 17], fnv(task_id));
    }
    id + &end
}

/// FNV-1a: the same number for the same text, in every version of the program.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
