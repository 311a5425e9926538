//! I4, I7, I11, I15 and I16: what begins has room, is on record, is next, and is one process of its version.

use std::sync::Arc;

use mini_dag::dag::{Overlap, TaskIndex};
use mini_dag::scheduler::{AttemptId, RunFact, RunNumber, Spawn, StopReason, TaskFact};

use crate::model::Model;
use crate::rules::State;
use crate::runs::{Run, weight};

impl Model {
    /// I4 and I11: what begins has room, and is on record. And the schedule cancels one run at a time.
    pub fn check_start(&self, number: RunNumber, fact: &RunFact, dag_id: &str) {
        let due = &self.dues[dag_id];
        let dag = &due.version.dag;
        match fact {
            RunFact::Started if self.runs[&number].is_backfill => {
                assert!(self.is_recording, "I11: {number:?} begins");
                let runs = self.live_runs(dag_id);
                let runs = runs.filter(|run| run.is_backfill && run.state == "running");
                let bound = self.backfill_bound(dag_id, dag.max_active_runs);
                let has_room = runs.count() < bound as usize;
                assert!(has_room || self.is_awaited(number), "I4: {number:?} begins");
            }
            RunFact::Started => {
                assert!(self.is_recording, "I11: {number:?} begins");
                assert!(!due.is_paused, "I16: {number:?} begins");
                let runs = self.own_live_runs(dag_id);
                let runs = runs.filter(|run| run.state == "running").count();
                let has_room = runs < dag.max_active_runs as usize;
                assert!(has_room || self.is_awaited(number), "I4: {number:?} begins");
            }
            RunFact::Task(task_id, TaskFact::Started { .. }) if self.triggers(number, task_id) => {}
            // One that is about to be stopped is put on record.
            RunFact::Task(task_id, TaskFact::Started { .. })
                if self.is_waiting(number, task_id) => {}
            RunFact::Task(task_id, TaskFact::Started { .. }) => {
                let what = format!("`{task_id}` of {number:?} begins");
                assert!(self.is_recording, "I11: {what}");
                let may_start = !due.is_paused || self.runs[&number].is_backfill;
                assert!(may_start, "I16: {what}");
                let tasks: usize = self.live_runs(dag_id).map(Run::running).sum();
                let all: usize = self.live.iter().map(|run| self.runs[run].running()).sum();
                let parallelism = self.limits.pools.parallelism() as usize;
                assert!(all < parallelism, "I4: {what}");
                self.check_queue(number, task_id, &what);
                let index = self.runs[&number].dag.find(task_id).unwrap();
                assert!(
                    !self.waits_for_past(number, index) || self.has_just_forgotten(number),
                    "{what} before the past has ended"
                );
                let bound = dag.max_active_tasks.unwrap_or(u32::MAX);
                assert!(tasks < bound as usize, "I4: {what}");
            }
            RunFact::Stopped(StopReason::Cancelled) if !self.is_commanded => {
                let may_cancel = due.version.plan.overlap == Overlap::Cancel;
                let mut own = self.own_live_runs(dag_id);
                let is_enough = own.any(|run| run.is_stopped);
                assert!(
                    may_cancel && !is_enough,
                    "{number:?} is cancelled for nothing"
                );
            }
            RunFact::Created(_)
            | RunFact::Restored(_)
            | RunFact::Stopped(_)
            | RunFact::Ended { .. }
            | RunFact::Cleared(_)
            | RunFact::Noted(_)
            | RunFact::Deleted
            | RunFact::Task(..) => {}
        }
    }

    /// Whether a task is no process, and takes no slot.
    fn triggers(&self, number: RunNumber, task_id: &str) -> bool {
        let run = &self.runs[&number];
        let index = run.dag.find(task_id).expect("one of its tasks");
        run.dag.task(index).operator.trigger().is_some()
    }

    fn is_waiting(&self, number: RunNumber, task_id: &str) -> bool {
        let run = &self.runs[&number];
        let index = run.dag.find(task_id).expect("one of its tasks");
        run.tasks[index.get()].state == State::Waiting
    }

