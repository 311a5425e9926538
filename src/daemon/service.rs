//! The daemon: the driver, the DAGs it knows, and everybody who waits for an answer.
//!
//! One thread owns it. Whoever wants something of it (a socket, a signal, a file that changed) borrows
//! it for a moment and never across an `await`; what takes time is answered through a channel.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use smol::channel::{Receiver, Sender, bounded};

use super::catalog::{Catalog, Library};
use super::clock;
use super::driver::{Driver, Notice, Recorder, Reply};
use crate::dag::Dag;
use crate::scheduler::{Answer, Command, Event, Monotonic, Now, Refusal, Scheduler, State};
use crate::timetable::Timestamp;

/// The daemon, as everybody on its thread holds it.
pub type Shared = Rc<RefCell<Service>>;

/// Where the daemon reads and writes.
#[derive(Clone, Debug)]
pub struct Places {
    /// Journal, logs, lock and socket.
    pub state: PathBuf,
    /// Directories and files of DAGs.
    pub dags: Vec<PathBuf>,
    /// The control socket.
    pub socket: PathBuf,
}

/// The daemon.
pub struct Service {
    driver: Driver,
    recorder: Box<dyn Recorder>,
    library: Library,
    compiled_in: Vec<Arc<Dag>>,
    places: Places,
    catalog: Catalog,
    loaded_at: Timestamp,
    started: Now,
    commands: u64,
    waiting: BTreeMap<u64, Sender<Result<Answer, Refusal>>>,
    is_stopping: bool,
}

impl Service {
    /// A daemon that has not read its DAGs yet.
    pub fn new(
        driver: Driver,
        recorder: Box<dyn Recorder>,
        library: Library,
        compiled_in: Vec<Arc<Dag>>,
        places: Places,
        started: Now,
    ) -> Self {
        Self {
            driver,
            recorder,
            library,
            compiled_in,
            places,
            catalog: Catalog::default(),
            loaded_at: started.wall,
            started,
            commands: 0,
            waiting: BTreeMap::new(),
            is_stopping: false,
        }
    }

    /// What is.
    pub fn state(&self) -> &State {
        self.driver.scheduler().state()
    }

    /// Who decides.
    pub fn scheduler(&self) -> &Scheduler {
        self.driver.scheduler()
    }

    /// The DAGs there are, and what is wrong with the files of others.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// When the DAG files were read.
    pub fn loaded_at(&self) -> Timestamp {
        self.loaded_at
    }

    /// Where the daemon reads and writes.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// When the daemon started.
    pub fn started(&self) -> Now {
        self.started
    }

    /// When something is due.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.driver.scheduler().next_deadline()
    }

    /// Whether it was told to stop and nothing runs any more.
    pub fn is_over(&self) -> bool {
        self.is_stopping && self.driver.scheduler().live_attempts().len() == 0
    }

    /// Asks the scheduler for something. The answer comes when it is on record.
    pub fn ask(&mut self, command: Command) -> Receiver<Result<Answer, Refusal>> {
        let (sender, receiver) = bounded(1);
        self.commands += 1;
        self.waiting.insert(self.commands, sender);
        self.step(Event::Command(self.commands, command));
        // The loop sleeps until a deadline that may have come nearer.
        let _ = self.driver.sender().try_send(Notice::Due);
        receiver
    }

    /// Reads the DAG files again. A file that no longer loads keeps its last good version.
    pub fn reload(&mut self) {
        let catalog = Catalog::load(&self.library, &self.compiled_in, &self.places.dags);
        for dag in catalog.dags.values() {
            self.step(Event::DagLoaded(dag.clone()));
        }
        for error in &catalog.errors {
            log::error!("{}", error.message);
        }
        self.catalog = catalog;
        self.loaded_at = clock::now().wall;
    }

    /// Takes what has woken the loop.
    pub fn notice(&mut self, notice: Notice) {
        match &notice {
            Notice::Reload => self.reload(),
            Notice::Stop if self.is_stopping => self.driver.kill_all(),
            Notice::Stop => {
                self.is_stopping = true;
                self.step(Event::Shutdown);
            }
            Notice::Due | Notice::Exited(..) | Notice::Printed(..) => {}
        }
        if let Some(event) = self.driver.event(notice) {
            self.step(event);
        }
    }

    fn step(&mut self, event: Event) {
        let replies: Vec<Reply> = self.driver.step(event, &mut *self.recorder);
        for (number, answer) in replies {
            if let Some(sender) = self.waiting.remove(&number) {
                // Whoever asked has gone away.
                let _ = sender.try_send(answer);
            }
        }
    }
}
