//! How fast a journal is read and written: `cargo bench --bench journal`.
//!
//! Replays 1,000,000 records in one segment, then a journal of 16 MiB, and writes 200,000 records with a
//! sync every 1,000; on a real directory below `$TMPDIR`. `RECORDS=n` changes the first number.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark reads the clock and prints"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_dag::Dag;
use mini_dag::journal::{Directory, Filter, Journal, Options, history, read_state, verify};
use mini_dag::scheduler::{
    Attempt, ClockTrust, Ended, Exit, Fact, Monotonic, Now, Record, RunFact, RunFacts, RunNumber,
    RunType, State, TaskFact,
};
use mini_dag::timetable::Timestamp;

/// Of one run of ten tasks.
const RECORDS_OF_A_RUN: usize = 3 + 2 * 10;

fn now() -> Now {
    Now {
        wall: Timestamp::from_secs(1_795_334_400),
        monotonic: Monotonic(0),
    }
}

fn dag() -> Arc<mini_dag::dag::Dag> {
    let dag = Dag::new("a_dag_with_20_letter");
    for n in 0..10 {
        dag.bash(&format!("task_number_{n}"), "true");
    }
    Arc::new(dag.finish().unwrap())
}

fn records(number: u64) -> Vec<Record> {
    let at = Timestamp::from_secs(1_795_334_400 + i64::try_from(number).unwrap());
    let record = |fact| Record {
        at,
        dag_id: "a_dag_with_20_letter".into(),
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
    for n in 0..10 {
        let task = |fact| record(RunFact::Task(format!("task_number_{n}").into(), fact));
        records.push(task(TaskFact::Started { try_number: 1 }));
        records.push(task(TaskFact::Ended {
            try_number: 1,
            state: Ended::Success,
            choice: None,
            attempt: Attempt {
                cpu: Duration::from_millis(120),
                memory_peak_bytes: 3456 << 10,
                ..Attempt::unseen(Exit::Code(0), Duration::from_millis(61_234))
            },
        }));
    }
    records.push(record(RunFact::Ended { success: true }));
    records
}

/// Writes so many records, or so many bytes, without rotation; returns how long that took.
fn write(path: &Path, count: usize, synced_every: usize) -> Duration {
    let disk = Arc::new(Directory::new(path));
    let options = Options {
        segment_bytes_max: u64::MAX,
        ..Options::default()
    };
    let (mut journal, found) = Journal::open(disk, options, [dag()], now()).unwrap();
    let mut state: State = found.state;
    let runs = (1..).map(records).take(count / RECORDS_OF_A_RUN);
    let runs: Vec<_> = runs.collect();
    let start = Instant::now();
    let mut since = 0;
    for run in &runs {
        for record in run {
            state.apply(record).unwrap();
            journal.append(record);
        }
        journal.flush(now(), &state);
        since += run.len();
        if since >= synced_every {
            since = 0;
            if let Some(task) = journal.begin_sync() {
                journal.sync_done(task.run(), now(), &state);
            }
        }
    }
    start.elapsed()
}

fn timed<T>(what: &str, bytes: u64, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    let took = start.elapsed().as_secs_f64();
    let rate = bytes as f64 / 1e6 / took;
    println!("{what}: {took:.3} s, {rate:.0} MB/s");
    result
}

fn main() {
    let count = std::env::var("RECORDS").map_or(1_000_000, |text| text.parse().unwrap());
    let root = std::env::temp_dir().join(format!("mini-dag-bench-{}", std::process::id()));
    for (name, count) in [("large", count), ("16 MiB", 110_000)] {
        let path = root.join(name);
        let took = write(&path, count, 1_000).as_secs_f64();
        let disk = Directory::new(&path);
        let bytes = std::fs::metadata(path.join("0000000001.jsonl"))
            .unwrap()
            .len();
        println!(
            "{name}: {count} records, {:.1} MiB",
            bytes as f64 / 1_048_576.0
        );
        println!(
            "write, a sync every 1,000: {took:.3} s, {:.0} records/s",
            count as f64 / took
        );
        let found = timed("replay", bytes, || read_state(&disk, [dag()]).unwrap());
        assert_eq!(
            found.state.next_run().0,
            (count / RECORDS_OF_A_RUN) as u64 + 1
        );
        let verified = timed("verify", bytes, || verify(&disk).unwrap());
        assert!(verified.is_sound());
        let latest = Filter {
            dag_id: None,
            run_id: None,
            logical_dates: None,
            limit: 10,
        };
        let runs = timed("the latest 10 runs", bytes, || {
            history(&disk, latest).unwrap()
        });
        assert_eq!(runs.len(), 10);
        // What is asked before a run is triggered that is given a name.
        let named = Filter {
            run_id: Some("nobody"),
            ..latest
        };
        let runs = timed("a name that no run has", bytes, || {
            history(&disk, named).unwrap()
        });
        assert!(runs.is_empty());
    }
    std::fs::remove_dir_all(&root).unwrap();
}
