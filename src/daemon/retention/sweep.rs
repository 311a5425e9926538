//! What may take time: looking at the directories of logs, and removing them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::lstat;

use crate::daemon::config::Retention;
use crate::timetable::Timestamp;

/// Directories that are looked at in one sweep; the next one sees the rest.
const LISTED_MAX: usize = 200_000;

/// Which runs are in memory, by DAG; true: queued or running.
pub(super) type Held = BTreeMap<Arc<str>, BTreeMap<Arc<str>, bool>>;

/// A run whose logs are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doomed {
    pub(super) dag_id: Arc<str>,
    pub(super) run_id: String,
    /// There are enough later ones: even if it is still in memory.
    pub(super) is_surplus: bool,
}

/// Work for a helper thread.
#[derive(Debug)]
pub struct Sweep {
    pub(super) logs: PathBuf,
    pub(super) retention: Retention,
    /// No run's any more.
    pub(super) remove: Vec<PathBuf>,
    pub(super) look: Option<Look>,
}

/// What to look at.
#[derive(Debug)]
pub(super) struct Look {
    /// A DAG, for runs that are too many; or everything.
    pub(super) dag_id: Option<Arc<str>>,
    pub(super) held: Held,
    pub(super) now: Timestamp,
}

/// What a [`Sweep`] found.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) doomed: Vec<Doomed>,
    /// DAGs without logs.
    pub(super) empty: Vec<Arc<str>>,
    /// Of everything, what will stay.
    pub(super) bytes: Option<u64>,
    pub(super) error: Option<String>,
}

pub(super) fn dag_directory(logs: &Path, dag_id: &str) -> PathBuf {
    logs.join(format!("dag_id={dag_id}"))
}

/// The logs of a run, as they were found.
struct Kept {
    /// Seconds and nanoseconds.
    modified: (i64, u128),
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
        let age = i64::try_from(self.retention.age.as_secs()).unwrap_or(i64::MAX);
        let oldest = look.now.millis().div_euclid(1_000).saturating_sub(age);
        let is_old = |kept: &Kept| kept.modified.0 < oldest;
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
            // Not std's, which ends in 2038 on 32-bit ARM.
            let Ok(stat) = lstat(&path) else {
                continue;
            };
            let modified = (stat.st_mtime, stat.st_mtime_nsec.into());
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
pub(super) fn runs_of(directory: &Path, remove: &mut Vec<PathBuf>) -> Vec<String> {
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
pub(super) fn inside(directory: &Path, begins: &'static str) -> impl Iterator<Item = String> {
    let is_real = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(is_real).filter_map(move |entry| {
        let name = entry.file_name().into_string().ok()?;
        let id = name.strip_prefix(begins)?;
        (!id.is_empty()).then(|| id.to_owned())
    })
}
