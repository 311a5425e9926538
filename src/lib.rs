//! mini-dag: Airflow's model at cron's weight.

pub mod dag;
pub mod scheduler;
pub mod timetable;
