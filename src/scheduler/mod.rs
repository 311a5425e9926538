//! What happens next.
//!
//! [`Scheduler::step`] is told what happened and when, and says what to do. It reads no clock, no
//! file and no environment, starts nothing and waits for nothing; the same events at the same moments
//! give the same actions, to the byte. The states of runs and task instances stand in `run`, everything else that is known in `state`.
//!
//! Within a step, an event sets facts and marks what they touch; then `settle` drains what is marked
//! until nothing is left to do. So nothing recurses along the graph, and an event costs what it
//! touches, O(log n) in everything else that is known.
//!
//! ```text
//! touched   task instances whose upstreams or delays changed  ──▶ queue, or settled without an attempt
//! ending    runs whose last task instance has ended           ──▶ success | failed
//! waking    DAGs that may have room for a run                 ──▶ due runs are created, queued ones start
//! queue     task instances that may start                     ──▶ attempts, while slots are free
//! tangle    runs that wait for each other in a circle         ──▶ one of these waits fails
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::dag::{Dag, Hooks, Pools, TaskIndex};
use crate::timetable::Timestamp;

mod attempt;
mod backfill;
mod child;
mod choice;
mod clock;
mod command;
mod correct;
mod dag_state;
mod dates;
mod event;
mod hooks;
mod image;
mod kept;
mod occasion;
mod pace;
mod past;
mod poke;
mod queue;
mod ran;
mod record;
mod rule;
mod run;
mod schedule;
mod settle;
mod state;
mod states;
mod tangle;
mod timers;
mod waits;

pub use backfill::Backfill;
pub use choice::{Choice, XCOM_BYTES_MAX, XCOM_RUN_BYTES_MAX};
pub use clock::{ClockDemand, ClockReport, ClockRule, ClockTrust, Verdict, build_date};
pub use correct::NOTE_BYTES_MAX;
pub use dag_state::{DagState, RunsOver};
pub use dates::{BackfillDate, backfill_timetable, is_wanted, next_date};
pub use event::{
    Action, Answer, AttemptId, BackfillChange, Command, Event, HookCall, HookLevel, HookOccasion,
    Look, Monotonic, NewBackfill, Now, PastDate, Refusal, Selection, Signal, Spawn, Trigger,
};
pub use image::{BackfillImage, RunImage, TaskImage};
pub use kept::RUNS_KEPT_MAX;
pub use occasion::{Awaited, circle};
pub use ran::Ran;
pub use record::{
    Attempt, BackfillFact, BackfillFacts, BackfillNumber, Ended, Exit, Fact, Mark, Occasion,
    Parent, Record, Reprocess, RunFact, RunFacts, RunNumber, RunType, Settled, StopCause,
    StopReason, TaskFact,
};
pub use rule::{Decision as RuleDecision, UpstreamCounts, decide};
pub use run::{Run, TaskInstance};
pub use schedule::{data_interval, run_dates, timetable};
pub use state::{ApplyError, State};
pub use states::{RunState, TaskState};
pub use waits::{PoolUse, WaitsFor};

use attempt::{LiveAttempt, Stage, retry_delay};
use backfill::Looked;
use clock::Clock;
use occasion::Occasions;
use queue::Queue;
use schedule::Fires;
use tangle::Tangle;
use timers::{Timer, Timers};

/// Runs of one DAG that may wait in `queued`; a trigger beyond is refused, so that memory is bounded.
pub const RUNS_QUEUED_MAX: usize = 1_000;
/// The longest run id, in bytes.
pub const RUN_ID_BYTES_MAX: usize = 250;
/// How long a killed process may take to go before its slot is given to another.
pub const KILL_PATIENCE: Duration = Duration::from_secs(60);

/// What bounds the whole.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Attempts that may run at once, over all DAGs, and the pools that bound them further.
    pub pools: Pools,
    /// From SIGTERM to SIGKILL.
    pub kill_grace: Duration,
}

