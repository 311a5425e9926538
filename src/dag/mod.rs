//! What a DAG is: its tasks, their order, and what each of them does.
//!
//! A [`Dag`] is always checked: ids are unique and well formed, every upstream exists, there is no
//! cycle. Nothing downstream checks again. There are two ways to one: the builder ([`Dag::new`]) and
//! the JSON loader ([`load`]); both end in the same check.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod build;
pub(crate) mod check;
mod date;
pub mod diagnostic;
mod draft;
mod facts;
pub mod function;
mod graph;
mod hook;
pub mod json;
pub mod keys;
mod layout;
pub(crate) mod load;
mod map;
mod order;
mod param;
mod pool;
pub(crate) mod report;
#[cfg(feature = "manual")]
pub mod schema;
pub(crate) mod shape;
pub mod suggest;
mod template;
pub mod trigger_rule;
mod value;
mod weight;
mod width;
mod xcoms;

pub use build::{DagBuilder, HookBuilder, TaskHandle, Tasks};
pub use date::{Moment, StartDate};
pub use diagnostic::Diagnostic;
pub use facts::RunFacts;
pub use function::{CallFn, Context, Functions, Outcome};
pub use hook::{HOOK_FIELDS, Hook, HookFacts, HookKind, Hooks};
pub use layout::{LANE, Layout, Point, layout};
pub use load::{DAG_FILE_BYTES_MAX, Known, load};
pub use map::map_of;
pub use param::{PARAMS_BYTES_MAX, Param};
pub use pool::{DEFAULT_POOL, POOLS_MAX, Pools};
pub use template::{Template, TemplateValue};
pub use trigger_rule::TriggerRule;
pub use value::{Quoted, Value};
pub use weight::WeightRule;

use crate::timetable::{Schedule, Zone};

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
    /// When it is due; `None` is only by hand.
    pub schedule: Option<Schedule>,
    /// The zone of its schedule and its dates; the host's if there is none.
    pub timezone: Option<Zone>,
    /// What a scheduled run is named after.
    pub timetable: TimetableKind,
    /// Nothing is due before, inclusive.
    pub start_date: Option<StartDate>,
    /// Nothing is due after, inclusive.
    pub end_date: Option<Moment>,
    /// Which missed runs are made up for.
    pub catchup: Catchup,
    /// What happens when it is due while `max_active_runs` are active.
    pub overlap: Overlap,
    /// Whether it waits to be unpaused when it is first seen.
    pub is_paused_upon_creation: bool,
    /// What `{{ params.x }}` stands for unless a trigger says otherwise.
    pub params: BTreeMap<String, Param>,
    /// Added to every task's environment. Values are templates.
    pub env: Vec<(String, Template)>,
    /// Variables of every task's environment, and the names of the secrets that they hold.
    pub secrets: Vec<(String, String)>,
    /// What is done about its runs, and about each retry.
    pub hooks: Hooks,
    /// What is done about a task that says nothing of that itself.
    pub task_hooks: Hooks,
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
    /// The functions of its `call` tasks that came with it from the builder.
    pub functions: Functions,
    /// A task of it waits for the run before.
    pub looks_back: bool,
    pub(crate) tasks: Vec<Task>,
    /// Task indices, ordered by task id.
    pub(crate) by_id: Vec<TaskIndex>,
}

