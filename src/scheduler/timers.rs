//! Deadlines on the monotonic clock, each under the name of what it is for.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Monotonic;
use super::record::{BackfillNumber, RunNumber};
use crate::dag::TaskIndex;

/// What a deadline is for. Each name has at most one deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The pause before the next attempt.
    Retry(RunNumber, TaskIndex),
    /// The pause before the next poke.
    Reschedule(RunNumber, TaskIndex),
    /// The timeout of a poke as a whole.
    GiveUp(RunNumber, TaskIndex),
    /// The attempt that runs: its timeout, then its grace, then our patience.
    Attempt(RunNumber, TaskIndex),
    /// The run's timeout.
    Run(RunNumber),
    /// Scheduled runs need not wait for the clock any longer.
    Clock,
    /// The next turn of a backfill that has taken all of one.
    Backfill(BackfillNumber),
}

/// All deadlines. Every call costs O(log n).
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_name: BTreeMap<Timer, Monotonic>,
    by_time: BTreeSet<(Monotonic, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Monotonic) {
        self.cancel(timer);
        self.by_name.insert(timer, at);
        self.by_time.insert((at, timer));
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.by_name.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.by_name.contains_key(&timer)
    }

    pub(super) fn next(&self) -> Option<Monotonic> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline that has passed.
    pub(super) fn pop_due(&mut self, now: Monotonic) -> Option<Timer> {
        let (at, timer) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}
