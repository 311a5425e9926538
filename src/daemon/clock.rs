//! The two clocks, read here and nowhere else.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use smol::Async;

use crate::dag::Context;
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

impl Context {
    /// How long the function may still run before it is stopped: nothing when its `timeout` has come, `None` without
    /// one. Who does much one by one can end well with what there is time for.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = Monotonic(self.deadline_ms?);
        Some(deadline.since(now().monotonic))
    }
}

/// This boot of the host; empty if nobody knows.
pub fn boot_id() -> String {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot_id.unwrap_or_default().trim().to_owned()
}

fn millis(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(1_000)
        .saturating_add(time.tv_nsec / 1_000_000)
}

/// What a [`WallTimer`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rang {
    /// The moment has come.
    Due,
    /// Somebody set the clock: nothing that was computed from it holds.
    ClockSet,
}

/// Rings at a moment of the wall clock, and whenever that clock is set. Nothing is polled.
#[derive(Debug)]
pub struct WallTimer {
    timer: Async<OwnedFd>,
    armed: Cell<Option<Timestamp>>,
}

impl WallTimer {
    /// One that does not ring yet.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        Ok(Self {
            timer: Async::new_nonblocking(timer)?,
            armed: Cell::new(None),
        })
    }

    /// Waits until `at`, or for ever, or until the clock is set.
    pub async fn wait(&self, at: Option<Timestamp>) -> Rang {
        // Without a moment, the end of time: the clock may be set all the same.
        let at = at.unwrap_or(Timestamp::MAX);
        if self.armed.get() != Some(at) {
            self.arm(at);
        }
        let mut count = [0; 8];
        let rang = self
            .timer
            .read_with(|timer| rustix::io::read(timer, &mut count).map_err(io::Error::from))
            .await;
        self.armed.set(None);
        match rang {
            Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {
                Rang::ClockSet
            }
            Ok(_) | Err(_) => Rang::Due,
        }
    }

    fn arm(&self, at: Timestamp) {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A zero would disarm it.
        let millis = at.millis().max(1);
        let value = Timespec {
            tv_sec: millis.div_euclid(1000),
            tv_nsec: millis.rem_euclid(1000) * 1_000_000,
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let timer = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        // The first call after the clock was set may be cancelled by it; the second then is not.
        if timerfd_settime(&self.timer, flags, &timer).is_err() {
            let _ = timerfd_settime(&self.timer, flags, &timer);
        }
        self.armed.set(Some(at));
    }
}
