//! Runs that tasks trigger, told a second time: an attempt triggers one run, also across crashes; its task ends as
//! well as that run does, if it waits for it; and whoever waits holds no process and no slot.
//!
//! What a run is given follows from numbers alone: from that of the DAG and that of the task that triggers it.

use mini_dag::dag::{Dag, TaskHandle, TaskIndex, TriggerDag, Value};
use mini_dag::scheduler::{
    Attempt, Ended, Exit, Fact, Parent, Record, RunFact, RunFacts, RunNumber, RunType, StopCause,
    TaskFact,
};
use std::collections::{BTreeMap, BTreeSet};

use crate::model::Model;
use crate::rules::State;

/// How many runs may come of each other.
const DEPTH_MAX: u32 = 16;

/// A run, its task, and the try.
type Attempted = (RunNumber, String, u32);

pub struct Child {
    pub number: RunNumber,
    dag_id: String,
    run_id: String,
    parent_dag_id: String,
}

/// What has to be the next record.
#[derive(Default)]
pub enum Next {
    #[default]
    Anything,
    /// The beginning of the attempt that has just triggered a run.
    Begins(RunNumber, String),
    /// The end of an attempt that waits for nothing, or was refused for one of these reasons.
    Ends(RunNumber, String, Vec<&'static str>),
}

#[derive(Default)]
pub struct Children {
    pub by_attempt: BTreeMap<Attempted, Child>,
    deleted: BTreeSet<RunNumber>,
    pub next: Next,
}

impl Children {
    fn insert(&mut self, record: &Record, number: RunNumber, facts: &RunFacts, parent: &Parent) {
        let attempted = (parent.run, parent.task_id.to_string(), parent.try_number);
        let child = Child {
            number,
            dag_id: record.dag_id.to_string(),
            run_id: facts.run_id.to_string(),
            parent_dag_id: parent.dag_id.to_string(),
        };
        let twin = self.by_attempt.insert(attempted, child);
        // Another version of the DAG triggers another one: what the first has triggered is not looked for there.
        let is_other = twin.is_none_or(|twin| *twin.dag_id != *record.dag_id);
        assert!(is_other, "I7: {parent:?} has triggered two runs");
    }

