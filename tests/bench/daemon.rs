//! The daemon's weight, as README shows it: `cargo bench --bench daemon`.
//!
//! Start-up with 1,000 DAGs and 100,000 recorded runs, memory, threads, wake-ups and writes while 100
//! DAGs wait for a fire that is far away, and what a task costs the disk. The idle window is 10 s, or
//! `MINI_DAG_IDLE_S` seconds. Replay of 1,000,000 records is in `--bench journal`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark reads the clock, starts processes by hand and prints"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_dag::Dag;
use mini_dag::journal::{Directory, Journal, Options};
use mini_dag::scheduler::{
    Attempt, ClockTrust, Ended, Exit, Fact, Monotonic, Now, Record, RunFact, RunFacts, RunNumber,
    RunType, State, TaskFact,
};
use mini_dag::timetable::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

const DEADLINE: Duration = Duration::from_secs(60);
const BEGINNING: i64 = 1_795_334_400;

fn main() {
    let root = std::env::temp_dir().join(format!("mini-dag-bench-daemon-{}", std::process::id()));
    println!("| what | measured | goal |\n| --- | --- | --- |");
    start_up(&root.join("start"));
    idle(&root.join("idle"));
    busy(&root.join("busy"));
    fs::remove_dir_all(&root).unwrap();
}

fn tell(what: &str, measured: &str, goal: &str) {
    println!("| {what} | {measured} | {goal} |");
}

/// A daemon that is killed when it is dropped.
struct Daemon {
    child: Child,
    log: PathBuf,
    /// From its start until it said that it is at work.
    ready: Duration,
}

impl Daemon {
    fn start(place: &Path) -> Self {
        let log = place.join("daemon.log");
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_mini-dag"))
            .arg("daemon")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--dags")
            .arg(place.join("dags"))
            .arg("--state")
            .arg(place.join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut daemon = Self {
            child,
            log,
            ready: Duration::ZERO,
        };
        daemon.until("DAGs, state in");
        daemon.ready = began.elapsed();
        daemon
    }

    fn until(&self, piece: &str) {
        wait(|| fs::read_to_string(&self.log).unwrap().contains(piece));
    }

    /// A field of a file in `/proc/<pid>`, summed over all threads if it is one of `task/*`.
    fn proc(&self, file: &str, field: &str) -> u64 {
        let of = |path: PathBuf| -> u64 {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(field));
            let value = line.and_then(|line| line.split_whitespace().nth(1));
            value.map_or(0, |value| value.parse().unwrap())
        };
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let Some(file) = file.strip_prefix("task/*/") else {
            return of(process.join(file));
        };
        let threads = fs::read_dir(process.join("task")).unwrap();
        threads
            .map(|thread| of(thread.unwrap().path().join(file)))
            .sum()
    }

    fn stop(mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "waited in vain");
        pass(Duration::from_millis(1));
    }
}

fn pass(time: Duration) {
    smol::block_on(smol::Timer::after(time));
}

/// So many DAGs of three tasks that are due once a year.
fn yearly(place: &Path, count: usize) -> Vec<Arc<mini_dag::dag::Dag>> {
    fs::create_dir_all(place.join("dags")).unwrap();
    let write = |at: usize| {
        let dag_id = format!("dag_number_{at:04}");
        let text = r#"{"schedule": "0 0 1 1 *", "start_date": "2027-01-01", "order": ["a >> b >> c"], "tasks": [
            {"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true"}, {"task_id": "c", "bash": "true"}]}"#;
        fs::write(place.join(format!("dags/{dag_id}.json")), text).unwrap();
        let dag = Dag::new(&dag_id);
        let _ = dag.bash("a", "true") >> dag.bash("b", "true") >> dag.bash("c", "true");
        Arc::new(dag.finish().unwrap())
    };
    (0..count).map(write).collect()
}

