//! When a DAG is due: moments, schedules, zones.
//!
//! This room knows nobody and reads no clock: every function takes the moments it needs.

mod civil;
mod crontab;
mod duration;
mod schedule;
mod suggest;
mod timestamp;
mod wall;

pub use duration::{DURATION_MAX, DurationError, duration_text, parse_duration};
pub use schedule::{CronLines, Period, Schedule, ScheduleError};
pub use suggest::{nearest, suggest_zone};
pub use timestamp::{Timestamp, TimestampError};