/// By identity: every load makes another version, even of the same text.
impl PartialEq for Dag {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Dag {
    /// Begins a DAG in Rust; [`DagBuilder::finish`] ends it.
    #[expect(
        clippy::new_ret_no_self,
        reason = "reads as in Airflow, and a Dag is always checked"
    )]
    pub fn new(dag_id: &str) -> DagBuilder {
        DagBuilder::new(dag_id)
    }

    /// All tasks, in the order they were written.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The task at an index of this DAG.
    pub fn task(&self, index: TaskIndex) -> &Task {
        &self.tasks[index.get()]
    }

    /// The indices of all tasks, in the order they were written.
    pub fn indices(&self) -> impl Iterator<Item = TaskIndex> + use<> {
        (0..self.tasks.len()).map(TaskIndex::new)
    }

    /// The task with an id.
    pub fn find(&self, task_id: &str) -> Option<TaskIndex> {
        self.by_id
            .binary_search_by(|index| (*self.task(*index).task_id).cmp(task_id))
            .ok()
            .map(|found| self.by_id[found])
    }

    /// The params of a run that was given these.
    pub fn params_of(&self, given: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        param::effective(&self.params, given)
    }

    /// Why a run cannot be given these params, for people.
    pub fn check_params(&self, given: &BTreeMap<String, Value>) -> Result<(), String> {
        param::check_given(&self.params, given)
    }

    /// The tasks that wait for no other.
    pub fn roots(&self) -> impl Iterator<Item = TaskIndex> {
        self.indices()
            .filter(|index| self.task(*index).upstream.is_empty())
    }

    /// The tasks that no other waits for: a run's state is theirs.
    pub fn leaves(&self) -> impl Iterator<Item = TaskIndex> {
        self.indices()
            .filter(|index| self.task(*index).downstream.is_empty())
    }

    /// All tasks, each after what it waits for; otherwise as they were written.
    pub fn topological_order(&self) -> Vec<TaskIndex> {
        graph::sort(&self.tasks).order
    }

    /// Everything that comes after these tasks, and they themselves; ascending.
    pub fn from_here(&self, tasks: &[TaskIndex]) -> Vec<TaskIndex> {
        let mut found = tasks.to_vec();
        let mut seen = vec![false; self.tasks.len()];
        for task in tasks {
            seen[task.get()] = true;
        }
        let mut at = 0;
        while let Some(task) = found.get(at).copied() {
            at += 1;
            for next in &self.task(task).downstream {
                if !std::mem::replace(&mut seen[next.get()], true) {
                    found.push(*next);
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// This DAG with only these tasks, as if it had never had the others: nobody waits for what is not there,
    /// and a branch that has lost a task of its choice chooses no more.
    pub fn only(&self, tasks: &[TaskIndex]) -> Self {
        let mut place = vec![None; self.tasks.len()];
        let mut kept: Vec<TaskIndex> = tasks.to_vec();
        kept.sort_unstable();
        kept.dedup();
        for (index, task) in kept.iter().enumerate() {
            place[task.get()] = Some(TaskIndex::new(index));
        }
        let there = |tasks: &[TaskIndex]| -> Vec<TaskIndex> {
            tasks.iter().filter_map(|task| place[task.get()]).collect()
        };
        let mut dag = self.clone();
        let cut = |index: &TaskIndex| {
            let mut task = self.task(*index).clone();
            let downstream = there(&task.downstream);
            task.branch &= downstream.len() == task.downstream.len();
            task.downstream = downstream;
            task.upstream = there(&task.upstream);
            task.xcoms = there(&task.xcoms);
            task
        };
        dag.tasks = kept.iter().map(cut).collect();
        dag.by_id = there(&self.by_id);
        dag
    }

    /// The function of a `call` task: the DAG's own, else the program's.
    pub fn function<'a>(&'a self, task: &Task, known: &'a Functions) -> Option<&'a CallFn> {
        match &task.operator {
            Operator::Call { function, .. } => {
                self.functions.get(function).or_else(|| known.get(function))
            }
            Operator::Bash(_)
            | Operator::Argv(_)
            | Operator::Http(_)
            | Operator::Trigger(_)
            | Operator::Empty => None,
        }
    }
}

/// What a scheduled run is named after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimetableKind {
    /// The moment it is due, as in Airflow 3.
    #[default]
    Trigger,
    /// The beginning of its data interval, as in Airflow 2.
    Interval,
}

/// Which missed runs are made up for: after downtime, after unpausing, or with a start date in the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Catchup {
    /// The latest.
    #[default]
    Latest,
    /// Every one, oldest first.
    All,
    /// This many of the latest, oldest first. At least 1.
    AtMost(u32),
    /// None.
    None,
}

/// What happens when a DAG is due while `max_active_runs` are active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It waits, as missed runs do.
    #[default]
    Queue,
    /// It is passed over, with a record.
    Skip,
    /// The oldest active run is cancelled first.
    Cancel,
}

