//! What the scheduler is told and what it decides: all of both, on one screen.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Limits;
use super::clock::ClockReport;
use super::image::RunImage;
use super::record::{
    Attempt, BackfillFacts, BackfillNumber, Mark, Record, RunFacts, RunNumber, RunType, StopReason,
};
use super::states::RunState;
use crate::dag::{Dag, Hook, HookKind, TaskIndex, Value};
use crate::timetable::Timestamp;

/// Time since some fixed moment on a clock that nobody sets, in milliseconds; it goes on while the host
/// sleeps. Durations run on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// This much later.
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The moment of an event, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What the wall clock shows: for names and for people.
    pub wall: Timestamp,
    /// For durations.
    pub monotonic: Monotonic,
}

/// One attempt at one task of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The run.
    pub run: RunNumber,
    /// The task.
    pub task: TaskIndex,
    /// From 1.
    pub try_number: u32,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// A deadline has passed, or nothing has: see what is due.
    Tick,
    /// Which boot of the host this is, by the kernel's id of it. Told once, before any DAG; without it,
    /// nothing is run for a boot.
    Booted(Arc<str>),
    /// A DAG, or a new version of one, is there.
    DagLoaded(Arc<Dag>),
    /// A DAG is there no more. Its runs go on to their end; nothing new begins.
    DagRemoved(Arc<str>),
    /// The process of an attempt ended, or was never started.
    Exited(AttemptId, Attempt),
    /// The process of an attempt is gone, or was never begun, and nobody can say how it ended: the
    /// attempt is interrupted, and does not count.
    Lost(AttemptId),
    /// This is what is known of the wall clock now; it was set, perhaps.
    Clock(ClockReport),
    /// From now on these bound the whole. What runs goes on, even if it is too much.
    Limits(Limits),
    /// Whether records can be written; while they cannot, nothing is started.
    Recording(bool),
    /// A finished run that is only history any more, and is wanted back so that it can be cleared. One
    /// that is there, that is not over, or of a DAG that nobody knows changes nothing.
    Recalled(Arc<str>, RunNumber, Box<RunImage>),
    /// Which dates of a backfill have runs: the answer to [`Action::Look`].
    Found(BackfillNumber, Vec<PastDate>),
    /// Somebody asks for something; the answer carries the number.
    Command(u64, Command),
    /// Start nothing more, and stop what runs.
    Shutdown,
}

/// What somebody can ask for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Create a run.
    Trigger(Trigger),
    /// Stop a run; it fails.
    Cancel {
        /// The DAG.
        dag_id: String,
        /// The run.
        run_id: String,
    },
    /// Run tasks again.
    Clear {
        /// The DAG.
        dag_id: String,
        /// The run.
        run_id: String,
        /// Which tasks.
        selection: Selection,
    },
    /// Say what task instances are, and let what follows from it happen.
    Mark {
        /// The DAG.
        dag_id: String,
        /// The run.
        run_id: String,
        /// These; all that are not so yet if there are none.
        tasks: Vec<String>,
        /// What they are.
        mark: Mark,
    },
    /// Write something about a run, or about a task instance.
    Note {
        /// The DAG.
        dag_id: String,
        /// The run.
        run_id: String,
        /// The task; none for the run.
        task_id: Option<String>,
        /// Empty takes back what was written.
        note: String,
    },
    /// Forget a run that is over.
    Delete {
        /// The DAG.
        dag_id: String,
        /// The run.
        run_id: String,
    },
    /// Pause or unpause a DAG.
    Pause {
        /// The DAG.
        dag_id: String,
        /// Which of both.
        is_paused: bool,
    },
    /// Run a DAG for the dates of a span that it was not run for.
    Backfill(NewBackfill),
    /// Pause, unpause or cancel a backfill.
    ChangeBackfill(BackfillNumber, BackfillChange),
}

/// A backfill to create.
#[derive(Clone, Debug)]
pub struct NewBackfill {
    /// The DAG.
    pub dag_id: String,
    /// The span, and how it is run.
    pub facts: BackfillFacts,
}

/// What somebody can do to a backfill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackfillChange {
    /// Nothing more of it starts; what runs goes on.
    Pause,
    /// It goes on.
    Unpause,
    /// It ends: what waits is stopped, what runs goes on.
    Cancel,
}

