//! What must hold, told a second time: it reads only the records and the processes, keeps every
//! state in the plainest way, and knows nothing of how the scheduler decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mini_dag::dag::{Catchup, Dag, Overlap, TaskIndex};
use mini_dag::scheduler::{
    AttemptId, BackfillNumber, ClockTrust, Fact, Limits, RUNS_KEPT_MAX, Record, RunFact, RunNumber,
    RunState, RunType, Scheduler, Spawn, StopReason, TaskFact, TaskState,
};
use mini_dag::timetable::Timestamp;

use crate::backfills::Fill;
use crate::children::Children;
use crate::dags::Version;
use crate::due::Due;
use crate::rhythm::Rhythm;
use crate::rules::State;
use crate::runs::{Run, Task, weight};
use crate::tally::Tally;

#[expect(clippy::struct_excessive_bools, reason = "each may be, or not")]
pub struct Model {
    pub limits: Limits,
    pub dues: BTreeMap<String, Due>,
    pub boot_id: String,
    /// How far the clock is ahead of one that nobody sets.
    ahead_ms: i64,
    /// How often a run of each DAG has succeeded.
    pub successes: BTreeMap<String, u64>,
    pub fills: BTreeMap<BackfillNumber, Fill>,
    pub children: Children,
    pub runs: BTreeMap<RunNumber, Run>,
    /// Those that are not over.
    pub live: BTreeSet<RunNumber>,
    processes: BTreeSet<AttemptId>,
    /// Those that the scheduler has not forgotten.
    pub held: BTreeSet<RunNumber>,
    /// Those that it forgets at some time in this turn.
    forgotten: BTreeSet<RunNumber>,
    /// The last line of each.
    printed: BTreeMap<AttemptId, String>,
    /// The monotonic clock.
    pub now_ms: u64,
    pub is_recording: bool,
    /// The schedule may go by the clock; and how far it is to be trusted.
    pub may_go: bool,
    trust: ClockTrust,
    /// Somebody has asked for a run to be cancelled, in this turn.
    is_commanded: bool,
    /// Nothing begins any more.
    is_shutting_down: bool,
    pub tally: Tally,
    pub attempts: u64,
    pub scheduled_runs: u64,
}

