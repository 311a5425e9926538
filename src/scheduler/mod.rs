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
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::dag::{Dag, Operator, Task, TaskIndex};
use crate::timetable::Timestamp;

mod command;
mod event;
mod queue;
mod record;
mod rule;
mod run;
mod schedule;
mod state;
mod timers;

pub use event::{
    Action, Answer, AttemptId, Command, Event, Monotonic, Now, Refusal, Selection, Signal, Spawn,
    Trigger,
};
pub use record::{
    Attempt, Ended, Exit, Fact, Record, RunFact, RunFacts, RunImage, RunNumber, RunType, Settled,
    StopCause, StopReason, TaskFact, TaskImage,
};
pub use rule::{Decision as RuleDecision, UpstreamCounts, decide};
pub use run::{Run, RunState, TaskInstance, TaskState};
pub use schedule::{data_interval, run_dates, timetable};
pub use state::{ApplyError, DagState, RUNS_KEPT_MAX, State};

use queue::{Queue, Waiting};
use rule::Decision;
use schedule::Fires;
use timers::{Timer, Timers};

/// Runs of one DAG that may wait in `queued`; a trigger beyond is refused, so that memory is bounded.
pub const RUNS_QUEUED_MAX: usize = 1_000;
/// The longest run id, in bytes.
pub const RUN_ID_BYTES_MAX: usize = 250;
/// How long a killed process may take to go before its slot is given to another.
pub const KILL_PATIENCE: Duration = Duration::from_secs(60);

/// What bounds the whole.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Attempts that may run at once, over all DAGs. At least 1.
    pub parallelism: u32,
    /// From SIGTERM to SIGKILL.
    pub kill_grace: Duration,
}

impl Limits {
    fn checked(self) -> Self {
        Self {
            parallelism: self.parallelism.max(1),
            ..self
        }
    }
}

/// The one who decides.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    state: State,
    queue: Queue,
    timers: Timers,
    fires: Fires,
    attempts: BTreeMap<(RunNumber, TaskIndex), LiveAttempt>,
    touched: VecDeque<(RunNumber, TaskIndex)>,
    ending: VecDeque<RunNumber>,
    waking: VecDeque<Arc<str>>,
    is_recording: bool,
    is_shutting_down: bool,
}

/// An attempt whose process has not been seen to end.
#[derive(Debug)]
struct LiveAttempt {
    try_number: u32,
    stage: Stage,
    stopped: Option<StopCause>,
    started: Monotonic,
}

/// How far the ending of an attempt has come.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Running,
    Terminating,
    Killing,
}

