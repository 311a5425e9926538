//! What the variants of records are called in lines: each name once, for writing and for reading.

use std::time::Duration;

use crate::scheduler::{
    BackfillFact, ClockTrust, Ended, Mark, RunState, RunType, Settled, StopCause, StopReason,
    TaskState,
};

pub(super) fn backfill(fact: &BackfillFact) -> &'static str {
    match fact {
        BackfillFact::Created(_) => "backfill_created",
        BackfillFact::Restored(_) => "backfill_restored",
        BackfillFact::Paused(true) => "backfill_paused",
        BackfillFact::Paused(false) => "backfill_unpaused",
        BackfillFact::Passed { .. } => "backfill_passed",
        BackfillFact::Cancelled => "backfill_cancelled",
        BackfillFact::Completed => "backfill_completed",
    }
}

pub(super) fn ended(state: Ended) -> &'static str {
    match state {
        Ended::Success => "success",
        Ended::Failed => "failed",
        Ended::Skipped => "skipped",
        Ended::UpForRetry(_) => "up_for_retry",
        Ended::Rescheduled => "up_for_reschedule",
        Ended::Interrupted => "interrupted",
    }
}

pub(super) fn ended_of(name: &str, retry: Duration) -> Option<Ended> {
    let all = [
        Ended::Success,
        Ended::Failed,
        Ended::Skipped,
        Ended::UpForRetry(retry),
        Ended::Rescheduled,
        Ended::Interrupted,
    ];
    all.into_iter().find(|state| ended(*state) == name)
}

pub(super) fn settled(state: Settled) -> &'static str {
    match state {
        Settled::Success => "success",
        Settled::Failed => "failed",
        Settled::Skipped => "skipped",
        Settled::UpstreamFailed => "upstream_failed",
    }
}

pub(super) fn settled_of(name: &str) -> Option<Settled> {
    let all = [
        Settled::Success,
        Settled::Failed,
        Settled::Skipped,
        Settled::UpstreamFailed,
    ];
    all.into_iter().find(|state| settled(*state) == name)
}

pub(super) fn mark_of(name: &str) -> Option<Mark> {
    let all = [Mark::Success, Mark::Failed, Mark::Skipped];
    all.into_iter()
        .find(|mark| TaskState::from(*mark).name() == name)
}

pub(super) fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Cancelled => "cancelled",
        StopReason::TimedOut => "timed_out",
    }
}

pub(super) fn stop_reason_of(name: &str) -> Option<StopReason> {
    let all = [StopReason::Cancelled, StopReason::TimedOut];
    all.into_iter().find(|reason| stop_reason(*reason) == name)
}

pub(super) fn stop_cause(cause: StopCause) -> &'static str {
    match cause {
        StopCause::TimedOut => "timed_out",
        StopCause::RunStopped => "run_stopped",
        StopCause::Cleared => "cleared",
        StopCause::Marked => "marked",
        StopCause::Shutdown => "shutdown",
    }
}

pub(super) fn stop_cause_of(name: &str) -> Option<StopCause> {
    let all = [
        StopCause::TimedOut,
        StopCause::RunStopped,
        StopCause::Cleared,
        StopCause::Marked,
        StopCause::Shutdown,
    ];
    all.into_iter().find(|cause| stop_cause(*cause) == name)
}

pub(super) fn run_type_of(name: &str) -> Option<RunType> {
    let all = [RunType::Scheduled, RunType::Manual, RunType::Backfill];
    all.into_iter().find(|kind| kind.name() == name)
}

pub(super) fn clock_trust_of(name: &str) -> Option<ClockTrust> {
    let all = [
        ClockTrust::Synchronised,
        ClockTrust::Unsynchronised,
        ClockTrust::Implausible,
    ];
    all.into_iter().find(|trust| trust.name() == name)
}

pub(super) fn run_state_of(name: &str) -> Option<RunState> {
    let all = [
        RunState::Queued,
        RunState::Running,
        RunState::Success,
        RunState::Failed,
    ];
    all.into_iter().find(|state| state.name() == name)
}

pub(super) fn task_state_of(name: &str) -> Option<TaskState> {
    let all = [
        TaskState::None,
        TaskState::Running,
        TaskState::Success,
        TaskState::Failed,
        TaskState::UpForRetry,
        TaskState::UpForReschedule,
        TaskState::UpstreamFailed,
        TaskState::Skipped,
    ];
    all.into_iter().find(|state| state.name() == name)
}
