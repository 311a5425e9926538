//! Compiled-in functions: what a `call` task gets and what it may answer.
//!
//! A function never runs in the daemon: the binary executes itself as a worker for one task, so that
//! a function has a timeout, an output file and an exit status like any other task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Value;
use crate::timetable::Timestamp;

/// Why a function failed. `?` works on any error; its chain of sources is written to the task's log.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a function returns.
pub type Result<T = Outcome, E = Error> = std::result::Result<T, E>;

/// A compiled-in function. What it prints goes to the task's log.
pub type CallFn = Arc<dyn Fn(&Context) -> Result + Send + Sync>;

/// What a function knows of the attempt it is.
#[derive(Clone, Debug)]
pub struct Context {
    /// The DAG.
    pub dag_id: String,
    /// The run.
    pub run_id: String,
    /// The task.
    pub task_id: String,
    /// The attempt, from 1.
    pub try_number: u32,
    /// What the run is named after: the moment it was due or triggered.
    pub logical_date: Timestamp,
    /// The time that this run is about.
    pub data_interval: Option<(Timestamp, Timestamp)>,
    /// The run's parameters.
    pub params: BTreeMap<String, Value>,
    /// The task's `args`, rendered.
    pub args: BTreeMap<String, Value>,
    /// What the tasks before it have left: those directly upstream, and those that its `args` name.
    pub xcoms: BTreeMap<String, Value>,
    /// The end of the data interval of the last successful run before this one.
    pub prev_data_interval_end_success: Option<Timestamp>,
    /// The task's `timeout`, counted from the start of the attempt.
    pub timeout: Option<Duration>,
    /// When that is over, in milliseconds from the boot of the host, as `CLOCK_BOOTTIME` counts them;
    /// [`Context::time_left`] looks at the clock.
    pub deadline_ms: Option<u64>,
}

/// How a function that did not fail ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Success. The last line printed is the XCom, if it is a text.
    Done,
    /// Success, and this is the XCom.
    Value(Value),
    /// Nothing to do: skip, and what depends on it by rule; with `short_circuit`, everything after it.
    Skip,
    /// Success of a task with `branch`: of the tasks directly after it, these go on.
    Branch(Vec<String>),
}

/// Compiled-in functions by name: what a DAG file's `call` may name.
#[derive(Clone, Default)]
pub struct Functions(BTreeMap<String, CallFn>);

impl Functions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// These, and `function` under `name`; the later of two with one name counts.
    #[must_use]
    pub fn with<F>(mut self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(&Context) -> Result + Send + Sync + 'static,
    {
        self.insert(name.into(), Arc::new(function));
        self
    }

    pub(super) fn insert(&mut self, name: String, function: CallFn) {
        self.0.insert(name, function);
    }

    /// The function listed under a name.
    pub fn get(&self, name: &str) -> Option<&CallFn> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