impl Scheduler {
    /// Knows no DAG yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.checked(),
            state: State::default(),
            queue: Queue::default(),
            timers: Timers::default(),
            fires: Fires::default(),
            attempts: BTreeMap::new(),
            touched: VecDeque::new(),
            ending: VecDeque::new(),
            waking: VecDeque::new(),
            is_recording: true,
            is_shutting_down: false,
        }
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
        let dag_ids: Vec<_> = self
            .state
            .dags()
            .map(|known| known.dag.dag_id.clone())
            .collect();
        for dag_id in dag_ids {
            self.open_or_shut(&dag_id);
            self.waking.push_back(dag_id);
        }
    }

    /// Goes on with a run of the past.
    fn take_up(&mut self, now: Now, number: RunNumber) {
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
        for index in run.dag.indices() {
            let (task, instance) = (run.dag.task(index), run.task(index));
            match instance.state {
                TaskState::None => self.touched.push_back((number, index)),
                TaskState::UpForRetry => {
                    let delay = retry_delay(task, instance.try_number);
                    let at = left(delay, instance.ended_at);
                    self.timers.set(Timer::Retry(number, index), at);
                }
                TaskState::Running => {
                    let live = LiveAttempt {
                        try_number: instance.try_number,
                        stage: Stage::Running,
                        stopped: run.stopped.map(|_| StopCause::RunStopped),
                        started: now.monotonic,
                    };
                    self.attempts.insert((number, index), live);
                }
                TaskState::Success
                | TaskState::Failed
                | TaskState::UpstreamFailed
                | TaskState::Skipped => {}
            }
        }
        self.ending.push_back(number);
    }

    /// What bounds the whole.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether records can be written, as far as it was told.
    pub fn is_recording(&self) -> bool {
        self.is_recording
    }

    /// Attempts whose process has not been seen to end.
    pub fn live_attempts(&self) -> impl ExactSizeIterator<Item = AttemptId> {
        self.attempts.iter().map(|((run, task), live)| AttemptId {
            run: *run,
            task: *task,
            try_number: live.try_number,
        })
    }

    /// When to call [`Scheduler::step`] with [`Event::Tick`] by the wall clock if nothing else happens before.
    pub fn next_fire(&self) -> Option<Timestamp> {
        self.fires.next()
    }

    /// When to call [`Scheduler::step`] with [`Event::Tick`] if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// Whether a task instance may start and only waits for a slot: what Airflow calls `scheduled`.
    pub fn is_scheduled(&self, number: RunNumber, index: TaskIndex) -> bool {
        self.state.run(number).is_some_and(|run| {
            self.queue
                .contains(&run.dag.dag_id, &waiting(run, number, index))
        })
    }

    /// Takes one event and appends what to do; then serves the deadlines that have passed.
    pub fn step(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) {
        let mut turn = Turn { now, actions };
        match event {
            Event::Tick => {}
            Event::DagLoaded(dag) => self.load(&mut turn, &dag),
            Event::DagRemoved(dag_id) => self.remove(&dag_id),
            Event::Exited(id, attempt) => self.exited(&mut turn, id, attempt),
            Event::Lost(id) => self.lost(&mut turn, id),
            Event::Limits(limits) => self.limits = limits.checked(),
            Event::Recording(is_recording) => self.set_recording(is_recording),
            Event::Recalled(dag_id, number, image) => {
                self.recalled(&mut turn, &dag_id, number, image);
            }
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
        self.open_or_shut(&dag.dag_id);
        self.waking.push_back(dag.dag_id.clone());
    }

    fn remove(&mut self, dag_id: &Arc<str>) {
        self.fires.forget(dag_id);
        self.state.remove_dag(dag_id);
        self.waking.push_back(dag_id.clone());
    }

    /// Whether anything new may begin.
    fn may_start(&self) -> bool {
        self.is_recording && !self.is_shutting_down
    }

    fn set_recording(&mut self, is_recording: bool) {
        self.is_recording = is_recording;
        let dag_ids = self.state.dags().map(|known| known.dag.dag_id.clone());
        self.waking.extend(dag_ids);
    }

    fn shut_down(&mut self, turn: &mut Turn) {
        self.is_shutting_down = true;
        let live: Vec<_> = self.attempts.keys().copied().collect();
        for (run, task) in live {
            self.stop_attempt(turn, run, task, StopCause::Shutdown);
        }
    }

    /// An attempt ended. One that is not awaited (told twice, or given up before) is no news.
    fn exited(&mut self, turn: &mut Turn, id: AttemptId, attempt: Attempt) {
        let key = (id.run, id.task);
        if self
            .attempts
            .get(&key)
            .is_none_or(|live| live.try_number != id.try_number)
        {
            return;
        }
        let Some(live) = self.attempts.remove(&key) else {
            return;
        };
        self.timers.cancel(Timer::Attempt(id.run, id.task));
        let Some(run) = self.state.run(id.run) else {
            return;
        };
        let task = run.dag.task(id.task);
        let instance = run.task(id.task);
        let state = match live.stopped {
            Some(StopCause::Shutdown | StopCause::Cleared) => Ended::Interrupted,
            Some(StopCause::RunStopped) => Ended::Failed,
            None if attempt.exit == Exit::Code(0) => Ended::Success,
            None if task
                .skip_on_exit_code
                .is_some_and(|code| attempt.exit == Exit::Code(code)) =>
            {
                Ended::Skipped
            }
            None | Some(StopCause::TimedOut) => {
                if instance.try_number <= instance.max_tries && run.stopped.is_none() {
                    Ended::UpForRetry(retry_delay(task, instance.try_number))
                } else {
                    Ended::Failed
                }
            }
        };
        if let Ended::UpForRetry(delay) = state {
            self.timers.set(
                Timer::Retry(id.run, id.task),
                turn.now.monotonic.after(delay),
            );
        }
        let dag_id = run.dag.dag_id.clone();
        let fact = TaskFact::Ended {
            try_number: id.try_number,
            state,
            attempt: Attempt {
                stopped: live.stopped,
                ..attempt
            },
        };
        self.record_task(turn, id.run, id.task, fact);
        self.touch_around(id.run, id.task);
        self.open_or_shut(&dag_id);
    }

    fn lost(&mut self, turn: &mut Turn, id: AttemptId) {
        let key = (id.run, id.task);
        let Some(live) = self.attempts.get_mut(&key) else {
            return;
        };
        live.stopped.get_or_insert(StopCause::Shutdown);
        let duration = turn.now.monotonic.since(live.started);
        self.exited(turn, id, Attempt::unseen(Exit::Unknown, duration));
    }

    fn due(&mut self, turn: &mut Turn, timer: Timer) {
        match timer {
            Timer::Retry(run, task) => self.touched.push_back((run, task)),
            Timer::Run(run) => self.stop_run(turn, run, StopReason::TimedOut),
            Timer::Attempt(run, task) => {
                let Some(live) = self.attempts.get_mut(&(run, task)) else {
                    return;
                };
                let id = AttemptId {
                    run,
                    task,
                    try_number: live.try_number,
                };
                match live.stage {
                    Stage::Running => self.stop_attempt(turn, run, task, StopCause::TimedOut),
                    Stage::Terminating => {
                        live.stage = Stage::Killing;
                        turn.actions.push(Action::Signal(id, Signal::Kill));
                        self.timers
                            .set(timer, turn.now.monotonic.after(KILL_PATIENCE));
                    }
                    Stage::Killing => {
                        let duration = turn.now.monotonic.since(live.started);
                        let attempt = Attempt::unseen(Exit::Unknown, duration);
                        self.exited(turn, id, attempt);
                    }
                }
            }
        }
    }

    /// Begins to end an attempt. A later cause wins over an earlier one, except over that of its run.
    fn stop_attempt(&mut self, turn: &mut Turn, run: RunNumber, task: TaskIndex, cause: StopCause) {
        let Some(live) = self.attempts.get_mut(&(run, task)) else {
            return;
        };
        if live.stopped != Some(StopCause::RunStopped) {
            live.stopped = Some(cause);
        }
        if live.stage == Stage::Running {
            live.stage = Stage::Terminating;
            let id = AttemptId {
                run,
                task,
                try_number: live.try_number,
            };
            turn.actions.push(Action::Signal(id, Signal::Term));
            let kill_at = turn.now.monotonic.after(self.limits.kill_grace);
            self.timers.set(Timer::Attempt(run, task), kill_at);
        }
    }

    /// Begins to end a run: what runs is stopped, everything else is skipped.
    fn stop_run(&mut self, turn: &mut Turn, number: RunNumber, reason: StopReason) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        if run.state.is_finished() || run.stopped.is_some() {
            return;
        }
        for index in run.dag.indices() {
            self.withdraw(number, index);
            self.stop_attempt(turn, number, index, StopCause::RunStopped);
        }
        self.record_run(turn, number, RunFact::Stopped(reason));
        self.ending.push_back(number);
    }

    /// Takes a task instance out of the queue and forgets its delay.
    fn withdraw(&mut self, number: RunNumber, index: TaskIndex) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        self.queue
            .remove(&run.dag.dag_id, &waiting(run, number, index));
        self.timers.cancel(Timer::Retry(number, index));
    }

    fn settle(&mut self, turn: &mut Turn) {
        loop {
            if let Some((run, task)) = self.touched.pop_front() {
                self.evaluate(turn, run, task);
            } else if let Some(run) = self.ending.pop_front() {
                self.end_run(turn, run);
            } else if let Some(dag_id) = self.waking.pop_front() {
                self.schedule(turn, &dag_id);
                self.start_runs(turn, &dag_id);
            } else if !self.start_next_task(turn) {
                return;
            }
        }
    }

    /// Marks a task instance that has come to another state, and all that may follow from it.
    fn touch_around(&mut self, number: RunNumber, index: TaskIndex) {
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
        } else {
            self.touched.push_back((number, index));
        }
    }

    /// Asks the trigger rule of a task instance that has not begun what becomes of it.
    fn evaluate(&mut self, turn: &mut Turn, number: RunNumber, index: TaskIndex) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        let may_start = match run.task(index).state {
            TaskState::None => true,
            TaskState::UpForRetry => !self.timers.is_set(Timer::Retry(number, index)),
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
            Decision::Run => match task.operator {
                Operator::Empty => Settled::Success,
                Operator::Bash(_)
                | Operator::Argv(_)
                | Operator::Http(_)
                | Operator::Call { .. } => {
                    let waiting = waiting(run, number, index);
                    return self.queue.insert(&run.dag.dag_id, waiting);
                }
            },
            Decision::Skip => Settled::Skipped,
            Decision::UpstreamFailed => Settled::UpstreamFailed,
        };
        self.withdraw(number, index);
        self.record_task(turn, number, index, TaskFact::Settled(settled));
        self.touch_around(number, index);
    }

    fn end_run(&mut self, turn: &mut Turn, number: RunNumber) {
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
        self.waking.push_back(dag_id);
    }

    fn start_runs(&mut self, turn: &mut Turn, dag_id: &Arc<str>) {
        while let Some(known) = self.state.dag(dag_id) {
            let has_room = known.active_runs < known.dag.max_active_runs;
            let Some(number) = known.queued.first().copied() else {
                return;
            };
            if known.is_paused || !has_room || !self.may_start() {
                return;
            }
            // One that was stopped while it waited ends in this turn, and then there is room.
            let Some(run) = self.state.run(number).filter(|run| run.stopped.is_none()) else {
                return;
            };
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

    /// Starts the task instance that is next, if there is one and a slot for it.
    fn start_next_task(&mut self, turn: &mut Turn) -> bool {
        if !self.may_start() || self.attempts.len() >= self.limits.parallelism as usize {
            return false;
        }
        let Some((dag_id, next)) = self.queue.first() else {
            return false;
        };
        let dag_id = dag_id.clone();
        self.queue.remove(&dag_id, &next);
        let (number, index) = (next.run, next.task);
        let Some(run) = self.state.run(number) else {
            return true;
        };
        let (dag, facts) = (run.dag.clone(), run.facts.clone());
        let task = dag.task(index);
        let try_number = run.task(index).try_number + 1;
        self.record_task(turn, number, index, TaskFact::Started { try_number });
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
        };
        self.attempts.insert((number, index), live);
        let attempt = AttemptId {
            run: number,
            task: index,
            try_number,
        };
        turn.actions.push(Action::Spawn(Spawn {
            attempt,
            dag: dag.clone(),
            run: facts,
        }));
        self.open_or_shut(&dag_id);
        true
    }

    /// A DAG that is paused, or has all the running tasks it may have, is passed over.
    fn open_or_shut(&mut self, dag_id: &Arc<str>) {
        let Some(known) = self.state.dag(dag_id) else {
            return;
        };
        let is_full = known
            .dag
            .max_active_tasks
            .is_some_and(|max| known.running_tasks >= max);
        self.queue.shut(dag_id, known.is_paused || is_full);
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
        if let Err(error) = self.state.apply(&record) {
            panic!("the scheduler decided what its own state refuses: {error}");
        }
        turn.actions.push(Action::Record(record));
    }
}

/// One call of `step`: its moment, and what it has decided so far.
struct Turn<'a> {
    now: Now,
    actions: &'a mut Vec<Action>,
}

fn waiting(run: &Run, number: RunNumber, index: TaskIndex) -> Waiting {
    let priority = Reverse(run.dag.task(index).priority);
    Waiting {
        priority,
        logical_date: run.facts.logical_date,
        run: number,
        task: index,
    }
}

/// The pause after this attempt: `retry_delay`, doubled for each attempt before it if the task says so.
fn retry_delay(task: &Task, try_number: u32) -> Duration {
    let longest = task.max_retry_delay;
    if !task.retry_exponential_backoff {
        return task.retry_delay.min(longest);
    }
    let doubled = 2_u32.checked_pow(try_number.saturating_sub(1));
    doubled
        .and_then(|factor| task.retry_delay.checked_mul(factor))
        .unwrap_or(longest)
        .min(longest)
}
