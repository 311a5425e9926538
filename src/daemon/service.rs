//! The daemon: the driver, the journal, the DAGs it knows, and everybody who waits for an answer.
//!
//! One thread owns it. Whoever wants something of it (a socket, a signal, a file that changed) borrows
//! it for a moment and never across an `await`; what takes time is answered through a channel.
//!
//! A command is answered when it is on the disk. Results of tasks are synced within `sync_interval`.
//! While nothing can be recorded, nothing new starts; what runs goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use smol::{LocalExecutor, Task};

use super::catalog::{Catalog, Library};
use super::config::{Config, Origin};
use super::driver::{Driver, Notice};
use super::lock::Lock;
use super::logging::Repeated;
use super::retention::Keeper;
use super::systemd::Systemd;
use super::timesync::TimeSync;
use super::watch::Watcher;
use super::{clock, logging};
use crate::dag::{Dag, Diagnostic};
use crate::journal::{Health, Journal, Position};
use crate::scheduler::{
    Answer, AttemptId, ClockTrust, Command, Event, Monotonic, Now, Refusal, Run, RunNumber,
    Scheduler, State,
};
use crate::timetable::{Timestamp, Zone};

mod feed;
mod ledger;
mod meters;
mod reload;
mod replacing;
mod tending;
mod time;

use ledger::Ledger;
use replacing::Replacing;

pub use feed::{Change, Changed, Feed};
pub use meters::{BUCKETS_MS, Histogram, Meters};

/// Whoever is not needed for so long is at rest.
const REST: Duration = Duration::from_secs(10);

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
    /// As they were written, and with a zone each.
    compiled_in: Vec<Arc<Dag>>,
    zoned: Vec<Arc<Dag>>,
    origin: Origin,
    /// The last one that could be read.
    config: Config,
    config_errors: Vec<Diagnostic>,
    watching: Option<Task<()>>,
    places: Places,
    catalog: Catalog,
    loaded_at: Timestamp,
    started: Now,
    time_sync: TimeSync,
    /// What was thought of the clock when somebody was told: scheduled runs wait for it; how far it is trusted.
    thought: (bool, ClockTrust),
    /// Whoever started this program knows that it is at work.
    is_ready: bool,
    clock_sayings: Repeated,
    clock_sets: Repeated,
    commands: u64,
    waiting: BTreeMap<u64, Sender<Result<Answer, Refusal>>>,
    /// Answers that wait until what they follow from is synced, in the order they were given.
    unsynced: VecDeque<(Position, u64, Answer)>,
    /// The journal is damaged: nothing starts until somebody has looked at it.
    damage: Option<String>,
    /// The trouble that the log tells of.
    told: Option<String>,
    is_stopping: bool,
    systemd: Systemd,
    /// None of a service that only looks.
    lock: Option<Lock>,
    replacing: Option<Replacing>,
}

/// What a [`Service`] is made of.
pub struct Parts {
    /// Goes on from what the journal said.
    pub driver: Driver,
    /// Open for writing. Without one, the service only looks at what another has left behind.
    pub journal: Option<Journal>,
    /// When it was last written while the clock was synchronised.
    pub synced_at: Option<Timestamp>,
    /// What is wrong with the journal, if anything needs somebody to look at it.
    pub damage: Option<String>,
    /// Where the driver's tasks run.
    pub executor: Rc<LocalExecutor<'static>>,
    /// What DAG files are read with.
    pub library: Library,
    /// The program's own DAGs.
    pub compiled_in: Vec<Arc<Dag>>,
    /// The same, with a zone each.
    pub zoned: Vec<Arc<Dag>>,
    /// The DAGs there are.
    pub catalog: Catalog,
    /// Where everything is.
    pub places: Places,
    /// Where the config comes from.
    pub origin: Origin,
    /// What it says.
    pub config: Config,
    /// Who started this program, and wants to hear of it.
    pub systemd: Systemd,
    /// Makes the state directory ours.
    pub lock: Option<Lock>,
}

