//! The control plane: a real daemon, asked over its socket and by the command line.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the program as its users do, and fail by panicking"
)]

mod access;
mod backfills;
mod commands;
mod cves;
mod daemon;
mod flow;
mod history;
mod hostile;
mod logging;
mod logs;
mod marks;
mod page;
mod pools;
mod recorded;
mod socket;
mod storm;
mod triggers;
mod views;
mod visitor;
