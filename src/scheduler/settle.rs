//! What follows: drains what is marked until nothing is left to do.
//!
//! Task instances whose upstreams have ended are asked for, runs whose tasks have ended end, DAGs with
//! room get runs, and free slots get attempts. Nothing recurses along the graph.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt::{LiveAttempt, Stage};
use super::event::{Action, AttemptId, Spawn};
use super::queue::{Claim, LaneId, Waiting};
use super::record::{RunFact, RunNumber, RunType, Settled, TaskFact};
use super::rule::Decision;
use super::run::Run;
use super::states::{RunState, TaskState};
use super::timers::Timer;
use super::{Limits, Scheduler, Turn};
use crate::dag::{Dag, Operator, Task, TaskIndex};

impl Scheduler {
    /// Takes a task instance out of the queue and forgets its delays.
    pub(super) fn withdraw(&mut self, number: RunNumber, index: TaskIndex) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        let claim = claim(run.dag.task(index));
        self.queue
            .remove(&lane(run), &claim, &waiting(run, number, index));
        self.timers.cancel(Timer::Retry(number, index));
        self.timers.cancel(Timer::Reschedule(number, index));
    }

    pub(super) fn settle(&mut self, turn: &mut Turn) {
        loop {
            if let Some((run, task)) = self.touched.pop_front() {
                self.evaluate(turn, run, task);
            } else if let Some(run) = self.ending.pop_front() {
                self.end_run(turn, run);
            } else if let Some(dag_id) = self.waking.pop_front() {
                self.schedule(turn, &dag_id);
                self.fill(turn, &dag_id);
                self.start_runs(turn, &dag_id);
            } else if !self.start_next_task(turn) && !self.untangle(turn) {
                return;
            }
        }
    }

    /// Marks a task instance that has come to another state, and all that may follow from it.
    pub(super) fn touch_around(&mut self, number: RunNumber, index: TaskIndex) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        if run.task(index).state.is_finished() {
            let downstream = &run.dag.task(index).downstream;
            self.touched
                .extend(downstream.iter().map(|task| (number, *task)));
            if run.is_over() {
                self.ending.push_back(number);
            }
            self.touch_following(number, index);
        } else {
            self.touched.push_back((number, index));
        }
    }

    /// Asks the trigger rule of a task instance that has not begun what becomes of it.
    pub(super) fn evaluate(&mut self, turn: &mut Turn, number: RunNumber, index: TaskIndex) {
        self.hear_of_child(turn, number, index);
        let Some(run) = self.state.run(number) else {
            return;
        };
        let may_start = match run.task(index).state {
            TaskState::None => true,
            TaskState::UpForRetry => {
                run.is_left_out(index) || !self.timers.is_set(Timer::Retry(number, index))
            }
            TaskState::UpForReschedule => {
                let pause = Timer::Reschedule(number, index);
                let is_over = run.is_left_out(index) || !self.timers.is_set(pause);
                is_over && !self.attempts.contains_key(&(number, index))
            }
            TaskState::Running
            | TaskState::Success
            | TaskState::Failed
            | TaskState::UpstreamFailed
            | TaskState::Skipped => false,
        };
        if !may_start || run.state != RunState::Running || run.stopped.is_some() {
            return;
        }
        let task = run.dag.task(index);
        let settled = match run.decide(index) {
            Decision::Wait => return self.withdraw(number, index),
            Decision::Run if self.state.waits_for_past(number, index).is_some() => {
                // The run before may wait for its turn, and nothing else tells it to begin.
                self.waking.push_back(run.dag.dag_id.clone());
                self.tangle.suspect();
                return self.withdraw(number, index);
            }
            Decision::Run => match task.operator {
                Operator::Empty => Settled::Success,
                Operator::Trigger(_) => return self.trigger_child(turn, number, index),
                Operator::Bash(_)
                | Operator::Argv(_)
                | Operator::Http(_)
                | Operator::Call { .. } => {
                    let waiting = waiting(run, number, index);
                    return self.queue.insert(&lane(run), &claim(task), waiting);
                }
            },
            Decision::Skip => Settled::Skipped,
            Decision::UpstreamFailed => Settled::UpstreamFailed,
        };
        self.withdraw(number, index);
        self.timers.cancel(Timer::GiveUp(number, index));
        self.record_task(turn, number, index, TaskFact::Settled(settled));
        self.touch_around(number, index);
    }

    pub(super) fn end_run(&mut self, turn: &mut Turn, number: RunNumber) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        if run.state.is_finished() || !run.is_over() {
            return;
        }
        let dag_id = run.dag.dag_id.clone();
        let success = run.stopped.is_none() && run.failed_leaves == 0;
        self.timers.cancel(Timer::Run(number));
        self.record_run(turn, number, RunFact::Ended { success });
        if success {
            self.waking.extend(self.occasions.waiting_for(&dag_id));
        }
        self.tell_parent(turn, number);
        self.waking.push_back(dag_id);
    }

    pub(super) fn start_runs(&mut self, turn: &mut Turn, dag_id: &Arc<str>) {
        while let Some(number) = self.run_to_start(dag_id)
            && let Some(run) = self.state.run(number)
        {
            let dag = run.dag.clone();
            self.record_run(turn, number, RunFact::Started);
            if let Some(timeout) = dag.run_timeout {
                self.timers
                    .set(Timer::Run(number), turn.now.monotonic.after(timeout));
            }
            self.touched
                .extend(dag.indices().map(|index| (number, index)));
            self.ending.push_back(number);
        }
    }

    /// A queued run of a DAG that has room. Those of backfills have room of their own, and run while the DAG
    /// is paused.
    fn run_to_start(&self, dag_id: &str) -> Option<RunNumber> {
        let known = self.state.dag(dag_id).filter(|_| self.may_start())?;
        // One that was stopped while it waited ends in this turn, and then there is room.
        let is_stopped = |number| {
            self.state
                .run(number)
                .is_none_or(|run| run.stopped.is_some())
        };
        let has_room = !known.is_paused && known.active_runs < known.dag.max_active_runs;
        let queued = known.queued.first().copied();
        let backfill_has_room = known.backfill_running < self.backfill_runs_max(known);
        let of_backfill = known.backfill_queued.first().copied();
        queued
            .filter(|number| has_room && !is_stopped(*number))
            .or_else(|| of_backfill.filter(|number| backfill_has_room && !is_stopped(*number)))
            .or_else(|| {
                // One that a running one waits for starts in any case: neither would end otherwise.
                let queued = known.queued.iter().filter(|_| !known.is_paused);
                let mut queued = queued.chain(&known.backfill_queued).peekable();
                queued
                    .peek()
                    .filter(|_| self.state.is_looking_back(known))?;
                let is_next =
                    |number: &&RunNumber| !is_stopped(**number) && self.state.is_awaited(**number);
                queued.find(is_next).copied()
            })
    }

    /// Starts the task instance that is next, if there is one and a slot for it.
    pub(super) fn start_next_task(&mut self, turn: &mut Turn) -> bool {
        if !self.may_start() || self.attempts.len() >= self.limits.pools.parallelism() as usize {
            return false;
        }
        let Some((lane, claim, next)) = self.queue.first() else {
            return false;
        };
        let (lane, claim) = (lane.clone(), claim.clone());
        self.queue.remove(&lane, &claim, &next);
        let (number, index) = (next.run, next.task);
        let Some(run) = self.state.run(number) else {
            return true;
        };
        let (dag, facts) = (run.dag.clone(), run.facts.clone());
        let task = dag.task(index);
        let xcoms = run.xcoms_for(index);
        let previous_success = self.state.previous_success(&dag.dag_id, facts.logical_date);
        let is_recorded = run.task(index).state != TaskState::UpForReschedule;
        let try_number = run.task(index).try_number + u32::from(is_recorded);
        if is_recorded {
            self.record_task(turn, number, index, TaskFact::Started { try_number });
        }
        self.begin_to_poke(turn.now.monotonic, number, index);
        if let Some(timeout) = task.timeout {
            self.timers.set(
                Timer::Attempt(number, index),
                turn.now.monotonic.after(timeout),
            );
        }
        let started = turn.now.monotonic;
        let live = LiveAttempt {
            try_number,
            stage: Stage::Running,
            stopped: None,
            started,
            is_recorded,
        };
        self.attempts.insert((number, index), live);
        self.take(&dag, index);
        let attempt = AttemptId {
            run: number,
            task: index,
            try_number,
        };
        turn.actions.push(Action::Spawn(Spawn {
            attempt,
            dag,
            run: facts,
            xcoms,
            previous_success,
        }));
        true
    }

    /// An attempt takes slots of a pool, and one of those that its DAG may have.
    pub(super) fn take(&mut self, dag: &Dag, index: TaskIndex) {
        let claim = claim(dag.task(index));
        *self.used.entry(claim.pool.clone()).or_default() += claim.slots;
        *self.running.entry(dag.dag_id.clone()).or_default() += 1;
        self.offer(&claim.pool);
        self.open_or_shut(&dag.dag_id);
    }

    /// An attempt gives back what it took.
    pub(super) fn give_back(&mut self, dag: &Dag, index: TaskIndex) {
        let claim = claim(dag.task(index));
        give(&mut self.used, &claim.pool, claim.slots);
        give(&mut self.running, &dag.dag_id, 1);
        self.offer(&claim.pool);
        self.open_or_shut(&dag.dag_id);
    }

    fn offer(&mut self, pool: &Arc<str>) {
        let slots = self.limits.pools.slots(pool).unwrap_or(0);
        let used = self.used.get(pool).copied().unwrap_or(0);
        self.queue.offer(pool, slots.saturating_sub(used));
    }

    /// From now on these bound the whole. What runs goes on, even if it is too much.
    pub(super) fn limit(&mut self, limits: Limits) {
        let old = std::mem::replace(&mut self.limits, limits);
        let pools: Vec<_> = old.pools.iter().map(|(pool, _)| pool.clone()).collect();
        for pool in pools {
            self.offer(&pool);
        }
        self.offer_all();
    }

    /// The queue is told of every pool there is.
    pub(super) fn offer_all(&mut self) {
        let pools: Vec<_> = self
            .limits
            .pools
            .iter()
            .map(|(pool, _)| pool.clone())
            .collect();
        for pool in pools {
            self.offer(&pool);
        }
    }

    /// A DAG that is paused, or has all the running tasks it may have, is passed over.
    pub(super) fn open_or_shut(&mut self, dag_id: &Arc<str>) {
        let Some(known) = self.state.dag(dag_id) else {
            return;
        };
        let is_full = known
            .dag
            .max_active_tasks
            .is_some_and(|max| self.running_tasks(dag_id) >= max);
        let is_paused = known.is_paused;
        for is_backfill in [false, true] {
            let lane = LaneId {
                dag_id: dag_id.clone(),
                is_backfill,
            };
            self.queue.shut(&lane, is_full || is_paused && !is_backfill);
        }
    }
}

/// Where the task instances of a run wait.
pub(super) fn lane(run: &Run) -> LaneId {
    LaneId {
        dag_id: run.dag.dag_id.clone(),
        is_backfill: run.facts.run_type == RunType::Backfill,
    }
}

pub(super) fn waiting(run: &Run, number: RunNumber, index: TaskIndex) -> Waiting {
    let weight = Reverse(run.dag.task(index).weight);
    Waiting {
        weight,
        logical_date: run.facts.logical_date,
        run: number,
        task: index,
    }
}

/// Gives so much back of what is counted under a name.
fn give(taken: &mut BTreeMap<Arc<str>, u32>, name: &Arc<str>, count: u32) {
    if let Some(used) = taken.get_mut(name) {
        *used -= count;
        if *used == 0 {
            taken.remove(name);
        }
    }
}

pub(super) fn claim(task: &Task) -> Claim {
    Claim {
        pool: task.pool.clone(),
        slots: task.pool_slots,
    }
}
