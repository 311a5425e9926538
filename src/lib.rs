//! mini-dag: Airflow's model at cron's weight.

pub mod dag;
pub mod exec;
pub mod timetable;

pub use dag::json;
