//! The daemon gives its place to another program, as soon as it can.

use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use super::Service;
use crate::daemon::clock;
use crate::daemon::takeover::{Left, Takeover};
use crate::exec::keep_on_exec;
use crate::journal::Journal;
use crate::scheduler::{AttemptId, Monotonic};

/// How long tasks that are being ended, and the disk, are waited for.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// A program that is to take this one's place.
pub(super) struct Replacing {
    program: PathBuf,
    until: Monotonic,
}

impl Service {
    /// Makes `program`, which has said that it can, this process's program.
    pub(super) fn replace_by(&mut self, program: PathBuf) {
        log::info!(
            "`{}` takes over as soon as no task is being ended",
            program.display()
        );
        let until = clock::now().monotonic.after(PATIENCE);
        self.replacing = Some(Replacing { program, until });
    }

    /// When it gives up.
    pub(super) fn replacing_until(&self) -> Option<Monotonic> {
        self.replacing.as_ref().map(|replacing| replacing.until)
    }

    /// Becomes the other program, if one is to take over and nothing stands in the way. Call it when all that has
    /// happened was noticed: what is known of a process that has ended is not handed over.
    pub fn give_way(&mut self) {
        let Some(replacing) = &self.replacing else {
            return;
        };
        let now = clock::now();
        if let Some(why) = self.not_yet() {
            if replacing.until <= now.monotonic {
                log::error!(
                    "`{}` does not take over: {why}",
                    replacing.program.display()
                );
                self.replacing = None;
            }
            return;
        }
        let program = replacing.program.clone();
        self.replacing = None;
        self.sync_now();
        if self.ledger.synced() < self.ledger.appended {
            return log::error!(
                "`{}` does not take over: the journal cannot be synced",
                program.display()
            );
        }
        let Some(lock) = &self.lock else {
            return;
        };
        let takeover = self.takeover(lock.as_raw_fd());
        log::info!(
            "`{}` takes over, with {} tasks",
            program.display(),
            takeover.attempts.len()
        );
        // Nothing comes back from this if it works.
        let kept = keep_on_exec(lock, true);
        let error = kept.map_or_else(|error| error, |()| takeover.exec(&program));
        log::error!(
            "`{}` does not take over: {error}; this one goes on",
            program.display()
        );
        let _ = keep_on_exec(lock, false);
        self.driver.keep_processes();
    }

    /// Why it has to wait, if it has.
    fn not_yet(&self) -> Option<&'static str> {
        if self.is_stopping {
            return Some("the daemon is stopping");
        }
        if self.trouble().is_some() {
            return Some("nothing can be recorded");
        }
        if self.scheduler().is_ending_attempts() {
            return Some("a task is being ended and does not end");
        }
        if !self.driver.hooks().are_idle() {
            return Some("hooks run");
        }
        let is_syncing = self.ledger.syncing_since.is_some() || !self.unsynced.is_empty();
        is_syncing.then_some("the disk does not sync")
    }

    /// The one time that the loop waits for the disk: no other program may begin before it has everything.
    fn sync_now(&mut self) {
        let journal = self.ledger.journal.as_mut();
        if let Some(task) = journal.and_then(Journal::begin_sync) {
            self.synced(task.run());
        }
    }

    fn takeover(&self, lock: RawFd) -> Takeover {
        let state = self.state();
        let left = |(id, started, process): (AttemptId, Monotonic, _)| {
            let run = state.run(id.run)?;
            Some(Left {
                run: id.run.0,
                task_id: run.dag.task(id.task).task_id.to_string(),
                try_number: id.try_number,
                started,
                process,
            })
        };
        Takeover {
            lock,
            attempts: self.driver.hand_over().filter_map(left).collect(),
        }
    }
}