impl Service {
    /// A daemon that has not begun.
    pub fn new(parts: Parts) -> Self {
        let config = &parts.config;
        let ledger = Ledger {
            journal: parts.journal,
            appended: Position(0),
            sync_at: None,
            sync_interval: config.sync_interval,
            syncing_since: None,
            keeper: Keeper::new(&parts.places.state, config.retention, clock::now()),
            feed: Feed::default(),
            meters: Meters::default(),
        };
        Self {
            driver: parts.driver,
            ledger,
            executor: parts.executor,
            zoned: parts.zoned,
            library: parts.library,
            compiled_in: parts.compiled_in,
            origin: parts.origin,
            config: parts.config,
            config_errors: Vec::new(),
            watching: None,
            places: parts.places,
            catalog: parts.catalog,
            loaded_at: clock::now().wall,
            started: clock::now(),
            time_sync: TimeSync::new(parts.synced_at),
            thought: (false, ClockTrust::Synchronised),
            is_ready: false,
            clock_sayings: Repeated::default(),
            clock_sets: Repeated::default(),
            commands: 0,
            waiting: BTreeMap::new(),
            unsynced: VecDeque::new(),
            damage: parts.damage,
            told: None,
            is_stopping: false,
            systemd: parts.systemd,
            lock: parts.lock,
            replacing: None,
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

    /// The zone of DAGs that name none.
    pub fn timezone(&self) -> Zone {
        self.library.zone()
    }

    /// Where the daemon reads and writes.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// When the daemon started.
    pub fn started(&self) -> Now {
        self.started
    }

    /// Where those who want something of the loop say so.
    pub fn sender(&self) -> smol::channel::Sender<Notice> {
        self.driver.sender()
    }

    /// Whether this is a daemon, rather than somebody who looks at what one has left behind.
    pub fn is_live(&self) -> bool {
        self.ledger.journal.is_some()
    }

    /// What has changed lately.
    pub fn feed(&self) -> &Feed {
        &self.ledger.feed
    }

    /// The same, to be watched.
    pub fn feed_mut(&mut self) -> &mut Feed {
        &mut self.ledger.feed
    }

    /// What was counted since the start.
    pub fn meters(&self) -> &Meters {
        &self.ledger.meters
    }

    /// Why nothing new starts, if so.
    pub fn trouble(&self) -> Option<String> {
        let health = match self.ledger.journal.as_ref().map(Journal::health) {
            None | Some(Health::Healthy) => None,
            Some(Health::Degraded { why, .. }) => Some(why.clone()),
        };
        health.or_else(|| self.damage.clone())
    }

    /// What does not hold as DAGs ask for it, and why.
    pub fn warnings(&self) -> Vec<String> {
        let why = self.driver.launcher().unlimited_memory();
        let is_limited = |dag: &Dag| dag.tasks().iter().any(|it| it.memory_bytes_max.is_some());
        let limited = self.catalog.dags.values().filter(|dag| is_limited(dag));
        let limited: Vec<&str> = limited.map(|dag| &*dag.dag_id).collect();
        let mut warnings = Vec::new();
        if let Some(why) = why.filter(|_| self.is_live() && !limited.is_empty()) {
            let dags = limited.join(", ");
            warnings.push(format!(
                "`memory` limits are not enforced (DAG {dags}): {why}"
            ));
        }
        if let Some((count, last)) = self.driver.hooks().failures() {
            warnings.push(format!(
                "hooks that failed since the start: {count}; the last: {last}"
            ));
        }
        warnings
    }

    /// When something is due.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let ledger = [
            self.ledger.sync_at,
            self.ledger.retry_at(),
            self.ledger.keeper.next_deadline(),
        ];
        let others = [
            self.driver.scheduler().next_deadline(),
            self.systemd.next_deadline(),
            self.clock_deadline(),
            self.replacing_until(),
        ];
        ledger.into_iter().chain(others).flatten().min()
    }

    /// When a DAG is due by the wall clock.
    pub fn next_fire(&self) -> Option<Timestamp> {
        self.driver.scheduler().next_fire()
    }

    /// Whether nothing runs, nothing waits for the disk, and nothing is due for a while.
    pub fn is_at_rest(&self) -> bool {
        let now = clock::now();
        let is_later = |at: Monotonic| at.since(now.monotonic) > REST;
        let is_quiet = self.ledger.synced() >= self.ledger.appended
            && self.driver.scheduler().live_attempts().len() == 0;
        is_quiet
            && self.next_deadline().is_none_or(is_later)
            && self.next_fire().is_none_or(|at| at.since(now.wall) > REST)
    }

    /// When this DAG is due next, as far as the clock alone decides.
    pub fn next_run(&self, dag_id: &str) -> Option<Timestamp> {
        self.driver.scheduler().next_fire_of(dag_id)
    }

