//! The journal, as the daemon writes it: where records go, and by when they are to be synced.

use std::time::Duration;

use super::feed::Feed;
use super::meters::Meters;
use crate::daemon::driver::Recorder;
use crate::daemon::retention::Keeper;
use crate::journal::{Health, Journal, Position};
use crate::scheduler::{ClockTrust, Fact, Monotonic, Now, Record, RunFact, Scheduler, State};

/// The journal, as the driver's recorder.
pub(super) struct Ledger {
    /// None of a service that only looks: nothing can be recorded, so nothing can begin.
    pub(super) journal: Option<Journal>,
    pub(super) appended: Position,
    pub(super) sync_at: Option<Monotonic>,
    pub(super) sync_interval: Duration,
    /// Since when a sync has been under way.
    pub(super) syncing_since: Option<Monotonic>,
    pub(super) keeper: Keeper,
    pub(super) feed: Feed,
    pub(super) meters: Meters,
}

impl Ledger {
    pub(super) fn synced(&self) -> Position {
        self.journal.as_ref().map_or(Position(0), Journal::synced)
    }

    /// Why nothing reaches the disk any more, if so.
    pub(super) fn cut_off(&self) -> Option<&str> {
        match self.journal.as_ref()?.health() {
            Health::Degraded {
                why,
                is_writable: false,
            } => Some(why),
            Health::Healthy | Health::Degraded { .. } => None,
        }
    }

    pub(super) fn retry_at(&self) -> Option<Monotonic> {
        self.journal.as_ref()?.next_deadline()
    }
}

impl Recorder for Ledger {
    fn record(&mut self, records: Vec<Record>, now: Now, scheduler: &Scheduler) -> bool {
        let Some(journal) = &mut self.journal else {
            return false;
        };
        self.feed.record(&records, scheduler.state());
        self.meters.record(&records, scheduler.state());
        let trust = scheduler.verdict().trust;
        journal.set_synchronised(trust == ClockTrust::Synchronised);
        for record in &records {
            tell_of_a_failure(record, scheduler.state());
            self.appended = journal.append(record);
            self.keeper.record(record);
        }
        journal.flush(now, scheduler.state());
        self.sync_at
            .get_or_insert_with(|| now.monotonic.after(self.sync_interval));
        journal.written() >= self.appended
    }
}

/// Who reads the log of the service hears of each run that has failed.
fn tell_of_a_failure(record: &Record, state: &State) {
    if let Fact::Run(number, RunFact::Ended { success: false }) = &record.fact
        && let Some(run) = state.run(*number)
    {
        log::warn!("dag={} run={} failed", record.dag_id, run.facts.run_id);
    }
}