/// One task of a checked DAG.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key that a task has or has not"
)]
pub struct Task {
    /// Unique in its DAG; the same alphabet as a `dag_id`.
    pub task_id: Arc<str>,
    /// What it does.
    pub operator: Operator,
    /// The tasks that it waits for, ascending and without repetition.
    pub upstream: Vec<TaskIndex>,
    /// The tasks that wait for it, ascending and without repetition.
    pub downstream: Vec<TaskIndex>,
    /// Which ends of its upstreams let it run.
    pub trigger_rule: TriggerRule,
    /// How often a failed attempt is repeated; `retries + 1` attempts in all.
    pub retries: u32,
    /// The pause between a failed attempt and the next.
    pub retry_delay: Duration,
    /// Whether the pause doubles with each attempt.
    pub retry_exponential_backoff: bool,
    /// The longest that the pause grows to.
    pub max_retry_delay: Duration,
    /// An attempt that runs for longer is stopped and has failed.
    pub timeout: Option<Duration>,
    /// An attempt that does not succeed is repeated until one does.
    pub poke: Option<Poke>,
    /// Added to the DAG's `env`, and wins over it.
    pub env: Vec<(String, Template)>,
    /// The working directory; the DAG's, else the home directory, if there is none.
    pub cwd: Option<Template>,
    /// The pool whose slots an attempt takes.
    pub pool: Arc<str>,
    /// How many slots it takes. At least 1.
    pub pool_slots: u32,
    /// It waits for the same task of the run before.
    pub depends_on_past: bool,
    /// And for what comes directly after that.
    pub wait_for_downstream: bool,
    /// Its share in its own weight, and in that of others.
    pub priority: i32,
    /// Whose priorities make its weight.
    pub weight_rule: WeightRule,
    /// Of the tasks that wait for a slot, the one with the highest weight goes first.
    pub weight: i64,
    /// The exit code that means "skipped"; 99 unless set.
    pub skip_on_exit_code: Option<i32>,
    /// The most bytes of output that are kept of one attempt.
    pub output_bytes_max: u64,
    /// The most memory that the processes of an attempt may have together, where that can be enforced.
    pub memory_bytes_max: Option<u64>,
    /// The most CPU time that a process of an attempt may take.
    pub cpu_time_max: Option<Duration>,
    /// How much an attempt stands back for others: -20 to 19.
    pub nice: i32,
    /// Variables of its environment, and the secrets that they hold; over those of all tasks.
    pub secrets: Vec<(String, String)>,
    /// Whether what it leaves for other tasks is kept.
    pub xcom: bool,
    /// Whether a template of another task names its XCom: one that cannot be kept fails the attempt.
    pub is_xcom_wanted: bool,
    /// The tasks whose XComs it is handed: its upstreams, and those that its templates name; ascending.
    pub xcoms: Vec<TaskIndex>,
    /// Whether its XCom names the tasks after it that go on.
    pub branch: bool,
    /// Whether nothing after it goes on when it has nothing to do.
    pub short_circuit: bool,
    /// What is done about its ends; over the DAG's `task_hooks`.
    pub hooks: Hooks,
    /// Markdown for the task's page.
    pub doc: String,
}

impl Task {
    /// Whether it waits for the run before; `wait_for_downstream` implies that it depends on the past.
    pub fn looks_back(&self) -> bool {
        self.depends_on_past || self.wait_for_downstream
    }
}

/// How a task is run again until it exits with 0: what Airflow calls a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poke {
    /// From the end of one poke to the next. Not zero.
    pub every: Duration,
    /// From the first poke, over all tries, to the end: a failure that is not tried again. Not zero.
    pub timeout: Duration,
    /// That end is a skip instead.
    pub soft_fail: bool,
}

/// Airflow's.
impl Default for Poke {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            timeout: Duration::from_secs(7 * 24 * 60 * 60),
            soft_fail: false,
        }
    }
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
    /// A run of another DAG. No process, and no slot.
    Trigger(TriggerDag),
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
            Self::Trigger(_) => "TriggerDagRunOperator",
            Self::Empty => "EmptyOperator",
        }
    }

    /// The run of another DAG that it starts, if it does that.
    pub fn trigger(&self) -> Option<&TriggerDag> {
        match self {
            Self::Trigger(trigger) => Some(trigger),
            Self::Bash(_) | Self::Argv(_) | Self::Http(_) | Self::Call { .. } | Self::Empty => None,
        }
    }
}

/// A run of another DAG, as a task.
#[derive(Clone, Debug)]
pub struct TriggerDag {
    /// The other DAG; or this one.
    pub dag_id: Arc<str>,
    /// What the run is given, rendered. An object.
    pub params: TemplateValue,
    /// Whether the task ends when that run does, and as well as it.
    pub wait: bool,
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
