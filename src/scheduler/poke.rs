//! Pokes: a task that is run again and again until it succeeds.
//!
//! ```text
//!                    every, without a slot
//!              ┌──────── up_for_reschedule ◀──┐ exit code: not yet
//!              ▼                              │
//! none ──▶ running ───────────────────────────┼──▶ success | skipped
//!                                             └──▶ up_for_retry | failed    signal, its timeout, not started
//! the timeout of the whole ──────────────────────▶ failed, or skipped with soft_fail; no retries
//! ```
//!
//! An SD card must not wear out because somebody waits. So a try is on record twice, when it begins and when
//! its first poke says "not yet"; later pokes leave no record before one of them says something else. On
//! record the task instance is `up_for_reschedule` all that time, also while it is poked; its attempt is
//! only live. Who stops such an attempt puts it on record first.
//!
//! What has to survive a restart is when it was poked first ([`super::TaskInstance::poking_since`]): the
//! timeout counts from there, over all tries, and the pokes of a daemon that comes back stay in step with it.

use std::time::Duration;

use super::attempt::LiveAttempt;
use super::event::{AttemptId, Monotonic, Now};
use super::record::{Attempt, Ended, Exit, RunNumber, Settled, StopCause, TaskFact};
use super::timers::Timer;
use super::{Scheduler, Turn};
use crate::dag::{Poke, TaskIndex};
use crate::timetable::Timestamp;

/// Pauses of at least this are rounded up to whole seconds, so that pokes which nearly fall together wake
/// the program once.
const ROUNDED_MIN: Duration = Duration::from_secs(10);

impl Scheduler {
    /// What an attempt that would have ended in `state` ends in, given that its task may be a poke. `None`:
    /// it said "not yet" once more, and that is not worth a record.
    pub(super) fn poked(
        &mut self,
        now: Now,
        id: AttemptId,
        live: &LiveAttempt,
        attempt: &Attempt,
        state: Ended,
    ) -> Option<Ended> {
        let run = self.state.run(id.run)?;
        let Some(poke) = run.dag.task(id.task).poke else {
            return Some(state);
        };
        if run.task(id.task).ending.is_some() {
            return Some(state);
        }
        let says_not_yet = match state {
            Ended::Success | Ended::Skipped => return Some(state),
            Ended::Interrupted => !live.is_recorded,
            Ended::Failed | Ended::UpForRetry(_) | Ended::Rescheduled => {
                if live.stopped == Some(StopCause::RunStopped) {
                    return Some(state);
                }
                // Where it has begun as no poke, in another version of the DAG, nothing has come yet.
                let is_poking = run.task(id.task).poking_since.is_some();
                if is_poking && !self.timers.is_set(Timer::GiveUp(id.run, id.task)) {
                    return Some(if poke.soft_fail {
                        Ended::Skipped
                    } else {
                        Ended::Failed
                    });
                }
                live.stopped.is_none() && matches!(attempt.exit, Exit::Code(code) if code != 0)
            }
        };
        if !says_not_yet {
            return Some(state);
        }
        let next = Timer::Reschedule(id.run, id.task);
        self.timers.set(next, after_pause(now.monotonic, poke));
        live.is_recorded.then_some(Ended::Rescheduled)
    }

    /// An attempt of a poke begins: the first one of all starts the timeout of the whole.
    pub(super) fn begin_to_poke(&mut self, now: Monotonic, number: RunNumber, index: TaskIndex) {
        let run = self.state.run(number);
        let give_up = Timer::GiveUp(number, index);
        if let Some(poke) = run.and_then(|run| run.dag.task(index).poke)
            && !self.timers.is_set(give_up)
        {
            self.timers.set(give_up, now.after(poke.timeout));
        }
    }

    /// Goes on with a task instance of the past that was being poked.
    pub(super) fn poke_on(&mut self, now: Now, number: RunNumber, index: TaskIndex) {
        let Some(run) = self.state.run(number) else {
            return;
        };
        let (task, instance) = (run.dag.task(index), run.task(index));
        let is_rescheduled = instance.state == super::TaskState::UpForReschedule;
        let (Some(poke), Some(since)) = (task.poke, instance.poking_since) else {
            if is_rescheduled {
                // Another version of the DAG does not poke it any more: it is run once more, and that counts.
                self.touched.push_back((number, index));
            }
            return;
        };
        let gone = now.wall.since(since);
        let left = poke.timeout.saturating_sub(gone);
        let next = in_step(now, since, poke);
        self.timers
            .set(Timer::GiveUp(number, index), now.monotonic.after(left));
        if is_rescheduled {
            self.timers.set(Timer::Reschedule(number, index), next);
        }
    }

    /// The timeout of the whole has come.
    pub(super) fn give_up(&mut self, turn: &mut Turn, number: RunNumber, index: TaskIndex) {
        if self.attempts.contains_key(&(number, index)) {
            return self.stop_attempt(turn, number, index, StopCause::TimedOut);
        }
        let Some(run) = self.state.run(number) else {
            return;
        };
        if run.dag.task(index).operator.trigger().is_some() {
            return self.end_wait(turn, number, index);
        }
        let soft_fail = run.dag.task(index).poke.is_some_and(|poke| poke.soft_fail);
        if run.task(index).state.is_finished() || run.stopped.is_some() {
            return;
        }
        self.withdraw(number, index);
        let settled = if soft_fail {
            Settled::Skipped
        } else {
            Settled::Failed
        };
        self.record_task(turn, number, index, TaskFact::Settled(settled));
        self.touch_around(number, index);
    }

    /// Puts an attempt on record that is only live, because it is about to be stopped by somebody.
    pub(super) fn put_on_record(&mut self, turn: &mut Turn, number: RunNumber, index: TaskIndex) {
        let Some(live) = self.attempts.get_mut(&(number, index)) else {
            return;
        };
        if !std::mem::replace(&mut live.is_recorded, true) {
            let try_number = live.try_number;
            self.record_task(turn, number, index, TaskFact::Started { try_number });
        }
    }
}

/// When to poke again after a poke that ended now.
fn after_pause(now: Monotonic, poke: Poke) -> Monotonic {
    let next = now.after(poke.every);
    if poke.every < ROUNDED_MIN {
        next
    } else {
        Monotonic(next.0.next_multiple_of(1_000))
    }
}

/// When to poke again after a restart: at the next whole number of pauses since the first poke.
fn in_step(now: Now, since: Timestamp, poke: Poke) -> Monotonic {
    let gone = now.wall.since(since).as_millis();
    let every = poke.every.as_millis().max(1);
    let left = u64::try_from(every - gone % every).unwrap_or(u64::MAX);
    now.monotonic.after(Duration::from_millis(left))
}