/// A run to create.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The DAG.
    pub dag_id: String,
    /// `manual__<logical date>` unless given.
    pub run_id: Option<String>,
    /// Who asks.
    pub run_type: RunType,
    /// Now, without the fraction of a second, unless given.
    pub logical_date: Option<Timestamp>,
    /// The last complete one of the schedule unless given.
    pub data_interval: Option<(Timestamp, Timestamp)>,
    /// Over the DAG's own.
    pub params: BTreeMap<String, Value>,
}

/// The tasks of a run that a clear is about.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "any of them goes with any other"
)]
pub struct Selection {
    /// These; all if there are none.
    pub tasks: Vec<String>,
    /// And everything before them.
    pub upstream: bool,
    /// And everything after them.
    pub downstream: bool,
    /// But of these only what failed or was not run because of that.
    pub only_failed: bool,
    /// But of these only what runs; with `only_failed`, what runs, too.
    pub only_running: bool,
}

/// What to do, in this order: all records first, then the rest.
#[derive(Clone, Debug)]
pub enum Action {
    /// Write this down, before anything else of this turn is done.
    Record(Record),
    /// Start a process.
    Spawn(Spawn),
    /// Send a signal to an attempt's whole process tree.
    Signal(AttemptId, Signal),
    /// Call a hook. What comes of it is told to nobody here.
    Hook(HookCall),
    /// Look up in history which dates have runs, and tell it as [`Event::Found`].
    Look(Look),
    /// Answer a command.
    Reply(u64, Result<Answer, Refusal>),
}

/// A process to start.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// Which.
    pub attempt: AttemptId,
    /// The DAG that the run began with.
    pub dag: Arc<Dag>,
    /// The run.
    pub run: Arc<RunFacts>,
    /// What the tasks before it have left for it: those of [`Task::xcoms`](crate::dag::Task::xcoms).
    pub xcoms: BTreeMap<Arc<str>, Arc<Value>>,
    /// The end of what the last successful run before it was about.
    pub previous_success: Option<Timestamp>,
}

/// A hook to call.
#[derive(Clone, Debug)]
pub struct HookCall {
    /// What to do.
    pub hook: Arc<Hook>,
    /// What kind of end it is about.
    pub kind: HookKind,
    /// Who has asked for it.
    pub level: HookLevel,
    /// The DAG that the run began with.
    pub dag: Arc<Dag>,
    /// The run.
    pub run: RunNumber,
    /// The run, too.
    pub facts: Arc<RunFacts>,
    /// What has ended, and how.
    pub occasion: HookOccasion,
}

/// Where a hook is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookLevel {
    /// At the task, or in `defaults`.
    Task,
    /// At the DAG.
    Dag,
    /// In the config, for all DAGs.
    All,
}

/// What a hook is about.
#[derive(Clone, Debug)]
pub enum HookOccasion {
    /// A task instance.
    Task {
        /// Its task.
        task: TaskIndex,
        /// The attempt; 0 if there was nothing to do.
        try_number: u32,
        /// How long until the next attempt.
        retry_in: Option<Duration>,
        /// How the attempt ended; `None` if there was nothing to do.
        attempt: Option<Box<Attempt>>,
    },
    /// The run.
    Run {
        /// Why it was told to stop, if it was.
        stopped: Option<StopReason>,
        /// From when it became `running`, by the wall clock.
        duration: Duration,
        /// The tasks that have failed.
        failed: Vec<TaskIndex>,
    },
}

/// What a backfill has to know before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Who asks.
    pub backfill: BackfillNumber,
    /// Whose runs.
    pub dag_id: Arc<str>,
    /// The first logical date.
    pub from: Timestamp,
    /// The last, inclusive.
    pub to: Timestamp,
}

/// A logical date that a DAG has been run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastDate {
    /// The date.
    pub logical_date: Timestamp,
    /// Where its latest run stands.
    pub state: RunState,
    /// How many runs of backfills it has had.
    pub backfills: u32,
}

/// How to end a process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: please.
    Term,
    /// SIGKILL.
    Kill,
}

