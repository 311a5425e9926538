//! What the daemon does about its disk: syncs, answers what is synced, tries again what failed, and looks
//! after task logs. What takes time is done aside; the loop hears of it by a notice.

use std::time::Duration;

use super::{Changed, Service};
use crate::daemon::aside::aside;
use crate::daemon::clock;
use crate::daemon::driver::Notice;
use crate::journal::{Journal, SyncDone};
use crate::scheduler::{Event, Monotonic, Now, Refusal};

/// A disk that has not synced for so long will not: the watchdog is fed no more.
const SYNC_PATIENCE: Duration = Duration::from_secs(5 * 60);

impl Service {
    pub(super) fn answer_what_is_synced(&mut self) {
        let synced = self.ledger.synced();
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
    pub(super) fn begin_sync(&mut self) {
        let journal = self.ledger.journal.as_mut();
        let Some(task) = journal.and_then(Journal::begin_sync) else {
            return;
        };
        self.ledger.sync_at = None;
        self.ledger.syncing_since = Some(clock::now().monotonic);
        self.ledger.meters.syncs += 1;
        let sender = self.driver.sender();
        let sync = async move {
            let done = aside(move || task.run()).await;
            // The loop has ended.
            let _ = sender.try_send(Notice::Synced(done));
        };
        self.executor.spawn(sync).detach();
    }

    pub(super) fn synced(&mut self, done: SyncDone) {
        let (now, state) = (clock::now(), self.driver.scheduler().state());
        self.ledger.syncing_since = None;
        if let Some(journal) = &mut self.ledger.journal {
            journal.sync_done(done, now, state);
        }
        self.answer_what_is_synced();
        if self.ledger.synced() < self.ledger.appended {
            let at = now.monotonic.after(self.ledger.sync_interval);
            self.ledger.sync_at.get_or_insert(at);
            if !self.unsynced.is_empty() || self.is_stopping {
                self.begin_sync();
            }
        }
    }

    /// Serves the journal's deadlines, and tells the scheduler whether records can be written.
    pub(super) fn tend_the_journal(&mut self) {
        let now = clock::now();
        let is_due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now.monotonic);
        if is_due(self.ledger.retry_at())
            && let Some(journal) = &mut self.ledger.journal
        {
            journal.retry(now, self.driver.scheduler().state());
            // It is healthy when what it has written has been synced, and not before.
            self.begin_sync();
        }
        if is_due(self.ledger.sync_at) || self.is_stopping {
            self.ledger.sync_at = None;
            self.begin_sync();
        }
        let trouble = self.trouble();
        // Not by what the scheduler knows: a write that fails has told it before this is asked.
        let is_news = trouble != self.told;
        if is_news {
            match &trouble {
                Some(why) => {
                    log::error!("nothing new is started: {why}");
                    // Perhaps there is no space, and logs over their quota take it.
                    self.ledger.keeper.hurry(now);
                }
                None => log::info!("records can be written again"),
            }
            self.told.clone_from(&trouble);
            self.ledger.feed.tell(now.wall, Changed::Daemon);
        }
        if trouble.is_none() != self.scheduler().is_recording() {
            self.step(Event::Recording(trouble.is_none()));
        }
        if is_news {
            self.systemd.status(&self.in_a_line());
        }
        self.feed_the_watchdog(now.monotonic);
        self.sweep(now);
        if let Some(why) = self.ledger.cut_off() {
            // What was done cannot be undone, and nobody can be promised that it stays.
            let why = why.to_owned();
            for (_, number, _) in std::mem::take(&mut self.unsynced) {
                self.reply(number, Err(Refusal::Unrecorded(why.clone())));
            }
        }
    }

    /// The loop has just been here, so it lives, and with it what waits for the ends of tasks.
    fn feed_the_watchdog(&mut self, now: Monotonic) {
        let is_stuck = |since: Monotonic| now.since(since) > SYNC_PATIENCE;
        let is_well = !self.ledger.syncing_since.is_some_and(is_stuck);
        self.systemd.feed(now, is_well);
    }

    /// What systemd shows of the daemon.
    pub(super) fn in_a_line(&self) -> String {
        let errors = match self.catalog.errors.len() {
            0 => String::new(),
            errors => format!("; errors in files: {errors}"),
        };
        let line = format!("{} DAGs{errors}", self.catalog.dags.len());
        match self.trouble() {
            None if self.verdict().is_held() => line + "; scheduled runs wait for the clock",
            None => line,
            Some(why) => line + "; nothing new is started: " + &why,
        }
    }

    /// Looks after task logs in a helper thread, one thing at a time.
    pub(super) fn sweep(&mut self, now: Now) {
        let state = self.driver.scheduler().state();
        let Some(sweep) = self.ledger.keeper.tend(now, state) else {
            return;
        };
        let sender = self.driver.sender();
        let sweep = async move {
            let found = aside(move || sweep.run()).await;
            // The loop has ended.
            let _ = sender.try_send(Notice::Swept(found));
        };
        self.executor.spawn(sweep).detach();
    }
}
