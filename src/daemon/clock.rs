//! The two clocks, read here and nowhere else.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::scheduler::{Monotonic, Now};
use crate::timetable::Timestamp;

/// What both clocks show. The monotonic one counts from the host's boot, and counts while it sleeps.
pub fn now() -> Now {
    let wall = millis(clock_gettime(ClockId::Realtime));
    let monotonic = millis(clock_gettime(ClockId::Boottime));
    Now {
        wall: Timestamp::from_millis(wall),
        monotonic: Monotonic(u64::try_from(monotonic).unwrap_or(0)),
    }
}

fn millis(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(1_000)
        .saturating_add(time.tv_nsec / 1_000_000)
}
