//! The answers, one file a subject. Each handler is told a request and sees the daemon at one moment.

pub(super) mod backfills;
pub(super) mod clear;
pub(super) mod dags;
pub(super) mod log;
#[cfg(feature = "tcp")]
pub(super) mod login;
pub(super) mod page;
pub(super) mod rest;
pub(super) mod runs;
pub(super) mod status;
pub(super) mod task_instances;
pub(super) mod xcoms;
