//! Airflow's trigger rules, told a second time.

use mini_dag::dag::TriggerRule;
use mini_dag::scheduler::TaskState;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    None,
    Running,
    Retry,
    /// It is poked now and then.
    Waiting,
    Success,
    Failed,
    UpstreamFailed,
    Skipped,
}

impl State {
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::None | Self::Running | Self::Retry | Self::Waiting
        )
    }
}

impl From<TaskState> for State {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::None => Self::None,
            TaskState::Running => Self::Running,
            TaskState::UpForRetry => Self::Retry,
            TaskState::UpForReschedule => Self::Waiting,
            TaskState::Success => Self::Success,
            TaskState::Failed => Self::Failed,
            TaskState::UpstreamFailed => Self::UpstreamFailed,
            TaskState::Skipped => Self::Skipped,
        }
    }
}

/// What becomes of a task with these upstreams: sentences over the list of their states.
#[expect(clippy::too_many_lines, reason = "one table")]
pub fn verdict(rule: TriggerRule, states: &[State]) -> &'static str {
    let any = |wanted: &[State]| states.iter().any(|state| wanted.contains(state));
    let bad = [State::Failed, State::UpstreamFailed];
    let all_done = states.iter().all(|state| state.is_final());
    if states.is_empty() {
        return "RUN";
    }
    match rule {
        TriggerRule::Always => "RUN",
        TriggerRule::AllDone => {
            if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::AllSuccess => {
            if any(&bad) {
                "upstream_failed"
            } else if any(&[State::Skipped]) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::AllFailed => {
            if any(&[State::Success, State::Skipped]) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::AllSkipped => {
            if any(&[State::Success]) || any(&bad) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::OneSuccess => {
            if any(&[State::Success]) {
                "RUN"
            } else if !all_done {
                "wait"
            } else if any(&bad) {
                "upstream_failed"
            } else {
                "skipped"
            }
        }
        TriggerRule::OneFailed => {
            if any(&bad) {
                "RUN"
            } else if all_done {
                "skipped"
            } else {
                "wait"
            }
        }
        TriggerRule::OneDone => {
            if any(&[State::Success, State::Failed]) {
                "RUN"
            } else if all_done {
                "skipped"
            } else {
                "wait"
            }
        }
        TriggerRule::NoneFailed => {
            if any(&bad) {
                "upstream_failed"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::NoneSkipped => {
            if any(&[State::Skipped]) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::NoneFailedMinOneSuccess => {
            if any(&bad) {
                "upstream_failed"
            } else if !all_done {
                "wait"
            } else if any(&[State::Success]) {
                "RUN"
            } else {
                "skipped"
            }
        }
    }
}
