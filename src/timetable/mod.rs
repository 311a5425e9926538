//! When a DAG is due: moments, schedules, zones.
//!
//! This room knows nobody and reads no clock: every function takes the moments it needs.
//!
//! A crontab line passes through three hands: `crontab` reads it as Debian's cron does, `wall` finds the wall-clock times
//! that it names, and `fires` maps them to moments with the rules of the [`Zone`]. Whoever wants to know when a DAG is due
//! asks a [`Timetable`].

mod civil;
mod crontab;
mod duration;
mod fires;
mod lines;
mod posix;
mod schedule;
mod suggest;
mod timestamp;
mod tzif;
mod wall;
mod zone;

pub use duration::{DURATION_MAX, DurationError, duration_text, parse_duration};
pub use fires::Timetable;
pub use lines::Lines;
pub use schedule::{CronLines, Period, Schedule, ScheduleError};
pub use suggest::{nearest, suggest_zone};
pub use timestamp::{Timestamp, TimestampError};
pub use zone::{Local, Transition, Zone, ZoneError};
