//! What happened: the facts that change state, one record each.
//!
//! A record says everything that [`super::State::apply`] needs; replaying a journal's records in
//! order rebuilds the state that wrote them. Ids are spelt out, so that a record means the same to
//! another process and to another version of a DAG.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::choice::Choice;
use super::clock::ClockTrust;
use super::dag_state::RunsOver;
use super::image::{BackfillImage, RunImage};
use super::ran::Ran;
use crate::dag::Value;
use crate::timetable::Timestamp;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it happened, by the wall clock; order goes by the sequence of records, never by this.
    pub at: Timestamp,
    /// The DAG it happened to.
    pub dag_id: Arc<str>,
    /// What happened.
    pub fact: Fact,
}

/// What happened to a DAG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was seen for the first time; or seen again by a clock that shows much earlier than it did then.
    Seen {
        /// It was paused from the beginning; what later versions say of that changes nothing.
        is_paused: bool,
    },
    /// It was paused, or unpaused.
    Paused(bool),
    /// It was due until then, the moment itself included, and was not run: it had missed these fires, or
    /// was still busy.
    Skipped {
        /// The last of these fires.
        until: Timestamp,
    },
    /// The clock is far behind the last fire that was run or skipped. The fires after this moment are
    /// looked at again; those that were run are skipped.
    Rewound {
        /// The last fire that counts as done.
        until: Timestamp,
    },
    /// It was due for this and was not run, or it was there before the DAG waited for it.
    Passed(Occasion),
    /// Something happened to one of its runs.
    Run(RunNumber, RunFact),
    /// Something happened to one of its backfills.
    Backfill(BackfillNumber, BackfillFact),
    /// What is known of it, from a snapshot.
    Restored {
        /// It was paused.
        is_paused: bool,
        /// When it was seen for the first time.
        first_seen: Option<Timestamp>,
        /// The last fire that was run or skipped.
        scheduled_until: Option<Timestamp>,
        /// What its schedule has run.
        ran: Ran,
        /// The latest boot of the host that it was run for, or passed over.
        boot_id: Option<Arc<str>>,
        /// What it was last due for: how often others had succeeded then.
        heard: BTreeMap<Arc<str>, u64>,
        /// How often a run of it has succeeded.
        successes: u64,
        /// Its runs that are over; `None` in a journal that did not count them.
        over: Option<RunsOver>,
        /// How many runs had been created, of all DAGs.
        runs_created: u64,
    },
}

/// What happened to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunFact {
    /// It was created; it is `queued`.
    Created(Arc<RunFacts>),
    /// All that is known of it, from a snapshot, or from history because somebody wants to clear it.
    Restored(Box<RunImage>),
    /// It became `running`.
    Started,
    /// It was told to stop: what had not started is `skipped`, what runs is being stopped.
    Stopped(StopReason),
    /// It ended.
    Ended {
        /// `success`, else `failed`.
        success: bool,
    },
    /// These task instances, in the DAG's order, begin anew, and the run with them.
    Cleared(Vec<Arc<str>>),
    /// Somebody wrote this about it; empty takes it back.
    Noted(Arc<str>),
    /// Somebody had it deleted, when it was over: nothing is known of it any more.
    Deleted,
    /// Something happened to the task instance of this id.
    Task(Arc<str>, TaskFact),
}

/// What happened to a task instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskFact {
    /// An attempt began: the task instance is `running`; or `up_for_reschedule`, if it has triggered a run.
    Started {
        /// From 1. The same again: one that was `up_for_reschedule`, and is poked and about to be stopped.
        try_number: u32,
    },
    /// An attempt ended.
    Ended {
        /// The attempt.
        try_number: u32,
        /// What the task instance is now.
        state: Ended,
        /// How the attempt ended.
        attempt: Attempt,
        /// Which of what comes after it goes on, if the task says that.
        choice: Option<Choice>,
    },
    /// It ended without an attempt.
    Settled(Settled),
    /// Somebody said what it is, while it did not run. A run that was over goes on from there, as if it had
    /// been cleared.
    Marked(Mark),
    /// Somebody said what it is, while it ran: its attempt is being stopped, and that is what it will be.
    Ending(Mark),
    /// Somebody wrote this about it; empty takes it back.
    Noted(Arc<str>),
}

/// Names a run for as long as there is a journal: the n-th run that was ever created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunNumber(pub u64);

/// What a run is, from its creation on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Unique in its DAG.
    pub run_id: Arc<str>,
    /// Who asked for it.
    pub run_type: RunType,
    /// What it is named after: the moment it was due or triggered.
    pub logical_date: Timestamp,
    /// The time that it is about: from, until.
    pub data_interval: Option<(Timestamp, Timestamp)>,
    /// Given with the trigger; over the DAG's own.
    pub params: BTreeMap<String, Value>,
    /// What was thought of the clock that it was created by.
    pub clock: ClockTrust,
    /// What it was due for, if that is no moment.
    pub occasion: Option<Occasion>,
}

/// What a DAG can be due for besides a moment on the clock. A run and what it was created for are one
/// record, so that no crash can part them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A boot of the host, by the kernel's boot id.
    Boot(Arc<str>),
    /// Successes of other DAGs: how often a run of each had ever succeeded.
    After(BTreeMap<Arc<str>, u64>),
    /// A date that a backfill has found without a run.
    Backfill(BackfillNumber),
    /// A task that has triggered it.
    Task(Parent),
}

