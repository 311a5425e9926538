//! The states of runs and of task instances, and their names in the API. `run` says how they follow each
//! other.

use super::record::{Ended, Mark, Settled};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunState {
    /// Waits for its turn.
    Queued,
    /// Its tasks run.
    Running,
    /// Every leaf ended well.
    Success,
    /// A leaf failed, or the run was stopped.
    Failed,
}

impl RunState {
    /// As in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// How a run ends.
    pub fn over(success: bool) -> Self {
        if success { Self::Success } else { Self::Failed }
    }

    /// Whether it is over.
    pub fn is_finished(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Success | Self::Failed => true,
        }
    }
}

/// The state of a task instance, as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Not begun.
    #[default]
    None,
    /// An attempt runs.
    Running,
    /// Ended well.
    Success,
    /// Ended badly.
    Failed,
    /// An attempt failed; another follows.
    UpForRetry,
    /// It waits for something, and holds no slot; it is looked at now and then.
    UpForReschedule,
    /// Not run, because what it needs failed.
    UpstreamFailed,
    /// Not run, because there was nothing to do.
    Skipped,
}

impl TaskState {
    /// As in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::UpForRetry => "up_for_retry",
            Self::UpForReschedule => "up_for_reschedule",
            Self::UpstreamFailed => "upstream_failed",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it is over.
    pub fn is_finished(self) -> bool {
        match self {
            Self::None | Self::Running | Self::UpForRetry | Self::UpForReschedule => false,
            Self::Success | Self::Failed | Self::UpstreamFailed | Self::Skipped => true,
        }
    }
}

impl From<Ended> for TaskState {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Success => Self::Success,
            Ended::Failed => Self::Failed,
            Ended::Skipped => Self::Skipped,
            Ended::UpForRetry(_) => Self::UpForRetry,
            Ended::Rescheduled => Self::UpForReschedule,
            Ended::Interrupted => Self::None,
        }
    }
}

impl From<Settled> for TaskState {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::Success => Self::Success,
            Settled::Failed => Self::Failed,
            Settled::Skipped => Self::Skipped,
            Settled::UpstreamFailed => Self::UpstreamFailed,
        }
    }
}

impl From<Mark> for Ended {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Success => Self::Success,
            Mark::Failed => Self::Failed,
            Mark::Skipped => Self::Skipped,
        }
    }
}

impl From<Mark> for TaskState {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Success => Self::Success,
            Mark::Failed => Self::Failed,
            Mark::Skipped => Self::Skipped,
        }
    }
}
