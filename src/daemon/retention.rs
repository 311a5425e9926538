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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::dag::Dag;
    use crate::scheduler::{Command, Event, Limits, RunType, Scheduler, Trigger};
    use crate::timetable::Timestamp;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const FOREVER: Retention = Retention {
        runs: 1_000,
        age: Duration::from_secs(100 * 365 * 86_400),
        bytes: 1 << 40,
    };

    /// A state directory, and a keeper of it; gone when the test is over.
    struct Place {
        path: PathBuf,
        keeper: Keeper,
        now: Now,
    }

    impl Place {
        fn new(name: &str, retention: Retention) -> Self {
            let name = format!("mini-dag-retention-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(path.join("logs")).unwrap();
            let now = Now {
                wall: Timestamp::from_millis(2_000_000_000_000),
                monotonic: Monotonic(1_000),
            };
            let keeper = Keeper::new(&path, retention, now);
            Self { path, keeper, now }
        }

        fn run(&self, dag_id: &str, run_id: &str) -> PathBuf {
            self.path
                .join(format!("logs/dag_id={dag_id}/run_id={run_id}"))
        }

        /// Logs of a run that began so many hours ago.
        fn logs(&self, dag_id: &str, run_id: &str, age_hours: u32, bytes: usize) {
            let run = self.run(dag_id, run_id);
            fs::create_dir_all(run.join("task_id=t")).unwrap();
            fs::write(run.join("task_id=t/attempt=1.log"), vec![b'x'; bytes]).unwrap();
            let at = wall(self.now) - HOUR * age_hours;
            File::open(&run).unwrap().set_modified(at).unwrap();
        }

        /// Does everything there is to do.
        fn settle(&mut self, state: &State) {
            while let Some(sweep) = self.keeper.tend(self.now, state) {
                assert_eq!(self.keeper.next_deadline(), None);
                assert!(self.keeper.tend(self.now, state).is_none(), "one at a time");
                self.keeper.found(sweep.run());
            }
            let next = self.keeper.next_deadline().unwrap();
            assert!(next > self.now.monotonic, "nothing is polled");
        }

        fn pass(&mut self, time: Duration) {
            self.now.monotonic = self.now.monotonic.after(time);
        }

        /// Every run that has logs.
        fn shows(&self, expect: &str) {
            let mut found = Vec::new();
            for dag in inside(&self.path.join("logs"), "dag_id=") {
                let mut aside = Vec::new();
                let runs = runs_of(&dag_directory(&self.path.join("logs"), &dag), &mut aside);
                assert_eq!(aside, [""; 0].map(PathBuf::from));
                found.extend(runs.iter().map(|run| format!("{dag}/{run}")));
                if runs.is_empty() {
                    found.push(format!("{dag}/"));
                }
            }
            found.sort();
            assert_eq!(found.join(" "), expect);
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    /// Runs in memory: those of `ended` are over, those of `live` run.
    fn scheduler(ended: &[&str], live: &[&str]) -> Scheduler {
        let mut scheduler = Scheduler::new(Limits {
            parallelism: 100,
            kill_grace: HOUR,
        });
        let at = Now {
            wall: Timestamp::from_millis(1_000),
            monotonic: Monotonic(1),
        };
        let mut step = |event| scheduler.step(at, event, &mut Vec::new());
        let load = |live: bool| {
            let dag = Dag::new("a");
            if live {
                dag.bash("t", "true");
            } else {
                dag.empty("t");
            }
            Event::DagLoaded(Arc::new(Dag {
                max_active_runs: 100,
                ..dag.finish().unwrap()
            }))
        };
        let trigger = |run_id: &str| {
            let trigger = Trigger {
                dag_id: "a".to_owned(),
                run_id: Some(run_id.to_owned()),
                run_type: RunType::Manual,
                logical_date: None,
                data_interval: None,
                params: BTreeMap::new(),
            };
            Event::Command(0, Command::Trigger(trigger))
        };
        for (runs, is_live) in [(ended, false), (live, true)] {
            step(load(is_live));
            runs.iter().for_each(|run_id| step(trigger(run_id)));
        }
        let state = scheduler.state();
        assert_eq!(state.runs().count(), ended.len() + live.len());
        assert_eq!(
            state.runs().filter(|(_, r)| !r.state.is_finished()).count(),
            live.len()
        );
        scheduler
    }

    #[test]
    fn the_latest_finished_runs_of_each_dag_stay_and_the_live_ones_on_top() {
        let mut place = Place::new("runs", Retention { runs: 2, ..FOREVER });
        for (run_id, age_hours) in [("r1", 5), ("r2", 4), ("r3", 3), ("r4", 2), ("r5", 1)] {
            place.logs("a", run_id, age_hours, 1);
            place.logs("b", run_id, age_hours, 1);
        }
        // r1 and r5 run, r2 is over but in memory.
        let scheduler = scheduler(&["r2"], &["r1", "r5"]);
        place.settle(scheduler.state());
        place.shows("a/r1 a/r3 a/r4 a/r5 b/r4 b/r5");
    }

    #[test]
    fn what_is_old_goes_unless_it_is_in_memory_and_empty_dags_go_with_it() {
        let age = 10 * HOUR;
        let mut place = Place::new("age", Retention { age, ..FOREVER });
        place.logs("a", "old", 11, 1);
        place.logs("a", "young", 9, 1);
        place.logs("a", "held", 12, 1);
        place.logs("a", "live", 13, 1);
        place.logs("gone", "old", 11, 1);
        let scheduler = scheduler(&["held"], &["live"]);
        place.settle(scheduler.state());
        place.shows("a/held a/live a/young gone/");
        place.pass(LOOK_EVERY);
        place.settle(scheduler.state());
        place.shows("a/held a/live a/young");
    }

    #[test]
    fn the_oldest_of_all_dags_go_while_all_are_too_large() {
        // A quarter is the journal's; each run takes 100 KiB and three directory entries.
        let bytes = 512 << 10;
        let mut place = Place::new("bytes", Retention { bytes, ..FOREVER });
        for (dag_id, run_id, age_hours) in [
            ("a", "held", 9),
            ("b", "8h", 8),
            ("a", "7h", 7),
            ("b", "6h", 6),
            ("a", "5h", 5),
        ] {
            place.logs(dag_id, run_id, age_hours, 100 << 10);
        }
        let scheduler = scheduler(&["held"], &[]);
        place.settle(scheduler.state());
        place.shows("a/5h a/held b/6h");
        assert!(place.keeper.bytes >= 300 << 10, "{}", place.keeper.bytes);

        // Nothing that is in memory goes, however little there may be; and it is not tried again at once.
        place.keeper.set(
            Retention {
                bytes: 1,
                ..FOREVER
            },
            place.now,
        );
        place.settle(scheduler.state());
        place.shows("a/held b/");
    }

    #[test]
    fn a_run_that_ends_has_its_own_dag_looked_at() {
        let mut place = Place::new("ended", Retention { runs: 1, ..FOREVER });
        let mut scheduler = scheduler(&[], &["live"]);
        place.settle(scheduler.state());
        for dag_id in ["a", "b"] {
            place.logs(dag_id, "r1", 2, 1);
            place.logs(dag_id, "r2", 1, 1);
        }
        place.logs("a", "live", 0, 1);
        place.settle(scheduler.state());
        place.shows("a/live a/r1 a/r2 b/r1 b/r2");
        let mut actions = Vec::new();
        let cancel = Command::Cancel {
            dag_id: "a".to_owned(),
            run_id: "live".to_owned(),
        };
        scheduler.step(place.now, Event::Command(1, cancel), &mut actions);
        let id = scheduler.live_attempts().next().unwrap();
        scheduler.step(place.now, Event::Lost(id), &mut actions);
        for action in &actions {
            if let crate::scheduler::Action::Record(record) = action {
                place.keeper.record(record);
            }
        }
        place.settle(scheduler.state());
        place.shows("a/live b/r1 b/r2");
        place.keeper.hurry(place.now);
        place.settle(scheduler.state());
        place.shows("a/live b/r2");
    }

    #[test]
    fn a_run_that_begins_while_its_old_logs_are_to_go_keeps_them() {
        let mut place = Place::new("race", Retention { runs: 1, ..FOREVER });
        for (run_id, age_hours) in [("r1", 3), ("r2", 2), ("r3", 1)] {
            place.logs("a", run_id, age_hours, 1);
        }
        let before = scheduler(&["r1"], &[]);
        let sweep = place.keeper.tend(place.now, before.state()).unwrap();
        place.keeper.found(sweep.run());
        assert_eq!(place.keeper.doomed.len(), 2);
        let cleared = scheduler(&[], &["r1"]);
        place.settle(cleared.state());
        place.shows("a/r1 a/r3");
    }

    #[test]
    fn only_directories_of_runs_are_touched_and_links_are_not_followed() {
        let age = HOUR;
        let retention = Retention {
            runs: 1,
            age,
            bytes: 1,
        };
        let mut place = Place::new("links", retention);
        let precious = place.path.join("precious");
        fs::create_dir_all(precious.join("run_id=r/task_id=t")).unwrap();
        fs::write(precious.join("run_id=r/task_id=t/file"), "x").unwrap();
        let logs = place.path.join("logs");
        symlink(&precious, logs.join("dag_id=link")).unwrap();
        place.logs("a", "r1", 9, 1);
        place.logs("a", "r2", 8, 1);
        symlink(&precious, logs.join("dag_id=a/run_id=link")).unwrap();
        symlink(&precious, logs.join("dag_id=a/run_id=r1/task_id=link")).unwrap();
        symlink(&precious, logs.join("dag_id=a/run_id=r1/link")).unwrap();
        for other in ["a", "notes", "dag_id=", "dag_id=a/run_id=", "dag_id=a/old"] {
            fs::create_dir_all(logs.join(other)).unwrap();
        }
        fs::write(logs.join("dag_id=file"), "x").unwrap();
        fs::write(logs.join("dag_id=a/run_id=file"), "x").unwrap();
        // What an earlier daemon had no time to remove.
        fs::create_dir_all(logs.join("dag_id=a/run_id=.r0/task_id=t")).unwrap();
        symlink(&precious, logs.join("dag_id=a/run_id=.r0/task_id=t/link")).unwrap();
        place.settle(&State::default());
        place.pass(LOOK_EVERY);
        place.settle(&State::default());

        let names = |path: &Path| {
            let entries = fs::read_dir(path).unwrap();
            let mut names: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(
            names(&logs),
            "a dag_id= dag_id=a dag_id=file dag_id=link notes"
        );
        assert_eq!(
            names(&logs.join("dag_id=a")),
            "old run_id= run_id=file run_id=link"
        );
        assert!(precious.join("run_id=r/task_id=t/file").exists());
    }

    #[test]
    fn much_output_has_everything_looked_at_before_the_day_is_over() {
        let bytes = 1 << 20;
        let mut place = Place::new("much", Retention { bytes, ..FOREVER });
        let mut scheduler = scheduler(&[], &["live"]);
        place.settle(scheduler.state());
        let first = place.keeper.next_deadline().unwrap();
        assert_eq!(first, place.now.monotonic.after(LOOK_EVERY));
        let mut actions = Vec::new();
        let id = scheduler.live_attempts().next().unwrap();
        let mut attempt =
            crate::scheduler::Attempt::unseen(crate::scheduler::Exit::Code(0), Duration::ZERO);
        attempt.output_bytes = 3 << 20;
        attempt.output_dropped_bytes = 2 << 20;
        scheduler.step(place.now, Event::Exited(id, attempt), &mut actions);
        for action in &actions {
            if let crate::scheduler::Action::Record(record) = action {
                place.keeper.record(record);
            }
        }
        assert_eq!(
            place.keeper.next_deadline(),
            Some(place.now.monotonic.after(LOOK_AGAIN))
        );
    }
}
