//! `mini-dag daemon`: the service.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use smol::LocalExecutor;

use super::{Context, Failure, dags_arg, own_state_arg};
use crate::api;
use crate::daemon::catalog::{Again, Catalog};
use crate::daemon::config::{Config, Listen, Origin};
use crate::daemon::driver::{Driver, Notices};
use crate::daemon::launch::Launcher;
use crate::daemon::layout;
use crate::daemon::lock::{Lock, LockError};
use crate::daemon::pages;
use crate::daemon::service::{Parts, Places, Service, Shared};
use crate::daemon::systemd::Systemd;
use crate::daemon::takeover::{Left, Takeover};
use crate::daemon::watch::Watcher;
use crate::daemon::{clock, logging, signals};
use crate::dag::Diagnostic;
use crate::exec;
use crate::journal::{Directory, Journal, OpenError, Options, Recovered, Report};
use crate::scheduler::{AttemptId, Scheduler, State, TaskState};

pub(super) fn command() -> Command {
    Command::new("daemon")
        .about("Run the service: the schedule, the history, the control socket")
        .after_help(
            "The config file is JSON, for example\n\n  \
             {\"dags\": [\"dags\"], \"parallelism\": 2, \"retention\": {\"runs\": 30, \"age\": \"30d\", \"bytes\": \"200MiB\"}}\n\n\
             with the keys that README lists. Paths \
             in it are relative to its directory. What the command line says wins over the file, and the file over \
             the environment. SIGHUP and `mini-dag reload` read it again; a file that no longer loads changes \
             nothing.\n\n\
             Without --config and $MINI_DAG_CONFIG it is /etc/mini-dag/mini-dag.json for a service of systemd \
             with a StateDirectory=, and ./mini-dag.json for anybody else, cron's @reboot included (there, that \
             is in the home directory). Neither has to exist.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The config file [default: $MINI_DAG_CONFIG, else mini-dag.json; see below]"),
        )
        .arg(dags_arg())
        .arg(own_state_arg())
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDR|none")
                .value_parser(Listen::parse)
                .hide(cfg!(not(feature = "tcp")))
                .help("Where the web page and the HTTP API are [default: $MINI_DAG_LISTEN, else 127.0.0.1:8080]"),
        )
}

pub(super) fn daemon(context: Context, matches: &ArgMatches) -> Result<(), Failure> {
    logging::begin();
    let held = signals::hold()
        .map_err(|error| Diagnostic::new(format!("cannot hear signals: {error}")))?;
    let Context {
        mut library,
        compiled_in,
        ..
    } = context;
    let mut origin = Origin {
        path: matches.get_one("config").cloned(),
        dags: matches
            .get_many("dags")
            .map(|paths| paths.cloned().collect())
            .unwrap_or_default(),
        state: matches.get_one("state").cloned(),
        listen: matches.get_one("listen").copied(),
    };
    let config = origin.read(&library).map_err(Failure::Diagnostics)?;
    library.timezone.clone_from(&config.timezone);
    library.pools = Some(config.pools());
    let state = super::state_directory(config.state.as_ref())?;
    create_state(&state)?;
    let second = "`mini-dag status` talks to it; use `--state <dir>` for a second one";
    let takeover = Takeover::of_env();
    let lock = match takeover.as_ref().map(|it| Lock::inherit(it.lock)) {
        Some(Ok(lock)) => lock,
        Some(Err(_)) | None => lock(&state, second)?,
    };
    let cannot = |error| Diagnostic::new(format!("cannot start processes: {error}"));
    exec::prepare().map_err(cannot)?;
    let systemd = Systemd::of_env();
    systemd.starting();
    let zoned = library.zoned(&compiled_in);
    let nothing = Catalog::default();
    let again = Again {
        before: &nothing,
        all: true,
    };
    let watcher = Watcher::new(&config.dags)
        .map_err(|error| Diagnostic::new(format!("cannot watch DAG directories: {error}")))?;
    let catalog = Catalog::load(&library, &zoned, &config.dags, Some(again));
    let (journal, recovered) = open_journal(&state, &config, &catalog)?;
    let damage = report(&state, &recovered);
    let synced_at = recovered.synced_at;
    let scheduler = Scheduler::resume(config.limits(), recovered.state, clock::now());
    let mark = Launcher::mark(&state).map_err(cannot)?;
    let left_to_us = adoptable(takeover.unwrap_or_default(), scheduler.state());
    let marks: Vec<_> = left_to_us
        .iter()
        .map(|(_, left)| &*left.process.mark)
        .collect();
    let (killed, left) = exec::kill_strays(&mark, &marks);
    if killed > 0 || left > 0 {
        log::warn!("processes of a daemon that was killed: {killed} ended, {left} could not be");
    }
    let lost: Vec<_> = scheduler.live_attempts().collect();

    let mut launcher = Launcher::new(state.clone(), library.zone()).map_err(cannot)?;
    launcher.equip(library.zone(), &config);
    launcher.contain(exec::Cgroups::claim());
    let executor = Rc::new(LocalExecutor::new());
    let (mut driver, notices) =
        Driver::new(scheduler, launcher, executor.clone()).map_err(cannot)?;
    let lost = go_on_with(&mut driver, &left_to_us, lost);
    background(
        &executor,
        "signals are not heard",
        signals::listen(held, driver.sender()),
    );
    let places = Places {
        socket: layout::control_socket(&state),
        state,
        dags: config.dags.clone(),
    };
    let listen = config.listen;
    let host_names = config.host_names.clone();
    let service = Service::new(Parts {
        driver,
        journal: Some(journal),
        damage,
        synced_at,
        executor: executor.clone(),
        library,
        compiled_in,
        zoned,
        catalog,
        places,
        origin,
        config,
        systemd,
        lock: Some(lock),
    });
    let service = Rc::new(RefCell::new(service));
    let _doors = api::listen(&service, &executor, listen, &host_names);
    smol::block_on(executor.run(serve(service, notices, lost, watcher)));
    Ok(())
}