impl Model {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            dues: BTreeMap::new(),
            boot_id: String::new(),
            ahead_ms: 0,
            successes: BTreeMap::new(),
            fills: BTreeMap::new(),
            children: Children::default(),
            runs: BTreeMap::new(),
            live: BTreeSet::new(),
            processes: BTreeSet::new(),
            held: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            printed: BTreeMap::new(),
            now_ms: 0,
            is_recording: true,
            may_go: true,
            trust: ClockTrust::Synchronised,
            is_commanded: false,
            is_shutting_down: false,
            tally: Tally::default(),
            attempts: 0,
            scheduled_runs: 0,
        }
    }

    /// A turn begins, in which somebody asks for something or nobody does.
    pub fn begin(&mut self, now: i64, now_ms: u64, is_commanded: bool) {
        self.is_commanded = is_commanded;
        self.now_ms = now_ms;
        let mut dues = std::mem::take(&mut self.dues);
        for (dag_id, due) in &mut dues {
            due.begin(now, now_ms, self.is_busy(dag_id, &due.version));
        }
        self.dues = dues;
    }

    /// The clock may have been set: what lasts, lasts as long as it did.
    pub fn clock_shows(&mut self, ahead_ms: i64) {
        let by = ahead_ms - std::mem::replace(&mut self.ahead_ms, ahead_ms);
        for task in self.runs.values_mut().flat_map(|run| &mut run.tasks) {
            task.poking_since = task.poking_since.map(|since| since + by);
            task.rests_until += by;
        }
    }

    /// A DAG, or a new version of it, is there.
    pub fn load(&mut self, version: &Version, now: i64) {
        let due = self.dues.get_mut(&*version.dag.dag_id);
        due.expect("it is known").load(version, now);
    }

    /// What `log` says of a DAG, unless that is known.
    pub fn know(&mut self, version: &Version, log: &[Record]) {
        let dag_id = version.dag.dag_id.to_string();
        if !self.dues.contains_key(&dag_id) {
            self.successes
                .insert(dag_id.clone(), crate::occasions::successes(&dag_id, log));
            self.dues.insert(dag_id, Due::replay(version, log));
        }
    }

    pub fn remove(&mut self, dag_id: &str) {
        let due = self.dues.get_mut(dag_id).expect("it was there");
        (due.is_there, due.is_removed) = (false, true);
    }

    pub fn set_recording(&mut self, is_recording: bool) {
        self.is_recording = is_recording && !self.is_shutting_down;
    }

    pub fn shut_down(&mut self) {
        self.is_shutting_down = true;
        self.is_recording = false;
    }

    pub fn set_ready(&mut self, now: i64) {
        for due in self.dues.values_mut() {
            due.set_ready(now, self.is_recording && self.may_go);
        }
    }

    /// What is thought of the clock in this turn.
    pub fn judge_the_clock(&mut self, may_go: bool, trust: ClockTrust) {
        self.may_go = may_go;
        self.trust = trust;
    }

    pub fn trust(&self) -> ClockTrust {
        self.trust
    }

    /// Whether a DAG that was never seen is paused, its version says, or a switch: whichever the daemon knows.
    pub fn know_the_switch(&mut self, scheduler: &Scheduler) {
        for (dag_id, due) in &mut self.dues {
            let known = scheduler.state().dag(dag_id);
            if let Some(known) = known.filter(|_| due.first_seen.is_none()) {
                due.is_paused = known.is_paused;
            }
        }
    }

    pub fn clock_was_set(&mut self, now: i64) {
        for due in self.dues.values_mut() {
            due.clock_was_set(now);
        }
    }

    /// A turn has ended.
    pub fn end(&mut self, now: i64, scheduler: &Scheduler) {
        self.set_ready(now);
        for (dag_id, due) in &self.dues {
            let mut own = self.own_live_runs(dag_id);
            let is_stopping = own.any(|run| run.is_stopped);
            let is_busy = self.is_busy(dag_id, &due.version);
            due.check_nothing_is_left(now, is_busy, is_stopping);
            self.check_no_occasion_is_left(due, now, is_busy, is_stopping);
            let is_running = self.own_live_runs(dag_id).next().is_some();
            let next = scheduler.next_fire_of(dag_id).map(Timestamp::millis);
            due.check_goes_on(now, is_running, next);
        }
        for run in self.live.iter().map(|number| &self.runs[number]) {
            for (definition, task) in run.dag.tasks().iter().zip(&run.tasks) {
                let waits = matches!(task.state, State::Waiting | State::Retry);
                let is_late = waits && !task.is_poked;
                let is_late = is_late && task.has_given_up(definition, now);
                assert!(!is_late, "`{}` waits for ever", definition.task_id);
            }
        }
        self.held = scheduler.state().runs().map(|(number, _)| number).collect();
        let asking = |number: &&RunNumber| self.runs[*number].dag.looks_back;
        let asking: Vec<_> = self.live.iter().filter(asking).copied().collect();
        for number in asking {
            if self.is_stuck(number) {
                self.tally.count("waits: for the run before");
            }
            let current = self.previous(number);
            let run = self.runs.get_mut(&number).unwrap();
            let Some(previous) = run.previous else {
                run.previous = current;
                continue;
            };
            // Unless another one has come between them.
            let date = |number: &RunNumber| (self.runs[number].logical_date, *number);
            let is_kept = current.is_some_and(|current| date(&current) >= date(&previous));
            assert!(
                is_kept,
                "{previous:?} is forgotten, and {number:?} asks for it"
            );
        }
        // I12: what is held in memory follows from what goes on.
        let mut runs = 0;
        for known in scheduler.state().dags() {
            let of_backfills = known.backfill_queued.len() + known.backfill_running as usize;
            let live = known.queued.len() + known.active_runs as usize + of_backfills;
            let state = scheduler.state();
            let is_orphan = |number: &&RunNumber| {
                let facts = state.run(**number).map(|run| &run.facts);
                let parent = facts.and_then(|facts| facts.parent());
                parent.is_some_and(|parent| state.dag(&parent.dag_id).is_none())
            };
            // One before each that goes on, the latest two, and those that a DAG may ask for that is not there.
            let orphans = known.runs.values().filter(is_orphan).count();
            let runs_max = 2 * live + RUNS_KEPT_MAX + 2 + orphans;
            assert!(
                known.runs.len() <= runs_max,
                "I12: {} runs, {live} live",
                known.runs.len()
            );
            runs += known.runs.len();
        }
        assert_eq!(runs, scheduler.state().runs().count(), "I12");
        let running: usize = self.live.iter().map(|run| self.runs[run].running()).sum();
        assert_eq!(scheduler.live_attempts().len(), running, "I12");
        for (pool, of_it) in scheduler.pools() {
            assert_eq!(of_it.running, self.taken(&pool), "I4: slots of `{pool}`");
        }
        self.check_nobody_waits_in_vain(scheduler);
    }

    /// The daemon has ended without a word, and another goes on from `state`.
    pub fn restart(&mut self, scheduler: &Scheduler, (now, now_ms): (i64, u64), log: &[Record]) {
        self.now_ms = now_ms;
        self.children = Children::of(log);
        self.processes.clear();
        self.printed.clear();
        self.dues.clear();
        self.successes.clear();
        self.is_recording = true;
        self.is_shutting_down = false;
        self.runs.clear();
        self.fills.clear();
        self.live.clear();
        self.adopt(scheduler, now);
    }

    /// Takes over the runs that were not known.
    pub fn adopt(&mut self, scheduler: &Scheduler, now: i64) {
        self.adopt_backfills(scheduler);
        for (number, run) in scheduler.state().runs() {
            if self.runs.contains_key(&number) {
                continue;
            }
            // What was promised by another version is kept.
            let promised =
                |state| u32::from(matches!(state, TaskState::None | TaskState::UpForRetry));
            let tasks = run.tasks().iter().map(|task| Task {
                state: task.state.into(),
                try_number: task.try_number,
                tries_left: (task.max_tries + 1)
                    .saturating_sub(task.try_number)
                    .max(promised(task.state)),
                xcom: task.xcom.as_deref().map(mini_dag::Value::to_text),
                choice: task.choice.clone(),
                is_cleared: task.is_cleared,
                ending: task.ending,
                // By a clock that was ahead then, it begins anew.
                poking_since: task.poking_since.map(|since| since.millis().min(now)),
                waits_since_ms: Some(self.now_ms),
                waits_over_a_crash: true,
                ..Task::new(0)
            });
            let model = Run {
                dag: run.dag.clone(),
                name: run.facts.run_id.to_string(),
                state: run.state.name(),
                is_stopped: run.stopped.is_some(),
                logical_date: run.facts.logical_date,
                is_backfill: run.facts.run_type == RunType::Backfill,
                is_by_hand: run.facts.run_type == RunType::Manual,
                previous: None,
                depth: run.facts.parent().map_or(0, |parent| parent.depth),
                given: run.facts.params.clone(),
                tasks: tasks.collect(),
            };
            if matches!(run.state, RunState::Queued | RunState::Running) {
                self.live.insert(number);
            }
            self.runs.insert(number, model);
        }
        self.held = scheduler.state().runs().map(|(number, _)| number).collect();
    }

    /// Before the records of a turn, what is held after it.
    pub fn forget(&mut self, scheduler: &Scheduler) {
        let is_held = |number: &&RunNumber| scheduler.state().run(**number).is_some();
        let held = self.held.iter();
        self.forgotten = held.filter(|number| !is_held(number)).copied().collect();
    }

    /// Whether the run before another was there when the turn began, and is not when it ends.
    pub fn has_just_forgotten(&self, number: RunNumber) -> bool {
        let previous = self.previous(number);
        previous.is_some_and(|previous| self.forgotten.contains(&previous))
    }

    /// One record at a time.
    pub fn record(&mut self, record: &Record, now: i64) {
        self.tally.record(record);
        self.check_children(record, now);
        let dag_id = record.dag_id.to_string();
        let is_busy = self.is_busy(&dag_id, &self.dues[&dag_id].version);
        self.check_occasion(record, now, is_busy);
        self.check_backfill(record);
        self.dues
            .get_mut(&dag_id)
            .unwrap()
            .record(record, now, is_busy);
        let Fact::Run(number, fact) = &record.fact else {
            return;
        };
        if let RunFact::Created(facts) = fact {
            assert_eq!(facts.clock, self.trust, "I10: the mark of {number:?}");
            let dag = self.dues[&dag_id].version.dag.clone();
            let tasks = dag.tasks().iter();
            let tasks = tasks.map(|task| Task::new(task.retries)).collect();
            let run_id = facts.run_id.to_string();
            if facts.run_type == RunType::Scheduled {
                self.scheduled_runs += 1;
                let special = facts.data_interval.map(|(_, fire)| fire.millis());
                let plan = &self.dues[&dag_id].version.plan;
                if let (Rhythm::Cron(_), Some(fire)) = (&plan.rhythm, special)
                    && let Some(special) = plan.place.special(fire)
                {
                    self.tally.count(special);
                }
                if self.dues[&dag_id].version.plan.rhythm == Rhythm::Continuous {
                    self.tally.count("due: all the time");
                }
                assert!(self.is_recording, "I11: `{dag_id}/{run_id}`");
                assert!(self.may_go, "I10: `{dag_id}/{run_id}` by a wrong clock");
            }
            let run = Run {
                dag,
                name: run_id,
                state: "queued",
                is_stopped: false,
                logical_date: facts.logical_date,
                is_backfill: facts.run_type == RunType::Backfill,
                is_by_hand: facts.run_type == RunType::Manual,
                previous: None,
                depth: facts.parent().map_or(0, |parent| parent.depth),
                given: facts.params.clone(),
                tasks,
            };
            assert!(
                self.runs.insert(*number, run).is_none(),
                "{number:?} is created twice"
            );
            self.live.insert(*number);
            self.held.insert(*number);
            return;
        }
        if let RunFact::Restored(image) = fact {
            return self.recalled(*number, image, &dag_id);
        }
        if *fact == RunFact::Deleted {
            // Nobody can ask for it any more.
            self.held.remove(number);
            for run in self.runs.values_mut() {
                run.previous = run.previous.filter(|previous| previous != number);
            }
            let run = self.runs.remove(number).expect("the run was created");
            assert!(
                matches!(run.state, "success" | "failed"),
                "{number:?} is {}",
                run.state
            );
            return;
        }
        self.check_start(*number, fact, &dag_id);
        let run = self.runs.get_mut(number).expect("the run was created");
        assert_eq!(*run.dag.dag_id, *dag_id);
        let printed = &self.printed;
        let printed = |task, try_number| {
            let run = *number;
            let id = AttemptId {
                run,
                task,
                try_number,
            };
            printed.get(&id).map_or("", String::as_str)
        };
        self.attempts += run.record(fact, now, &printed);
        if *fact == (RunFact::Ended { success: true }) {
            *self.successes.entry(dag_id).or_default() += 1;
        }
        let is_cleared = matches!(fact, RunFact::Cleared(_));
        if matches!(run.state, "queued" | "running") {
            self.live.insert(*number);
        } else {
            self.live.remove(number);
        }
        if is_cleared {
            // What it waited for the first time may be history.
            self.runs.get_mut(number).unwrap().previous = None;
        }
    }

    /// I4 and I11: what begins has room, and is on record. And the schedule cancels one run at a time.
    fn check_start(&self, number: RunNumber, fact: &RunFact, dag_id: &str) {
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

    /// The run before another: of an earlier logical date, or of the same one and older.
    pub fn previous(&self, number: RunNumber) -> Option<RunNumber> {
        let run = &self.runs[&number];
        let by_schedule = matches!(run.dag.catchup, Catchup::All | Catchup::AtMost(_));
        let rank = |number: &RunNumber| (self.runs[number].logical_date, *number);
        let held = self.held.iter().filter(|other| {
            let other = &self.runs[*other];
            other.dag.dag_id == run.dag.dag_id && !(by_schedule && other.is_by_hand)
        });
        let before = held.filter(|other| rank(other) < rank(&number));
        before.max_by_key(|other| rank(other)).copied()
    }

    pub fn waits_for_past(&self, number: RunNumber, index: TaskIndex) -> bool {
        self.missing_past(number, index).next().is_some()
    }

    /// The states of those tasks of the run before that have to end well before a task may start, and have not.
    fn missing_past(&self, number: RunNumber, index: TaskIndex) -> impl Iterator<Item = State> {
        let run = &self.runs[&number];
        let task = run.dag.task(index);
        let looks_back = task.depends_on_past || task.wait_for_downstream;
        let previous = looks_back.then(|| self.previous(number)).flatten();
        let previous = previous.map(|previous| &self.runs[&previous]);
        let after = task.downstream.iter().filter(|_| task.wait_for_downstream);
        let asked = std::iter::once(index).chain(after.copied());
        previous.into_iter().flat_map(move |previous| {
            let state = |index: TaskIndex| {
                let at = previous.dag.find(&run.dag.task(index).task_id)?;
                Some(previous.tasks[at.get()].state)
            };
            let has_passed = |state: &State| matches!(state, State::Success | State::Skipped);
            let states: Vec<_> = asked.clone().filter_map(state).collect();
            states.into_iter().filter(move |state| !has_passed(state))
        })
    }

    /// Whether something of a run that runs waits for the run before.
    fn is_stuck(&self, number: RunNumber) -> bool {
        self.missing_pasts(number).next().is_some()
    }

    fn missing_pasts(&self, number: RunNumber) -> impl Iterator<Item = State> {
        let run = &self.runs[&number];
        let open = run.dag.indices().filter(|index| {
            let state = run.tasks[index.get()].state;
            run.state == "running" && !state.is_final() && state != State::Running
        });
        open.flat_map(move |index| self.missing_past(number, index))
    }

    /// Whether something that runs waits for a run.
    fn is_awaited(&self, number: RunNumber) -> bool {
        let mut live = self.live.iter();
        live.any(|other| self.is_stuck(*other) && self.previous(*other) == Some(number))
    }

    /// A run that waits for one that has failed, or is not there: somebody has to do something.
    pub fn stuck(&self) -> Option<(String, String)> {
        let waits_in_vain = |number: &&RunNumber| {
            let has_failed = self.missing_pasts(**number).any(State::is_final);
            has_failed || self.waits_for_the_absent(**number)
        };
        let number = self.live.iter().find(waits_in_vain)?;
        let run = &self.runs[number];
        Some((run.dag.dag_id.to_string(), run.name.clone()))
    }

    fn has_slots(&self, task: &mini_dag::dag::Task) -> bool {
        let size = self.limits.pools.slots(&task.pool).unwrap_or(0);
        self.taken(&task.pool) + task.pool_slots <= size
    }

    fn taken(&self, pool: &str) -> u32 {
        let live = self.live.iter().map(|number| &self.runs[number]);
        live.map(|run| run.slots_of(pool)).sum()
    }

    pub fn live_runs(&self, dag_id: &str) -> impl Iterator<Item = &Run> {
        let runs = self.live.iter().map(|number| &self.runs[number]);
        runs.filter(move |run| *run.dag.dag_id == *dag_id)
    }

    fn own_live_runs(&self, dag_id: &str) -> impl Iterator<Item = &Run> {
        self.live_runs(dag_id).filter(|run| !run.is_backfill)
    }

    /// Whether a fire has to wait.
    fn is_busy(&self, dag_id: &str, version: &Version) -> bool {
        self.own_live_runs(dag_id).count() >= version.dag.max_active_runs as usize
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

    /// I9: nothing is left to do, so nothing may be left undone.
    pub fn check_all_runs_ended(&self) {
        let left = self.live.iter().map(|number| {
            let run = &self.runs[number];
            let states: Vec<_> = run.tasks.iter().map(|task| task.state).collect();
            let (name, previous) = (&run.name, self.previous(*number));
            let dag_id = &run.dag.dag_id;
            format!(
                "{number:?} `{dag_id}/{name}` is {}, after {previous:?}: {states:?}",
                run.state
            )
        });
        let left: Vec<_> = left.collect();
        assert!(left.is_empty(), "I9: {left:#?}");
        self.check_all_backfills_ended();
    }

    /// DAG, run and version of everything that ever ran.
    pub fn run_ids(&self) -> Vec<(String, String, Arc<Dag>)> {
        let name = |run: &Run| {
            (
                run.dag.dag_id.to_string(),
                run.name.clone(),
                run.dag.clone(),
            )
        };
        self.runs.values().map(name).collect()
    }

    pub fn due(&self, dag_id: &str) -> &Due {
        &self.dues[dag_id]
    }
}