/// The one who decides.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    state: State,
    queue: Queue,
    /// Slots that live attempts take, of each pool.
    used: BTreeMap<Arc<str>, u32>,
    /// Live attempts of each DAG that has any.
    running: BTreeMap<Arc<str>, u32>,
    timers: Timers,
    fires: Fires,
    clock: Clock,
    verdict: Verdict,
    occasions: Occasions,
    looked: Looked,
    tangle: Tangle,
    attempts: BTreeMap<(RunNumber, TaskIndex), LiveAttempt>,
    touched: VecDeque<(RunNumber, TaskIndex)>,
    ending: VecDeque<RunNumber>,
    waking: VecDeque<Arc<str>>,
    /// Those of all DAGs.
    hooks: Hooks,
    is_recording: bool,
    is_shutting_down: bool,
}

impl Scheduler {
    /// Knows no DAG yet.
    pub fn new(limits: Limits) -> Self {
        let mut scheduler = Self {
            limits,
            state: State::default(),
            queue: Queue::default(),
            used: BTreeMap::new(),
            running: BTreeMap::new(),
            timers: Timers::default(),
            fires: Fires::default(),
            clock: Clock::default(),
            verdict: Verdict::default(),
            occasions: Occasions::default(),
            looked: Looked::default(),
            tangle: Tangle::default(),
            attempts: BTreeMap::new(),
            touched: VecDeque::new(),
            ending: VecDeque::new(),
            waking: VecDeque::new(),
            hooks: Hooks::default(),
            is_recording: true,
            is_shutting_down: false,
        };
        scheduler.offer_all();
        scheduler
    }

    /// Goes on from a state that was read back. Attempts that were running are awaited: each has to be
    /// told as [`Event::Exited`] or [`Event::Lost`]. Delays and timeouts go on from where they were by the
    /// wall clock, and are never longer than the whole of them.
    pub fn resume(limits: Limits, state: State, now: Now) -> Self {
        let mut scheduler = Self::new(limits);
        scheduler.recall(now, |own| *own = state);
        scheduler
    }

    /// Lets `change` apply records of the past to the state, and goes on from there as
    /// [`Scheduler::resume`] does with the runs that were not known before.
    pub fn recall(&mut self, now: Now, change: impl FnOnce(&mut State)) {
        let known: BTreeSet<_> = self.state.runs().map(|(number, _)| number).collect();
        change(&mut self.state);
        let is_new = |number: &RunNumber| !known.contains(number);
        let runs: Vec<_> = self
            .state
            .runs()
            .map(|(number, _)| number)
            .filter(is_new)
            .collect();
        for number in runs {
            self.take_up(now, number);
        }
        // Whatever they wait for may be over, or gone for good.
        self.touched.extend(self.tangle.waiting());
        let dag_ids: Vec<_> = self
            .state
            .dags()
            .map(|known| known.dag.dag_id.clone())
            .collect();
        for dag_id in dag_ids {
            self.state.forget_old_runs(&dag_id);
            self.open_or_shut(&dag_id);
            self.waking.push_back(dag_id);
        }
    }