/// The task instance that has triggered a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its DAG.
    pub dag_id: Arc<str>,
    /// Its run.
    pub run: RunNumber,
    /// Its task.
    pub task_id: Arc<str>,
    /// Its attempt: each triggers one run.
    pub try_number: u32,
    /// How many triggers the run has come of, one after the other: 1, unless a task has triggered its run, too.
    pub depth: u32,
}

/// Names a backfill for as long as there is a journal: the n-th that was ever created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackfillNumber(pub u64);

/// What happened to a backfill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackfillFact {
    /// Somebody asked for it.
    Created(Arc<BackfillFacts>),
    /// All that is known of it, from a snapshot.
    Restored(Box<BackfillImage>),
    /// It was paused, or unpaused.
    Paused(bool),
    /// So many dates had a run, or were not to be run again.
    Passed {
        /// The fire of the last of these dates.
        until: Timestamp,
        /// How many.
        dates: u32,
    },
    /// Somebody ended it.
    Cancelled,
    /// All its dates are done.
    Completed,
}

/// What a backfill is, from its creation on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillFacts {
    /// The first logical date.
    pub from: Timestamp,
    /// The last, inclusive.
    pub to: Timestamp,
    /// Which dates that have a run are run again.
    pub reprocess: Reprocess,
    /// The latest date first.
    pub newest_first: bool,
    /// How many of its runs may be active at once. At least 1.
    pub max_active_runs: u32,
    /// Over the DAG's own.
    pub params: BTreeMap<String, Value>,
}

/// Which dates that have a run a backfill runs again, by how the latest of them ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reprocess {
    /// None.
    #[default]
    None,
    /// Those whose latest run has failed.
    Failed,
    /// Those whose latest run is over.
    Completed,
}

impl Reprocess {
    /// As in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }

    /// The one of a name.
    pub fn of(name: &str) -> Option<Self> {
        let all = [Self::None, Self::Failed, Self::Completed];
        all.into_iter().find(|reprocess| reprocess.name() == name)
    }
}

/// Who asked for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunType {
    /// The schedule.
    Scheduled,
    /// A person or another program.
    Manual,
    /// A request to make up for a span of time.
    Backfill,
}

impl RunType {
    /// As in run ids and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Backfill => "backfill",
        }
    }
}

/// Why a run was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody cancelled it.
    Cancelled,
    /// It took longer than its `run_timeout`.
    TimedOut,
}

/// What a task instance is after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// `success`
    Success,
    /// `failed`
    Failed,
    /// `skipped`
    Skipped,
    /// `up_for_retry`: not before this long from now.
    UpForRetry(Duration),
    /// `up_for_reschedule`: the first poke of this try said "not yet". Further ones leave no record.
    Rescheduled,
    /// `none`: the attempt was interrupted, by a clear or by the end of the daemon, and does not count.
    Interrupted,
}

/// What a task instance without an attempt ended as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// `success`: there was nothing to do.
    Success,
    /// `failed`: it was poked for too long.
    Failed,
    /// `skipped`
    Skipped,
    /// `upstream_failed`
    UpstreamFailed,
}

/// What a person says that a task instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// `success`
    Success,
    /// `failed`
    Failed,
    /// `skipped`
    Skipped,
}

/// How one attempt ended, as it is told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How its process ended.
    pub exit: Exit,
    /// Why it was stopped, if it was.
    pub stopped: Option<StopCause>,
    /// From start to end.
    pub duration: Duration,
    /// CPU time of the process and of its children that it waited for.
    pub cpu: Duration,
    /// The largest resident set of one of its processes.
    pub memory_peak_bytes: u64,
    /// What it printed, and what of that was dropped past the cap.
    pub output_bytes: u64,
    /// Bytes of output that were not kept.
    pub output_dropped_bytes: u64,
    /// What it left for other tasks: only of one that succeeded.
    pub xcom: Option<Arc<Value>>,
    /// What its exit does not say, for people: which task it named that does not follow it, why nothing
    /// is left of it for others.
    pub reason: Option<String>,
}

impl RunFacts {
    /// The task instance that has triggered it, if one has.
    pub fn parent(&self) -> Option<&Parent> {
        match &self.occasion {
            Some(Occasion::Task(parent)) => Some(parent),
            Some(Occasion::Boot(_) | Occasion::After(_) | Occasion::Backfill(_)) | None => None,
        }
    }
}

impl Attempt {
    /// One whose process nobody could ask what it took.
    pub fn unseen(exit: Exit, duration: Duration) -> Self {
        Self {
            exit,
            stopped: None,
            duration,
            cpu: Duration::ZERO,
            memory_peak_bytes: 0,
            output_bytes: 0,
            output_dropped_bytes: 0,
            xcom: None,
            reason: None,
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It was never started, and why.
    NotStarted(String),
    /// Nobody saw how: it could not be killed, or the daemon ended before it did.
    Unknown,
}

/// Why an attempt was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// It took longer than its `timeout`.
    TimedOut,
    /// Its run was cancelled or took too long.
    RunStopped,
    /// It was cleared.
    Cleared,
    /// Somebody said what it is.
    Marked,
    /// The daemon is going down.
    Shutdown,
}