/// A command was carried out, and is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The run that was created.
    Triggered(Arc<str>),
    /// The run is ending.
    Cancelled,
    /// These task instances will run again.
    Cleared(Vec<Arc<str>>),
    /// Done, or so already.
    Paused,
    /// The backfill was created or changed.
    Backfill(BackfillNumber),
    /// What these task instances are is on record, and so is the note; the run is forgotten.
    Done,
}

/// Why a command is not answered with what it did. It was not carried out, and nothing has changed; but for
/// [`Refusal::Unrecorded`], which says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No DAG has this id.
    NoDag(String),
    /// The DAG has no such run, or it is history.
    NoRun(String),
    /// The DAG has no such task.
    NoTask(String),
    /// The DAG has a run of this name.
    RunExists(Arc<str>),
    /// Not a run id.
    BadRunId(String),
    /// The DAG does not allow these params, and why.
    BadParams(String),
    /// The run is over.
    RunFinished(String),
    /// The run is being stopped.
    RunStopping(String),
    /// The run is not over.
    RunActive(String),
    /// The task instance is that already.
    AlreadySo(Arc<str>, &'static str),
    /// It is longer than [`super::NOTE_BYTES_MAX`].
    LongNote,
    /// The DAG has [`super::RUNS_QUEUED_MAX`] runs waiting.
    TooManyQueued(String),
    /// There is no such backfill, or it is history.
    NoBackfill(BackfillNumber),
    /// The DAG has a backfill that is not over.
    BackfillExists(String, BackfillNumber),
    /// The backfill was completed or cancelled.
    BackfillOver(BackfillNumber),
    /// The DAG's schedule names no dates, or there is none.
    NoDates(String),
    /// Not a span that can be made up for, and why.
    BadSpan(&'static str),
    /// Nothing can be written down now, and why.
    NotRecorded(String),
    /// It was carried out, and then the disk failed, and why. If the disk heals it will be on record; if the
    /// program ends before, it never was.
    Unrecorded(String),
    /// The daemon is going down.
    ShuttingDown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDag(id) => write!(f, "there is no DAG `{id}`"),
            Self::NoRun(id) => write!(f, "there is no run `{id}`"),
            Self::NoTask(id) => write!(f, "there is no task `{id}`"),
            Self::RunExists(id) => write!(f, "there is a run `{id}` already"),
            Self::BadRunId(id) => write!(
                f,
                "`{}` is not a run id: 1 to {} of A-Z a-z 0-9 _ . : + - ~, not beginning with . - or ~",
                id.escape_debug(),
                super::RUN_ID_BYTES_MAX
            ),
            Self::BadParams(why) => f.write_str(why),
            Self::RunFinished(id) => write!(f, "run `{id}` is over"),
            Self::RunStopping(id) => write!(f, "run `{id}` is being stopped"),
            Self::RunActive(id) => write!(f, "run `{id}` is not over; cancel it first"),
            Self::AlreadySo(id, state) => write!(f, "Task id {id} is already in {state} state"),
            Self::LongNote => write!(f, "a note has at most {} bytes", super::NOTE_BYTES_MAX),
            Self::TooManyQueued(id) => {
                write!(
                    f,
                    "DAG `{id}` has {} runs waiting already",
                    super::RUNS_QUEUED_MAX
                )
            }
            Self::NoBackfill(number) => write!(f, "there is no backfill {}", number.0),
            Self::BackfillExists(id, number) => write!(
                f,
                "DAG `{id}` has a backfill that is not over: {}",
                number.0
            ),
            Self::BackfillOver(number) => write!(f, "backfill {} is over", number.0),
            Self::NoDates(id) => write!(
                f,
                "DAG `{id}` has no dates to be made up for: it has no schedule, or one that no clock decides"
            ),
            Self::BadSpan(why) => write!(f, "not a span of the past: {why}"),
            Self::NotRecorded(why) => {
                write!(f, "nothing can be recorded now, so nothing was done: {why}")
            }
            Self::Unrecorded(why) => write!(
                f,
                "it was done, but is not on the disk yet and is lost if mini-dag ends before the disk heals: {why}"
            ),
            Self::ShuttingDown => f.write_str("mini-dag is shutting down"),
        }
    }
}

impl std::error::Error for Refusal {}
