//! One run, told a second time: every task's state, and which record may follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use mini_dag::dag::{Dag, Operator, Task as Definition, TaskIndex, Value, WeightRule};
use mini_dag::scheduler::{
    Choice, Ended, Mark, RunFact, RunNumber, Settled, StopCause, TaskFact, TaskState,
};
use mini_dag::timetable::Timestamp;

use crate::rules::{State, verdict};

pub struct Task {
    pub state: State,
    pub try_number: u32,
    /// I7: attempts that may still begin.
    pub tries_left: u32,
    /// What it has left.
    pub xcom: Option<String>,
    pub choice: Option<Choice>,
    /// It is poked now, and there is no record of that.
    pub is_poked: bool,
    /// No poke before.
    pub rests_until: i64,
    /// When it was poked first.
    pub poking_since: Option<i64>,
    /// It was cleared while it ran.
    pub is_cleared: bool,
    /// Since when it waits for a run that it has triggered, by the monotonic clock, at least.
    pub waits_since_ms: Option<u64>,
    pub waits_over_a_crash: bool,
    /// It was marked while it ran.
    pub ending: Option<Mark>,
}

impl Task {
    pub fn new(retries: u32) -> Self {
        Self {
            state: State::None,
            try_number: 0,
            tries_left: retries + 1,
            is_poked: false,
            rests_until: 0,
            poking_since: None,
            is_cleared: false,
            waits_since_ms: None,
            waits_over_a_crash: false,
            ending: None,
            xcom: None,
            choice: None,
        }
    }

    fn runs(&self) -> bool {
        self.state == State::Running || self.is_poked
    }

    /// The timeout of the whole has passed.
    pub fn has_given_up(&self, definition: &Definition, now: i64) -> bool {
        let timeout = definition.poke.map(|poke| poke.timeout.as_millis());
        let until = self.poking_since.zip(timeout);
        until.is_some_and(|(since, timeout)| now - since >= i64::try_from(timeout).unwrap())
    }
}

impl Task {
    /// Somebody says what it is; only of one that does not run.
    fn mark(&mut self, mark: Mark) {
        assert_ne!(self.state, State::Running, "it is marked while it runs");
        assert!(!self.is_poked, "it is marked while it is poked");
        self.poking_since = None;
        (self.xcom, self.choice) = (None, None);
        self.state = marked(mark);
    }

    /// Somebody says what it is while it runs; a clear of before no longer counts.
    fn end_as(&mut self, mark: Mark) {
        assert_eq!(self.state, State::Running, "it is to end, and does not run");
        (self.ending, self.is_cleared) = (Some(mark), false);
    }
}

fn marked(mark: Mark) -> State {
    match mark {
        Mark::Success => State::Success,
        Mark::Failed => State::Failed,
        Mark::Skipped => State::Skipped,
    }
}

/// What an attempt has printed last.
type Printed<'p> = dyn Fn(TaskIndex, u32) -> &'p str + 'p;

/// What a task's priority comes to: each task that counts, once.
pub fn weight(dag: &Dag, index: TaskIndex) -> i64 {
    let mut counted = vec![index];
    let mut at = 0;
    while let Some(next) = counted.get(at) {
        let next = match dag.task(index).weight_rule {
            WeightRule::Downstream => &dag.task(*next).downstream,
            WeightRule::Upstream => &dag.task(*next).upstream,
            WeightRule::Absolute => break,
        };
        let new: Vec<_> = next.iter().filter(|next| !counted.contains(next)).collect();
        counted.extend(new);
        at += 1;
    }
    let priorities = counted.iter().map(|task| dag.task(*task).priority);
    priorities.map(i64::from).sum()
}

pub struct Run {
    /// I15: the version that it began with.
    pub dag: Arc<Dag>,
    pub name: String,
    pub state: &'static str,
    pub is_stopped: bool,
    pub logical_date: Timestamp,
    pub is_backfill: bool,
    pub is_by_hand: bool,
    /// The run before, when it was created: it is kept as long as this one goes on.
    pub previous: Option<RunNumber>,
    /// How many triggers it has come of.
    pub depth: u32,
    pub given: BTreeMap<String, Value>,
    pub tasks: Vec<Task>,
}

impl Run {
    pub fn running(&self) -> usize {
        self.tasks.iter().filter(|task| task.runs()).count()
    }