    /// Goes on with a run of the past.
    fn take_up(&mut self, now: Now, number: RunNumber) {
        self.touch_parent(number);
        let Some(run) = self
            .state
            .run(number)
            .filter(|run| !run.state.is_finished())
        else {
            return;
        };
        let left = |whole: Duration, since: Option<Timestamp>| {
            let gone = since.map_or(Duration::ZERO, |since| now.wall.since(since));
            now.monotonic.after(whole.saturating_sub(gone))
        };
        if let Some(timeout) = run
            .dag
            .run_timeout
            .filter(|_| run.state == RunState::Running)
        {
            self.timers
                .set(Timer::Run(number), left(timeout, run.started_at));
        }
        let dag = run.dag.clone();
        let mut running = Vec::new();
        for index in dag.indices() {
            let (task, instance) = (run.dag.task(index), run.task(index));
            match instance.state {
                TaskState::None => self.touched.push_back((number, index)),
                TaskState::UpForRetry => {
                    let delay = retry_delay(task, instance.try_number);
                    let at = left(delay, instance.ended_at);
                    self.timers.set(Timer::Retry(number, index), at);
                }
                TaskState::Running => {
                    let cleared = Some(StopCause::Cleared).filter(|_| instance.is_cleared);
                    let marked = instance.ending.map(|_| StopCause::Marked);
                    let stopped = run.stopped.map(|_| StopCause::RunStopped);
                    let stopped = stopped.or(cleared).or(marked);
                    let live = LiveAttempt {
                        try_number: instance.try_number,
                        stage: Stage::Running,
                        stopped,
                        started: now.monotonic,
                        is_recorded: true,
                    };
                    // One that was to end is told so again, if there is still somebody to hear it.
                    let timeout = task
                        .timeout
                        .map(|timeout| left(timeout, instance.started_at));
                    if let Some(at) = stopped.map(|_| now.monotonic).or(timeout) {
                        self.timers.set(Timer::Attempt(number, index), at);
                    }
                    self.attempts.insert((number, index), live);
                    running.push(index);
                }
                // Below.
                TaskState::UpForReschedule
                | TaskState::Success
                | TaskState::Failed
                | TaskState::UpstreamFailed
                | TaskState::Skipped => {}
            }
        }
        for index in running {
            self.take(&dag, index);
        }
        for index in dag.indices() {
            self.poke_on(now, number, index);
            self.wait_on(now, number, index);
        }
        self.ending.push_back(number);
    }

    /// What bounds the whole.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether records can be written, as far as it was told.
    pub fn is_recording(&self) -> bool {
        self.is_recording
    }

    /// What was thought of the wall clock when it was last looked at.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Attempts whose process has not been seen to end.
    pub fn live_attempts(&self) -> impl ExactSizeIterator<Item = AttemptId> {
        self.attempts.iter().map(|((run, task), live)| AttemptId {
            run: *run,
            task: *task,
            try_number: live.try_number,
        })
    }

    /// Live attempts of a DAG.
    pub fn running_tasks(&self, dag_id: &str) -> u32 {
        self.running.get(dag_id).copied().unwrap_or(0)
    }

    /// Whether an attempt was told to end and has not ended.
    pub fn is_ending_attempts(&self) -> bool {
        let mut attempts = self.attempts.values();
        attempts.any(|live| live.stage != Stage::Running || live.stopped.is_some())
    }

