//! The daemon: the driver, the journal, the DAGs it knows, and everybody who waits for an answer.
//!
//! One thread owns it. Whoever wants something of it (a socket, a signal, a file that changed) borrows
//! it for a moment and never across an `await`; what takes time is answered through a channel.
//!
//! A command is answered when it is on the disk. Results of tasks are synced within [`SYNC_INTERVAL`].
//! While nothing can be recorded, nothing new starts; what runs goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use smol::{LocalExecutor, unblock};

use super::catalog::{Again, Catalog, Library};
use super::clock;
use super::driver::{Driver, Notice, Recorder};
use crate::dag::Dag;
use crate::journal::{Health, Journal, Position, SyncDone, apply_replayed};
use crate::scheduler::{
    Answer, AttemptId, Command, Event, Monotonic, Now, Record, Refusal, Scheduler, State,
};
use crate::timetable::Timestamp;

/// What is written, and nobody waits for, is synced after this time at the latest.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

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
    ledger: Ledger,
    executor: Rc<LocalExecutor<'static>>,
    library: Library,
    compiled_in: Vec<Arc<Dag>>,
    places: Places,
    catalog: Catalog,
    loaded_at: Timestamp,
    started: Now,
    commands: u64,
    waiting: BTreeMap<u64, Sender<Result<Answer, Refusal>>>,
    /// Answers that wait until what they follow from is synced, in the order they were given.
    unsynced: VecDeque<(Position, u64, Answer)>,
    /// The journal is damaged: nothing starts until somebody has looked at it.
    damage: Option<String>,
    is_stopping: bool,
}

/// The journal, as the driver's recorder.
struct Ledger {
    journal: Journal,
    appended: Position,
    sync_at: Option<Monotonic>,
}

impl Recorder for Ledger {
    fn record(&mut self, records: Vec<Record>, now: Now, state: &State) -> bool {
        for record in &records {
            self.appended = self.journal.append(record);
        }
        self.journal.flush(now, state);
        self.sync_at
            .get_or_insert_with(|| now.monotonic.after(SYNC_INTERVAL));
        self.journal.written() >= self.appended
    }
}

/// What a [`Service`] is made of.
pub struct Parts {
    /// Goes on from what the journal said.
    pub driver: Driver,
    /// Open for writing.
    pub journal: Journal,
    /// What is wrong with the journal, if anything needs somebody to look at it.
    pub damage: Option<String>,
    /// Where the driver's tasks run.
    pub executor: Rc<LocalExecutor<'static>>,
    /// What DAG files are read with.
    pub library: Library,
    /// The program's own DAGs.
    pub compiled_in: Vec<Arc<Dag>>,
    /// The DAGs there are.
    pub catalog: Catalog,
    /// Where everything is.
    pub places: Places,
}