    /// What is on record, of whatever DAG.
    pub fn of(log: &[Record]) -> Self {
        let mut children = Self::default();
        for record in log {
            match &record.fact {
                Fact::Run(number, RunFact::Created(facts)) => {
                    if let Some(parent) = facts.parent() {
                        children.insert(record, *number, facts, parent);
                    }
                }
                Fact::Run(number, RunFact::Deleted) => _ = children.deleted.insert(*number),
                Fact::Run(..)
                | Fact::Seen { .. }
                | Fact::Paused(_)
                | Fact::Skipped { .. }
                | Fact::Rewound { .. }
                | Fact::Passed(_)
                | Fact::Backfill(..)
                | Fact::Restored { .. } => {}
            }
        }
        children
    }
}

/// Gives the run that the `n`-th task of a DAG triggers what it gives it.
pub fn give(task: TaskHandle<'_>, number: usize, n: usize) -> TaskHandle<'_> {
    match (number + n) % 4 {
        0 => task,
        1 => task.param("n", 5),
        2 => task.param("n", "{{ params.n }}"),
        _ => task.param("n", "x"),
    }
}

fn is_given(run: &crate::runs::Run, index: TaskIndex) -> BTreeMap<String, Value> {
    let number = |id: &str| id[id.len() - 1..].parse::<usize>().expect("a number");
    let task_id = &run.dag.task(index).task_id;
    let n = match (number(&run.dag.dag_id) + number(task_id)) % 4 {
        0 => return BTreeMap::new(),
        1 => 5.into(),
        2 => own(&run.dag, &run.given),
        _ => "x".into(),
    };
    BTreeMap::from([("n".to_owned(), n)])
}

/// What `n` of a run is.
fn own(dag: &Dag, given: &BTreeMap<String, Value>) -> Value {
    let default = || dag.params["n"].default.clone().expect("it has one");
    given.get("n").cloned().unwrap_or_else(default)
}

/// What a task triggers, if it does.
pub fn trigger(dag: &Dag, index: TaskIndex) -> Option<&TriggerDag> {
    dag.task(index).operator.trigger()
}

impl Model {
    /// A record, before anything of it is taken note of.
    pub fn check_children(&mut self, record: &Record, now: i64) {
        let next = std::mem::take(&mut self.children.next);
        let told = if let Fact::Run(number, RunFact::Task(task_id, fact)) = &record.fact {
            Some((*number, &**task_id, fact))
        } else {
            None
        };
        let mut reasons = Vec::new();
        let is_fresh = matches!(next, Next::Begins(..));
        match next {
            Next::Anything => {}
            Next::Begins(number, task_id) => {
                let is_it = matches!(told, Some((of, id, TaskFact::Started { .. }))
                    if of == number && *id == task_id);
                assert!(is_it, "`{task_id}` of {number:?} has triggered a run only");
            }
            Next::Ends(number, task_id, why) => {
                let is_it = matches!(told, Some((of, id, TaskFact::Ended { .. }))
                    if of == number && *id == task_id);
                assert!(is_it, "`{task_id}` of {number:?} has nothing to wait for");
                reasons = why;
            }
        }
        match &record.fact {
            Fact::Run(number, RunFact::Created(facts)) => {
                if let Some(parent) = facts.parent() {
                    self.check_creation(record, facts, parent, now);
                    self.children.insert(record, *number, facts, parent);
                }
            }
            Fact::Run(number, RunFact::Deleted) => {
                let is_child = self.runs[number].depth > 0;
                if is_child {
                    self.tally.count("child: deleted");
                }
                self.children.deleted.insert(*number);
            }
            Fact::Run(number, RunFact::Task(task_id, fact)) => {
                let dag = self.runs[number].dag.clone();
                let index = dag.find(task_id).expect("one of its tasks");
                let Some(trigger) = trigger(&dag, index) else {
                    return;
                };
                match fact {
                    TaskFact::Started { try_number } => {
                        self.check_beginning((*number, index), trigger, *try_number, is_fresh);
                    }
                    TaskFact::Ended {
                        try_number,
                        state,
                        attempt,
                        choice,
                    } => {
                        assert_eq!(*choice, None);
                        let id = (*number, task_id.to_string(), *try_number);
                        self.check_ending(&id, index, trigger, (*state, attempt), &reasons);
                    }
                    TaskFact::Settled(_)
                    | TaskFact::Marked(_)
                    | TaskFact::Ending(_)
                    | TaskFact::Noted(_) => {}
                }
            }
            Fact::Run(number, RunFact::Stopped(_)) => {
                if self.runs[number].depth > 0 {
                    self.tally.count("child: stopped");
                }
                if self.waiting(*number).next().is_some() {
                    self.tally.count("wait: stopped with its run");
                }
            }
            Fact::Run(number, RunFact::Cleared(_)) => {
                if self.runs[number].depth > 0 {
                    self.tally.count("child: cleared");
                }
            }
            Fact::Run(..)
            | Fact::Seen { .. }
            | Fact::Paused(_)
            | Fact::Skipped { .. }
            | Fact::Rewound { .. }
            | Fact::Passed(_)
            | Fact::Backfill(..)
            | Fact::Restored { .. } => {}
        }
    }

    fn check_creation(&mut self, record: &Record, facts: &RunFacts, parent: &Parent, now: i64) {
        let run = self.runs.get(&parent.run).expect("its parent is known");
        let (index, task_id) = (run.dag.find(&parent.task_id).unwrap(), &parent.task_id);
        let target = &trigger(&run.dag, index).expect("it triggers").dag_id;
        let try_number = run.tasks[index.get()].try_number + 1;
        assert_eq!(parent.dag_id, run.dag.dag_id);
        assert_eq!((target, try_number), (&record.dag_id, parent.try_number));
        assert_eq!(parent.depth, run.depth + 1, "{parent:?}");
        assert_eq!(facts.run_type, RunType::Manual);
        assert_eq!(facts.logical_date.secs(), now.div_euclid(1_000));
        let (date, run_number) = (run.logical_date, parent.run.0);
        let run_id = format!("manual__{date}__{run_number}.{task_id}.{try_number}");
        assert_eq!(*facts.run_id, *run_id);
        assert_eq!(facts.params, is_given(run, index), "`{run_id}`");
        let waits = self.waits_for_past(parent.run, index) && !self.has_just_forgotten(parent.run);
        assert!(!waits, "`{run_id}` is triggered before the past has ended");
        let refused = self.refusals(parent.run, index);
        assert_eq!(refused, [""; 0], "`{run_id}` is created all the same");
        self.children.next = Next::Begins(parent.run, task_id.to_string());
    }

    /// Why a task cannot trigger its run, of what has nothing to do with waiting.
    fn refusals(&self, number: RunNumber, index: TaskIndex) -> Vec<&'static str> {
        let run = &self.runs[&number];
        let target = &trigger(&run.dag, index).expect("it triggers").dag_id;
        let mut refusals = Vec::new();
        if run.depth >= DEPTH_MAX {
            refusals.push("runs have triggered each other");
        }
        let Some(due) = self.dues.get(&**target).filter(|due| !due.is_removed) else {
            refusals.push("there is no DAG");
            return refusals;
        };
        let n = is_given(run, index).remove("n");
        let is_a_text = matches!(n, Some(Value::String(_)));
        if due.version.is_picky && is_a_text {
            refusals.push("param `n` must be integer");
        }
        refusals
    }

    /// An attempt of a task that triggers a run begins.
    fn check_beginning(
        &mut self,
        (number, index): (RunNumber, TaskIndex),
        trigger: &TriggerDag,
        try_number: u32,
        is_fresh: bool,
    ) {
        let run = &self.runs[&number];
        let task_id = run.dag.task(index).task_id.to_string();
        let what = format!("`{task_id}` of {number:?} triggers");
        assert!(self.is_recording, "I11: {what}");
        let is_paused = self.dues[&*run.dag.dag_id].is_paused;
        assert!(!is_paused || run.is_backfill, "I16: {what}");
        // Its own run may be the one before it, by the date.
        let waits = !is_fresh && self.waits_for_past(number, index);
        let waits = waits && !self.has_just_forgotten(number);
        assert!(!waits, "{what} before the past has ended");
        let attempted = (number, task_id.clone(), try_number);
        let now_ms = self.now_ms;
        let task = &mut self.runs.get_mut(&number).unwrap().tasks[index.get()];
        task.waits_since_ms = Some(now_ms);
        // One that was triggered before a crash is not found without the file of its DAG.
        let is_there = self.dues.contains_key(&*trigger.dag_id);
        let child = self.children.by_attempt.get(&attempted);
        let child = child.filter(|child| is_there && *child.dag_id == *trigger.dag_id);
        let Some(child) = child else {
            let mut why = self.refusals(number, index);
            if trigger.wait && self.would_wait_for_itself(number, &trigger.dag_id) {
                why.push("it would never");
            }
            assert!(!why.is_empty(), "{what} nothing, for no reason");
            self.children.next = Next::Ends(number, task_id, why);
            return;
        };
        self.tally.count(if trigger.wait {
            "wait: begins"
        } else {
            "child: on its own"
        });
        if *child.dag_id == *self.runs[&number].dag.dag_id {
            self.tally.count("child: of its own DAG");
        }
        // On record it comes before the attempt.
        if !is_fresh {
            self.tally.count("child: found after a crash");
        }
        if !trigger.wait {
            self.children.next = Next::Ends(number, task_id, Vec::new());
        }
    }

    /// And ends.
    fn check_ending(
        &mut self,
        id: &Attempted,
        index: TaskIndex,
        trigger: &TriggerDag,
        (state, attempt): (Ended, &Attempt),
        refusals: &[&'static str],
    ) {
        let (number, task_id, _) = id;
        let run = &self.runs[number];
        let task = &run.tasks[index.get()];
        // It was a process in another version of the DAG.
        if task.state == State::Running {
            return;
        }
        let what = format!("`{task_id}` of {number:?}");
        let definition = run.dag.task(index);
        let child = self.children.by_attempt.get(id);
        let of_child = child.and_then(|child| self.runs.get(&child.number));
        let child_state = of_child.map(|child| child.state);
        let xcom = attempt.xcom.as_deref().map(Value::to_text);
        if state == Ended::Success {
            let run_id = child.map(|child| child.run_id.clone());
            assert_eq!((xcom, &attempt.exit), (run_id, &Exit::Code(0)), "{what}");
            let is_good = !trigger.wait || child_state == Some("success");
            assert!(is_good, "{what}: its run is {child_state:?}");
            if trigger.wait {
                self.tally.count("wait: the run has succeeded");
            }
            return;
        }
        assert_eq!((xcom, &attempt.exit), (None, &Exit::Code(1)), "{what}");
        let is_last = task.tries_left == 0;
        assert_eq!(state == Ended::Failed, is_last, "I7: {what} is {state:?}");
        if attempt.stopped == Some(StopCause::TimedOut) {
            let timeout = definition.timeout.expect("it has a timeout").as_millis();
            // After a restart it goes on by the wall clock, whatever that showed before.
            let since = task.waits_since_ms.filter(|_| !task.waits_over_a_crash);
            let waited = since.map(|since| u128::from(self.now_ms - since));
            assert!(waited.is_none_or(|waited| waited >= timeout), "{what}");
            assert!(trigger.wait, "{what} waits for nothing");
            return self.tally.count("wait: timed out");
        }
        assert_eq!(attempt.stopped, None, "{what}");
        let why = attempt.reason.as_deref().expect("a reason");
        if let Some(refusal) = refusals.iter().find(|refusal| why.contains(**refusal)) {
            return self.tally.count(match *refusal {
                "there is no DAG" => "refused: no such DAG",
                "it would never" => "refused: would never end",
                "param `n` must be integer" => "refused: a param",
                _ => "refused: too many after each other",
            });
        }
        assert_eq!(refusals, [""; 0], "{what}: {why}");
        if why.contains("has failed") {
            assert_eq!(child_state, Some("failed"), "{what}");
            return self.tally.count("wait: the run has failed");
        }
        if why.contains("it would never") {
            let child = child.expect("it has triggered one").number;
            assert!(self.reaches(vec![child], *number), "{what}: {why}");
            return self.tally.count("wait: given up, it would never end");
        }
        assert!(why.contains("is not known any more"), "{what}: {why}");
        // Somebody has deleted it, or another version of the DAG triggers another one.
        let is_gone = child.is_none_or(|child| {
            self.children.deleted.contains(&child.number) || *child.dag_id != *trigger.dag_id
        });
        assert!(is_gone, "{what}: {why}");
        self.tally.count("wait: the run is gone");
    }

    /// Whether a DAG has runs that were triggered by one that is not there.
    pub fn has_orphans(&self, dag_id: &str) -> bool {
        let mut children = self.children.by_attempt.values();
        children.any(|it| it.dag_id == dag_id && !self.dues.contains_key(&it.parent_dag_id))
    }
}
