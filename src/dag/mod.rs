//! What a DAG is: its tasks, their order, and what each of them does.
//!
//! A [`Dag`] is always checked: ids are unique and well formed, every upstream exists, there is no
//! cycle. Nothing downstream checks again. There are two ways to one: the builder ([`Dag::new`]) and
//! the JSON loader ([`load`]); both end in the same check.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub mod diagnostic;
pub mod function;
pub mod json;
mod template;
mod value;
mod width;

pub use function::{CallFn, Context, Outcome};
pub use template::{Template, TemplateValue};
pub use value::Value;

/// The most tasks one DAG may have.
pub const TASKS_MAX: usize = 10_000;
/// The most dependencies one DAG may have: `[…] >> […]` multiplies, memory must not.
pub const DEPENDENCIES_MAX: usize = 100_000;
/// The longest `dag_id` or `task_id`, in bytes.
pub const ID_BYTES_MAX: usize = 250;

/// The place of a task in [`Dag::tasks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIndex(u32);

impl TaskIndex {
    /// The index of the `index`-th task; at most [`TASKS_MAX`] exist.
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("a DAG has at most TASKS_MAX tasks"))
    }

    /// For indexing slices that run parallel to [`Dag::tasks`].
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// A checked DAG. It never changes; a reload makes a new one, and a run keeps the one it began with.
#[derive(Clone, Debug)]
pub struct Dag {
    /// Unique among all DAGs: `[A-Za-z0-9_.-]`, 1 to [`ID_BYTES_MAX`] bytes, no leading dot.
    pub dag_id: Arc<str>,
    /// One line for lists.
    pub description: String,
    /// Markdown for the DAG's page.
    pub doc: String,
    /// Who answers for it.
    pub owner: String,
    /// Labels to filter by.
    pub tags: Vec<String>,
    /// What `{{ params.x }}` stands for unless a trigger says otherwise.
    pub params: BTreeMap<String, Value>,
    /// Added to every task's environment. Values are templates.
    pub env: Vec<(String, Template)>,
    /// The working directory of every task without its own.
    pub cwd: Option<Template>,
    /// Runs that may be active at once; further ones wait in `queued`. At least 1.
    pub max_active_runs: u32,
    /// Task instances of this DAG that may run at once, over all runs; `None` is as many as the pool has slots.
    pub max_active_tasks: Option<u32>,
    /// A run that is active for longer fails.
    pub run_timeout: Option<Duration>,
    /// Where the DAG comes from: the path of its file, or `None` when it is compiled in.
    pub source: Option<std::path::PathBuf>,
    pub(crate) tasks: Vec<Task>,
    /// Task indices, ordered by task id.
    pub(crate) by_id: Vec<TaskIndex>,
}

/// One task of a checked DAG.
#[derive(Clone, Debug)]
pub struct Task {
    /// Unique in its DAG; the same alphabet as a `dag_id`.
    pub task_id: Arc<str>,
    /// What it does.
    pub operator: Operator,
    /// The tasks that it waits for, ascending and without repetition.
    pub upstream: Vec<TaskIndex>,
    /// The tasks that wait for it, ascending and without repetition.
    pub downstream: Vec<TaskIndex>,
    /// How often a failed attempt is repeated; `retries + 1` attempts in all.
    pub retries: u32,
    /// The pause between a failed attempt and the next.
    pub retry_delay: Duration,
    /// An attempt that runs for longer is stopped and has failed.
    pub timeout: Option<Duration>,
    /// Added to the DAG's `env`, and wins over it.
    pub env: Vec<(String, Template)>,
    /// The working directory; the DAG's, else the home directory, if there is none.
    pub cwd: Option<Template>,
    /// The exit code that means "skip what depends on me"; 99 unless set.
    pub skip_on_exit_code: Option<i32>,
    /// The most bytes of output that are kept of one attempt.
    pub output_bytes_max: u64,
    /// Markdown for the task's page.
    pub doc: String,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum Operator {
    /// A script for `/bin/bash -c`, or `/bin/sh -c` where there is no bash.
    Bash(Template),
    /// A program and its arguments, without a shell. Never empty.
    Argv(Vec<Template>),
    /// One HTTP request.
    Http(Http),
    /// A compiled-in function, run in a process of its own.
    Call {
        /// The name it is listed under, for people and for the worker that looks it up.
        function: String,
        /// Handed to the function, rendered. An object.
        args: TemplateValue,
    },
    /// Nothing: a name to hang dependencies on.
    Empty,
}

impl Operator {
    /// The name Airflow's API would show.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bash(_) => "BashOperator",
            Self::Argv(_) => "ArgvOperator",
            Self::Http(_) => "HttpOperator",
            Self::Call { .. } => "CallOperator",
            Self::Empty => "EmptyOperator",
        }
    }
}

/// One HTTP request, as a task.
#[derive(Clone, Debug)]
pub struct Http {
    /// Absolute, `http` or `https`.
    pub url: Template,
    /// `GET` unless set.
    pub method: String,
    /// In the order given.
    pub headers: Vec<(String, Template)>,
    /// What is sent.
    pub body: HttpBody,
    /// Where the answer's body goes; to the task's output unless set.
    pub save_to: Option<Template>,
    /// Status codes that are a success; empty means 200 to 299.
    pub expect_status: Vec<u16>,
    /// The whole exchange, with redirects.
    pub timeout: Duration,
    /// A longer answer fails the task.
    pub bytes_max: u64,
}

/// The body of an HTTP request.
#[derive(Clone, Debug)]
pub enum HttpBody {
    /// No body.
    None,
    /// Text, sent as it is.
    Text(Template),
    /// Sent as JSON, with its `Content-Type`.
    Json(TemplateValue),
}
