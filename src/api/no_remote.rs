//! In the place of `remote.rs`, in a program without the feature `tcp`: nobody comes by TCP. What has no value here is
//! what nobody can be or ask.

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;

use hyper::http::request::Parts;

use super::Api;
use super::caller::Caller;
use super::connection::{Stream, Visitor};
use super::problem::Problem;
use super::router::Reply;
use crate::daemon::config::Listen;

/// Somebody by TCP.
#[derive(Clone)]
pub(super) enum Remote {}

/// What somebody has shown who came by TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pass {}

/// What is asked of the gate.
pub(super) enum Errand {}

/// A TCP socket.
pub(super) enum Listener {}

/// There is nobody whom it would have to let in.
pub(super) struct Gate;

impl Gate {
    pub(super) fn new(_: &Path) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as the other one")]
    pub(super) fn is_still(&self, caller: &Caller) -> bool {
        caller.pass.is_none()
    }
}

/// Says that it does not, if somebody wants it to.
pub(super) fn listen(listen: Option<Listen>, _: &[String], _: &Api) -> Vec<Listener> {
    if let Some(Listen::At(address)) = listen {
        log::warn!(
            "nothing listens at {address}: this mini-dag was built without the feature `tcp`; the schedule goes on, and commands ask at the control socket"
        );
    }
    Vec::new()
}

impl Listener {
    #[expect(clippy::unused_async, reason = "as the other one")]
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Remote)> {
        match *self {}
    }
}

impl Remote {
    pub(super) fn address(&self) -> IpAddr {
        match *self {}
    }

    pub(super) fn source(&self) -> IpAddr {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the other one")]
    pub(super) async fn admit(
        &self,
        _: &Parts,
        _: &Api,
    ) -> Result<ControlFlow<Reply, Option<Caller>>, Problem> {
        match *self {}
    }
}

#[expect(clippy::unused_async, reason = "as the other one")]
pub(super) async fn run(
    errand: Errand,
    _: &Api,
    _: Option<&Caller>,
    _: &Visitor,
) -> Result<Reply, Problem> {
    match errand {}
}
