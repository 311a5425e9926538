//! What goes and what stays.

use std::fs::File;
use std::os::unix::fs::symlink;

use rustix::fs::{Timespec, Timestamps, futimens};

use super::sweep::{inside, runs_of};
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
            // After 2038, when what is counted in 32 bits ends.
            wall: Timestamp::from_millis(2_300_000_000_000),
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
        let at = Timespec {
            tv_sec: self.now.wall.millis() / 1_000 - i64::from(age_hours) * 3_600,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: at,
            last_modification: at,
        };
        futimens(File::open(&run).unwrap(), &times).unwrap();
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
        pools: crate::dag::Pools::new(100),
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
        for run_id in runs {
            step(trigger(run_id));
        }
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
    // Renamed by an earlier daemon that had no time to remove it: no run, not even the latest.
    place.logs("b", ".r6", 0, 1);
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
fn a_run_that_began_and_ended_meanwhile_keeps_its_logs_however_old_they_are() {
    let age = HOUR;
    let mut place = Place::new("again", Retention { age, ..FOREVER });
    place.logs("a", "r1", 3, 1);
    place.logs("a", "r2", 3, 1);
    let sweep = place.keeper.tend(place.now, &State::default()).unwrap();
    place.keeper.found(sweep.run());
    let ended = scheduler(&["r1"], &[]);
    place.settle(ended.state());
    place.shows("a/r1");
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