/// What the program before this one has left and the journal knows of: attempts that run. A poke that no record
/// speaks of is not among them; it is ended, and made again.
fn adoptable(takeover: Takeover, state: &State) -> Vec<(AttemptId, Left)> {
    let mut known = Vec::new();
    for left in takeover.attempts {
        match attempt(state, &left) {
            Some(id) => known.push((id, left)),
            // Closes its pipe.
            None => drop(exec::inherit(left.process.pipe)),
        }
    }
    known
}

fn attempt(state: &State, left: &Left) -> Option<AttemptId> {
    let run = state.run(left.run())?;
    let task = run.dag.find(&left.task_id)?;
    let instance = run.task(task);
    let is_it = instance.state == TaskState::Running && instance.try_number == left.try_number;
    is_it.then_some(AttemptId {
        run: left.run(),
        task,
        try_number: left.try_number,
    })
}

/// Goes on with what the program before this one has left. Returns which of the attempts that ran are lost.
fn go_on_with(
    driver: &mut Driver,
    left_to_us: &[(AttemptId, Left)],
    mut lost: Vec<AttemptId>,
) -> Vec<AttemptId> {
    let mut adopted = 0;
    for (id, left) in left_to_us {
        if driver.adopt(*id, left) {
            lost.retain(|other| other != id);
            adopted += 1;
        }
    }
    if adopted > 0 {
        log::info!("{adopted} tasks of the program before go on");
    }
    lost
}

/// Creates a state directory, for its owner only, unless it is there.
pub(super) fn create_state(state: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(state)
        .map_err(|error| {
            Diagnostic::new(format!("cannot create `{}`: {error}", state.display())).into()
        })
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

/// Makes the state directory ours until the lock is dropped; `otherwise` says what to do if it is taken.
pub(super) fn lock(state: &Path, otherwise: &str) -> Result<Lock, Failure> {
    Lock::take(state).map_err(|error| match error {
        LockError::Taken(pid) => {
            let message = format!("another mini-dag is using `{}`", state.display());
            let holder = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            Diagnostic::new(message)
                .note(format!("its lock is held by {holder}"))
                .help(otherwise.to_owned())
                .into()
        }
        LockError::Io(error) => {
            Diagnostic::new(format!("cannot lock `{}`: {error}", state.display())).into()
        }
    })
}

/// Reads the journal back, with the DAGs that there are now.
fn open_journal(
    state: &Path,
    config: &Config,
    catalog: &Catalog,
) -> Result<(Journal, Recovered), Failure> {
    let options = Options {
        boot_id: clock::boot_id(),
        retention_bytes: config.retention.journal_bytes(),
        // Not before it is known whether the clock can be right.
        retention_age: None,
        ..Options::default()
    };
    let disk = Arc::new(Directory::new(&state.join("journal")));
    let dags = catalog.dags.values().cloned();
    Journal::open(disk, options, dags, clock::now()).map_err(|error| {
        let place = state.join("journal");
        let diagnostic = Diagnostic::new(format!("cannot read `{}`: {error}", place.display()));
        let is_newer = matches!(error, OpenError::Version { .. });
        let help = "install the version of mini-dag again that wrote it; nothing was changed";
        diagnostic.help(is_newer.then(|| help.to_owned())).into()
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
async fn serve(service: Shared, notices: Notices, lost: Vec<AttemptId>, watcher: Watcher) {
    service.borrow_mut().begin(lost, watcher);
    while !service.borrow().is_over() {
        let deadline = service.borrow().next_deadline();
        let fire = service.borrow().next_fire();
        if service.borrow().is_at_rest() {
            pages::rest();
        }
        let notice = notices.next(deadline, fire).await;
        service.borrow_mut().notice(notice);
        if notices.is_empty() {
            service.borrow_mut().give_way();
        }
    }
    service.borrow_mut().end();
}
