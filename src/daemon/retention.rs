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
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::config::Retention;
use crate::scheduler::{Fact, Monotonic, Now, Record, RunFact, State, TaskFact};

/// How often everything is looked at: for what has grown old, and for DAGs that are gone.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Everything is not looked at more often than this because much is printed.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);
/// Directories renamed in one turn of the loop.
const RENAMED_MAX: usize = 64;
/// Directories that are looked at in one sweep; the next one sees the rest.
const LISTED_MAX: usize = 200_000;
/// What a log takes beyond what was printed: its own block, and a part of its directories.
const LOG_BYTES: u64 = 8 << 10;

/// Which runs are in memory, by DAG; true: queued or running.
type Held = BTreeMap<Arc<str>, BTreeMap<Arc<str>, bool>>;

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

/// A run whose logs are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Doomed {
    dag_id: Arc<str>,
    run_id: String,
    /// There are enough later ones: even if it is still in memory.
    is_surplus: bool,
}

/// Work for a helper thread.
#[derive(Debug)]
pub struct Sweep {
    logs: PathBuf,
    retention: Retention,
    /// No run's any more.
    remove: Vec<PathBuf>,
    look: Option<Look>,
}

/// What to look at.
#[derive(Debug)]
struct Look {
    /// A DAG, for runs that are too many; or everything.
    dag_id: Option<Arc<str>>,
    held: Held,
    now: SystemTime,
}

/// What a [`Sweep`] found.
#[derive(Debug, Default)]
pub struct Found {
    doomed: Vec<Doomed>,
    /// DAGs without logs.
    empty: Vec<Arc<str>>,
    /// Of everything, what will stay.
    bytes: Option<u64>,
    error: Option<String>,
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
                let kept = attempt.output_bytes - attempt.output_dropped_bytes;
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
                now: wall(now),
            }),
        })
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
        runs.map(|(run_id, number)| (run_id.clone(), is_live(*number)))
            .collect()
    };
    let dags = dags.iter();
    dags.map(|known| (known.dag.dag_id.clone(), of_dag(&known.runs)))
        .collect()
}