    /// When to call [`Scheduler::step`] with [`Event::Tick`] by the wall clock if nothing else happens before.
    pub fn next_fire(&self) -> Option<Timestamp> {
        let plausible_at = self.verdict.plausible_at();
        [self.fires.next(), plausible_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// When to call [`Scheduler::step`] with [`Event::Tick`] if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// Takes one event and appends what to do; then serves the deadlines that have passed.
    pub fn step(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) {
        let mut turn = Turn {
            now,
            actions,
            backfilled: 0,
        };
        self.look_at_the_clock(&mut turn);
        match event {
            Event::Tick => {}
            Event::Booted(boot_id) => self.booted(boot_id),
            Event::DagLoaded(dag) => self.load(&mut turn, &dag),
            Event::DagRemoved(dag_id) => self.remove(&dag_id),
            Event::Exited(id, attempt) => self.exited(&mut turn, id, attempt),
            Event::Lost(id) => self.lost(&mut turn, id),
            Event::Clock(report) => {
                self.clock.hear(report);
                self.look_at_the_clock(&mut turn);
                // Whatever is waited for lies elsewhere now.
                self.wake_all();
            }
            Event::Limits(limits) => self.limit(limits),
            Event::Recording(is_recording) => self.set_recording(is_recording),
            Event::Recalled(dag_id, number, image) => {
                self.recalled(&mut turn, &dag_id, number, image);
            }
            Event::Found(number, dates) => self.found(number, dates),
            Event::Command(number, command) => {
                let answer = self.command(&mut turn, command);
                turn.actions.push(Action::Reply(number, answer));
            }
            Event::Shutdown => self.shut_down(&mut turn),
        }
        while let Some(timer) = self.timers.pop_due(now.monotonic) {
            self.due(&mut turn, timer);
        }
        while let Some(dag_id) = self.fires.due(now.wall) {
            self.schedule(&mut turn, &dag_id);
            self.waking.push_back(dag_id);
        }
        self.settle(&mut turn);
    }

    fn load(&mut self, turn: &mut Turn, dag: &Arc<Dag>) {
        self.state.insert_dag(dag.clone());
        self.plan(turn, dag);
        self.listen(turn, dag);
        self.open_or_shut(&dag.dag_id);
        self.waking.push_back(dag.dag_id.clone());
        self.tangle.suspect();
    }

    fn remove(&mut self, dag_id: &Arc<str>) {
        self.fires.forget(dag_id);
        self.waking.extend(self.occasions.forget(dag_id));
        self.state.remove_dag(dag_id);
        self.waking.push_back(dag_id.clone());
    }

    /// Whether anything new may begin.
    fn may_start(&self) -> bool {
        self.is_recording && !self.is_shutting_down
    }

    fn set_recording(&mut self, is_recording: bool) {
        self.is_recording = is_recording;
        self.wake_all();
        let dag_ids = self.state.dags().map(|known| known.dag.dag_id.clone());
        for dag_id in dag_ids.collect::<Vec<_>>() {
            self.touch_triggers(&dag_id);
        }
    }

    fn wake_all(&mut self) {
        let dag_ids = self.state.dags().map(|known| known.dag.dag_id.clone());
        self.waking.extend(dag_ids);
    }

    /// Judges the clock anew. When it begins or ceases to be believed, every schedule takes note.
    fn look_at_the_clock(&mut self, turn: &mut Turn) {
        let before = std::mem::replace(&mut self.verdict, self.clock.judge(turn.now));
        match self.verdict.deadline() {
            Some(deadline) => self.timers.set(Timer::Clock, deadline),
            None => self.timers.cancel(Timer::Clock),
        }
        if before.is_held() != self.verdict.is_held() {
            let known = self.state.dags().filter(|known| !known.is_removed);
            let unseen = known.filter(|known| known.first_seen.is_none());
            let unseen: Vec<_> = unseen.map(|known| known.dag.clone()).collect();
            for dag in unseen {
                self.plan(turn, &dag);
            }
            self.wake_all();
        }
    }

    fn record_task(
        &mut self,
        turn: &mut Turn,
        number: RunNumber,
        index: TaskIndex,
        fact: TaskFact,
    ) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        let task_id = run.dag.task(index).task_id.clone();
        self.record_run(turn, number, RunFact::Task(task_id, fact));
    }

    fn record_run(&mut self, turn: &mut Turn, number: RunNumber, fact: RunFact) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        let dag_id = run.dag.dag_id.clone();
        self.record(turn, &dag_id, Fact::Run(number, fact));
    }

    /// Applies a fact and has it written down.
    fn record(&mut self, turn: &mut Turn, dag_id: &Arc<str>, fact: Fact) {
        let record = Record {
            at: turn.now.wall,
            dag_id: dag_id.clone(),
            fact,
        };
        let calls = self.hook_calls(&record);
        if let Err(error) = self.state.apply(&record) {
            panic!("the scheduler decided what its own state refuses: {error}");
        }
        turn.actions.push(Action::Record(record));
        turn.actions.extend(calls.into_iter().map(Action::Hook));
    }
}

/// One call of `step`: its moment, and what it has decided so far.
struct Turn<'a> {
    now: Now,
    actions: &'a mut Vec<Action>,
    /// Runs that backfills have created in it.
    backfilled: u32,
}
