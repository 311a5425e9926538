//! Where the daemon of a simulated world keeps its records: as `daemon::service` does, in a real journal
//! on a simulated disk; or, for speed, in a list that is as good as a disk that never fails.

use std::sync::Arc;

use mini_dag::dag::Dag;
use mini_dag::journal::{Health, Journal, Options, Position, SyncTask};
use mini_dag::scheduler::{Now, Record, State};

use crate::rng::Rng;
use crate::sim_disk::SimDisk;

const SYNC_INTERVAL_MS: u64 = 1_000;

pub struct Ledger {
    store: Store,
    /// How many records were there when it was opened, and how many there are.
    base: usize,
    appended: usize,
    /// When to sync what nobody waits for.
    sync_at: Option<u64>,
    /// When the sync that is under way ends.
    sync_ends: Option<u64>,
}

enum Store {
    List {
        synced: usize,
        syncing: usize,
    },
    Journal {
        journal: Box<Journal>,
        task: Option<SyncTask>,
    },
}

impl Ledger {
    pub fn list(base: usize) -> Self {
        let store = Store::List {
            synced: base,
            syncing: base,
        };
        Self::new(store, base)
    }

    /// Opens the journal on a disk, with so many records; says what it has found.
    pub fn open(
        disk: &SimDisk,
        base: usize,
        dags: Vec<Arc<Dag>>,
        now: Now,
        options: Options,
    ) -> Option<(Self, State)> {
        let disk = Arc::new(disk.clone());
        let (journal, found) = Journal::open(disk, options, dags, now).ok()?;
        assert_eq!(found.report.damage, [], "a crash is no damage");
        assert!(!found.report.held, "a crash is no damage");
        let store = Store::Journal {
            journal: Box::new(journal),
            task: None,
        };
        Some((Self::new(store, base), found.state))
    }

    fn new(store: Store, base: usize) -> Self {
        Self {
            store,
            base,
            appended: base,
            sync_at: None,
            sync_ends: None,
        }
    }

    /// `false`: they are not written, and nothing may begin that follows from them.
    pub fn record(&mut self, records: &[Record], now: Now, state: &State) -> bool {
        self.appended += records.len();
        let at = now.monotonic.0 + SYNC_INTERVAL_MS;
        self.sync_at.get_or_insert(at);
        if let Store::Journal { journal, .. } = &mut self.store {
            for record in records {
                journal.append(record);
            }
            journal.flush(now, state);
        }
        self.written() >= self.appended
    }

    pub fn appended(&self) -> usize {
        self.appended
    }

    fn place(&self, position: Position) -> usize {
        self.base + usize::try_from(position.0).unwrap()
    }

    /// What survives the end of the process.
    pub fn written(&self) -> usize {
        match &self.store {
            Store::List { .. } => self.appended,
            Store::Journal { journal, .. } => self.place(journal.written()),
        }
    }

    /// What survives the end of the power.
    pub fn synced(&self) -> usize {
        match &self.store {
            Store::List { synced, .. } => *synced,
            Store::Journal { journal, .. } => self.place(journal.synced()),
        }
    }

    pub fn is_healthy(&self) -> bool {
        match &self.store {
            Store::List { .. } => true,
            Store::Journal { journal, .. } => *journal.health() == Health::Healthy,
        }
    }

    pub fn next_deadline(&self) -> Option<u64> {
        let retry = match &self.store {
            Store::List { .. } => None,
            Store::Journal { journal, .. } => journal.next_deadline().map(|at| at.0),
        };
        [retry, self.sync_at, self.sync_ends]
            .into_iter()
            .flatten()
            .min()
    }

    /// Begins a sync if one is needed and none is under way. It takes its time.
    pub fn begin_sync(&mut self, now: Now, rng: &mut Rng) {
        if self.sync_ends.is_some() {
            return;
        }
        match &mut self.store {
            Store::List { synced, syncing } => {
                if *synced == self.appended {
                    return;
                }
                *syncing = self.appended;
            }
            Store::Journal { journal, task } => {
                *task = journal.begin_sync();
                if task.is_none() {
                    return;
                }
            }
        }
        self.sync_at = None;
        self.sync_ends = Some(now.monotonic.0 + 1 + rng.up_to(300));
    }

    /// Serves what is due. True if a sync has ended.
    pub fn serve(&mut self, now: Now, state: &State, rng: &mut Rng) -> bool {
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= now.monotonic.0);
        let has_synced = is_due(self.sync_ends);
        if has_synced {
            self.sync_ends = None;
        }
        match &mut self.store {
            Store::List { synced, syncing } => {
                if has_synced {
                    *synced = *syncing;
                }
            }
            Store::Journal { journal, task } => {
                if let Some(task) = task.take_if(|_| has_synced) {
                    journal.sync_done(task.run(), now, state);
                }
                if is_due(journal.next_deadline().map(|at| at.0)) {
                    journal.retry(now, state);
                }
            }
        }
        if has_synced && self.synced() < self.appended {
            self.sync_at
                .get_or_insert(now.monotonic.0 + SYNC_INTERVAL_MS);
        }
        if is_due(self.sync_at) {
            self.sync_at = None;
            self.begin_sync(now, rng);
        }
        has_synced
    }

    /// What the journal knows of a DAG that was not there when it was opened.
    pub fn claim(&mut self, dag_id: &str) -> Option<Vec<Record>> {
        match &mut self.store {
            Store::List { .. } => None,
            Store::Journal { journal, .. } => Some(journal.claim(dag_id)),
        }
    }
}
