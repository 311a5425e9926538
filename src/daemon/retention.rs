//! Deletes task logs when their time is over: by count, by age, by size.
//!
//! Of `<state>/logs/dag_id=D/run_id=R/` the latest runs of each DAG stay; of these, those that are old
//! go, and the oldest of all DAGs while all together are too large. The logs of a run that is queued or
//! running never go; of one that ended and is still in memory, only by count. A run is as old as its
//! directory: it was changed last when the last of its tasks began for the first time.
//!
//! What takes time is a [`Sweep`], done in a helper thread: it looks, and removes. In between the loop
//! asks the scheduler once more about each run that is to go, and renames its directory to `run_id=.R`,
//! which is no run's name. So a run that is cleared or triggered meanwhile keeps its logs, and what is
//! being removed has no other user. Links are not followed, and nothing else is ever touched.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod sweep;

use self::sweep::{Doomed, Held, Look, dag_directory};
pub use self::sweep::{Found, Sweep};
use super::config::Retention;
use crate::dag::map_of;
use crate::scheduler::{Fact, Monotonic, Now, Record, RunFact, State, TaskFact};

/// How often everything is looked at: for what has grown old, and for DAGs that are gone.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Everything is not looked at more often than this because much is printed.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);
/// Directories renamed in one turn of the loop.
const RENAMED_MAX: usize = 64;
/// What a log takes beyond what was printed: its own block, and a part of its directories.
const LOG_BYTES: u64 = 8 << 10;

/// Knows when logs are to be looked at, and which are to go.
#[derive(Debug)]
pub struct Keeper {
    logs: PathBuf,
    retention: Retention,
    /// DAGs of which a run has ended.
    ended: BTreeSet<Arc<str>>,
    /// When everything is looked at again, and when it was before.
    look_at: Monotonic,
    looked_at: Monotonic,
    /// What all logs took then, and about what was printed since.
    bytes: u64,
    doomed: VecDeque<Doomed>,
    /// A sweep is under way.
    is_busy: bool,
}

impl Keeper {
    /// Of the logs below `state`. Looks at everything as soon as it can.
    pub fn new(state: &Path, retention: Retention, now: Now) -> Self {
        Self {
            logs: state.join("logs"),
            retention,
            ended: BTreeSet::new(),
            look_at: now.monotonic,
            looked_at: now.monotonic,
            bytes: 0,
            doomed: VecDeque::new(),
            is_busy: false,
        }
    }

    /// From now on keeps more, or less.
    pub fn set(&mut self, retention: Retention, now: Now) {
        if self.retention != retention {
            self.retention = retention;
            self.hurry(now);
        }
    }

    /// Looks at everything now: the disk is full.
    pub fn hurry(&mut self, now: Now) {
        self.look_at = now.monotonic;
    }

    /// Takes note of what has happened.
    pub fn record(&mut self, record: &Record) {
        let Fact::Run(_, fact) = &record.fact else {
            return;
        };
        match fact {
            RunFact::Ended { .. } => {
                self.ended.insert(record.dag_id.clone());
            }
            RunFact::Task(_, TaskFact::Ended { attempt, .. }) => {
                let kept = attempt
                    .output_bytes
                    .saturating_sub(attempt.output_dropped_bytes);
                self.bytes = self.bytes.saturating_add(kept).saturating_add(LOG_BYTES);
                if self.bytes > self.retention.logs_bytes() {
                    self.look_at = self.look_at.min(self.looked_at.after(LOOK_AGAIN));
                }
            }
            RunFact::Created(_)
            | RunFact::Started
            | RunFact::Stopped(_)
            | RunFact::Cleared(_)
            | RunFact::Restored(_)
            | RunFact::Noted(_)
            | RunFact::Deleted
            | RunFact::Task(..) => {}
        }
    }

    /// When to call [`Keeper::tend`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        (!self.is_busy).then_some(self.look_at)
    }

    /// What is to be done next where it may block; its result is brought back to [`Keeper::found`].
    pub fn tend(&mut self, now: Now, state: &State) -> Option<Sweep> {
        if self.is_busy {
            return None;
        }
        let remove = self.set_aside(state);
        let look = if !remove.is_empty() {
            None
        } else if self.look_at <= now.monotonic {
            self.looked_at = now.monotonic;
            self.look_at = now.monotonic.after(LOOK_EVERY);
            self.ended.clear();
            Some(None)
        } else {
            Some(Some(self.ended.pop_first()?))
        };
        self.is_busy = true;
        Some(Sweep {
            logs: self.logs.clone(),
            retention: self.retention,
            remove,
            look: look.map(|dag_id| Look {
                held: held(state, dag_id.as_deref()),
                dag_id,
                now: now.wall,
            }),
        })
    }

    /// The logs of a run that is gone are to go, too, unless another has its name by then.
    pub fn doom(&mut self, dag_id: &str, run_id: &str) {
        self.doomed.push_back(Doomed {
            dag_id: dag_id.into(),
            run_id: run_id.to_owned(),
            is_surplus: false,
        });
    }

    /// Takes what a sweep has found.
    pub fn found(&mut self, found: Found) {
        self.is_busy = false;
        if let Some(error) = found.error {
            log::warn!("retention: {error}");
        }
        if let Some(bytes) = found.bytes {
            self.bytes = bytes;
            let bytes_max = self.retention.logs_bytes();
            if bytes > bytes_max {
                log::warn!(
                    "retention: the logs of the latest runs take {bytes} bytes, more than {bytes_max}"
                );
            }
        }
        for dag_id in found.empty {
            // Here, so that no run can be about to begin in it. One that has has made it not empty.
            let _ = fs::remove_dir(dag_directory(&self.logs, &dag_id));
        }
        self.doomed.extend(found.doomed);
    }

    /// Renames the next directories that are to go, unless their runs are in use after all.
    fn set_aside(&mut self, state: &State) -> Vec<PathBuf> {
        let mut aside = Vec::new();
        while aside.len() < RENAMED_MAX
            && let Some(doomed) = self.doomed.pop_front()
        {
            if let Some((_, run)) = state.find_run(&doomed.dag_id, &doomed.run_id)
                && !(doomed.is_surplus && run.state.is_finished())
            {
                continue;
            }
            let directory = dag_directory(&self.logs, &doomed.dag_id);
            let from = directory.join(format!("run_id={}", doomed.run_id));
            let to = directory.join(format!("run_id=.{}", doomed.run_id));
            match fs::rename(&from, &to) {
                Ok(()) => aside.push(to),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    log::warn!("retention: cannot rename `{}`: {error}", from.display());
                }
            }
        }
        aside
    }
}

fn held(state: &State, dag_id: Option<&str>) -> Held {
    let dags: Vec<_> = match dag_id {
        Some(dag_id) => state.dag(dag_id).into_iter().collect(),
        None => state.dags().collect(),
    };
    let is_live = |number| {
        state
            .run(number)
            .is_some_and(|run| !run.state.is_finished())
    };
    let of_dag = |runs: &BTreeMap<Arc<str>, _>| {
        let runs = runs.iter();
        map_of(runs.map(|(run_id, number)| (run_id.clone(), is_live(*number))))
    };
    let dags = dags.iter();
    map_of(dags.map(|known| (known.dag.dag_id.clone(), of_dag(&known.runs))))
}

#[cfg(test)]
mod tests;
