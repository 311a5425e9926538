//! What must hold, told a second time: it reads only the records and the processes, keeps every
//! state in the plainest way, and knows nothing of how the scheduler decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mini_dag::dag::Dag;
use mini_dag::scheduler::{
    AttemptId, BackfillNumber, ClockTrust, Fact, Limits, RUNS_KEPT_MAX, Record, RunFact, RunNumber,
    RunType, Scheduler,
};
use mini_dag::timetable::Timestamp;

use crate::backfills::Fill;
use crate::children::Children;
use crate::dags::Version;
use crate::due::Due;
use crate::rhythm::Rhythm;
use crate::rules::State;
use crate::runs::{Run, Task};
use crate::tally::Tally;

#[expect(clippy::struct_excessive_bools, reason = "each may be, or not")]
pub struct Model {
    pub limits: Limits,
    pub dues: BTreeMap<String, Due>,
    pub boot_id: String,
    /// How far the clock is ahead of one that nobody sets.
    pub ahead_ms: i64,
    /// How often a run of each DAG has succeeded.
    pub successes: BTreeMap<String, u64>,
    pub fills: BTreeMap<BackfillNumber, Fill>,
    pub children: Children,
    pub runs: BTreeMap<RunNumber, Run>,
    /// Those that are not over.
    pub live: BTreeSet<RunNumber>,
    pub processes: BTreeSet<AttemptId>,
    /// Those that the scheduler has not forgotten.
    pub held: BTreeSet<RunNumber>,
    /// Those that it forgets at some time in this turn.
    pub forgotten: BTreeSet<RunNumber>,
    /// The last line of each.
    pub printed: BTreeMap<AttemptId, String>,
    /// The monotonic clock.
    pub now_ms: u64,
    pub is_recording: bool,
    /// The schedule may go by the clock; and how far it is to be trusted.
    pub may_go: bool,
    pub trust: ClockTrust,
    /// Somebody has asked for a run to be cancelled, in this turn.
    pub is_commanded: bool,
    /// Nothing begins any more.
    pub is_shutting_down: bool,
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

    pub fn live_runs(&self, dag_id: &str) -> impl Iterator<Item = &Run> {
        let runs = self.live.iter().map(|number| &self.runs[number]);
        runs.filter(move |run| *run.dag.dag_id == *dag_id)
    }

    pub fn own_live_runs(&self, dag_id: &str) -> impl Iterator<Item = &Run> {
        self.live_runs(dag_id).filter(|run| !run.is_backfill)
    }

    /// Whether a fire has to wait.
    fn is_busy(&self, dag_id: &str, version: &Version) -> bool {
        self.own_live_runs(dag_id).count() >= version.dag.max_active_runs as usize
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