/// A journal of so many runs, one after the other, as the daemon would have written it.
fn record_runs(place: &Path, dags: &[Arc<mini_dag::dag::Dag>], runs: u64) -> u64 {
    let now = Now {
        wall: Timestamp::from_secs(BEGINNING),
        monotonic: Monotonic(0),
    };
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let options = Options {
        boot_id: boot_id.trim().to_owned(),
        ..Options::default()
    };
    let disk = Arc::new(Directory::new(&place.join("state/journal")));
    let (mut journal, _) = Journal::open(disk, options, dags.iter().cloned(), now).unwrap();
    let mut state = State::default();
    for dag in dags {
        state.insert_dag(dag.clone());
    }
    for number in 1..=runs {
        let dag = &dags[usize::try_from(number).unwrap() % dags.len()];
        for record in run_of(&dag.dag_id, number) {
            state.apply(&record).unwrap();
            journal.append(&record);
        }
        journal.flush(now, &state);
        if number % 100 == 0
            && let Some(task) = journal.begin_sync()
        {
            journal.sync_done(task.run(), now, &state);
        }
    }
    fs::read_dir(place.join("state/journal"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

fn run_of(dag_id: &Arc<str>, number: u64) -> Vec<Record> {
    let at = Timestamp::from_secs(BEGINNING - 200_000 + i64::try_from(number).unwrap());
    let record = |fact| Record {
        at,
        dag_id: dag_id.clone(),
        fact: Fact::Run(RunNumber(number), fact),
    };
    let facts = RunFacts {
        run_id: format!("scheduled__{at}").into(),
        run_type: RunType::Scheduled,
        logical_date: at,
        data_interval: Some((at, at)),
        params: BTreeMap::new(),
        clock: ClockTrust::default(),
        occasion: None,
    };
    let mut records = vec![
        record(RunFact::Created(Arc::new(facts))),
        record(RunFact::Started),
    ];
    for task in ["a", "b", "c"] {
        let told = |fact| record(RunFact::Task(task.into(), fact));
        let attempt = Attempt {
            cpu: Duration::from_millis(120),
            memory_peak_bytes: 3456 << 10,
            ..Attempt::unseen(Exit::Code(0), Duration::from_millis(1234))
        };
        records.push(told(TaskFact::Started { try_number: 1 }));
        records.push(told(TaskFact::Ended {
            try_number: 1,
            state: Ended::Success,
            choice: None,
            attempt,
        }));
    }
    records.push(record(RunFact::Ended { success: true }));
    records
}

/// With 1,000 DAGs and 100,000 recorded runs.
fn start_up(place: &Path) {
    let dags = yearly(place, 1_000);
    let bytes = record_runs(place, &dags, 100_000);
    let mut ready: Vec<_> = (0..5)
        .map(|_| {
            let daemon = Daemon::start(place);
            let ready = daemon.ready;
            let rss = daemon.proc("status", "VmRSS:");
            daemon.stop();
            (ready, rss)
        })
        .collect();
    ready.sort();
    let measured = format!("{:.0} ms", ready[2].0.as_secs_f64() * 1e3);
    tell(
        "start-up with 1,000 DAGs and 100,000 recorded runs",
        &measured,
        "≤ 100 ms",
    );
    tell(
        "its memory, and the journal's length",
        &format!(
            "{:.1} MB, {:.1} MB",
            ready[2].1 as f64 / 1024.0,
            bytes as f64 / 1e6
        ),
        "",
    );
}

/// With 100 DAGs that are due next year.
fn idle(place: &Path) {
    yearly(place, 100);
    let daemon = Daemon::start(place);
    // What was written at the start is synced within a second.
    let voluntary = || daemon.proc("task/*/status", "voluntary_ctxt_switches:");
    pass(Duration::from_secs(3));
    let before = voluntary();
    let window_s = std::env::var("MINI_DAG_IDLE_S").map_or(10, |text| text.parse().unwrap());
    let written = daemon.proc("io", "write_bytes:") + daemon.proc("io", "wchar:");
    pass(Duration::from_secs(window_s));
    let wake_ups = voluntary() - before;
    let bytes = daemon.proc("io", "write_bytes:") + daemon.proc("io", "wchar:") - written;
    tell(
        &format!("wake-ups in {window_s} s with 100 DAGs"),
        &wake_ups.to_string(),
        "0",
    );
    tell("bytes written meanwhile", &bytes.to_string(), "0");
    let rss = daemon.proc("status", "VmRSS:") as f64 / 1024.0;
    let anonymous = daemon.proc("status", "RssAnon:") as f64 / 1024.0;
    tell(
        "memory of an idle daemon with 100 DAGs",
        &format!("{rss:.1} MB, of it {anonymous:.1} MB not of the program file"),
        "≤ 2.5 MB",
    );
    tell(
        "its threads",
        &daemon.proc("status", "Threads:").to_string(),
        "≤ 3",
    );
    daemon.stop();
}

/// A DAG of 300 tasks in chains of three, once.
fn busy(place: &Path) {
    const TASKS: usize = 300;
    fs::create_dir_all(place.join("dags")).unwrap();
    let task = |n: usize| {
        let after = if n.is_multiple_of(3) {
            String::new()
        } else {
            format!(r#", "after": ["t{}"]"#, n - 1)
        };
        format!(r#"{{"task_id": "t{n}", "argv": ["true"]{after}}}"#)
    };
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    let text = format!(
        r#"{{"schedule": "@once", "start_date": "2026-01-01", "tasks": [{}]}}"#,
        tasks.join(",\n")
    );
    fs::write(place.join("dags/busy.json"), text).unwrap();
    let journal = place.join("state/journal/0000000001.jsonl");
    let daemon = Daemon::start(place);
    wait(|| {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        text.contains("\"run_success\"")
    });
    // Its last sync.
    pass(Duration::from_millis(1500));
    let bytes = fs::metadata(&journal).unwrap().len();
    let written = daemon.proc("io", "write_bytes:");
    let per = |bytes: u64| format!("{:.0} B", bytes as f64 / TASKS as f64);
    tell("journal of a task", &per(bytes), "≤ 300 B");
    tell(
        "written to the file system for a task (its own share of 64 KiB ballast included)",
        &per(written),
        "≤ 20 kB",
    );
    daemon.stop();
    if let Some(syncs) = syncs(place) {
        tell(
            "syncs of a task",
            &format!("{:.2}", syncs as f64 / TASKS as f64),
            "≤ 2",
        );
    }
}

/// Does it once more under strace, if there is one.
fn syncs(place: &Path) -> Option<u64> {
    fs::remove_dir_all(place.join("state")).unwrap();
    let trace = place.join("strace");
    let mut child = Command::new("strace")
        .args(["-f", "-c", "-e", "trace=fdatasync,fsync", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_mini-dag"))
        .arg("daemon")
        .args(["--listen", "127.0.0.1:0"])
        .arg("--dags")
        .arg(place.join("dags"))
        .arg("--state")
        .arg(place.join("state"))
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let journal = place.join("state/journal/0000000001.jsonl");
    wait(|| {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        text.contains("\"run_success\"")
    });
    let daemon = fs::read_to_string(place.join("state/lock")).unwrap();
    let daemon = Pid::from_raw(daemon.trim().parse().unwrap()).unwrap();
    kill_process(daemon, Signal::TERM).unwrap();
    child.wait().unwrap();
    let table = fs::read_to_string(&trace).unwrap();
    let calls = table.lines().filter(|line| line.ends_with("sync"));
    Some(
        calls
            .map(|line| {
                let calls = line.split_whitespace().nth(3).unwrap();
                calls.parse::<u64>().unwrap()
            })
            .sum(),
    )
}
