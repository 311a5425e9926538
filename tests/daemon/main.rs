//! The daemon as it is: the real program, real files, real signals, in a directory of its own per test.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

mod clock;
mod crash;
mod files;
mod hooks;
mod hygiene;
mod occasions;
mod place;
mod secrets;
mod stop;
mod systemd;
mod takeover;
mod webhooks;
