//! The five samples, run for real by `mini-dag run`: the program, its processes, and a server of ours.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the real program, and fail by panicking"
)]

mod download_rocket_launches;
mod nightly_backup;
mod place;
mod sensor_log;
#[path = "../server/mod.rs"]
mod server;
mod unscheduled;
mod weather_dashboard;
