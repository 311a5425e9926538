//! Whether records reach the disk, and when to try again if they do not.
//!
//! ```text
//! Healthy ──no new segment can be begun───────────▶ Degraded, not writable ──a new one is synced─▶ Healthy
//!    └──the disk was full; ballast made room ─▶ Degraded, writable ──there is room for ballast─────▶ Healthy
//! ```

use std::time::Duration;

use crate::scheduler::Monotonic;

const FIRST_RETRY: Duration = Duration::from_secs(30);
const LAST_RETRY: Duration = Duration::from_secs(600);

/// How the journal is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Records reach the disk.
    Healthy,
    /// Nothing new should start.
    Degraded {
        /// In words: `no space left on the device`.
        why: String,
        /// Records still reach the disk, for now; else they are kept in memory, as far as that goes.
        is_writable: bool,
    },
}

/// The pure part of degradation.
#[derive(Debug)]
pub(super) struct Monitor {
    pub health: Health,
    retry_at: Option<Monotonic>,
    delay: Duration,
}

impl Monitor {
    pub fn new() -> Self {
        Self {
            health: Health::Healthy,
            retry_at: None,
            delay: FIRST_RETRY,
        }
    }

    pub fn degrade(&mut self, now: Monotonic, why: String, is_writable: bool) {
        self.health = Health::Degraded { why, is_writable };
        self.put_off(now);
    }

    /// The time has come and it was tried; whether it worked will be seen.
    pub fn put_off(&mut self, now: Monotonic) {
        if self.retry_at.is_none_or(|at| at <= now) {
            self.retry_at = Some(now.after(self.delay));
            self.delay = (self.delay * 2).min(LAST_RETRY);
        }
    }

    pub fn heal(&mut self) {
        *self = Self::new();
    }

    pub fn is_due(&self, now: Monotonic) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }

    pub fn retry_at(&self) -> Option<Monotonic> {
        self.retry_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_after_30_s_and_then_ever_later_up_to_10_minutes() {
        let mut monitor = Monitor::new();
        let mut now = Monotonic(0);
        let mut delays_s = Vec::new();
        for _ in 0..7 {
            monitor.degrade(now, "no".to_owned(), false);
            // Told again before the time has come: nothing is put off.
            monitor.degrade(now, "no".to_owned(), false);
            let at = monitor.retry_at().unwrap();
            assert!(!monitor.is_due(Monotonic(at.0 - 1)) && monitor.is_due(at));
            delays_s.push(at.since(now).as_secs());
            now = at;
        }
        assert_eq!(delays_s, [30, 60, 120, 240, 480, 600, 600]);
        monitor.heal();
        assert_eq!(monitor.retry_at(), None);
        monitor.degrade(now, "no".to_owned(), false);
        assert_eq!(monitor.retry_at(), Some(now.after(FIRST_RETRY)));
    }
}