impl Service {
    /// A daemon that has not begun.
    pub fn new(parts: Parts) -> Self {
        let ledger = Ledger {
            journal: parts.journal,
            appended: Position(0),
            sync_at: None,
        };
        Self {
            driver: parts.driver,
            ledger,
            executor: parts.executor,
            library: parts.library,
            compiled_in: parts.compiled_in,
            places: parts.places,
            catalog: parts.catalog,
            loaded_at: clock::now().wall,
            started: clock::now(),
            commands: 0,
            waiting: BTreeMap::new(),
            unsynced: VecDeque::new(),
            damage: parts.damage,
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

    /// Why nothing new starts, if so.
    pub fn trouble(&self) -> Option<String> {
        let health = match self.ledger.journal.health() {
            Health::Healthy => None,
            Health::Degraded { why, .. } => Some(why.clone()),
        };
        health.or_else(|| self.damage.clone())
    }

    /// When something is due.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let ledger = [self.ledger.sync_at, self.ledger.journal.next_deadline()];
        let scheduler = [self.driver.scheduler().next_deadline()];
        ledger.into_iter().chain(scheduler).flatten().min()
    }

    /// When a DAG is due by the wall clock.
    pub fn next_fire(&self) -> Option<Timestamp> {
        self.driver.scheduler().next_fire()
    }

    /// When this DAG is due next, as far as the clock alone decides.
    pub fn next_run(&self, dag_id: &str) -> Option<Timestamp> {
        self.driver.scheduler().next_fire_of(dag_id)
    }

    /// Whether it was told to stop, nothing runs any more, and everything is on the disk.
    pub fn is_over(&self) -> bool {
        let is_synced = self.ledger.journal.synced() >= self.ledger.appended;
        self.is_stopping
            && self.driver.scheduler().live_attempts().len() == 0
            && (is_synced || self.trouble().is_some())
    }

    /// Asks the scheduler for something. The answer comes when it is on the disk.
    pub fn ask(&mut self, command: Command) -> Receiver<Result<Answer, Refusal>> {
        let (sender, receiver) = bounded(1);
        if let Some(why) = self.trouble() {
            // The channel is new, and has room for one.
            let _ = sender.try_send(Err(Refusal::NotRecorded(why)));
            return receiver;
        }
        self.commands += 1;
        self.waiting.insert(self.commands, sender);
        self.step(Event::Command(self.commands, command));
        // The loop sleeps until a deadline that may have come nearer.
        let _ = self.driver.sender().try_send(Notice::Due);
        receiver
    }

    /// Begins: what was running when the last daemon ended without a word is interrupted, once.
    pub fn begin(&mut self, lost: Vec<AttemptId>) {
        if let Some(why) = self.trouble() {
            log::error!("nothing new is started: {why}");
            self.step(Event::Recording(false));
        }
        for id in lost {
            self.step(Event::Lost(id));
        }
        let dags: Vec<_> = self.catalog.dags.values().cloned().collect();
        for dag in dags {
            self.step(Event::DagLoaded(dag));
        }
        for error in &self.catalog.errors {
            log::error!("{}", error.message);
        }
        log::info!(
            "{} DAGs, state in {}",
            self.catalog.dags.len(),
            self.places.state.display()
        );
        self.tend_the_journal();
    }

    /// Reads the DAG files again: those that have changed, or `all`.
    pub fn reload(&mut self, all: bool) {
        let before = std::mem::take(&mut self.catalog);
        let again = Again {
            before: &before,
            all,
        };
        let dags = &self.places.dags;
        let catalog = Catalog::load(&self.library, &self.compiled_in, dags, Some(again));
        for (dag_id, dag) in &catalog.dags {
            let old = before.dags.get(dag_id);
            if old.is_none_or(|old| !Arc::ptr_eq(old, dag)) {
                log::info!("dag={dag_id} loaded");
                self.claim(dag);
                self.step(Event::DagLoaded(dag.clone()));
            }
        }
        let is_gone = |dag_id: &&Arc<str>| !catalog.dags.contains_key(*dag_id);
        for dag_id in before.dags.keys().filter(is_gone) {
            log::info!("dag={dag_id} removed");
            self.step(Event::DagRemoved(dag_id.clone()));
        }
        for error in &catalog.errors {
            log::error!("{}", error.message);
        }
        self.catalog = catalog;
        self.loaded_at = clock::now().wall;
    }

    /// Takes over what the journal knows of a DAG that was not there when it was read, before anything is
    /// due. What ran then was ended when this daemon began.
    fn claim(&mut self, dag: &Arc<Dag>) {
        let claimed = self.ledger.journal.claim(&dag.dag_id);
        if claimed.is_empty() {
            return;
        }
        log::info!("dag={} is back, with {} records", dag.dag_id, claimed.len());
        let before: BTreeSet<_> = self.scheduler().live_attempts().collect();
        self.driver.recall(clock::now(), |state| {
            state.insert_dag(dag.clone());
            for record in &claimed {
                if let Err(error) = apply_replayed(state, record) {
                    log::warn!("dag={} an old record does not fit: {error}", record.dag_id);
                }
            }
        });
        let live: BTreeSet<_> = self.scheduler().live_attempts().collect();
        for id in live.difference(&before) {
            self.step(Event::Lost(*id));
        }
    }

    /// Takes what has woken the loop.
    pub fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Reload => self.reload(true),
            Notice::FilesChanged => self.reload(false),
            Notice::Synced(done) => self.synced(done),
            Notice::Stop if self.is_stopping => self.driver.kill_all(),
            Notice::Stop => {
                log::info!("stopping: no new task starts, running ones are ended");
                self.is_stopping = true;
                self.step(Event::Shutdown);
            }
            Notice::ClockSet => {
                log::warn!("the wall clock was set");
                self.step(Event::Tick);
            }
            Notice::Due | Notice::Exited(..) | Notice::Printed(..) => {
                if let Some(event) = self.driver.event(notice) {
                    self.step(event);
                }
            }
        }
        self.tend_the_journal();
    }

    fn step(&mut self, event: Event) {
        for (number, answer) in self.driver.step(event, &mut self.ledger) {
            match answer {
                Ok(answer) => self
                    .unsynced
                    .push_back((self.ledger.appended, number, answer)),
                Err(refusal) => self.reply(number, Err(refusal)),
            }
        }
        self.answer_what_is_synced();
        if !self.unsynced.is_empty() {
            self.begin_sync();
        }
    }

    fn reply(&mut self, number: u64, answer: Result<Answer, Refusal>) {
        if let Some(sender) = self.waiting.remove(&number) {
            // Whoever asked may have gone away.
            let _ = sender.try_send(answer);
        }
    }

    fn answer_what_is_synced(&mut self) {
        let synced = self.ledger.journal.synced();
        while let Some((position, ..)) = self.unsynced.front() {
            if *position > synced {
                return;
            }
            if let Some((_, number, answer)) = self.unsynced.pop_front() {
                self.reply(number, Ok(answer));
            }
        }
    }

    /// Syncs in a helper thread: the kernel has no other way, and an SD card takes its time.
    fn begin_sync(&mut self) {
        let Some(task) = self.ledger.journal.begin_sync() else {
            return;
        };
        self.ledger.sync_at = None;
        let sender = self.driver.sender();
        let sync = async move {
            let done = unblock(move || task.run()).await;
            // The loop has ended.
            let _ = sender.try_send(Notice::Synced(done));
        };
        self.executor.spawn(sync).detach();
    }

    fn synced(&mut self, done: SyncDone) {
        let (now, state) = (clock::now(), self.driver.scheduler().state());
        self.ledger.journal.sync_done(done, now, state);
        self.answer_what_is_synced();
        if self.ledger.journal.synced() < self.ledger.appended {
            let at = now.monotonic.after(SYNC_INTERVAL);
            self.ledger.sync_at.get_or_insert(at);
            if !self.unsynced.is_empty() || self.is_stopping {
                self.begin_sync();
            }
        }
    }

    /// Serves the journal's deadlines, and tells the scheduler whether records can be written.
    fn tend_the_journal(&mut self) {
        let now = clock::now();
        let is_due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now.monotonic);
        if is_due(self.ledger.journal.next_deadline()) {
            self.ledger
                .journal
                .retry(now, self.driver.scheduler().state());
        }
        if is_due(self.ledger.sync_at) || self.is_stopping {
            self.ledger.sync_at = None;
            self.begin_sync();
        }
        let trouble = self.trouble();
        if trouble.is_none() != self.scheduler().is_recording() {
            match &trouble {
                Some(why) => log::error!("nothing new is started: {why}"),
                None => log::info!("records can be written again"),
            }
            self.step(Event::Recording(trouble.is_none()));
        }
        if let Some(why) = trouble {
            // Nobody can be promised anything now.
            for (_, number, _) in std::mem::take(&mut self.unsynced) {
                self.reply(number, Err(Refusal::NotRecorded(why.clone())));
            }
        }
    }
}
