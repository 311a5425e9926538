//! What a snapshot says of a run, a task instance or a backfill: where it stands at some moment.

use std::sync::Arc;

use super::choice::Choice;
use super::record::{BackfillFacts, Mark, RunFacts, StopReason};
use super::states::{RunState, TaskState};
use crate::dag::Value;
use crate::timetable::Timestamp;

/// A backfill at some moment, without its runs that are not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillImage {
    /// What was asked for.
    pub facts: Arc<BackfillFacts>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was completed or cancelled.
    pub completed_at: Option<Timestamp>,
    /// Nothing of it starts.
    pub is_paused: bool,
    /// Somebody ended it.
    pub is_cancelled: bool,
    /// The fire of the date that was run or passed over last.
    pub cursor: Option<Timestamp>,
    /// Dates that needed no run.
    pub passed: u64,
    /// Its runs that have succeeded.
    pub success: u64,
    /// Its runs that have failed.
    pub failed: u64,
}

/// A run and its task instances at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunImage {
    /// What it was created as.
    pub facts: Arc<RunFacts>,
    /// Where it stands.
    pub state: RunState,
    /// When it was created or cleared.
    pub queued_at: Timestamp,
    /// When it became `running`.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// It was told to stop.
    pub stopped: Option<StopReason>,
    /// What somebody wrote about it; empty if nobody did.
    pub note: Arc<str>,
    /// The task instances that are not as they were created, in the DAG's order.
    pub tasks: Vec<TaskImage>,
}

/// A task instance at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskImage {
    /// Its task.
    pub task_id: Arc<str>,
    /// Where it stands.
    pub state: TaskState,
    /// The latest attempt; 0 before the first.
    pub try_number: u32,
    /// A failed attempt is repeated while `try_number` is at most this.
    pub max_tries: u32,
    /// When the latest attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was poked for the first time.
    pub poking_since: Option<Timestamp>,
    /// It was cleared while it ran.
    pub is_cleared: bool,
    /// Somebody said while it ran that this is what it is.
    pub ending: Option<Mark>,
    /// What somebody wrote about it; empty if nobody did.
    pub note: Arc<str>,
    /// What it left for other tasks.
    pub xcom: Option<Arc<Value>>,
    /// Which of what comes after it goes on.
    pub choice: Option<Choice>,
}
