//! When a DAG is due: moments, schedules, zones.
//!
//! This room knows nobody and reads no clock: every function takes the moments it needs.

mod timestamp;

pub use timestamp::{Timestamp, TimestampError};
