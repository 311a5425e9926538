//! `mini-dag daemon`: the service.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::ArgMatches;
use smol::LocalExecutor;

use super::{Context, Failure};
use crate::api;
use crate::daemon::driver::{Driver, Notices};
use crate::daemon::launch::Launcher;
use crate::daemon::lock::{Lock, LockError};
use crate::daemon::service::{Places, Service, Shared};
use crate::daemon::{clock, layout, signals};
use crate::dag::Diagnostic;
use crate::exec;
use crate::scheduler::{Limits, Scheduler};

const KILL_GRACE: Duration = Duration::from_secs(10);

pub(super) fn daemon(context: Context, matches: &ArgMatches) -> Result<(), Failure> {
    let paths = |name| -> Vec<PathBuf> {
        let paths = matches.get_many(name).map(|paths| paths.cloned().collect());
        paths.unwrap_or_default()
    };
    let state = paths("state").pop().or_else(layout::default_state);
    let Some(state) = state else {
        let help = "name one with --state, or set HOME";
        return Err(Diagnostic::new("there is no state directory")
            .help(help.to_owned())
            .into());
    };
    let mut dags = paths("dags");
    if dags.is_empty() {
        dags.push(layout::default_dags());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&state)
        .map_err(|error| {
            Diagnostic::new(format!("cannot create `{}`: {error}", state.display()))
        })?;
    let _lock = Lock::take(&state).map_err(|error| match error {
        LockError::Taken(pid) => {
            let message = format!("another mini-dag is using `{}`", state.display());
            let holder = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            Diagnostic::new(message)
                .note(format!("its lock is held by {holder}"))
                .help(
                    "`mini-dag status` talks to it; use `--state <dir>` for a second one"
                        .to_owned(),
                )
        }
        LockError::Io(error) => {
            Diagnostic::new(format!("cannot lock `{}`: {error}", state.display()))
        }
    })?;
    let cannot = |error| Diagnostic::new(format!("cannot start processes: {error}"));
    exec::prepare().map_err(cannot)?;
    let limits = Limits {
        parallelism: super::slots(),
        kill_grace: KILL_GRACE,
    };
    let launcher = Launcher::new(state.clone(), context.library.zones.local()).map_err(cannot)?;
    let executor = Rc::new(LocalExecutor::new());
    let (driver, notices) = Driver::new(Scheduler::new(limits), launcher, executor.clone());
    let listen = signals::listen(driver.sender());
    executor
        .spawn(async move {
            if let Err(error) = listen.await {
                log::warn!("signals are not heard: {error}");
            }
        })
        .detach();
    let places = Places {
        socket: state.join("control.sock"),
        state,
        dags,
    };
    let recorder = Box::new(VecDeque::new());
    let Context {
        library,
        compiled_in,
        ..
    } = context;
    let service = Service::new(driver, recorder, library, compiled_in, places, clock::now());
    let service = Rc::new(RefCell::new(service));
    let _control = api::listen(&service, &executor);
    smol::block_on(executor.run(serve(service, notices)));
    Ok(())
}

/// The loop.
async fn serve(service: Shared, notices: Notices) {
    service.borrow_mut().reload();
    while !service.borrow().is_over() {
        let deadline = service.borrow().next_deadline();
        let notice = notices.next(deadline).await;
        service.borrow_mut().notice(notice);
    }
}