fn wall(now: Now) -> SystemTime {
    let millis = u64::try_from(now.wall.millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn dag_directory(logs: &Path, dag_id: &str) -> PathBuf {
    logs.join(format!("dag_id={dag_id}"))
}

/// The logs of a run, as they were found.
struct Kept {
    modified: SystemTime,
    dag_id: Arc<str>,
    run_id: String,
    is_held: bool,
}

impl Sweep {
    /// Does it. Blocks for as long as the disk takes.
    pub fn run(self) -> Found {
        let mut found = Found::default();
        let mut remove = self.remove.clone();
        match &self.look {
            None => {}
            Some(look) => match &look.dag_id {
                Some(dag_id) => self.one(look, dag_id, &mut found, &mut remove),
                None => self.all(look, &mut found, &mut remove),
            },
        }
        for path in remove {
            // Does not follow links, not even if somebody puts one in its way meanwhile.
            if let Err(error) = fs::remove_dir_all(&path) {
                let error = format!("cannot remove `{}`: {error}", path.display());
                found.error.get_or_insert(error);
            }
        }
        found
    }

    /// Dooms the runs of a DAG that are too many.
    fn one(&self, look: &Look, dag_id: &Arc<str>, found: &mut Found, remove: &mut Vec<PathBuf>) {
        let directory = dag_directory(&self.logs, dag_id);
        let run_ids = runs_of(&directory, remove);
        // Most of the time that is all there is to do.
        if run_ids.len() > self.retention.runs {
            self.surplus(look, dag_id, run_ids, found);
        }
    }

    /// Dooms what is too much, too old and too large.
    fn all(&self, look: &Look, found: &mut Found, remove: &mut Vec<PathBuf>) {
        let mut kept = Vec::new();
        let mut listed = 0;
        for dag_id in inside(&self.logs, "dag_id=") {
            if listed >= LISTED_MAX {
                break;
            }
            let dag_id = Arc::from(dag_id);
            let run_ids = runs_of(&dag_directory(&self.logs, &dag_id), remove);
            if run_ids.is_empty() {
                found.empty.push(dag_id);
                continue;
            }
            listed += run_ids.len();
            kept.extend(self.surplus(look, &dag_id, run_ids, found));
        }
        let oldest = look.now.checked_sub(self.retention.age);
        let is_old = |kept: &Kept| oldest.is_some_and(|oldest| kept.modified < oldest);
        kept.retain(|kept| {
            let goes = !kept.is_held && is_old(kept);
            if goes {
                found.doomed.push(kept.doom(false));
            }
            !goes
        });
        let sized = kept.into_iter().map(|kept| (self.bytes_of(&kept), kept));
        let mut sized: Vec<_> = sized.collect();
        let mut bytes: u64 = sized.iter().map(|(bytes, _)| bytes).sum();
        let bytes_max = self.retention.logs_bytes();
        if bytes > bytes_max {
            sized.sort_by_key(|(_, kept)| kept.modified);
            for (size, kept) in sized.iter().filter(|(_, kept)| !kept.is_held) {
                // Some room is made, so that not every run that ends makes us look at everything.
                if bytes <= bytes_max - bytes_max / 8 {
                    break;
                }
                bytes -= size;
                found.doomed.push(kept.doom(false));
            }
        }
        found.bytes = Some(bytes);
    }

    /// Dooms all but the latest runs that ended, and returns those and the live ones.
    fn surplus(
        &self,
        look: &Look,
        dag_id: &Arc<str>,
        run_ids: Vec<String>,
        found: &mut Found,
    ) -> Vec<Kept> {
        let directory = dag_directory(&self.logs, dag_id);
        let held = look.held.get(dag_id);
        let mut live = Vec::new();
        let mut ended = Vec::new();
        for run_id in run_ids {
            let path = directory.join(format!("run_id={run_id}"));
            let Ok(modified) = fs::symlink_metadata(path).and_then(|m| m.modified()) else {
                continue;
            };
            let is_live = held.and_then(|held| held.get(run_id.as_str()));
            let kept = Kept {
                modified,
                dag_id: dag_id.clone(),
                run_id,
                is_held: is_live.is_some(),
            };
            if is_live == Some(&true) {
                live.push(kept);
            } else {
                ended.push(kept);
            }
        }
        ended.sort_by(|a, b| (b.modified, &b.run_id).cmp(&(a.modified, &a.run_id)));
        let surplus = ended.split_off(ended.len().min(self.retention.runs));
        found
            .doomed
            .extend(surplus.iter().map(|run| run.doom(true)));
        ended.append(&mut live);
        ended
    }

    /// What the logs of a run take on the disk.
    fn bytes_of(&self, kept: &Kept) -> u64 {
        let run = dag_directory(&self.logs, &kept.dag_id).join(format!("run_id={}", kept.run_id));
        let tasks = inside(&run, "task_id=");
        let size = |path: &Path| fs::symlink_metadata(path).map_or(0, |m| m.blocks() * 512);
        let of_task = |task: String| {
            let task = run.join(format!("task_id={task}"));
            let logs = fs::read_dir(&task).into_iter().flatten().flatten();
            size(&task) + logs.map(|entry| size(&entry.path())).sum::<u64>()
        };
        size(&run) + tasks.map(of_task).sum::<u64>()
    }
}

impl Kept {
    fn doom(&self, is_surplus: bool) -> Doomed {
        Doomed {
            dag_id: self.dag_id.clone(),
            run_id: self.run_id.clone(),
            is_surplus,
        }
    }
}

/// The runs that have logs in the directory of a DAG. What was renamed before goes to `remove`.
fn runs_of(directory: &Path, remove: &mut Vec<PathBuf>) -> Vec<String> {
    let mut run_ids = Vec::new();
    for run_id in inside(directory, "run_id=").take(LISTED_MAX) {
        if run_id.starts_with('.') {
            remove.push(directory.join(format!("run_id={run_id}")));
        } else {
            run_ids.push(run_id);
        }
    }
    run_ids
}

/// The directories of this name in `directory`, without the beginning that they share. No links.
fn inside(directory: &Path, begins: &'static str) -> impl Iterator<Item = String> {
    let is_real = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(is_real).filter_map(move |entry| {
        let name = entry.file_name().into_string().ok()?;
        let id = name.strip_prefix(begins)?;
        (!id.is_empty()).then(|| id.to_owned())
    })
}
