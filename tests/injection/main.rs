//! Two hundred hostile values, through params, XComs, run ids and DAG ids, into every place a template may stand.
//!
//! Each ends as data, byte for byte, or as an error that says what is wrong. None is ever run: the canary
//! file that they all try to touch is not there afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

mod corpus;
mod hooks;
mod ids;
mod place;
mod places;
mod run;
mod server;
mod triggers;
mod values;
