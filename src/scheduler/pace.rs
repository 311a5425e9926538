//! The last line of defence: however the clock jumps, and whatever is wrong elsewhere, the schedule of a DAG
//! starts no more runs than its rhythm allows.
//!
//! In any stretch of time there are at most `1 + elapsed / interval + allowance` of them, where `elapsed`
//! counts by the monotonic clock (and one part in 64 more, so that a clock that is set forward a little every
//! day does not use up the allowance), `interval` is the smallest distance of the fires around, and
//! `allowance` is what catch-up may start besides, and one for a night that is an hour shorter. A fire that
//! comes too early waits, as one that finds its DAG busy does. With `"catchup": true` each fire is started
//! once, and that is all that bounds it. A DAG that is loaded begins anew.

use std::time::Duration;

use super::event::Monotonic;
use crate::dag::Catchup;
use crate::timetable::{Timestamp, Timetable};

/// Fires that are looked at on each side of one.
const LOOKED_AT: usize = 4;
/// A start, in parts.
const START: u64 = 1_000_000_000;

/// What one DAG may start still, in parts of a start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    most: u64,
    left: u64,
    since: Monotonic,
}

impl Pace {
    /// Has started nothing yet.
    pub(super) fn new(now: Monotonic, allowance: u64) -> Self {
        let most = (1 + allowance).saturating_mul(START);
        Self {
            most,
            left: most,
            since: now,
        }
    }

    /// Takes a start. If there is none left: how long it is until there is.
    pub(super) fn take(&mut self, now: Monotonic, interval: Duration) -> Result<(), Duration> {
        let interval_ms = u64::try_from(interval.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let elapsed_ms = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        let more = u128::from(elapsed_ms) * u128::from(START) * 65 / 64 / u128::from(interval_ms);
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.left = self.left.saturating_add(more).min(self.most);
        self.since = now;
        if self.left >= START {
            self.left -= START;
            return Ok(());
        }
        let missing = u128::from(START - self.left) * u128::from(interval_ms);
        let wait_ms = missing * 64 / 65 / u128::from(START) + 1;
        Err(Duration::from_millis(
            u64::try_from(wait_ms).unwrap_or(u64::MAX),
        ))
    }
}

/// How many runs may be started besides what is due; `None`: as many as were missed, each once.
pub(super) fn allowance(catchup: Catchup) -> Option<u64> {
    match catchup {
        Catchup::Latest | Catchup::None => Some(2),
        Catchup::AtMost(count) => Some(1 + u64::from(count)),
        Catchup::All => None,
    }
}

/// The smallest distance of the fires around one; `None` if it has no neighbours.
pub(super) fn interval(timetable: &Timetable, fire: Timestamp) -> Option<Duration> {
    let after = std::iter::successors(Some(fire), |fire| timetable.next_after(*fire));
    let before = std::iter::successors(Some(fire), |fire| timetable.previous_before(*fire));
    let after: Vec<_> = after.take(1 + LOOKED_AT).collect();
    let before: Vec<_> = before.take(1 + LOOKED_AT).collect();
    let ahead = after.windows(2).map(|pair| pair[1].since(pair[0]));
    let behind = before.windows(2).map(|pair| pair[0].since(pair[1]));
    ahead.chain(behind).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts as often as it may, at every second.
    fn starts(seconds: u64, interval_s: u64, allowance: u64) -> u64 {
        let mut pace = Pace::new(Monotonic(0), allowance);
        let interval = Duration::from_secs(interval_s);
        let mut starts = 0;
        for second in 0..=seconds {
            while pace.take(Monotonic(second * 1_000), interval).is_ok() {
                starts += 1;
            }
        }
        starts
    }

    #[test]
    fn no_more_is_started_than_time_allows() {
        assert_eq!(starts(0, 60, 2), 3);
        assert_eq!(starts(59, 60, 2), 3);
        assert_eq!(starts(60, 60, 2), 4);
        assert_eq!(starts(3_600, 60, 0), 1 + 60);
        assert_eq!(starts(86_400, 60, 2), 3 + 1_440 * 65 / 64);
        assert_eq!(starts(86_400, 86_400, 2), 4);
    }

    #[test]
    fn what_is_too_early_is_told_how_long_to_wait() {
        let mut pace = Pace::new(Monotonic(0), 0);
        let minute = Duration::from_secs(60);
        assert_eq!(pace.take(Monotonic(0), minute), Ok(()));
        let wait = pace.take(Monotonic(10_000), minute).unwrap_err();
        assert!(
            wait > Duration::from_secs(48) && wait <= Duration::from_secs(50),
            "{wait:?}"
        );
        let then = Monotonic(10_000).after(wait);
        assert_eq!(pace.take(then, minute), Ok(()));
    }
}
