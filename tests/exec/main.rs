//! Real processes: what `mini_dag::exec` promises, shown with `/bin/sh` and its friends.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests measure how long things take, and fail by panicking"
)]

mod attempt;
#[cfg(feature = "http")]
mod http;
mod launch;
mod limits;
mod output;
#[cfg(feature = "tls")]
mod tls;
mod tree;
#[cfg(not(feature = "http"))]
mod without_http;
mod worker;
