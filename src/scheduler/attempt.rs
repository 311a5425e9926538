//! How attempts end: by themselves, by their timeouts, or because somebody wants it.
//!
//! ```text
//! running ──timeout, cancel, clear, mark, shutdown──▶ SIGTERM ──grace──▶ SIGKILL ──patience──▶ given up
//!    └───────────────────────── exited, lost ─────┴──────────────────┴──────▶ success | failed | …
//! ```

use std::time::Duration;

use super::choice::{Choice, Verdict, left_out, verdict};
use super::event::{Action, AttemptId, Monotonic, Signal};
use super::record::{Attempt, Ended, Exit, RunFact, RunNumber, StopCause, StopReason, TaskFact};
use super::run::Run;
use super::timers::Timer;
use super::{KILL_PATIENCE, Scheduler, Turn};
use crate::dag::{Task, TaskIndex};

/// An attempt whose process has not been seen to end.
#[derive(Debug)]
pub(super) struct LiveAttempt {
    pub(super) try_number: u32,
    pub(super) stage: Stage,
    pub(super) stopped: Option<StopCause>,
    pub(super) started: Monotonic,
    /// The records say that it runs. Pokes after the first of a try leave none; see `poke`.
    pub(super) is_recorded: bool,
}

/// How far the ending of an attempt has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    Terminating,
    Killing,
}

impl Scheduler {
    pub(super) fn shut_down(&mut self, turn: &mut Turn) {
        self.is_shutting_down = true;
        let live: Vec<_> = self.attempts.keys().copied().collect();
        for (run, task) in live {
            self.stop_attempt(turn, run, task, StopCause::Shutdown);
        }
    }

    /// An attempt ended. One that is not awaited (told twice, or given up before) is no news.
    pub(super) fn exited(&mut self, turn: &mut Turn, id: AttemptId, attempt: Attempt) {
        let key = (id.run, id.task);
        if self
            .attempts
            .get(&key)
            .is_none_or(|live| live.try_number != id.try_number)
        {
            return;
        }
        let Some(live) = self.attempts.remove(&key) else {
            return;
        };
        self.timers.cancel(Timer::Attempt(id.run, id.task));
        let Some(run) = self.state.run(id.run) else {
            return;
        };
        let mut attempt = Attempt {
            stopped: live.stopped,
            xcom: attempt.xcom.filter(|_| live.stopped.is_none()),
            ..attempt
        };
        let (state, choice) = outcome(run, id.task, &mut attempt);
        let dag = run.dag.clone();
        self.give_back(&dag, id.task);
        if let Some(state) = self.poked(turn.now, id, &live, &attempt, state) {
            self.end_attempt(turn, id, state, attempt, choice);
        }
    }

    /// Puts the end of an attempt on record, and marks what follows from it.
    pub(super) fn end_attempt(
        &mut self,
        turn: &mut Turn,
        id: AttemptId,
        state: Ended,
        attempt: Attempt,
        choice: Option<Choice>,
    ) {
        if let Ended::UpForRetry(delay) = state {
            self.timers.set(
                Timer::Retry(id.run, id.task),
                turn.now.monotonic.after(delay),
            );
        }
        if let (Some(choice), Some(run)) = (&choice, self.state.run(id.run)) {
            let left_out = left_out(&run.dag, id.task, choice);
            self.touched
                .extend(left_out.into_iter().map(|task| (id.run, task)));
        }
        let fact = TaskFact::Ended {
            try_number: id.try_number,
            state,
            attempt,
            choice,
        };
        self.record_task(turn, id.run, id.task, fact);
        if super::TaskState::from(state).is_finished() {
            self.timers.cancel(Timer::GiveUp(id.run, id.task));
        }
        self.touch_around(id.run, id.task);
    }

    pub(super) fn lost(&mut self, turn: &mut Turn, id: AttemptId) {
        let key = (id.run, id.task);
        let Some(live) = self.attempts.get_mut(&key) else {
            return;
        };
        live.stopped.get_or_insert(StopCause::Shutdown);
        let duration = turn.now.monotonic.since(live.started);
        self.exited(turn, id, Attempt::unseen(Exit::Unknown, duration));
    }

