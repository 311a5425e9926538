//! How often somebody may try a password: five times at once, then after 2, 4, 8 … 60 seconds.
//!
//! Counted by where the tries come from, and all together a tenfold of it. What is remembered is bounded:
//! the source that failed longest ago is forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::scheduler::Monotonic;

const FREE: u32 = 5;
const FREE_OF_ALL: u32 = 50;
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// After this long without a failure all is forgiven.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);
const SOURCES_MAX: usize = 256;

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last: Monotonic,
}

impl Failures {
    /// When the next try may be.
    fn next_at(self, free: u32) -> Monotonic {
        let Some(over) = self.count.checked_sub(free) else {
            return Monotonic(0);
        };
        let pause = Duration::from_secs(2 << over.min(5)).min(PAUSE_MAX);
        self.last.after(pause)
    }

    fn add(&mut self, now: Monotonic) {
        if now.since(self.last) > FORGIVEN {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
    }
}

/// Who has failed how often. `None` is the Unix socket.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    of: BTreeMap<Option<IpAddr>, Failures>,
    all: Failures,
}

impl Throttle {
    /// How long this source has to wait before it may try; zero if it need not.
    pub(super) fn wait(&self, source: Option<IpAddr>, now: Monotonic) -> Duration {
        let own = self.of.get(&source).copied().unwrap_or_default();
        let at = own.next_at(FREE).max(self.all.next_at(FREE_OF_ALL));
        at.since(now)
    }

    pub(super) fn failed(&mut self, source: Option<IpAddr>, now: Monotonic) {
        self.all.add(now);
        if !self.of.contains_key(&source) && self.of.len() >= SOURCES_MAX {
            let oldest = self.of.iter().min_by_key(|(_, failures)| failures.last);
            if let Some(oldest) = oldest.map(|(source, _)| *source) {
                self.of.remove(&oldest);
            }
        }
        self.of.entry(source).or_default().add(now);
    }

    pub(super) fn succeeded(&mut self, source: Option<IpAddr>) {
        self.of.remove(&source);
        self.all = Failures::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as it is used")]
    fn source(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, n]))
    }

    /// Tries as soon as it may, `count` times, and says when.
    fn waits(throttle: &mut Throttle, who: Option<IpAddr>, count: usize) -> Vec<u64> {
        let mut now = Monotonic(1_000_000);
        let mut waits = Vec::new();
        for _ in 0..count {
            let wait = throttle.wait(who, now);
            waits.push(wait.as_secs());
            now = now.after(wait);
            throttle.failed(who, now);
        }
        waits
    }

    #[test]
    fn five_tries_are_free_and_then_it_takes_ever_longer() {
        let mut throttle = Throttle::default();
        let waits = waits(&mut throttle, source(1), 13);
        assert_eq!(waits, [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn others_need_not_wait_until_there_are_too_many() {
        let mut throttle = Throttle::default();
        let now = Monotonic(1_000_000);
        for _ in 0..10 {
            throttle.failed(source(1), now);
        }
        assert_eq!(throttle.wait(source(2), now), Duration::ZERO);
        for n in 0..40 {
            throttle.failed(source(n), now);
        }
        assert_ne!(throttle.wait(source(200), now), Duration::ZERO);
    }

    #[test]
    fn the_right_password_and_time_forgive() {
        let mut throttle = Throttle::default();
        waits(&mut throttle, source(1), 8);
        throttle.succeeded(source(1));
        assert_eq!(
            throttle.wait(source(1), Monotonic(1_000_000)),
            Duration::ZERO
        );
        waits(&mut throttle, source(1), 8);
        let much_later = Monotonic(1_000_000_000);
        assert_eq!(throttle.wait(source(1), much_later), Duration::ZERO);
        throttle.failed(source(1), much_later);
        assert_eq!(throttle.wait(source(1), much_later), Duration::ZERO);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut throttle = Throttle::default();
        for n in 0..10_000_u32 {
            throttle.failed(Some(IpAddr::from(n.to_be_bytes())), Monotonic(u64::from(n)));
        }
        assert_eq!(throttle.of.len(), SOURCES_MAX);
    }
}
