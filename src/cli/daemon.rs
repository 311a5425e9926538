//! `mini-dag daemon`: the service.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use smol::LocalExecutor;

use super::{Context, Failure};
use crate::api;
use crate::daemon::catalog::{Again, Catalog};
use crate::daemon::driver::{Driver, Notices};
use crate::daemon::launch::Launcher;
use crate::daemon::lock::{Lock, LockError};
use crate::daemon::service::{Parts, Places, Service, Shared};
use crate::daemon::{clock, layout, logging, signals, watch};
use crate::dag::Diagnostic;
use crate::exec;
use crate::journal::{Directory, Journal, Options, Recovered, Report};
use crate::scheduler::{AttemptId, Limits, Scheduler};

pub(super) const KILL_GRACE: Duration = Duration::from_secs(10);

pub(super) fn daemon(context: Context, matches: &ArgMatches) -> Result<(), Failure> {
    logging::begin();
    let held = signals::hold()
        .map_err(|error| Diagnostic::new(format!("cannot hear signals: {error}")))?;
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
    let Context {
        library,
        compiled_in,
        ..
    } = context;

    let nothing = Catalog::default();
    let again = Again {
        before: &nothing,
        all: true,
    };
    let catalog = Catalog::load(&library, &compiled_in, &dags, Some(again));
    let (journal, recovered) = open_journal(&state, &catalog)?;
    let damage = report(&state, &recovered);
    let scheduler = Scheduler::resume(limits, recovered.state, clock::now());
    let mark = Launcher::mark(&state).map_err(cannot)?;
    let (killed, left) = exec::kill_strays(&mark);
    if killed > 0 || left > 0 {
        log::warn!("processes of a daemon that was killed: {killed} ended, {left} could not be");
    }
    let lost: Vec<_> = scheduler.live_attempts().collect();

    let launcher = Launcher::new(state.clone(), library.zones.local()).map_err(cannot)?;
    let executor = Rc::new(LocalExecutor::new());
    let (driver, notices) = Driver::new(scheduler, launcher, executor.clone()).map_err(cannot)?;
    let watched = dags.iter().filter(|path| path.is_dir()).cloned().collect();
    background(
        &executor,
        "signals are not heard",
        signals::listen(held, driver.sender()),
    );
    let watch = watch::watch(watched, driver.sender());
    background(&executor, "DAG directories are not watched", watch);
    let places = Places {
        socket: state.join("control.sock"),
        state,
        dags,
    };
    let service = Service::new(Parts {
        driver,
        journal: Some(journal),
        damage,
        executor: executor.clone(),
        library,
        compiled_in,
        catalog,
        places,
    });
    let service = Rc::new(RefCell::new(service));
    let _control = api::listen(&service, &executor);
    smol::block_on(executor.run(serve(service, notices, lost)));
    Ok(())
}

fn background(
    executor: &LocalExecutor<'static>,
    otherwise: &'static str,
    work: impl Future<Output = io::Result<()>> + 'static,
) {
    let work = async move {
        if let Err(error) = work.await {
            log::error!("{otherwise}: {error}");
        }
    };
    executor.spawn(work).detach();
}

/// Reads the journal back, with the DAGs that there are now.
fn open_journal(state: &Path, catalog: &Catalog) -> Result<(Journal, Recovered), Failure> {
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let options = Options {
        boot_id: boot_id.trim().to_owned(),
        ..Options::default()
    };
    let disk = Arc::new(Directory::new(&state.join("journal")));
    let dags = catalog.dags.values().cloned();
    Journal::open(disk, options, dags, clock::now()).map_err(|error| {
        let place = state.join("journal");
        Diagnostic::new(format!("cannot read `{}`: {error}", place.display())).into()
    })
}

/// Says how the journal was found. Returns why nothing may start, if so.
fn report(state: &Path, recovered: &Recovered) -> Option<String> {
    let report = &recovered.report;
    for torn in &report.torn {
        log::warn!("journal: a torn tail was cut off and kept aside: {torn:?}");
    }
    for (dag_id, error) in &report.refused {
        log::warn!("journal: dag={dag_id} a record does not fit: {error}");
    }
    for damage in &report.damage {
        log::error!("journal: damaged: {damage:?}");
    }
    damage(state, report)
}

/// Why nothing may start on a damaged journal, if it is one.
pub(super) fn damage(state: &Path, report: &Report) -> Option<String> {
    report.held.then(|| {
        let state = state.display();
        format!("the journal is damaged; look at it with `mini-dag journal verify --state {state}`, then run `mini-dag journal repair`")
    })
}

/// The loop.
async fn serve(service: Shared, notices: Notices, lost: Vec<AttemptId>) {
    service.borrow_mut().begin(lost);
    while !service.borrow().is_over() {
        let deadline = service.borrow().next_deadline();
        let fire = service.borrow().next_fire();
        let notice = notices.next(deadline, fire).await;
        service.borrow_mut().notice(notice);
    }
    service.borrow_mut().end();
}
