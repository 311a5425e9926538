//! When a DAG is due: moments, schedules, zones.
//!
//! This room knows nobody and reads no clock: every function takes the moments it needs.

mod civil;
mod crontab;
mod duration;
mod fires;
mod posix;
mod schedule;
mod suggest;
mod timestamp;
mod tzif;
mod wall;
mod zone;

pub use duration::{DURATION_MAX, DurationError, duration_text, parse_duration};
pub use fires::Timetable;
pub use schedule::{CronLines, Period, Schedule, ScheduleError};
pub use suggest::{nearest, suggest_zone};
pub use timestamp::{Timestamp, TimestampError};
pub use zone::{Local, Transition, Zone, ZoneError};