    /// I4: it has the slots that it takes, and nothing that could start as well goes before it.
    fn check_queue(&self, number: RunNumber, task_id: &str, what: &str) {
        let run = &self.runs[&number];
        let index = run.dag.find(task_id).expect("one of its tasks");
        assert!(
            self.has_slots(run.dag.task(index)),
            "I4: {what}, its pool is full"
        );
        let rank = |number: RunNumber, run: &Run, index: TaskIndex| {
            (-weight(&run.dag, index), run.logical_date, number, index)
        };
        let own = rank(number, run, index);
        for other_number in &self.live {
            let other = &self.runs[other_number];
            if other.state != "running" {
                continue;
            }
            let due = &self.dues[&*other.dag.dag_id];
            let running: usize = self.live_runs(&other.dag.dag_id).map(Run::running).sum();
            let most = due.version.dag.max_active_tasks;
            if (due.is_paused && !other.is_backfill)
                || most.is_some_and(|most| running >= most as usize)
            {
                continue;
            }
            let may_start = |index: &TaskIndex| {
                other.may_start(*index) && !self.waits_for_past(*other_number, *index)
            };
            for index in other.dag.indices().filter(may_start) {
                let is_before = rank(*other_number, other, index) < own;
                let task = other.dag.task(index);
                assert!(
                    !is_before || !self.has_slots(task),
                    "I4: {what} before `{}` of {other_number:?}",
                    task.task_id
                );
            }
        }
    }

    fn has_slots(&self, task: &mini_dag::dag::Task) -> bool {
        let size = self.limits.pools.slots(&task.pool).unwrap_or(0);
        self.taken(&task.pool) + task.pool_slots <= size
    }

    pub fn taken(&self, pool: &str) -> u32 {
        let live = self.live.iter().map(|number| &self.runs[number]);
        live.map(|run| run.slots_of(pool)).sum()
    }

    /// I7: one process for a task of a run. I15: of the version that the run began with.
    pub fn spawned(&mut self, spawn: &Spawn) {
        let id = spawn.attempt;
        let of_task = |process: &&AttemptId| (process.run, process.task) == (id.run, id.task);
        let twin = self.processes.iter().find(of_task);
        assert_eq!(twin, None, "I7: a second process for {id:?}");
        assert!(
            Arc::ptr_eq(&spawn.dag, &self.runs[&id.run].dag),
            "I15: {id:?}"
        );
        let xcoms = spawn.xcoms.iter();
        let xcoms: Vec<_> = xcoms
            .map(|(id, xcom)| (id.to_string(), xcom.to_text()))
            .collect();
        assert_eq!(xcoms, self.runs[&id.run].xcoms_of(id.task), "{id:?}");
        self.processes.insert(id);
    }

    /// What a process will have printed last.
    pub fn prints(&mut self, id: AttemptId, line: &str) {
        self.printed.insert(id, line.to_owned());
    }

    /// A process is to begin. A poke that leaves no record: in its time, and with the slots that it takes.
    pub fn begun(&mut self, id: AttemptId, now: i64) {
        let run = self.runs.get_mut(&id.run).expect("it is known");
        let task = &mut run.tasks[id.task.get()];
        if task.state != State::Waiting {
            return;
        }
        assert_eq!(id.try_number, task.try_number, "I7: {id:?}");
        assert!(now >= task.rests_until, "{id:?} is poked too early");
        task.is_poked = true;
        self.tally.count("task: poked without a record");
        self.attempts += 1;
        assert!(run.is_to_run(id.task), "I3: {id:?} is poked too early");
        let run = &self.runs[&id.run];
        let due = &self.dues[&*run.dag.dag_id];
        let may_start = !due.is_paused || run.is_backfill;
        assert!(self.is_recording && may_start, "I11, I16: {id:?}");
        let tasks: usize = self.live_runs(&run.dag.dag_id).map(Run::running).sum();
        let most = due.version.dag.max_active_tasks.unwrap_or(u32::MAX);
        let all: usize = self.live.iter().map(|run| self.runs[run].running()).sum();
        let parallelism = self.limits.pools.parallelism() as usize;
        assert!(tasks <= most as usize && all <= parallelism, "I4: {id:?}");
        let task = run.dag.task(id.task);
        let size = self.limits.pools.slots(&task.pool).unwrap_or(0);
        assert!(
            self.taken(&task.pool) <= size,
            "I4: {id:?}, its pool is full"
        );
    }

    /// The scheduler is told that a process has ended.
    pub fn told_of_an_end(&mut self, id: AttemptId, now: i64) {
        let Some(run) = self.runs.get_mut(&id.run) else {
            return;
        };
        let every = run
            .dag
            .task(id.task)
            .poke
            .map(|poke| poke.every.as_millis());
        let task = &mut run.tasks[id.task.get()];
        if std::mem::take(&mut task.is_poked) {
            task.rests_until = now + i64::try_from(every.unwrap_or(0)).unwrap();
        }
    }

    pub fn gone(&mut self, id: AttemptId) {
        self.processes.remove(&id);
    }
}