    /// Whether it was told to stop, nothing runs any more, and everything is on the disk.
    pub fn is_over(&self) -> bool {
        let is_synced = self.ledger.synced() >= self.ledger.appended;
        self.is_stopping
            && self.driver.scheduler().live_attempts().len() == 0
            && self.driver.hooks().are_idle()
            && (is_synced || self.ledger.cut_off().is_some())
    }

    /// Asks the scheduler for something. The answer comes when it is on the disk.
    pub fn ask(&mut self, command: Command) -> Receiver<Result<Answer, Refusal>> {
        let (sender, receiver) = bounded(1);
        if let Some(why) = self.trouble() {
            // The channel is new, and has room for one.
            let _ = sender.try_send(Err(Refusal::NotRecorded(why)));
            return receiver;
        }
        self.mind_the_clock();
        self.commands += 1;
        self.waiting.insert(self.commands, sender);
        self.step(Event::Command(self.commands, command));
        // The loop sleeps until a deadline that may have come nearer.
        let _ = self.driver.sender().try_send(Notice::Due);
        receiver
    }

    /// Takes a finished run of the past back into memory, so that it can be cleared.
    pub fn recall(&mut self, number: RunNumber, run: &Run) {
        if self.trouble().is_none() {
            let image = Box::new(run.image());
            self.step(Event::Recalled(run.dag.dag_id.clone(), number, image));
        }
    }

    /// Removes the logs of a run that was deleted.
    pub fn forget_logs(&mut self, dag_id: &str, run_id: &str) {
        self.ledger.keeper.doom(dag_id, run_id);
        self.sweep(clock::now());
    }

    /// Begins: files that have changed since `watcher` was made are read again, and what was running when
    /// the last daemon ended without a word is interrupted, once.
    pub fn begin(&mut self, lost: Vec<AttemptId>, watcher: Watcher) {
        self.look_at_the_clock();
        self.set_retention();
        self.wait_for_time();
        self.watch(watcher);
        self.step(Event::Booted(clock::boot_id().into()));
        if let Some(why) = self.trouble() {
            log::error!("nothing new is started: {why}");
            self.told = Some(why);
            self.step(Event::Recording(false));
        }
        self.driver.set_hooks_of_all(self.config.hooks.clone());
        for id in lost {
            self.step(Event::Lost(id));
        }
        let dags: Vec<_> = self.catalog.dags.values().cloned().collect();
        for dag in dags {
            self.step(Event::DagLoaded(dag));
        }
        for error in &self.catalog.errors {
            log::error!("{}", logging::in_a_line(error));
        }
        for warning in self.warnings() {
            log::warn!("{warning}");
        }
        let (dags, state) = (self.catalog.dags.len(), self.places.state.display());
        log::info!("ready: {dags} DAGs, state in {state}; `mini-dag status` shows how it goes");
        self.systemd.ready(&self.in_a_line());
        self.is_ready = true;
        self.tend_the_journal();
    }

    /// What is only in memory because the disk failed is tried once more, before it goes with this process.
    pub fn end(&mut self) {
        let state = self.driver.scheduler().state();
        if let Some(journal) = &mut self.ledger.journal {
            journal.try_last(clock::now(), state);
        }
    }

    /// Takes what has woken the loop.
    pub fn notice(&mut self, notice: Notice) {
        self.mind_the_clock();
        match notice {
            Notice::Reload => {
                self.systemd.reloading(clock::now());
                self.reload(true);
                self.systemd.ready(&self.in_a_line());
            }
            Notice::FilesChanged => {
                self.reload(false);
                self.systemd.status(&self.in_a_line());
            }
            Notice::Synced(done) => self.synced(done),
            Notice::Swept(found) => self.ledger.keeper.found(found),
            Notice::Replace(program) => self.replace_by(program),
            Notice::Stop if self.is_stopping => self.driver.kill_all(),
            Notice::Stop => {
                log::info!("stopping: no new task starts, running ones are ended");
                self.is_stopping = true;
                self.systemd.stopping(self.config.kill_grace);
                self.driver.hurry_hooks(self.config.kill_grace);
                self.step(Event::Shutdown);
            }
            Notice::ClockSet => {
                if let Some(times) = self.clock_sets.say(clock::now().monotonic) {
                    log::warn!("the wall clock was set{times}");
                }
                self.look_at_the_clock();
            }
            Notice::ClockSynchronised => self.look_at_the_clock(),
            Notice::Due
            | Notice::HookEnded(_)
            | Notice::HooksLate
            | Notice::Found(..)
            | Notice::Exited(..)
            | Notice::Printed(..) => {
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
}