    pub(super) fn due(&mut self, turn: &mut Turn, timer: Timer) {
        match timer {
            Timer::Retry(run, task) | Timer::Reschedule(run, task) => {
                self.touched.push_back((run, task));
            }
            Timer::GiveUp(run, task) => self.give_up(turn, run, task),
            Timer::Run(run) => self.stop_run(turn, run, StopReason::TimedOut),
            // It was looked at when this turn began.
            Timer::Clock => {}
            Timer::Backfill(number) => {
                let backfill = self.state.backfill(number);
                let dag_id = backfill.map(|backfill| backfill.dag_id.clone());
                self.waking.extend(dag_id);
            }
            Timer::Attempt(run, task) => {
                let Some(live) = self.attempts.get_mut(&(run, task)) else {
                    return;
                };
                let id = AttemptId {
                    run,
                    task,
                    try_number: live.try_number,
                };
                match live.stage {
                    Stage::Running => {
                        let cause = live.stopped.unwrap_or(StopCause::TimedOut);
                        self.stop_attempt(turn, run, task, cause);
                    }
                    Stage::Terminating => {
                        live.stage = Stage::Killing;
                        turn.actions.push(Action::Signal(id, Signal::Kill));
                        self.timers
                            .set(timer, turn.now.monotonic.after(KILL_PATIENCE));
                    }
                    Stage::Killing => {
                        let duration = turn.now.monotonic.since(live.started);
                        let attempt = Attempt::unseen(Exit::Unknown, duration);
                        self.exited(turn, id, attempt);
                    }
                }
            }
        }
    }

    /// Begins to end an attempt. A later cause wins over an earlier one, except over that of its run; and neither
    /// the end of the daemon nor a timeout wins over what somebody said.
    pub(super) fn stop_attempt(
        &mut self,
        turn: &mut Turn,
        run: RunNumber,
        task: TaskIndex,
        cause: StopCause,
    ) {
        let Some(live) = self.attempts.get_mut(&(run, task)) else {
            return;
        };
        let is_weaker = matches!(cause, StopCause::Shutdown | StopCause::TimedOut);
        let is_said = live.stopped == Some(StopCause::Marked) && is_weaker;
        if live.stopped != Some(StopCause::RunStopped) && !is_said {
            live.stopped = Some(cause);
        }
        if live.stage == Stage::Running {
            live.stage = Stage::Terminating;
            let id = AttemptId {
                run,
                task,
                try_number: live.try_number,
            };
            turn.actions.push(Action::Signal(id, Signal::Term));
            let kill_at = turn.now.monotonic.after(self.limits.kill_grace);
            self.timers.set(Timer::Attempt(run, task), kill_at);
        }
    }

    /// Begins to end a run: what runs is stopped, everything else is skipped.
    pub(super) fn stop_run(&mut self, turn: &mut Turn, number: RunNumber, reason: StopReason) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        if run.state.is_finished() || run.stopped.is_some() {
            return;
        }
        for index in run.dag.indices() {
            self.withdraw(number, index);
            self.timers.cancel(Timer::GiveUp(number, index));
            self.put_on_record(turn, number, index);
            self.stop_attempt(turn, number, index, StopCause::RunStopped);
        }
        self.record_run(turn, number, RunFact::Stopped(reason));
        self.touch_all_following(number);
        self.ending.push_back(number);
    }
}

/// What an attempt that has ended comes to, and which of what comes after it goes on.
pub(super) fn outcome(
    run: &Run,
    index: TaskIndex,
    attempt: &mut Attempt,
) -> (Ended, Option<Choice>) {
    let instance = run.task(index);
    if let Some(mark) = instance.ending
        && attempt.stopped != Some(StopCause::RunStopped)
    {
        return (mark.into(), None);
    }
    let verdict = match attempt.stopped {
        Some(StopCause::Shutdown | StopCause::Cleared | StopCause::Marked) => {
            return (Ended::Interrupted, None);
        }
        Some(StopCause::RunStopped) => return (Ended::Failed, None),
        Some(StopCause::TimedOut) => Verdict::Failed,
        None => verdict(run, index, attempt),
    };
    let may_retry = instance.try_number <= instance.max_tries && run.stopped.is_none();
    match verdict {
        Verdict::Success(choice) => (Ended::Success, choice),
        Verdict::Skipped => (Ended::Skipped, None),
        Verdict::Failed if may_retry => {
            let delay = retry_delay(run.dag.task(index), instance.try_number);
            (Ended::UpForRetry(delay), None)
        }
        Verdict::Failed => (Ended::Failed, None),
    }
}

/// The pause after this attempt: `retry_delay`, doubled for each attempt before it if the task says so.
pub(super) fn retry_delay(task: &Task, try_number: u32) -> Duration {
    let longest = task.max_retry_delay;
    if !task.retry_exponential_backoff {
        return task.retry_delay.min(longest);
    }
    let doubled = 2_u32.checked_pow(try_number.saturating_sub(1));
    doubled
        .and_then(|factor| task.retry_delay.checked_mul(factor))
        .unwrap_or(longest)
        .min(longest)
}
