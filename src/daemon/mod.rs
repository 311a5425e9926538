//! What surrounds the scheduler: clocks, files, signals, processes, and the loop that joins them.

mod adjtimex;
pub mod aside;
pub mod catalog;
pub mod clock;
#[cfg(all(target_arch = "arm", target_env = "musl"))]
mod clock32;
pub mod config;
pub mod driver;
pub mod hooks;
pub mod hygiene;
pub mod launch;
pub mod layout;
pub mod lock;
pub mod logging;
pub mod pages;
pub mod retention;
pub mod secrets;
pub mod service;
pub mod signals;
pub mod systemd;
pub mod takeover;
pub mod timesync;
pub mod watch;
pub mod zones;
