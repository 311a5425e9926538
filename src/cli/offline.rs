//! What the journal says, for commands that only read, when no daemon answers.
//!
//! The same handlers answer as in the daemon, from a service that can record nothing and start nothing.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::ArgMatches;
use smol::LocalExecutor;

use super::{Context, Failure, daemon, terminal};
use crate::api;
use crate::daemon::catalog::{Catalog, Library};
use crate::daemon::clock;
use crate::daemon::config::Origin;
use crate::daemon::driver::Driver;
use crate::daemon::launch::Launcher;
use crate::daemon::layout;
use crate::daemon::service::{Parts, Places, Service};
use crate::daemon::systemd::Systemd;
use crate::daemon::zones::Zones;
use crate::dag::Diagnostic;
use crate::journal::{Directory, Disk, read_state};
use crate::scheduler::Scheduler;
use crate::timetable::Lines;

/// Somebody to ask while there is no daemon.
pub(super) struct Offline<'c> {
    context: &'c Context,
    dags: Vec<PathBuf>,
    /// Read when the first question is asked.
    service: RefCell<Option<Service>>,
}

impl<'c> Offline<'c> {
    /// With the DAGs that the command line names, else the config file, else those of the usual place.
    pub(super) fn new(context: &'c Context, matches: &ArgMatches) -> Self {
        Self {
            context,
            dags: matches
                .get_many("dags")
                .map(|paths| paths.cloned().collect())
                .unwrap_or_default(),
            service: RefCell::new(None),
        }
    }

    /// The status and the JSON that answer a `GET`. `None` if nothing has ever been recorded there.
    pub(super) fn answer(
        &self,
        state: &Path,
        target: &str,
    ) -> Result<Option<(u16, String)>, Failure> {
        let mut service = self.service.borrow_mut();
        if service.is_none() {
            *service = self.open(state)?;
        }
        Ok(service
            .as_ref()
            .map(|service| api::answer_offline(service, target)))
    }

    /// Whether it has been asked.
    pub(super) fn is_asked(&self) -> bool {
        self.service.borrow().is_some()
    }

    /// A daemon is there again: what was read is old.
    pub(super) fn forget(&self) {
        *self.service.borrow_mut() = None;
    }

    /// The config file of the daemon that is asked unless `--state` names another one.
    fn config_of(&self, state: &Path) -> Option<PathBuf> {
        let mut asked = Origin::asked();
        let config = asked.read(&self.context.library).ok()?;
        let is_its = config.state.as_deref() == Some(state);
        asked.path.filter(|_| is_its)
    }

    fn open(&self, state: &Path) -> Result<Option<Service>, Failure> {
        let place = state.join("journal");
        let cannot = |error: &dyn std::fmt::Display| {
            Diagnostic::new(format!("cannot read `{}`: {error}", place.display()))
        };
        let disk = Directory::new(&place);
        let files = disk.list().map_err(|error| cannot(&error))?;
        let is_segment = |name: &str| Path::new(name).extension() == Some(OsStr::new("jsonl"));
        if !files.iter().any(|(name, _)| is_segment(name)) {
            return Ok(None);
        }
        let context = self.context;
        let mut origin = Origin {
            path: self.config_of(state),
            dags: self.dags.clone(),
            state: Some(state.to_owned()),
            listen: None,
        };
        let mut config = origin
            .read(&context.library)
            .map_err(Failure::Diagnostics)?;
        config.dags.retain(|path| path.exists());
        let library = Library {
            functions: context.library.functions.clone(),
            zones: Zones::of_host(),
            timezone: config.timezone.clone(),
            pools: Some(config.pools()),
            lines: Lines::default(),
        };
        let zoned = library.zoned(&context.compiled_in);
        let catalog = Catalog::load(&library, &zoned, &config.dags, None);
        let dags = catalog.dags.values().cloned();
        let recovered = read_state(&disk, dags).map_err(|error| cannot(&error))?;
        let damage = daemon::damage(state, &recovered.report);
        tell(damage.as_deref());
        let scheduler = Scheduler::resume(config.limits(), recovered.state, clock::now());
        let executor = Rc::new(LocalExecutor::new());
        let launcher = Launcher::new(state.to_owned(), library.zone());
        let launcher = launcher.map_err(|error| cannot(&error))?;
        let driver = Driver::new(scheduler, launcher, executor.clone());
        let (driver, _) = driver.map_err(|error| cannot(&error))?;
        Ok(Some(Service::new(Parts {
            driver,
            journal: None,
            synced_at: None,
            damage,
            executor,
            library,
            compiled_in: context.compiled_in.clone(),
            zoned,
            catalog,
            origin,
            places: Places {
                socket: layout::control_socket(state),
                state: state.to_owned(),
                dags: config.dags.clone(),
            },
            config,
            systemd: Systemd::default(),
            lock: None,
        })))
    }
}

/// Whose word this is.
fn tell(damage: Option<&str>) {
    let mut told = "no daemon runs; this is what the journal says\n".to_owned();
    if let Some(damage) = damage {
        told.push_str(damage);
        told.push('\n');
    }
    terminal::note(&told);
}