    /// How many slots of a pool its processes take.
    pub fn slots_of(&self, pool: &str) -> u32 {
        let tasks = self.dag.tasks().iter().zip(&self.tasks);
        let running = tasks.filter(|(_, task)| task.runs());
        let here = running.filter(|(definition, _)| *definition.pool == *pool);
        here.map(|(definition, _)| definition.pool_slots).sum()
    }

    /// Whether a task that has not begun only waits for slots.
    pub fn may_start(&self, index: TaskIndex) -> bool {
        let definition = self.dag.task(index);
        self.is_to_run(index)
            && self.tasks[index.get()].state == State::None
            && !matches!(definition.operator, Operator::Empty | Operator::Trigger(_))
    }

    /// Whether its run and what comes before it let a task run.
    pub fn is_to_run(&self, index: TaskIndex) -> bool {
        let definition = self.dag.task(index);
        let upstream = definition.upstream.iter();
        let states: Vec<_> = upstream.map(|task| self.tasks[task.get()].state).collect();
        let is_running = self.state == "running" && !self.is_stopped;
        is_running && !self.is_left_out(index) && verdict(definition.trigger_rule, &states) == "RUN"
    }

    /// I3, I7 and I8. Returns how many attempts began.
    pub fn record(&mut self, fact: &RunFact, now: i64, printed: &Printed<'_>) -> u64 {
        match fact {
            RunFact::Created(_) | RunFact::Restored(_) | RunFact::Noted(_) => {}
            RunFact::Deleted => unreachable!("the model forgets it"),
            RunFact::Started => {
                assert_eq!(self.state, "queued");
                self.state = "running";
            }
            RunFact::Stopped(_) => {
                assert!(!self.is_stopped && matches!(self.state, "queued" | "running"));
                self.is_stopped = true;
                for task in &mut self.tasks {
                    assert!(!task.is_poked, "put on record before");
                    if matches!(task.state, State::None | State::Retry | State::Waiting) {
                        task.state = State::Skipped;
                    }
                }
            }
            RunFact::Ended { success } => self.end(*success),
            RunFact::Cleared(tasks) => {
                assert!(!self.is_stopped);
                for task_id in tasks {
                    let index = self.dag.find(task_id).unwrap();
                    let task = &mut self.tasks[index.get()];
                    assert!(!task.is_poked, "put on record before");
                    task.poking_since = None;
                    // An attempt that runs is stopped and does not count.
                    task.tries_left = self.dag.task(index).retries;
                    task.is_cleared = task.state == State::Running;
                    task.ending = None;
                    if !task.is_cleared {
                        task.tries_left += 1;
                        task.state = State::None;
                        (task.xcom, task.choice) = (None, None);
                    }
                }
                if self.state != "running" {
                    self.state = "queued";
                }
            }
            RunFact::Task(task_id, fact) => {
                let index = self.dag.find(task_id).expect("I15: a task of its version");
                if let TaskFact::Marked(_) | TaskFact::Ending(_) = fact {
                    assert!(!self.is_stopped, "`{task_id}` of a run that is stopping");
                    if self.state != "running" {
                        self.state = "queued";
                    }
                }
                return self.task(index, fact, now, printed);
            }
        }
        0
    }

    fn end(&mut self, success: bool) {
        assert!(matches!(self.state, "queued" | "running"));
        let states: Vec<_> = self.tasks.iter().map(|task| task.state).collect();
        assert!(
            states.iter().all(|state| state.is_final()),
            "ends early: {states:?}"
        );
        let is_leaf = |index: &usize| self.dag.tasks()[*index].downstream.is_empty();
        let mut leaves = (0..states.len()).filter(is_leaf);
        let has_failed =
            leaves.any(|leaf| matches!(states[leaf], State::Failed | State::UpstreamFailed));
        assert_eq!(success, !has_failed && !self.is_stopped, "{states:?}");
        self.state = if success { "success" } else { "failed" };
        self.is_stopped = false;
    }

