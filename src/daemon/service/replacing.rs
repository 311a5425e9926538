//! The daemon gives its place to another program, as soon as it can.

use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Service;
use crate::daemon::clock;
use crate::daemon::takeover::{Left, Takeover};
use crate::exec::keep_on_exec;
use crate::journal::Journal;
use crate::scheduler::{AttemptId, Monotonic};

/// How long tasks that are being ended, and the disk, are waited for.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// A program that is to take this one's place, or was.
pub(super) struct Replacing {
    program: PathBuf,
    /// When it gives up; `None` if it has.
    until: Option<Monotonic>,
    /// Why it has.
    refused: String,
}

/// How a takeover goes.
pub struct Standing<'s> {
    /// The new program.
    pub program: &'s Path,
    /// Whether it may still happen.
    pub is_waiting: bool,
    /// What it waits for, or why it has not happened.
    pub reason: String,
}

impl Service {
    /// Makes `program`, which has said that it can, this process's program.
    pub(super) fn replace_by(&mut self, program: PathBuf) {
        log::info!(
            "`{}` takes over as soon as nothing stands in the way",
            program.display()
        );
        self.replacing = Some(Replacing {
            program,
            until: Some(clock::now().monotonic.after(PATIENCE)),
            refused: String::new(),
        });
    }

    /// When it gives up.
    pub(super) fn replacing_until(&self) -> Option<Monotonic> {
        self.replacing.as_ref()?.until
    }

    /// How it goes, if a program was told to take over.
    pub fn takeover_standing(&self) -> Option<Standing<'_>> {
        let replacing = self.replacing.as_ref()?;
        let is_waiting = replacing.until.is_some();
        let reason = match self.not_yet() {
            why if is_waiting => why.unwrap_or_default(),
            _ => replacing.refused.clone(),
        };
        Some(Standing {
            program: &replacing.program,
            is_waiting,
            reason,
        })
    }

    /// Another one is about to be told.
    pub fn forget_takeover(&mut self) {
        self.replacing = None;
    }

    /// Becomes the other program, if one is to take over and nothing stands in the way. Call it when all that has
    /// happened was noticed: what is known of a process that has ended is not handed over.
    pub fn give_way(&mut self) {
        let Some(until) = self.replacing_until() else {
            return;
        };
        if let Some(why) = self.not_yet() {
            if until <= clock::now().monotonic {
                self.go_on(why);
            }
            return;
        }
        self.sync_now();
        if self.ledger.synced() < self.ledger.appended {
            return self.go_on("the journal cannot be synced".to_owned());
        }
        let (Some(lock), Some(replacing)) = (&self.lock, &self.replacing) else {
            return;
        };
        let takeover = self.takeover(lock.as_raw_fd());
        log::info!(
            "`{}` takes over, with {} tasks",
            replacing.program.display(),
            takeover.attempts.len()
        );
        // Nothing comes back from this if it works.
        let kept = keep_on_exec(lock, true);
        let error = kept.map_or_else(|error| error, |()| takeover.exec(&replacing.program));
        let _ = keep_on_exec(lock, false);
        self.driver.keep_processes();
        self.go_on(error.to_string());
    }

    /// This program stays.
    fn go_on(&mut self, why: String) {
        if let Some(replacing) = &mut self.replacing {
            log::error!(
                "`{}` does not take over: {why}",
                replacing.program.display()
            );
            replacing.until = None;
            replacing.refused = why;
        }
    }

    /// Why it has to wait, if it has.
    fn not_yet(&self) -> Option<String> {
        let is_syncing = self.ledger.syncing_since.is_some() || !self.unsynced.is_empty();
        let why = if self.is_stopping {
            "the daemon is stopping"
        } else if self.trouble().is_some() {
            "nothing can be recorded"
        } else if self.scheduler().is_ending_attempts() {
            "a task is being ended and has not ended yet"
        } else if is_syncing {
            "the disk has not synced yet"
        } else {
            return self.driver.hooks().busy();
        };
        Some(why.to_owned())
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