    #[expect(clippy::too_many_lines, reason = "one table")]
    fn task(&mut self, index: TaskIndex, fact: &TaskFact, now: i64, printed: &Printed<'_>) -> u64 {
        let definition = self.dag.task(index);
        let upstream = definition.upstream.iter();
        let states: Vec<_> = upstream.map(|task| self.tasks[task.get()].state).collect();
        let told = if self.is_left_out(index) {
            "skipped"
        } else {
            verdict(definition.trigger_rule, &states)
        };
        if let TaskFact::Ended {
            try_number,
            state,
            attempt,
            choice,
        } = fact
            && definition.operator.trigger().is_none()
        {
            let printed = printed(index, *try_number);
            self.check_left(index, (*state, attempt), choice.as_ref(), printed);
        }
        let task_id = &definition.task_id;
        let task = &mut self.tasks[index.get()];
        let is_waiting = task.state == State::Waiting;
        let has_not_begun = matches!(task.state, State::None | State::Retry) || is_waiting;
        let has_given_up = task.has_given_up(definition, now);
        match fact {
            TaskFact::Started { try_number } => {
                if is_waiting {
                    assert!(task.is_poked, "I7: put on record, but not live");
                    assert_eq!(*try_number, task.try_number, "I7: the same try");
                    (task.state, task.is_poked) = (State::Running, false);
                    return 0;
                }
                let may_start = self.state == "running" && !self.is_stopped;
                assert!(may_start, "a task of no running run");
                assert_eq!(told, "RUN", "I3: `{task_id}` starts too early");
                assert!(has_not_begun, "I8: `{task_id}` is {:?}", task.state);
                assert_eq!(*try_number, task.try_number + 1, "I7: one by one");
                task.try_number += 1;
                assert!(task.tries_left > 0, "I7: too many tries of `{task_id}`");
                task.tries_left -= 1;
                if definition.poke.is_some() {
                    task.poking_since.get_or_insert(now);
                }
                (task.xcom, task.choice) = (None, None);
                task.waits_over_a_crash = false;
                if definition.operator.trigger().is_some() {
                    task.state = State::Waiting;
                    return 0;
                }
                task.state = State::Running;
                return 1;
            }
            TaskFact::Ended {
                try_number,
                state,
                attempt,
                choice,
            } => {
                task.xcom = attempt.xcom.as_deref().map(mini_dag::Value::to_text);
                task.choice.clone_from(choice);
                let is_live = task.state == State::Running || is_waiting;
                assert!(is_live && *try_number == task.try_number, "I8: `{task_id}`");
                task.is_poked = false;
                let is_again = *state == Ended::Interrupted || self.is_stopped;
                assert!(
                    !std::mem::take(&mut task.is_cleared) || is_again,
                    "`{task_id}`: a clear is lost"
                );
                if let Some(mark) = task.ending.take().filter(|_| !self.is_stopped) {
                    assert_eq!(attempt.stopped, Some(StopCause::Marked));
                    let is_said = TaskState::from(*state) == TaskState::from(mark);
                    assert!(is_said, "`{task_id}`: a mark is lost");
                    task.poking_since = None;
                    task.state = marked(mark);
                    return 0;
                }
                let gives_up = *state == Ended::Failed && !self.is_stopped;
                if gives_up && definition.poke.is_some() {
                    let is_last = task.tries_left == 0 || has_given_up;
                    assert!(is_last, "`{task_id}` gives up early");
                }
                task.state = match state {
                    Ended::Success => State::Success,
                    Ended::Failed => State::Failed,
                    Ended::Skipped => State::Skipped,
                    Ended::UpForRetry(_) => State::Retry,
                    Ended::Rescheduled => {
                        let every = definition.poke.expect("a poke").every;
                        task.rests_until = now + i64::try_from(every.as_millis()).unwrap();
                        State::Waiting
                    }
                    Ended::Interrupted => {
                        task.tries_left += 1;
                        State::None
                    }
                };
            }
            TaskFact::Marked(mark) => task.mark(*mark),
            TaskFact::Ending(mark) => task.end_as(*mark),
            TaskFact::Noted(_) => {}
            TaskFact::Settled(state) => {
                let soft_fail = definition.poke.is_some_and(|poke| poke.soft_fail);
                let (expected, state) = match state {
                    Settled::Failed | Settled::Skipped if has_given_up => {
                        assert_eq!(soft_fail, *state == Settled::Skipped);
                        (told, TaskState::from(*state).into())
                    }
                    Settled::Failed => panic!("`{task_id}` gives up early"),
                    Settled::Success => ("RUN", State::Success),
                    Settled::Skipped => ("skipped", State::Skipped),
                    Settled::UpstreamFailed => ("upstream_failed", State::UpstreamFailed),
                };
                assert_eq!(told, expected, "I3: `{task_id}` is settled wrongly");
                assert!(
                    has_not_begun && !task.is_poked,
                    "I8: `{task_id}` is {:?}",
                    task.state
                );
                task.state = state;
            }
        }
        0
    }
}
